//! Results: from DuckDB's vectors to JSON, to what conditions see, and to a verdict about whether
//! they are as declared. A row is never built as a generic value unless a condition looks at it.

mod check;
mod datum;
mod text;
mod write;

use std::collections::HashSet;

use mxcp_schemas::bundle::definition::TypeId;

use crate::check::{Checks, Shape as Declared};
use crate::duckdb::{Cell, Chunk, DuckError, Rows, Shape};

pub use check::Mismatch;

/// How rows become a result (the declared type of the result says).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// the list of all rows
    Rows,
    /// the one row
    Row,
    /// the one value of the one row
    Value,
}

impl Form {
    /// The form that a declared result asks for.
    pub fn of(result: Option<TypeId>, checks: &Checks) -> Self {
        match result.and_then(|id| checks.node(id)).map(|node| &node.shape) {
            None | Some(Declared::Array(_)) => Self::Rows,
            Some(Declared::Object(_)) => Self::Row,
            Some(_) => Self::Value,
        }
    }
}

/// Why rows are no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// DuckDB failed.
    #[error(transparent)]
    Duck(#[from] DuckError),
    /// One row is declared and there is none.
    #[error("No results returned")]
    NoRows,
    /// One row is declared and there are more.
    #[error("one row is declared and the query returned {0}")]
    TooManyRows(usize),
    /// One value is declared and there are more columns.
    #[error("one value is declared and the query returned {0} columns")]
    TooManyColumns(usize),
    /// Two columns have one name when case does not count.
    #[error("two columns are named `{0}` when case does not count; rename one with `AS`")]
    SameName(String),
    /// More rows than allowed.
    #[error("the result has more than {0} rows; the limit is `max_result_rows`")]
    RowLimit(usize),
    /// More bytes than allowed.
    #[error("the result has more than {0} bytes; the limit is `max_result_bytes`")]
    ByteLimit(usize),
    /// A column's type has no JSON form.
    #[error("the column `{0}` has a type without a JSON form; cast it to VARCHAR")]
    Unsupported(String),
    /// It is not as `return` declares.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

impl OutputError {
    /// What kind of error it is. Never holds a value or a name of the query's.
    pub fn class(&self) -> &str {
        match self {
            Self::Duck(error) => error.class,
            Self::RowLimit(_) | Self::ByteLimit(_) => "limit reached",
            Self::NoRows
            | Self::TooManyRows(_)
            | Self::TooManyColumns(_)
            | Self::SameName(_)
            | Self::Unsupported(_)
            | Self::Mismatch(_) => "result",
        }
    }
}

/// All rows of a result, as DuckDB left them.
#[derive(Debug)]
pub struct Table {
    names: Vec<String>,
    /// names as JSON texts with their colon
    keys: Vec<String>,
    shapes: Vec<Shape>,
    chunks: Vec<Chunk>,
    rows: usize,
}

impl Table {
    /// Takes all rows.
    ///
    /// # Errors
    /// When there are too many, or two columns have one name.
    pub fn collect(mut rows: Rows<'_>, max_rows: usize) -> Result<Self, OutputError> {
        let (names, shapes) = rows.take_columns();
        let mut seen = HashSet::new();
        for name in &names {
            if !seen.insert(name.to_ascii_lowercase()) {
                return Err(OutputError::SameName(name.clone()));
            }
        }
        let keys = names.iter().map(|name| format!("{}:", crate::json::quoted(name))).collect();
        let (mut chunks, mut count) = (Vec::new(), 0);
        while let Some(chunk) = rows.next_chunk() {
            count += chunk.len();
            if count > max_rows {
                return Err(OutputError::RowLimit(max_rows));
            }
            chunks.push(chunk);
        }
        Ok(Self { names, keys, shapes, chunks, rows: count })
    }

    /// Number of rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the one value of the one row is octets, which JSON writes in base64.
    pub fn is_octets(&self, form: Form) -> bool {
        form == Form::Value && matches!(self.cell(0, 0, 0), Cell::Blob(_))
    }

    /// That there are as many rows and columns as the form wants.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn fit(&self, form: Form) -> Result<(), OutputError> {
        match (form, self.rows) {
            (Form::Rows, _) => Ok(()),
            (_, 0) => Err(OutputError::NoRows),
            (_, 1) if form == Form::Value && self.names.len() != 1 => {
                Err(OutputError::TooManyColumns(self.names.len()))
            }
            (_, 1) => Ok(()),
            (_, more) => Err(OutputError::TooManyRows(more)),
        }
    }

    fn cell(&self, chunk: usize, column: usize, row: usize) -> Cell<'_> {
        match (self.chunks.get(chunk), self.shapes.get(column)) {
            (Some(chunk), Some(shape)) => chunk.cell(column, shape, row),
            _ => Cell::Null,
        }
    }

    /// Each row as its chunk and its place there.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.chunks
            .iter()
            .enumerate()
            .flat_map(|(at, chunk)| (0..chunk.len()).map(move |r| (at, r)))
    }
}
