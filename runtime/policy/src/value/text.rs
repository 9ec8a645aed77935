//! Values as text: CEL literals for people, JSON for programs.

use std::fmt;

use bumpalo::Bump;
use serde_json::{Value as Json, json};

use super::Value;
use crate::function::time;

impl Value<'_> {
    /// The value as JSON. Bytes are base64, times RFC 3339, durations seconds with an `s`, an
    /// unsigned integer a number, a double that is no number or infinite its name, an optional what it
    /// holds or null, an error null.
    pub fn to_json(&self, arena: &Bump) -> Json {
        match self {
            Self::Null | Self::Error(_) | Self::Optional(None) => Json::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Uint(value) => json!(value),
            Self::Double(value) if value.is_nan() => json!("NaN"),
            Self::Double(value) if value.is_infinite() => {
                json!(if *value > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Self::Double(value) => json!(value),
            Self::String(text) => json!(text.text),
            Self::Bytes(bytes) => {
                use base64::Engine as _;
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            }
            Self::Timestamp(instant) => json!(time::format_instant(*instant)),
            Self::Duration(span) => json!(time::format_span(*span)),
            Self::Type(name) => json!(name),
            Self::Optional(Some(value)) => value.to_json(arena),
            Self::List(list) => (0..list.len())
                .filter_map(|i| list.get(i, arena).map(|item| item.to_json(arena)))
                .collect(),
            Self::Map(map) => {
                let mut object = serde_json::Map::new();
                for i in 0..map.len() {
                    if let Some((key, value)) = map.entry(i, arena) {
                        let key = match key {
                            Value::String(text) => text.text.to_owned(),
                            other => other.to_string(),
                        };
                        object.insert(key, value.to_json(arena));
                    }
                }
                Json::Object(object)
            }
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}u"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::String(text) => write!(f, "{:?}", text.text),
            Self::Bytes(bytes) => {
                f.write_str("b\"")?;
                for byte in *bytes {
                    match byte {
                        b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                        0x20..=0x7e => write!(f, "{}", char::from(*byte))?,
                        _ => write!(f, "\\x{byte:02x}")?,
                    }
                }
                f.write_str("\"")
            }
            Self::Timestamp(instant) => {
                write!(f, "timestamp(\"{}\")", time::format_instant(*instant))
            }
            Self::Duration(span) => write!(f, "duration(\"{}\")", time::format_span(*span)),
            Self::Type(name) => f.write_str(name),
            Self::Optional(None) => f.write_str("optional.none()"),
            Self::Optional(Some(value)) => write!(f, "optional.of({value})"),
            Self::Error(failure) => write!(f, "error: {}", failure.message),
            Self::List(list) => {
                let arena = Bump::new();
                f.write_str("[")?;
                for i in 0..list.len() {
                    let comma = if i > 0 { ", " } else { "" };
                    if let Some(item) = list.get(i, &arena) {
                        write!(f, "{comma}{item}")?;
                    }
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                let arena = Bump::new();
                f.write_str("{")?;
                for i in 0..map.len() {
                    let comma = if i > 0 { ", " } else { "" };
                    if let Some((key, value)) = map.entry(i, &arena) {
                        write!(f, "{comma}{key}: {value}")?;
                    }
                }
                f.write_str("}")
            }
        }
    }
}
