//! The type checker (CEL specification, "Type Checking"), with two additions: values that may be
//! null or absent are followed through the guards that exclude it, and texts compared with times are
//! read as times.

mod call;
mod compare;
mod guard;
mod name;

use std::collections::{BTreeSet, HashMap};

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Const, Slot};

use super::ast::{Binary, Comprehension, ExprId, Kind, Literal, Tree, Unary};
use super::code::{LIMIT, NOT_BOOL, WRONG_TYPES};
use super::{Environment, Finding};

pub use guard::guards;

/// Deepest nesting of comprehensions.
pub const MAX_COMPREHENSIONS: u32 = 3;

/// A tree whose nodes have types.
#[derive(Debug, Clone)]
pub struct Typed {
    /// the tree
    pub tree: Tree,
    types: Vec<Ty>,
    /// nodes that stand for an input
    pub(crate) inputs: HashMap<ExprId, Slot>,
    /// texts that are read as times
    pub(crate) coerced: HashMap<ExprId, Const>,
    /// names of types that are used as values
    pub(crate) type_names: HashMap<ExprId, &'static str>,
    /// full names of called functions, namespace included
    pub(crate) functions: HashMap<ExprId, String>,
    /// selections that ask for presence of an input that is null when absent
    pub(crate) presence: HashMap<ExprId, Slot>,
}

impl Typed {
    /// The type of a node.
    pub fn ty(&self, id: ExprId) -> &Ty {
        self.types.get(id.0 as usize).unwrap_or(&Ty::Error)
    }
}

/// Gives every node a type.
pub fn check(tree: Tree, environment: &Environment) -> (Typed, Vec<Finding>) {
    let count = tree.nodes.len();
    let root = tree.root;
    let mut checker = Checker {
        typed: Typed {
            tree,
            types: vec![Ty::Error; count],
            inputs: HashMap::new(),
            coerced: HashMap::new(),
            type_names: HashMap::new(),
            functions: HashMap::new(),
            presence: HashMap::new(),
        },
        environment,
        found: Vec::new(),
        locals: Vec::new(),
        known: BTreeSet::new(),
        loops: 0,
    };
    checker.visit(root);
    (checker.typed, checker.found)
}

/// What to say about a condition that is not of type bool.
pub(super) fn not_bool(typed: &Typed, ty: &Ty) -> Finding {
    let range = typed.tree.get(typed.tree.root).range.clone();
    let finding =
        Finding::new(&NOT_BOOL, range, format!("the condition is of type {ty}, not bool"));
    match ty {
        Ty::List(_) | Ty::Map(..) => finding.help("ask `size(…) > 0`, or `'x' in …`"),
        Ty::Nullable(inner) if **inner == Ty::Bool => {
            finding.help("it may be null: compare with `== true`")
        }
        _ => finding.help("compare with something, as in `… == 'value'`"),
    }
}

struct Checker<'e> {
    typed: Typed,
    environment: &'e Environment,
    found: Vec<Finding>,
    /// variables of comprehensions and `cel.bind`, innermost last
    locals: Vec<(String, Ty)>,
    /// paths that surely are neither null nor absent here
    known: BTreeSet<String>,
    loops: u32,
}

impl Checker<'_> {
    fn visit(&mut self, id: ExprId) -> Ty {
        let kind = self.typed.tree.get(id).kind.clone();
        let ty = match kind {
            Kind::Invalid => Ty::Error,
            Kind::Literal(literal) => literal_type(&literal),
            Kind::Ident(name) => self.ident(id, &name),
            Kind::Select { operand, field, field_range, optional } => {
                self.select(id, operand, &field, field_range, optional)
            }
            Kind::Has { operand, field, field_range } => self.has(id, operand, &field, field_range),
            Kind::Index { operand, index, optional } => self.index(id, operand, index, optional),
            Kind::Call { target, name, name_range, args } => {
                self.call(id, target, &name, name_range, &args)
            }
            Kind::Unary(op, operand) => self.unary(op, operand),
            Kind::Binary { op, left, right, .. } => self.binary(id, op, left, right),
            Kind::Ternary { condition, yes, no } => self.ternary(condition, yes, no),
            Kind::List(items) => self.list(&items),
            Kind::Map(entries) => self.map(&entries),
            Kind::Comprehension { kind, over, variables, filter, body } => {
                self.comprehension(id, kind, over, &variables, filter, body)
            }
            Kind::Bind { name, value, body } => {
                let ty = self.visit(value);
                self.locals.push((name, ty));
                let result = self.visit(body);
                self.locals.pop();
                result
            }
        };
        if let Some(slot) = self.typed.types.get_mut(id.0 as usize) {
            *slot = ty.clone();
        }
        ty
    }

    /// Visits with more paths known, as on one side of a guard.
    fn visit_knowing(&mut self, id: ExprId, more: BTreeSet<String>) -> Ty {
        let before = self.known.clone();
        self.known.extend(more);
        let ty = self.visit(id);
        self.known = before;
        ty
    }

    fn report(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    fn range(&self, id: ExprId) -> std::ops::Range<usize> {
        self.typed.tree.get(id).range.clone()
    }

    fn unary(&mut self, op: Unary, operand: ExprId) -> Ty {
        let ty = self.visit(operand);
        match op {
            Unary::Not => {
                let ty = self.need(operand, ty);
                if !matches!(ty, Ty::Bool | Ty::Dyn | Ty::Error) {
                    let message = format!("`!` takes a bool, and this is {ty}");
                    let mut finding = Finding::new(&WRONG_TYPES, self.range(operand), message);
                    if matches!(ty, Ty::String | Ty::List(_)) {
                        finding = finding.help("ask `size(…) == 0`");
                    }
                    self.report(finding);
                }
                Ty::Bool
            }
            Unary::Minus => {
                let ty = self.need(operand, ty);
                self.apply("-_", &[(operand, ty)], operand, false)
            }
        }
    }

    fn binary(&mut self, id: ExprId, op: Binary, left: ExprId, right: ExprId) -> Ty {
        match op {
            Binary::And | Binary::Or => {
                // Each side protects the other: `&&` and `||` absorb the error of one side when the
                // other decides.
                let decided = op == Binary::And;
                let from_right = guard::proves(&self.typed.tree, right, decided);
                let from_left = guard::proves(&self.typed.tree, left, decided);
                let a = self.visit_knowing(left, from_right);
                self.operand_bool(op, left, a);
                let b = self.visit_knowing(right, from_left);
                self.operand_bool(op, right, b);
                Ty::Bool
            }
            Binary::Equal | Binary::NotEqual => self.equality(id, left, right),
            Binary::In => self.membership(left, right),
            _ => self.operator(id, op, left, right),
        }
    }

    fn operand_bool(&mut self, op: Binary, operand: ExprId, ty: Ty) {
        let ty = self.need(operand, ty);
        if !matches!(ty, Ty::Bool | Ty::Dyn | Ty::Error) {
            let message = format!("`{}` joins conditions, and this is {ty}", op.symbol());
            let mut finding = Finding::new(&WRONG_TYPES, self.range(operand), message);
            if matches!(self.typed.tree.get(operand).kind, Kind::Literal(Literal::String(_))) {
                finding = finding
                    .help("repeat the comparison, as in `x == 'a' || x == 'b'`, or write `x in ['a', 'b']`");
            }
            self.report(finding);
        }
    }

    fn ternary(&mut self, condition: ExprId, yes: ExprId, no: ExprId) -> Ty {
        let ty = self.visit(condition);
        let ty = self.need(condition, ty);
        if !matches!(ty, Ty::Bool | Ty::Dyn | Ty::Error) {
            let message = format!("`?` asks a condition, and this is {ty}");
            self.report(Finding::new(&WRONG_TYPES, self.range(condition), message));
        }
        let when_true = guard::proves(&self.typed.tree, condition, true);
        let when_false = guard::proves(&self.typed.tree, condition, false);
        let a = self.visit_knowing(yes, when_true);
        let b = self.visit_knowing(no, when_false);
        join(a, b)
    }

    fn list(&mut self, items: &[(ExprId, bool)]) -> Ty {
        let mut item: Option<Ty> = None;
        for (id, optional) in items {
            let mut ty = self.visit(*id);
            if *optional {
                ty = match ty {
                    Ty::Optional(inner) => *inner,
                    other => other,
                };
            }
            item = Some(item.map_or(ty.clone(), |known| join(known, ty)));
        }
        Ty::list(item.unwrap_or(Ty::Dyn))
    }

    fn map(&mut self, entries: &[(ExprId, ExprId, bool)]) -> Ty {
        let (mut keys, mut values): (Option<Ty>, Option<Ty>) = (None, None);
        for (key, value, optional) in entries {
            let key_ty = self.visit(*key);
            let valid = matches!(
                key_ty,
                Ty::String | Ty::Int | Ty::Uint | Ty::Bool | Ty::Dyn | Ty::Error | Ty::Nullable(_)
            );
            if !valid {
                let message = format!("{key_ty} cannot be the key of a map");
                self.report(Finding::new(&WRONG_TYPES, self.range(*key), message));
            }
            let mut value_ty = self.visit(*value);
            if *optional && let Ty::Optional(inner) = value_ty {
                value_ty = *inner;
            }
            keys = Some(keys.map_or(key_ty.clone(), |known| join(known, key_ty)));
            values = Some(values.map_or(value_ty.clone(), |known| join(known, value_ty)));
        }
        Ty::map(keys.unwrap_or(Ty::Dyn), values.unwrap_or(Ty::Dyn))
    }

    fn comprehension(
        &mut self,
        id: ExprId,
        kind: Comprehension,
        over: ExprId,
        variables: &[String],
        filter: Option<ExprId>,
        body: ExprId,
    ) -> Ty {
        let ty = self.visit(over);
        let ty = self.need(over, ty);
        let pair = variables.len() == 2;
        let (first, second) = match &ty {
            Ty::List(item) if pair => (Ty::Int, (**item).clone()),
            Ty::List(item) => ((**item).clone(), Ty::Dyn),
            Ty::Map(key, value) => ((**key).clone(), (**value).clone()),
            Ty::Record(_) => (Ty::String, Ty::Dyn),
            Ty::Dyn | Ty::Error => (Ty::Dyn, Ty::Dyn),
            other => {
                let message = format!("a list or map is walked, and this is {other}");
                self.report(Finding::new(&WRONG_TYPES, self.range(over), message));
                (Ty::Error, Ty::Error)
            }
        };
        let before = self.locals.len();
        for (name, ty) in variables.iter().zip([first.clone(), second.clone()]) {
            self.locals.push((name.clone(), ty));
        }
        self.loops += 1;
        if self.loops > MAX_COMPREHENSIONS {
            let message =
                format!("more than {MAX_COMPREHENSIONS} comprehensions inside one another");
            let help = "every level multiplies the cost; declare `maxItems` and ask less, or split the policy";
            self.report(Finding::new(&LIMIT, self.range(id), message).help(help));
        }
        let mut more = BTreeSet::new();
        if let Some(filter) = filter {
            let ty = self.visit(filter);
            self.loop_condition(filter, ty);
            more = guard::proves(&self.typed.tree, filter, true);
        }
        let body_ty = self.visit_knowing(body, more);
        self.loops -= 1;
        self.locals.truncate(before);
        match kind {
            Comprehension::All | Comprehension::Exists | Comprehension::ExistsOne => {
                self.loop_condition(body, body_ty);
                Ty::Bool
            }
            Comprehension::Filter => {
                self.loop_condition(body, body_ty);
                if matches!(ty, Ty::List(_)) { ty } else { Ty::list(first) }
            }
            Comprehension::Map | Comprehension::TransformList => Ty::list(body_ty),
            Comprehension::TransformMap => Ty::map(first, body_ty),
            Comprehension::TransformMapEntry => match body_ty {
                Ty::Map(..) => body_ty,
                _ => Ty::map(Ty::Dyn, Ty::Dyn),
            },
        }
    }

    fn loop_condition(&mut self, id: ExprId, ty: Ty) {
        let ty = self.need(id, ty);
        if !matches!(ty, Ty::Bool | Ty::Dyn | Ty::Error) {
            let message = format!("a condition on each element is needed, and this is {ty}");
            self.report(Finding::new(&WRONG_TYPES, self.range(id), message));
        }
    }
}

fn literal_type(literal: &Literal) -> Ty {
    match literal {
        Literal::Null => Ty::Null,
        Literal::Bool(_) => Ty::Bool,
        Literal::Int(_) => Ty::Int,
        Literal::Uint(_) => Ty::Uint,
        Literal::Double(_) => Ty::Double,
        Literal::String(_) => Ty::String,
        Literal::Bytes(_) => Ty::Bytes,
    }
}

/// The type of a value that is one of two.
fn join(a: Ty, b: Ty) -> Ty {
    match (a, b) {
        (Ty::Error, other) | (other, Ty::Error) => other,
        (a, b) if a == b => a,
        (Ty::Null, other) | (other, Ty::Null) => other.nullable(),
        (Ty::Nullable(a), b) | (b, Ty::Nullable(a)) => join(*a, b.required()).nullable(),
        (Ty::List(a), Ty::List(b)) => Ty::list(join(*a, *b)),
        (Ty::Map(ka, va), Ty::Map(kb, vb)) => Ty::map(join(*ka, *kb), join(*va, *vb)),
        (Ty::Optional(a), Ty::Optional(b)) => Ty::optional(join(*a, *b)),
        _ => Ty::Dyn,
    }
}
