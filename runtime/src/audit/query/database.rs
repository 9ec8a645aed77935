//! The database that reads a trail: DuckDB in memory, locked to the trail's folder.

use std::path::PathBuf;

use super::QueryError;
use crate::duckdb::{Cell, Connection, DuckError, Settings};

/// Memory that DuckDB may use for a question.
const QUERY_MEMORY: &str = "256MiB";

/// A database of its own for questions to one trail.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    /// A database that reaches these folders and nothing else.
    pub(super) fn open(folders: Vec<PathBuf>) -> Result<Self, QueryError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            memory_limit: Some(QUERY_MEMORY.to_owned()),
            threads: u32::try_from(threads).ok(),
            allowed_directories: folders,
            ..Settings::default()
        };
        let database = settings.open().map_err(failed)?;
        Ok(Self { connection: database.connect().map_err(failed)? })
    }

    /// Runs a statement.
    pub(super) fn run(&self, sql: &str) -> Result<(), QueryError> {
        self.connection.run(sql).map_err(failed)
    }

    /// Runs a query and hands out the texts of its one column.
    pub(super) fn texts(&self, sql: &str, mut each: impl FnMut(&str)) -> Result<(), QueryError> {
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = statement.execute().map_err(failed)?;
        let shape = rows.shapes().first().cloned();
        let shape =
            shape.ok_or_else(|| QueryError::Engine("a query without columns".to_owned()))?;
        while let Some(chunk) = rows.next_chunk() {
            for row in 0..chunk.len() {
                if let Cell::Text(text, _) = chunk.cell(0, &shape, row) {
                    each(text);
                }
            }
        }
        Ok(())
    }
}

fn failed(error: DuckError) -> QueryError {
    QueryError::Engine(error.message)
}
