//! From a place in a scalar's text back to the place in the file.

use super::{Span, Style, Text};

/// Walks the source of a scalar and its text side by side.
pub(super) fn locate(source: &str, span: Span, text: &Text, range: std::ops::Range<usize>) -> Span {
    let raw = span.of(source);
    let before = source.get(..span.start as usize).unwrap_or("");
    let indent = before.rsplit('\n').next().map_or(0, str::len);
    let Some(mut walk) = Walk::new(raw, text.style, indent) else { return span };
    let (mut start, mut end) = (None, None);
    for (offset, character) in text.text.char_indices() {
        if offset >= range.end && end.is_some() {
            break;
        }
        let Some((from, to)) = walk.step(character) else {
            return if offset == text.text.len() { span } else { partial(span, start, end) };
        };
        if offset >= range.start && start.is_none() {
            start = Some(from);
        }
        if offset < range.end {
            end = Some(to);
        }
    }
    // An empty range, or one behind the last character.
    let start = start.unwrap_or(walk.at);
    let end = end.filter(|end| *end >= start && !range.is_empty()).unwrap_or(start);
    shifted(span, start, end)
}

fn partial(span: Span, start: Option<usize>, end: Option<usize>) -> Span {
    match (start, end) {
        (Some(start), Some(end)) => shifted(span, start, end),
        _ => span,
    }
}

fn shifted(span: Span, start: usize, end: usize) -> Span {
    let offset = |n: usize| span.start.saturating_add(u32::try_from(n).unwrap_or(u32::MAX));
    Span::new(offset(start).min(span.end), offset(end).min(span.end))
}

struct Walk<'s> {
    raw: &'s str,
    at: usize,
    style: Style,
    /// leading spaces of each line of a block scalar that are notation: the column of its start
    indent: usize,
}

impl<'s> Walk<'s> {
    fn new(raw: &'s str, style: Style, indent: usize) -> Option<Self> {
        let quoted = matches!(style, Style::Single | Style::Double);
        if quoted && !raw.starts_with(['\'', '"']) {
            return None;
        }
        Some(Self { raw, at: usize::from(quoted), style, indent })
    }

    /// The raw range that stands for the next character of the text.
    fn step(&mut self, character: char) -> Option<(usize, usize)> {
        loop {
            let from = self.at;
            let rest = self.raw.get(from..)?;
            let next = rest.chars().next()?;
            if self.style == Style::Double
                && rest.starts_with(['\\'])
                && self.at_break(rest.get(1..)?)
            {
                // An escaped line break stands for nothing.
                self.skip_break();
                continue;
            }
            if let Some(length) = self.escape(rest) {
                self.at += length;
                return Some((from, self.at));
            }
            if self.at_break(rest) {
                self.skip_break();
                if character == '\n' || character == ' ' {
                    return Some((from, self.at));
                }
                continue;
            }
            if next == character {
                self.at += next.len_utf8();
                if character == '\n' {
                    self.skip_indent();
                }
                return Some((from, self.at));
            }
            return None;
        }
    }

    /// The length of an escape sequence that stands for one character.
    fn escape(&self, rest: &str) -> Option<usize> {
        match (self.style, rest.as_bytes()) {
            (Style::Single, [b'\'', b'\'', ..]) => Some(2),
            (Style::Double, [b'\\', b'x', ..]) => Some(4),
            (Style::Double, [b'\\', b'u', ..]) => Some(6),
            (Style::Double, [b'\\', b'U', ..]) => Some(10),
            (Style::Double, [b'\\', ..]) => Some(1 + rest.chars().nth(1).map_or(0, char::len_utf8)),
            _ => None,
        }
    }

    /// Whether only white space stands between here and the end of the line.
    fn at_break(&self, rest: &str) -> bool {
        if self.style == Style::Literal {
            return rest.starts_with("\r\n");
        }
        if self.style == Style::Folded {
            return rest.starts_with('\n') || rest.starts_with("\r\n");
        }
        rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
    }

    fn skip_break(&mut self) {
        let rest = self.raw.get(self.at..).unwrap_or("");
        let to_break = rest.find('\n').map_or(rest.len(), |n| n + 1);
        self.at += to_break;
        self.skip_indent();
    }

    fn skip_indent(&mut self) {
        let rest = self.raw.get(self.at..).unwrap_or("");
        let spaces = indentation(rest);
        self.at += match self.style {
            Style::Literal | Style::Folded => spaces.min(self.indent),
            Style::Plain | Style::Single | Style::Double => {
                rest.len() - rest.trim_start_matches([' ', '\t']).len()
            }
        };
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use std::sync::Arc;

    /// The source text of the first `wanted` in the scalar under `k`.
    fn found(source: &str, wanted: &str) -> String {
        let file: Arc<str> = "f.yml".into();
        let (document, problems) = read(&file, source);
        assert!(problems.is_empty(), "{problems:?}");
        let root = document.unwrap().root;
        let node = root.get("k").unwrap();
        let at = node.as_str().unwrap().find(wanted).unwrap();
        node.locate(source, at..at + wanted.len()).of(source).to_owned()
    }

    #[test]
    fn places_are_found_in_every_notation() {
        assert_eq!(found("k: a == bé == c\n", "bé"), "bé");
        assert_eq!(found("k: 'it''s b'\n", "s b"), "s b");
        assert_eq!(found("k: 'it''s b'\n", "t's"), "t''s");
        assert_eq!(found("k: \"a \\\"q\\\" \\u00e9 b\"\n", "é b"), "\\u00e9 b");
        assert_eq!(
            found("k: |\n    first\n      two\n    third b\n", "two\nthird"),
            "two\n    third"
        );
        assert_eq!(found("k: |2-\n   a b\n  c\n", "b"), "b");
        assert_eq!(found("k: >-\n  one\n  two\n\n  three\n", "two\nthree"), "two\n\n  three");
        assert_eq!(found("k: one\n  two\n  three\n", "two"), "two");
        assert_eq!(found("k: \"one\n  two\\\n   three\"\n", "three"), "three");
        assert_eq!(found("k: a\r\nl: b\r\n", "a"), "a");
        assert_eq!(found("k: |\r\n  a\r\n  bc\r\n", "bc"), "bc");
    }
}
