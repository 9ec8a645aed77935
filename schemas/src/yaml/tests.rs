//! Tests of the reader as a whole.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Document, Style, decode, read};
use crate::diagnostic::Diagnostic;

fn parse(text: &str) -> (Value, Vec<&'static str>) {
    let (document, found) = read(&"f.yml".into(), text);
    let value = document.map_or(json!("unread"), |d| d.root.to_json());
    (value, found.iter().map(|d| d.code.slug).collect())
}

fn value(text: &str) -> Value {
    let (value, found) = parse(text);
    assert_eq!(found, [""; 0], "{text:?}");
    value
}

/// The only finding about a text.
fn finding(text: &str) -> Diagnostic {
    let (_, mut found) = read(&"f.yml".into(), text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// A text with the fix of its only finding applied.
fn fixed(text: &str) -> String {
    let mut out = text.to_owned();
    for edit in finding(text).fix.unwrap().edits.iter().rev() {
        out.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
    }
    out
}

#[test]
fn values_spans_and_comments_are_kept() {
    let text = "# top\ntool:\n  name: a # beside\n  list: [1, 'x']\n  none:\n  code: |\n    x\n\n";
    let (document, found) = read(&"f.yml".into(), text);
    assert!(found.is_empty());
    let Document { root, comments } = document.unwrap();
    let comments: Vec<&str> = comments.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(comments, ["top", "beside"]);
    let tool = root.get("tool").unwrap();
    assert!(tool.span.of(text).starts_with("name: a # beside"));
    assert!(tool.span.of(text).ends_with("\n    x"));
    assert_eq!(tool.get("list").unwrap().span.of(text), "[1, 'x']");
    assert_eq!(tool.get("none").unwrap().span.of(text), "none");
    assert_eq!(tool.get("code").unwrap().span.of(text), "x");
    assert_eq!(tool.entries().unwrap()[0].key_span.of(text), "name");
    assert_eq!(root.pointer("/tool/list/1").unwrap().as_str(), Some("x"));
    assert_eq!(root.pointer("").unwrap(), &root);
    assert!(root.pointer("/tool/list/01").is_none() && root.pointer("/x").is_none());
}

#[test]
fn aliases_and_merges_work_as_in_pyyaml() {
    let order = |text: &str| value(text).to_string();
    let text = "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n";
    assert_eq!(order(text), r#"{"a":{"p":1,"q":2},"b":{"p":1,"q":3},"c":{"p":1,"q":2}}"#);
    assert_eq!(order("<<: [{a: 1}, {b: 2, a: 3}]\n"), r#"{"b":2,"a":1}"#);
    assert_eq!(order("c: 1\n<<: {a: 1, c: 2}\n"), r#"{"a":1,"c":1}"#);
    assert_eq!(order("'<<': 1\n"), r#"{"<<":1}"#);
    assert_eq!(parse("<<: {a: 1}\n<<: {b: 1}\n").1, ["duplicate-key"]);
    assert_eq!(parse("<<: [1]\n").1, ["yaml-unsupported"]);
}

#[test]
fn large_maps_keep_their_order_and_their_keys_apart() {
    let lines = (0..100).fold(String::new(), |all, i| format!("{all}k{i}: {i}\n"));
    let read = value(&lines);
    let keys: Vec<&String> = read.as_object().unwrap().keys().collect();
    assert!(keys.iter().enumerate().all(|(i, key)| **key == format!("k{i}")));
    assert_eq!(parse(&format!("{lines}k77: 1\nk3: 1\n")).1, ["duplicate-key"; 2]);
    let merged = format!("a: &a\n{}b: {{<<: *a, k50: x}}\n", lines.replace('k', "  k"));
    assert_eq!(value(&merged)["b"]["k50"], "x");
}

#[test]
fn keys_are_texts_as_they_are_written() {
    assert_eq!(value("200: a\n1_0: b\n"), json!({"200": "a", "1_0": "b"}));
    assert_eq!(value("a: {true: 1, null: 2}"), json!({"a": {"true": 1, "null": 2}}));
    assert_eq!(parse("on: 1\n").1, ["yaml-version-difference"]);
    assert_eq!(value("'on': 1\n"), json!({"on": 1}));
    assert_eq!(parse(": 1\n").1, ["yaml-unsupported"]);
    assert_eq!(parse("? [1]\n: 2\n").1, ["yaml-unsupported"]);
}

#[test]
fn what_is_not_read_is_said() {
    assert_eq!(parse("a: 1\na: 2\n").1, ["duplicate-key"]);
    assert_eq!(parse("a: 1\n---\nb: 2\n").1, ["yaml-unsupported"]);
    assert_eq!(parse("a: [1\n").1, ["yaml-syntax"]);
    assert_eq!(parse("a:\n\t- 1\n").1, ["yaml-syntax"]);
    assert_eq!(parse("a: no\n").1, ["yaml-version-difference"]);
    assert_eq!(parse("a: .inf\n").1, ["yaml-unsupported"]);
    assert_eq!(parse("a: 99999999999999999999\n").1, ["rounded-number"]);
    assert_eq!(parse("a: \u{1b}[2K\n").1, ["control-character"]);
    for deep in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let nested = |n: usize| format!("{}1{}", deep.0.repeat(n), deep.1.repeat(n));
        assert_ne!(parse(&nested(64)).0, json!("unread"), "{}", nested(64));
        assert_eq!(parse(&nested(65)).1, ["yaml-limit"]);
        assert_eq!(parse(&nested(100_000)).1, ["yaml-limit"]);
    }
    assert_eq!(parse("a: &a [*a]\n").0, json!("unread"));
    assert_eq!(parse(&" ".repeat(super::MAX_DOCUMENT_BYTES + 1)).1, ["yaml-limit"]);
}

#[test]
fn tags_are_refused_and_reading_goes_on() {
    assert_eq!(
        value("a: !!str 1\nb: !!int '2'\nc: !!map {}\n"),
        json!({"a": "1", "b": 2, "c": {}})
    );
    assert_eq!(parse("a: !!python/object:os.system x\nb: 1\n").1, ["yaml-unsupported"]);
    assert_eq!(parse("a: !x {b: 1}\n"), (json!({"a": {"b": 1}}), vec!["yaml-unsupported"]));
    let text = "a: !has(user.email)\nb: no\n";
    let (read, found) = parse(text);
    assert_eq!(read["a"], "!has(user.email)");
    assert_eq!(found, ["yaml-unsupported", "yaml-version-difference"]);
}

#[test]
fn values_that_need_quotes_get_them() {
    assert_eq!(fixed("a: !has(user.email) # x\n"), "a: '!has(user.email)' # x\n");
    assert_eq!(fixed("a: !x.y('z')\n"), "a: \"!x.y('z')\"\n");
    assert_eq!(fixed("a: *.csv\n"), "a: '*.csv'\n");
    assert_eq!(fixed("a: @x\n"), "a: '@x'\n");
    assert_eq!(fixed("- %x 'y' \"z\"\n"), "- '%x ''y'' \"z\"'\n");
    assert_eq!(fixed("a: off\n"), "a: false\n");
    assert_eq!(fixed("a: 1e5\n"), "a: \"1e5\"\n");
    assert!(finding("{a: !b, c: d}").fix.is_none());
}

#[test]
fn aliases_cannot_multiply_without_bound() {
    let line = |i: i32| {
        let uses = vec![format!("*a{}", i - 1); 10].join(", ");
        format!("a{i}: &a{i} [{uses}]\n")
    };
    let text = "a0: &a0 [x, x, x]\n".to_owned() + &(1..9).map(line).collect::<String>();
    assert_eq!(parse(&text).1, ["yaml-limit"]);
    let merges = |i: i32| format!("m{i}: &m{i} {{<<: [*m{}, *m{0}], k{i}: 1}}\n", i - 1);
    let text = "m0: &m0 {k: 1}\n".to_owned() + &(1..40).map(merges).collect::<String>();
    assert_ne!(parse(&text).0, json!({}));
}

#[test]
fn long_comments_are_no_problem() {
    let text = format!("{0}a:\n{0}  - 1\n", "  # c\n".repeat(5_000));
    assert_eq!(value(&text), json!({"a": [1]}));
}

#[test]
fn ends_of_lines_and_of_files() {
    assert_eq!(value("\u{feff}a: 1\r\nb: |\r\n  x\r\n  y\r\n"), json!({"a": 1, "b": "x\ny\n"}));
    assert_eq!(value("a: |\n  x"), json!({"a": "x"}));
    assert_eq!(value(""), json!(null));
    assert_eq!(value("# nothing\n"), json!(null));
    assert_eq!(value("---\na: 1\n...\n"), json!({"a": 1}));
}

#[test]
fn bytes_are_decoded_or_refused() {
    let file: Arc<str> = "f.yml".into();
    assert_eq!(&*decode(&file, b"a: \xc3\xa9").unwrap(), "a: é");
    assert_eq!(decode(&file, b"a: \xff").unwrap_err().code.slug, "not-utf-8");
    assert!(decode(&file, b"\xff\xfea\0").unwrap_err().message.contains("UTF-16"));
}

fn indicators() -> impl Strategy<Value = String> {
    prop::string::string_regex(
        "[-\\[\\]{}:,&*!|>'\"%@`#? \\n\\t\\r\\\\~<=.ab1é\u{feff}\u{2028}]{0,60}",
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![any::<String>(), indicators()]) {
        let (document, found) = read(&"f.yml".into(), &text);
        prop_assert!(document.is_some() || found.iter().any(Diagnostic::is_error));
        for finding in found {
            let edits = finding.fix.iter().flat_map(|fix| &fix.edits).map(|edit| edit.span);
            for span in finding.span.into_iter().chain(edits) {
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
            }
        }
        let mut pending: Vec<_> = document.iter().map(|d| &d.root).collect();
        while let Some(node) = pending.pop() {
            prop_assert!(text.get(node.span.start as usize..node.span.end as usize).is_some());
            pending.extend(node.items().unwrap_or(&[]));
            pending.extend(node.entries().unwrap_or(&[]).iter().map(|e| &e.value));
        }
    }

    /// Every character of a text is found where it stands, in every notation.
    #[test]
    fn any_place_in_a_text_is_found(text in indicators(), style in 0..6, width in 0..5_usize) {
        let source = write(&text, style, width);
        let (document, _) = read(&"f.yml".into(), &source);
        let Some(node) = document.as_ref().and_then(|d| d.root.get("k")) else { return Ok(()) };
        let super::Kind::String(read) = &node.kind else { return Ok(()) };
        let mut last = 0;
        for (at, character) in read.text.char_indices() {
            let span = node.locate(&source, at..at + character.len_utf8());
            let raw = span.of(&source);
            prop_assert!(span.start >= last, "{source:?} {at} {raw:?}");
            last = span.end;
            let stands = match (character, read.style) {
                ('\n' | ' ', _) if raw.contains(['\n', '\r']) || raw.is_empty() => true,
                ('\'', Style::Single) => raw == "''",
                (_, Style::Double) if raw.starts_with('\\') => {
                    value(&format!("\"{raw}\"")) == json!(character.to_string())
                }
                _ => raw.chars().eq([character]),
            };
            prop_assert!(stands, "{source:?} {character:?} at {at} is not {raw:?}");
        }
    }
}

/// A text as the value of a key, in one of the notations, folded where it has spaces.
fn write(text: &str, style: i32, width: usize) -> String {
    let block = |text: &str| {
        let indent = " ".repeat(width + 1);
        text.split('\n').fold(String::new(), |all, line| format!("{all}{indent}{line}\n"))
    };
    let folded = text.replace(' ', &format!("\n{}", " ".repeat(width + 1)));
    match style {
        0 => format!("k: {text}\n"),
        1 => format!("k: {folded}\n"),
        2 => format!("k: '{}'\n", folded.replace('\'', "''")),
        3 => format!("k: \"{}\"\n", folded.replace('"', "\\\"").replace('é', "\\u00e9")),
        4 => format!("k: |\n{}", block(text)),
        _ => format!("k: >{}\n{}", if width > 0 { "2" } else { "" }, block(text)),
    }
}
