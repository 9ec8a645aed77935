//! What all readers of documents share: taking values from a tree and reporting what does not fit.

use std::sync::Arc;

use super::Spanned;
use super::code::{INVALID_VALUE, MISSING_KEY, UNKNOWN_KEY, WRONG_KIND};
use crate::diagnostic::{Code, Diagnostic, Edit, Fix, Span, closest};
use crate::yaml::{Entry, Kind, Node};

/// Collects the findings of one file.
pub(super) struct Lift<'a> {
    pub(super) file: &'a Arc<str>,
    pub(super) found: Vec<Diagnostic>,
}

impl<'a> Lift<'a> {
    pub(super) const fn new(file: &'a Arc<str>) -> Self {
        Self { file, found: Vec::new() }
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
                let finding = self.wrong(node, what, "a text");
                if scalar {
                    finding.help.push("put the value in quotes".to_owned());
                }
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
            _ => {
                self.wrong(node, what, "a whole number that is not negative");
                None
            }
        }
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
        let near = closest(text.value, words.iter().copied());
        let finding = self.report(code, text.span, format!("{what} cannot be `{}`", text.value));
        match near {
            Some(near) => finding.help.push(format!("did you mean `{near}`?")),
            None => finding.help.push(format!("it is one of {}", list(words))),
        }
    }

    pub(super) fn wrong(&mut self, node: &Node, what: &str, expected: &str) -> &mut Diagnostic {
        let message = format!("{what} must be {expected}, not {}", node.describe());
        self.report(&WRONG_KIND, node.span, message)
    }

    pub(super) fn missing(&mut self, span: Span, what: &str, key: &str) -> &mut Diagnostic {
        self.report(&MISSING_KEY, span, format!("{what} needs `{key}`"))
    }
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
