//! PostgreSQL: one database that the replicas of a server share.
//!
//! Writing transactions of one realm exclude one another by an advisory lock, so that they mean what
//! they mean in SQLite: a code is used once, whichever replica it comes to. Reading ones see one
//! moment. A connection that broke is made anew before the next transaction; a transaction in which
//! it breaks has failed, and is not tried again, since nobody knows what became of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use postgres::{Client, Statement};
use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::base::{Base, Field, Notice, Row, Value};
use super::connect::Target;

/// Milliseconds after a failed attempt to connect in which none is made.
const PAUSE_MS: u64 = 250;
/// Milliseconds that one statement may take.
const STATEMENT_TIMEOUT_MS: u64 = 5_000;
/// Milliseconds that a transaction waits for others.
const LOCK_TIMEOUT_MS: u64 = 5_000;
/// The schema of our tables.
pub(super) const SCHEMA: &str = "mxcp_sessions";

/// A connection, and how to get another one.
pub(super) struct Postgres {
    target: Target,
    realm: Realm,
    open: RefCell<Option<Open>>,
    /// when the last attempt to connect failed
    failed: Option<Instant>,
}

/// The realm as the database knows it apart from its rows.
#[derive(Debug, Clone)]
pub(super) struct Realm {
    /// excludes writing transactions of the realm
    lock: i64,
    /// where its notices go
    pub(super) channel: String,
}

struct Open {
    client: Client,
    statements: HashMap<String, Statement>,
    /// whether a statement of the transaction failed: nothing of it can be kept
    failed: bool,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").field("realm", &self.realm).finish_non_exhaustive()
    }
}

impl Realm {
    pub(super) fn new(name: &str) -> Self {
        let digest: [u8; 32] =
            Sha256::new().chain_update("mxcp sessions\n").chain_update(name).finalize().into();
        let (lock, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let lock = i64::from_be_bytes(*lock);
        Self { lock, channel: format!("mxcp_sessions_{lock:016x}") }
    }
}

impl Postgres {
    pub(super) fn new(target: Target, realm: &str) -> Self {
        Self { target, realm: Realm::new(realm), open: RefCell::new(None), failed: None }
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let pause = Duration::from_millis(PAUSE_MS);
        if self.failed.is_some_and(|failed| failed.elapsed() < pause) {
            return Err(StoreError::Unreachable("it could not be reached a moment ago".into()));
        }
        match self.target.connect() {
            Ok(client) => {
                self.failed = None;
                let open = Open { client, statements: HashMap::new(), failed: false };
                *self.open.get_mut() = Some(open);
                Ok(())
            }
            Err(error) => {
                self.failed = Some(Instant::now());
                Err(StoreError::Unreachable(told(&error)))
            }
        }
    }

    fn start(&self, writes: bool) -> String {
        let (isolation, lock) = if writes {
            // What is committed is on disk, whatever the server's default.
            let durable = "SELECT set_config('synchronous_commit', CASE WHEN \
                           current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' \
                           ELSE current_setting('synchronous_commit') END, true)";
            let alone = format!("{durable}; SELECT pg_advisory_xact_lock({})", self.realm.lock);
            ("READ COMMITTED READ WRITE", alone)
        } else {
            ("REPEATABLE READ READ ONLY", "SELECT 1".to_owned())
        };
        format!(
            "BEGIN ISOLATION LEVEL {isolation}; SET LOCAL search_path = {SCHEMA}; \
             SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}; \
             SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; {lock}"
        )
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut open = self.open.borrow_mut();
        let open = open.as_mut().ok_or(StoreError::Undone)?;
        work(open).map_err(|error| {
            open.failed = true;
            failure(&error)
        })
    }
}

impl Base for Postgres {
    fn begin(&mut self, writes: bool) -> Result<(), StoreError> {
        let start = self.start(writes);
        let known = self.open.get_mut().is_some();
        if !known {
            self.connect()?;
        }
        let begin = |this: &Self| {
            this.with(|open| {
                open.failed = false;
                open.client.batch_execute(&start)
            })
        };
        let mut begun = begin(self);
        // A connection that was idle may have ended meanwhile. Nothing was done on it yet.
        if begun.is_err() && known && self.is_broken() {
            self.connect()?;
            begun = begin(self);
        }
        if begun.is_err() {
            self.forget_if_broken();
            // The transaction may have begun before what failed.
            let _ = self.with(|open| open.client.batch_execute("ROLLBACK"));
        }
        begun
    }

    fn end(&mut self, keep: bool) -> Result<(), StoreError> {
        let failed = self.open.get_mut().as_ref().is_none_or(|open| open.failed);
        let keeps = keep && !failed;
        let ended =
            self.with(|open| open.client.batch_execute(if keeps { "COMMIT" } else { "ROLLBACK" }));
        if ended.is_err() {
            // Whatever state it is in, the next transaction has a connection of its own.
            *self.open.get_mut() = None;
        }
        if keep && failed {
            return Err(StoreError::Undone);
        }
        ended
    }

    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        let values = parameters(values);
        let changed = self.with(|open| {
            let statement = open.statement(sql)?;
            open.client.execute(&statement, &values)
        })?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let values = parameters(values);
        let rows = self.with(|open| {
            let statement = open.statement(sql)?;
            open.client.query(&statement, &values)
        })?;
        rows.iter().map(row).collect()
    }

    fn tell(&self, notice: &Notice) -> Result<(), StoreError> {
        let values = [Value::Text(&self.realm.channel), Value::Text(&notice.to_text())];
        self.query("SELECT pg_notify(?1, ?2)", &values).map(drop)
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl Postgres {
    fn is_broken(&self) -> bool {
        self.open.borrow().as_ref().is_none_or(|open| open.client.is_closed())
    }

    fn forget_if_broken(&mut self) {
        if self.is_broken() {
            *self.open.get_mut() = None;
        }
    }
}

impl Open {
    /// A statement, prepared once for each connection.
    fn statement(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        // No text of ours has a question mark in it.
        let statement = self.client.prepare(&sql.replace('?', "$"))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Notice {
    /// As other replicas read it.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Grant(id) => format!("grant {id}"),
            Self::Token(digest) => format!("token {}", digest.hex()),
        }
    }

    /// What another replica says; `None` when it says something else.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        match text.split_once(' ')? {
            ("grant", id) => Some(Self::Grant(id.to_owned())),
            ("token", hex) => super::super::secret::Digest::from_hex(hex).map(Self::Token),
            _ => None,
        }
    }
}

fn parameters<'v>(values: &'v [Value<'_>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn row(row: &postgres::Row) -> Result<Row, StoreError> {
    let fields = row.columns().iter().enumerate().map(|(at, column)| {
        let read: Result<Field, postgres::Error> = match *column.type_() {
            Type::INT8 => {
                row.try_get::<_, Option<i64>>(at).map(|v| v.map_or(Field::Null, Field::Whole))
            }
            Type::INT4 => row
                .try_get::<_, Option<i32>>(at)
                .map(|v| v.map_or(Field::Null, |whole| Field::Whole(i64::from(whole)))),
            Type::BOOL => row
                .try_get::<_, Option<bool>>(at)
                .map(|v| v.map_or(Field::Null, |truth| Field::Whole(i64::from(truth)))),
            Type::BYTEA => {
                row.try_get::<_, Option<Vec<u8>>>(at).map(|v| v.map_or(Field::Null, Field::Bytes))
            }
            Type::VOID => Ok(Field::Null),
            _ => row.try_get::<_, Option<String>>(at).map(|v| v.map_or(Field::Null, Field::Text)),
        };
        read.map_err(|_| StoreError::Row("a type"))
    });
    Ok(Row(fields.collect::<Result<_, _>>()?))
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Value::Null => Ok(IsNull::Yes),
            Value::Whole(whole) if *ty == Type::INT4 => i32::try_from(whole)?.to_sql(ty, out),
            Value::Whole(whole) => whole.to_sql(ty, out),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Which types there are is ours to say: the statements and the tables are.
        true
    }

    to_sql_checked!();
}

/// An error without what it says about rows.
pub(super) fn told(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn failure(error: &postgres::Error) -> StoreError {
    if error.is_closed() || error.as_db_error().is_none() {
        return StoreError::Unreachable(told(error));
    }
    StoreError::Postgres(told(error))
}

#[cfg(test)]
mod tests {
    use super::super::super::secret::Digest;
    use super::*;

    #[test]
    fn notices_are_read_as_they_were_written() {
        for notice in [Notice::Grant("a b".into()), Notice::Token(Digest::of("t"))] {
            assert_eq!(Notice::of_text(&notice.to_text()), Some(notice));
        }
        for odd in ["", "grant", "token xyz", "token 00", "other x"] {
            assert_eq!(Notice::of_text(odd), None, "{odd}");
        }
    }

    #[test]
    fn each_realm_has_its_own_lock_and_channel() {
        let (one, other) = (Realm::new("p/q"), Realm::new("p/r"));
        assert_ne!(one.lock, other.lock);
        assert_ne!(one.channel, other.channel);
        assert_eq!(one.channel, Realm::new("p/q").channel);
        // The longest name that PostgreSQL does not cut.
        assert!(one.channel.len() < 64);
    }
}
