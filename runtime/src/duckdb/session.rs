//! A connection with its prepared statements.

use std::collections::HashMap;

use super::{Bind, Connection, Database, DuckError, Interrupt, Rows, Statement};

/// Most statements that a session keeps prepared.
pub const MAX_PREPARED_STATEMENTS: usize = 1_024;

/// A connection of one thread, and the statements that it prepared.
#[derive(Debug)]
pub struct Session {
    // Before the connection, so that they are dropped first.
    statements: HashMap<Box<str>, (Statement, Vec<String>)>,
    connection: Connection,
}

impl Session {
    /// A session on a database.
    ///
    /// # Errors
    /// When DuckDB cannot open another connection.
    pub fn new(database: &Database) -> Result<Self, DuckError> {
        Ok(Self { statements: HashMap::new(), connection: database.connect()? })
    }

    /// What interrupts it.
    pub fn interrupt(&self) -> Interrupt {
        self.connection.interrupt()
    }

    /// The connection itself.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs a statement, prepared once, with named values. Names do not distinguish case.
    ///
    /// # Errors
    /// DuckDB's, or when a parameter has no value.
    pub fn query(
        &mut self,
        sql: &str,
        value: impl Fn(&str) -> Option<Bind>,
    ) -> Result<Rows<'_>, DuckError> {
        if !self.statements.contains_key(sql) {
            if self.statements.len() >= MAX_PREPARED_STATEMENTS {
                self.statements.clear();
            }
            let statement = self.connection.prepare(sql)?;
            let names = statement.parameters();
            self.statements.insert(sql.into(), (statement, names));
        }
        let Some((statement, names)) = self.statements.get_mut(sql) else {
            return Err(DuckError::new("sql", "the statement is not prepared"));
        };
        for (at, name) in names.iter().enumerate() {
            let value = value(name).ok_or_else(|| {
                DuckError::new("binder", format!("there is no value for `${name}`"))
            })?;
            statement.bind(at + 1, &value)?;
        }
        statement.execute()
    }

    /// Undoes what a statement may have left behind: an open transaction.
    pub fn reset(&mut self) {
        // Without a transaction this is an error, and there is nothing to undo.
        let _ = self.connection.run("ROLLBACK");
    }
}
