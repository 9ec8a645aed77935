//! Literals, names, brackets, and what may follow them.

use std::ops::Range;

use super::super::Finding;
use super::super::ast::{ExprId, Kind, Literal};
use super::super::code::{BAD_LITERAL, LIMIT, NO_MESSAGES, SYNTAX};
use super::super::lexer::TokenKind;
use super::{MAX_LITERAL_BYTES, MAX_LITERAL_ITEMS, Parser};

/// Names that CEL keeps for later.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// Words that are no names anywhere; a field of that name is written in backticks.
const WORDS: [&str; 4] = ["false", "in", "null", "true"];

impl Parser<'_> {
    pub(super) fn member(&mut self) -> ExprId {
        let first = self.primary();
        self.suffixes(first)
    }

    pub(super) fn suffixes(&mut self, mut operand: ExprId) -> ExprId {
        while !self.stopped {
            if self.take(".") {
                operand = self.selection(operand);
            } else if self.take("[") {
                let optional = self.take("?");
                let index = self.expression();
                self.expect("]", "the index has no end");
                let range = self.range(operand).start..self.before();
                operand = self.node(range, Kind::Index { operand, index, optional });
            } else if self.next_is("{", 0) && self.is_name(operand) {
                operand = self.message(operand);
            } else {
                break;
            }
        }
        operand
    }

    fn selection(&mut self, operand: ExprId) -> ExprId {
        let optional = self.take("?");
        let name_range = self.here();
        let (name, quoted) = match self.peek().clone() {
            TokenKind::Ident(name) if !WORDS.contains(&name.as_str()) => (name, false),
            TokenKind::Quoted(name) => (name, true),
            TokenKind::Bad => {
                self.at += 1;
                return self.invalid();
            }
            _ => {
                let range = self.before_range();
                self.found.push(Finding::new(
                    &SYNTAX,
                    range,
                    "a field's name is missing after `.`",
                ));
                return self.invalid();
            }
        };
        self.at += 1;
        let start = self.range(operand).start;
        if !quoted && !optional && self.take("(") {
            let args = self.arguments(")", "the call has no end");
            let range = start..self.before();
            return self.call(range, Some(operand), name, name_range, args);
        }
        let range = start..name_range.end;
        self.node(range, Kind::Select { operand, field: name, field_range: name_range, optional })
    }

    fn primary(&mut self) -> ExprId {
        let range = self.here();
        let kind = self.peek().clone();
        match kind {
            TokenKind::Int(digits) => {
                self.at += 1;
                match integer(&digits, false) {
                    Some(value) => self.node(range, Kind::Literal(Literal::Int(value))),
                    None => self.bad_number(range),
                }
            }
            TokenKind::Uint(digits) => {
                self.at += 1;
                match natural(&digits) {
                    Some(value) => self.node(range, Kind::Literal(Literal::Uint(value))),
                    None => self.bad_number(range),
                }
            }
            TokenKind::Double(value) => self.literal(range, Literal::Double(value)),
            TokenKind::String(text) => self.literal(range, Literal::String(text)),
            TokenKind::Bytes(bytes) => self.literal(range, Literal::Bytes(bytes)),
            TokenKind::Ident(name) => self.name(range, name),
            TokenKind::Quoted(_) => {
                self.at += 1;
                let message = "a name in backticks stands behind a `.`, as in ``params.`a-b` ``";
                self.found.push(Finding::new(&SYNTAX, range, message));
                self.invalid()
            }
            TokenKind::Punct("(") => {
                self.at += 1;
                let inner = self.expression();
                self.expect(")", "the parenthesis has no end");
                // The parentheses belong to what is quoted and replaced.
                let whole = range.start..self.before().max(self.range(inner).end);
                if let Some(node) = self.nodes.get_mut(inner.0 as usize) {
                    node.range = whole;
                }
                inner
            }
            TokenKind::Punct("[") => self.list(range),
            TokenKind::Punct("{") => self.map(range),
            TokenKind::Punct(".") => self.absolute(range),
            TokenKind::Bad => {
                self.at += 1;
                self.node(range, Kind::Invalid)
            }
            TokenKind::Punct(_) | TokenKind::End => {
                if !self.stopped {
                    self.found.push(Finding::new(
                        &SYNTAX,
                        range.clone(),
                        "a value is missing here",
                    ));
                }
                if !matches!(kind, TokenKind::End | TokenKind::Punct(")" | "]" | "}" | "," | ":")) {
                    self.at += 1;
                }
                self.node(range, Kind::Invalid)
            }
        }
    }

    /// `.name`: a name that is looked up outside of comprehensions and containers.
    fn absolute(&mut self, dot: Range<usize>) -> ExprId {
        self.at += 1;
        let TokenKind::Ident(name) = self.peek().clone() else {
            let message = "a name is missing after `.`";
            self.found.push(Finding::new(&SYNTAX, dot, message));
            return self.invalid();
        };
        let range = dot.start..self.here().end;
        self.at += 1;
        let name = format!(".{name}");
        if self.take("(") {
            let args = self.arguments(")", "the call has no end");
            let whole = range.start..self.before();
            return self.call(whole, None, name, range, args);
        }
        self.node(range, Kind::Ident(name))
    }

    fn literal(&mut self, range: Range<usize>, literal: Literal) -> ExprId {
        self.at += 1;
        let problem = match &literal {
            Literal::String(text) if text.len() > MAX_LITERAL_BYTES => {
                format!("the text has {} bytes; at most {MAX_LITERAL_BYTES} are read", text.len())
            }
            Literal::Bytes(bytes) if bytes.len() > MAX_LITERAL_BYTES => {
                format!("the octets are {}; at most {MAX_LITERAL_BYTES} are read", bytes.len())
            }
            _ => return self.node(range, Kind::Literal(literal)),
        };
        self.found.push(Finding::new(&LIMIT, range.clone(), problem));
        self.node(range, Kind::Invalid)
    }

    fn name(&mut self, range: Range<usize>, name: String) -> ExprId {
        self.at += 1;
        let literal = match name.as_str() {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            _ => None,
        };
        if let Some(literal) = literal {
            return self.node(range, Kind::Literal(literal));
        }
        let slip = match name.as_str() {
            "True" => Some("true"),
            "False" => Some("false"),
            "None" | "nil" | "NULL" => Some("null"),
            _ => None,
        };
        if let Some(meant) = slip {
            self.found.push(
                Finding::new(&SYNTAX, range.clone(), format!("`{name}` is written `{meant}`"))
                    .replace(format!("write `{meant}`"), range.clone(), meant),
            );
            return self.node(range, Kind::Invalid);
        }
        if RESERVED.contains(&name.as_str()) {
            self.found.push(
                Finding::new(&SYNTAX, range.clone(), format!("`{name}` is a reserved word"))
                    .help(format!("a parameter of that name is ``params.`{name}` ``")),
            );
            return self.node(range, Kind::Invalid);
        }
        if self.take("(") {
            let args = self.arguments(")", "the call has no end");
            let whole = range.start..self.before();
            return self.call(whole, None, name, range, args);
        }
        self.node(range, Kind::Ident(name))
    }

    pub(super) fn arguments(&mut self, close: &'static str, problem: &str) -> Vec<ExprId> {
        let mut args = Vec::new();
        if self.take(close) {
            return args;
        }
        loop {
            args.push(self.expression());
            if self.stopped || !self.take(",") {
                break;
            }
        }
        self.close(close, problem);
        args
    }

    fn close(&mut self, close: &'static str, problem: &str) {
        if self.take(close) || self.stopped {
            return;
        }
        if !matches!(self.peek(), TokenKind::Bad) {
            let range = self.here();
            self.found.push(
                Finding::new(&SYNTAX, range, problem.to_owned())
                    .help(format!("`{close}` or `,` is missing")),
            );
        }
        self.skip_to(close);
    }

    fn list(&mut self, start: Range<usize>) -> ExprId {
        self.at += 1;
        let mut items = Vec::new();
        while !self.stopped && !self.next_is("]", 0) {
            let optional = self.take("?");
            items.push((self.expression(), optional));
            if !self.take(",") {
                break;
            }
        }
        self.close("]", "the list has no end");
        let range = start.start..self.before();
        if items.len() > MAX_LITERAL_ITEMS {
            let message =
                format!("the list has {} items; at most {MAX_LITERAL_ITEMS} are read", items.len());
            let finding = Finding::new(&LIMIT, range.clone(), message);
            self.found.push(finding.help("split it, as in `x in […] || x in […]`"));
        }
        self.node(range, Kind::List(items))
    }

    fn map(&mut self, start: Range<usize>) -> ExprId {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.stopped && !self.next_is("}", 0) {
            let optional = self.take("?");
            let key = self.expression();
            self.expect(":", "a key needs a `:` and a value");
            let value = self.expression();
            entries.push((key, value, optional));
            if !self.take(",") {
                break;
            }
        }
        self.close("}", "the map has no end");
        let range = start.start..self.before();
        if entries.len() > MAX_LITERAL_ITEMS {
            let count = entries.len();
            let message =
                format!("the map has {count} entries; at most {MAX_LITERAL_ITEMS} are read");
            let finding = Finding::new(&LIMIT, range.clone(), message);
            self.found.push(finding.help("split it, or look the value up in SQL"));
        }
        self.node(range, Kind::Map(entries))
    }

    fn message(&mut self, operand: ExprId) -> ExprId {
        let name = self.range(operand);
        let text = self.text.get(name.clone()).unwrap_or("").to_owned();
        self.found.push(
            Finding::new(
                &NO_MESSAGES,
                name,
                format!("`{text}` would be a protocol buffer message; there are no messages here"),
            )
            .help("write a map: `{'key': value}`"),
        );
        self.at += 1;
        self.skip_to("}");
        self.invalid()
    }

    fn is_name(&self, id: ExprId) -> bool {
        match self.nodes.get(id.0 as usize).map(|n| &n.kind) {
            Some(Kind::Ident(_)) => true,
            Some(Kind::Select { operand, .. }) => self.is_name(*operand),
            _ => false,
        }
    }

    pub(super) fn bad_number(&mut self, range: Range<usize>) -> ExprId {
        let text = self.text.get(range.clone()).unwrap_or("").to_owned();
        let digits = text.trim_start_matches('-').trim_end_matches(['u', 'U']);
        let message = if digits.eq_ignore_ascii_case("0x") {
            format!("`{text}` has no digits")
        } else {
            format!("`{text}` does not fit in 64 bits")
        };
        self.found.push(Finding::new(&BAD_LITERAL, range.clone(), message));
        self.node(range, Kind::Invalid)
    }

    /// The end of the token before the next.
    pub(super) fn before(&self) -> usize {
        self.before_range().end
    }

    fn before_range(&self) -> Range<usize> {
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0..0, |t| t.range.clone())
    }
}

/// The value of an integer literal, decimal or hexadecimal.
pub(super) fn integer(digits: &str, negative: bool) -> Option<i64> {
    let magnitude = i128::from(natural(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn natural(digits: &str) -> Option<u64> {
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}
