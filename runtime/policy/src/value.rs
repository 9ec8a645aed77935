//! Values during an evaluation: small, `Copy`, borrowed from the inputs, from the program's
//! constants or from the evaluation's arena.

mod compare;
mod text;

use bumpalo::Bump;

use crate::datum::{self, Datum, Instant, Span, Symbol, Text};

pub use compare::{BYTES_PER_STEP, compare, equal_within};
pub(crate) use compare::{are_numbers, same_key};

/// How many keys of a map under construction, or of one that was made, are compared for a step.
pub const KEYS_PER_STEP: u64 = 4;

/// A CEL value or the error that took its place. Its layout is C's, and for scalars that of
/// [`Datum`], because compiled conditions read both.
#[derive(Debug, Clone, Copy)]
#[repr(C, u8)]
pub enum Value<'a> {
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
    String(Str<'a>),
    /// `bytes`
    Bytes(&'a [u8]),
    /// `timestamp`
    Timestamp(Instant),
    /// `duration`
    Duration(Span),
    /// `list`
    List(List<'a>),
    /// `map`
    Map(Map<'a>),
    /// An evaluation error.
    Error(&'a Fault<'a>),
    /// A type, by its name.
    Type(&'a str),
    /// `optional`: what it holds, if anything.
    Optional(Option<&'a Value<'a>>),
}

/// A string with its symbol.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Str<'a> {
    /// the characters
    pub text: &'a str,
    /// its symbol
    pub symbol: Symbol,
}

/// A list, of an input or made during evaluation.
#[derive(Debug, Clone, Copy)]
pub enum List<'a> {
    /// items of an input
    Data(&'a datum::List),
    /// items made during evaluation
    Made(&'a [Value<'a>]),
}

/// A map, of an input or made during evaluation.
#[derive(Debug, Clone, Copy)]
pub enum Map<'a> {
    /// entries of an input, sorted by key
    Data(&'a [(Text, Datum)]),
    /// entries made during evaluation, in the order of insertion
    Made(&'a [(Value<'a>, Value<'a>)]),
}

/// Why an evaluation has no value. The message is for logs and the audit trail, never for clients,
/// and names types and declared names only: no value of the inputs is ever in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of error, for programs.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
}

/// An evaluation error while the evaluation lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault<'a> {
    /// What kind of error, for programs.
    pub kind: FailureKind,
    /// What happened.
    pub message: &'a str,
}

impl From<&Fault<'_>> for Failure {
    fn from(fault: &Fault<'_>) -> Self {
        Self { kind: fault.kind, message: fault.message.to_owned() }
    }
}

/// The kinds of evaluation errors (CEL specification, "Runtime Errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// a map has no such key, an optional no value
    NoSuchKey,
    /// an index lies outside a list
    OutOfRange,
    /// no overload takes values of these types
    NoOverload,
    /// an integer result does not fit, a time is out of range
    Overflow,
    /// division or modulus by zero
    DivideByZero,
    /// an argument is not acceptable to the function (a malformed regular expression, date …)
    InvalidArgument,
    /// a map was given a key twice or of a wrong type
    InvalidKey,
    /// an input has no usable value
    BadInput,
    /// the step budget or the memory limit is exhausted
    Budget,
}

impl<'a> Value<'a> {
    /// A string that was made during evaluation.
    pub const fn text(text: &'a str) -> Self {
        Self::String(Str { text, symbol: Symbol::Unknown })
    }

    /// An error, in the arena.
    pub fn failed(arena: &'a Bump, kind: FailureKind, message: impl AsRef<str>) -> Self {
        let message = arena.alloc_str(message.as_ref());
        Self::Error(arena.alloc(Fault { kind, message }))
    }

    /// The value of an input.
    #[inline(never)]
    pub fn of(datum: &'a Datum, arena: &'a Bump) -> Self {
        Self::of_datum(datum, arena)
    }

    /// As [`Value::of`], for where the value is written to its place at once.
    #[expect(
        clippy::inline_always,
        reason = "a value that is copied just after it was written is waited for"
    )]
    #[inline(always)]
    pub(crate) fn of_datum(datum: &'a Datum, arena: &'a Bump) -> Self {
        match datum {
            Datum::Null => Self::Null,
            Datum::Bool(value) => Self::Bool(*value),
            Datum::Int(value) => Self::Int(*value),
            Datum::Uint(value) => Self::Uint(*value),
            Datum::Double(value) => Self::Double(*value),
            Datum::String(text) => Self::String(Str { text: &text.text, symbol: text.symbol }),
            Datum::Bytes(bytes) => Self::Bytes(bytes),
            Datum::Timestamp(instant) => Self::Timestamp(*instant),
            Datum::Duration(span) => Self::Duration(*span),
            Datum::List(items) => Self::List(List::Data(items)),
            Datum::Map(entries) => Self::Map(Map::Data(entries)),
            Datum::Error(message) => {
                Self::Error(arena.alloc(Fault { kind: FailureKind::BadInput, message }))
            }
        }
    }

    /// The name of its type (CEL specification, "Types").
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Error(_) => "error",
        }
    }

    /// The string, if it is one.
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::String(text) => Some(text.text),
            _ => None,
        }
    }

    /// How much a function that looks at all of it has to do: code points, bytes, items.
    pub fn size(&self) -> u64 {
        let size = match self {
            Self::String(text) => text.text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            _ => 1,
        };
        size as u64
    }
}

impl<'a> List<'a> {
    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::Data(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at an index.
    pub fn get(&self, index: usize, arena: &'a Bump) -> Option<Value<'a>> {
        match self {
            Self::Data(items) => items.get(index).map(|item| Value::of(item, arena)),
            Self::Made(items) => items.get(index).copied(),
        }
    }

    /// All items.
    pub fn iter(self, arena: &'a Bump) -> impl Iterator<Item = Value<'a>> {
        (0..self.len()).filter_map(move |i| self.get(i, arena))
    }
}

impl Value<'_> {
    /// Whether a map may be asked for it: doubles are no keys, but may equal one.
    pub(crate) const fn can_be_key(&self) -> bool {
        matches!(
            self,
            Self::String(_) | Self::Int(_) | Self::Uint(_) | Self::Bool(_) | Self::Double(_)
        )
    }
}

impl<'a> Map<'a> {
    /// Number of entries.
    pub const fn len(&self) -> usize {
        match self {
            Self::Data(entries) => entries.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a string key, by its symbol where that tells.
    pub(crate) fn find(&self, name: &Str<'_>, arena: &'a Bump) -> Option<Value<'a>> {
        match self {
            Self::Data(entries) => {
                datum::find(entries, name.text, name.symbol).map(|value| Value::of(value, arena))
            }
            Self::Made(_) => self.field(name.text, arena),
        }
    }

    /// The value of a string key.
    pub fn field(&self, name: &str, arena: &'a Bump) -> Option<Value<'a>> {
        match self {
            Self::Data(entries) => {
                let found = entries.binary_search_by(|(key, _)| (*key.text).cmp(name)).ok()?;
                entries.get(found).map(|(_, value)| Value::of(value, arena))
            }
            Self::Made(entries) => {
                let same = |(key, _): &&(Value<'a>, Value<'a>)| key.as_text() == Some(name);
                entries.iter().find(same).map(|(_, value)| *value)
            }
        }
    }

    /// The value of any key; numbers of different types are equal when their values are.
    pub fn get(&self, key: &Value<'a>, arena: &'a Bump) -> Option<Value<'a>> {
        match (self, key) {
            (_, Value::String(text)) => self.find(text, arena),
            (Self::Data(_), _) => None,
            (Self::Made(entries), key) => {
                entries.iter().find(|(known, _)| same_key(known, key)).map(|(_, value)| *value)
            }
        }
    }

    /// What looking for a key costs: keys that were made are compared one by one.
    pub(crate) const fn search_steps(&self) -> u64 {
        match self {
            Self::Data(_) => 0,
            Self::Made(entries) => entries.len() as u64 / KEYS_PER_STEP,
        }
    }

    /// The entry at a position.
    pub fn entry(&self, index: usize, arena: &'a Bump) -> Option<(Value<'a>, Value<'a>)> {
        match self {
            Self::Data(entries) => entries.get(index).map(|(key, value)| {
                let key = Value::String(Str { text: &key.text, symbol: key.symbol });
                (key, Value::of(value, arena))
            }),
            Self::Made(entries) => entries.get(index).copied(),
        }
    }

    /// All entries.
    pub fn iter(self, arena: &'a Bump) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        (0..self.len()).filter_map(move |i| self.entry(i, arena))
    }
}
