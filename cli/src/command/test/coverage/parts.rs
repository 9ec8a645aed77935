//! The parts of a condition: what `&&`, `||`, `!` and `?:` join, down to what is no such thing.

use std::ops::Range;
use std::sync::Arc;

use mxcp_compiler::cel::ast::{Binary, ExprId, Kind, Tree, Unary};
use mxcp_compiler::cel::{self, Environment, parser};
use mxcp_compiler::{Compiled, types};
use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Depends, Program};
use mxcp_schemas::bundle::definition::Policy as Stored;
use mxcp_schemas::document::ty::Type;
use mxcp_schemas::document::{endpoint, site};

use crate::exit::{Exit, Failure};
use crate::project::SITE_FILE;

/// A part of a condition.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// its bytes in the condition
    pub(super) range: Range<usize>,
    /// as it is written
    pub(super) text: String,
    /// its code as a number of the bundle; none for one that the condition never asks, as in
    /// `false && …`
    pub(super) program: Option<usize>,
    /// what is below it
    pub(super) step: Step,
}

/// How a part comes to its value.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// it has no parts
    Leaf,
    /// `!a`
    Not(usize),
    /// `a && b && c`
    All(Vec<usize>),
    /// `a || b || c`
    Any(Vec<usize>),
    /// `condition ? yes : no`
    Choice { condition: usize, yes: usize, no: usize },
}

/// What is needed to compile a part of a condition as it was compiled within the whole.
pub(super) struct Conditions<'c> {
    compiled: &'c Compiled,
    attributes: Vec<(String, Ty)>,
}

impl<'c> Conditions<'c> {
    pub(super) fn new(compiled: &'c Compiled) -> Self {
        let text = compiled.texts.get(SITE_FILE);
        let site = text.and_then(|text| site::read(&SITE_FILE.into(), text).0);
        let declared = site.map_or_else(Vec::new, |site| site.user_attributes);
        let seen = |ty: &Type| types::in_conditions(ty, "user");
        let attributes = declared.iter().map(|a| (a.name.value.clone(), seen(&a.ty))).collect();
        Self { compiled, attributes }
    }

    /// What the conditions of one stage of an endpoint see.
    pub(super) fn environment(&self, file: &str, stage: &str) -> Result<Environment, Failure> {
        let text = self.compiled.texts.get(file);
        let read = text.and_then(|text| endpoint::read(&Arc::from(file), text).0);
        let document = read.ok_or_else(|| fault(file))?.endpoint;
        let parameter = |ty: &Type, name: &str| {
            let seen = types::in_conditions(ty, name);
            let nullable = ty.default.as_ref().is_some_and(|d| d.value.is_null());
            if nullable { seen.nullable() } else { seen }
        };
        let parameters = document.parameters.iter();
        let response =
            document.result.as_ref().map_or(Ty::Dyn, |ty| types::in_conditions(ty, "response"));
        Ok(Environment {
            user: Some(Environment::user_record(&self.attributes)),
            params: parameters
                .map(|p| (p.name.value.clone(), parameter(&p.ty, &p.name.value)))
                .collect(),
            response: (stage == "output").then_some(response),
            request: true,
            ..Environment::default()
        })
    }
}

/// Gives a policy a condition of its own, and adds the parts of that to the bundle's conditions. The
/// first part is the whole.
///
/// # Errors
/// When the condition, compiled again, is not what the bundle has: then nothing could be said of it.
pub(super) fn add(
    policy: &mut Stored,
    environment: &Environment,
    programs: &mut Vec<Program>,
) -> Result<Vec<Part>, Failure> {
    let text = &policy.condition;
    let failed = || fault(text);
    let own = programs.get(policy.program as usize).cloned().ok_or_else(failed)?;
    let (again, _) = cel::condition(text, environment);
    let (again, _) = again.ok_or_else(failed)?;
    // Costs follow from declared sizes, which parts have no use for. Texts are compared because a number
    // that is none does not equal itself.
    if format!("{:?}", Program { cost: own.cost, ..again }) != format!("{own:?}") {
        return Err(failed());
    }
    let (tree, _) = parser::parse(text);
    let tree = tree.ok_or_else(failed)?;
    policy.program = u32::try_from(programs.len()).map_err(|_| failed())?;
    let mut adding =
        Adding { tree: &tree, environment, reads: own.depends, programs, parts: Vec::new() };
    adding.programs.push(own);
    adding.part(tree.root, Some(policy.program as usize));
    adding.below(tree.root, 0)?;
    Ok(adding.parts)
}

struct Adding<'a> {
    tree: &'a Tree,
    environment: &'a Environment,
    /// what the condition as a whole reads
    reads: Depends,
    programs: &'a mut Vec<Program>,
    parts: Vec<Part>,
}

impl Adding<'_> {
    fn part(&mut self, id: ExprId, program: Option<usize>) -> usize {
        self.parts.push(Part {
            range: self.tree.get(id).range.clone(),
            text: self.tree.source(id).to_owned(),
            program,
            step: Step::Leaf,
        });
        self.parts.len() - 1
    }

    /// Adds a part and what is below it.
    fn add(&mut self, id: ExprId) -> Result<usize, Failure> {
        let text = self.tree.source(id);
        let (compiled, _) = cel::expression(text, self.environment);
        let (program, _) = compiled.ok_or_else(|| fault(text))?;
        // What the condition leaves out is never asked, and its inputs may not be there.
        let program = (self.reads.or(program.depends) == self.reads).then(|| {
            self.programs.push(program);
            self.programs.len() - 1
        });
        let part = self.part(id, program);
        self.below(id, part)?;
        Ok(part)
    }

    fn below(&mut self, id: ExprId, part: usize) -> Result<(), Failure> {
        let step = match &self.tree.get(id).kind {
            Kind::Unary(Unary::Not, operand) => Step::Not(self.add(*operand)?),
            Kind::Binary { op: op @ (Binary::And | Binary::Or), .. } => {
                let operands = self.operands(id, *op);
                let parts = operands.into_iter().map(|operand| self.add(operand));
                let parts = parts.collect::<Result<_, _>>()?;
                if *op == Binary::And { Step::All(parts) } else { Step::Any(parts) }
            }
            Kind::Ternary { condition, yes, no } => Step::Choice {
                condition: self.add(*condition)?,
                yes: self.add(*yes)?,
                no: self.add(*no)?,
            },
            _ => return Ok(()),
        };
        if let Some(part) = self.parts.get_mut(part) {
            part.step = step;
        }
        Ok(())
    }

    /// The operands of nested nodes of the same operator, in order.
    fn operands(&self, id: ExprId, op: Binary) -> Vec<ExprId> {
        let (mut below, mut operands) = (vec![id], Vec::new());
        while let Some(next) = below.pop() {
            match &self.tree.get(next).kind {
                Kind::Binary { op: same, left, right, .. } if *same == op => {
                    below.extend([*right, *left]);
                }
                _ => operands.push(next),
            }
        }
        operands
    }
}

fn fault(what: &str) -> Failure {
    let message =
        format!("`{what}` cannot be taken apart; that is a fault of ours, please report it");
    Failure { exit: Exit::Internal, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the parts of a condition over the parameters `a`, `b` and `c`.
    fn parts(condition: &str) -> Vec<String> {
        let names = ["a", "b", "c"].map(|name| (name.to_owned(), Ty::Bool));
        let environment = Environment { params: names.to_vec(), ..Environment::default() };
        let (compiled, found) = cel::condition(condition, &environment);
        let (program, _) = compiled.unwrap_or_else(|| panic!("{found:?}"));
        let mut programs = vec![program];
        let mut policy = Stored {
            name: "p".to_owned(),
            action: "deny".to_owned(),
            reason: None,
            condition: condition.to_owned(),
            program: 0,
            plan: None,
            line: 1,
        };
        let parts = add(&mut policy, &environment, &mut programs).unwrap();
        assert_eq!(policy.program, 1);
        parts.into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn operators_are_taken_apart_and_nothing_else_is() {
        assert_eq!(parts("a"), ["a"]);
        assert_eq!(parts("a && b && c"), ["a && b && c", "a", "b", "c"]);
        let nested = parts("!((a || b) && !c)");
        assert_eq!(nested[1..], ["((a || b) && !c)", "(a || b)", "a", "b", "!c", "c"]);
        assert_eq!(parts("a ? b : !c")[1..], ["a", "b", "!c", "c"]);
        assert_eq!(parts("(a && b) == c").len(), 1);
        assert_eq!(parts("[a, b].exists(x, x && c)").len(), 1);
    }
}
