//! The one YAML reader: a lossless tree with spans and comments.
//!
//! Scalars resolve as YAML 1.1 does in PyYAML's safe loader, because the files were written for
//! it; where YAML 1.2 would read something else a warning says so. Everything is bounded: bytes,
//! depth, nodes (aliases count as often as they are used).

mod build;
mod character;
mod edit;
mod locate;
mod problem;
mod scalar;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Severity, Span, position};

pub use build::read;
pub(crate) use problem::quote;

/// Largest document.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// Deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;
/// Most nodes of a document, aliased ones counted each time.
pub const MAX_NODES: usize = 100_000;

/// The codes of the reader.
pub static CODES: &[&Code] = &[
    &SYNTAX,
    &LIMIT,
    &DUPLICATE_KEY,
    &UNSUPPORTED,
    &YAML_1_2,
    &ENCODING,
    &CHARACTER,
    &ROUNDED,
    &BIDI,
];

/// Text that is no YAML.
pub static SYNTAX: Code = Code {
    id: "MX0101",
    slug: "yaml-syntax",
    severity: Severity::Error,
    title: "the file is not valid YAML",
    page: r#"The text cannot be read as YAML. Frequent causes are a tab used for indentation, a missing space
after a colon, and an unquoted text that begins with `*`, `&`, `!`, `%`, `@` or a backtick.

```yaml
# wrong
tool:
  name: find
  description: finds: patients
  source: {code: SELECT 1}
```

```yaml
# right
tool:
  name: find
  description: "finds: patients"
  source: {code: SELECT 1}
```
"#,
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
    page: r"Of two equal keys most readers silently keep the last one, so one of the two values would have
no effect: a second `policies:` would replace the first. Join the two, or remove one.

```yaml
# wrong
tool:
  name: find
  source: {code: SELECT 1}
  tags: [a]
  tags: [b]
```

```yaml
# right
tool:
  name: find
  source: {code: SELECT 1}
  tags: [a, b]
```
",
};
/// YAML that mxcp does not read.
pub static UNSUPPORTED: Code = Code {
    id: "MX0104",
    slug: "yaml-unsupported",
    severity: Severity::Error,
    title: "the file uses a part of YAML that is not supported",
    page: r#"Not read are several documents in one file, tags other than those of the core schema (`!!str`,
`!!int` …), keys that are not text, `.inf` and `.nan`, and aliases to what does not exist or is
not complete yet. A condition that begins with `!` needs quotes, because YAML reads it as a tag.

```yaml
# wrong
- condition: !has(user.email)
  action: deny
  reason: An e-mail is needed
```

```yaml
# right
- condition: "!has(user.email)"
  action: deny
  reason: An e-mail is needed
```
"#,
};
/// A scalar that YAML 1.1 and 1.2 read differently.
pub static YAML_1_2: Code = Code {
    id: "MX0105",
    slug: "yaml-version-difference",
    severity: Severity::Warning,
    title: "YAML 1.1 and 1.2 read this value differently",
    page: r#"Files are read as YAML 1.1, as they always were: `no` and `off` are false, `012` is ten, `1:30`
is ninety, `1e5` is text. Editors and other tools that follow YAML 1.2 see something else. Write
the value so that both agree: `false`, `10`, `90`, `"1e5"`. Keys are always read as the text
that they are.

```yaml
# wrong
enabled: yes
```

```yaml
# right
enabled: true
```
"#,
};
/// Bytes that are no UTF-8.
pub static ENCODING: Code = Code {
    id: "MX0106",
    slug: "not-utf-8",
    severity: Severity::Error,
    title: "the file is not UTF-8 text",
    page: "Save the file as UTF-8 without a byte order mark.\n",
};
/// A character that shows nothing or ends lines for some readers only.
pub static CHARACTER: Code = Code {
    id: "MX0107",
    slug: "control-character",
    severity: Severity::Error,
    title: "the file holds a character that cannot be seen",
    page: "Control characters, byte order marks inside a file, and line breaks that only some readers \
           know (U+0085, U+2028, U+2029) let a file look other than it is read. Remove them; where a \
           text needs one, write it as an escape in double quotes: `\"\\x1B\"`.\n",
};
/// A number that is not kept exactly.
pub static ROUNDED: Code = Code {
    id: "MX0108",
    slug: "rounded-number",
    severity: Severity::Warning,
    title: "the number has more digits than are kept",
    page: r"Whole numbers have 64 bits; a larger one is kept as a floating-point number, which rounds it.
Put it in quotes if it is an identifier.

```yaml
# wrong
parameters:
  - {name: account, type: integer, maximum: 99999999999999999999}
```

```yaml
# right
parameters:
  - {name: account, type: string, maxLength: 20}
```
",
};
/// A character that changes the direction of text.
pub static BIDI: Code = Code {
    id: "MX0109",
    slug: "bidirectional-control",
    severity: Severity::Warning,
    title: "an invisible character changes the direction of the text around it",
    page: "Such characters make an editor show a line in another order than it is read, so a reviewer \
           can approve a condition that says something else. Remove it, or write it as an escape in \
           double quotes, where it can be seen: `\"\\u202E\"`.\n",
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
    /// Where it stands, quotes included; of a block scalar its lines without the header; of a value
    /// that is left out its key.
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
    /// a text; a date, of which PyYAML would make an object, is one too
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
    /// the key; one that is no text in YAML is the text that it was written as
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
        self.entry(key).map(|entry| &entry.value)
    }

    /// The place in `source` of a byte range of the text that this scalar holds. The whole scalar
    /// where the range cannot be found again.
    pub fn locate(&self, source: &str, range: std::ops::Range<usize>) -> Span {
        match &self.kind {
            Kind::String(text) => locate::locate(source, self.span, text, &range),
            _ => self.span,
        }
    }

    /// The node below this one that a JSON Pointer (RFC 6901) names.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |node, step| match &node.kind {
            Kind::Map(_) if step.contains('~') => {
                node.get(&step.replace("~1", "/").replace("~0", "~"))
            }
            Kind::Map(_) => node.get(step),
            Kind::Seq(items) => {
                let canonical = step == "0" || !step.starts_with(['0', '+']);
                items.get(step.parse::<usize>().ok().filter(|_| canonical)?)
            }
            _ => None,
        })
    }

    /// The entry of a key, if it is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value as JSON.
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
        Err(error) => {
            let message = match bytes {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "the file is UTF-16, not UTF-8".to_owned(),
                _ => {
                    let good = bytes.get(..error.valid_up_to()).unwrap_or(&[]);
                    let at = position(std::str::from_utf8(good).unwrap_or(""), u32::MAX);
                    let byte = bytes.get(error.valid_up_to()).copied().unwrap_or(0);
                    format!(
                        "the file is not UTF-8: in line {}, column {} the byte {byte:#04X} begins no character",
                        at.line, at.column
                    )
                }
            };
            Err(Box::new(Diagnostic::new(&ENCODING, file, None, message).help("save it as UTF-8")))
        }
    }
}
