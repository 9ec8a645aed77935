//! The `math` extension.

use std::cmp::Ordering;

use super::{Call, Cost, Function, overloads};
use crate::ty::Sig::{Bool, Double, Dyn, Int, List, Uint};
use crate::value::{self, FailureKind, Value};

macro_rules! rounding {
    ($name:literal, $id:literal, $doc:literal, $examples:expr, $apply:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! { global $id [Double] Double; },
            cost: Cost::Constant,
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
            cost: Cost::Constant,
            eval: |call, args| match *args {
                [Value::Double(value)] => Value::Bool(($apply as fn(f64) -> bool)(value)),
                _ => call.no_overload($name, args),
            },
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "math.greatest",
        doc: "The greatest of several numbers or of a list of them.",
        examples: &[("math.greatest(1, 2.5)", "2.5"), ("math.greatest([3, 1])", "3")],
        overloads: overloads! {
            global "math_greatest_one" [Dyn] Dyn;
            global "math_greatest_two" [Dyn, Dyn] Dyn;
            global "math_greatest_three" [Dyn, Dyn, Dyn] Dyn;
            global "math_greatest_four" [Dyn, Dyn, Dyn, Dyn] Dyn;
            global "math_greatest_list" [List(&Dyn)] Dyn;
        },
        cost: Cost::Linear,
        eval: |call, args| extreme(call, "math.greatest", args, Ordering::Greater),
    },
    Function {
        name: "math.least",
        doc: "The least of several numbers or of a list of them.",
        examples: &[("math.least(1, 2.5)", "1")],
        overloads: overloads! {
            global "math_least_one" [Dyn] Dyn;
            global "math_least_two" [Dyn, Dyn] Dyn;
            global "math_least_three" [Dyn, Dyn, Dyn] Dyn;
            global "math_least_four" [Dyn, Dyn, Dyn, Dyn] Dyn;
            global "math_least_list" [List(&Dyn)] Dyn;
        },
        cost: Cost::Linear,
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
        name: "math.abs",
        doc: "The magnitude.",
        examples: &[("math.abs(-2)", "2")],
        overloads: overloads! {
            global "math_abs_int" [Int] Int;
            global "math_abs_uint" [Uint] Uint;
            global "math_abs_double" [Double] Double;
        },
        cost: Cost::Constant,
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
        cost: Cost::Constant,
        eval: |call, args| match *args {
            [Value::Int(value)] => Value::Int(value.signum()),
            [Value::Uint(value)] => Value::Uint(value.min(1)),
            [Value::Double(value)] if value == 0.0 || value.is_nan() => Value::Double(value),
            [Value::Double(value)] => Value::Double(value.signum()),
            _ => call.no_overload("math.sign", args),
        },
    },
];

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
