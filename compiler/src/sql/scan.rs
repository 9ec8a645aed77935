//! The scanner.

use mxcp_schemas::diagnostic::Span;

use super::{Opened, Scan};

/// Table functions and statements whose string argument names something outside the database.
const OPENERS: [&str; 24] = [
    "attach",
    "copy",
    "csv_scan",
    "database",
    "delta_scan",
    "from",
    "glob",
    "iceberg_scan",
    "install",
    "join",
    "load",
    "parquet_scan",
    "read_blob",
    "read_csv",
    "read_csv_auto",
    "read_json",
    "read_json_auto",
    "read_json_objects",
    "read_ndjson",
    "read_parquet",
    "read_text",
    "read_xlsx",
    "sniff_csv",
    "to",
];

/// Functions in whose arguments `FROM` stands before a text, not before a table.
const FROM_TAKES_TEXT: [&str; 4] = ["extract", "overlay", "substring", "trim"];

/// Scans an SQL text. Never fails: what is unfinished ends at the end of the text.
pub fn scan(text: &str) -> Scan {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, out: Scan::default() };
    scanner.run();
    scanner.out
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    out: Scan,
}

/// What stands before a literal and decides whether DuckDB opens it.
#[derive(Default)]
struct Context {
    /// the last word, in lower case
    word: String,
    /// words and functions whose parenthesis or list is still open, innermost last
    open: Vec<String>,
    /// first byte of the current statement, if it has begun
    begin: Option<usize>,
    /// end of the last token of the current statement
    end: usize,
    /// the statement began with `COPY`, whose `TO` and `FROM` name files
    copies: bool,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut context = Context::default();
        while let Some(byte) = self.peek(0) {
            let start = self.at;
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                    self.at += 1;
                    continue;
                }
                b'-' if self.peek(1) == Some(b'-') => {
                    self.line_comment();
                    self.out.values.push(span(start, self.at));
                    continue;
                }
                b'/' if self.peek(1) == Some(b'*') => {
                    self.block_comment();
                    self.out.values.push(span(start, self.at));
                    continue;
                }
                b';' => {
                    self.at += 1;
                    self.end_statement(&mut context);
                    continue;
                }
                _ => {}
            }
            if context.begin.is_none() {
                context.begin = Some(start);
                context.copies = false;
            }
            self.token(byte, start, &mut context);
            context.end = self.at;
        }
        self.end_statement(&mut context);
    }

    fn token(&mut self, byte: u8, start: usize, context: &mut Context) {
        match byte {
            b'\'' => {
                let text = self.quoted(false);
                self.literal(text, start, context);
            }
            b'e' | b'E' if self.peek(1) == Some(b'\'') => {
                self.at += 1;
                let text = self.quoted(true);
                self.literal(text, start, context);
            }
            b'"' => {
                self.delimited(b'"');
                context.word.clear();
            }
            b'$' => self.dollar(start, context),
            b'?' => {
                self.at += 1;
                self.out.positional.push(span(start, self.at));
                context.word.clear();
            }
            b'(' | b'[' => {
                self.at += 1;
                let word = std::mem::take(&mut context.word);
                context.open.push(word);
            }
            b')' | b']' => {
                self.at += 1;
                context.open.pop();
                context.word.clear();
            }
            b',' => {
                self.at += 1;
                context.word = if context.open.is_empty() && context.word == "from-item" {
                    "from".to_owned()
                } else {
                    String::new()
                };
            }
            _ if is_word(byte) => self.word(start, context),
            _ => {
                self.at += 1;
                while self.at < self.bytes.len() && !self.text.is_char_boundary(self.at) {
                    self.at += 1;
                }
                context.word.clear();
            }
        }
    }

    fn word(&mut self, start: usize, context: &mut Context) {
        while self.peek(0).is_some_and(|b| is_word(b) || b == b'$') {
            self.at += 1;
        }
        let word = self.slice(start).to_ascii_lowercase();
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            self.out.values.push(span(start, self.at));
        }
        if self.out.first_word.is_none() {
            self.out.first_word = Some(word.clone());
        }
        if context.begin == Some(start) {
            context.copies = word == "copy" || word == "export" || word == "import";
        }
        context.word = match word.as_str() {
            // `IF EXISTS` and the like stand between a keyword and its literal.
            "if" | "not" | "exists" if OPENERS.contains(&context.word.as_str()) => return,
            "to" if !context.copies => String::new(),
            _ => word,
        };
    }

    fn literal(&mut self, text: String, start: usize, context: &mut Context) {
        self.out.values.push(span(start, self.at));
        let inside = context.open.iter().rev().find(|word| !word.is_empty());
        let by = if context.word.is_empty() {
            inside.filter(|word| word.starts_with("read_") || word.ends_with("_scan")).cloned()
        } else if inside.is_some_and(|word| FROM_TAKES_TEXT.contains(&word.as_str())) {
            None
        } else {
            Some(std::mem::take(&mut context.word))
        };
        let by = by.filter(|word| OPENERS.binary_search(&word.as_str()).is_ok());
        if let Some(by) = by {
            if by == "from" || by == "join" {
                "from-item".clone_into(&mut context.word);
            }
            self.out.opened.push(Opened { text, span: span(start, self.at), by });
        }
    }

    /// `$name`, `$1`, `$$…$$` or `$tag$…$tag$`.
    fn dollar(&mut self, start: usize, context: &mut Context) {
        self.at += 1;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        let name = self.slice(start + 1).to_owned();
        let digits = name.starts_with(|c: char| c.is_ascii_digit());
        if self.peek(0) == Some(b'$') && !digits {
            self.at += 1;
            let tag = self.slice(start).to_owned();
            let body = self.text.get(self.at..).unwrap_or("");
            let length = body.find(&tag);
            let text = length.and_then(|n| body.get(..n)).unwrap_or(body).to_owned();
            self.at += length.map_or(body.len(), |n| n + tag.len());
            self.literal(text, start, context);
        } else if name.is_empty() {
            context.word.clear();
        } else {
            if digits {
                self.out.positional.push(span(start, self.at));
            } else {
                self.out.parameters.push((name, span(start, self.at)));
            }
            context.word.clear();
        }
    }

    /// A quoted string, after whose opening quote everything up to the closing one is text.
    fn quoted(&mut self, escapes: bool) -> String {
        self.at += 1;
        let mut text = String::new();
        let mut from = self.at;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\\' if escapes => self.at += 2,
                b'\'' if self.peek(1) == Some(b'\'') => {
                    text.push_str(self.slice(from));
                    text.push('\'');
                    self.at += 2;
                    from = self.at;
                }
                b'\'' => break,
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
        text.push_str(self.slice(from));
        self.at = (self.at + 1).min(self.bytes.len());
        text
    }

    fn delimited(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == quote {
                if self.peek(0) != Some(quote) {
                    return;
                }
                self.at += 1;
            }
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|b| b != b'\n') {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn end_statement(&mut self, context: &mut Context) {
        if let Some(begin) = context.begin {
            self.out.statements.push(span(begin, context.end));
        }
        *context = Context::default();
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn slice(&self, start: usize) -> &str {
        self.text.get(start..self.at).unwrap_or("")
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn span(start: usize, end: usize) -> Span {
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span::new(offset(start), offset(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        scan(text).parameters.into_iter().map(|(name, _)| name).collect()
    }

    fn opened(text: &str) -> Vec<(String, String)> {
        scan(text).opened.into_iter().map(|o| (o.by, o.text)).collect()
    }

    #[test]
    fn parameters_are_found_only_where_they_are_parameters() {
        let text = "SELECT '$no', \"$no\", $$ $no $$, $t$ $no $t$, e'\\'$no', $a -- $no\n\
                    /* $no /* $no */ $no */ FROM t WHERE x = $b AND y=$a";
        assert_eq!(names(text), ["a", "b", "a"]);
        assert_eq!(names("SELECT 'it''s $no', $yes"), ["yes"]);
    }

    #[test]
    fn positional_parameters_are_noted() {
        let text = "SELECT ?, $1";
        let found: Vec<&str> = scan(text).positional.iter().map(|s| s.of(text)).collect();
        assert_eq!(found, ["?", "$1"]);
    }

    #[test]
    fn statements_are_counted_without_comments() {
        let text = "SELECT ';' ; -- end\n ;; /* ; */ DROP TABLE t ;";
        let found: Vec<&str> = scan(text).statements.iter().map(|s| s.of(text)).collect();
        assert_eq!(found, ["SELECT ';'", "DROP TABLE t"]);
    }

    #[test]
    fn files_and_addresses_are_found() {
        let one = |by: &str, text: &str| vec![(by.to_owned(), text.to_owned())];
        assert_eq!(opened("SELECT * FROM 'x.csv'"), one("from", "x.csv"));
        assert_eq!(opened("SELECT * FROM a, 'x.csv'"), vec![]);
        assert_eq!(opened("FROM t JOIN 'y.parquet' USING (id)"), one("join", "y.parquet"));
        assert_eq!(opened("FROM read_csv('x', header = true)"), one("read_csv", "x"));
        assert_eq!(opened("FROM read_parquet(['a', 'b'])").len(), 2);
        assert_eq!(opened("COPY t TO '/etc/x'"), one("to", "/etc/x"));
        assert_eq!(opened("ATTACH IF NOT EXISTS 'z.db'"), one("attach", "z.db"));
        assert_eq!(opened("SELECT 'x.csv', trim(both ' ' from 'abc')"), vec![]);
        assert_eq!(opened("SELECT * FROM t WHERE a = 'x.csv' AND b IN ('y')"), vec![]);
    }

    proptest! {
        #[test]
        fn any_text_is_scanned(text in "(?s).{0,200}") {
            let found = scan(&text);
            for span in found.statements.iter().chain(&found.positional) {
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
            }
        }

        #[test]
        fn any_mix_of_quotes_is_scanned(text in r#"[$'"\\/*;\-\n eExé?]{0,60}"#) {
            for (_, span) in scan(&text).parameters {
                prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
            }
        }
    }
}
