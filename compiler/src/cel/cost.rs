//! What a condition may cost in the worst case, in steps of the interpreter, from the sizes that are
//! declared: loops multiply, functions add what they look at. A condition over the limit is not
//! built, and the error names the bound that would fix it.

use mxcp_policy::function::{self, Cost};
use mxcp_policy::interpret::MAX_STEPS;
use mxcp_policy::ty::Ty;

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
/// Bytes of a text that are compared in a step.
const BYTES_PER_STEP: u64 = mxcp_policy::value::BYTES_PER_STEP as u64;
/// Bytes of a text that are searched in a step.
const BYTES_PER_SCAN_STEP: u64 = function::BYTES_PER_SCAN_STEP as u64;
/// Steps of a loop beside its body, for each element.
const LOOP_STEPS: u64 = 4;

/// The worst-case cost of an expression.
pub fn steps(typed: &Typed) -> u64 {
    Walk::new(typed, None).weight(typed.tree.root).steps
}

/// An error when the cost is over the limit.
///
/// # Errors
/// With the bound that would fix it, where one would.
pub fn within_limit(typed: &Typed) -> Result<u64, Box<Finding>> {
    let mut walk = Walk::new(typed, None);
    let steps = walk.weight(typed.tree.root).steps;
    if steps <= MAX_COST_STEPS {
        return Ok(steps);
    }
    let range = typed.tree.get(typed.tree.root).range.clone();
    let (taken, limit) = (grouped(steps), grouped(MAX_COST_STEPS));
    let message = format!("the condition may take {taken} steps, and {limit} is the limit");
    let mut finding = Finding::new(&LIMIT, range, message);
    let bounds = walk.bounds;
    let enough = bounds.iter().find_map(|(bound, size)| {
        let most = largest(typed, std::slice::from_ref(bound), *size)?;
        Some(format!("declare `{}: {most}` or less for `{}`", bound.key, bound.path))
    });
    let together = || {
        let all: Vec<Bound> = bounds.iter().map(|(bound, _)| bound.clone()).collect();
        let size = bounds.iter().map(|(_, size)| *size).max()?;
        let most = largest(typed, &all, size)?;
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
fn largest(typed: &Typed, bounds: &[Bound], size: u64) -> Option<u64> {
    let fits = |most: u64| {
        let steps = Walk::new(typed, Some((bounds, most))).weight(typed.tree.root).steps;
        steps <= MAX_COST_STEPS
    };
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

/// What an expression costs, and how large its value and the items of its value are.
#[derive(Debug, Clone, Copy)]
struct Weight {
    steps: u64,
    size: u64,
    item: u64,
}

struct Walk<'t> {
    typed: &'t Typed,
    /// sizes to take for some declarations instead of what they say
    instead: Option<(&'t [Bound], u64)>,
    /// the sizes that came from declarations, or that a declaration would set
    bounds: Vec<(Bound, u64)>,
    locals: Vec<(&'t str, Weight)>,
}

impl<'t> Walk<'t> {
    const fn new(typed: &'t Typed, instead: Option<(&'t [Bound], u64)>) -> Self {
        Self { typed, instead, bounds: Vec::new(), locals: Vec::new() }
    }

    fn weight(&mut self, id: ExprId) -> Weight {
        let typed = self.typed;
        let kind = &typed.tree.get(id).kind;
        match kind {
            Kind::Literal(literal) => Weight { steps: 1, size: literal_size(literal), item: 1 },
            Kind::Ident(name) => {
                let local = self.locals.iter().rev().find(|(known, _)| known == name);
                match local.map(|(_, weight)| *weight) {
                    Some(weight) => Weight { steps: 1, ..weight },
                    None => self.declared(id, 1),
                }
            }
            Kind::Select { operand, .. } | Kind::Has { operand, .. } => {
                let steps = self.weight(*operand).steps;
                self.declared(id, steps.saturating_add(1))
            }
            Kind::Index { operand, index, .. } => {
                let (of, by) = (self.weight(*operand), self.weight(*index));
                // A map that was made during evaluation is searched.
                let steps = of.steps.saturating_add(by.steps).saturating_add(of.size.min(64) + 1);
                let weight = self.declared(id, steps);
                Weight { size: weight.size.max(of.item), ..weight }
            }
            Kind::Unary(_, operand) => self.weight(*operand).more(1),
            Kind::Binary { op, left, right, .. } => self.binary(*op, *left, *right),
            Kind::Ternary { condition, yes, no } => {
                let asked = self.weight(*condition).steps;
                let (a, b) = (self.weight(*yes), self.weight(*no));
                Weight {
                    steps: asked.saturating_add(a.steps.max(b.steps)).saturating_add(3),
                    size: a.size.max(b.size),
                    item: a.item.max(b.item),
                }
            }
            Kind::Call { target, args, .. } => self.call(id, *target, args),
            Kind::List(items) => {
                let parts: Vec<Weight> = items.iter().map(|(id, _)| self.weight(*id)).collect();
                gathered(&parts, items.len() as u64)
            }
            Kind::Map(entries) => {
                let mut parts = Vec::with_capacity(entries.len() * 2);
                for (key, value, _) in entries {
                    parts.extend([self.weight(*key), self.weight(*value)]);
                }
                // A key is compared with those before it.
                let count = entries.len() as u64;
                gathered(&parts, count).more(count.saturating_mul(count) / 2)
            }
            Kind::Comprehension { kind, over, variables, filter, body } => {
                self.comprehension(*kind, *over, variables, *filter, *body)
            }
            Kind::Bind { name, value, body } => {
                let value = self.weight(*value);
                self.locals.push((name, value));
                let body = self.weight(*body);
                self.locals.pop();
                body.more(value.steps)
            }
            Kind::Invalid => Weight { steps: 1, size: 1, item: 1 },
        }
    }

    fn binary(&mut self, op: Binary, left: ExprId, right: ExprId) -> Weight {
        let (a, b) = (self.weight(left), self.weight(right));
        let both = a.steps.saturating_add(b.steps).saturating_add(2);
        let looked = match op {
            Binary::In => b.size.saturating_mul(1 + b.item / BYTES_PER_STEP),
            _ if is_text(self.typed.ty(left)) => a.size.min(b.size) / BYTES_PER_STEP,
            Binary::Add => a.size.saturating_add(b.size),
            Binary::And | Binary::Or => 0,
            _ => a.size.min(b.size),
        };
        let size = if op == Binary::Add { a.size.saturating_add(b.size) } else { 1 };
        Weight { steps: both.saturating_add(looked), size, item: a.item.max(b.item) }
    }

    fn call(&mut self, id: ExprId, target: Option<ExprId>, args: &[ExprId]) -> Weight {
        let name = self.typed.functions.get(&id).map_or("", String::as_str);
        let receiver = target.filter(|_| !name.contains('.'));
        let parts: Vec<Weight> = receiver.iter().chain(args).map(|arg| self.weight(*arg)).collect();
        let steps = parts.iter().fold(2_u64, |all, part| all.saturating_add(part.steps));
        let sum = parts.iter().fold(0_u64, |all, part| all.saturating_add(part.size));
        let product = parts
            .iter()
            .fold(1_u64, |all, part| all.saturating_mul(part.size.max(1).saturating_add(1)));
        let looked = match function::find(name).map_or(Cost::Linear, |function| function.cost) {
            Cost::Constant => 0,
            Cost::Scan => sum / BYTES_PER_SCAN_STEP,
            Cost::Linear => sum,
            Cost::Product => product,
        };
        let item = parts.first().map_or(1, |first| first.item.max(first.size));
        let size = match name {
            "replace" | "format" => product,
            "join" => parts
                .first()
                .map_or(1, |list| list.size.saturating_mul(list.item.saturating_add(1))),
            "lists.range" => 10_000,
            _ if is_sized(self.typed.ty(id)) => sum.max(1),
            _ => 1,
        };
        Weight { steps: steps.saturating_add(looked), size, item }
    }

    fn comprehension(
        &mut self,
        kind: Comprehension,
        over: ExprId,
        variables: &'t [String],
        filter: Option<ExprId>,
        body: ExprId,
    ) -> Weight {
        let list = self.weight(over);
        let before = self.locals.len();
        for (i, name) in variables.iter().enumerate() {
            let last = i + 1 == variables.len();
            let size = if last { list.item } else { 1 };
            self.locals.push((name, Weight { steps: 1, size, item: ASSUMED_ITEMS }));
        }
        let test = filter.map_or(0, |filter| self.weight(filter).steps);
        let body = self.weight(body);
        self.locals.truncate(before);
        let each = test.saturating_add(body.steps).saturating_add(LOOP_STEPS);
        let runs = match kind {
            Comprehension::OptMap | Comprehension::OptFlatMap => 1,
            _ => list.size,
        };
        // A key of a map that is built is compared with those before it.
        let building = match kind {
            Comprehension::TransformMap | Comprehension::TransformMapEntry => {
                list.size.saturating_mul(list.size) / 2
            }
            _ => 0,
        };
        let steps = list
            .steps
            .saturating_add(runs.saturating_mul(each))
            .saturating_add(building)
            .saturating_add(LOOP_STEPS);
        let (size, item) = match kind {
            Comprehension::All | Comprehension::Exists | Comprehension::ExistsOne => (1, 1),
            Comprehension::Filter => (list.size, list.item),
            Comprehension::OptMap | Comprehension::OptFlatMap => (body.size, body.item),
            _ => (list.size, body.size),
        };
        Weight { steps, size, item }
    }

    /// The size of an input or of a part of one.
    fn declared(&mut self, id: ExprId, steps: u64) -> Weight {
        let ty = self.typed.ty(id).clone().required();
        let shape = self.typed.shapes.get(&id).cloned();
        let size = self.size_of(&ty, shape.as_deref());
        let item = match &ty {
            Ty::List(of) => {
                let inner = shape.as_ref().and_then(|shape| shape.items.clone());
                self.size_of(&of.as_ref().clone().required(), inner.as_deref())
            }
            _ => ASSUMED_TEXT,
        };
        Weight { steps, size, item }
    }

    fn size_of(&mut self, ty: &Ty, shape: Option<&Shape>) -> u64 {
        if !is_sized(ty) {
            return 1;
        }
        let text = *ty == Ty::String;
        let assumed = if text { ASSUMED_TEXT } else { ASSUMED_ITEMS };
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
        if text { size.saturating_mul(BYTES_PER_CODE_POINT) } else { size }
    }
}

impl Weight {
    const fn more(self, steps: u64) -> Self {
        Self { steps: self.steps.saturating_add(steps), ..self }
    }
}

fn gathered(parts: &[Weight], count: u64) -> Weight {
    Weight {
        steps: parts.iter().fold(2 + count, |all, part| all.saturating_add(part.steps)),
        size: count,
        item: parts.iter().map(|part| part.size).max().unwrap_or(1),
    }
}

fn literal_size(literal: &Literal) -> u64 {
    match literal {
        Literal::String(text) => text.len() as u64,
        Literal::Bytes(bytes) => bytes.len() as u64,
        _ => 1,
    }
}

fn is_text(ty: &Ty) -> bool {
    matches!(ty.clone().required(), Ty::String | Ty::Bytes)
}

/// Whether values of the type have a size that counts.
const fn is_sized(ty: &Ty) -> bool {
    matches!(
        ty,
        Ty::String
            | Ty::Bytes
            | Ty::List(_)
            | Ty::Map(..)
            | Ty::Dyn
            | Ty::Optional(_)
            | Ty::Nullable(_)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::super::{Environment, condition, typed};
    use super::*;

    /// `rows`: a list of lists of whole numbers, `text`: a string; with the sizes that are given.
    fn environment(rows: Option<u64>, inner: Option<u64>, text: Option<u64>) -> Environment {
        let bound = |path: &str, key| Some(Bound { path: path.to_owned(), key });
        let inner =
            Shape { max_size: inner, bound: bound("rows[]", "maxItems"), ..Shape::default() };
        let rows = Shape {
            max_size: rows,
            bound: bound("rows", "maxItems"),
            items: Some(Arc::new(inner)),
            ..Shape::default()
        };
        let text = Shape { max_size: text, bound: bound("text", "maxLength"), ..Shape::default() };
        Environment {
            params: vec![
                ("rows".to_owned(), Ty::list(Ty::list(Ty::Int))),
                ("text".to_owned(), Ty::String),
            ],
            shapes: BTreeMap::from([
                ("rows".to_owned(), Arc::new(rows)),
                ("text".to_owned(), Arc::new(text)),
            ]),
            ..Environment::default()
        }
    }

    fn cost(text: &str, environment: &Environment) -> u64 {
        let (typed, found) = typed(text, environment);
        assert!(found.is_empty(), "{text}: {found:?}");
        steps(&typed.unwrap())
    }

    #[test]
    fn loops_multiply_and_declared_sizes_count() {
        let one = environment(Some(10), Some(10), Some(10));
        let ten = environment(Some(100), Some(10), Some(10));
        let flat = "rows.exists(r, size(r) > 1)";
        let nested = "rows.exists(r, r.exists(n, n > 1))";
        assert!(cost(flat, &ten) > 5 * cost(flat, &one));
        assert!(cost(nested, &one) > 4 * cost(flat, &one));
        assert!(cost(nested, &ten) > 9 * cost(nested, &one));
        assert!(
            cost("text.contains('a')", &one)
                < cost("text.contains('a')", &environment(None, None, Some(10_000)))
        );
        assert!(cost("[1, 2].exists(n, n > 1)", &one) < cost("rows.exists(n, true)", &one));
    }

    #[test]
    fn sums_and_products_stop_at_the_largest_number() {
        let environment = environment(None, None, None);
        for text in [
            "(text + text).replace(text, text).replace(text, text).replace(text, text).replace(text, text)",
            "[text].map(v, text.replace(text, text).replace(text, text).replace(text, text).replace(text, text).replace(text, text)).join(text)",
        ] {
            assert_eq!(cost(&format!("{text}.contains({text})"), &environment), u64::MAX, "{text}");
        }
    }

    #[test]
    fn the_error_names_the_bound_that_fixes_it() {
        let nested = "rows.exists(r, r.exists(n, n > 1))";
        let told = |environment: &Environment| {
            let (compiled, found) = condition(nested, environment);
            assert!(compiled.is_none());
            found.into_iter().flat_map(|finding| finding.help).collect::<Vec<_>>().join("; ")
        };
        let most = |help: &str| -> u64 {
            let digits: String = help
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().unwrap()
        };
        let help = told(&environment(Some(100_000), Some(100), None));
        assert!(help.contains("for `rows`"), "{help}");
        // The bound is enough, and one more is not.
        let rows = most(&help);
        assert!(condition(nested, &environment(Some(rows), Some(100), None)).0.is_some());
        assert!(condition(nested, &environment(Some(rows + 1), Some(100), None)).0.is_none());
        let help = told(&environment(Some(2_000_000), Some(2_000_000), None));
        assert!(help.contains("and"), "{help}");
    }
}
