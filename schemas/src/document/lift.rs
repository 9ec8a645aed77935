//! What all readers of documents share: taking values from a tree and reporting what does not fit.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Spanned;
use super::code::{
    DEFAULT_VIOLATES, ENUM_VIOLATES, EXAMPLE_VIOLATES, INVALID_VALUE, MISSING_KEY, UNKNOWN_KEY,
    WRONG_KIND,
};
use crate::diagnostic::{Code, Diagnostic, Edit, Fix, Span, closest};
use crate::yaml::{self, Entry, Kind, Node, Style};

/// Collects the findings of one file.
pub(super) struct Lift<'a> {
    pub(super) file: &'a Arc<str>,
    text: &'a str,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Lift<'a> {
    /// Begins with what the YAML reader found.
    pub(super) const fn new(file: &'a Arc<str>, text: &'a str, found: Vec<Diagnostic>) -> Self {
        Self { file, text, found }
    }

    /// What was found, without what only follows from something else: a value of the wrong kind is
    /// told once, and how YAML 1.2 would read it matters no more.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        let of = |code: &'static Code| -> BTreeSet<Option<Span>> {
            self.found.iter().filter(|d| d.code == code).map(|d| d.span).collect()
        };
        let (mut wrong, unread) = (of(&WRONG_KIND), of(&yaml::UNSUPPORTED));
        for code in [&DEFAULT_VIOLATES, &ENUM_VIOLATES, &EXAMPLE_VIOLATES] {
            wrong.extend(of(code));
        }
        let follows = |d: &Diagnostic| {
            (d.code == &yaml::YAML_1_2 && wrong.contains(&d.span))
                || (d.code == &WRONG_KIND && unread.contains(&d.span))
        };
        self.found.into_iter().filter(|d| !follows(d)).collect()
    }

    pub(super) fn report(
        &mut self,
        code: &'static Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found.push(Diagnostic::new(code, self.file, span, message));
        let last = self.found.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "one was pushed just now")]
        &mut self.found[last]
    }

    /// A map, whose keys are all in `known`; others are reported.
    pub(super) fn map<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<&'n [Entry]> {
        let entries = self.entries(node, what)?;
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                self.unknown_key(entry, what, known);
            }
        }
        Some(entries)
    }

    /// A map with any keys. Nothing (an empty value) counts as an empty map.
    pub(super) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => {
                self.wrong(node, what, "a map");
                None
            }
        }
    }

    pub(super) fn unknown_key(&mut self, entry: &Entry, what: &str, known: &[&str]) {
        let near = closest(&entry.key, known.iter().copied());
        let finding =
            self.report(&UNKNOWN_KEY, entry.key_span, format!("{what} has no key `{}`", entry.key));
        if let Some(near) = near {
            finding.help.push(format!("did you mean `{near}`?"));
            finding.fix = Some(Fix {
                title: format!("write `{near}`"),
                safe: false,
                edits: vec![Edit { span: entry.key_span, replacement: near.to_owned() }],
            });
        } else if !known.is_empty() {
            finding.help.push(format!("it has {}", list(known)));
        }
    }

    /// A list; nothing counts as an empty one.
    pub(super) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.kind {
            Kind::Seq(items) => items,
            Kind::Null => &[],
            Kind::String(text) => {
                let simple = text.style != Style::Literal && text.style != Style::Folded;
                let bracketed = format!("[{}]", node.span.of(self.text));
                let plain = !text.text.is_empty() && !text.text.contains([',', '[', ']', '{', '}']);
                let span = node.span;
                let finding = self.wrong(node, what, "a list");
                if simple && plain {
                    finding.help.push(format!("write `{bracketed}` for a list of one"));
                    finding.fix = Some(Fix {
                        title: format!("write `{bracketed}`"),
                        safe: false,
                        edits: vec![Edit { span, replacement: bracketed }],
                    });
                }
                &[]
            }
            _ => {
                self.wrong(node, what, "a list");
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        match &node.kind {
            Kind::String(text) => Some(Spanned::new(text.text.clone(), node.span)),
            _ => {
                let scalar = matches!(node.kind, Kind::Bool(_) | Kind::Int(_) | Kind::Float(_));
                let fix = scalar.then(|| yaml::quote(self.text, node.span));
                let finding = self.wrong(node, what, "a text");
                if scalar {
                    finding.help.push("put the value in quotes".to_owned());
                }
                finding.fix = fix;
                None
            }
        }
    }

    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Vec<Spanned<String>> {
        let items = self.list(node, what);
        items.iter().filter_map(|item| self.text(item, &format!("each item of {what}"))).collect()
    }

    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Kind::Bool(value) = node.kind {
            Some(value)
        } else {
            self.wrong(node, what, "`true` or `false`");
            None
        }
    }

    /// A whole number that is not negative.
    pub(super) fn count(&mut self, node: &Node, what: &str) -> Option<u64> {
        match node.kind {
            Kind::Int(value) if value >= 0 => u64::try_from(value).ok(),
            Kind::Int(_) => {
                self.report(&WRONG_KIND, node.span, format!("{what} must not be negative"));
                None
            }
            _ => {
                self.wrong(node, what, "a whole number");
                None
            }
        }
    }

    /// A whole number of at least one.
    pub(super) fn positive(&mut self, node: &Node, what: &str) -> Option<u64> {
        let value = self.count(node, what)?;
        if value == 0 {
            self.report(&INVALID_VALUE, node.span, format!("{what} must be at least 1"));
            return None;
        }
        Some(value)
    }

    /// The change that puts a scalar into quotes.
    pub(super) fn quoted(&self, span: Span) -> Fix {
        yaml::quote(self.text, span)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        what: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.not_a_choice(&INVALID_VALUE, &text.as_ref(), what, &words);
        None
    }

    pub(super) fn not_a_choice(
        &mut self,
        code: &'static Code,
        text: &Spanned<&String>,
        what: &str,
        words: &[&str],
    ) {
        let near = synonym(text.value)
            .filter(|word| words.contains(word))
            .or_else(|| closest(text.value, words.iter().copied()));
        let finding = self.report(code, text.span, format!("{what} cannot be `{}`", text.value));
        match (near, words) {
            (Some(near), _) => {
                finding.help.push(format!("did you mean `{near}`?"));
                finding.fix = Some(Fix {
                    title: format!("write `{near}`"),
                    safe: false,
                    edits: vec![Edit { span: text.span, replacement: near.to_owned() }],
                });
            }
            (None, [only]) => finding.help.push(format!("it can only be `{only}`")),
            (None, _) => finding.help.push(format!("it is one of {}", list(words))),
        }
    }

    pub(super) fn wrong(&mut self, node: &Node, what: &str, expected: &str) -> &mut Diagnostic {
        let message = format!("{what} must be {expected}, not {}", node.describe());
        self.report(&WRONG_KIND, node.span, message)
    }

    /// Reports a key that `node` has to have, unless it has it misspelt: that is said instead.
    pub(super) fn missing(
        &mut self,
        node: &Node,
        at: Span,
        what: &str,
        key: &str,
    ) -> Option<&mut Diagnostic> {
        let mut entries = node.entries().into_iter().flatten();
        // `profiles` is a key of its own, not a misspelt `profile`.
        let own = |entry: &Entry| entry.key == format!("{key}s") && key == "profile";
        let meant = |entry: &&Entry| !own(entry) && closest(&entry.key, [key]).is_some();
        if let Some(meant) = entries.find(meant) {
            let told = |d: &Diagnostic| d.code == &UNKNOWN_KEY && d.span == Some(meant.key_span);
            if !self.found.iter().any(told) {
                self.unknown_key(meant, what, &[key]);
            }
            return None;
        }
        Some(self.report(&MISSING_KEY, at, format!("{what} needs `{key}`")))
    }
}

/// The word of declared types for one that other languages use.
fn synonym(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "str" | "text" | "varchar" | "char" => "string",
        "int" | "int32" | "int64" | "long" | "bigint" => "integer",
        "float" | "double" | "decimal" | "numeric" | "real" => "number",
        "bool" => "boolean",
        "list" | "tuple" | "sequence" => "array",
        "dict" | "map" | "record" | "struct" => "object",
        "datetime" => "date-time",
        "url" => "uri",
        "interval" => "duration",
        _ => return None,
    })
}

/// `a`, `b` and `c`
pub(super) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}
