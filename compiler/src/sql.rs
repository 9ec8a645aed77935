//! What can be said about an endpoint's SQL without a database: which parameters it uses, how many
//! statements it has, and which files and addresses it names.
//!
//! The scanner follows the lexical rules of DuckDB (those of PostgreSQL: nested comments, dollar
//! quotes, escape strings), so that a `$name` in a string or a comment is not a parameter. What
//! DuckDB itself says about a statement is asked through [`SqlProbe`].

mod scan;

use mxcp_schemas::diagnostic::Span;

pub use scan::scan;

/// The longest SQL text of one endpoint.
pub const MAX_SQL_BYTES: usize = 1 << 20;

/// What the scanner found; spans are byte ranges of the SQL text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scan {
    /// `$name` parameters in the order of their appearance.
    pub parameters: Vec<(String, Span)>,
    /// `?` and `$1`, which endpoints do not have.
    pub positional: Vec<Span>,
    /// The statements that are more than comments, without their semicolons.
    pub statements: Vec<Span>,
    /// String literals that DuckDB would open: files and addresses.
    pub opened: Vec<Opened>,
    /// Texts, numbers and comments, in the order of their appearance.
    pub values: Vec<Span>,
    /// Whether the first statement reads only, as far as its words say: `SELECT`, `FROM`, `VALUES`,
    /// `WITH … SELECT`, `SHOW`, `DESCRIBE`, `SUMMARIZE`, `EXPLAIN` of such.
    pub first_word: Option<String>,
}

/// A file or an address that the SQL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What the literal says.
    pub text: String,
    /// The literal with its quotes.
    pub span: Span,
    /// The function or keyword that opens it, in lower case.
    pub by: String,
}

/// An SQL text with `?` in place of every text and number, and without its comments: what may be
/// recorded of it where its values may not.
pub fn without_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for value in scan(text).values {
        let (start, end) = (value.start as usize, value.end as usize);
        out.push_str(text.get(from..start).unwrap_or_default());
        let is_comment =
            text.get(start..end).is_some_and(|t| t.starts_with("--") || t.starts_with("/*"));
        out.push_str(if is_comment { " " } else { "?" });
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_left() {
        for (sql, left) in [
            (
                "SELECT * FROM t WHERE a = 'x''y' AND b = 12.5",
                "SELECT * FROM t WHERE a = ? AND b = ?.?",
            ),
            ("SELECT $$dollar$$, $t$a$t$, e'\\'x', $name", "SELECT ?, ?, ?, $name"),
            ("SELECT 1 -- secret\n, 2 /* secret */ AS n1", "SELECT ?  \n, ?   AS n1"),
            ("SELECT \"a 'b'\" FROM 'file.csv' x", "SELECT \"a 'b'\" FROM ? x"),
            ("'unfinished", "?"),
            ("", ""),
        ] {
            assert_eq!(without_values(sql), left);
        }
    }
}

/// DuckDB's own opinion on SQL texts, asked for all endpoints at once.
pub trait SqlProbe {
    /// Told as soon as there may be something to analyse, which other work precedes; there may be nothing
    /// in the end.
    fn expect(&self) {}

    /// One answer per text, in the same order.
    fn analyse(&self, texts: &[&str]) -> Vec<Analysis>;
}

/// What DuckDB says about one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Analysis {
    /// It parses as one `SELECT`, which changes nothing.
    Select,
    /// It parses, and may change data.
    Other,
    /// It does not parse.
    Syntax {
        /// DuckDB's words
        message: String,
        /// byte offset into the text, where known
        position: Option<u32>,
    },
    /// Nothing can be said: DuckDB is not at hand.
    Unknown,
}

/// A probe that knows nothing, for editors and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl SqlProbe for NoProbe {
    fn analyse(&self, texts: &[&str]) -> Vec<Analysis> {
        vec![Analysis::Unknown; texts.len()]
    }
}
