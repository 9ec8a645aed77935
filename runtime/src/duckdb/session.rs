//! A connection with its prepared statements.

use std::collections::HashMap;
use std::sync::Arc;

use super::asked::{Answers, Place, Speaking};
use super::{Bind, Connection, Database, DuckError, Interrupt, Rows, Statement};

/// Most statements that a session keeps prepared.
pub const MAX_PREPARED_STATEMENTS: usize = 1_024;

/// A connection of one thread, and the statements that it prepared.
#[derive(Debug)]
pub struct Session {
    // Before the connection, so that they are dropped first.
    statements: HashMap<Box<str>, Prepared>,
    connection: Connection,
    database: Database,
    place: Arc<Place>,
    /// whether something ran that may have left something behind
    is_touched: bool,
}

#[derive(Debug)]
struct Prepared {
    statement: Statement,
    names: Box<[String]>,
    leaves_nothing: bool,
}

impl Session {
    /// A session on a database.
    ///
    /// # Errors
    /// When DuckDB cannot open another connection.
    pub fn new(database: &Database) -> Result<Self, DuckError> {
        let connection = database.connect()?;
        Ok(Self {
            statements: HashMap::new(),
            place: database.place(&connection),
            connection,
            database: database.clone(),
            is_touched: false,
        })
    }

    /// What interrupts it.
    pub fn interrupt(&self) -> Interrupt {
        self.connection.interrupt()
    }

    /// Lets SQL that is run here ask about a call, as long as what is returned lives.
    #[must_use]
    pub fn speak_for(&self, caller: Arc<dyn Answers>) -> Speaking {
        self.place.speak_for(caller)
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
            self.prepare(sql)?;
        }
        let Some(prepared) = self.statements.get_mut(sql) else {
            return Err(DuckError::new("sql", "the statement is not prepared"));
        };
        for (at, name) in prepared.names.iter().enumerate() {
            let value = value(name).ok_or_else(|| {
                DuckError::new("binder", format!("there is no value for `${name}`"))
            })?;
            prepared.statement.bind(at + 1, &value)?;
        }
        self.is_touched |= !prepared.leaves_nothing;
        prepared.statement.execute()
    }

    fn prepare(&mut self, sql: &str) -> Result<(), DuckError> {
        if self.statements.len() >= MAX_PREPARED_STATEMENTS {
            self.statements.clear();
        }
        let statement = self.connection.prepare(sql)?;
        let prepared = Prepared {
            names: statement.parameters().into(),
            leaves_nothing: statement.leaves_nothing(),
            statement,
        };
        self.statements.insert(sql.into(), prepared);
        Ok(())
    }

    /// Sees to it that nothing of what ran (a temporary table, a variable, an open transaction)
    /// reaches whoever has the session next: after anything but plain queries and changes of rows
    /// the connection is another one.
    ///
    /// # Errors
    /// When DuckDB cannot open another connection. The session is then as good as its last
    /// statement left it, with its transaction undone.
    pub fn tidy(&mut self) -> Result<(), DuckError> {
        if !self.is_touched {
            return Ok(());
        }
        self.statements.clear();
        match self.database.connect() {
            Ok(connection) => {
                self.place = self.database.place(&connection);
                self.connection = connection;
                self.is_touched = false;
                Ok(())
            }
            Err(error) => {
                // Without a transaction this is an error, and there is nothing to undo.
                let _ = self.connection.run("ROLLBACK");
                Err(error)
            }
        }
    }
}
