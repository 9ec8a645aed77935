//! From parser events to the tree, with an explicit stack and counted nodes.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span as RawSpan, Tag};

use super::problem::{explain, quote, rest_of_line};
use super::scalar::{self, Scalar};
use super::{
    Comment, DUPLICATE_KEY, Document, Entry, Kind, LIMIT, MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_NODES,
    Node, ROUNDED, Style, Text, UNSUPPORTED, YAML_1_2, character,
};
use crate::diagnostic::{Code, Diagnostic, Edit, Fix, Span};

/// Maps up to this many keys are searched, larger ones indexed.
const SEARCHED_KEYS: usize = 16;

/// Reads one document. Without one, the diagnostics say why. With one, they may still hold errors
/// about single values of it.
pub fn read(file: &Arc<str>, text: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    if text.len() > MAX_DOCUMENT_BYTES {
        let message =
            format!("the file has {} bytes; at most {MAX_DOCUMENT_BYTES} are read", text.len());
        return (None, vec![Diagnostic::new(&LIMIT, file, None, message)]);
    }
    if !character::check(file, text, &mut found) {
        return (None, found);
    }
    let mut builder = Builder {
        file,
        text,
        found,
        comments: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        documents: 0,
    };
    let complete = builder.run();
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
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    /// a key whose value has not come
    key: Option<Key>,
    /// the value of `<<`
    merge: Option<(Node, Span)>,
    /// places of keys in `entries`, once there are many
    index: HashMap<String, usize>,
}

struct Key {
    text: String,
    span: Span,
    merge: bool,
}

/// A tag as it stands before a value.
#[derive(Clone, Copy)]
struct Tagged<'t> {
    tag: &'t Tag,
    start: u32,
}

impl Builder<'_> {
    /// Whether the whole text was read.
    fn run(&mut self) -> bool {
        let text = self.text;
        let options = granit_parser::options! {
            // As PyYAML reads the last line of a block scalar that has no line break.
            block_scalar_eof_without_line_feed: true,
            emit_unresolved_aliases: true,
            // A file may begin with a long comment; its bytes are limited already.
            max_buffered_comment_events: usize::MAX,
            // One deeper than we allow, so that our own check speaks first.
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        let mut parser = Parser::new_from_str_with_options(text, options);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, raw)) => {
                    if !self.event(event, &raw) {
                        return false;
                    }
                }
                Err(error) => {
                    let at = self.offset(error.marker().byte_offset(), error.marker().index());
                    self.found.push(explain(self.file, text, &error, at as usize));
                    return false;
                }
            }
        }
        true
    }

    fn event(&mut self, event: Event<'_>, raw: &RawSpan) -> bool {
        let span = self.span(raw);
        let start = raw.tag_start().map(|at| self.offset(at.byte_offset(), at.index()));
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document begins here; a file holds one";
                    self.report(&UNSUPPORTED, span, message.to_owned())
                        .help
                        .push("remove the `---`, or move what follows to a file of its own".into());
                    return false;
                }
                true
            }
            Event::Comment(text, _) => {
                self.comments.push(Comment { span, text: text.trim().to_owned() });
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_deref().zip(start).map(|(tag, start)| Tagged { tag, start });
                let node = self.scalar(&text, style, tag, span);
                self.node(node, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = tag.as_deref().zip(start).map(|(tag, start)| Tagged { tag, start });
                self.begin(span, anchor, tag, OpenKind::Seq(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = tag.as_deref().zip(start).map(|(tag, start)| Tagged { tag, start });
                self.begin(span, anchor, tag, OpenKind::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                let fix = self.unquoted(span.start);
                let finding =
                    self.report(&UNSUPPORTED, span, format!("there is no anchor `&{name}`"));
                finding.help.push("a text that begins with `*` needs quotes".to_owned());
                finding.fix = fix;
                let node = plain(span, span.of(self.text));
                self.node(node, 0, 1)
            }
            _ => true,
        }
    }

    fn begin(
        &mut self,
        span: Span,
        anchor: usize,
        tag: Option<Tagged<'_>>,
        kind: OpenKind,
    ) -> bool {
        let core = match kind {
            OpenKind::Seq(_) => "seq",
            OpenKind::Map(_) => "map",
        };
        if let Some(tagged) = tag.filter(|tagged| !tagged.tag.is_yaml_core_schema_tag(core)) {
            let original = tagged.tag.original().clone();
            self.report(
                &UNSUPPORTED,
                token(self.text, tagged.start, &original),
                format!("the tag `{original}` is not read here"),
            );
        }
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            self.report(&LIMIT, span, message);
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
            OpenKind::Map(map) => {
                let last = map.entries.last().map(|e| e.value.span.end.max(e.key_span.end));
                let merged = map.merge.as_ref().map(|(node, span)| node.span.end.max(span.end));
                (Kind::Map(self.merged(map)), last.max(merged))
            }
        };
        // A block collection ends where its last part ends, not where the next token begins.
        let block = !matches!(end.of(self.text), "]" | "}");
        let stop = if block { last.unwrap_or(open.span.end) } else { end.end };
        let span = Span::new(open.span.start, stop.max(open.span.start));
        self.node(Node { span, kind }, open.anchor, count)
    }

    /// Puts a finished node where it belongs.
    fn node(&mut self, mut node: Node, anchor: usize, count: usize) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.too_many(node.span);
            return false;
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::Seq(items)) => items.push(node),
            Some(OpenKind::Map(map)) => match map.key.take() {
                None => return self.key(node),
                Some(key) => {
                    if node.kind == Kind::Null && node.span.is_empty() {
                        // Nothing stands there; what is said about it is said at the key.
                        node.span = key.span;
                    }
                    if let Some(earlier) = map.add(&key, node) {
                        let message = format!("`{}` stands twice here", key.text);
                        let finding = Diagnostic::new(&DUPLICATE_KEY, self.file, key.span, message)
                            .related(self.file, earlier, "first here")
                            .help("join the two, or remove one");
                        self.found.push(finding);
                    }
                }
            },
        }
        true
    }

    /// Takes a node as the key of the innermost map. Keys are texts as they are written.
    fn key(&mut self, node: Node) -> bool {
        let written = node.span.of(self.text);
        let (text, plain) = match node.kind {
            Kind::String(text) => {
                let plain = text.style == Style::Plain;
                // The parser gives a key that is left out as `~` without a place.
                (Some(text.text).filter(|_| !plain || !written.is_empty()), plain)
            }
            Kind::Seq(_) | Kind::Map(_) => (None, false),
            _ => (Some(written.to_owned()).filter(|text| !text.is_empty()), true),
        };
        let Some(text) = text else {
            self.report(&UNSUPPORTED, node.span, "a key must be a text".to_owned())
                .help
                .push("write a plain `key:`".to_owned());
            return false;
        };
        let merge = plain && text == "<<";
        if let (true, Some(truth)) = (plain, scalar::word_1_1(&text)) {
            let message =
                format!("the key `{text}` is read as a text; YAML 1.1 reads it as `{truth}`");
            self.report(&YAML_1_2, node.span, message)
                .help
                .push("put the key in quotes".to_owned());
        }
        if let Some(OpenKind::Map(map)) = self.open.last_mut().map(|open| &mut open.kind) {
            map.key = Some(Key { text, span: node.span, merge });
        }
        true
    }

    /// Whether the next node is a key.
    fn at_key(&self) -> bool {
        matches!(self.open.last().map(|open| &open.kind), Some(OpenKind::Map(map)) if map.key.is_none())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> bool {
        let Some((node, count)) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside what it names".to_owned();
            self.report(&UNSUPPORTED, span, message)
                .help
                .push("write the value out; nothing can hold itself".to_owned());
            return false;
        };
        let count = *count;
        if self.open.len() + depth(node) > MAX_DEPTH {
            let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
            self.report(&LIMIT, span, message);
            return false;
        }
        // Counted before it is copied, so that no more is ever copied than may be read.
        self.nodes += count - 1;
        if self.nodes >= MAX_NODES {
            self.too_many(span);
            return false;
        }
        let node = node.clone();
        self.node(node, 0, count)
    }

    /// `<<: *base` adds the entries of `base` that the map does not have itself, before its own;
    /// of several maps the first that has a key gives its value.
    fn merged(&mut self, map: OpenMap) -> Vec<Entry> {
        let Some((node, span)) = map.merge else { return map.entries };
        let sources = match node.kind {
            Kind::Seq(items) => items,
            _ => vec![node],
        };
        let mut merged = OpenMap::default();
        for source in sources.into_iter().rev() {
            let Kind::Map(entries) = source.kind else {
                self.report(&UNSUPPORTED, span, "`<<` merges maps, and this is none".to_owned());
                continue;
            };
            for entry in entries {
                merged.replace(entry);
            }
        }
        for entry in map.entries {
            merged.replace(entry);
        }
        merged.entries
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<Tagged<'_>>,
        span: Span,
    ) -> Node {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        let string = || Kind::String(Text { text: text.to_owned(), style });
        let (kind, span) = match tag {
            Some(tagged) if tagged.tag.is_yaml_core_schema_tag("str") => (string(), span),
            Some(tagged) => {
                return self.tagged(text, tagged, span).unwrap_or(Node { span, kind: string() });
            }
            None if style == Style::Plain && !self.at_key() => (self.plain(text, span), span),
            None => (string(), span),
        };
        let span = match style {
            // Empty lines behind a block scalar belong to nobody.
            Style::Literal | Style::Folded => {
                let raw = span.of(self.text);
                let content = raw.trim_end().len();
                let line = raw.get(content..).and_then(|rest| rest.find(['\n', '\r']));
                let length = line.map_or(raw.len(), |line| content + line);
                Span::new(span.start, span.start + u32::try_from(length).unwrap_or(0))
            }
            _ => span,
        };
        Node { span, kind }
    }

    /// The meaning of a plain scalar, with a word where versions of YAML differ about it.
    fn plain(&mut self, text: &str, span: Span) -> Kind {
        let (read, other) = scalar::resolve(text);
        if let Some(other) = other {
            self.differs(text, read, other, span);
        }
        match read {
            Scalar::Null => Kind::Null,
            Scalar::Bool(value) => Kind::Bool(value),
            Scalar::Int(value) => Kind::Int(value),
            Scalar::Big(value) => {
                let message = format!("`{text}` has more than 64 bits and is rounded");
                self.report(&ROUNDED, span, message)
                    .help
                    .push("put it in quotes if its digits matter".to_owned());
                Kind::Float(value)
            }
            Scalar::Float(value) if value.is_finite() => Kind::Float(value),
            Scalar::Float(_) => {
                let message = format!("`{text}` is no number that JSON knows");
                self.report(&UNSUPPORTED, span, message)
                    .help
                    .push("leave the bound out, or put a text in quotes".to_owned());
                Kind::Null
            }
            Scalar::Text => Kind::String(Text { text: text.to_owned(), style: Style::Plain }),
        }
    }

    /// A scalar with a tag other than `!!str`; `None` leaves it as the text that it is.
    fn tagged(&mut self, text: &str, tagged: Tagged<'_>, span: Span) -> Option<Node> {
        let kind = match (tagged.tag.core_suffix(), scalar::resolve(text).0) {
            (Some("null"), Scalar::Null) => Some(Kind::Null),
            (Some("bool"), Scalar::Bool(value)) => Some(Kind::Bool(value)),
            (Some("int"), Scalar::Int(value)) => Some(Kind::Int(value)),
            (Some("float"), Scalar::Float(value)) if value.is_finite() => Some(Kind::Float(value)),
            _ => None,
        };
        if let Some(kind) = kind {
            return Some(Node { span, kind });
        }
        let original = tagged.tag.original().clone();
        let place = token(self.text, tagged.start, &original);
        if original.starts_with("!!") || original == "!" {
            let message = format!("the tag `{original}` is not read here");
            self.report(&UNSUPPORTED, place, message)
                .help
                .push("remove the tag and write the value itself".to_owned());
            return None;
        }
        // `condition: !has(x)`: what was meant is a text.
        let fix = self.unquoted(tagged.start);
        let whole = rest_of_line(self.text, tagged.start as usize);
        let finding = self.report(
            &UNSUPPORTED,
            place,
            format!("`{original}` is read as a tag, because it begins with `!`"),
        );
        finding.help.push("put the whole value in quotes".to_owned());
        finding.fix = fix;
        Some(plain(whole, whole.of(self.text)))
    }

    /// The change that puts the rest of a line into quotes, unless it stands in brackets, where
    /// the value need not reach the end of the line.
    fn unquoted(&self, start: u32) -> Option<Fix> {
        let before = self.text.get(..start as usize)?;
        let line = before.rsplit('\n').next()?;
        (!line.contains(['{', '[']))
            .then(|| quote(self.text, rest_of_line(self.text, start as usize)))
    }

    fn differs(&mut self, text: &str, read: Scalar, other: Scalar, span: Span) {
        let (read_as, write) = match read {
            Scalar::Bool(value) => (format!("`{value}`"), value.to_string()),
            Scalar::Int(value) => (format!("`{value}`"), value.to_string()),
            Scalar::Float(value) | Scalar::Big(value) => {
                let number = serde_json::Value::from(value).to_string();
                (format!("`{number}`"), number)
            }
            Scalar::Null | Scalar::Text => ("a text".to_owned(), format!("\"{text}\"")),
        };
        let message =
            format!("`{text}` is read as {read_as}; YAML 1.2 would read {}", other.describe());
        let finding = self.report(&YAML_1_2, span, message);
        finding.help.push(if read == Scalar::Text {
            format!("write `{write}` for the text")
        } else {
            format!("write `{write}`, or put it in quotes if it is meant as text")
        });
        finding.fix = Some(Fix {
            title: format!("write `{write}`"),
            // It keeps what is read, and what is read was always meant so.
            safe: true,
            edits: vec![Edit { span, replacement: write }],
        });
    }

    fn too_many(&mut self, span: Span) {
        let message = format!("the file has more than {MAX_NODES} nodes, aliases expanded");
        self.report(&LIMIT, span, message).help.push(
            "every use of an alias counts with all that it stands for; split the file".into(),
        );
    }

    fn report(&mut self, code: &'static Code, span: Span, message: String) -> &mut Diagnostic {
        self.found.push(Diagnostic::new(code, self.file, span, message));
        let last = self.found.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "one was pushed just now")]
        &mut self.found[last]
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
}

impl OpenMap {
    fn find(&self, key: &str) -> Option<usize> {
        if self.entries.len() <= SEARCHED_KEYS {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            self.index.get(key).copied()
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == SEARCHED_KEYS {
            self.index = self.entries.iter().enumerate().map(|(i, e)| (e.key.clone(), i)).collect();
        }
        if self.entries.len() >= SEARCHED_KEYS {
            self.index.insert(entry.key.clone(), self.entries.len());
        }
        self.entries.push(entry);
    }

    /// Adds an entry; the place of an earlier one with the same key if there is one.
    fn add(&mut self, key: &Key, value: Node) -> Option<Span> {
        if key.merge {
            let earlier = self.merge.as_ref().map(|(_, span)| *span);
            if earlier.is_none() {
                self.merge = Some((value, key.span));
            }
            return earlier;
        }
        match self.find(&key.text).and_then(|at| self.entries.get(at)) {
            Some(earlier) => Some(earlier.key_span),
            None => {
                self.push(Entry { key: key.text.clone(), key_span: key.span, value });
                None
            }
        }
    }

    /// Adds an entry, in the place of an earlier one with the same key if there is one.
    fn replace(&mut self, entry: Entry) {
        match self.find(&entry.key).and_then(|at| self.entries.get_mut(at)) {
            Some(earlier) => *earlier = entry,
            None => self.push(entry),
        }
    }
}

fn plain(span: Span, text: &str) -> Node {
    Node { span, kind: Kind::String(Text { text: text.to_owned(), style: Style::Plain }) }
}

/// The span of a token that is known to stand at `start`.
fn token(text: &str, start: u32, token: &str) -> Span {
    let end = start.saturating_add(u32::try_from(token.len()).unwrap_or(0));
    let span = Span::new(start, end);
    if span.of(text) == token { span } else { rest_of_line(text, start as usize) }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Seq(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
        _ => 0,
    }
}
