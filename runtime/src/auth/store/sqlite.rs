//! SQLite: one file, one process.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

use super::StoreError;
use super::base::{Base, Field, Notice, Row, Value};

/// An open file.
#[derive(Debug)]
pub(super) struct Sqlite(pub(super) Connection);

impl Base for Sqlite {
    fn begin(&mut self, writes: bool) -> Result<(), StoreError> {
        self.0.execute_batch(if writes { "BEGIN IMMEDIATE" } else { "BEGIN DEFERRED" })?;
        Ok(())
    }

    fn end(&mut self, keep: bool) -> Result<(), StoreError> {
        if self.0.is_autocommit() {
            // SQLite has taken it back itself.
            return if keep { Err(StoreError::Undone) } else { Ok(()) };
        }
        self.0.execute_batch(if keep { "COMMIT" } else { "ROLLBACK" })?;
        Ok(())
    }

    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        Ok(self.0.prepare_cached(sql)?.execute(params_from_iter(values))?)
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let fields = (0..columns).map(|at| Ok(field(row.get_ref(at)?)));
            found.push(Row(fields.collect::<Result<_, rusqlite::Error>>()?));
        }
        Ok(found)
    }

    fn tell(&self, _: &Notice) -> Result<(), StoreError> {
        Ok(())
    }

    fn is_shared(&self) -> bool {
        false
    }
}

fn field(value: ValueRef<'_>) -> Field {
    match value {
        ValueRef::Integer(whole) => Field::Whole(whole),
        ValueRef::Text(text) => Field::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Field::Bytes(bytes.to_vec()),
        // No column holds numbers with a fraction.
        ValueRef::Null | ValueRef::Real(_) => Field::Null,
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Whole(whole) => ValueRef::Integer(whole),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
