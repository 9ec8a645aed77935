//! The type checker (CEL specification, "Type Checking"), with two additions: values that may be
//! null or absent are followed through the guards that exclude it, and texts compared with times are
//! read as times.

mod call;
mod compare;
mod guard;
mod infer;
mod input;
mod name;
mod pattern;
mod walk;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Const, Slot};

use super::ast::{Binary, ExprId, Kind, Literal, PathId, Paths, Tree, Unary};
use super::code::{LIMIT, NOT_BOOL, WRONG_TYPES};
use super::shape::Shape;
use super::{Environment, Finding};
use infer::Infer;

pub use guard::guards;
pub use pattern::MAX_PATTERNS;
pub(super) use pattern::wrong as wrong_pattern;

/// Deepest nesting of comprehensions.
pub const MAX_COMPREHENSIONS: u32 = 4;
/// Most errors, and most warnings, that are reported for one expression.
const MAX_FINDINGS: usize = 8;

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
    /// names that stand for nothing; without a check they err when they are evaluated
    pub(crate) unresolved: HashMap<ExprId, String>,
    /// what is declared about values beyond their types
    pub(crate) shapes: HashMap<ExprId, Arc<Shape>>,
    /// variables of `cel.bind`, with what they stand for
    pub(super) bound: HashMap<ExprId, ExprId>,
    /// literal patterns that were compiled
    pub(super) patterns: HashSet<String>,
    /// patterns that are no literals
    pub(super) made_patterns: Vec<ExprId>,
}

impl Typed {
    /// The type of a node.
    pub fn ty(&self, id: ExprId) -> &Ty {
        self.types.get(id.0 as usize).unwrap_or(&Ty::Error)
    }

    fn set(&mut self, id: ExprId, ty: Ty) {
        if let Some(slot) = self.types.get_mut(id.0 as usize) {
            *slot = ty;
        }
    }
}

/// Gives every node a type.
pub fn check(tree: Tree, environment: &Environment) -> (Typed, Vec<Finding>) {
    let root = tree.root;
    let mut checker = Checker::new(tree, environment, true);
    checker.visit(root);
    if checker.infer.exhausted() {
        let range = checker.range(root);
        let message = "the types in this condition are too large to be compared";
        checker.report(Finding::new(&LIMIT, range, message));
    }
    let Checker { mut typed, infer, errors, mut warnings, .. } = checker;
    for ty in &mut typed.types {
        *ty = infer.resolve(ty);
    }
    let mut found = errors;
    found.append(&mut warnings);
    found.sort_by_key(|finding| finding.range.start);
    (typed, found)
}

/// Resolves names and gives every node the type `dyn`: what the checker would refuse is an error of
/// the evaluation instead.
pub fn resolve(tree: Tree, environment: &Environment) -> Typed {
    let root = tree.root;
    let mut checker = Checker::new(tree, environment, false);
    checker.visit(root);
    checker.typed
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
        Ty::Int | Ty::Uint | Ty::Double => finding.help("compare with something, as in `… > 0`"),
        _ => finding.help("compare with something, as in `… == 'value'`"),
    }
}

/// A variable of a comprehension or of `cel.bind`.
struct Local {
    name: String,
    ty: Ty,
    shape: Option<Arc<Shape>>,
    /// what it is bound to
    value: Option<ExprId>,
}

struct Checker<'e> {
    typed: Typed,
    environment: &'e Environment,
    /// whether types are checked, or everything is `dyn`
    strict: bool,
    infer: Infer,
    paths: Paths,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    /// nodes that were reported as possibly null or absent
    told: HashSet<ExprId>,
    /// innermost last
    locals: Vec<Local>,
    /// for each path how many guards around this place say that it is neither null nor absent
    known: Vec<u32>,
    loops: u32,
}

impl<'e> Checker<'e> {
    fn new(tree: Tree, environment: &'e Environment, strict: bool) -> Self {
        let paths = Paths::new(&tree);
        Self {
            known: vec![0; paths.len()],
            paths,
            typed: Typed {
                types: vec![Ty::Error; tree.nodes.len()],
                tree,
                inputs: HashMap::new(),
                coerced: HashMap::new(),
                type_names: HashMap::new(),
                functions: HashMap::new(),
                presence: HashMap::new(),
                unresolved: HashMap::new(),
                shapes: HashMap::new(),
                bound: HashMap::new(),
                patterns: HashSet::new(),
                made_patterns: Vec::new(),
            },
            environment,
            strict,
            infer: Infer::default(),
            errors: Vec::new(),
            warnings: Vec::new(),
            told: HashSet::new(),
            locals: Vec::new(),
            loops: 0,
        }
    }

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
            Kind::Unary(op, operand) => self.unary(id, op, operand),
            Kind::Binary { op, left, right, .. } => self.binary(id, op, left, right),
            Kind::Ternary { condition, yes, no } => self.ternary(condition, yes, no),
            Kind::List(items) => self.list(id, &items),
            Kind::Map(entries) => self.map(&entries),
            Kind::Comprehension { kind, over, variables, filter, body } => {
                self.comprehension(id, kind, over, &variables, filter, body)
            }
            Kind::Bind { name, value, body } => {
                let ty = self.visit(value);
                let shape = self.typed.shapes.get(&value).cloned();
                let local = Local { name, ty, shape, value: Some(value) };
                let result = self.inside(vec![local], |this| this.visit(body));
                self.shape_as(id, body);
                result
            }
        };
        let ty = if self.strict { self.infer.shallow(ty) } else { Ty::Dyn };
        self.typed.set(id, ty.clone());
        ty
    }

    /// Visits with variables in reach, which hide paths of the same name.
    fn inside<T>(&mut self, locals: Vec<Local>, run: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.locals.len();
        let hidden: Vec<PathId> =
            locals.iter().flat_map(|local| self.paths.below(&local.name)).collect();
        let counts: Vec<u32> =
            hidden.iter().map(|path| std::mem::take(self.count(*path))).collect();
        self.locals.extend(locals);
        let result = run(self);
        self.locals.truncate(before);
        for (path, count) in hidden.into_iter().zip(counts) {
            *self.count(path) = count;
        }
        result
    }

    /// Visits with more paths known, as on one side of a guard.
    fn visit_knowing(&mut self, id: ExprId, more: &[PathId]) -> Ty {
        self.learn(more);
        let ty = self.visit(id);
        self.forget(more);
        ty
    }

    fn learn(&mut self, paths: &[PathId]) {
        for path in paths {
            *self.count(*path) += 1;
        }
    }

    fn forget(&mut self, paths: &[PathId]) {
        for path in paths {
            let count = self.count(*path);
            *count = count.saturating_sub(1);
        }
    }

    fn count(&mut self, path: PathId) -> &mut u32 {
        let at = path.0 as usize;
        if at >= self.known.len() {
            self.known.resize(at + 1, 0);
        }
        // The line above made room for it.
        #[expect(clippy::indexing_slicing, reason = "the vector is longer than `at` here")]
        &mut self.known[at]
    }

    /// Whether a guard around this place says that a path is there.
    fn is_known(&self, id: ExprId) -> bool {
        let path = self.paths.of(id);
        path.and_then(|path| self.known.get(path.0 as usize)).is_some_and(|count| *count > 0)
    }

    fn proves(&self, id: ExprId, truth: bool) -> Vec<PathId> {
        let mut proven = Vec::new();
        guard::proves(&self.typed.tree, &self.paths, id, truth, &mut proven);
        proven
    }

    /// Errors and warnings are counted apart, so that many warnings cannot hide an error.
    fn report(&mut self, finding: Finding) {
        let list = if finding.is_error() { &mut self.errors } else { &mut self.warnings };
        if self.strict && list.len() < MAX_FINDINGS {
            list.push(finding);
        }
    }

    fn range(&self, id: ExprId) -> std::ops::Range<usize> {
        self.typed.tree.get(id).range.clone()
    }

    fn shape_as(&mut self, id: ExprId, other: ExprId) {
        if let Some(shape) = self.typed.shapes.get(&other).cloned() {
            self.typed.shapes.insert(id, shape);
        }
    }

    /// Whether a type is bool, or may be.
    fn is_bool(&mut self, ty: &Ty) -> bool {
        self.infer.assign(ty, &Ty::Bool)
    }

    fn unary(&mut self, id: ExprId, op: Unary, operand: ExprId) -> Ty {
        let ty = self.visit(operand);
        let ty = self.need(operand, ty);
        match op {
            Unary::Not => {
                if !self.is_bool(&ty) {
                    let ty = self.infer.resolve(&ty);
                    let message = format!("`!` takes a bool, and this is {ty}");
                    let mut finding = Finding::new(&WRONG_TYPES, self.range(operand), message);
                    if matches!(ty, Ty::String | Ty::List(_)) {
                        finding = finding.help("ask `size(…) == 0`");
                    }
                    self.report(finding);
                }
                Ty::Bool
            }
            Unary::Minus => self.apply("-_", &[(operand, ty)], id),
        }
    }

    fn binary(&mut self, id: ExprId, op: Binary, left: ExprId, right: ExprId) -> Ty {
        match op {
            Binary::And | Binary::Or => self.chain(id, op),
            Binary::Equal | Binary::NotEqual => self.equality(id, left, right),
            Binary::In => self.membership(left, right),
            _ => self.operator(id, op, left, right),
        }
    }

    /// `a && b && c`: each part protects the others, for `&&` and `||` absorb the error of one side
    /// when the other decides. The chain is taken as a whole, so that its length costs no more than
    /// its parts.
    fn chain(&mut self, id: ExprId, op: Binary) -> Ty {
        let (mut parts, mut inner) = (Vec::new(), vec![id]);
        while let Some(node) = inner.pop() {
            match self.typed.tree.get(node).kind {
                Kind::Binary { op: other, left, right, .. } if other == op => {
                    self.typed.set(node, if self.strict { Ty::Bool } else { Ty::Dyn });
                    inner.extend([right, left]);
                }
                _ => parts.push(node),
            }
        }
        let proven: Vec<Vec<PathId>> =
            parts.iter().map(|part| self.proves(*part, op == Binary::And)).collect();
        for paths in &proven {
            self.learn(paths);
        }
        for (part, own) in parts.iter().zip(&proven) {
            self.forget(own);
            let ty = self.visit(*part);
            self.operand_bool(op, *part, ty);
            self.learn(own);
        }
        for paths in &proven {
            self.forget(paths);
        }
        Ty::Bool
    }

    fn operand_bool(&mut self, op: Binary, operand: ExprId, ty: Ty) {
        let ty = self.need(operand, ty);
        if !self.is_bool(&ty) {
            let ty = self.infer.resolve(&ty);
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
        if !self.is_bool(&ty) {
            let ty = self.infer.resolve(&ty);
            let message = format!("`?` asks a condition, and this is {ty}");
            self.report(Finding::new(&WRONG_TYPES, self.range(condition), message));
        }
        let when_true = self.proves(condition, true);
        let when_false = self.proves(condition, false);
        let a = self.visit_knowing(yes, &when_true);
        let b = self.visit_knowing(no, &when_false);
        self.infer.join(a, b)
    }

    fn list(&mut self, id: ExprId, items: &[(ExprId, bool)]) -> Ty {
        let mut item: Option<Ty> = None;
        for (part, optional) in items {
            let ty = self.visit(*part);
            let ty = if *optional { self.unwrapped(*part, &ty) } else { ty };
            item = Some(match item {
                Some(known) => self.infer.join(known, ty),
                None => ty,
            });
        }
        let size = u64::try_from(items.len()).ok();
        self.typed.shapes.insert(id, Arc::new(Shape { max_size: size, ..Shape::default() }));
        Ty::list(item.unwrap_or_else(|| self.infer.fresh()))
    }

    fn map(&mut self, entries: &[(ExprId, ExprId, bool)]) -> Ty {
        let (mut keys, mut values): (Option<Ty>, Option<Ty>) = (None, None);
        for (key, value, optional) in entries {
            let key_ty = self.visit(*key);
            let key_ty = self.infer.settle(key_ty);
            let valid = matches!(
                key_ty,
                Ty::String | Ty::Int | Ty::Uint | Ty::Bool | Ty::Dyn | Ty::Error | Ty::Nullable(_)
            );
            if !valid {
                let message = format!("{} cannot be the key of a map", self.infer.resolve(&key_ty));
                self.report(Finding::new(&WRONG_TYPES, self.range(*key), message));
            }
            let key_ty = if valid { key_ty } else { Ty::Error };
            let value_ty = self.visit(*value);
            let value_ty = if *optional { self.unwrapped(*value, &value_ty) } else { value_ty };
            keys = Some(match keys {
                Some(known) => self.infer.join(known, key_ty),
                None => key_ty,
            });
            values = Some(match values {
                Some(known) => self.infer.join(known, value_ty),
                None => value_ty,
            });
        }
        let key = keys.unwrap_or_else(|| self.infer.fresh());
        Ty::map(key, values.unwrap_or_else(|| self.infer.fresh()))
    }

    /// What an optional holds that is put into a list or map with `?`.
    fn unwrapped(&mut self, id: ExprId, ty: &Ty) -> Ty {
        let inner = self.infer.fresh();
        if self.infer.assign(ty, &Ty::optional(inner.clone())) {
            return inner;
        }
        let ty = self.infer.resolve(ty);
        let message = format!("`?` puts in what an optional holds, and this is {ty}");
        let finding = Finding::new(&WRONG_TYPES, self.range(id), message);
        self.report(finding.help("leave the `?` out, or select with `.?`"));
        Ty::Error
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
