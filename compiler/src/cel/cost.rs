//! What a condition may cost in the worst case, in steps of the interpreter, from the sizes that are
//! declared: loops multiply, functions add what they look at. It is an upper bound: an evaluation over
//! values of the declared sizes never runs out of steps when it has as many. A condition over the limit
//! is not built, and the error names the bound that would fix it.

use std::collections::HashMap;
use std::sync::Arc;

use mxcp_policy::function::{self, Cost, Extent, Kinds};
use mxcp_policy::interpret::MAX_STEPS;
use mxcp_policy::ty::Ty;
use mxcp_policy::value::KEYS_PER_STEP;

use super::Finding;
use super::ast::{Binary, Comprehension, ExprId, Kind, Literal};
use super::check::Typed;
use super::code::LIMIT;
use super::shape::{Bound, Shape};

/// Most steps that a condition may cost: those that an evaluation has.
pub const MAX_COST_STEPS: u64 = MAX_STEPS;
/// Items that a list or map is taken to have where nothing bounds it.
pub const ASSUMED_ITEMS: u64 = 100;
/// Code points that a text is taken to have where nothing bounds it.
pub const ASSUMED_TEXT: u64 = 64;
/// Bytes of a code point, for steps count bytes.
const BYTES_PER_CODE_POINT: u64 = 4;
/// Steps for each element of a loop that became one instruction: the element, and a member that it is
/// compared with.
const MEMBER_STEPS: u64 = 2;

/// The instructions that were written for an expression.
#[derive(Debug, Clone, Default)]
pub(super) struct Instructions {
    /// how many there are: they are paid once, whichever of them run
    pub count: u64,
    /// those of loops, which are paid again for each element
    pub loops: HashMap<ExprId, u64>,
}

/// The worst-case cost of an expression.
pub(super) fn steps(typed: &Typed, written: &Instructions) -> u64 {
    Walk::new(typed, written, None).total()
}

/// An error when the cost is over the limit.
///
/// # Errors
/// With the bound that would fix it, where one would.
pub(super) fn within_limit(typed: &Typed, written: &Instructions) -> Result<(), Box<Finding>> {
    let mut walk = Walk::new(typed, written, None);
    let steps = walk.total();
    if steps <= MAX_COST_STEPS {
        return Ok(());
    }
    let range = typed.tree.get(typed.tree.root).range.clone();
    let (taken, limit) = (grouped(steps), grouped(MAX_COST_STEPS));
    let message = format!("the condition may take {taken} steps, and {limit} is the limit");
    let mut finding = Finding::new(&LIMIT, range, message);
    let bounds = walk.bounds;
    let largest = |bounds: &[Bound], size| largest(typed, written, bounds, size);
    let enough = bounds.iter().find_map(|(bound, size)| {
        let most = largest(std::slice::from_ref(bound), *size)?;
        Some(format!("declare `{}: {most}` or less for `{}`", bound.key, bound.path))
    });
    let together = || {
        let all: Vec<Bound> = bounds.iter().map(|(bound, _)| bound.clone()).collect();
        let size = bounds.iter().map(|(_, size)| *size).max()?;
        let most = largest(&all, size)?;
        let each: Vec<String> =
            all.iter().map(|b| format!("`{}: {most}` for `{}`", b.key, b.path)).collect();
        Some(format!("declare {} or less", each.join(" and ")))
    };
    match enough.or_else(together) {
        Some(help) => finding = finding.help(help),
        None => finding = finding.help("ask less in one condition, or split the policy"),
    }
    Err(Box::new(finding))
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The greatest size below `size` that brings the cost under the limit when all the bounds have it.
fn largest(typed: &Typed, written: &Instructions, bounds: &[Bound], size: u64) -> Option<u64> {
    let fits =
        |most: u64| Walk::new(typed, written, Some((bounds, most))).total() <= MAX_COST_STEPS;
    if !fits(1) {
        return None;
    }
    let (mut good, mut bad) = (1, size);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

/// What an expression costs beside its instructions, and how large its value may be.
#[derive(Debug, Clone)]
struct Weight {
    steps: u64,
    value: Extent,
}

/// A variable of a loop or of `cel.bind`.
enum Local {
    /// it has what its declaration says
    Declared,
    /// it was made
    Made(Extent),
}

struct Walk<'t> {
    typed: &'t Typed,
    written: &'t Instructions,
    /// sizes to take for some declarations instead of what they say
    instead: Option<(&'t [Bound], u64)>,
    /// the sizes that came from declarations, or that a declaration would set
    bounds: Vec<(Bound, u64)>,
    locals: Vec<(&'t str, Local)>,
}

impl<'t> Walk<'t> {
    const fn new(
        typed: &'t Typed,
        written: &'t Instructions,
        instead: Option<(&'t [Bound], u64)>,
    ) -> Self {
        Self { typed, written, instead, bounds: Vec::new(), locals: Vec::new() }
    }

    fn total(&mut self) -> u64 {
        self.weight(self.typed.tree.root).steps.saturating_add(self.written.count)
    }

    fn weight(&mut self, id: ExprId) -> Weight {
        let weight = self.weight_of_any(id);
        let kinds = kinds(self.typed.ty(id));
        Weight { value: Extent { kinds, ..weight.value }, ..weight }
    }

    fn weight_of_any(&mut self, id: ExprId) -> Weight {
        let typed = self.typed;
        if self.is_declared(id) {
            let steps = self.path_steps(id);
            return Weight { steps, value: self.declared(id) };
        }
        match &typed.tree.get(id).kind {
            Kind::Literal(literal) => Weight { steps: 0, value: literal_extent(literal) },
            Kind::Ident(name) => match self.local(name) {
                Some(Local::Made(value)) => Weight { steps: 0, value: value.clone() },
                _ => Weight { steps: 0, value: self.declared(id) },
            },
            Kind::Select { operand, .. } => {
                let of = self.weight(*operand);
                self.part(id, &of)
            }
            Kind::Has { operand, .. } if self.is_declared(*operand) => {
                scalar(self.path_steps(*operand))
            }
            Kind::Has { operand, .. } => {
                let of = self.weight(*operand);
                scalar(of.steps.saturating_add(of.value.search_steps()))
            }
            Kind::Index { operand, index, .. } => {
                let (of, by) = (self.weight(*operand), self.weight(*index));
                self.part(id, &of).more(by.steps)
            }
            Kind::Unary(_, operand) => scalar(self.weight(*operand).steps),
            Kind::Binary { op: Binary::And | Binary::Or, left, right, .. } => {
                scalar(self.weight(*left).steps.saturating_add(self.weight(*right).steps))
            }
            Kind::Binary { op, left, right, .. } => {
                let name = op.function().unwrap_or(match op {
                    Binary::Equal => "_==_",
                    Binary::NotEqual => "_!=_",
                    _ => "@in",
                });
                self.call(id, name, [*left, *right])
            }
            Kind::Ternary { condition, yes, no } => {
                let asked = self.weight(*condition).steps;
                let (a, b) = (self.weight(*yes), self.weight(*no));
                Weight { steps: a.steps.max(b.steps), value: a.value.or(&b.value) }.more(asked)
            }
            Kind::Call { target, args, .. } => {
                let name = typed.functions.get(&id).map_or("", String::as_str);
                let receiver = target.filter(|_| !name.contains('.'));
                self.call(id, name, receiver.into_iter().chain(args.iter().copied()))
            }
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Comprehension { kind, over, variables, filter, body } => {
                self.comprehension(id, *kind, *over, variables, *filter, *body)
            }
            Kind::Bind { name, value, body } => {
                let value = self.weight(*value);
                let local = Extent { literal: false, ..value.value };
                self.locals.push((name, Local::Made(local)));
                let body = self.weight(*body);
                self.locals.pop();
                body.more(value.steps)
            }
            Kind::Invalid => scalar(0),
        }
    }

    fn local(&self, name: &str) -> Option<&Local> {
        self.locals.iter().rev().find(|(known, _)| *known == name).map(|(_, local)| local)
    }

    /// Whether a value is an input, or a part of one that is reached by fields and elements alone.
    fn is_declared(&self, id: ExprId) -> bool {
        let mut id = id;
        loop {
            if self.typed.inputs.contains_key(&id) || self.typed.presence.contains_key(&id) {
                return true;
            }
            id = match &self.typed.tree.get(id).kind {
                // Of a field that is only known at run time nothing is declared but the largest of all.
                Kind::Index { operand, .. } if self.is_record(*operand) => return false,
                Kind::Select { operand, .. } | Kind::Index { operand, .. } => *operand,
                Kind::Ident(name) => return matches!(self.local(name), Some(Local::Declared)),
                _ => return false,
            };
        }
    }

    fn is_record(&self, id: ExprId) -> bool {
        matches!(self.typed.ty(id).clone().required(), Ty::Record(_))
    }

    /// What the indices on the way to a part of an input cost; the way itself costs nothing.
    fn path_steps(&mut self, id: ExprId) -> u64 {
        let typed = self.typed;
        let (mut id, mut steps) = (id, 0_u64);
        while !typed.inputs.contains_key(&id) {
            id = match &typed.tree.get(id).kind {
                Kind::Select { operand, .. } => *operand,
                Kind::Index { operand, index, .. } => {
                    steps = steps.saturating_add(self.weight(*index).steps);
                    *operand
                }
                _ => break,
            };
        }
        steps
    }

    /// A field or element of a value that was made.
    fn part(&mut self, id: ExprId, of: &Weight) -> Weight {
        let steps = of.steps.saturating_add(of.value.search_steps());
        let value = match &of.value.item {
            // What is inside of something unknown may be as large as anything unknown.
            Some(item) if self.typed.ty(id).is_dyn() => item.or(&self.declared(id)),
            Some(item) => item.as_ref().clone(),
            None => self.declared(id),
        };
        Weight { steps, value }
    }

    fn call(&mut self, id: ExprId, name: &str, args: impl IntoIterator<Item = ExprId>) -> Weight {
        let mut steps = 0_u64;
        let mut extents = Vec::with_capacity(3);
        for arg in args {
            let weight = self.weight(arg);
            steps = steps.saturating_add(weight.steps);
            extents.push(weight.value);
        }
        let Cost { steps: taken, value } =
            function::find(name).map_or(Cost::scalar(0), |function| (function.cost)(&extents));
        let value = if has_size(self.typed.ty(id)) { value } else { Extent::default() };
        Weight { steps: steps.saturating_add(taken), value }
    }

    fn list(&mut self, items: &[(ExprId, bool)]) -> Weight {
        let (mut steps, mut item) = (0_u64, None);
        for (id, _) in items {
            let weight = self.weight(*id);
            steps = steps.saturating_add(weight.steps);
            item = Some(largest_of(item, weight.value));
        }
        Weight { steps, value: Extent::list(items.len() as u64, item.unwrap_or_default()) }
    }

    fn map(&mut self, entries: &[(ExprId, ExprId, bool)]) -> Weight {
        let (mut steps, mut key_bytes, mut item) = (0_u64, 1, None);
        for (key, value, _) in entries {
            let (key, value) = (self.weight(*key), self.weight(*value));
            steps = steps.saturating_add(key.steps).saturating_add(value.steps);
            key_bytes = key_bytes.max(key.value.bytes);
            item = Some(largest_of(item, value.value));
        }
        let count = entries.len() as u64;
        let value = Extent {
            items: count,
            key: key_bytes,
            item: item.map(Arc::new),
            made: true,
            ..Extent::default()
        };
        Weight { steps: steps.saturating_add(inserting(count)), value }
    }

    fn comprehension(
        &mut self,
        id: ExprId,
        kind: Comprehension,
        over: ExprId,
        variables: &'t [String],
        filter: Option<ExprId>,
        body: ExprId,
    ) -> Weight {
        let inside = matches!(kind, Comprehension::OptMap | Comprehension::OptFlatMap);
        // Variables of these have no declaration of their own.
        let declared = self.is_declared(over) && !inside && !self.is_record(over);
        let walked = if declared {
            let (ty, shape) = self.declaration(over);
            let value = self.flat(&ty, shape.as_deref());
            Weight { steps: self.path_steps(over), value }
        } else {
            self.weight(over)
        };
        let before = self.locals.len();
        for (i, name) in variables.iter().enumerate() {
            let local = if declared {
                Local::Declared
            } else if inside {
                Local::Made(Extent { literal: false, ..walked.value.clone() })
            } else {
                let last = i + 1 == variables.len();
                Local::Made(self.variable(over, &walked.value, last, variables.len() == 2))
            };
            self.locals.push((name, local));
        }
        let test = filter.map_or(0, |filter| self.weight(filter).steps);
        let body = self.weight(body);
        self.locals.truncate(before);
        let runs = if inside { 1 } else { walked.value.items };
        let again = self.written.loops.get(&id).copied().unwrap_or(MEMBER_STEPS);
        let each = test.saturating_add(body.steps).saturating_add(again);
        let entries = match kind {
            Comprehension::TransformMapEntry => runs.saturating_mul(body.value.items),
            _ => runs,
        };
        let building = match kind {
            Comprehension::TransformMap => inserting(entries),
            Comprehension::TransformMapEntry => inserting(entries).saturating_add(entries),
            _ => 0,
        };
        let steps = walked.steps.saturating_add(runs.saturating_mul(each)).saturating_add(building);
        let made = Extent { literal: false, ..body.value };
        let value = match kind {
            Comprehension::All | Comprehension::Exists | Comprehension::ExistsOne => {
                Extent::default()
            }
            Comprehension::Filter => {
                let whole = if declared { self.declared(over) } else { walked.value };
                let item = self.variable(over, &whole, true, false);
                Extent::list(whole.items, item)
            }
            Comprehension::OptMap | Comprehension::OptFlatMap => made,
            Comprehension::TransformMap => {
                let key = walked.value.key.max(1);
                Extent { key, made: true, ..Extent::list(entries, made) }
            }
            Comprehension::TransformMapEntry => Extent { items: entries, made: true, ..made },
            _ => Extent::list(entries, made),
        };
        Weight { steps, value }
    }

    /// What a variable of a loop over a value that was made stands for: of one the item of a list or the
    /// key of a map, of two the place and the item or the key and the value.
    fn variable(&mut self, over: ExprId, walked: &Extent, last: bool, pair: bool) -> Extent {
        let key = Extent { kinds: Kinds::TEXT.or(Kinds::WHOLE), ..Extent::text(walked.key) };
        // What is inside of something unknown may be as large as anything unknown.
        let unknown = self.extent(&Ty::Dyn, None);
        let item = |of: &Ty| {
            let item = walked.item();
            if of.is_dyn() { item.or(&unknown) } else { item.clone() }
        };
        match self.typed.ty(over).clone().required() {
            Ty::List(of) if last => item(&of),
            Ty::List(_) => Extent::default(),
            Ty::Map(_, of) if pair && last => item(&of),
            Ty::Record(_) if pair && last => item(&Ty::Dyn),
            Ty::Map(..) | Ty::Record(_) => key,
            _ if last => item(&Ty::Dyn).or(&key),
            _ => key,
        }
    }

    /// The type of a part of an input, and what is declared about it.
    fn declaration(&self, id: ExprId) -> (Ty, Option<Arc<Shape>>) {
        (self.typed.ty(id).clone(), self.typed.shapes.get(&id).cloned())
    }

    /// The sizes of an input or of a part of one.
    fn declared(&mut self, id: ExprId) -> Extent {
        let (ty, shape) = self.declaration(id);
        self.extent(&ty, shape.as_deref())
    }

    fn extent(&mut self, ty: &Ty, shape: Option<&Shape>) -> Extent {
        let flat = self.flat(ty, shape);
        let item = match ty {
            Ty::Nullable(of) | Ty::Optional(of) => return self.extent(of, shape),
            Ty::List(of) => Some(self.extent(of, shape.and_then(|shape| shape.items.as_deref()))),
            Ty::Map(_, of) => Some(self.extent(of, None)),
            Ty::Record(record) => {
                let mut item = record.open.then(|| self.extent(&Ty::Dyn, None));
                for field in &record.fields {
                    let shape = shape.and_then(|shape| shape.fields.get(&field.name));
                    let field = self.extent(&field.ty, shape.map(AsRef::as_ref));
                    item = Some(largest_of(item, field));
                }
                item
            }
            Ty::Dyn => {
                let bytes = ASSUMED_TEXT * BYTES_PER_CODE_POINT;
                Some(Extent { bytes, ..Extent::default() })
            }
            _ => None,
        };
        Extent { item: item.map(Arc::new), kinds: kinds(ty), ..flat }
    }

    /// The sizes of a value itself, not of its items.
    fn flat(&mut self, ty: &Ty, shape: Option<&Shape>) -> Extent {
        let text = ASSUMED_TEXT * BYTES_PER_CODE_POINT;
        match ty {
            Ty::Nullable(of) | Ty::Optional(of) => self.flat(of, shape),
            Ty::String | Ty::Bytes => {
                let size = self.size(shape, ASSUMED_TEXT);
                Extent::text(size.saturating_mul(BYTES_PER_CODE_POINT))
            }
            Ty::List(_) => Extent { items: self.size(shape, ASSUMED_ITEMS), ..Extent::default() },
            Ty::Map(..) => {
                Extent { items: self.size(shape, ASSUMED_ITEMS), key: text, ..Extent::default() }
            }
            Ty::Record(record) => {
                let fields = record.fields.len() as u64;
                let open = if record.open { self.size(shape, ASSUMED_ITEMS) } else { 0 };
                let longest = record.fields.iter().map(|field| field.name.len() as u64).max();
                let key = longest.unwrap_or(0).max(if record.open { text } else { 1 });
                Extent { items: fields.max(open), key, ..Extent::default() }
            }
            Ty::Dyn | Ty::Error | Ty::Var(_) | Ty::Opaque(..) => {
                let items = self.size(shape, ASSUMED_ITEMS);
                Extent { bytes: text, items, key: text, ..Extent::default() }
            }
            _ => Extent::default(),
        }
    }

    /// The size that is declared, or assumed where none is.
    fn size(&mut self, shape: Option<&Shape>, assumed: u64) -> u64 {
        let bound = shape.and_then(|shape| shape.bound.clone());
        let replaced = self
            .instead
            .filter(|(bounds, _)| bound.as_ref().is_some_and(|bound| bounds.contains(bound)));
        let size = match replaced {
            Some((_, size)) => size,
            None => shape.and_then(|shape| shape.max_size).unwrap_or(assumed),
        };
        if let Some(bound) = bound
            && !self.bounds.iter().any(|(known, _)| *known == bound)
        {
            self.bounds.push((bound, size));
        }
        size
    }
}

impl Weight {
    fn more(self, steps: u64) -> Self {
        Self { steps: self.steps.saturating_add(steps), ..self }
    }
}

fn scalar(steps: u64) -> Weight {
    Weight { steps, value: Extent::default() }
}

fn largest_of(known: Option<Extent>, other: Extent) -> Extent {
    match known {
        Some(known) => known.or(&other),
        // What stands in a list is no operand of its own any more.
        None => Extent { literal: false, ..other },
    }
}

/// What it costs to compare the key of each entry with those before it.
const fn inserting(entries: u64) -> u64 {
    entries.saturating_mul(entries) / (2 * KEYS_PER_STEP)
}

fn literal_extent(literal: &Literal) -> Extent {
    match literal {
        Literal::String(text) => Extent { literal: true, ..Extent::text(text.len() as u64) },
        Literal::Bytes(bytes) => Extent::text(bytes.len() as u64),
        Literal::Int(number) => Extent { number: Some(*number), ..Extent::default() },
        _ => Extent::default(),
    }
}

/// What values of the type may be.
fn kinds(ty: &Ty) -> Kinds {
    match ty {
        Ty::Null | Ty::Bool | Ty::Int | Ty::Uint => Kinds::WHOLE,
        Ty::Double => Kinds::DOUBLE,
        Ty::Timestamp | Ty::Duration | Ty::Type(_) => Kinds::SCALAR,
        Ty::String => Kinds::TEXT,
        Ty::Bytes => Kinds::BYTES,
        Ty::List(_) | Ty::Map(..) | Ty::Record(_) => Kinds::MANY,
        Ty::Nullable(of) => Kinds::WHOLE.or(kinds(of)),
        // An optional counts as what it holds.
        Ty::Optional(of) => kinds(of),
        Ty::Dyn | Ty::Error | Ty::Var(_) | Ty::Opaque(..) => Kinds::ANY,
    }
}

/// Whether values of the type have a size that counts.
const fn has_size(ty: &Ty) -> bool {
    !matches!(
        ty,
        Ty::Null
            | Ty::Bool
            | Ty::Int
            | Ty::Uint
            | Ty::Double
            | Ty::Timestamp
            | Ty::Duration
            | Ty::Type(_)
    )
}

#[cfg(test)]
mod tests;
