//! The parser: precedence climbing over tokens, with recovery, so that one run reports every
//! mistake once. Macros become nodes of their own here.

mod macros;
mod primary;

use std::ops::Range;

use mxcp_schemas::diagnostic::Code;

use super::ast::{Binary, Expr, ExprId, Kind, Literal, Tree, Unary};
use super::code::{LIMIT, SYNTAX};
use super::lexer::{Token, TokenKind, tokens};
use super::{Finding, Stage};

/// Longest expression.
pub const MAX_SOURCE_BYTES: usize = 16 << 10;
/// Most nodes.
pub const MAX_NODES: usize = 4_096;
/// Deepest nesting.
pub const MAX_DEPTH: u32 = 200;
/// Longest text, and most octets, of one literal.
pub const MAX_LITERAL_BYTES: usize = 4 << 10;
/// Most items of a list, and entries of a map, that are written out.
pub const MAX_LITERAL_ITEMS: usize = 1_024;
/// Most mistakes that are reported for one expression.
const MAX_FINDINGS: usize = 8;

/// Parses an expression. There is a tree unless the text is too long, empty or too deep; with errors
/// it holds `Invalid` where something could not be read.
pub fn parse(text: &str) -> (Option<Tree>, Vec<Finding>) {
    let mut found = Vec::new();
    if text.len() > MAX_SOURCE_BYTES {
        let message =
            format!("the condition has {} bytes; at most {MAX_SOURCE_BYTES} are read", text.len());
        return (None, vec![parse_finding(&LIMIT, text, message)]);
    }
    let tokens = tokens(text, &mut found);
    let mut parser =
        Parser { text, tokens, at: 0, nodes: Vec::new(), found, depth: 0, stopped: false };
    if parser.peek() == &TokenKind::End {
        return (None, vec![parse_finding(&SYNTAX, text, "the condition is empty")]);
    }
    let root = parser.expression();
    if !parser.stopped && parser.peek() != &TokenKind::End {
        parser.trailing();
    }
    let Parser { nodes, mut found, stopped, .. } = parser;
    found.sort_by_key(|f| f.range.start);
    found.truncate(MAX_FINDINGS);
    for finding in &mut found {
        finding.stage = Stage::Parse;
    }
    let tree = (!stopped).then(|| Tree { text: text.to_owned(), nodes, root });
    (tree, found)
}

fn parse_finding(code: &'static Code, text: &str, message: impl Into<String>) -> Finding {
    Finding { stage: Stage::Parse, ..Finding::new(code, 0..text.len(), message) }
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    nodes: Vec<Expr>,
    found: Vec<Finding>,
    depth: u32,
    /// a limit was hit, and nothing more is read
    stopped: bool,
}

impl Parser<'_> {
    fn expression(&mut self) -> ExprId {
        let condition = self.binary(1);
        if !self.take("?") {
            return condition;
        }
        if !self.enter() {
            return self.invalid();
        }
        let yes = self.binary(1);
        self.expect(":", "a `?` needs a `:` and a second value");
        let no = self.expression();
        self.depth -= 1;
        let range = self.range(condition).start..self.range(no).end;
        self.node(range, Kind::Ternary { condition, yes, no })
    }

    fn binary(&mut self, power: u8) -> ExprId {
        if !self.enter() {
            return self.invalid();
        }
        let mut left = self.unary();
        while let Some((op, op_range)) = self.operator(power) {
            let right = self.binary(op.power() + 1);
            let range = self.range(left).start..self.range(right).end;
            left = self.node(range, Kind::Binary { op, op_range, left, right });
        }
        self.depth -= 1;
        left
    }

    /// The next operator, if it binds at least as tightly.
    fn operator(&mut self, power: u8) -> Option<(Binary, Range<usize>)> {
        if self.stopped {
            return None;
        }
        let token = self.tokens.get(self.at)?;
        let range = token.range.clone();
        let (op, slip) = match &token.kind {
            TokenKind::Punct(mark) => (punctuation(mark)?, None),
            TokenKind::Ident(word) if word == "in" => (Binary::In, None),
            TokenKind::Ident(word) => {
                let meant = match word.to_ascii_lowercase().as_str() {
                    "and" => Binary::And,
                    "or" => Binary::Or,
                    "is" | "eq" | "equals" => Binary::Equal,
                    "ne" => Binary::NotEqual,
                    _ => return None,
                };
                (meant, Some(word.clone()))
            }
            _ => return None,
        };
        if op.power() < power {
            return None;
        }
        self.at += 1;
        if let Some(word) = slip {
            let symbol = op.symbol();
            self.found.push(
                Finding::new(&SYNTAX, range.clone(), format!("there is no operator `{word}`"))
                    .help(format!("write `{symbol}`"))
                    .replace(format!("write `{symbol}`"), range.clone(), symbol),
            );
        }
        Some((op, range))
    }

    fn unary(&mut self) -> ExprId {
        let start = self.here();
        if self.word_is("not") && !self.next_is("(", 1) {
            self.found.push(
                Finding::new(&SYNTAX, start.clone(), "there is no operator `not`")
                    .help("write `!`")
                    .replace("write `!`", start.clone(), "!"),
            );
            self.at += 1;
            return self.prefixed(start, Unary::Not);
        }
        if self.take("!") {
            return self.prefixed(start, Unary::Not);
        }
        if self.take("-") {
            return self.negative(start);
        }
        self.member()
    }

    fn prefixed(&mut self, start: Range<usize>, op: Unary) -> ExprId {
        if !self.enter() {
            return self.invalid();
        }
        let operand = self.unary();
        self.depth -= 1;
        let range = start.start..self.range(operand).end;
        self.node(range, Kind::Unary(op, operand))
    }

    /// A minus in front of a number belongs to it, so that the least integer can be written.
    fn negative(&mut self, start: Range<usize>) -> ExprId {
        let token = self.tokens.get(self.at).cloned();
        let literal = match token.as_ref().map(|t| &t.kind) {
            Some(TokenKind::Int(digits)) => primary::integer(digits, true).map(Literal::Int),
            Some(TokenKind::Double(value)) => Some(Literal::Double(-value)),
            _ => return self.prefixed(start, Unary::Minus),
        };
        self.at += 1;
        let range = start.start..token.map_or(start.end, |t| t.range.end);
        let first = match literal {
            Some(literal) => self.node(range, Kind::Literal(literal)),
            None => self.bad_number(range),
        };
        self.suffixes(first)
    }

    fn trailing(&mut self) {
        let range = self.here();
        let found = self.text.get(range.clone()).unwrap_or("").to_owned();
        let mut finding = Finding::new(&SYNTAX, range, format!("`{found}` does not belong here"));
        finding = match self.peek() {
            TokenKind::Punct(")" | "]" | "}") => finding.help("it closes nothing"),
            TokenKind::Punct(_) => finding,
            _ => finding.help("an operator is missing before it: `&&`, `||`, `==` …"),
        };
        if self.peek() != &TokenKind::Bad {
            self.found.push(finding);
        }
    }

    // --- tokens ---

    fn peek(&self) -> &TokenKind {
        self.tokens.get(self.at).map_or(&TokenKind::End, |t| &t.kind)
    }

    fn here(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens.get(self.at).map_or(end..end, |t| t.range.clone())
    }

    fn take(&mut self, mark: &str) -> bool {
        let taken = !self.stopped && matches!(self.peek(), TokenKind::Punct(m) if *m == mark);
        self.at += usize::from(taken);
        taken
    }

    fn next_is(&self, mark: &str, ahead: usize) -> bool {
        matches!(self.tokens.get(self.at + ahead).map(|t| &t.kind),
            Some(TokenKind::Punct(m)) if *m == mark)
    }

    fn word_is(&self, word: &str) -> bool {
        matches!(self.peek(), TokenKind::Ident(found) if found == word)
    }

    fn expect(&mut self, mark: &'static str, problem: &str) {
        if self.take(mark) || self.stopped {
            return;
        }
        let range = self.here();
        if self.peek() == &TokenKind::Bad {
            self.at += 1;
            return;
        }
        // At the end the place is behind the last character.
        self.found.push(
            Finding::new(&SYNTAX, range, problem.to_owned()).help(format!("`{mark}` is missing")),
        );
    }

    /// Goes on behind the bracket that closes what is open, or stays in front of the end.
    fn skip_to(&mut self, close: &str) {
        let mut open = 0_u32;
        loop {
            match self.peek() {
                TokenKind::End => return,
                TokenKind::Punct("(" | "[" | "{") => open += 1,
                TokenKind::Punct(mark @ (")" | "]" | "}")) => {
                    if open == 0 {
                        self.at += usize::from(*mark == close);
                        return;
                    }
                    open -= 1;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    // --- nodes ---

    fn node(&mut self, range: Range<usize>, kind: Kind) -> ExprId {
        let below = children(&kind).into_iter().map(|id| self.depth_of(id)).max();
        let depth = below.map_or(0, |d| d + 1);
        if depth > MAX_DEPTH || self.nodes.len() >= MAX_NODES {
            self.stop(range.clone());
        }
        let id = ExprId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Expr { range, kind, depth });
        id
    }

    fn invalid(&mut self) -> ExprId {
        let range = self.here();
        self.node(range, Kind::Invalid)
    }

    fn depth_of(&self, id: ExprId) -> u32 {
        self.nodes.get(id.0 as usize).map_or(0, |n| n.depth)
    }

    fn range(&self, id: ExprId) -> Range<usize> {
        self.nodes.get(id.0 as usize).map_or(0..0, |n| n.range.clone())
    }

    /// One level deeper; `false` when that is too deep.
    fn enter(&mut self) -> bool {
        self.depth += 1;
        if self.stopped || self.depth > MAX_DEPTH {
            let range = self.here();
            self.stop(range);
            self.depth -= 1;
            return false;
        }
        true
    }

    fn stop(&mut self, range: Range<usize>) {
        if !self.stopped {
            self.stopped = true;
            let message =
                format!("the condition has more than {MAX_NODES} parts or {MAX_DEPTH} levels");
            self.found.push(Finding::new(&LIMIT, range, message));
        }
    }
}

fn punctuation(mark: &str) -> Option<Binary> {
    Some(match mark {
        "||" => Binary::Or,
        "&&" => Binary::And,
        "<" => Binary::Less,
        "<=" => Binary::LessEqual,
        ">" => Binary::Greater,
        ">=" => Binary::GreaterEqual,
        "==" => Binary::Equal,
        "!=" => Binary::NotEqual,
        "+" => Binary::Add,
        "-" => Binary::Subtract,
        "*" => Binary::Multiply,
        "/" => Binary::Divide,
        "%" => Binary::Modulo,
        _ => return None,
    })
}

/// The nodes below one.
pub(super) fn children(kind: &Kind) -> Vec<ExprId> {
    match kind {
        Kind::Literal(_) | Kind::Ident(_) | Kind::Invalid => Vec::new(),
        Kind::Select { operand, .. } | Kind::Has { operand, .. } | Kind::Unary(_, operand) => {
            vec![*operand]
        }
        Kind::Index { operand, index, .. } => vec![*operand, *index],
        Kind::Call { target, args, .. } => target.iter().chain(args).copied().collect(),
        Kind::Binary { left, right, .. } => vec![*left, *right],
        Kind::Ternary { condition, yes, no } => vec![*condition, *yes, *no],
        Kind::List(items) => items.iter().map(|(id, _)| *id).collect(),
        Kind::Map(entries) => entries.iter().flat_map(|(k, v, _)| [*k, *v]).collect(),
        Kind::Comprehension { over, filter, body, .. } => {
            [Some(*over), *filter, Some(*body)].into_iter().flatten().collect()
        }
        Kind::Bind { value, body, .. } => vec![*value, *body],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problems(text: &str) -> Vec<(String, &str)> {
        let (_, found) = parse(text);
        found.into_iter().map(|f| (f.message, text.get(f.range).unwrap_or("?"))).collect()
    }

    #[test]
    fn what_people_write_is_understood_and_corrected() {
        let told = |text| problems(text).into_iter().map(|(m, _)| m).collect::<Vec<_>>().join("; ");
        assert_eq!(told("a && b || !c"), "");
        assert_eq!(told("a = 1"), "there is no operator `=`");
        assert_eq!(
            told("a and b or not c"),
            "there is no operator `and`; there is no operator `or`; there is no operator `not`"
        );
        assert_eq!(told("a <> b"), "there is no operator `<>`");
        assert_eq!(told("a & b"), "there is no operator `&`");
        assert_eq!(told("'abc"), "the text has no closing quote");
        assert_eq!(told("a == \u{201c}x\u{201d}").matches("has no meaning").count(), 2);
        assert_eq!(told("1 +"), "a value is missing here");
        assert_eq!(told("f(1, 2"), "the call has no end");
        assert_eq!(told("a b"), "`b` does not belong here");
        assert!(told("Foo{a: 1}").contains("messages"));
        assert_eq!(told(""), "the condition is empty");
        assert_eq!(told("a)"), "`)` does not belong here");
    }

    #[test]
    fn nesting_and_length_are_limited() {
        assert!(told_limit(&"(".repeat(5_000)));
        assert!(told_limit(&"!".repeat(5_000)));
        assert!(told_limit(&format!("a{}", ".b".repeat(5_000))));
        assert!(told_limit(&vec!["a"; 5_000].join("&&")));
        assert!(told_limit(&format!("'{}'", "x".repeat(20_000))));
        assert!(told_limit(&"a?b:".repeat(1_000)));
        assert!(told_limit(&"[".repeat(3_000)));
    }

    #[test]
    fn literals_are_limited() {
        let text = |bytes: usize| "x".repeat(bytes);
        let items = |count: usize| vec!["1"; count].join(",");
        let entries = |count: usize| vec!["1:1"; count].join(",");
        let (bytes, most) = (MAX_LITERAL_BYTES, MAX_LITERAL_ITEMS);
        for (literal, told) in [
            (format!("'{}'", text(bytes)), None),
            (
                format!("'{}'", text(bytes + 1)),
                Some("the text has 4097 bytes; at most 4096 are read"),
            ),
            // What is counted is what the literal means.
            (format!("'{}'", r"\n".repeat(bytes)), None),
            (
                format!("'{}'", "\u{e9}".repeat(bytes)),
                Some("the text has 8192 bytes; at most 4096 are read"),
            ),
            (format!("b'{}'", text(bytes)), None),
            (format!("b'{}'", text(bytes + 1)), Some("the octets are 4097; at most 4096 are read")),
            (format!("[{}]", items(most)), None),
            (
                format!("[{}]", items(most + 1)),
                Some("the list has 1025 items; at most 1024 are read"),
            ),
            (format!("{{{}}}", entries(most)), None),
            (
                format!("{{{}}}", entries(most + 1)),
                Some("the map has 1025 entries; at most 1024 are read"),
            ),
        ] {
            let text = format!("x == {literal} || y");
            let expected = told.map(|message| (message.to_owned(), literal.as_str()));
            assert_eq!(problems(&text), expected.into_iter().collect::<Vec<_>>());
        }
    }

    fn told_limit(text: &str) -> bool {
        parse(text).1.iter().any(|f| f.code.slug == "cel-limit")
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "(?s).{0,80}") {
            let (tree, found) = parse(&text);
            prop_assert!(tree.is_some() || !found.is_empty());
            for finding in found {
                prop_assert!(text.get(finding.range.clone()).is_some(), "{:?}", finding);
            }
        }

        #[test]
        fn any_tokens_are_parsed_or_refused(
            words in prop::collection::vec(
                prop::sample::select(vec!["a", "1", "'s'", "+", "&&", "(", ")", "[", "]", "{", "}", ".",
                    ",", "?", ":", "!", "-", "in", "has", "all", "has(a.b)", "x.all(y, y)", "=", "r'", "`"]),
                0..24),
        ) {
            let text = words.join(" ");
            let (tree, found) = parse(&text);
            prop_assert!(tree.is_some() || !found.is_empty());
            let invalid = tree.is_some_and(|t| t.nodes.iter().any(|n| n.kind == Kind::Invalid));
            prop_assert!(!invalid || !found.is_empty());
        }
    }
}
