//! What stands between those who report operations and whoever writes them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
pub(super) type Outcome = Result<u64, AppendError>;

/// Why a record is not on disk. The operation must not be answered then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Writing failed.
    #[error("the audit record could not be written: {0}")]
    Failed(Arc<str>),
    /// Writing takes too long. The record may still reach the disk.
    #[error("the audit record was not on disk within {} ms", .0.as_millis())]
    Deadline(Duration),
    /// Too many records wait.
    #[error("too many audit records wait to be written")]
    Full,
    /// The trail was closed.
    #[error("the audit trail is closed")]
    Closed,
}

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
    /// operations that run, and whose records will come
    pub expected: AtomicUsize,
    processors: usize,
}

#[derive(Debug)]
struct Queue {
    entries: Vec<Entry>,
    bytes: usize,
    /// entries that the writer's thread has taken, until it comes back
    taken: usize,
    since: Option<Instant>,
    pace: Pace,
    /// whether the writer sleeps
    is_asleep: bool,
    urgent: bool,
    /// whether the writer has to look at what is due again
    nudged: bool,
    closing: bool,
    gone: bool,
}

impl Shared {
    /// An empty queue of a trail, strict or in batches, on a machine with so many processors.
    pub(super) fn new(strict: bool, processors: usize) -> Self {
        let queue = Queue {
            entries: Vec::new(),
            bytes: 0,
            taken: 0,
            since: None,
            pace: Pace::new(strict),
            is_asleep: false,
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
            expected: AtomicUsize::new(0),
            processors,
        }
    }

    /// How many records are enough for a commit now.
    fn wanted(&self, queue: &Queue) -> usize {
        // A hint; nothing else is ordered by it.
        queue.pace.wanted(self.expected.load(Ordering::Relaxed), self.processors)
    }

    /// Whether more is not waited for.
    fn is_due(&self, queue: &Queue) -> bool {
        queue.closing || queue.urgent || queue.entries.len() >= self.wanted(queue)
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
    pub(super) fn submit(&self, body: Vec<u8>, ticket: Ticket) {
        let mut queue = lock(&self.queue);
        let refusal = if queue.closing || queue.gone {
            Some(AppendError::Closed)
        } else {
            queue.is_full(body.len(), 2).then_some(AppendError::Full)
        };
        if let Some(refusal) = refusal {
            drop(queue);
            return ticket.settle(Err(refusal));
        }
        queue.urgent |= queue.pace.hurries();
        queue.push(Entry { body, ticket: Some(ticket) });
        self.wake(queue);
    }

    /// Whether there are fewer other operations than processors, and than threads: then the thread that
    /// has a record may spend its time on the disk.
    pub(super) fn spares(&self, threads: usize) -> bool {
        self.expected.load(Ordering::Relaxed) < self.processors.min(threads)
    }

    /// Whether nothing waits to be written, nor is about to be.
    pub(super) fn is_quiet(&self) -> bool {
        let queue = lock(&self.queue);
        let is_open = !queue.closing && !queue.gone;
        is_open && queue.entries.is_empty() && queue.taken == 0
    }

    /// Has the writer's thread look again at what is due and whether writing is paused: it sleeps by a
    /// clock that does not know of what others have written.
    pub(super) fn nudge(&self) {
        let mut queue = lock(&self.queue);
        queue.nudged = true;
        if std::mem::take(&mut queue.is_asleep) {
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Wakes the writer if it sleeps and has something to do, or to wait for.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let has_news = queue.entries.len() == 1 || self.is_due(&queue);
        if has_news && std::mem::take(&mut queue.is_asleep) {
            drop(queue);
            self.work.notify_one();
        }
    }

    /// Waits for something to write, and for as much of it as the pace says; with `not_before`,
    /// until then at least unless the trail closes; and until `tick` at most.
    pub(super) fn next(&self, not_before: Option<Instant>, tick: Instant) -> Work {
        let mut queue = lock(&self.queue);
        queue.taken = 0;
        loop {
            // Before anything is taken: whether writing is paused may be what is new.
            if std::mem::take(&mut queue.nudged) {
                return Work::Tick;
            }
            let now = Instant::now();
            let paused = not_before.filter(|at| *at > now && !queue.closing);
            let is_due = self.is_due(&queue);
            let due = if queue.entries.is_empty() {
                None
            } else if is_due {
                Some(now)
            } else {
                Some(queue.since.unwrap_or(now) + queue.pace.wait())
            };
            let due = due.map(|at| paused.map_or(at, |pause| at.max(pause)));
            if due.is_some_and(|at| at <= now) {
                let entries = queue.take();
                queue.taken = entries.len();
                queue.pace.took(entries.len(), !is_due);
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
            queue.is_asleep = true;
            (queue, _) =
                self.work.wait_timeout(queue, wait).unwrap_or_else(PoisonError::into_inner);
            queue.is_asleep = false;
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

#[cfg(test)]
mod tests {
    use super::super::pace::{BATCH_RECORDS, STRICT_WAIT_US};
    use super::*;

    fn submit(shared: &Shared) -> mpsc::Receiver<Outcome> {
        let (sender, receiver) = mpsc::sync_channel(1);
        shared.submit(b"{".to_vec(), Ticket::Thread(sender));
        receiver
    }

    fn is_due(shared: &Shared) -> bool {
        shared.is_due(&lock(&shared.queue))
    }

    fn run(shared: &Shared, operations: usize) {
        shared.expected.store(operations, Ordering::Relaxed);
    }

    #[test]
    fn nobody_waits_for_others_while_a_processor_is_free() {
        let shared = Shared::new(true, 2);
        run(&shared, 1);
        assert!(shared.is_quiet() && shared.spares(2) && !shared.spares(1));
        let _one = submit(&shared);
        assert!(is_due(&shared) && !shared.is_quiet(), "it is written with the next one");
        assert!(matches!(shared.next(None, Instant::now()), Work::Entries(one) if one.len() == 1));
        assert!(!shared.is_quiet(), "it is about to be written");
    }

    #[test]
    fn while_operations_run_on_every_processor_records_share_a_sync() {
        let shared = Shared::new(true, 2);
        run(&shared, 3);
        assert!(!shared.spares(4));
        let _two = [submit(&shared), submit(&shared)];
        assert!(!is_due(&shared));
        run(&shared, 2);
        assert!(is_due(&shared), "as many wait as run");
        run(&shared, 1_000);
        assert!(!is_due(&shared));
        run(&shared, 1);
        assert!(is_due(&shared), "a processor is free");
    }

    #[test]
    fn a_record_waits_for_nobody_longer_than_records_do() {
        let shared = Arc::new(Shared::new(true, 1));
        run(&shared, 2);
        let began = Instant::now();
        let _one = submit(&shared);
        let far = began + Duration::from_hours(1);
        assert!(matches!(shared.next(None, far), Work::Entries(one) if one.len() == 1));
        assert!(began.elapsed() >= Duration::from_micros(STRICT_WAIT_US));
        let _two = submit(&shared);
        assert!(is_due(&shared), "nobody came, so nobody is waited for");
    }

    #[test]
    fn whoever_fills_a_group_wakes_the_writer() {
        // In batches, for those wait long enough to see who ended the wait.
        let shared = Arc::new(Shared::new(false, 1));
        let sleeper = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let far = Instant::now() + Duration::from_hours(1);
                let Work::Entries(first) = shared.next(None, far) else { return 0 };
                let Work::Entries(second) = shared.next(None, far) else { return 0 };
                first.len() + second.len()
            }
        });
        let _first = submit(&shared);
        while !lock(&shared.queue).is_asleep || !lock(&shared.queue).entries.is_empty() {
            std::thread::yield_now();
        }
        let _second = submit(&shared);
        assert_eq!(sleeper.join().unwrap(), 2);
    }

    #[test]
    fn in_batches_only_those_hurry_who_wait() {
        let shared = Shared::new(false, 1);
        for _ in 1..BATCH_RECORDS {
            assert!(shared.offer(b"{".to_vec()).is_ok());
        }
        assert!(!is_due(&shared));
        let _waits = submit(&shared);
        assert!(is_due(&shared));
    }

    #[test]
    fn whoever_finds_no_room_or_nobody_there_learns_of_it() {
        let shared = Shared::new(true, 1);
        let waiting: Vec<_> = (0..2 * QUEUE_RECORDS_MAX).map(|_| submit(&shared)).collect();
        assert_eq!(submit(&shared).recv(), Ok(Err(AppendError::Full)));
        shared.close();
        assert_eq!(submit(&shared).recv(), Ok(Err(AppendError::Closed)));
        shared.abandon();
        assert!(waiting.iter().all(|ticket| ticket.recv().is_err()));
    }
}
