//! The JSON form of the suite's messages `cel.expr.Value` and `cel.expr.Type`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Symbols};
use mxcp_policy::function::time;
use mxcp_policy::ty::Ty;
use mxcp_policy::value::Value;
use serde_json::Value as Json;

/// The name and content of a message of which one field is set.
fn one(message: &Json) -> (&str, &Json) {
    let fields = message.as_object().unwrap_or_else(|| panic!("no message: {message}"));
    let (name, content) = fields.iter().next().unwrap_or_else(|| panic!("an empty message"));
    (name, content)
}

fn text(content: &Json) -> &str {
    content.as_str().unwrap_or_else(|| panic!("no text: {content}"))
}

fn double(content: &Json) -> f64 {
    match content {
        Json::String(text) => match text.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => other.parse().unwrap_or_else(|_| panic!("no number: {other}")),
        },
        other => other.as_f64().unwrap_or_else(|| panic!("no number: {other}")),
    }
}

fn number<T: std::str::FromStr>(content: &Json) -> T {
    text(content).parse().unwrap_or_else(|_| panic!("no number: {content}"))
}

fn list(content: &Json) -> &[Json] {
    content["values"].as_array().map_or(&[], Vec::as_slice)
}

fn entries(content: &Json) -> &[Json] {
    content["entries"].as_array().map_or(&[], Vec::as_slice)
}

/// A value as an input.
pub fn datum(message: &Json, symbols: &Symbols) -> Datum {
    match one(message) {
        ("nullValue", _) => Datum::Null,
        ("boolValue", content) => Datum::Bool(content.as_bool().expect("a truth value")),
        ("int64Value", content) => Datum::Int(number(content)),
        ("uint64Value", content) => Datum::Uint(number(content)),
        ("doubleValue", content) => Datum::Double(double(content)),
        ("stringValue", content) => Datum::String(symbols.text(text(content))),
        ("bytesValue", content) => {
            Datum::Bytes(STANDARD.decode(text(content)).expect("base64").into())
        }
        ("listValue", content) => {
            Datum::List(list(content).iter().map(|item| datum(item, symbols)).collect())
        }
        ("mapValue", content) => {
            let mut all: Vec<_> = entries(content)
                .iter()
                .map(|entry| {
                    let key = symbols.text(text(&entry["key"]["stringValue"]));
                    (key, datum(&entry["value"], symbols))
                })
                .collect();
            all.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            Datum::Map(all.into())
        }
        ("objectValue", content) => match text(&content["@type"]).rsplit('.').next() {
            Some("Duration") => {
                Datum::Duration(time::parse_span(text(&content["value"])).expect("a duration"))
            }
            Some("Timestamp") => {
                Datum::Timestamp(time::parse_instant(text(&content["value"])).expect("a time"))
            }
            _ => panic!("no input of the type {}", content["@type"]),
        },
        (other, _) => panic!("no input of the kind {other}"),
    }
}

/// Whether a value is the expected one: of the same type, doubles bit by bit (but any NaN is NaN),
/// maps in any order.
pub fn is_value(expected: &Json, actual: &Value<'_>, arena: &Bump) -> bool {
    match (one(expected), actual) {
        (("nullValue", _), Value::Null) => true,
        (("boolValue", content), Value::Bool(value)) => content.as_bool() == Some(*value),
        (("int64Value", content), Value::Int(value)) => number::<i64>(content) == *value,
        (("uint64Value", content), Value::Uint(value)) => number::<u64>(content) == *value,
        (("doubleValue", content), Value::Double(value)) => {
            let expected = double(content);
            expected.to_bits() == value.to_bits() || (expected.is_nan() && value.is_nan())
        }
        (("stringValue", content), Value::String(value)) => text(content) == value.text,
        (("bytesValue", content), Value::Bytes(value)) => {
            STANDARD.decode(text(content)).expect("base64") == *value
        }
        (("typeValue", content), Value::Type(name)) => text(content) == *name,
        (("listValue", content), Value::List(items)) => {
            let expected = list(content);
            expected.len() == items.len()
                && expected.iter().enumerate().all(|(i, expected)| {
                    items.get(i, arena).is_some_and(|item| is_value(expected, &item, arena))
                })
        }
        (("mapValue", content), Value::Map(map)) => {
            let expected = entries(content);
            let found = |entry: &Json| {
                (0..map.len()).filter_map(|i| map.entry(i, arena)).any(|(key, value)| {
                    is_value(&entry["key"], &key, arena) && is_value(&entry["value"], &value, arena)
                })
            };
            expected.len() == map.len() && expected.iter().all(found)
        }
        (("objectValue", content), Value::Duration(span)) => {
            text(&content["@type"]).ends_with("google.protobuf.Duration")
                && time::parse_span(text(&content["value"])) == Some(*span)
        }
        (("objectValue", content), Value::Timestamp(instant)) => {
            text(&content["@type"]).ends_with("google.protobuf.Timestamp")
                && time::parse_instant(text(&content["value"])) == Some(*instant)
        }
        _ => false,
    }
}

/// A declared type. Type parameters are numbered in the order of `names`.
pub fn ty(message: &Json, names: &mut Vec<String>) -> Ty {
    match one(message) {
        ("primitive", content) => match text(content) {
            "BOOL" => Ty::Bool,
            "INT64" => Ty::Int,
            "UINT64" => Ty::Uint,
            "DOUBLE" => Ty::Double,
            "STRING" => Ty::String,
            "BYTES" => Ty::Bytes,
            other => panic!("no primitive type {other}"),
        },
        ("null", _) => Ty::Null,
        ("dyn", _) => Ty::Dyn,
        ("wellKnown", content) => match text(content) {
            "TIMESTAMP" => Ty::Timestamp,
            "DURATION" => Ty::Duration,
            other => panic!("no well-known type {other}"),
        },
        ("messageType", content) => match text(content) {
            "google.protobuf.Timestamp" => Ty::Timestamp,
            "google.protobuf.Duration" => Ty::Duration,
            other => panic!("no message {other}"),
        },
        ("listType", content) => Ty::list(ty(&content["elemType"], names)),
        ("mapType", content) => {
            Ty::map(ty(&content["keyType"], names), ty(&content["valueType"], names))
        }
        ("typeParam", content) => {
            let name = text(content);
            let known = names.iter().position(|known| known == name);
            let number = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            Ty::Var(u32::try_from(number).expect("few type parameters"))
        }
        ("abstractType", content) => {
            let of = content["parameterTypes"].as_array().map_or(&[][..], Vec::as_slice);
            let mut of: Vec<Ty> = of.iter().map(|of| ty(of, names)).collect();
            match (text(&content["name"]), of.pop()) {
                ("optional_type", Some(held)) => Ty::optional(held),
                (name, last) => {
                    of.extend(last);
                    Ty::Opaque(name.into(), of)
                }
            }
        }
        (other, _) => panic!("no type of the kind {other}"),
    }
}

/// A type as the suite's own checker prints it: `map(string, list(dyn))`.
pub fn printed_ty(text: &str) -> Ty {
    let (name, rest) = text.split_once('(').unwrap_or((text, ""));
    let inside = rest.strip_suffix(')').unwrap_or("");
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside.is_empty() {
        parts.push(&inside[start..]);
    }
    let mut of: Vec<Ty> = parts.iter().map(|part| printed_ty(part.trim())).collect();
    match (name, of.len()) {
        ("dyn", 0) => Ty::Dyn,
        ("null", 0) => Ty::Null,
        ("bool", 0) => Ty::Bool,
        ("int", 0) => Ty::Int,
        ("uint", 0) => Ty::Uint,
        ("double", 0) => Ty::Double,
        ("string", 0) => Ty::String,
        ("bytes", 0) => Ty::Bytes,
        ("timestamp", 0) => Ty::Timestamp,
        ("duration", 0) => Ty::Duration,
        ("list", 1) => Ty::list(of.remove(0)),
        ("map", 2) => {
            let key = of.remove(0);
            Ty::map(key, of.remove(0))
        }
        ("optional_type", 1) => Ty::optional(of.remove(0)),
        ("type", 1) => Ty::Type(Box::new(of.remove(0))),
        (name, _) => Ty::Opaque(name.into(), of),
    }
}

/// Whether a type is the expected one. Ours is finer in one respect: where one of several values is
/// null, the suite says `dyn` or keeps the type of the others, and ours is that type or null.
pub fn is_ty(expected: &Ty, actual: &Ty) -> bool {
    match (expected, actual) {
        (Ty::Dyn, Ty::Nullable(_)) => true,
        (expected, Ty::Nullable(actual)) => is_ty(expected, actual),
        (Ty::List(a), Ty::List(b)) | (Ty::Optional(a), Ty::Optional(b)) => is_ty(a, b),
        (Ty::Type(a), Ty::Type(b)) => is_ty(a, b),
        (Ty::Map(ka, va), Ty::Map(kb, vb)) => is_ty(ka, kb) && is_ty(va, vb),
        (Ty::Opaque(a, of), Ty::Opaque(b, other)) => {
            a == b && of.len() == other.len() && of.iter().zip(other).all(|(a, b)| is_ty(a, b))
        }
        (expected, actual) => expected == actual,
    }
}
