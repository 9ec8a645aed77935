//! Changing a part of a scalar's text so that the file then says what is meant: escaped as the scalar's
//! notation wants it, and in quotes where it could not stand without.

use std::ops::Range;

use super::{Kind, Node, Style, problem, read};
use crate::diagnostic::{Edit, Span};

impl Node {
    /// The edit of `source` that replaces a byte range of the text which this scalar holds.
    pub fn edit(&self, source: &str, range: Range<usize>, replacement: &str) -> Edit {
        let Kind::String(text) = &self.kind else {
            return Edit { span: self.span, replacement: replacement.to_owned() };
        };
        let escaped = match text.style {
            Style::Single => replacement.replace('\'', "''"),
            Style::Double => {
                let json = serde_json::Value::from(replacement).to_string();
                json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned()
            }
            Style::Plain | Style::Literal | Style::Folded => replacement.to_owned(),
        };
        let edit = Edit { span: self.locate(source, range.clone()), replacement: escaped };
        let Some(wanted) = replaced(&text.text, &range, replacement) else { return edit };
        let is_block = matches!(text.style, Style::Literal | Style::Folded);
        if is_block || self.reads_as(source, &edit, &text.text, &wanted) {
            return edit;
        }
        Edit { span: self.span, replacement: problem::quoted(&wanted) }
    }

    /// Whether the scalar, after an edit, is read as the text that is wanted, wherever it stands.
    fn reads_as(&self, source: &str, edit: &Edit, before: &str, wanted: &str) -> bool {
        let Some(after) = edited(source, self.span, edit) else { return false };
        let whole = self.span.of(source);
        if in_block(&after).as_deref() != Some(wanted) {
            return false;
        }
        // Between brackets more characters have a meaning; what stood there before tells where it is.
        in_brackets(whole).as_deref() != Some(before)
            || in_brackets(&after).as_deref() == Some(wanted)
    }
}

fn replaced(text: &str, range: &Range<usize>, replacement: &str) -> Option<String> {
    let (before, after) = (text.get(..range.start)?, text.get(range.end..)?);
    Some([before, replacement, after].concat())
}

/// The source of a scalar after an edit that lies within it.
fn edited(source: &str, scalar: Span, edit: &Edit) -> Option<String> {
    if edit.span.start < scalar.start || edit.span.end > scalar.end {
        return None;
    }
    let before = Span::new(scalar.start, edit.span.start).of(source);
    let after = Span::new(edit.span.end, scalar.end).of(source);
    Some([before, &edit.replacement, after].concat())
}

fn in_block(scalar: &str) -> Option<String> {
    let (document, found) = read(&"scalar".into(), &format!("k: {scalar}\n"));
    let root = document.filter(|_| found.iter().all(|d| !d.is_error()))?.root;
    root.get("k")?.as_str().map(str::to_owned)
}

fn in_brackets(scalar: &str) -> Option<String> {
    let (document, found) = read(&"scalar".into(), &format!("k: {{v: {scalar}}}\n"));
    let root = document.filter(|_| found.iter().all(|d| !d.is_error()))?.root;
    let map = root.get("k")?;
    if map.entries()?.len() != 1 {
        return None;
    }
    map.get("v")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read;

    /// The text under `k` after `from` in it became `to`, and the source of that.
    fn change(source: &str, from: &str, to: &str) -> (String, String) {
        let (document, found) = read(&"f.yml".into(), source);
        assert!(found.iter().all(|d| !d.is_error()), "{found:?}");
        let root = document.unwrap().root;
        let node = root.get("k").unwrap();
        let at = node.as_str().unwrap().find(from).unwrap();
        let edit = node.edit(source, at..at + from.len(), to);
        let mut after = source.to_owned();
        after.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
        let (document, found) = read(&"f.yml".into(), &after);
        assert!(found.iter().all(|d| !d.is_error()), "{after}: {found:?}");
        let root = document.unwrap().root;
        (root.get("k").unwrap().as_str().unwrap().to_owned(), after)
    }

    #[test]
    fn what_needs_quotes_gets_them() {
        for (source, from, to, after) in [
            ("k: a == 'x'\n", "a", "b", "k: b == 'x'\n"),
            ("k: a == 'x'  # why\n", "a", "!has(b) || a", "k: \"!has(b) || a == 'x'\"  # why\n"),
            ("k: a == \"x\"\n", "a", "!b", "k: '!b == \"x\"'\n"),
            ("k: a\n  == 'x'\n", "a", "!b", "k: \"!b == 'x'\"\n"),
            ("k: 'a == ''x'''\n", "a", "c == 'y' || a", "k: 'c == ''y'' || a == ''x'''\n"),
            ("k: \"a\"\n", "a", "c == \"y\\\"", "k: \"c == \\\"y\\\\\\\"\"\n"),
            ("k: a\n", "a", "b: c", "k: 'b: c'\n"),
            ("k: a\n", "a", "b # c", "k: 'b # c'\n"),
            ("k: |\n  a\n  b\n", "a", "!c: #", "k: |\n  !c: #\n  b\n"),
        ] {
            assert_eq!(change(source, from, to).1, after, "{source}");
        }
    }

    #[test]
    fn a_comma_between_brackets_needs_quotes() {
        let source = "l: {k: a, m: b}\n";
        let (document, _) = read(&"f.yml".into(), source);
        let root = document.unwrap().root;
        let node = root.get("l").unwrap().get("k").unwrap();
        assert_eq!(node.edit(source, 0..1, "f(a, b)").replacement, "'f(a, b)'");
        assert_eq!(node.edit(source, 0..1, "c").replacement, "c");
    }

    proptest! {
        #[test]
        fn the_text_is_the_one_that_is_wanted(
            style in 0..3_usize, to in "[ab'\"\\\\!:#,{}\\[\\] é\u{1F600}-]{0,12}",
        ) {
            let source = ["k: x y z\n", "k: 'x y z'\n", "k: \"x y z\"\n"][style];
            prop_assert_eq!(change(source, "y", &to).0, format!("x {to} z"));
            prop_assert_eq!(change(source, "x", &to).0, format!("{to} y z"));
        }
    }
}
