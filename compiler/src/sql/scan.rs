//! The scanner.

use mxcp_schemas::diagnostic::Span;

use super::{Opened, Scan};

/// Words after which a text names something outside the database.
const KEYWORDS: [&str; 8] = ["attach", "copy", "database", "from", "install", "join", "load", "to"];

/// Functions whose arguments name files or addresses, besides those that are called `read_…` or `…_scan`.
const FUNCTIONS: [&str; 12] = [
    "glob",
    "iceberg_metadata",
    "iceberg_snapshots",
    "parquet_bloom_probe",
    "parquet_file_metadata",
    "parquet_kv_metadata",
    "parquet_metadata",
    "parquet_schema",
    "sniff_csv",
    "sqlite_attach",
    "st_read",
    "st_read_meta",
];

/// Words that end the list of what a statement reads from.
const AFTER_FROM: [&str; 15] = [
    "except",
    "group",
    "having",
    "intersect",
    "limit",
    "offset",
    "order",
    "qualify",
    "returning",
    "select",
    "set",
    "union",
    "values",
    "where",
    "window",
];

/// How the names of files end that DuckDB opens where a table would stand.
const FILE_ENDS: [&str; 9] =
    [".csv", ".gz", ".json", ".jsonl", ".ndjson", ".parquet", ".tsv", ".xlsx", ".zst"];

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
    /// words and functions whose parenthesis or list is still open, innermost last, and whether what
    /// stands around it is the list of what a statement reads from
    open: Vec<(String, bool)>,
    /// this is the list of what a statement reads from
    reads: bool,
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
                let name = self.delimited(b'"');
                let is_item = matches!(context.word.as_str(), "from" | "join");
                context.word.clear();
                if is_item && is_file(&name) {
                    let by = "from".to_owned();
                    self.out.opened.push(Opened { text: name, span: span(start, self.at), by });
                }
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
                context.open.push((word, std::mem::take(&mut context.reads)));
            }
            b')' | b']' => {
                self.at += 1;
                context.reads = context.open.pop().is_some_and(|(_, reads)| reads);
                context.word.clear();
            }
            b',' => {
                self.at += 1;
                context.word.clear();
                if context.reads {
                    context.word.push_str("from");
                }
            }
            // What is given to an option by name is no file.
            b'=' | b'>' => {
                self.at += 1;
                "=".clone_into(&mut context.word);
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
        let function = context.open.last().map_or("", |(word, _)| word);
        if word == "from" && !FROM_TAKES_TEXT.contains(&function) {
            context.reads = true;
        } else if AFTER_FROM.contains(&word.as_str()) {
            context.reads = false;
        }
        context.word = match word.as_str() {
            // `IF EXISTS` and the like stand between a keyword and its literal.
            "if" | "not" | "exists" if KEYWORDS.contains(&context.word.as_str()) => return,
            "to" if !context.copies => String::new(),
            _ => word,
        };
    }

    fn literal(&mut self, text: String, start: usize, context: &mut Context) {
        self.out.values.push(span(start, self.at));
        let mut around = context.open.iter().rev().map(|(word, _)| word);
        let inside = around.find(|word| !word.is_empty());
        let by = if context.word.is_empty() {
            inside.filter(|word| is_opener(word)).cloned()
        } else if inside.is_some_and(|word| FROM_TAKES_TEXT.contains(&word.as_str())) {
            None
        } else {
            let word = std::mem::take(&mut context.word);
            KEYWORDS.contains(&word.as_str()).then_some(word)
        };
        if let Some(by) = by {
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

    /// A quoted name, and what stands between its quotes.
    fn delimited(&mut self, quote: u8) -> String {
        self.at += 1;
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == quote {
                if self.peek(0) != Some(quote) {
                    return self.text.get(start..self.at - 1).unwrap_or("").to_owned();
                }
                self.at += 1;
            }
        }
        self.slice(start).to_owned()
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

fn is_opener(function: &str) -> bool {
    function.starts_with("read_") || function.ends_with("_scan") || FUNCTIONS.contains(&function)
}

/// Whether DuckDB looks for a file where the name of a table stands.
fn is_file(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains('/') || FILE_ENDS.iter().any(|end| name.ends_with(end))
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
        assert_eq!(opened("SELECT * FROM a, 'x.csv'"), one("from", "x.csv"));
        assert_eq!(opened("FROM range(1) r, \"/etc/passwd\" p"), one("from", "/etc/passwd"));
        assert_eq!(opened("FROM \"data/x.CSV\""), one("from", "data/x.CSV"));
        assert_eq!(
            opened("FROM (SELECT 1, 'x') s, 'y.csv' WHERE a IN (1, 'z')"),
            one("from", "y.csv")
        );
        assert_eq!(opened("FROM \"my table\", b ORDER BY 1, 'x.csv'"), vec![]);
        assert_eq!(opened("FROM a JOIN b ON a.x = 'x.csv', 'y.csv'"), one("from", "y.csv"));
        for function in ["read_ndjson_auto", "parquet_metadata", "sqlite_scan", "glob"] {
            assert_eq!(opened(&format!("FROM {function}('x')")), one(function, "x"));
        }
        assert_eq!(opened("FROM read_csv('x', delim = ';', quote := 'y')"), one("read_csv", "x"));
        assert_eq!(opened("SELECT substring('abc' FROM 2), 'x.csv'"), vec![]);
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
