//! The CEL front end: text to predicate code, with a place for every complaint.
//!
//! [`parser`] makes a tree and recovers from errors, [`check`] gives every node a type, `lower`
//! writes the code. Each reports [`Finding`]s over the expression's own text; the caller knows where
//! that text stands in a file.

pub mod ast;
pub mod check;
#[cfg(test)]
mod closed;
pub mod code;
pub mod cost;
#[cfg(test)]
mod engines;
mod environment;
mod escape;
#[cfg(test)]
mod kept;
mod lexer;
mod lower;
pub mod parser;
pub mod reference;
pub mod shape;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::Program;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Fix, Severity};
use mxcp_schemas::yaml::Node;

pub use check::Typed;
pub use code::CODES;
pub(crate) use code::SYNTAX;
pub use environment::{Declaration, Environment};

/// Which pass has something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// reading the text
    Parse,
    /// checking the tree
    Check,
}

/// Something to say about a range of the expression's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// what kind
    pub code: &'static Code,
    /// which pass says it
    pub stage: Stage,
    /// bytes of the expression
    pub range: Range<usize>,
    /// what is wrong
    pub message: String,
    /// what to do
    pub help: Vec<String>,
    /// an edit that repairs it
    pub fix: Option<Repair>,
}

/// An edit of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// what it does
    pub title: String,
    /// bytes that are replaced
    pub range: Range<usize>,
    /// their new text
    pub text: String,
}

impl Finding {
    /// A finding with nothing but a message.
    pub fn new(code: &'static Code, range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            stage: Stage::Check,
            range,
            message: message.into(),
            help: Vec::new(),
            fix: None,
        }
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds an edit that replaces the range.
    #[must_use]
    pub fn replace(mut self, title: impl Into<String>, range: Range<usize>, text: &str) -> Self {
        self.fix = Some(Repair { title: title.into(), range, text: text.to_owned() });
        self
    }

    /// Whether nothing can be compiled with it.
    pub fn is_error(&self) -> bool {
        self.code.severity == Severity::Error
    }

    /// The finding as a diagnostic about the scalar that holds the expression.
    pub fn at(self, file: &Arc<str>, text: &str, node: &Node) -> Diagnostic {
        let mut diagnostic =
            Diagnostic::new(self.code, file, node.locate(text, self.range), self.message);
        diagnostic.help = self.help;
        diagnostic.fix = self.fix.map(|repair| Fix {
            title: repair.title,
            safe: false,
            edits: vec![node.edit(text, repair.range, &repair.text)],
        });
        diagnostic
    }
}

/// Compiles a condition, which has to be of type bool.
pub fn condition(
    text: &str,
    environment: &Environment,
) -> (Option<(Program, Typed)>, Vec<Finding>) {
    let (typed, mut found) = typed(text, environment);
    let Some(typed) = typed else { return (None, found) };
    if !found.iter().any(Finding::is_error) {
        let ty = typed.ty(typed.tree.root).clone();
        if !matches!(ty, Ty::Bool | Ty::Dyn | Ty::Error) {
            found.push(check::not_bool(&typed, &ty));
        }
    }
    check::guards(&typed, &mut found);
    if found.iter().any(Finding::is_error) {
        return (None, found);
    }
    found.extend(lower::patterns(&typed));
    if found.iter().any(Finding::is_error) {
        return (None, found);
    }
    if let Some(finding) = lower::failing(&typed) {
        found.push(finding);
        return (None, found);
    }
    match lower::lower_within_limit(&typed) {
        Ok(program) => (Some((program, typed)), found),
        Err(finding) => {
            found.push(*finding);
            (None, found)
        }
    }
}

/// Compiles an expression of any type.
pub fn expression(
    text: &str,
    environment: &Environment,
) -> (Option<(Program, Typed)>, Vec<Finding>) {
    let (typed, found) = typed(text, environment);
    lowered(typed, found, lower::lower)
}

/// Compiles an expression without checking its types: what the checker would refuse is an error of
/// the evaluation instead. For oracles and experiments; policies are always checked.
pub fn unchecked(
    text: &str,
    environment: &Environment,
) -> (Option<(Program, Typed)>, Vec<Finding>) {
    let (tree, found) = parser::parse(text);
    let typed = tree.map(|tree| check::resolve(tree, environment));
    lowered(typed, found, lower::lower_plainly)
}

fn lowered(
    typed: Option<Typed>,
    mut found: Vec<Finding>,
    lower: fn(&Typed) -> Result<Program, Box<Finding>>,
) -> (Option<(Program, Typed)>, Vec<Finding>) {
    let Some(typed) = typed.filter(|_| !found.iter().any(Finding::is_error)) else {
        return (None, found);
    };
    match lower(&typed) {
        Ok(program) => (Some((program, typed)), found),
        Err(finding) => {
            found.push(*finding);
            (None, found)
        }
    }
}

/// Compiles an expression of any type so that nothing is computed ahead and nothing is remembered:
/// whoever tests an engine wants it to do all of the work.
pub fn expression_plainly(
    text: &str,
    environment: &Environment,
) -> (Option<(Program, Typed)>, Vec<Finding>) {
    let (typed, found) = typed(text, environment);
    lowered(typed, found, lower::lower_plainly)
}

/// Parses and checks an expression.
pub fn typed(text: &str, environment: &Environment) -> (Option<Typed>, Vec<Finding>) {
    let (tree, mut found) = parser::parse(text);
    let Some(tree) = tree else { return (None, found) };
    let (typed, more) = check::check(tree, environment);
    found.extend(more);
    (Some(typed), found)
}
