//! Where logins are kept: clients, logins under way, grants and their tokens, in one SQLite file or in
//! a PostgreSQL database that replicas share.
//!
//! Secrets that clients present are kept as digests, what the provider gave us is kept encrypted. A
//! job is one transaction, and what it wrote is on disk when its answer is there: a client is told
//! of nothing that a crash could undo. Several projects may share a database; each sees its own rows.

mod base;
mod cleaning;
mod clients;
mod connect;
mod file;
mod grants;
mod hearing;
mod logins;
mod postgres;
mod schema;
mod sqlite;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use self::postgres::{Postgres, Realm};
use super::seal::{Place, Sealed, Sealer};
use super::secret::NoRandom;
use base::{Base, Row, Value};
use connect::Target;
use hearing::Hearing;
use sqlite::Sqlite;

pub use base::Notice;
pub use cleaning::{CLEANING_INTERVAL_S, Cleaned};
pub use clients::{
    CLIENTS_MAX, CLIENTS_PER_ADDRESS_AND_HOUR_MAX, Registered, Registration, UNUSED_CLIENT_S,
    USED_CLIENT_S,
};
pub use file::{KeyError, OpenError};
pub use grants::{Begin, Ended, GRANTS_PER_SUBJECT_MAX, GrantRow, NewGrant, REFRESH_LEASE_S};
pub use logins::{Begun, LOGINS_MAX, LOGINS_PER_ADDRESS_MAX};
pub use tokens::{Code, Pair, REPLAY_S, Redeemed, Refreshed, TokenRow};

/// Jobs that wait for the store, at most; what is beyond is refused at once.
pub const WAITING_JOBS_MAX: usize = 4_096;
/// Milliseconds that somebody waits for the store.
pub const ANSWER_TIMEOUT_MS: u64 = 10_000;
/// Connections to a PostgreSQL database, beside the one that hears what other replicas do.
pub const CONNECTIONS: usize = 4;

/// A handle on the store. Cheap to clone; it is closed with the last one.
#[derive(Clone)]
pub struct Store {
    jobs: SyncSender<Job>,
    path: Option<PathBuf>,
    hearing: Arc<Heard>,
}

/// Stops hearing when the last handle is gone.
struct Heard(Arc<Hearing>);

impl Drop for Heard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

type Job = Box<dyn FnOnce(&mut Room) + Send>;

/// What a thread of the store has.
struct Room {
    base: Box<dyn Base>,
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
    /// There was no answer in time.
    #[error("the session database did not answer within {ANSWER_TIMEOUT_MS} ms")]
    Slow,
    /// SQLite failed.
    #[error("the session database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused a statement.
    #[error("the session database failed: {0}")]
    Postgres(String),
    /// PostgreSQL cannot be reached, or went away.
    #[error("the session database cannot be reached: {0}")]
    Unreachable(String),
    /// Nothing was kept of a transaction, since a part of it had failed.
    #[error("the session database kept nothing, since a part of the request had failed")]
    Undone,
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
    base: &'c dyn Base,
    sealer: &'c Sealer,
    realm: &'c str,
}

/// How the store is opened.
#[derive(Clone)]
pub struct Settings<'s> {
    /// where it is
    pub place: Whereabouts<'s>,
    /// the configured key, as text
    pub key: Option<&'s str>,
    /// whose rows these are: project and profile
    pub realm: String,
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Where rows are kept.
#[derive(Clone, Copy)]
pub enum Whereabouts<'s> {
    /// in a SQLite file
    File(&'s Path),
    /// in a PostgreSQL database
    Database {
        /// its address, with what it takes to get in
        url: &'s str,
        /// certificates that vouch for it, in PEM; the system's where there are none
        ca: Option<&'s Path>,
    },
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    /// the handle
    pub store: Store,
    /// seals under its key
    pub sealer: Sealer,
    /// what the operator should know
    pub notes: Vec<String>,
    /// what other processes with the same database end; `None` where there can be none
    pub notices: Option<UnboundedReceiver<Notice>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Whereabouts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            // The address has a password in it.
            Self::Database { .. } => f.write_str("Database"),
        }
    }
}

impl Store {
    /// Opens the store. Talks to the database until it knows that it can be used, so it blocks.
    ///
    /// # Errors
    /// When the file or the database, or its key, cannot be used.
    pub fn open(settings: Settings<'_>) -> Result<Opened, OpenError> {
        match settings.place {
            Whereabouts::File(path) => Self::open_file(path, settings.key, settings.realm),
            Whereabouts::Database { url, ca } => {
                let key = settings.key.ok_or(OpenError::KeyMissing)?;
                Self::open_database(url, ca, key, &settings.realm)
            }
        }
    }

    fn open_file(path: &Path, key: Option<&str>, realm: String) -> Result<Opened, OpenError> {
        let file::Opened { connection, sealer, path, notes } = file::open(path, key)?;
        let room = Room { base: Box::new(Sqlite(connection)), sealer: sealer.clone(), realm };
        let jobs = serve(vec![room])?;
        let hearing = Arc::new(Heard(Arc::default()));
        let store = Self { jobs, path: Some(path), hearing };
        Ok(Opened { store, sealer, notes, notices: None })
    }

    fn open_database(
        url: &str,
        ca: Option<&Path>,
        key: &str,
        realm: &str,
    ) -> Result<Opened, OpenError> {
        let mut notes = Vec::new();
        let target = Target::new(url, ca, &mut notes)?;
        let sealer = connect::prepare(&target, key, realm)?;
        let room = || Room {
            base: Box::new(Postgres::new(target.clone(), realm)),
            sealer: sealer.clone(),
            realm: realm.to_owned(),
        };
        let jobs = serve((0..CONNECTIONS).map(|_| room()).collect())?;
        let (to, notices) = unbounded_channel();
        let hearing = Arc::<Hearing>::default();
        hearing::listen(target.clone(), Realm::new(realm).channel, Arc::clone(&hearing), to)
            .map_err(OpenError::Thread)?;
        let store = Self { jobs, path: None, hearing: Arc::new(Heard(hearing)) };
        Ok(Opened { store, sealer, notes, notices: Some(notices) })
    }

    /// The file that is used, where it is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// A number that changes when something may have ended of which this process did not hear. What
    /// was found out under another one has to be looked up again; `None` while nothing is heard.
    pub fn epoch(&self) -> Option<u64> {
        self.hearing.0.epoch()
    }

    /// Runs a job that only reads.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(false, job).await
    }

    /// Runs a job that writes: all of it is on disk when this returns, or none when it fails.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.run(true, job).await
    }

    async fn run<T: Send + 'static>(
        &self,
        writes: bool,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |room| {
            // Whoever waited may be gone; what was done stays done.
            let _ = sender.send(room.transact(writes, job));
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        let wait = Duration::from_millis(ANSWER_TIMEOUT_MS);
        let answer = tokio::time::timeout(wait, receiver).await.map_err(|_| StoreError::Slow)?;
        answer.map_err(|_| StoreError::Closed)?
    }
}

/// Starts a thread for each room. They end when nobody has a handle any more.
fn serve(rooms: Vec<Room>) -> Result<SyncSender<Job>, OpenError> {
    let (jobs, waiting) = mpsc::sync_channel::<Job>(WAITING_JOBS_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    for mut room in rooms {
        let waiting: Arc<Mutex<Receiver<Job>>> = Arc::clone(&waiting);
        let next = move || waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let serve = move || {
            while let Ok(job) = next() {
                job(&mut room);
            }
        };
        let named = thread::Builder::new().name("auth-store".to_owned());
        named.spawn(serve).map_err(OpenError::Thread)?;
    }
    Ok(jobs)
}

impl Room {
    fn transact<T>(
        &mut self,
        writes: bool,
        job: impl FnOnce(&Desk<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.base.begin(writes)?;
        let desk = Desk { base: &*self.base, sealer: &self.sealer, realm: &self.realm };
        match job(&desk) {
            Ok(done) => self.base.end(true).map(|()| done),
            Err(error) => {
                // Whether that works or not, nothing was kept, and the error is the job's.
                let _ = self.base.end(false);
                Err(error)
            }
        }
    }
}

impl Desk<'_> {
    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, StoreError> {
        self.base.execute(sql, values)
    }

    fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.base.query(sql, values)?.first().map(read).transpose()
    }

    fn count(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let count = self.one(sql, values, |row| row.whole(0))?.ok_or(StoreError::Row("count"))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn texts(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<String>, StoreError> {
        self.base.query(sql, values)?.iter().map(|row| row.text(0)).collect()
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
