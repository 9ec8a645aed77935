//! The value of an argument, and what conditions and JSON see of it.

use std::fmt::Write as _;

use mxcp_policy::datum::{Datum, Instant, Span, Symbols};

use crate::json;

/// A typed value. Texts with a format keep the text as it was given beside what it means.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// nothing: an absent argument whose default is null
    Null,
    /// true or false
    Bool(bool),
    /// a whole number
    Int(i64),
    /// a number with decimals; finite
    Double(f64),
    /// text
    Text(Box<str>),
    /// a date: days since 1970-01-01
    Date(Box<str>, i32),
    /// a time of day: microseconds since midnight, UTC
    Time(Box<str>, i64),
    /// a point in time, of `format: date-time`
    DateTime(Box<str>, Instant),
    /// a point in time, of `format: timestamp`
    Timestamp(Box<str>, Instant),
    /// a length of time, of `format: duration`
    Duration(Box<str>, Span),
    /// a list
    List(Box<[Argument]>),
    /// a map, sorted by name
    Object(Box<[(Box<str>, Argument)]>),
}

impl Argument {
    /// What conditions see.
    pub fn datum(&self, symbols: &Symbols) -> Datum {
        const SECONDS_PER_DAY: i64 = 86_400;
        match self {
            Self::Null => Datum::Null,
            Self::Bool(value) => Datum::Bool(*value),
            Self::Int(value) => Datum::Int(*value),
            Self::Double(value) => Datum::Double(*value),
            Self::Text(text) | Self::Time(text, _) => Datum::String(symbols.text(text.clone())),
            Self::Date(_, days) => {
                Datum::Timestamp(Instant { seconds: i64::from(*days) * SECONDS_PER_DAY, nanos: 0 })
            }
            Self::DateTime(_, at) | Self::Timestamp(_, at) => Datum::Timestamp(*at),
            Self::Duration(_, span) => Datum::Duration(*span),
            Self::List(items) => {
                Datum::List(items.iter().map(|item| item.datum(symbols)).collect())
            }
            Self::Object(fields) => Datum::Map(
                fields
                    .iter()
                    .map(|(name, value)| (symbols.text(name.clone()), value.datum(symbols)))
                    .collect(),
            ),
        }
    }

    /// Writes the value as JSON: equal values give equal texts.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Double(value) => out.push_str(&serde_json::Value::from(*value).to_string()),
            Self::Text(text)
            | Self::Date(text, _)
            | Self::Time(text, _)
            | Self::DateTime(text, _)
            | Self::Timestamp(text, _)
            | Self::Duration(text, _) => out.push_str(&json::quoted(text)),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(&json::quoted(name));
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        self.write_json(&mut text);
        text
    }
}
