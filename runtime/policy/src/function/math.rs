//! The `math` extension.

use std::cmp::Ordering;

use super::{Call, Function, cost, overloads};
use crate::ty::Sig::{Bool, Double, Dyn, Int, List, Uint};
use crate::value::{self, FailureKind, Value};

macro_rules! rounding {
    ($name:literal, $id:literal, $doc:literal, $examples:expr, $apply:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! { global $id [Double] Double; },
            cost: cost::constant,
            lowering: None,
            eval: |call, args| match *args {
                [Value::Double(value)] => Value::Double(($apply as fn(f64) -> f64)(value)),
                _ => call.no_overload($name, args),
            },
        }
    };
}

macro_rules! question {
    ($name:literal, $id:literal, $doc:literal, $examples:expr, $apply:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! { global $id [Double] Bool; },
            cost: cost::constant,
            lowering: None,
            eval: |call, args| match *args {
                [Value::Double(value)] => Value::Bool(($apply as fn(f64) -> bool)(value)),
                _ => call.no_overload($name, args),
            },
        }
    };
}

/// The signatures of `greatest` and `least`. The parser makes a list of more than two arguments.
macro_rules! extremes {
    ($word:literal) => {
        overloads! {
            global (concat!($word, "_int")) [Int] Int;
            global (concat!($word, "_uint")) [Uint] Uint;
            global (concat!($word, "_double")) [Double] Double;
            global (concat!($word, "_int_int")) [Int, Int] Int;
            global (concat!($word, "_int_uint")) [Int, Uint] Dyn;
            global (concat!($word, "_int_double")) [Int, Double] Dyn;
            global (concat!($word, "_uint_int")) [Uint, Int] Dyn;
            global (concat!($word, "_uint_uint")) [Uint, Uint] Uint;
            global (concat!($word, "_uint_double")) [Uint, Double] Dyn;
            global (concat!($word, "_double_int")) [Double, Int] Dyn;
            global (concat!($word, "_double_uint")) [Double, Uint] Dyn;
            global (concat!($word, "_double_double")) [Double, Double] Double;
            global (concat!($word, "_list_int")) [List(&Int)] Int;
            global (concat!($word, "_list_uint")) [List(&Uint)] Uint;
            global (concat!($word, "_list_double")) [List(&Double)] Double;
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "math.greatest",
        doc: "The greatest of several numbers or of a list of them.",
        examples: &[("math.greatest(1, 2.5)", "2.5"), ("math.greatest([3, 1])", "3")],
        overloads: extremes!("math_greatest"),
        cost: cost::numbers,
        lowering: None,
        eval: |call, args| extreme(call, "math.greatest", args, Ordering::Greater),
    },
    Function {
        name: "math.least",
        doc: "The least of several numbers or of a list of them.",
        examples: &[("math.least(1, 2.5)", "1")],
        overloads: extremes!("math_least"),
        cost: cost::numbers,
        lowering: None,
        eval: |call, args| extreme(call, "math.least", args, Ordering::Less),
    },
    rounding!(
        "math.ceil",
        "math_ceil_double",
        "Rounds up.",
        &[("math.ceil(1.2)", "2.0")],
        f64::ceil
    ),
    rounding!(
        "math.floor",
        "math_floor_double",
        "Rounds down.",
        &[("math.floor(1.8)", "1.0")],
        f64::floor
    ),
    rounding!(
        "math.round",
        "math_round_double",
        "Rounds to the nearest, halves away from zero.",
        &[("math.round(1.5)", "2.0")],
        f64::round
    ),
    rounding!(
        "math.trunc",
        "math_trunc_double",
        "Cuts towards zero.",
        &[("math.trunc(-1.8)", "-1.0")],
        f64::trunc
    ),
    question!(
        "math.isNaN",
        "math_is_nan_double",
        "Whether it is not a number.",
        &[("math.isNaN(0.0 / 0.0)", "true")],
        f64::is_nan
    ),
    question!(
        "math.isInf",
        "math_is_inf_double",
        "Whether it is infinite.",
        &[("math.isInf(1.0 / 0.0)", "true")],
        f64::is_infinite
    ),
    question!(
        "math.isFinite",
        "math_is_finite_double",
        "Whether it is finite.",
        &[("math.isFinite(1.0)", "true")],
        f64::is_finite
    ),
    Function {
        name: "math.sqrt",
        doc: "The square root; of a negative number not a number.",
        examples: &[("math.sqrt(81)", "9.0")],
        overloads: overloads! {
            global "math_sqrt_int" [Int] Double;
            global "math_sqrt_uint" [Uint] Double;
            global "math_sqrt_double" [Double] Double;
        },
        cost: cost::constant,
        lowering: None,
        eval: square_root,
    },
    Function {
        name: "math.abs",
        doc: "The magnitude.",
        examples: &[("math.abs(-2)", "2")],
        overloads: overloads! {
            global "math_abs_int" [Int] Int;
            global "math_abs_uint" [Uint] Uint;
            global "math_abs_double" [Double] Double;
        },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Int(value)] => value.checked_abs().map_or_else(
                || call.fail(FailureKind::Overflow, "the result does not fit in 64 bits"),
                Value::Int,
            ),
            [Value::Uint(value)] => Value::Uint(value),
            [Value::Double(value)] => Value::Double(value.abs()),
            _ => call.no_overload("math.abs", args),
        },
    },
    Function {
        name: "math.sign",
        doc: "-1, 0 or 1 in the type of the number.",
        examples: &[("math.sign(-2)", "-1")],
        overloads: overloads! {
            global "math_sign_int" [Int] Int;
            global "math_sign_uint" [Uint] Uint;
            global "math_sign_double" [Double] Double;
        },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Int(value)] => Value::Int(value.signum()),
            [Value::Uint(value)] => Value::Uint(value.min(1)),
            [Value::Double(value)] if value.is_nan() => Value::Double(value),
            // Zero has no sign here, not even the negative one.
            [Value::Double(0.0)] => Value::Double(0.0),
            [Value::Double(value)] => Value::Double(value.signum()),
            _ => call.no_overload("math.sign", args),
        },
    },
];

#[expect(clippy::cast_precision_loss, reason = "the root of a whole number is rounded anyway")]
fn square_root<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(value)] => Value::Double((value as f64).sqrt()),
        [Value::Uint(value)] => Value::Double((value as f64).sqrt()),
        [Value::Double(value)] => Value::Double(value.sqrt()),
        _ => call.no_overload("math.sqrt", args),
    }
}

fn extreme<'a>(call: &mut Call<'a>, name: &str, args: &[Value<'a>], wanted: Ordering) -> Value<'a> {
    let candidates: Vec<Value<'a>> = match args {
        [Value::List(list)] => list.iter(call.arena).collect(),
        _ => args.to_vec(),
    };
    if let Err(error) = call.spend(candidates.len() as u64) {
        return error;
    }
    let mut best: Option<Value<'a>> = None;
    for value in candidates {
        if !value::are_numbers(&value, &value) {
            return call.no_overload(name, &[value]);
        }
        let better = best.is_none_or(|best| value::compare(&value, &best) == Some(wanted));
        if better {
            best = Some(value);
        }
    }
    best.unwrap_or_else(|| {
        call.fail(FailureKind::InvalidArgument, format!("`{name}`: the list is empty"))
    })
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::super::find;
    use super::*;

    #[test]
    fn zero_has_no_sign() {
        let arena = Bump::new();
        let function = find("math.sign").unwrap();
        for zero in [0.0, -0.0] {
            let mut call = Call { arena: &arena, budget: 1_000, patterns: &[] };
            let sign = (function.eval)(&mut call, &[Value::Double(zero)]);
            assert!(matches!(sign, Value::Double(0.0)), "{sign}");
            assert!(matches!(sign, Value::Double(sign) if sign.is_sign_positive()), "of {zero}");
        }
    }
}
