//! `format` of the `strings` extension.

use std::fmt::Write as _;

use super::{Call, Function, convert, cost, overloads, time};
use crate::ty::Sig::{Dyn, List, String};
use crate::value::{FailureKind, Value};

/// Most decimals that a clause may ask for.
const MAX_PRECISION: usize = 100;
/// Bytes of a number with as many decimals, the largest exponent before them.
const MAX_NUMBER_BYTES: u64 = MAX_PRECISION as u64 + 320;
/// Decimals where a clause asks for none.
const DEFAULT_PRECISION: usize = 6;
/// How deep lists and maps are written.
const MAX_FORMAT_DEPTH: u32 = 64;

pub(super) static FUNCTIONS: &[Function] = &[Function {
    name: "format",
    doc: "Puts the items of a list where `%` stands: `%s` any value, `%d` whole numbers, `%f` and \
          `%e` numbers with decimals (`%.2f`), `%b`, `%o`, `%x`, `%X` other bases, `%%` a percent sign.",
    examples: &[
        ("'%s has %d rows'.format(['list', 3])", "\"list has 3 rows\""),
        ("'%.2f %x'.format([1.005, 255])", "\"1.00 ff\""),
    ],
    overloads: overloads! { member "string_format" [String, List(&Dyn)] String; },
    cost: |args| cost::formatted(args, MAX_NUMBER_BYTES),
    lowering: None,
    eval: format,
}];

/// One thing to write, and how.
enum Clause {
    Text,
    Decimal,
    Fixed(usize),
    Scientific(usize),
    Base(u32, bool),
}

fn format<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::String(pattern), Value::List(items)] = *args else {
        return call.no_overload("format", args);
    };
    let mut out = std::string::String::new();
    let mut rest = pattern.text;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let tail = tail.get(1..).unwrap_or("");
        if let Some(behind) = tail.strip_prefix('%') {
            out.push('%');
            rest = behind;
            continue;
        }
        let Some((clause, behind)) = clause(tail) else {
            return call.fail(FailureKind::InvalidArgument, "`format`: there is no such clause");
        };
        let Some(item) = items.get(next, call.arena) else {
            return call.fail(FailureKind::OutOfRange, "`format`: there are too few values");
        };
        next += 1;
        let before = out.len();
        if let Err(error) = write(call, &clause, &item, &mut out) {
            return error;
        }
        if let Err(error) = call.spend((out.len() - before) as u64 + 1) {
            return error;
        }
        rest = behind;
    }
    out.push_str(rest);
    match call.spend(pattern.text.len() as u64) {
        Ok(()) => Value::text(call.arena.alloc_str(&out)),
        Err(error) => error,
    }
}

/// Reads what stands behind a `%`.
fn clause(text: &str) -> Option<(Clause, &str)> {
    let (precision, rest) = match text.strip_prefix('.') {
        Some(digits) => {
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let (number, rest) = digits.split_at(end);
            (Some(number.parse().ok().filter(|n| *n <= MAX_PRECISION)?), rest)
        }
        None => (None, text),
    };
    let mut characters = rest.chars();
    let clause = match (characters.next()?, precision) {
        ('f', precision) => Clause::Fixed(precision.unwrap_or(DEFAULT_PRECISION)),
        ('e', precision) => Clause::Scientific(precision.unwrap_or(DEFAULT_PRECISION)),
        ('s', None) => Clause::Text,
        ('d', None) => Clause::Decimal,
        ('b', None) => Clause::Base(2, false),
        ('o', None) => Clause::Base(8, false),
        ('x', None) => Clause::Base(16, false),
        ('X', None) => Clause::Base(16, true),
        _ => return None,
    };
    Some((clause, characters.as_str()))
}

fn write<'a>(
    call: &mut Call<'a>,
    clause: &Clause,
    value: &Value<'a>,
    out: &mut std::string::String,
) -> Result<(), Value<'a>> {
    let done = match (clause, value) {
        (Clause::Text, value) => return plain(call, value, out, 0),
        (Clause::Decimal, Value::Int(number)) => write!(out, "{number}"),
        (Clause::Decimal, Value::Uint(number)) => write!(out, "{number}"),
        (Clause::Decimal, Value::Double(number)) => {
            write!(out, "{}", convert::double_text(*number))
        }
        (Clause::Fixed(_) | Clause::Scientific(_), Value::Double(number))
            if !number.is_finite() =>
        {
            write!(out, "{}", convert::double_text(*number))
        }
        (Clause::Fixed(decimals), value) => match number(value) {
            Some(number) => write!(out, "{number:.decimals$}"),
            None => return Err(wrong(call, "%f", value)),
        },
        (Clause::Scientific(decimals), value) => match number(value) {
            Some(number) => write!(out, "{}", scientific(number, *decimals)),
            None => return Err(wrong(call, "%e", value)),
        },
        (Clause::Base(base, upper), value) => return based(call, *base, *upper, value, out),
        (Clause::Decimal, value) => return Err(wrong(call, "%d", value)),
    };
    done.map_err(|_| call.fail(FailureKind::InvalidArgument, "`format`: it cannot be written"))
}

#[expect(clippy::cast_precision_loss, reason = "it is written with few decimals")]
const fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        _ => None,
    }
}

/// With an exponent of two digits at least: `1.052033e+03`.
fn scientific(number: f64, decimals: usize) -> std::string::String {
    let written = format!("{number:.decimals$e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(magnitude) => ('-', magnitude),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Whole numbers in base 2, 8 or 16; strings and bytes as hexadecimal digits.
fn based<'a>(
    call: &Call<'a>,
    base: u32,
    upper: bool,
    value: &Value<'a>,
    out: &mut std::string::String,
) -> Result<(), Value<'a>> {
    let start = out.len();
    let done = match (value, base) {
        (Value::Bool(bit), 2) => write!(out, "{}", u8::from(*bit)),
        (Value::Int(number), base) => {
            let sign = if *number < 0 { "-" } else { "" };
            write!(out, "{sign}{}", digits(number.unsigned_abs(), base))
        }
        (Value::Uint(number), base) => write!(out, "{}", digits(*number, base)),
        (Value::String(text), 16) => hex(text.text.as_bytes(), out),
        (Value::Bytes(bytes), 16) => hex(bytes, out),
        (value, 2) => return Err(wrong(call, "%b", value)),
        (value, 8) => return Err(wrong(call, "%o", value)),
        (value, _) => return Err(wrong(call, "%x", value)),
    };
    if upper && let Some(written) = out.get_mut(start..) {
        written.make_ascii_uppercase();
    }
    done.map_err(|_| call.fail(FailureKind::InvalidArgument, "`format`: it cannot be written"))
}

fn digits(number: u64, base: u32) -> std::string::String {
    match base {
        2 => format!("{number:b}"),
        8 => format!("{number:o}"),
        _ => format!("{number:x}"),
    }
}

fn hex(bytes: &[u8], out: &mut std::string::String) -> std::fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// Any value as `%s` writes it; the entries of maps in the order of their keys as text.
fn plain<'a>(
    call: &mut Call<'a>,
    value: &Value<'a>,
    out: &mut std::string::String,
    depth: u32,
) -> Result<(), Value<'a>> {
    call.spend(1)?;
    if depth > MAX_FORMAT_DEPTH {
        return Err(call.fail(FailureKind::InvalidArgument, "`format`: the value is too deep"));
    }
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Uint(number) => out.push_str(&number.to_string()),
        Value::Double(number) => out.push_str(&convert::double_text(*number)),
        Value::String(text) => out.push_str(text.text),
        Value::Bytes(bytes) => out.push_str(&std::string::String::from_utf8_lossy(bytes)),
        Value::Timestamp(instant) => out.push_str(&time::format_instant(*instant)),
        Value::Duration(span) => out.push_str(&time::format_span(*span)),
        Value::Type(name) => out.push_str(name),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter(call.arena).enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                plain(call, &item, out, depth + 1)?;
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map.iter(call.arena) {
                let (mut name, mut written) = Default::default();
                plain(call, &key, &mut name, depth + 1)?;
                plain(call, &value, &mut written, depth + 1)?;
                entries.push((name, written));
            }
            entries.sort();
            out.push('{');
            for (i, (name, written)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                out.push_str(name);
                out.push_str(": ");
                out.push_str(written);
            }
            out.push('}');
        }
        other => return Err(wrong(call, "%s", other)),
    }
    call.spend(value.size())
}

fn wrong<'a>(call: &Call<'a>, clause: &str, value: &Value<'a>) -> Value<'a> {
    let message = format!("`format`: `{clause}` takes no {}", value.type_name());
    call.fail(FailureKind::InvalidArgument, message)
}
