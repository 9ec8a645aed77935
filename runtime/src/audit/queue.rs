//! What stands between those who report operations and whoever writes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::pace::Pace;
use super::refusal::Refusals;

/// Records that wait to be written, at most.
pub const QUEUE_RECORDS_MAX: usize = 10_000;
/// Bytes of the records that wait, at most.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What became of a record: its number, or why it is not on disk.
pub(super) type Outcome = Result<u64, Arc<str>>;

/// Whoever waits for a record to be on disk.
#[derive(Debug)]
pub(super) enum Ticket {
    /// a task
    Task(oneshot::Sender<Outcome>),
    /// a thread
    Thread(mpsc::SyncSender<Outcome>),
}

/// A record that waits to be written.
#[derive(Debug)]
pub(super) struct Entry {
    /// The line as far as it is known before the record has its place.
    pub body: Vec<u8>,
    /// Who waits for it.
    pub ticket: Option<Ticket>,
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait already.
    Full,
    /// The trail was closed.
    Closed,
}

/// What the writer does next.
#[derive(Debug)]
pub(super) enum Work {
    /// Write these.
    Entries(Vec<Entry>),
    /// Something may be due, although nothing came.
    Tick,
    /// Everything is written and nothing more will come.
    Closed,
}

/// Shared by everyone who reports and whoever writes.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    origin: Instant,
    /// when the commit that is under way began, in microseconds since `origin`; zero if none is
    commit_began_us: AtomicU64,
    /// Failed authentications and the like, summed.
    pub refusals: Refusals,
    /// Records on disk.
    pub written: AtomicU64,
    /// Commits, each of one or more records.
    pub commits: AtomicU64,
    /// Records that could not be brought to disk.
    pub failed: AtomicU64,
    /// Operations whose record was not on disk in time, or had no room.
    pub refused: AtomicU64,
    trouble: Mutex<Option<Arc<str>>>,
    bundle: Mutex<Option<Arc<str>>>,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<Entry>,
    bytes: usize,
    /// entries that the writer's thread has taken, until it comes back
    taken: usize,
    since: Option<Instant>,
    pace: Pace,
    /// how many entries wake the writer, while it sleeps
    wakes_at: Option<usize>,
    urgent: bool,
    /// whether the writer has to look at what is due again
    nudged: bool,
    closing: bool,
    gone: bool,
}

impl Shared {
    /// An empty queue of a trail, strict or in batches.
    pub(super) fn new(strict: bool) -> Self {
        let queue = Queue {
            entries: Vec::new(),
            bytes: 0,
            taken: 0,
            since: None,
            pace: Pace::new(strict),
            wakes_at: None,
            urgent: false,
            nudged: false,
            closing: false,
            gone: false,
        };
        Self {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            origin: Instant::now(),
            commit_began_us: AtomicU64::new(0),
            refusals: Refusals::default(),
            written: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            trouble: Mutex::new(None),
            bundle: Mutex::new(None),
        }
    }

    /// Takes a record for which nobody waits, if there is room for it; gives it back otherwise.
    pub(super) fn offer(&self, body: Vec<u8>) -> Result<(), Vec<u8>> {
        let mut queue = lock(&self.queue);
        if queue.closing || queue.gone || queue.is_full(body.len(), 1) {
            return Err(body);
        }
        queue.push(Entry { body, ticket: None });
        self.wake(queue);
        Ok(())
    }

    /// Takes a record for which somebody waits. Those who wait may be twice as many as the records
    /// of those who do not: a full queue slows its callers down before it refuses them.
    pub(super) fn submit(&self, body: Vec<u8>, ticket: Ticket) -> Result<(), Refused> {
        let mut queue = lock(&self.queue);
        if queue.closing || queue.gone {
            return Err(Refused::Closed);
        }
        if queue.is_full(body.len(), 2) {
            return Err(Refused::Full);
        }
        queue.urgent |= queue.pace.hurries();
        queue.push(Entry { body, ticket: Some(ticket) });
        self.wake(queue);
        Ok(())
    }

    /// Whether nothing is being written, nothing waits, and a single caller has been about of late:
    /// that one's record may as well be brought to disk on the thread that has it.
    pub(super) fn is_quiet(&self) -> bool {
        if self.commit_began_us.load(Ordering::Relaxed) != 0 {
            return false;
        }
        let queue = lock(&self.queue);
        let is_open = !queue.closing && !queue.gone;
        is_open && queue.entries.is_empty() && queue.taken == 0 && queue.pace.is_lone()
    }

    /// Notes that a record was written alone.
    pub(super) fn wrote_alone(&self) {
        let mut queue = lock(&self.queue);
        let meanwhile = queue.waiting() + queue.taken;
        queue.pace.took(1, meanwhile);
    }

    /// Has the writer's thread look again at what is due and whether writing is paused: it sleeps by a
    /// clock that does not know of what others have written.
    pub(super) fn nudge(&self) {
        let mut queue = lock(&self.queue);
        queue.nudged = true;
        if queue.wakes_at.take().is_some() {
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Wakes the writer if it sleeps and has something to do.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let (entries, urgent) = (queue.entries.len(), queue.urgent);
        if queue.wakes_at.take_if(|at| urgent || entries >= *at).is_some() {
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Waits for something to write, and for as much of it as the pace says; with `not_before`,
    /// until then at least unless the trail closes; and until `tick` at most.
    pub(super) fn next(&self, not_before: Option<Instant>, tick: Instant) -> Work {
        let mut queue = lock(&self.queue);
        queue.taken = 0;
        let meanwhile = queue.waiting();
        loop {
            // Before anything is taken: whether writing is paused may be what is new.
            if std::mem::take(&mut queue.nudged) {
                return Work::Tick;
            }
            let now = Instant::now();
            let paused = not_before.filter(|at| *at > now && !queue.closing);
            let due = if queue.entries.is_empty() {
                None
            } else if queue.is_due() {
                Some(now)
            } else {
                Some(queue.since.unwrap_or(now) + queue.pace.wait())
            };
            let due = due.map(|at| paused.map_or(at, |pause| at.max(pause)));
            if due.is_some_and(|at| at <= now) {
                let records = queue.waiting();
                let entries = queue.take();
                queue.taken = entries.len();
                // Sums of refusals say nothing of how many call.
                if records > 0 {
                    queue.pace.took(records, meanwhile);
                }
                return Work::Entries(entries);
            }
            if queue.closing && queue.entries.is_empty() {
                return Work::Closed;
            }
            if tick <= now {
                return Work::Tick;
            }
            let until = due.map_or(tick, |at| at.min(tick));
            let wait = until.saturating_duration_since(now);
            queue.wakes_at = Some(if queue.entries.is_empty() { 1 } else { queue.pace.wanted() });
            (queue, _) =
                self.work.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner);
            queue.wakes_at = None;
        }
    }

    /// Puts records back in front that could not be written.
    pub(super) fn put_back(&self, mut entries: Vec<Entry>) {
        let mut queue = lock(&self.queue);
        queue.bytes += entries.iter().map(|entry| entry.body.len()).sum::<usize>();
        queue.urgent |= queue.pace.hurries() && entries.iter().any(|entry| entry.ticket.is_some());
        entries.append(&mut queue.entries);
        queue.entries = entries;
        queue.since.get_or_insert_with(Instant::now);
    }

    /// Takes nothing more; what is there is still written.
    pub(super) fn close(&self) {
        lock(&self.queue).closing = true;
        self.work.notify_one();
    }

    /// The writer is gone: whoever waits is told so, and nothing more is taken.
    pub(super) fn abandon(&self) {
        let mut queue = lock(&self.queue);
        queue.gone = true;
        queue.take();
    }

    /// Notes that a commit begins (or ended, with `false`).
    pub(super) fn committing(&self, begins: bool) {
        let now = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.commit_began_us.store(if begins { now.max(1) } else { 0 }, Ordering::Relaxed);
    }

    /// For how long the commit that is under way has been.
    pub(super) fn commit_age(&self) -> Option<Duration> {
        let began = Duration::from_micros(match self.commit_began_us.load(Ordering::Relaxed) {
            0 => return None,
            began => began,
        });
        Some(self.origin.elapsed().saturating_sub(began))
    }

    /// Why the last commit failed; none if it did not.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        lock(&self.trouble).clone()
    }

    /// Sets what [`Self::trouble`] says.
    pub(super) fn set_trouble(&self, trouble: Option<Arc<str>>) {
        *lock(&self.trouble) = trouble;
    }

    /// Digest of the bundle that is being served.
    pub(super) fn bundle(&self) -> Option<Arc<str>> {
        lock(&self.bundle).clone()
    }

    /// Sets what [`Self::bundle`] says.
    pub(super) fn set_bundle(&self, bundle: &str) {
        *lock(&self.bundle) = Some(Arc::from(bundle));
    }

    /// How many records wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.queue).entries.len()
    }
}

impl Queue {
    fn is_full(&self, bytes: usize, times: usize) -> bool {
        self.entries.len() >= QUEUE_RECORDS_MAX * times
            || (self.bytes + bytes > QUEUE_BYTES_MAX * times && !self.entries.is_empty())
    }

    /// Whether more is not waited for.
    fn is_due(&self) -> bool {
        self.closing || self.urgent || self.entries.len() >= self.pace.wanted()
    }

    /// Records for which somebody waits.
    fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| entry.ticket.is_some()).count()
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.body.len();
        self.since.get_or_insert_with(Instant::now);
        self.entries.push(entry);
    }

    fn take(&mut self) -> Vec<Entry> {
        (self.bytes, self.since, self.urgent) = (0, None, false);
        std::mem::take(&mut self.entries)
    }
}

impl Ticket {
    /// Tells whoever waits what became of the record. Nobody may be waiting any more.
    pub(super) fn settle(self, outcome: Outcome) {
        match self {
            Self::Task(sender) => drop(sender.send(outcome)),
            Self::Thread(sender) => drop(sender.try_send(outcome)),
        }
    }
}

/// Locks; a thread that panicked while it held the lock left nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
