//! Where logins are kept: one SQLite file with clients, logins under way, grants and their tokens.
//!
//! Secrets that clients present are kept as digests, what the provider gave us is kept encrypted. A
//! job is one transaction, and what it wrote is on disk when its answer is there: a client is told
//! of nothing that a crash could undo. Several projects may share a file; each sees its own rows.

mod cleaning;
mod clients;
mod file;
mod grants;
mod logins;
mod schema;
#[cfg(test)]
mod tests;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread;

use rusqlite::{Connection, OptionalExtension as _, Params, Row, TransactionBehavior};
use tokio::sync::oneshot;

use super::seal::{Place, Sealed, Sealer};
use super::secret::NoRandom;

pub use cleaning::{CLEANING_INTERVAL_S, Cleaned};
pub use clients::{
    CLIENTS_MAX, CLIENTS_PER_ADDRESS_AND_HOUR_MAX, Registered, Registration, UNUSED_CLIENT_S,
    USED_CLIENT_S,
};
pub use file::{KeyError, OpenError};
pub use grants::{GRANTS_PER_SUBJECT_MAX, GrantRow, NewGrant};
pub use logins::{Begun, LOGINS_MAX, LOGINS_PER_ADDRESS_MAX};
pub use tokens::{Code, Pair, REPLAY_S, Redeemed, Refreshed, TokenRow};

/// Jobs that wait for the store, at most; what is beyond is refused at once.
pub const WAITING_JOBS_MAX: usize = 4_096;

/// A handle on the store. Cheap to clone; the file is closed with the last one.
#[derive(Clone)]
pub struct Store {
    jobs: SyncSender<Job>,
    path: PathBuf,
}

type Job = Box<dyn FnOnce(&mut Room) + Send>;

/// What the store's thread has.
struct Room {
    connection: Connection,
    sealer: Sealer,
    realm: String,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too many jobs wait.
    #[error("too many requests wait for the session database")]
    Busy,
    /// Its thread is gone.
    #[error("the session database is closed")]
    Closed,
    /// SQLite failed.
    #[error("the session database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// There are no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// A row cannot be decrypted.
    #[error("a row of the session database cannot be decrypted: {0}")]
    Sealed(#[from] Sealed),
    /// A row does not hold what it should.
    #[error("a row of the session database cannot be read: {0}")]
    Row(&'static str),
}

/// What a job works with: one transaction.
#[derive(Debug)]
pub struct Desk<'c> {
    connection: &'c Connection,
    sealer: &'c Sealer,
    realm: &'c str,
}

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Settings<'s> {
    /// the configured file
    pub path: &'s Path,
    /// the configured key, as text
    pub key: Option<&'s str>,
    /// whose rows these are: project and profile
    pub realm: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store and gives the handle, the sealer of its key, and what the operator should
    /// know.
    ///
    /// # Errors
    /// When the file or its key cannot be used.
    pub fn open(settings: Settings<'_>) -> Result<(Self, Sealer, Vec<String>), OpenError> {
        let file::Opened { connection, sealer, path, notes } =
            file::open(settings.path, settings.key)?;
        let mut room = Room { connection, sealer: sealer.clone(), realm: settings.realm };
        let (jobs, waiting) = mpsc::sync_channel::<Job>(WAITING_JOBS_MAX);
        let serve = move || waiting.iter().for_each(|job| job(&mut room));
        let named = thread::Builder::new().name("auth-store".to_owned());
        named.spawn(serve).map_err(OpenError::Thread)?;
        Ok((Self { jobs, path }, sealer, notes))
    }

    /// The file that is used.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs a job that only reads.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(TransactionBehavior::Deferred, job).await
    }

    /// Runs a job that writes: all of it is on disk when this returns, or none when it fails.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(TransactionBehavior::Immediate, job).await
    }

    async fn run<T: Send + 'static>(
        &self,
        behavior: TransactionBehavior,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |room| {
            // Whoever waited may be gone; what was done stays done.
            let _ = sender.send(room.transact(behavior, job));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }
}

impl Room {
    fn transact<T>(
        &mut self,
        behavior: TransactionBehavior,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let desk = Desk { connection: &transaction, sealer: &self.sealer, realm: &self.realm };
        let done = job(&desk)?;
        transaction.commit()?;
        Ok(done)
    }
}

impl Desk<'_> {
    fn execute(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        Ok(self.connection.execute(sql, values)?)
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.connection.query_row(sql, values, read).optional()?)
    }

    fn count(&self, sql: &str, values: impl Params) -> Result<u64, StoreError> {
        let count: i64 = self.connection.query_row(sql, values, |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn texts(&self, sql: &str, values: impl Params) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map(values, |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn seal(&self, place: Place<'_>, plain: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.sealer.seal(place, plain.as_bytes())?)
    }

    fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<String, StoreError> {
        let plain = self.sealer.open(place, sealed)?;
        String::from_utf8(plain).map_err(|_| StoreError::Row("text"))
    }
}

/// Scopes as one text, and back.
fn join(scopes: &[String]) -> String {
    scopes.join(" ")
}

fn split(scopes: &str) -> Vec<String> {
    scopes.split_ascii_whitespace().map(str::to_owned).collect()
}
