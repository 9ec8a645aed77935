//! Arithmetic (CEL specification, "Arithmetic operators"). Integers that overflow are errors.
//! `+` also joins strings, bytes and lists, and both signs work on times.

use super::{Arithmetic, Call, Function, Lowering, cost, overloads, time};
use crate::ty::Sig::{Bytes, Double, Duration, Int, List, String, Timestamp, Uint, Var};
use crate::value::{self, FailureKind, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "_+_",
        doc: "Adds numbers and times; joins strings, bytes and lists.",
        examples: &[("1 + 2", "3"), ("'a' + 'b'", "\"ab\""), ("[1] + [2]", "[1, 2]")],
        overloads: overloads! {
            global "add_int64" [Int, Int] Int;
            global "add_uint64" [Uint, Uint] Uint;
            global "add_double" [Double, Double] Double;
            global "add_string" [String, String] String;
            global "add_bytes" [Bytes, Bytes] Bytes;
            global "add_list" [List(&Var(0)), List(&Var(0))] List(&Var(0));
            global "add_timestamp_duration" [Timestamp, Duration] Timestamp;
            global "add_duration_timestamp" [Duration, Timestamp] Timestamp;
            global "add_duration_duration" [Duration, Duration] Duration;
        },
        cost: cost::joined,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Add)),
        eval: add,
    },
    Function {
        name: "_-_",
        doc: "Subtracts numbers and times.",
        examples: &[("3 - 5", "-2"), ("duration('2h') - duration('30m')", "duration(\"5400s\")")],
        overloads: overloads! {
            global "subtract_int64" [Int, Int] Int;
            global "subtract_uint64" [Uint, Uint] Uint;
            global "subtract_double" [Double, Double] Double;
            global "subtract_timestamp_timestamp" [Timestamp, Timestamp] Duration;
            global "subtract_timestamp_duration" [Timestamp, Duration] Timestamp;
            global "subtract_duration_duration" [Duration, Duration] Duration;
        },
        cost: cost::constant,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Subtract)),
        eval: subtract,
    },
    Function {
        name: "_*_",
        doc: "Multiplies numbers.",
        examples: &[("6 * 7", "42")],
        overloads: overloads! {
            global "multiply_int64" [Int, Int] Int;
            global "multiply_uint64" [Uint, Uint] Uint;
            global "multiply_double" [Double, Double] Double;
        },
        cost: cost::constant,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Multiply)),
        eval: multiply,
    },
    Function {
        name: "_/_",
        doc: "Divides numbers; whole numbers are cut towards zero.",
        examples: &[("7 / 2", "3"), ("7.0 / 2.0", "3.5")],
        overloads: overloads! {
            global "divide_int64" [Int, Int] Int;
            global "divide_uint64" [Uint, Uint] Uint;
            global "divide_double" [Double, Double] Double;
        },
        cost: cost::constant,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Divide)),
        eval: divide,
    },
    Function {
        name: "_%_",
        doc: "The remainder of dividing whole numbers; it has the sign of the first.",
        examples: &[("-7 % 3", "-1")],
        overloads: overloads! {
            global "modulo_int64" [Int, Int] Int;
            global "modulo_uint64" [Uint, Uint] Uint;
        },
        cost: cost::constant,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Remainder)),
        eval: modulo,
    },
    Function {
        name: "-_",
        doc: "Negates a number.",
        examples: &[("-(1 + 1)", "-2")],
        overloads: overloads! {
            global "negate_int64" [Int] Int;
            global "negate_double" [Double] Double;
        },
        cost: cost::constant,
        lowering: Some(Lowering::Arithmetic(Arithmetic::Negate)),
        eval: negate,
    },
];

fn add<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(a), Value::Int(b)] => whole(call, a.checked_add(b)),
        [Value::Uint(a), Value::Uint(b)] => natural(call, a.checked_add(b)),
        [Value::Double(a), Value::Double(b)] => Value::Double(a + b),
        [Value::String(a), Value::String(b)] => {
            let steps = (a.text.len() + b.text.len()) as u64;
            if let Err(error) = call.spend(steps) {
                return error;
            }
            let mut text = bumpalo::collections::String::with_capacity_in(
                a.text.len() + b.text.len(),
                call.arena,
            );
            text.push_str(a.text);
            text.push_str(b.text);
            Value::text(text.into_bump_str())
        }
        [Value::Bytes(a), Value::Bytes(b)] => {
            if let Err(error) = call.spend((a.len() + b.len()) as u64) {
                return error;
            }
            let mut bytes =
                bumpalo::collections::Vec::with_capacity_in(a.len() + b.len(), call.arena);
            bytes.extend_from_slice(a);
            bytes.extend_from_slice(b);
            Value::Bytes(bytes.into_bump_slice())
        }
        [Value::List(a), Value::List(b)] => {
            if let Err(error) = call.spend((a.len() + b.len()) as u64) {
                return error;
            }
            let mut items =
                bumpalo::collections::Vec::with_capacity_in(a.len() + b.len(), call.arena);
            items.extend(a.iter(call.arena).chain(b.iter(call.arena)));
            Value::List(value::List::Made(items.into_bump_slice()))
        }
        [Value::Timestamp(a), Value::Duration(b)] | [Value::Duration(b), Value::Timestamp(a)] => {
            time::shift(call, a, time::nanos_of(b))
        }
        [Value::Duration(a), Value::Duration(b)] => {
            time::span(call, time::nanos_of(a) + time::nanos_of(b))
        }
        _ => call.no_overload("_+_", args),
    }
}

fn subtract<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(a), Value::Int(b)] => whole(call, a.checked_sub(b)),
        [Value::Uint(a), Value::Uint(b)] => natural(call, a.checked_sub(b)),
        [Value::Double(a), Value::Double(b)] => Value::Double(a - b),
        [Value::Timestamp(a), Value::Timestamp(b)] => time::between(call, a, b),
        [Value::Timestamp(a), Value::Duration(b)] => time::shift(call, a, -time::nanos_of(b)),
        [Value::Duration(a), Value::Duration(b)] => {
            time::span(call, time::nanos_of(a) - time::nanos_of(b))
        }
        _ => call.no_overload("_-_", args),
    }
}

fn multiply<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(a), Value::Int(b)] => whole(call, a.checked_mul(b)),
        [Value::Uint(a), Value::Uint(b)] => natural(call, a.checked_mul(b)),
        [Value::Double(a), Value::Double(b)] => Value::Double(a * b),
        _ => call.no_overload("_*_", args),
    }
}

fn divide<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => by_zero(call),
        [Value::Int(a), Value::Int(b)] => whole(call, a.checked_div(b)),
        [Value::Uint(a), Value::Uint(b)] => natural(call, a.checked_div(b)),
        [Value::Double(a), Value::Double(b)] => Value::Double(a / b),
        _ => call.no_overload("_/_", args),
    }
}

fn modulo<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => by_zero(call),
        [Value::Int(a), Value::Int(b)] => whole(call, a.checked_rem(b)),
        [Value::Uint(a), Value::Uint(b)] => natural(call, a.checked_rem(b)),
        _ => call.no_overload("_%_", args),
    }
}

fn negate<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(a)] => whole(call, a.checked_neg()),
        [Value::Double(a)] => Value::Double(-a),
        _ => call.no_overload("-_", args),
    }
}

fn whole<'a>(call: &Call<'a>, result: Option<i64>) -> Value<'a> {
    result.map_or_else(|| overflow(call), Value::Int)
}

fn natural<'a>(call: &Call<'a>, result: Option<u64>) -> Value<'a> {
    result.map_or_else(|| overflow(call), Value::Uint)
}

fn overflow<'a>(call: &Call<'a>) -> Value<'a> {
    call.fail(FailureKind::Overflow, "the result does not fit in 64 bits")
}

fn by_zero<'a>(call: &Call<'a>) -> Value<'a> {
    call.fail(FailureKind::DivideByZero, "division by zero")
}
