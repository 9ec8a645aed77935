//! Equality and order (CEL specification, "Equality" and "Ordering"): values of different types
//! are not equal, except that numbers compare by their value.

use std::cmp::Ordering;

use bumpalo::Bump;

use super::{List, Map, Str, Value};
use crate::datum::Symbol;

/// How deep values are compared; deeper ones count as unequal.
const MAX_COMPARE_DEPTH: u32 = 128;

/// How many bytes of texts are compared for a step.
pub const BYTES_PER_STEP: usize = 64;

/// Whether two values are equal, where so many steps suffice to tell: one for each item or entry,
/// one for each 64 bytes that have to be compared. Errors are equal to nothing. There is no equality
/// without a budget: a value that holds another twice, which does the same, is small and takes
/// exponentially long to compare.
pub fn equal_within<'a>(
    a: &Value<'a>,
    b: &Value<'a>,
    arena: &'a Bump,
    steps: &mut u64,
) -> Option<bool> {
    Comparison { arena, steps }.equal(a, b, 0)
}

/// Whether a value is the key that a map has. Keys are texts, truth values and whole numbers, so
/// there is nothing to descend into.
pub(crate) fn same_key(known: &Value<'_>, key: &Value<'_>) -> bool {
    match (known, key) {
        (Value::String(x), Value::String(y)) => x.text == y.text,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        _ => number_order(known, key) == Some(Ordering::Equal),
    }
}

struct Comparison<'a, 's> {
    arena: &'a Bump,
    steps: &'s mut u64,
}

impl<'a> Comparison<'a, '_> {
    /// `None` when the steps are used up.
    fn equal(&mut self, a: &Value<'a>, b: &Value<'a>, depth: u32) -> Option<bool> {
        if depth > MAX_COMPARE_DEPTH {
            return Some(false);
        }
        Some(match (a, b) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(x), Value::Bool(y)) => x == y,
            (Value::String(x), Value::String(y)) => return self.texts(x, y),
            (Value::Bytes(x), Value::Bytes(y)) => {
                x.len() == y.len() && self.spend(x.len() / BYTES_PER_STEP)? && x == y
            }
            (Value::Timestamp(x), Value::Timestamp(y)) => x == y,
            (Value::Duration(x), Value::Duration(y)) => x == y,
            (Value::Type(x), Value::Type(y)) => x == y,
            (Value::Optional(x), Value::Optional(y)) => match (x, y) {
                (None, None) => true,
                (Some(x), Some(y)) => return self.equal(x, y, depth + 1),
                _ => false,
            },
            (Value::List(x), Value::List(y)) => return self.lists(*x, *y, depth),
            (Value::Map(x), Value::Map(y)) => return self.maps(*x, *y, depth),
            _ => number_order(a, b) == Some(Ordering::Equal),
        })
    }

    /// Symbols settle most comparisons; what has none is compared by its bytes.
    fn texts(&mut self, x: &Str<'_>, y: &Str<'_>) -> Option<bool> {
        Some(match (x.symbol, y.symbol) {
            (Symbol::Known(x), Symbol::Known(y)) => x == y,
            (Symbol::Known(_), Symbol::Foreign) | (Symbol::Foreign, Symbol::Known(_)) => false,
            _ => {
                x.text.len() == y.text.len()
                    && self.spend(x.text.len() / BYTES_PER_STEP)?
                    && x.text == y.text
            }
        })
    }

    fn lists(&mut self, x: List<'a>, y: List<'a>, depth: u32) -> Option<bool> {
        if x.len() != y.len() {
            return Some(false);
        }
        self.spend(x.len())?;
        for (a, b) in x.iter(self.arena).zip(y.iter(self.arena)) {
            if !self.equal(&a, &b, depth + 1)? {
                return Some(false);
            }
        }
        Some(true)
    }

    fn maps(&mut self, x: Map<'a>, y: Map<'a>, depth: u32) -> Option<bool> {
        if x.len() != y.len() {
            return Some(false);
        }
        self.spend(x.len())?;
        for (key, value) in x.iter(self.arena) {
            if matches!((x, y), (Map::Made(_), _) | (_, Map::Made(_))) {
                // Keys that were made are not sorted: each is looked for among all, whichever side they
                // are on.
                self.spend(y.len())?;
            }
            match y.get(&key, self.arena) {
                Some(other) if self.equal(&value, &other, depth + 1)? => {}
                _ => return Some(false),
            }
        }
        Some(true)
    }

    fn spend(&mut self, steps: usize) -> Option<bool> {
        *self.steps = self.steps.checked_sub(steps as u64)?;
        Some(true)
    }
}

/// The order of two values, if they have one: numbers, strings, bytes, booleans, times.
pub fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(x), Value::Bool(y)) => Some(x.cmp(y)),
        (Value::String(x), Value::String(y)) => Some(x.text.cmp(y.text)),
        (Value::Bytes(x), Value::Bytes(y)) => Some(x.cmp(y)),
        (Value::Timestamp(x), Value::Timestamp(y)) => Some(x.cmp(y)),
        (Value::Duration(x), Value::Duration(y)) => Some(x.cmp(y)),
        _ => number_order(a, b),
    }
}

/// Whether both are numbers, so that a missing order means that one is not a number (NaN).
pub(crate) const fn are_numbers(a: &Value<'_>, b: &Value<'_>) -> bool {
    const fn is_number(value: &Value<'_>) -> bool {
        matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
    }
    is_number(a) && is_number(b)
}

/// Whole numbers of different types compare exactly; a whole number beside a double is rounded to one,
/// as the conformance suite has it.
fn number_order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => Some(x.cmp(y)),
        (Value::Uint(x), Value::Uint(y)) => Some(x.cmp(y)),
        (Value::Double(x), Value::Double(y)) => x.partial_cmp(y),
        (Value::Int(x), Value::Uint(y)) => Some(i128::from(*x).cmp(&i128::from(*y))),
        (Value::Uint(x), Value::Int(y)) => Some(i128::from(*x).cmp(&i128::from(*y))),
        (Value::Int(x), Value::Double(y)) => whole_and_double(i128::from(*x), *y),
        (Value::Uint(x), Value::Double(y)) => whole_and_double(i128::from(*x), *y),
        (Value::Double(x), Value::Int(y)) => {
            whole_and_double(i128::from(*y), *x).map(Ordering::reverse)
        }
        (Value::Double(x), Value::Uint(y)) => {
            whole_and_double(i128::from(*y), *x).map(Ordering::reverse)
        }
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the whole number is rounded on purpose")]
fn whole_and_double(whole: i128, double: f64) -> Option<Ordering> {
    (whole as f64).partial_cmp(&double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let arena = Bump::new();
        let eq = |a, b| equal_within(&a, &b, &arena, &mut 9) == Some(true);
        assert!(eq(Value::Int(1), Value::Double(1.0)));
        assert!(eq(Value::Int(1), Value::Uint(1)));
        assert!(eq(Value::Int(i64::MAX), Value::Double(9_223_372_036_854_775_807.0)));
        assert!(!eq(Value::Int(i64::MAX), Value::Uint(9_223_372_036_854_775_808)));
        assert!(!eq(Value::Double(f64::NAN), Value::Double(f64::NAN)));
        assert_eq!(compare(&Value::Int(-1), &Value::Uint(0)), Some(Ordering::Less));
        assert_eq!(compare(&Value::Double(1.5), &Value::Int(1)), Some(Ordering::Greater));
        assert_eq!(compare(&Value::Int(-2), &Value::Double(-1.5)), Some(Ordering::Less));
    }

    #[test]
    fn comparing_costs_what_it_looks_at() {
        let arena = Bump::new();
        let mut nested = Value::Int(1);
        for _ in 0..60 {
            nested = Value::List(List::Made(arena.alloc([nested, nested])));
        }
        assert_eq!(equal_within(&nested, &nested, &arena, &mut 1_000), None);
        let text = Value::text(arena.alloc_str(&"x".repeat(640)));
        assert_eq!(equal_within(&text, &text, &arena, &mut 10), Some(true));
        assert_eq!(equal_within(&text, &text, &arena, &mut 9), None);
    }

    #[test]
    fn symbols_and_bytes_agree() {
        let arena = Bump::new();
        let text = |text, symbol| Str { text, symbol };
        let same_text = |a: &Str<'static>, b: &Str<'static>| {
            let (a, b) = (Value::String(*a), Value::String(*b));
            equal_within(&a, &b, &arena, &mut 9) == Some(true)
        };
        assert!(same_text(&text("a", Symbol::Known(1)), &text("a", Symbol::Known(1))));
        assert!(!same_text(&text("a", Symbol::Known(1)), &text("b", Symbol::Foreign)));
        assert!(same_text(&text("a", Symbol::Known(1)), &text("a", Symbol::Unknown)));
        assert!(same_text(&text("a", Symbol::Foreign), &text("a", Symbol::Foreign)));
    }
}
