//! JSON text that stays on one line and within a budget.
//!
//! Whatever is not ASCII-printable in a way that some reader could take for a line's end is
//! escaped, including U+0085, U+2028 and U+2029, which JSON would allow. What is left out for
//! length is marked.

use std::fmt::{Debug, Display};
use std::io::Write as _;

use serde_json::Value;

/// Bytes of one text, as UTF-8 before escaping; what is longer is cut and marked.
pub const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Bytes after which a JSON value is cut; the member that crosses the limit is still written.
pub const VALUE_BYTES_MAX: usize = 256 * 1024;
/// Levels of a JSON value; what is deeper is cut and marked.
pub const VALUE_DEPTH_MAX: usize = 64;
/// Items of a list of names.
pub const LIST_ITEMS_MAX: usize = 1_024;

/// Something that can be written as one JSON value.
pub trait Json: Debug + Sync {
    /// Writes exactly one value.
    fn write_json(&self, text: &mut JsonText<'_>);
}

impl Json for Value {
    fn write_json(&self, text: &mut JsonText<'_>) {
        text.value(self);
    }
}

/// Writes one JSON value into a budget.
#[derive(Debug)]
pub struct JsonText<'o> {
    out: &'o mut Vec<u8>,
    /// length of `out` from which on things are left out
    end: usize,
    depth: usize,
}

impl<'o> JsonText<'o> {
    /// A writer that appends to `out` and begins to leave out after `bytes_max` bytes.
    pub fn new(out: &'o mut Vec<u8>, bytes_max: usize) -> Self {
        let end = out.len().saturating_add(bytes_max);
        Self { out, end, depth: 0 }
    }

    /// Writes a value as it is.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.null(),
            Value::Bool(b) => self.bool(*b),
            Value::Number(n) => self.number(n),
            Value::String(s) => self.string(s),
            Value::Array(items) => self.array(items.iter(), Self::value),
            Value::Object(members) => {
                self.object(members.iter().map(|(k, v)| (k.as_str(), v)), |text, _, v| {
                    text.value(v);
                });
            }
        }
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Writes a number, which must display as JSON has it.
    pub fn number(&mut self, value: impl Display) {
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "{value}");
    }

    /// Writes a text; one that is too long ends in a mark that says how long it was.
    pub fn string(&mut self, value: &str) {
        let room = self.end.saturating_sub(self.out.len()).min(TEXT_BYTES_MAX);
        self.out.push(b'"');
        if value.len() <= room {
            escape(self.out, value);
        } else {
            let kept = value.floor_char_boundary(room);
            escape(self.out, value.get(..kept).unwrap_or(""));
            let _ = write!(self.out, "[cut: {} bytes]", value.len());
        }
        self.out.push(b'"');
    }

    /// Writes an array, each item by `each`, which writes exactly one value.
    pub fn array<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T),
    ) {
        let count = items.len();
        if !self.enter(count) {
            return;
        }
        self.out.push(b'[');
        for (i, item) in items.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            if self.full() {
                let _ = write!(self.out, "\"[cut: {} more]\"", count - i);
                break;
            }
            each(self, item);
        }
        self.out.push(b']');
        self.depth -= 1;
    }

    /// Writes an object, the value of each member by `each`, which writes exactly one value.
    pub fn object<'k, T>(
        &mut self,
        members: impl ExactSizeIterator<Item = (&'k str, T)>,
        mut each: impl FnMut(&mut Self, &'k str, T),
    ) {
        let count = members.len();
        if !self.enter(count) {
            return;
        }
        self.out.push(b'{');
        for (i, (name, value)) in members.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            if self.full() {
                let _ = write!(self.out, "\"[cut]\":\"{} more\"", count - i);
                break;
            }
            self.string(name);
            self.out.push(b':');
            each(self, name, value);
        }
        self.out.push(b'}');
        self.depth -= 1;
    }

    /// Whether there is room at this depth; otherwise a mark is written in the value's place.
    fn enter(&mut self, count: usize) -> bool {
        if self.depth >= VALUE_DEPTH_MAX {
            let _ = write!(self.out, "\"[cut: {count} members, too deep]\"");
            return false;
        }
        self.depth += 1;
        true
    }

    fn full(&self) -> bool {
        self.out.len() >= self.end
    }
}

/// Appends `value` with every character escaped that could end a string or a line.
fn escape(out: &mut Vec<u8>, value: &str) {
    let mut from = 0;
    let mut copy = |out: &mut Vec<u8>, to: usize, next: usize| {
        out.extend_from_slice(value.as_bytes().get(from..to).unwrap_or(&[]));
        from = next;
    };
    let bytes = value.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        let pair = |n: usize| bytes.get(i + n).copied();
        match *byte {
            b'"' => {
                copy(out, i, i + 1);
                out.extend_from_slice(b"\\\"");
            }
            b'\\' => {
                copy(out, i, i + 1);
                out.extend_from_slice(b"\\\\");
            }
            b'\n' => {
                copy(out, i, i + 1);
                out.extend_from_slice(b"\\n");
            }
            b @ (0..0x20 | 0x7f) => {
                copy(out, i, i + 1);
                let _ = write!(out, "\\u{b:04x}");
            }
            // U+0085 is C2 85, U+2028 and U+2029 are E2 80 A8 and A9.
            0xc2 if pair(1) == Some(0x85) => {
                copy(out, i, i + 2);
                out.extend_from_slice(b"\\u0085");
            }
            0xe2 if pair(1) == Some(0x80) && matches!(pair(2), Some(0xa8 | 0xa9)) => {
                copy(out, i, i + 3);
                out.extend_from_slice(if pair(2) == Some(0xa8) { b"\\u2028" } else { b"\\u2029" });
            }
            _ => {}
        }
    }
    copy(out, bytes.len(), bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &Value, bytes_max: usize) -> String {
        let mut out = Vec::new();
        JsonText::new(&mut out, bytes_max).value(value);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn nothing_in_a_text_ends_the_line() {
        let text = "a\n\r\0\u{85}\u{2028}\u{2029}\"\\\u{7f}ü\u{202a}";
        let line = written(&Value::from(text), VALUE_BYTES_MAX);
        assert!(!line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')));
        assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON"), Value::from(text));
    }

    #[test]
    fn what_is_left_out_is_marked() {
        let long = "é".repeat(TEXT_BYTES_MAX);
        let line = written(&Value::from(long.clone()), VALUE_BYTES_MAX);
        assert!(line.ends_with(&format!("[cut: {} bytes]\"", long.len())));
        let many = Value::from(vec!["0123456789"; 100]);
        let line = written(&many, 30);
        let back: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(back.as_array().and_then(|a| a.last()), Some(&Value::from("[cut: 97 more]")));
        let mut deep = Value::Null;
        for _ in 0..VALUE_DEPTH_MAX * 2 {
            deep = Value::from(vec![deep]);
        }
        assert!(written(&deep, VALUE_BYTES_MAX).contains("too deep"));
    }

    proptest! {
        #[test]
        fn texts_survive(text in any::<String>()) {
            let line = written(&Value::from(text.as_str()), VALUE_BYTES_MAX);
            prop_assert_eq!(serde_json::from_str::<Value>(&line).expect("JSON"), Value::from(text));
        }

        #[test]
        fn cut_values_are_still_json(text in any::<String>(), max in 0usize..60) {
            let value = serde_json::json!({"a": [text.as_str(), 1, {"b": text.as_str()}], "c": text});
            let line = written(&value, max);
            prop_assert!(serde_json::from_str::<Value>(&line).is_ok(), "{}", line);
        }
    }
}
