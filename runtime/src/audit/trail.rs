//! A trail that is open for writing.

use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mxcp_schemas::audit::{OperationStatus, OperationType, Record};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::call::CallId;
use super::head::{self, Loaded, Sidecar};
use super::health::Health;
use super::lone::{Expected, Lone};
use super::queue::{AppendError, Outcome, Shared, Ticket, lock};
use super::recover::{recover, signed_last};
use super::refusal::Refusal;
use super::retention::RETENTION_MS;
use super::segment::Layout;
use super::storage::{Disk, Storage};
use super::voice::{CHECKPOINT_MS, Signing, Voice};
use super::writer::{Writer, encode_system};

/// How long a caller waits for its record, at most, unless configured otherwise; in milliseconds.
pub const COMMIT_DEADLINE_MS: u64 = 2_000;
/// Size at which a segment ends unless configured otherwise, in bytes.
pub const SEGMENT_BYTES: u64 = 50 * 1024 * 1024;
/// How long nothing is tried after a failure, in milliseconds.
const RETRY_PAUSE_MS: u64 = 250;
/// How long closing waits for the last records, in milliseconds.
const CLOSE_DEADLINE_MS: u64 = 10_000;

/// When a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// When its record is on disk.
    #[default]
    Strict,
    /// When its record is in a bounded queue that is written every 100 ms.
    Batch,
}

/// What a trail is and how it is written.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where; segments stand beside this file.
    pub path: PathBuf,
    /// When calls are answered.
    pub durability: Durability,
    /// Size at which a segment ends.
    pub max_file_size_bytes: u64,
    /// Days after which segments are deleted; none keeps them.
    pub retention_days: Option<u32>,
    /// Who signs checkpoints; without anybody there are none.
    pub signing: Option<Signing>,
    /// How long a caller waits for its record before it is refused.
    pub commit_deadline: Duration,
    /// How long to wait for another writer to end before giving up.
    pub lock_wait: Duration,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) retry_pause: Duration,
    /// how often a checkpoint is due while there are new records
    pub(super) checkpoint_every: Duration,
    /// how often expired segments are looked for
    pub(super) retention_every: Duration,
    pub(super) processors: usize,
}

impl Config {
    /// The trail at that path with everything else at its default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            durability: Durability::default(),
            max_file_size_bytes: SEGMENT_BYTES,
            retention_days: None,
            signing: None,
            commit_deadline: Duration::from_millis(COMMIT_DEADLINE_MS),
            lock_wait: Duration::ZERO,
            storage: Arc::new(Disk),
            retry_pause: Duration::from_millis(RETRY_PAUSE_MS),
            checkpoint_every: Duration::from_millis(CHECKPOINT_MS),
            retention_every: Duration::from_millis(RETENTION_MS),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }
    }
}

/// Why a trail cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The path names no file.
    #[error("the audit path `{}` does not name a file; give one such as `audit/logs.jsonl`", .0.display())]
    Path(PathBuf),
    /// Somebody else writes it.
    #[error(
        "the audit trail `{}` is being written by another process{owner}; stop that one, or \
         configure another `audit.path`", path.display()
    )]
    Locked {
        /// the trail
        path: PathBuf,
        /// what is known of the other process
        owner: String,
    },
    /// A file cannot be read or written.
    #[error("the audit trail `{}` cannot be opened: {doing}: {source}", path.display())]
    Io {
        /// the trail
        path: PathBuf,
        /// what was tried
        doing: &'static str,
        /// why it failed
        source: io::Error,
    },
}

/// Proof that an operation is recorded as its trail demands. Only a trail makes these, and a reply
/// is only made from one.
#[derive(Debug)]
#[must_use = "a reply needs its receipt"]
pub struct AuditReceipt {
    seq: Option<u64>,
}

impl AuditReceipt {
    /// Number of the record, if it is on disk already.
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }
}

/// Proof that the intent to run something is recorded, if the trail demands it.
#[derive(Debug)]
#[must_use = "running needs its intent"]
pub struct IntentReceipt(());

/// An open trail. Clones are the same trail.
#[derive(Debug, Clone)]
pub struct Trail {
    open: Option<Arc<Open>>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) shared: Arc<Shared>,
    pub(super) writer: Arc<Mutex<Writer>>,
    strict: bool,
    deadline: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: Mutex<mpsc::Receiver<()>>,
    /// dropped, and with it the lock, after the writer has ended
    _lock: File,
}

/// How a record was taken.
enum Admitted<R> {
    Settled(Result<AuditReceipt, AppendError>),
    Waiting(R),
}

/// The key that signs a trail, or that signed it last, as its sidecar says, or else its records.
///
/// # Errors
/// When they cannot be read.
pub fn signed_by(layout: &Layout) -> io::Result<Option<String>> {
    match head::load(&layout.head())? {
        Loaded::Found(head) => Ok(head.key),
        Loaded::Missing | Loaded::Damaged => signed_last(&layout.segments()?),
    }
}

impl Trail {
    /// Opens a trail for writing, finds its end and reports in it what is wrong with that.
    ///
    /// # Errors
    /// When another process writes it, or its files cannot be read and written.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let path = config.path.clone();
        let layout = Layout::new(&path).ok_or_else(|| OpenError::Path(path.clone()))?;
        let fail = |doing| {
            let path = path.clone();
            move |source| OpenError::Io { path, doing, source }
        };
        std::fs::create_dir_all(layout.folder()).map_err(fail("creating its folder"))?;
        let lock = acquire(&layout, config.lock_wait)?;
        let loaded = head::load(&layout.head()).map_err(fail("reading where it ends"))?;
        let fresh_id = CallId::begin().to_string();
        let found = recover(&layout, &loaded, fresh_id).map_err(fail("finding its end"))?;
        let mut sidecar = Sidecar::open(&*config.storage, &layout.head(), &loaded)
            .map_err(fail("writing where it ends"))?;
        let signing = config.signing.clone();
        let voice =
            signing.map(|it| Voice::new(it, found.chain.seq, config.checkpoint_every)).transpose();
        let voice = voice.map_err(fail("starting its checkpoints"))?;
        let before = sidecar.key().map(str::to_owned).or_else(|| found.key.clone());
        let own = voice.as_ref().map(|voice| voice.key.public().to_string());
        // Whoever writes without a key does not make the one forgotten that signed before.
        if let Some(key) = own.or_else(|| before.clone()) {
            sidecar.set_key(key);
        }
        let shared = Shared::new(config.durability == Durability::Strict, config.processors);
        let shared = Arc::new(shared);
        let mut writer = Writer::new(config, Arc::clone(&shared), layout, sidecar, found, voice);
        writer.begin(before.as_deref()).map_err(fail("writing to it"))?;
        let writer = Arc::new(Mutex::new(writer));
        let (end, ended) = mpsc::sync_channel(1);
        let (to_write, to_share) = (Arc::clone(&writer), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                let _end = end;
                Writer::run(&to_write, &to_share);
            })
            .map_err(fail("starting its writer"))?;
        let open = Open {
            shared,
            writer,
            strict: config.durability == Durability::Strict,
            deadline: config.commit_deadline,
            thread: Mutex::new(Some(thread)),
            ended: Mutex::new(ended),
            _lock: lock,
        };
        Ok(Self { open: Some(Arc::new(open)) })
    }

    /// A trail that keeps nothing, for projects without audit.
    pub const fn disabled() -> Self {
        Self { open: None }
    }

    /// Notes that an operation runs, whose record will come.
    pub fn expect(&self) -> Expected {
        let open = self.open.as_ref().filter(|open| open.strict);
        Expected::new(open.map(|open| Arc::clone(&open.shared)))
    }

    /// Records an operation. The record is on its way when this returns; the future says when the
    /// operation may be answered. Dropping the future does not take the record back.
    pub fn append(
        &self,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<AuditReceipt, AppendError>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        self.settle(self.admit(record, || (Ticket::Task(sender), receiver)))
    }

    /// [`Self::append`] for whoever has a thread that may wait for the disk: the record is not on its
    /// way before that thread calls [`Lone::commit`]. None where nobody waits for the disk.
    pub fn append_alone(
        &self,
        record: &Record<'_>,
    ) -> Option<(Lone, impl Future<Output = Result<AuditReceipt, AppendError>> + Send + use<>)>
    {
        let open = Arc::clone(self.open.as_ref().filter(|open| open.strict)?);
        let (sender, receiver) = oneshot::channel();
        let lone = Lone { open, body: encoded(record), ticket: Ticket::Task(sender) };
        Some((lone, self.settle(Admitted::Waiting(receiver))))
    }

    /// How long anybody waits for a record, where calls wait for the disk.
    pub fn deadline(&self) -> Option<Duration> {
        self.open.as_ref().filter(|open| open.strict).map(|open| open.deadline)
    }

    /// Gives up on a record that is not on disk in time, and says so.
    pub fn give_up(&self) -> AppendError {
        let open = self.open.as_ref();
        if let Some(open) = open {
            open.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        AppendError::Deadline(open.map_or(Duration::ZERO, |open| open.deadline))
    }

    /// When the operation may be answered whose record was taken like that.
    fn settle(
        &self,
        admitted: Admitted<oneshot::Receiver<Outcome>>,
    ) -> impl Future<Output = Result<AuditReceipt, AppendError>> + Send + use<> {
        let deadline = self.open.as_ref().map_or(Duration::ZERO, |open| open.deadline);
        let until = tokio::time::Instant::now() + deadline;
        let shared = self.open.as_ref().map(|open| Arc::clone(&open.shared));
        async move {
            let result = match admitted {
                Admitted::Settled(result) => result,
                Admitted::Waiting(receiver) => {
                    match tokio::time::timeout_at(until, receiver).await {
                        Ok(Ok(outcome)) => settled(outcome),
                        Ok(Err(_)) => Err(AppendError::Closed),
                        Err(_) => Err(AppendError::Deadline(deadline)),
                    }
                }
            };
            if let (Err(_), Some(shared)) = (&result, shared) {
                shared.refused.fetch_add(1, Ordering::Relaxed);
            }
            result
        }
    }

    /// Records an operation and waits until it may be answered; for callers without tasks.
    ///
    /// # Errors
    /// When the record is not on disk in time.
    pub fn append_blocking(&self, record: &Record<'_>) -> Result<AuditReceipt, AppendError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let result = match self.admit(record, || (Ticket::Thread(sender), receiver)) {
            Admitted::Settled(result) => result,
            Admitted::Waiting(receiver) => {
                let deadline = self.open.as_ref().map_or(Duration::ZERO, |open| open.deadline);
                match receiver.recv_timeout(deadline) {
                    Ok(outcome) => settled(outcome),
                    Err(mpsc::RecvTimeoutError::Disconnected) => Err(AppendError::Closed),
                    Err(mpsc::RecvTimeoutError::Timeout) => Err(AppendError::Deadline(deadline)),
                }
            }
        };
        if let (Err(_), Some(open)) = (&result, &self.open) {
            open.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// Records, under strict durability, that something is about to run that may change the world,
    /// so that a crash while it runs is visible. `record` is what is known of the call.
    pub fn intend(
        &self,
        record: &Record<'_>,
    ) -> impl Future<Output = Result<IntentReceipt, AppendError>> + Send + use<> {
        let recorded = self.is_strict().then(|| {
            let id = CallId::begin();
            let event = intent_event(record);
            self.append(&intent(record, &id, &event))
        });
        async move {
            if let Some(recorded) = recorded {
                let _on_disk = recorded.await?;
            }
            Ok(IntentReceipt(()))
        }
    }

    /// [`Self::intend`] for callers without tasks.
    ///
    /// # Errors
    /// When the record is not on disk in time.
    pub fn intend_blocking(&self, record: &Record<'_>) -> Result<IntentReceipt, AppendError> {
        if self.is_strict() {
            let id = CallId::begin();
            let event = intent_event(record);
            let _on_disk = self.append_blocking(&intent(record, &id, &event))?;
        }
        Ok(IntentReceipt(()))
    }

    /// Adds a refusal before authentication to the sums that are recorded every second.
    pub fn refuse(&self, refusal: &Refusal) -> AuditReceipt {
        if let Some(open) = &self.open {
            open.shared.refusals.add(refusal);
        }
        AuditReceipt { seq: None }
    }

    /// Records what the server has to say about itself: that it starts, stops, reloads.
    ///
    /// # Errors
    /// When the record is not on disk in time.
    pub fn system_blocking(&self, kind: &str, event: &Value) -> Result<AuditReceipt, AppendError> {
        let Some(open) = &self.open else { return Ok(AuditReceipt { seq: None }) };
        let mut body = Vec::with_capacity(1_024);
        encode_system(&mut body, kind, event);
        let (sender, receiver) = mpsc::sync_channel(1);
        open.shared.submit(body, Ticket::Thread(sender));
        match receiver.recv_timeout(open.deadline) {
            Ok(outcome) => settled(outcome),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(AppendError::Closed),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(AppendError::Deadline(open.deadline)),
        }
    }

    /// Names the bundle that is served from now on in checkpoints.
    pub fn set_bundle(&self, digest: &str) {
        if let Some(open) = &self.open {
            open.shared.set_bundle(digest);
        }
    }

    /// The bundle that is served now.
    pub(super) fn bundle(&self) -> Option<Arc<str>> {
        self.open.as_ref().and_then(|open| open.shared.bundle())
    }

    /// How the trail is doing.
    pub fn health(&self) -> Health {
        let Some(open) = &self.open else { return Health::default() };
        let shared = &open.shared;
        let hangs = open.hangs().then(|| "the disk does not answer".to_owned());
        Health {
            enabled: true,
            trouble: hangs.or_else(|| shared.trouble().map(|trouble| trouble.to_string())),
            expected: shared.expected.load(Ordering::Relaxed),
            waiting: shared.waiting(),
            written: shared.written.load(Ordering::Relaxed),
            commits: shared.commits.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
        }
    }

    /// Whether calls wait for the disk.
    pub fn is_strict(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.strict)
    }

    /// Whether anything is recorded.
    pub const fn is_enabled(&self) -> bool {
        self.open.is_some()
    }

    /// Takes nothing more and waits, for a limited time, until everything is on disk. Returns
    /// whether it is.
    pub fn close(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.close())
    }

    fn admit<R>(&self, record: &Record<'_>, ticket: impl FnOnce() -> (Ticket, R)) -> Admitted<R> {
        let Some(open) = &self.open else {
            return Admitted::Settled(Ok(AuditReceipt { seq: None }));
        };
        let mut body = encoded(record);
        if !open.strict {
            match open.shared.offer(body) {
                Ok(()) => return Admitted::Settled(Ok(AuditReceipt { seq: None })),
                // There is no room, and there will be none.
                Err(_) if open.hangs() => {
                    return Admitted::Settled(Err(AppendError::Deadline(open.deadline)));
                }
                Err(kept) => body = kept,
            }
        }
        let (ticket, receiver) = ticket();
        open.submit(body, ticket);
        Admitted::Waiting(receiver)
    }
}

impl Open {
    /// Leaves a record to the trail's thread, unless it is known already that nobody lives to see it on
    /// disk.
    pub(super) fn submit(&self, body: Vec<u8>, ticket: Ticket) {
        if self.strict && self.hangs() {
            return ticket.settle(Err(AppendError::Deadline(self.deadline)));
        }
        self.shared.submit(body, ticket);
    }

    /// Whether a commit has been under way for longer than anybody may wait.
    fn hangs(&self) -> bool {
        self.shared.commit_age().is_some_and(|age| age > self.deadline)
    }

    fn close(&self) -> bool {
        self.shared.close();
        let deadline = Duration::from_millis(CLOSE_DEADLINE_MS);
        let ended = lock(&self.ended).recv_timeout(deadline);
        if ended == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("the audit trail could not be closed: the disk does not answer");
            return false;
        }
        lock(&self.thread).take().is_none_or(|thread| thread.join().is_ok())
            && !self.writer.is_poisoned()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut body = Vec::with_capacity(1_024);
    record.encode(&mut body);
    body
}

fn settled(outcome: Outcome) -> Result<AuditReceipt, AppendError> {
    outcome.map(|seq| AuditReceipt { seq: Some(seq) })
}

fn intent_event(call: &Record<'_>) -> Value {
    json!({
        "call_id": call.record_id,
        "operation_type": call.operation_type.as_str(),
        "operation_name": call.operation_name,
    })
}

/// The record of an intent: the call's own, under another name and with another id.
fn intent<'a>(call: &Record<'a>, id: &'a CallId, event: &'a Value) -> Record<'a> {
    Record {
        record_id: id.as_str(),
        timestamp: Timestamp::now(),
        operation_type: OperationType::System,
        operation_name: "intent",
        operation_status: OperationStatus::Success,
        event: Some(event),
        ..*call
    }
}

/// Takes the lock that one writer holds as long as it lives.
fn acquire(layout: &Layout, wait: Duration) -> Result<File, OpenError> {
    const POLL_MS: u64 = 20;
    let fail = |source| OpenError::Io {
        path: layout.legacy().to_owned(),
        doing: "taking its lock",
        source,
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(layout.lock()).map_err(fail)?;
    let until = Instant::now() + wait;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(POLL_MS));
            }
            Err(TryLockError::WouldBlock) => {
                let owner = owner(&mut file);
                return Err(OpenError::Locked { path: layout.legacy().to_owned(), owner });
            }
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
    }
    file.set_len(0).map_err(fail)?;
    writeln!(file, "{}", std::process::id()).map_err(fail)?;
    Ok(file)
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if text.trim().parse::<u32>().is_ok() => format!(" (process {})", text.trim()),
        _ => String::new(),
    }
}

/// Whether somebody writes the trail at that path at present.
///
/// # Errors
/// When the lock cannot be asked.
pub fn is_being_written(path: &Path) -> io::Result<bool> {
    let Some(layout) = Layout::new(path) else { return Ok(false) };
    let file = match File::open(layout.lock()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
