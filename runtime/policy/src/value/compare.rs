//! Equality and order (CEL specification, "Equality" and "Ordering"): values of different types
//! are not equal, except that numbers compare by their value.

use std::cmp::Ordering;

use bumpalo::Bump;

use super::{List, Map, Str, Value};
use crate::datum::Symbol;

/// How deep values are compared; deeper ones count as unequal.
const MAX_COMPARE_DEPTH: u32 = 128;

/// Whether two values are equal. Errors are equal to nothing.
pub fn equal<'a>(a: &Value<'a>, b: &Value<'a>, arena: &'a Bump) -> bool {
    equal_at(a, b, arena, 0)
}

fn equal_at<'a>(a: &Value<'a>, b: &Value<'a>, arena: &'a Bump, depth: u32) -> bool {
    if depth > MAX_COMPARE_DEPTH {
        return false;
    }
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(x), Value::Bool(y)) => x == y,
        (Value::String(x), Value::String(y)) => same_text(x, y),
        (Value::Bytes(x), Value::Bytes(y)) => x == y,
        (Value::Timestamp(x), Value::Timestamp(y)) => x == y,
        (Value::Duration(x), Value::Duration(y)) => x == y,
        (Value::Type(x), Value::Type(y)) => x == y,
        (Value::Optional(x), Value::Optional(y)) => match (x, y) {
            (None, None) => true,
            (Some(x), Some(y)) => equal_at(x, y, arena, depth + 1),
            _ => false,
        },
        (Value::List(x), Value::List(y)) => same_lists(*x, *y, arena, depth),
        (Value::Map(x), Value::Map(y)) => same_maps(*x, *y, arena, depth),
        _ => number_order(a, b) == Some(Ordering::Equal),
    }
}

/// Symbols settle most comparisons; what has none is compared by its bytes.
fn same_text(x: &Str<'_>, y: &Str<'_>) -> bool {
    match (x.symbol, y.symbol) {
        (Symbol::Known(x), Symbol::Known(y)) => x == y,
        (Symbol::Known(_), Symbol::Foreign) | (Symbol::Foreign, Symbol::Known(_)) => false,
        _ => x.text == y.text,
    }
}

fn same_lists<'a>(x: List<'a>, y: List<'a>, arena: &'a Bump, depth: u32) -> bool {
    x.len() == y.len()
        && x.iter(arena).zip(y.iter(arena)).all(|(a, b)| equal_at(&a, &b, arena, depth + 1))
}

fn same_maps<'a>(x: Map<'a>, y: Map<'a>, arena: &'a Bump, depth: u32) -> bool {
    x.len() == y.len()
        && x.iter(arena).all(|(key, value)| {
            y.get(&key, arena).is_some_and(|other| equal_at(&value, &other, arena, depth + 1))
        })
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

/// Exact: no number is rounded to compare it with one of another type.
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

fn whole_and_double(whole: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // 2^65 is beyond both integer types and exact in i128.
    if double.abs() >= 36_893_488_147_419_103_232.0 {
        return Some(if double > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let floor = double.floor();
    #[expect(clippy::cast_possible_truncation, reason = "the magnitude was checked above")]
    let below = floor as i128;
    Some(match whole.cmp(&below) {
        Ordering::Equal if floor < double => Ordering::Less,
        order => order,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_and_exactly() {
        let arena = Bump::new();
        let eq = |a, b| equal(&a, &b, &arena);
        assert!(eq(Value::Int(1), Value::Double(1.0)));
        assert!(eq(Value::Int(1), Value::Uint(1)));
        assert!(!eq(Value::Int(i64::MAX), Value::Double(9_223_372_036_854_775_807.0)));
        assert!(!eq(Value::Double(f64::NAN), Value::Double(f64::NAN)));
        assert_eq!(compare(&Value::Int(-1), &Value::Uint(0)), Some(Ordering::Less));
        assert_eq!(compare(&Value::Double(1.5), &Value::Int(1)), Some(Ordering::Greater));
        assert_eq!(compare(&Value::Int(-2), &Value::Double(-1.5)), Some(Ordering::Less));
    }

    #[test]
    fn symbols_and_bytes_agree() {
        let text = |text, symbol| Str { text, symbol };
        assert!(same_text(&text("a", Symbol::Known(1)), &text("a", Symbol::Known(1))));
        assert!(!same_text(&text("a", Symbol::Known(1)), &text("b", Symbol::Foreign)));
        assert!(same_text(&text("a", Symbol::Known(1)), &text("a", Symbol::Unknown)));
        assert!(same_text(&text("a", Symbol::Foreign), &text("a", Symbol::Foreign)));
    }
}
