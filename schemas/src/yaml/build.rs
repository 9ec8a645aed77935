//! From parser events to the tree, with an explicit stack and counted nodes.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span as RawSpan, Tag};

use super::{
    Comment, DUPLICATE_KEY, Document, Entry, Kind, LIMIT, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES,
    Node, SYNTAX, Style, Text, UNSUPPORTED, YAML_1_2, scalar,
};
use crate::diagnostic::{Code, Diagnostic, Span};

/// Reads one document. Without one, the diagnostics say why.
pub fn read(file: &Arc<str>, text: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let mut builder = Builder {
        file,
        text,
        found: Vec::new(),
        comments: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        documents: 0,
    };
    let complete = text.len() <= MAX_DOCUMENT_BYTES && builder.run();
    if text.len() > MAX_DOCUMENT_BYTES {
        builder.report(
            &LIMIT,
            None,
            format!("the file has {} bytes; at most {MAX_DOCUMENT_BYTES} are read", text.len()),
        );
    }
    let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let root = builder.root.unwrap_or(Node { span: Span::new(0, end), kind: Kind::Null });
    let document = Document { root, comments: builder.comments };
    (complete.then_some(document), builder.found)
}

struct Builder<'a> {
    file: &'a Arc<str>,
    text: &'a str,
    found: Vec<Diagnostic>,
    comments: Vec<Comment>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    documents: usize,
}

/// A list or map whose end has not come.
struct Open {
    span: Span,
    anchor: usize,
    /// nodes counted before it
    before: usize,
    kind: OpenKind,
}

enum OpenKind {
    Seq(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Span)>, Vec<(Node, Span)>),
}

impl Builder<'_> {
    /// Whether the whole text was read.
    fn run(&mut self) -> bool {
        let text = self.text;
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => {
                    let span = self.span(&span);
                    if !self.event(event, span) {
                        return false;
                    }
                }
                Err(error) => {
                    let at = self.offset(error.marker().byte_offset(), error.marker().index());
                    let mut finding = Diagnostic::new(
                        &SYNTAX,
                        self.file,
                        self.character_at(at),
                        format!("this is not valid YAML: {}", error.info()),
                    );
                    let line = text.get(..at as usize).and_then(|t| t.rsplit('\n').next());
                    let rest = text.get(at as usize..).unwrap_or("");
                    if line.is_some_and(|l| l.trim_matches(' ').is_empty())
                        && rest.starts_with('\t')
                    {
                        finding = finding.help("indent with spaces; YAML does not allow tabs here");
                    }
                    self.found.push(finding);
                    return false;
                }
            }
        }
        true
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "the file holds several documents; one is read".to_owned();
                    self.report(&UNSUPPORTED, Some(span), message);
                    return false;
                }
                true
            }
            Event::Comment(text, _) => {
                self.comments.push(Comment { span, text: text.trim().to_owned() });
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                let Some(node) = self.scalar(&text, style, tag.as_deref(), span) else {
                    return false;
                };
                self.node(node, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(span, anchor, tag.as_deref(), OpenKind::Seq(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let kind = OpenKind::Map(Vec::new(), None, Vec::new());
                self.begin(span, anchor, tag.as_deref(), kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => true,
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, kind: OpenKind) -> bool {
        let core = match kind {
            OpenKind::Seq(_) => "seq",
            OpenKind::Map(..) => "map",
        };
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema_tag(core)
        {
            self.report(
                &UNSUPPORTED,
                Some(span),
                format!("the tag `{}` is not read", tag.original()),
            );
            return false;
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            self.report(&LIMIT, Some(span), message);
            return false;
        }
        self.open.push(Open { span, anchor, before: self.nodes, kind });
        true
    }

    fn end(&mut self, end: Span) -> bool {
        let Some(open) = self.open.pop() else { return true };
        let count = self.nodes - open.before + 1;
        let (kind, last) = match open.kind {
            OpenKind::Seq(items) => {
                let last = items.last().map(|n| n.span.end);
                (Kind::Seq(items), last)
            }
            OpenKind::Map(entries, _, merges) => {
                let last = entries.last().map(|e| e.value.span.end.max(e.key_span.end));
                (Kind::Map(self.merged(entries, merges)), last)
            }
        };
        // A block collection ends where its last part ends, not where the next token begins.
        let block = !matches!(end.of(self.text), "]" | "}");
        let stop = if block { last.unwrap_or(open.span.end) } else { end.end };
        let span = Span::new(open.span.start, stop.max(open.span.start));
        self.node(Node { span, kind }, open.anchor, count)
    }

    /// Puts a finished node where it belongs.
    fn node(&mut self, node: Node, anchor: usize, count: usize) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} nodes, aliases expanded");
            self.report(&LIMIT, Some(node.span), message);
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count));
        }
        let duplicate = match self.open.last_mut().map(|open| &mut open.kind) {
            None => {
                self.root = Some(node);
                None
            }
            Some(OpenKind::Seq(items)) => {
                items.push(node);
                None
            }
            Some(OpenKind::Map(entries, key, merges)) => match key.take() {
                None => {
                    let Some(text) = key_text(&node, self.text) else {
                        let message = "a key must be text".to_owned();
                        self.report(&UNSUPPORTED, Some(node.span), message);
                        return false;
                    };
                    *key = Some((text, node.span));
                    None
                }
                Some((key, span)) if key == "<<" => {
                    merges.push((node, span));
                    None
                }
                Some((key, key_span)) => {
                    let earlier = entries.iter().find(|e| e.key == key).map(|e| e.key_span);
                    if earlier.is_none() {
                        entries.push(Entry { key, key_span, value: node });
                        None
                    } else {
                        earlier.map(|earlier| (key, key_span, earlier))
                    }
                }
            },
        };
        if let Some((key, span, earlier)) = duplicate {
            let finding = Diagnostic::new(
                &DUPLICATE_KEY,
                self.file,
                span,
                format!("`{key}` stands twice here"),
            )
            .related(self.file, earlier, "first here");
            self.found.push(finding);
        }
        true
    }

    fn alias(&mut self, anchor: usize, span: Span) -> bool {
        let Some((node, count)) = self.anchors.get(&anchor).cloned() else {
            let message = "this alias stands inside what it names".to_owned();
            self.report(&UNSUPPORTED, Some(span), message);
            return false;
        };
        if self.open.len() + depth(&node) > MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            self.report(&LIMIT, Some(span), message);
            return false;
        }
        self.nodes += count - 1;
        self.node(node, 0, count)
    }

    /// `<<: *base` adds the entries of `base` that the map does not have itself.
    fn merged(&mut self, mut entries: Vec<Entry>, merges: Vec<(Node, Span)>) -> Vec<Entry> {
        for (node, span) in merges {
            let sources: Vec<Node> = match node.kind {
                Kind::Seq(items) => items,
                _ => vec![node],
            };
            for source in sources {
                let Kind::Map(from) = source.kind else {
                    let message = "`<<` merges maps, and this is none".to_owned();
                    self.report(&UNSUPPORTED, Some(span), message);
                    continue;
                };
                for entry in from {
                    if !entries.iter().any(|e| e.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
        }
        entries
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Option<Node> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let string = || Kind::String(Text { text: text.to_owned(), style });
        let kind = match tag {
            Some(tag) if tag.is_yaml_core_schema_tag("str") => string(),
            Some(tag) => match (tag.core_suffix(), scalar::resolve(text).0) {
                (Some("null"), kind @ Kind::Null)
                | (Some("bool"), kind @ Kind::Bool(_))
                | (Some("int"), kind @ Kind::Int(_))
                | (Some("float"), kind @ Kind::Float(_)) => kind,
                _ => {
                    let message = format!("the tag `{}` is not read here", tag.original());
                    self.report(&UNSUPPORTED, Some(span), message);
                    return None;
                }
            },
            None if style == Style::Plain => {
                let (kind, differs) = scalar::resolve(text);
                if let Some(other) = differs {
                    self.differs(text, &kind, other, span);
                }
                kind
            }
            None => string(),
        };
        Some(Node { span, kind })
    }

    fn differs(&mut self, text: &str, kind: &Kind, other: &str, span: Span) {
        let (read, write) = match kind {
            Kind::Bool(value) => (format!("`{value}`"), value.to_string()),
            Kind::Int(value) => (format!("`{value}`"), value.to_string()),
            Kind::Float(value) => (format!("`{value}`"), value.to_string()),
            _ => ("a text".to_owned(), format!("\"{text}\"")),
        };
        let message = format!("`{text}` is read as {read}; YAML 1.2 would read {other}");
        let finding = Diagnostic::new(&YAML_1_2, self.file, span, message)
            .help(format!("write `{write}`, or put it in quotes if it is meant as text"));
        self.found.push(finding);
    }

    fn report(&mut self, code: &'static Code, span: Option<Span>, message: String) {
        self.found.push(Diagnostic::new(code, self.file, span, message));
    }

    fn span(&self, span: &RawSpan) -> Span {
        Span::new(
            self.offset(span.start.byte_offset(), span.start.index()),
            self.offset(span.end.byte_offset(), span.end.index()),
        )
    }

    fn offset(&self, bytes: Option<usize>, characters: usize) -> u32 {
        let offset = bytes.unwrap_or_else(|| {
            self.text.char_indices().nth(characters).map_or(self.text.len(), |(at, _)| at)
        });
        u32::try_from(offset.min(self.text.len())).unwrap_or(u32::MAX)
    }

    fn character_at(&self, at: u32) -> Span {
        let rest = self.text.get(at as usize..).unwrap_or("");
        let length = rest.chars().next().map_or(0, char::len_utf8);
        Span::new(at, at + u32::try_from(length).unwrap_or(0))
    }
}

/// The text of a key; numbers and booleans count as they are written.
fn key_text(node: &Node, source: &str) -> Option<String> {
    match &node.kind {
        Kind::String(text) => Some(text.text.clone()),
        Kind::Seq(_) | Kind::Map(_) => None,
        _ => Some(node.span.of(source).to_owned()),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Seq(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(text: &str) -> (serde_json::Value, Vec<&'static str>) {
        let (document, found) = read(&"f.yml".into(), text);
        let value = document.map_or(json!("unread"), |d| d.root.to_json());
        (value, found.iter().map(|d| d.code.slug).collect())
    }

    #[test]
    fn values_spans_and_comments_are_kept() {
        let text = "# top\ntool:\n  name: a # beside\n  list: [1, 'x']\n";
        let (document, found) = read(&"f.yml".into(), text);
        assert!(found.is_empty());
        let document = document.unwrap();
        let comments: Vec<&str> = document.comments.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(comments, ["top", "beside"]);
        let tool = document.root.get("tool").unwrap();
        assert_eq!(tool.span.of(text), "name: a # beside\n  list: [1, 'x']");
        assert_eq!(tool.get("list").unwrap().span.of(text), "[1, 'x']");
        assert_eq!(tool.entries().unwrap()[0].key_span.of(text), "name");
    }

    #[test]
    fn aliases_and_merges_work_as_in_pyyaml() {
        let text = "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n";
        let expected = json!({"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}, "c": {"p": 1, "q": 2}});
        assert_eq!(parse(text), (expected, vec![]));
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert_eq!(parse("a: 1\na: 2\n").1, ["duplicate-key"]);
        assert_eq!(parse("a: 1\n---\nb: 2\n").1, ["yaml-unsupported"]);
        assert_eq!(parse("a: !python/object x\n").1, ["yaml-unsupported"]);
        assert_eq!(parse("a: [1\n").1, ["yaml-syntax"]);
        assert_eq!(parse("a:\n\t- 1\n").1, ["yaml-syntax"]);
        assert_eq!(parse("a: no\n").1, ["yaml-version-difference"]);
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        assert_eq!(parse(&deep).1, ["yaml-limit"]);
        assert_eq!(parse("a: &a [*a]\n").0, json!("unread"));
    }

    #[test]
    fn aliases_cannot_multiply_without_bound() {
        let line = |i: i32| {
            let uses = vec![format!("*a{}", i - 1); 10].join(", ");
            format!("a{i}: &a{i} [{uses}]\n")
        };
        let text = "a0: &a0 [x, x, x]\n".to_owned() + &(1..9).map(line).collect::<String>();
        assert_eq!(parse(&text).1, ["yaml-limit"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
            let (document, found) = read(&"f.yml".into(), &text);
            prop_assert!(document.is_some() || !found.is_empty());
            for finding in found {
                if let Some(span) = finding.span {
                    prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
                }
            }
        }

        #[test]
        fn any_mix_of_indicators_is_read_or_refused(text in r#"[-\[\]{}:,&*!|>'"%@`#? \n\tab1]{0,80}"#) {
            let (document, _) = read(&"f.yml".into(), &text);
            if let Some(document) = document {
                for entry in document.root.entries().unwrap_or(&[]) {
                    let length = entry.value.as_str().map_or(0, str::len);
                    let _ = entry.value.locate(&text, 0..length);
                }
            }
        }
    }
}
