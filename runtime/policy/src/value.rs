//! Values during an evaluation: small, `Copy`, borrowed from the inputs, from the program's
//! constants or from the evaluation's arena.

use crate::datum::{Datum, Instant, Span, Symbol, Text};

/// A CEL value or the error that took its place.
#[derive(Debug, Clone, Copy)]
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
    /// A type, by its name.
    Type(&'a str),
    /// `optional`: what it holds, if anything.
    Optional(Option<&'a Value<'a>>),
    /// An evaluation error.
    Error(&'a Failure),
}

/// A string with its symbol.
#[derive(Debug, Clone, Copy)]
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
    Data(&'a [Datum]),
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

/// Why an evaluation has no value. The message is for logs and the audit trail, never for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of error, for programs.
    pub kind: FailureKind,
    /// What happened, without any value of the inputs.
    pub message: String,
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
