//! Exports: a trail's records as one file for other programs, complete or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use mxcp_schemas::audit::{Column, Record};

use super::{Filter, Log, QueryError, filter, name, table};

/// A form of exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header; JSON and lists as text.
    Csv,
    /// Parquet.
    Parquet,
    /// A DuckDB database with a table `logs`.
    DuckDb,
}

impl Log {
    /// Writes the records that fit, or the newest few of them, into a file that must not exist yet,
    /// the oldest first. The file appears when it is complete.
    ///
    /// # Errors
    /// When the trail cannot be read or the file cannot be written.
    pub fn export(
        &mut self,
        filter: &Filter,
        limit: Option<u64>,
        format: Format,
        target: &Path,
    ) -> Result<(), QueryError> {
        if target.exists() {
            return Err(QueryError::Exists(target.to_owned()));
        }
        let write = |source| QueryError::Write { path: target.to_owned(), source };
        let folder = folder(target).canonicalize().map_err(write)?;
        let Some(file) = target.file_name() else {
            return Err(QueryError::Path(target.to_owned()));
        };
        let part = folder.join(format!("{}.part-{}", file.to_string_lossy(), std::process::id()));
        let result = self.write(filter, limit, format, &part);
        if result.is_ok() {
            fs::rename(&part, target).map_err(write)
        } else {
            remove(&part);
            result
        }
    }

    fn write(
        &mut self,
        filter: &Filter,
        limit: Option<u64>,
        format: Format,
        part: &Path,
    ) -> Result<(), QueryError> {
        let mut sources = self.sources(filter)?;
        sources.reverse();
        let condition = filter.condition()?;
        let rows = if sources.is_empty() {
            format!("SELECT {} WHERE false", empty_columns())
        } else {
            let all = format!("SELECT {} FROM {} WHERE {condition}", columns(), table(&sources)?);
            match limit {
                None => all,
                Some(limit) => format!(
                    "SELECT * FROM ({all} ORDER BY seq DESC NULLS LAST, \"timestamp\" DESC \
                     LIMIT {limit}) ORDER BY seq NULLS FIRST, \"timestamp\""
                ),
            }
        };
        let path = filter::literal("path", name(part)?)?;
        let statements = match format {
            Format::Csv => vec![format!("COPY ({rows}) TO {path} (FORMAT csv, HEADER)")],
            Format::Parquet => vec![format!("COPY ({rows}) TO {path} (FORMAT parquet)")],
            Format::DuckDb => vec![
                format!("ATTACH {path} AS export"),
                format!("CREATE TABLE export.logs AS {rows}"),
                "DETACH export".to_owned(),
            ],
        };
        statements.iter().try_for_each(|sql| self.database.run(sql))
    }
}

/// All columns; times as such.
fn columns() -> String {
    let column = |field: &mxcp_schemas::audit::Field| match field.column {
        Column::Time => format!("{} AS \"{}\"", filter::TIME, field.name),
        _ => format!("\"{}\"", field.name),
    };
    Record::FIELDS.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The columns of a trail without any file.
fn empty_columns() -> String {
    let column = |field: &mxcp_schemas::audit::Field| {
        let ty = match field.column {
            Column::Time => "TIMESTAMPTZ".to_owned(),
            other => other.duckdb(),
        };
        format!("NULL::{ty} AS \"{}\"", field.name)
    };
    Record::FIELDS.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// The folder of a file.
pub(super) fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Removes what a failed export leaves, the log of a database included.
fn remove(part: &Path) {
    let mut log = part.as_os_str().to_owned();
    log.push(".wal");
    for path in [part.to_owned(), PathBuf::from(log)] {
        // It may never have been made.
        let _ = fs::remove_file(path);
    }
}
