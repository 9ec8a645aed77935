//! A strict JSON reader for everything that comes from outside: one pass, no copies where none is
//! needed, numbers kept as they were written.
//!
//! `serde_json` would let the last of two equal keys win, round whole numbers beyond 2^64 and say
//! nothing of how much memory a document may cost. Here each of those is an error with its place,
//! so that no two readers of one request can disagree on what it says.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

mod read;
#[cfg(test)]
mod tests;

pub use read::{parse, parse_within};

/// Containers within containers, at most.
pub const DEPTH_MAX: usize = 64;
/// Values of one document, at most; each costs some 32 bytes of memory.
pub const VALUES_MAX: usize = 250_000;
/// Length of the text of one number, at most, in bytes.
pub const NUMBER_MAX_BYTES: usize = 128;

/// A JSON value that borrows from its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it was written; finite as a double.
    Number(&'a str),
    /// A string, copied only if it has escapes.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object: members in their order, no name twice.
    Object(Vec<Member<'a>>),
}

/// A member of an object.
pub type Member<'a> = (Cow<'a, str>, Json<'a>);

impl<'a> Json<'a> {
    /// The member of that name, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Self::Object(members) => get(members, name),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value this is, for messages: never the value itself.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// The member of that name.
pub fn get<'m, 'a>(members: &'m [Member<'a>], name: &str) -> Option<&'m Json<'a>> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

impl fmt::Display for Json<'_> {
    /// JSON without spaces; numbers as they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text),
            Self::String(text) => f.write_str(&quoted(text)),
            Self::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (i, (name, value)) in members.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// The text as a JSON string, quotes included.
pub fn quoted(text: &str) -> String {
    // A text always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

/// Why a text is not acceptable JSON, and at which byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {offset}")]
pub struct JsonError {
    /// what is wrong
    pub fault: Fault,
    /// bytes before the place
    pub offset: usize,
}

/// What is wrong with a text that should be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text ended within a value.
    #[error("the text ends too early")]
    End,
    /// Something else was expected here.
    #[error("unexpected character")]
    Unexpected,
    /// More text after the value.
    #[error("text after the end of the value")]
    Trailing,
    /// The text is not UTF-8.
    #[error("invalid UTF-8")]
    Utf8,
    /// A control character within a string.
    #[error("a control character in a string must be escaped")]
    Control,
    /// An escape that JSON does not know.
    #[error("unknown escape in a string")]
    Escape,
    /// Half of a surrogate pair.
    #[error("a `\\u` escape is half of a surrogate pair")]
    Surrogate,
    /// A number that is written otherwise than JSON does.
    #[error("malformed number")]
    Number,
    /// A number beyond the range of doubles or of absurd length.
    #[error("the number is too large or longer than {NUMBER_MAX_BYTES} bytes")]
    Huge,
    /// A name twice in one object.
    #[error("duplicate key in an object")]
    Duplicate,
    /// Nesting beyond the limit.
    #[error("nested deeper than is accepted")]
    Depth,
    /// More values than the limit.
    #[error("more than {VALUES_MAX} values")]
    Values,
}

impl Fault {
    /// Whether the text is JSON by the letter of RFC 8259, but beyond what is accepted.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::Huge | Self::Duplicate | Self::Depth | Self::Values)
    }
}

/// Object names seen so far: compared one by one while they are few.
#[derive(Default)]
struct Names<'a> {
    many: Option<HashSet<Cow<'a, str>>>,
}

impl<'a> Names<'a> {
    /// From here on a set is faster than looking at each.
    const FEW: usize = 16;

    /// Whether `members` has that name already. Asked once before each member is added.
    fn repeats(&mut self, members: &[Member<'a>], name: &str) -> bool {
        if members.len() < Self::FEW {
            return members.iter().any(|(known, _)| known == name);
        }
        let many = self
            .many
            .get_or_insert_with(|| members.iter().map(|(known, _)| known.clone()).collect());
        many.extend(members.last().map(|(known, _)| known.clone()));
        many.contains(name)
    }
}
