//! Tokens. Never fails: what is no token is reported and skipped, or read as what was meant.

use std::ops::Range;

use mxcp_policy::function;

use super::Finding;
use super::code::{BAD_LITERAL, SYNTAX};
use super::escape::unescape;
use super::reference::MACROS;

/// A token with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Ident(String),
    /// an identifier in backticks
    Quoted(String),
    Int(String),
    Uint(String),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// an operator or bracket
    Punct(&'static str),
    /// a literal that was reported
    Bad,
    End,
}

const PUNCTUATION: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}", "&",
];

/// All tokens, `End` last.
pub(super) fn tokens(text: &str, found: &mut Vec<Finding>) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, found, tokens: Vec::new() };
    lexer.run();
    lexer.tokens
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    found: &'t mut Vec<Finding>,
    tokens: Vec<Token>,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) {
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else { break };
            if matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c') {
                self.at += 1;
            } else if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if c == '"' || c == '\'' {
                self.string(0);
            } else if c == '_' || c.is_ascii_alphabetic() {
                self.word();
            } else if c.is_ascii_digit() || (c == '.' && digit(rest.as_bytes().get(1))) {
                self.number();
            } else if c == '`' {
                self.backticks();
            } else {
                self.punctuation(c);
            }
        }
        let end = self.text.len();
        self.tokens.push(Token { kind: TokenKind::End, range: end..end });
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        let range = self.at..self.at + length;
        self.at = range.end;
        self.tokens.push(Token { kind, range });
    }

    fn word(&mut self) {
        let rest = self.rest();
        let length =
            rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or("").to_owned();
        let quote = rest.get(length..).and_then(|r| r.chars().next());
        let prefix = matches!(word.to_ascii_lowercase().as_str(), "r" | "b" | "rb" | "br");
        if prefix && matches!(quote, Some('"' | '\'')) {
            self.string(length);
            return;
        }
        self.push(TokenKind::Ident(word), length);
    }

    fn string(&mut self, prefix: usize) {
        let rest = self.rest();
        let letters = rest.get(..prefix).unwrap_or("").to_ascii_lowercase();
        let (raw, bytes) = (letters.contains('r'), letters.contains('b'));
        let quoted = rest.get(prefix..).unwrap_or("");
        let quote = quoted.get(..1).unwrap_or("\"");
        let triple = quote.repeat(3);
        let mark = if quoted.starts_with(&triple) { triple.as_str() } else { quote };
        let body = quoted.get(mark.len()..).unwrap_or("");
        let Some(length) = closing(body, mark, raw) else {
            let end =
                if mark.len() == 1 { body.find('\n').unwrap_or(body.len()) } else { body.len() };
            let length = prefix + mark.len() + end;
            let range = self.at..self.at + length;
            self.found.push(
                Finding::new(&SYNTAX, range, "the text has no closing quote")
                    .help(format!("end it with `{mark}`")),
            );
            self.push(TokenKind::Bad, length);
            return;
        };
        let content = body.get(..length).unwrap_or("");
        let whole = prefix + 2 * mark.len() + length;
        let kind = match unescape(content, raw, bytes) {
            Ok(octets) if bytes => TokenKind::Bytes(octets),
            Ok(octets) => String::from_utf8(octets).map_or(TokenKind::Bad, TokenKind::String),
            Err((offset, problem)) => {
                let start = self.at + prefix + mark.len() + offset;
                let mut end = (start + 2).min(self.text.len());
                while !self.text.is_char_boundary(end) {
                    end += 1;
                }
                self.found.push(
                    Finding::new(&BAD_LITERAL, start..end, format!("in this text {problem}"))
                        .help("write `\\\\` for a backslash, or put `r` before the quotes"),
                );
                TokenKind::Bad
            }
        };
        self.push(kind, whole);
    }

    fn number(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let hex = rest.starts_with("0x") || rest.starts_with("0X");
        let mut length = if hex {
            2 + count(bytes.get(2..), u8::is_ascii_hexdigit)
        } else {
            count(Some(bytes), u8::is_ascii_digit)
        };
        let mut double = false;
        if !hex {
            if bytes.get(length) == Some(&b'.') && digit(bytes.get(length + 1)) {
                double = true;
                length += 1 + count(bytes.get(length + 1..), u8::is_ascii_digit);
            }
            if matches!(bytes.get(length), Some(b'e' | b'E')) {
                let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
                let digits = count(bytes.get(length + 1 + sign..), u8::is_ascii_digit);
                if digits > 0 {
                    double = true;
                    length += 1 + sign + digits;
                }
            }
        }
        let digits = rest.get(..length).unwrap_or("").to_owned();
        let unsigned = !double && matches!(bytes.get(length), Some(b'u' | b'U'));
        let kind = if double {
            match digits.parse() {
                Ok(value) if f64::is_finite(value) => TokenKind::Double(value),
                _ => self.bad_double(length),
            }
        } else if unsigned {
            TokenKind::Uint(digits)
        } else {
            TokenKind::Int(digits)
        };
        let whole = length + usize::from(unsigned);
        let tail = rest.get(whole..).unwrap_or("");
        let stray =
            tail.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
        if stray > 0 {
            let range = self.at..self.at + whole + stray;
            let message = "a name cannot begin with a digit";
            self.found.push(Finding::new(&BAD_LITERAL, range, message));
            self.push(TokenKind::Bad, whole + stray);
            return;
        }
        self.push(kind, whole);
    }

    fn bad_double(&mut self, length: usize) -> TokenKind {
        let range = self.at..self.at + length;
        let message = "the number is too large for a double";
        self.found.push(Finding::new(&BAD_LITERAL, range, message));
        TokenKind::Bad
    }

    fn backticks(&mut self) {
        let rest = self.rest();
        let body = rest.get(1..).unwrap_or("");
        match body.find('`') {
            Some(length) => {
                let name = body.get(..length).unwrap_or("").to_owned();
                let good = |c: char| c.is_ascii_alphanumeric() || "_.-/ ".contains(c);
                if name.is_empty() || !name.chars().all(good) {
                    let range = self.at..self.at + length + 2;
                    let message =
                        "a name in backticks has letters, digits, `_`, `-`, `.`, `/` and spaces";
                    let help = "select anything else as `map['name']`";
                    self.found.push(Finding::new(&SYNTAX, range, message).help(help));
                    self.push(TokenKind::Bad, length + 2);
                    return;
                }
                self.push(TokenKind::Quoted(name), length + 2);
            }
            None => {
                let range = self.at..self.text.len();
                self.found.push(Finding::new(&SYNTAX, range, "the name has no closing backtick"));
                self.push(TokenKind::Bad, rest.len());
            }
        }
    }

    fn punctuation(&mut self, c: char) {
        let rest = self.rest();
        // What people write and mean something else by: (as written, as meant, help).
        let slips = [
            ("===", "==", "equality is written `==`"),
            ("!==", "!=", "inequality is written `!=`"),
            ("<>", "!=", "inequality is written `!=`"),
            ("=>", ">=", "at least is written `>=`"),
            ("=<", "<=", "at most is written `<=`"),
        ];
        let slip = slips.iter().find(|(written, ..)| rest.starts_with(written));
        if let Some((written, meant, help)) = slip {
            self.slip(written.len(), meant, help);
        } else if let Some(mark) = PUNCTUATION.iter().find(|mark| rest.starts_with(**mark)) {
            if *mark == "&" {
                self.slip(1, "&&", "`and` is written `&&`");
            } else {
                self.push(TokenKind::Punct(mark), mark.len());
            }
        } else if c == '=' {
            self.slip(1, "==", "equality is written `==`");
        } else if c == '|' {
            self.slip(1, "||", "`or` is written `||`");
        } else {
            self.stranger(c);
        }
    }

    /// Reports a slip and goes on as if it had been written well.
    fn slip(&mut self, length: usize, meant: &'static str, help: &str) {
        let range = self.at..self.at + length;
        let written = self.text.get(range.clone()).unwrap_or("").to_owned();
        self.found.push(
            Finding::new(&SYNTAX, range.clone(), format!("there is no operator `{written}`"))
                .help(help)
                .replace(format!("write `{meant}`"), range, meant),
        );
        self.push(TokenKind::Punct(meant), length);
    }

    fn stranger(&mut self, c: char) {
        let length = c.len_utf8();
        let range = self.at..self.at + length;
        let mut finding = Finding::new(
            &SYNTAX,
            range,
            format!("`{c}` (U+{:04X}) has no meaning here", u32::from(c)),
        );
        finding = match c {
            '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
                finding.help("texts stand in straight quotes, `'` or `\"`")
            }
            '#' => finding.help("comments begin with `//` inside an expression"),
            ';' => finding.help("a condition is one expression"),
            _ if c.is_alphabetic() => finding
                .help("names have ASCII letters only; is this a look-alike of another letter?"),
            _ => finding,
        };
        self.found.push(finding);
        // A run of strangers is one mistake.
        let rest = self.rest();
        let run: usize =
            rest.chars().take_while(|n| !n.is_ascii() || *n == c).map(char::len_utf8).sum();
        self.push(TokenKind::Bad, run.max(length));
    }
}

/// The offset of the closing quote.
fn closing(body: &str, mark: &str, raw: bool) -> Option<usize> {
    let mut at = 0;
    while let Some(rest) = body.get(at..) {
        if rest.starts_with(mark) {
            return Some(at);
        }
        let c = rest.chars().next()?;
        if mark.len() == 1 && c == '\n' {
            return None;
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += body.get(at..)?.chars().next()?.len_utf8();
        }
    }
    None
}

fn digit(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_digit)
}

fn count(bytes: Option<&[u8]>, of: fn(&u8) -> bool) -> usize {
    bytes.unwrap_or(&[]).iter().take_while(|b| of(b)).count()
}

/// A function name that is close, for did-you-mean.
pub(super) fn near_function(name: &str) -> Option<&'static str> {
    let known = function::functions().iter().map(|f| f.name).filter(|n| !n.contains(['_', '@']));
    let macros = MACROS.iter().map(|one| one.name).chain(["now"]);
    mxcp_schemas::diagnostic::closest(name, known.chain(macros))
}
