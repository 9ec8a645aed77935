//! Diagnostics: what is wrong with a document, where, and what to do about it.
//!
//! A message is lower case, names the user's own words in backticks and never a Rust type;
//! what to do stands apart, in [`Diagnostic::help`]. A [`Code`] is stable across releases and
//! has a page of its own that `mxcp check --explain` prints.

use std::fmt;
use std::sync::Arc;

/// A half-open range of byte offsets into the text of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`; an `end` before `start` counts as empty.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Length in bytes.
    pub const fn len(self) -> u32 {
        self.end - self.start
    }

    /// Whether the span covers no byte.
    pub const fn is_empty(self) -> bool {
        self.end == self.start
    }

    /// The text that the span covers, or `""` where it does not lie inside `text`.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; never fails a build.
    Note,
    /// Built, and suspicious; fails under `--strict` and `--deny-warnings`.
    Warning,
    /// Nothing is built.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// One kind of finding. Codes are declared where their rule lives and collected by registries.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable identifier, `MX` and four digits.
    pub id: &'static str,
    /// The kebab-case name, also the name that a waiver comment uses.
    pub slug: &'static str,
    /// The severity unless the diagnostic says otherwise.
    pub severity: Severity,
    /// One line: what the finding means.
    pub title: &'static str,
    /// The page: Markdown that says why this is reported and how to repair it, with an example.
    pub page: &'static str,
}

/// A replacement of one range of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// The new text.
    pub replacement: String,
}

/// Edits that repair a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What the fix does, in the imperative.
    pub title: String,
    /// Whether `--fix` may apply it unasked: it keeps or restores what the author meant.
    pub safe: bool,
    /// The edits, in order and without overlap.
    pub edits: Vec<Edit>,
}

/// A second place that explains a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The file, relative to the project root.
    pub file: Arc<str>,
    /// Where.
    pub span: Span,
    /// What is to be seen there.
    pub message: String,
}

/// One finding in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding.
    pub code: &'static Code,
    /// Its weight here.
    pub severity: Severity,
    /// The file, relative to the project root with `/` separators.
    pub file: Arc<str>,
    /// The exact place; `None` speaks of the whole file.
    pub span: Option<Span>,
    /// What is wrong, in lower case, the user's words in backticks.
    pub message: String,
    /// What to do about it, each entry one suggestion.
    pub help: Vec<String>,
    /// Other places that explain it.
    pub related: Vec<Related>,
    /// Edits that repair it, where there are any.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A finding with the code's own severity and nothing but a message.
    pub fn new(
        code: &'static Code,
        file: &Arc<str>,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity,
            file: Arc::clone(file),
            span: span.into(),
            message: message.into(),
            help: Vec::new(),
            related: Vec::new(),
            fix: None,
        }
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds `did you mean …?` when one of `known` is close to `word`.
    #[must_use]
    pub fn did_you_mean<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(word, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Adds a second place.
    #[must_use]
    pub fn related(mut self, file: &Arc<str>, span: Span, message: impl Into<String>) -> Self {
        self.related.push(Related { file: Arc::clone(file), span, message: message.into() });
        self
    }

    /// Sets the repair.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// Whether this alone stops a build.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Sorts findings by file, place and code and removes exact repetitions, so that two runs over
/// the same project print the same text.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        (&a.file, a.span, a.code.id, &a.message).cmp(&(&b.file, b.span, b.code.id, &b.message))
    });
    diagnostics.dedup();
}

/// The entry of `known` that `word` was most likely meant to be, if any is near enough: one that differs
/// in few characters, else the only one that begins with it.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let count = lower.chars().count();
    // Of a word of one character everything else is as near.
    let limit = if count < 2 { 0 } else { (count / 3).clamp(1, 3) };
    let (mut nearest, mut begun): (Option<(usize, &str)>, Vec<&str>) = (None, Vec::new());
    for entry in known.into_iter().filter(|entry| *entry != word) {
        let candidate = entry.to_lowercase();
        if count >= MIN_BEGINNING_CHARS && candidate.starts_with(&lower) {
            begun.push(entry);
        }
        // A distance is at least the difference of the lengths; four bytes are one character at most.
        if candidate.len().abs_diff(lower.len()) > limit * 4 {
            continue;
        }
        let distance = strsim::damerau_levenshtein(&lower, &candidate);
        if distance <= limit && nearest.is_none_or(|(least, _)| distance < least) {
            nearest = Some((distance, entry));
        }
    }
    let only = match begun.as_slice() {
        [one] => Some(*one),
        _ => None,
    };
    nearest.map(|(_, entry)| entry).or(only)
}

/// Characters of a word, at least, for what begins with it to be taken for what was meant.
const MIN_BEGINNING_CHARS: usize = 3;

/// Line and column, both counted from one; the column counts code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from one.
    pub line: u32,
    /// Column in code points, from one.
    pub column: u32,
}

/// The position of a byte offset in `text`; an offset past the end is the end.
pub fn position(text: &str, offset: u32) -> Position {
    let mut end = (offset as usize).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or("");
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position {
        line: count(before.matches('\n').count()) + 1,
        column: count(before.get(line_start..).unwrap_or("").chars().count()) + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closest_finds_transpositions_and_ignores_strangers() {
        assert_eq!(closest("departmnt", ["department", "role"]), Some("department"));
        assert_eq!(closest("Roel", ["role", "email"]), Some("role"));
        assert_eq!(closest("salary", ["role", "email"]), None);
        assert_eq!(closest("c", ["a", "b"]), None);
        assert_eq!(closest("C", ["a", "c"]), Some("c"));
        assert_eq!(closest("desc", ["description", "name"]), Some("description"));
        assert_eq!(closest("min", ["minimum", "minLength"]), None);
    }

    #[test]
    fn positions_count_code_points() {
        assert_eq!(position("aé\nüx", 6), Position { line: 2, column: 2 });
        assert_eq!(position("", 99), Position { line: 1, column: 1 });
    }
}
