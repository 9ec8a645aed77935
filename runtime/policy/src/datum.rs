//! Owned values: what the runtime hands to conditions as input.
//!
//! Strings that conditions mention are interned against the bundle's symbols when a datum is made,
//! so that most comparisons during evaluation are comparisons of numbers.

use std::collections::HashMap;

/// An owned CEL value.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// `null`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `uint`
    Uint(u64),
    /// `double`
    Double(f64),
    /// `string`
    String(Text),
    /// `bytes`
    Bytes(Box<[u8]>),
    /// `timestamp`
    Timestamp(Instant),
    /// `duration`
    Duration(Span),
    /// `list`
    List(Box<[Datum]>),
    /// `map` with string keys, sorted by key
    Map(Box<[(Text, Datum)]>),
    /// An input that has no usable value, with what is wrong with it: a claim of the wrong type.
    /// Reading it is an evaluation error, never a default.
    Error(Box<str>),
}

/// Text with its symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// the characters
    pub text: Box<str>,
    /// its symbol
    pub symbol: Symbol,
}

/// What is known about a string among the strings that conditions mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// Nothing: it was made during evaluation. Compared by its bytes.
    Unknown,
    /// It was looked up, and no condition mentions it.
    Foreign,
    /// It is the symbol of this number; equal numbers are equal strings.
    Known(u32),
}

/// A point in time, seconds since the Unix epoch and nanoseconds of that second
/// (0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// seconds since 1970-01-01T00:00:00Z
    pub seconds: i64,
    /// nanoseconds of the second, 0 to 999,999,999
    pub nanos: u32,
}

/// A length of time, seconds and nanoseconds of the same sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// whole seconds
    pub seconds: i64,
    /// nanoseconds, -999,999,999 to 999,999,999
    pub nanos: i32,
}

/// The strings that the conditions of a bundle mention, numbered.
#[derive(Debug, Default)]
pub struct Symbols {
    numbers: HashMap<Box<str>, u32>,
}

impl Symbols {
    /// The symbol of a string that a condition mentions; gives it a number if it has none.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(number) = self.numbers.get(text) {
            return Symbol::Known(*number);
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        Symbol::Known(number)
    }

    /// The symbol of a string that comes from outside.
    pub fn find(&self, text: &str) -> Symbol {
        self.numbers.get(text).map_or(Symbol::Foreign, |number| Symbol::Known(*number))
    }

    /// Text with its symbol.
    pub fn text(&self, text: impl Into<Box<str>>) -> Text {
        let text = text.into();
        Text { symbol: self.find(&text), text }
    }
}

impl Datum {
    /// The value of a JSON document. Whole numbers are `int`, or `uint` where only that holds them.
    pub fn from_json(value: &serde_json::Value, symbols: &Symbols) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Uint(value),
                _ => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(symbols.text(text.as_str())),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_json(item, symbols)).collect())
            }
            Value::Object(fields) => {
                let mut entries: Vec<(Text, Self)> = fields
                    .iter()
                    .map(|(k, v)| (symbols.text(k.as_str()), Self::from_json(v, symbols)))
                    .collect();
                entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
                Self::Map(entries.into())
            }
        }
    }
}
