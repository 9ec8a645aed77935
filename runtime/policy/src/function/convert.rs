//! Conversions between types (CEL specification, "Type Conversions").

use super::{Call, Function, cost, overloads, time};
use crate::ty::Sig::{self, Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint, Var};
use crate::value::{FailureKind, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "@undeclared",
        doc: "The error of a name that stands for nothing, in expressions that were not checked.",
        examples: &[],
        overloads: overloads! { global "undeclared_reference" [String] Dyn; },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match *args {
            [Value::String(name)] => call.fail(
                FailureKind::NoOverload,
                format!("there is nothing of the name `{}`", name.text),
            ),
            _ => call.no_overload("@undeclared", args),
        },
    },
    Function {
        name: "int",
        doc: "A whole number: of a number cut towards zero, of a text, of a time in seconds.",
        examples: &[("int('12')", "12"), ("int(-1.9)", "-1")],
        overloads: overloads! {
            global "int64_to_int64" [Int] Int;
            global "uint64_to_int64" [Uint] Int;
            global "double_to_int64" [Double] Int;
            global "string_to_int64" [String] Int;
            global "timestamp_to_int64" [Timestamp] Int;
        },
        cost: cost::constant,
        lowering: None,
        eval: int,
    },
    Function {
        name: "uint",
        doc: "A whole number that is not negative.",
        examples: &[("uint(12)", "12u")],
        overloads: overloads! {
            global "uint64_to_uint64" [Uint] Uint;
            global "int64_to_uint64" [Int] Uint;
            global "double_to_uint64" [Double] Uint;
            global "string_to_uint64" [String] Uint;
        },
        cost: cost::constant,
        lowering: None,
        eval: uint,
    },
    Function {
        name: "double",
        doc: "A number with decimals.",
        examples: &[("double('1.5')", "1.5")],
        overloads: overloads! {
            global "double_to_double" [Double] Double;
            global "int64_to_double" [Int] Double;
            global "uint64_to_double" [Uint] Double;
            global "string_to_double" [String] Double;
        },
        cost: cost::constant,
        lowering: None,
        eval: double,
    },
    Function {
        name: "string",
        doc: "The value as text.",
        examples: &[
            ("string(12)", "\"12\""),
            ("string(true)", "\"true\""),
            ("string(1500.5)", "\"1500.5\""),
            ("string(1500000.5)", "\"1.5000005e+06\""),
        ],
        overloads: overloads! {
            global "string_to_string" [String] String;
            global "bool_to_string" [Bool] String;
            global "int64_to_string" [Int] String;
            global "uint64_to_string" [Uint] String;
            global "double_to_string" [Double] String;
            global "bytes_to_string" [Bytes] String;
            global "timestamp_to_string" [Timestamp] String;
            global "duration_to_string" [Duration] String;
        },
        cost: cost::scalar_text,
        lowering: None,
        eval: string,
    },
    Function {
        name: "bytes",
        doc: "The UTF-8 bytes of a text.",
        examples: &[("bytes('a')", "b\"a\"")],
        overloads: overloads! {
            global "bytes_to_bytes" [Bytes] Bytes;
            global "string_to_bytes" [String] Bytes;
        },
        cost: cost::same,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Bytes(bytes)] => Value::Bytes(bytes),
            [Value::String(text)] => Value::Bytes(text.text.as_bytes()),
            _ => call.no_overload("bytes", args),
        },
    },
    Function {
        name: "bool",
        doc: "A truth value, of the texts `true`, `false`, `t`, `f`, `1`, `0` in the usual cases.",
        examples: &[("bool('true')", "true")],
        overloads: overloads! {
            global "bool_to_bool" [Bool] Bool;
            global "string_to_bool" [String] Bool;
        },
        cost: cost::constant,
        lowering: None,
        eval: boolean,
    },
    Function {
        name: "timestamp",
        doc: "A point in time: of an RFC 3339 text with an offset, of seconds since the epoch.",
        examples: &[(
            "timestamp('2024-01-01T00:00:00Z') < timestamp('2024-01-02T00:00:00Z')",
            "true",
        )],
        overloads: overloads! {
            global "timestamp_to_timestamp" [Timestamp] Timestamp;
            global "string_to_timestamp" [String] Timestamp;
            global "int64_to_timestamp" [Int] Timestamp;
        },
        cost: cost::constant,
        lowering: None,
        eval: timestamp,
    },
    Function {
        name: "duration",
        doc: "A length of time: `720h`, `1h30m`, `1.5s`.",
        examples: &[("duration('90m') == duration('1h30m')", "true")],
        overloads: overloads! {
            global "duration_to_duration" [Duration] Duration;
            global "string_to_duration" [String] Duration;
        },
        cost: cost::constant,
        lowering: None,
        eval: duration,
    },
    Function {
        name: "dyn",
        doc: "The value itself, whose type the checker then forgets.",
        examples: &[("dyn(1) == 1.0", "true")],
        overloads: overloads! { global "to_dyn" [Var(0)] Dyn; },
        cost: cost::same,
        lowering: None,
        eval: |call, args| match *args {
            [value] => value,
            _ => call.no_overload("dyn", args),
        },
    },
    Function {
        name: "type",
        doc: "The type of a value.",
        examples: &[("type(1) == int", "true")],
        overloads: overloads! { global "type" [Var(0)] Sig::Type(&Var(0)); },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match args {
            [value] => Value::Type(value.type_name()),
            _ => call.no_overload("type", args),
        },
    },
];

fn range<'a>(call: &Call<'a>, name: &str) -> Value<'a> {
    call.fail(FailureKind::Overflow, format!("`{name}`: the number is out of range"))
}

fn malformed<'a>(call: &Call<'a>, name: &str) -> Value<'a> {
    call.fail(FailureKind::InvalidArgument, format!("`{name}`: the text cannot be read as one"))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn int<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Int(value)] => Value::Int(value),
        [Value::Uint(value)] => {
            i64::try_from(value).map_or_else(|_| range(call, "int"), Value::Int)
        }
        // The bounds themselves are refused, as no double next to them is exact.
        [Value::Double(value)]
            if value > -9_223_372_036_854_775_808.0 && value < 9_223_372_036_854_775_808.0 =>
        {
            Value::Int(value as i64)
        }
        [Value::Double(_)] => range(call, "int"),
        [Value::String(text)] => {
            text.text.parse().map_or_else(|_| malformed(call, "int"), Value::Int)
        }
        [Value::Timestamp(instant)] => Value::Int(instant.seconds),
        _ => call.no_overload("int", args),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked before"
)]
fn uint<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Uint(value)] => Value::Uint(value),
        [Value::Int(value)] => {
            u64::try_from(value).map_or_else(|_| range(call, "uint"), Value::Uint)
        }
        // What is less than 0 is out of range, also where it would be rounded to 0.
        [Value::Double(value)] if (0.0..18_446_744_073_709_551_616.0).contains(&value) => {
            Value::Uint(value as u64)
        }
        [Value::Double(_)] => range(call, "uint"),
        [Value::String(text)] => {
            text.text.parse().map_or_else(|_| malformed(call, "uint"), Value::Uint)
        }
        _ => call.no_overload("uint", args),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the conversion rounds, as the specification says")]
fn double<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Double(value)] => Value::Double(value),
        [Value::Int(value)] => Value::Double(value as f64),
        [Value::Uint(value)] => Value::Double(value as f64),
        [Value::String(text)] => {
            text.text.parse().map_or_else(|_| malformed(call, "double"), Value::Double)
        }
        _ => call.no_overload("double", args),
    }
}

fn string<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let made = match *args {
        [text @ Value::String(_)] => return text,
        [Value::Bool(value)] => return Value::text(if value { "true" } else { "false" }),
        [Value::Int(value)] => {
            return Value::text(bumpalo::format!(in call.arena, "{value}",).into_bump_str());
        }
        [Value::Uint(value)] => {
            return Value::text(bumpalo::format!(in call.arena, "{value}",).into_bump_str());
        }
        [Value::Double(value)] => short_double_text(value),
        [Value::Bytes(bytes)] => match std::str::from_utf8(bytes) {
            Ok(text) => return Value::text(text),
            Err(_) => {
                return call
                    .fail(FailureKind::InvalidArgument, "`string`: the bytes are not UTF-8");
            }
        },
        [Value::Timestamp(instant)] => time::format_instant(instant),
        [Value::Duration(span)] => time::format_span(span),
        _ => return call.no_overload("string", args),
    };
    Value::text(call.arena.alloc_str(&made))
}

/// A double as text: as many digits as tell it apart.
pub(super) fn double_text(value: f64) -> std::string::String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    value.to_string()
}

/// A double as short text: with an exponent where it has more than six digits before the point or more
/// than three zeros behind it, as other implementations of CEL write it.
fn short_double_text(value: f64) -> std::string::String {
    let scientific = format!("{value:e}");
    match scientific.split_once('e').map(|(digits, power)| (digits, power.parse::<i32>())) {
        Some((digits, Ok(power))) if value.is_finite() && !(-4..6).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.abs())
        }
        _ => double_text(value),
    }
}

fn boolean<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Bool(value)] => Value::Bool(value),
        [Value::String(text)] => match text.text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Value::Bool(false),
            _ => malformed(call, "bool"),
        },
        _ => call.no_overload("bool", args),
    }
}

fn timestamp<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Timestamp(instant)] => Value::Timestamp(instant),
        [Value::String(text)] => time::parse_instant(text.text)
            .map_or_else(|| malformed(call, "timestamp"), Value::Timestamp),
        [Value::Int(seconds)] => time::instant_at(i128::from(seconds) * 1_000_000_000)
            .map_or_else(|| range(call, "timestamp"), Value::Timestamp),
        _ => call.no_overload("timestamp", args),
    }
}

fn duration<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match *args {
        [Value::Duration(span)] => Value::Duration(span),
        [Value::String(text)] => {
            time::parse_span(text.text).map_or_else(|| malformed(call, "duration"), Value::Duration)
        }
        _ => call.no_overload("duration", args),
    }
}
