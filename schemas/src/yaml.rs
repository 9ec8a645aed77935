//! The one YAML reader: a lossless tree with spans and comments.
//!
//! Scalars resolve as YAML 1.1 does in PyYAML's safe loader, because the files were written for
//! it; where YAML 1.2 would read something else a warning says so. Everything is bounded: bytes,
//! depth, nodes (aliases count as often as they are used).

mod build;
mod locate;
mod scalar;

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Severity, Span};

pub use build::read;

/// Largest document.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// Most nodes of a document, aliased ones counted each time.
pub const MAX_NODES: usize = 100_000;

/// The codes of the reader.
pub static CODES: &[&Code] = &[&SYNTAX, &LIMIT, &DUPLICATE_KEY, &UNSUPPORTED, &YAML_1_2, &ENCODING];

/// Text that is no YAML.
pub static SYNTAX: Code = Code {
    id: "MX0101",
    slug: "yaml-syntax",
    severity: Severity::Error,
    title: "the file is not valid YAML",
    page: "The text cannot be read as YAML. Frequent causes are a tab used for indentation, a \
           missing space after a colon, and an unquoted text that begins with `*`, `&`, `!`, `%`, \
           `@` or a backtick.\n\n```yaml\ncondition: \"!has(user.email)\"   # quoted, for it begins with `!`\n```\n",
};
/// A document that is too large, too deep or expands to too much.
pub static LIMIT: Code = Code {
    id: "MX0102",
    slug: "yaml-limit",
    severity: Severity::Error,
    title: "the file exceeds a limit of the reader",
    page: "Files have at most 1 MiB, 64 levels of nesting and 100,000 nodes, where every use of an \
           alias counts with all that it stands for. Split the file.\n",
};
/// A key that a map has twice.
pub static DUPLICATE_KEY: Code = Code {
    id: "MX0103",
    slug: "duplicate-key",
    severity: Severity::Error,
    title: "a key stands twice in one map",
    page: "Of two equal keys most readers silently keep the last one, so one of the two values would \
           have no effect. Remove one.\n",
};
/// YAML that mxcp does not read.
pub static UNSUPPORTED: Code = Code {
    id: "MX0104",
    slug: "yaml-unsupported",
    severity: Severity::Error,
    title: "the file uses a part of YAML that is not supported",
    page: "Not read are several documents in one file, tags other than those of the core schema \
           (`!!str`, `!!int` …), keys that are not text, and aliases to something that is not \
           complete yet.\n",
};
/// A scalar that YAML 1.1 and 1.2 read differently.
pub static YAML_1_2: Code = Code {
    id: "MX0105",
    slug: "yaml-version-difference",
    severity: Severity::Warning,
    title: "YAML 1.1 and 1.2 read this value differently",
    page: "Files are read as YAML 1.1, as they always were: `no` and `off` are false, `012` is ten, \
           `1:30` is ninety, `1e5` is text. Editors and other tools that follow YAML 1.2 see \
           something else. Write the value so that both agree: `false`, `10`, `90`, `\"1e5\"`.\n",
};
/// Bytes that are no UTF-8.
pub static ENCODING: Code = Code {
    id: "MX0106",
    slug: "not-utf-8",
    severity: Severity::Error,
    title: "the file is not UTF-8 text",
    page: "Save the file as UTF-8 without a byte order mark.\n",
};

/// A read file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value of the whole file.
    pub root: Node,
    /// All comments in order.
    pub comments: Vec<Comment>,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// From `#` to the end of the line.
    pub span: Span,
    /// What stands after `#`, without spaces around it.
    pub text: String,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands, quotes included; of a block scalar its lines without the header.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// nothing, `~` or `null`
    Null,
    /// a truth value
    Bool(bool),
    /// a whole number of 64 bits
    Int(i64),
    /// another number
    Float(f64),
    /// a text
    String(Text),
    /// a list
    Seq(Vec<Node>),
    /// a map, in the order of the file
    Map(Vec<Entry>),
}

/// A text and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// the text after escapes and folding
    pub text: String,
    /// the notation
    pub style: Style,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// without quotes
    Plain,
    /// in single quotes
    Single,
    /// in double quotes
    Double,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// An entry of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// the key
    pub key: String,
    /// where the key stands
    pub key_span: Span,
    /// the value
    pub value: Node,
}

impl Node {
    /// What diagnostics call this kind of value.
    pub const fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::String(_) => "a text",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(&text.text),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key, if it is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The place in `source` of a byte range of the text that this scalar holds. The whole scalar
    /// where the range cannot be found again.
    pub fn locate(&self, source: &str, range: std::ops::Range<usize>) -> Span {
        match &self.kind {
            Kind::String(text) => locate::locate(source, self.span, text, range),
            _ => self.span,
        }
    }

    /// The value as JSON. Numbers that JSON cannot hold become null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::from(*value),
            Kind::Float(value) => Value::from(*value),
            Kind::String(text) => Value::String(text.text.clone()),
            Kind::Seq(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.to_json())).collect())
            }
        }
    }
}

/// The text of a file, or the diagnostic that says why it is none.
///
/// # Errors
/// When the bytes are too many or not UTF-8.
pub fn decode(file: &Arc<str>, bytes: &[u8]) -> Result<Arc<str>, Box<Diagnostic>> {
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(Box::new(Diagnostic::new(
            &LIMIT,
            file,
            None,
            format!("the file has {} bytes; at most {MAX_DOCUMENT_BYTES} are read", bytes.len()),
        )));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => Err(Box::new(Diagnostic::new(
            &ENCODING,
            file,
            None,
            format!("the file is not UTF-8: byte {} begins no character", error.valid_up_to()),
        ))),
    }
}
