//! From a place in a scalar's text back to the place in the file.
//!
//! The source of a scalar and its text are walked side by side, unit by unit: a character that
//! stands for itself, an escape, a fold of several lines. Each step says what it consumes on both
//! sides, and checks that it is what stands there.

use std::ops::Range;

use super::{Span, Style, Text};

/// The place of `range` in the source; the whole scalar where the two do not match, which is so
/// only for a scalar that was not read from this source.
pub(super) fn locate(source: &str, span: Span, text: &Text, range: &Range<usize>) -> Span {
    let mut walk = Walk::new(source, span, text);
    let mut start = None;
    while walk.pos < text.text.len() {
        walk.skip();
        let (from, before) = (walk.at, walk.pos);
        if walk.step().is_none() || walk.pos == before {
            return span;
        }
        if range.is_empty() && range.start < walk.pos {
            return shifted(from, from);
        }
        if start.is_none() && range.start < walk.pos {
            start = Some(from);
        }
        if let Some(start) = start
            && range.end <= walk.pos
        {
            return shifted(start, walk.at);
        }
    }
    shifted(start.unwrap_or(walk.at), walk.at)
}

fn shifted(start: usize, end: usize) -> Span {
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span::new(offset(start), offset(end))
}

struct Walk<'s> {
    source: &'s str,
    text: &'s str,
    style: Style,
    /// offset in the source
    at: usize,
    /// offset in the text
    pos: usize,
    /// spaces before each line of a block scalar that are notation
    indent: usize,
}

impl<'s> Walk<'s> {
    fn new(source: &'s str, span: Span, text: &'s Text) -> Self {
        let start = span.start as usize;
        let before = source.get(..start).unwrap_or("");
        let line = before.rfind(['\n', '\r']).map_or(0, |n| n + 1);
        let quoted = matches!(text.style, Style::Single | Style::Double);
        Self {
            source,
            text: &text.text,
            style: text.style,
            at: start + usize::from(quoted),
            pos: 0,
            // A block scalar begins with the first character that is content.
            indent: start - line,
        }
    }

    /// Walks over one unit.
    fn step(&mut self) -> Option<()> {
        let character = self.text.get(self.pos..)?.chars().next()?;
        let rest = self.source.get(self.at..)?;
        match self.style {
            Style::Literal | Style::Folded => self.block(character, rest),
            Style::Plain => {
                if blank(rest).is_some() {
                    self.fold(rest)
                } else {
                    self.same(character, rest)
                }
            }
            Style::Single => match rest.as_bytes() {
                [b'\'', b'\'', ..] => self.advance(2, character),
                _ if blank(rest).is_some() => self.fold(rest),
                _ => self.same(character, rest),
            },
            Style::Double => match rest.as_bytes() {
                // Empty lines behind an escaped line break stand for breaks.
                [b'\\', b'\n' | b'\r', ..] => {
                    self.at += 1;
                    self.fold(rest.get(1..)?)
                }
                [b'\\', kind, ..] => self.escape(*kind, character, rest),
                _ if blank(rest).is_some() => self.fold(rest),
                _ => self.same(character, rest),
            },
        }
    }

    /// Skips escaped line breaks, which stand for nothing.
    fn skip(&mut self) {
        while self.style == Style::Double
            && let Some(behind) = self.source.get(self.at..).and_then(|r| r.strip_prefix('\\'))
            && line_break(behind).is_some()
            && let (length, 1) = folded(behind)
        {
            self.at += 1 + length;
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends what returns an option")]
    fn advance(&mut self, source_bytes: usize, character: char) -> Option<()> {
        self.at += source_bytes;
        self.pos += character.len_utf8();
        Some(())
    }

    fn same(&mut self, character: char, rest: &str) -> Option<()> {
        if rest.starts_with(character) {
            self.advance(character.len_utf8(), character)
        } else {
            None
        }
    }

    fn escape(&mut self, kind: u8, character: char, rest: &str) -> Option<()> {
        let length = match kind {
            b'x' => 4,
            // A pair of surrogates stands for one character.
            b'u' if character.len_utf8() == 4 => 12,
            b'u' => 6,
            b'U' => 10,
            _ => 1 + rest.chars().nth(1)?.len_utf8(),
        };
        self.advance(length, character)
    }

    /// The end of a line in a scalar without block notation: a space, or as many breaks as there
    /// are empty lines.
    fn fold(&mut self, rest: &str) -> Option<()> {
        let (length, breaks) = folded(rest);
        let expected = if breaks == 1 { ' ' } else { '\n' };
        if !self.text.get(self.pos..)?.starts_with(expected) {
            return None;
        }
        // Of several breaks each takes one line of the source, and the last one all that is left.
        self.at += if breaks > 2 {
            let spaces = blank(rest)?;
            spaces + line_break(rest.get(spaces..)?)?
        } else {
            length
        };
        self.pos += 1;
        Some(())
    }

    fn block(&mut self, character: char, rest: &str) -> Option<()> {
        if self.pos == 0 && character == '\n' && line_break(rest).is_none() {
            // Empty lines before the first content stand before the span.
            self.pos = self.text.len() - self.text.trim_start_matches('\n').len();
            return Some(());
        }
        let Some(length) = line_break(rest) else { return self.same(character, rest) };
        if self.style == Style::Literal {
            let behind = rest.get(length..)?;
            return self.advance(length + self.indentation(behind), character);
        }
        let behind = self.text.get(self.pos + character.len_utf8()..)?;
        let more = character == '\n' && behind.starts_with('\n');
        let mut at = length + self.indentation(rest.get(length..)?);
        while !more && let Some(length) = line_break(rest.get(at..)?) {
            at += length;
            at += self.indentation(rest.get(at..)?);
        }
        matches!(character, '\n' | ' ').then(|| self.advance(at, character))?
    }

    /// The spaces at the beginning of a line that are notation.
    fn indentation(&self, line: &str) -> usize {
        line.bytes().take(self.indent).take_while(|byte| *byte == b' ').count()
    }
}

/// The length of a line break that begins here.
fn line_break(rest: &str) -> Option<usize> {
    match rest.as_bytes() {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r' | b'\n', ..] => Some(1),
        _ => None,
    }
}

/// The white space up to a line break, if nothing else stands before it.
fn blank(rest: &str) -> Option<usize> {
    let spaces = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    line_break(rest.get(spaces..)?).map(|_| spaces)
}

/// The length of the white space that begins here, and how many line breaks it has.
fn folded(rest: &str) -> (usize, usize) {
    let (mut at, mut breaks) = (0, 0);
    while let Some(behind) = rest.get(at..) {
        let Some(spaces) = blank(behind) else { break };
        at += spaces + line_break(behind.get(spaces..).unwrap_or("")).unwrap_or(0);
        breaks += 1;
    }
    let behind = rest.get(at..).unwrap_or("");
    (at + behind.len() - behind.trim_start_matches([' ', '\t']).len(), breaks)
}

#[cfg(test)]
mod tests {
    use super::super::read;

    /// The source text of the first `wanted` in the scalar under `k`.
    fn found(source: &str, wanted: &str) -> String {
        let (document, problems) = read(&"f.yml".into(), source);
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
        assert_eq!(found("k: \"a \\ud83d\\ude00 b\"\n", "b"), "b");
        assert_eq!(
            found("k: |\n    first\n      two\n    third b\n", "two\nthird"),
            "two\n    third"
        );
        assert_eq!(found("k: |2-\n   a b\n  c\n", "b"), "b");
        assert_eq!(found("k: |\n\n\n  a\n  b\n", "b"), "b");
        assert_eq!(found("k: >-\n  one\n  two\n\n  three\n", "two\nthree"), "two\n\n  three");
        assert_eq!(found("k: >\n\n  one\n    more\n\n  two\n", "two"), "two");
        assert_eq!(found("k: one\n  two\n  three\n", "two"), "two");
        assert_eq!(found("k: one\n\n\n  two\n", "e\n\nt"), "e\n\n\n  t");
        assert_eq!(found("k: \"one\n  two\\\n   three\"\n", "three"), "three");
        assert_eq!(found("k: \"one \\\n\n   two\"\n", "two"), "two");
        assert_eq!(found("k: a\r\nl: b\r\n", "a"), "a");
        assert_eq!(found("k: |\r\n  a\r\n  bc\r\n", "bc"), "bc");
    }

    #[test]
    fn empty_ranges_and_ends_have_places() {
        let source = "k: 'a''b'\n";
        let (document, _) = read(&"f.yml".into(), source);
        let root = document.unwrap().root;
        let node = root.get("k").unwrap();
        let start = |range| (node.locate(source, range).start, node.locate(source, 9..9).end);
        assert_eq!(start(0..0), (4, 8));
        assert_eq!(start(1..1), (5, 8));
        assert_eq!(start(2..2), (7, 8));
        assert_eq!(start(3..3), (8, 8));
    }
}
