//! Bits of whole numbers, of the `math` extension.

use super::{Call, Function, cost, overloads};
use crate::ty::Sig::{Int, Uint};
use crate::value::{FailureKind, Value};

macro_rules! bits {
    ($name:literal, $word:literal, $doc:literal, $examples:expr, $apply:tt) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! {
                global (concat!("math_", $word, "_int_int")) [Int, Int] Int;
                global (concat!("math_", $word, "_uint_uint")) [Uint, Uint] Uint;
            },
            cost: cost::constant,
            lowering: None,
            eval: |call, args| match *args {
                [Value::Int(a), Value::Int(b)] => Value::Int(a $apply b),
                [Value::Uint(a), Value::Uint(b)] => Value::Uint(a $apply b),
                _ => call.no_overload($name, args),
            },
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    bits!("math.bitAnd", "bitAnd", "The bits that both have.", &[("math.bitAnd(6, 3)", "2")], &),
    bits!("math.bitOr", "bitOr", "The bits that either has.", &[("math.bitOr(1, 4)", "5")], |),
    bits!("math.bitXor", "bitXor", "The bits that one of them has.", &[("math.bitXor(1, 3)", "2")], ^),
    Function {
        name: "math.bitNot",
        doc: "All bits turned over.",
        examples: &[("math.bitNot(1)", "-2")],
        overloads: overloads! {
            global "math_bitNot_int_int" [Int] Int;
            global "math_bitNot_uint_uint" [Uint] Uint;
        },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Int(value)] => Value::Int(!value),
            [Value::Uint(value)] => Value::Uint(!value),
            _ => call.no_overload("math.bitNot", args),
        },
    },
    Function {
        name: "math.bitShiftLeft",
        doc: "The bits moved up; 64 places or more leave 0.",
        examples: &[("math.bitShiftLeft(1, 2)", "4")],
        overloads: overloads! {
            global "math_bitShiftLeft_int_int" [Int, Int] Int;
            global "math_bitShiftLeft_uint_int" [Uint, Int] Uint;
        },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| shift(call, "math.bitShiftLeft", args, u64::checked_shl),
    },
    Function {
        name: "math.bitShiftRight",
        doc: "The bits moved down, zeros moving in; 64 places or more leave 0.",
        examples: &[("math.bitShiftRight(1024, 2)", "256")],
        overloads: overloads! {
            global "math_bitShiftRight_int_int" [Int, Int] Int;
            global "math_bitShiftRight_uint_int" [Uint, Int] Uint;
        },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| shift(call, "math.bitShiftRight", args, u64::checked_shr),
    },
];

/// Moves bits; the sign bit of an `int` moves like any other.
fn shift<'a>(
    call: &mut Call<'a>,
    name: &str,
    args: &[Value<'a>],
    apply: fn(u64, u32) -> Option<u64>,
) -> Value<'a> {
    let (bits, by) = match *args {
        [Value::Int(value), Value::Int(by)] => (value.cast_unsigned(), by),
        [Value::Uint(value), Value::Int(by)] => (value, by),
        _ => return call.no_overload(name, args),
    };
    if by < 0 {
        let message = format!("`{name}`: the number of places is negative");
        return call.fail(FailureKind::InvalidArgument, message);
    }
    let moved = u32::try_from(by).ok().and_then(|by| apply(bits, by)).unwrap_or(0);
    match args {
        [Value::Uint(_), ..] => Value::Uint(moved),
        _ => Value::Int(moved.cast_signed()),
    }
}
