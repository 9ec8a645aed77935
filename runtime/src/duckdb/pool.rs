//! Threads that run statements, each with a session of its own.
//!
//! A job is interrupted at its deadline, and when nobody waits for it any more. One that ignores
//! that for longer than [`CONDEMN_AFTER_MS`] has its thread and connection condemned: the caller
//! gets an error, a new thread takes the place, and the old one ends with what it runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::{Database, DuckError, Interrupt, Session};

/// Threads unless configured otherwise.
pub const DEFAULT_WORKERS: usize = 4;
/// Jobs that wait, at most.
pub const MAX_WAITING_JOBS: usize = 1_024;
/// How long a job may ignore that it was interrupted, in milliseconds.
pub const CONDEMN_AFTER_MS: u64 = 2_000;
/// Condemned threads that still run, at most; beyond that no other takes the place of one.
pub const MAX_CONDEMNED_THREADS: usize = 16;
/// How often running jobs are looked at.
const WATCH_INTERVAL_MS: u64 = 20;

/// A job; without a session it says that its time was over before one was free.
type Job = Box<dyn FnOnce(Option<&mut Session>) + Send>;

/// The threads.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: usize,
}

struct Shared {
    database: Database,
    queue: Mutex<Queue>,
    arrived: Condvar,
    watched: Condvar,
}

struct Queue {
    jobs: VecDeque<Waiting>,
    places: Vec<Place>,
    condemned: usize,
    /// whether the watch sleeps until a job begins
    is_watch_asleep: bool,
    closed: bool,
}

/// Where one thread works.
#[derive(Default)]
struct Place {
    /// counts the threads that worked here; an older one has no business here any more
    generation: u64,
    running: Option<Running>,
}

struct Waiting {
    job: Job,
    deadline: Instant,
    fate: Arc<Fate>,
}

struct Running {
    interrupt: Interrupt,
    deadline: Instant,
    interrupted: Option<Instant>,
    fate: Arc<Fate>,
}

/// What becomes of a job while it runs.
#[derive(Debug, Default)]
struct Fate {
    abandoned: AtomicBool,
    condemned: Notify,
}

/// Marks a job when whoever waits for it goes away.
struct Abandon<'f>(&'f Fate);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("waiting", &self.lock().jobs.len()).finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts threads with sessions on a database.
    ///
    /// # Errors
    /// When a connection or a thread cannot be had.
    pub fn start(database: &Database, workers: usize) -> Result<Self, DuckError> {
        let workers = workers.max(1);
        let queue = Queue {
            jobs: VecDeque::new(),
            places: (0..workers).map(|_| Place::default()).collect(),
            condemned: 0,
            is_watch_asleep: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            database: database.clone(),
            queue: Mutex::new(queue),
            arrived: Condvar::new(),
            watched: Condvar::new(),
        });
        for place in 0..workers {
            shared.staff(place, 0)?;
        }
        let watched = Arc::downgrade(&shared);
        spawn("sql-watch", move || while Shared::watch(&watched) {})?;
        Ok(Self { shared, workers })
    }

    /// How many threads run jobs.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Runs a job on some thread, within `timeout` from now on: it is interrupted when that is over,
    /// and when the future is dropped.
    ///
    /// # Errors
    /// With class `busy` when too many jobs wait or no thread is free in time, `timeout` when the
    /// job ignores that it was interrupted, `stopped` when the pool is closed or the job panics.
    pub async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        job: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, DuckError> {
        let (sender, receiver) = oneshot::channel();
        let fate = Arc::new(Fate::default());
        let _abandon = Abandon(&fate);
        let job: Job = Box::new(move |session| {
            let busy = || DuckError::new("busy", "no connection to the database was free in time");
            let _ = sender.send(session.map(job).ok_or_else(busy));
        });
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_hours(24));
        self.shared.submit(Waiting { job, deadline, fate: Arc::clone(&fate) })?;
        let lost = || DuckError::new("stopped", "the database was closed meanwhile");
        tokio::select! {
            biased;
            done = receiver => done.unwrap_or_else(|_| Err(lost())),
            () = fate.condemned.notified() => {
                Err(DuckError::new("timeout", "the statement ignored that it was interrupted"))
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
        self.shared.watched.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&self, waiting: Waiting) -> Result<(), DuckError> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(DuckError::new("stopped", "the database is closed"));
        }
        if queue.jobs.len() >= MAX_WAITING_JOBS {
            return Err(DuckError::new("busy", "too many calls wait for the database"));
        }
        queue.jobs.push_back(waiting);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts a thread with a session of its own at a place.
    fn staff(self: &Arc<Self>, place: usize, generation: u64) -> Result<(), DuckError> {
        let session = Session::new(&self.database)?;
        let shared = Arc::clone(self);
        spawn(&format!("sql-{place}"), move || shared.work(place, generation, session))
    }

    fn work(&self, place: usize, generation: u64, mut session: Session) {
        while let Some(job) = self.next(place, generation, &session.interrupt()) {
            // A panic in a job is that job's failure alone; its sender is dropped, which tells the
            // caller.
            let run = std::panic::AssertUnwindSafe(|| {
                job(Some(&mut session));
                session.tidy()
            });
            let outcome = std::panic::catch_unwind(run);
            if !self.done(place, generation) {
                return;
            }
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "a session could not be renewed"),
                Err(_) => tracing::error!("a job of the database panicked"),
            }
        }
    }

    /// The next job that somebody still waits for, or `None` when there is nothing left to do here.
    fn next(&self, place: usize, generation: u64, interrupt: &Interrupt) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            while let Some(waiting) = queue.jobs.pop_front() {
                if waiting.fate.abandoned.load(Ordering::Acquire) {
                    continue;
                }
                if waiting.deadline <= Instant::now() {
                    (waiting.job)(None);
                    continue;
                }
                let running = Running {
                    interrupt: interrupt.clone(),
                    deadline: waiting.deadline,
                    interrupted: None,
                    fate: waiting.fate,
                };
                if let Some(place) = queue.places.get_mut(place) {
                    place.running = Some(running);
                }
                if std::mem::take(&mut queue.is_watch_asleep) {
                    self.watched.notify_one();
                }
                return Some(waiting.job);
            }
            let is_current = queue.places.get(place).is_some_and(|p| p.generation == generation);
            if queue.closed || !is_current {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a job has ended, and says whether the thread that ran it still has its place.
    fn done(&self, place: usize, generation: u64) -> bool {
        let mut queue = self.lock();
        match queue.places.get_mut(place) {
            Some(place) if place.generation == generation => {
                place.running = None;
                true
            }
            _ => {
                queue.condemned = queue.condemned.saturating_sub(1);
                false
            }
        }
    }

    /// Looks at the running jobs once and waits; `false` when there is nothing to watch any more.
    fn watch(watched: &Weak<Self>) -> bool {
        let Some(shared) = watched.upgrade() else { return false };
        let condemned = shared.interrupt_late_jobs();
        for (place, generation) in condemned {
            tracing::error!("a statement ignored its interrupt; its connection is condemned");
            if let Err(error) = shared.staff(place, generation) {
                tracing::error!(%error, "no connection takes the place of a condemned one");
            }
        }
        let interval = Duration::from_millis(WATCH_INTERVAL_MS);
        let mut queue = shared.lock();
        if queue.closed && queue.places.iter().all(|place| place.running.is_none()) {
            return false;
        }
        if !queue.closed && queue.places.iter().all(|place| place.running.is_none()) {
            queue.is_watch_asleep = true;
            drop(shared.watched.wait(queue).unwrap_or_else(PoisonError::into_inner));
        } else {
            drop(queue);
        }
        // Nothing is over already: it began at most this long ago.
        drop(shared);
        thread::sleep(interval);
        true
    }

    /// Interrupts jobs that are late or that nobody waits for, and gives the places of those that
    /// do not care to others: these places, with the generation of their next thread.
    fn interrupt_late_jobs(&self) -> Vec<(usize, u64)> {
        let (now, mut condemned) = (Instant::now(), Vec::new());
        let mut queue = self.lock();
        let Queue { places, condemned: count, .. } = &mut *queue;
        for (at, place) in places.iter_mut().enumerate() {
            let Some(running) = &mut place.running else { continue };
            let is_over = running.deadline <= now || running.fate.abandoned.load(Ordering::Acquire);
            if !is_over {
                continue;
            }
            running.interrupt.interrupt();
            let since = *running.interrupted.get_or_insert(now);
            let patience = Duration::from_millis(CONDEMN_AFTER_MS);
            if now.duration_since(since) > patience && *count < MAX_CONDEMNED_THREADS {
                running.fate.condemned.notify_one();
                place.running = None;
                place.generation += 1;
                *count += 1;
                condemned.push((at, place.generation));
            }
        }
        condemned
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DuckError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(|_| ())
        .map_err(|e| DuckError::new("memory", format!("a thread cannot be started: {e}")))
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Settings};
    use super::*;

    fn pool() -> Pool {
        Pool::start(&Settings::default().open().unwrap(), 2).unwrap()
    }

    const LONG: &str =
        "SELECT count(*) FROM range(1000000000) a, range(1000) b WHERE a.range + b.range < 0";

    #[tokio::test]
    async fn jobs_run_and_statements_are_interrupted_at_their_deadline() {
        let pool = pool();
        let one = pool
            .run(Duration::from_secs(5), |session| {
                let mut rows = session.query("SELECT 41 + 1", |_| None)?;
                let shape = rows.shapes()[0].clone();
                let chunk = rows.next_chunk().unwrap();
                match chunk.cell(0, &shape, 0) {
                    Cell::Int(value) => Ok::<_, DuckError>(value),
                    other => panic!("{other:?}"),
                }
            })
            .await
            .unwrap();
        assert_eq!(one, Ok(42));
        let late = pool
            .run(Duration::from_millis(50), |session| session.query(LONG, |_| None).map(|_| ()))
            .await
            .unwrap();
        assert!(late.unwrap_err().is_interrupt());
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_frees_the_thread() {
        let pool = Arc::new(pool());
        for _ in 0..4 {
            let job = pool
                .run(Duration::from_mins(1), |session| session.query(LONG, |_| None).map(|_| ()));
            let _ = tokio::time::timeout(Duration::from_millis(30), job).await;
        }
        let after = pool.run(Duration::from_mins(1), |_| 7).await;
        assert_eq!(after, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_is_one_jobs_failure() {
        let pool = pool();
        let lost = pool.run(Duration::from_secs(5), |_| panic!("on purpose")).await;
        assert_eq!(lost.map(|()| 0).unwrap_err().class, "stopped");
        assert_eq!(pool.run(Duration::from_secs(5), |_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_job_that_ignores_its_interrupt_loses_its_place_to_another() {
        let database = Settings::default().open().unwrap();
        let pool = Pool::start(&database, 1).unwrap();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let stuck = pool.run(Duration::from_millis(500), move |_| {
            let _ = stopped.recv();
        });
        assert_eq!(stuck.await.unwrap_err().class, "timeout");
        assert_eq!(pool.run(Duration::from_secs(5), |_| 7).await, Ok(7));
        assert_eq!(pool.shared.lock().condemned, 1);
        drop(stop);
        while pool.shared.lock().condemned > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(pool.run(Duration::from_secs(5), |_| 8).await, Ok(8));
    }

    #[tokio::test]
    async fn waiting_counts_towards_the_time_of_a_job() {
        let database = Settings::default().open().unwrap();
        let pool = Pool::start(&database, 1).unwrap();
        let long = pool
            .run(Duration::from_millis(200), |session| session.query(LONG, |_| None).map(|_| ()));
        let short = pool.run(Duration::from_millis(20), |_| 7);
        let (long, short) = tokio::join!(long, short);
        assert!(long.unwrap().unwrap_err().is_interrupt());
        assert_eq!(short.unwrap_err().class, "busy");
    }

    #[tokio::test]
    async fn nothing_that_a_statement_leaves_behind_reaches_the_next_caller() {
        let database = Settings::default().open().unwrap();
        let pool = Pool::start(&database, 1).unwrap();
        let run = |sql: &'static str| {
            pool.run(Duration::from_secs(5), move |session| {
                session.query(sql, |_| None).map(|_| ())
            })
        };
        for (leaves, reads) in [
            ("CREATE TEMP TABLE left_behind AS SELECT 1", "SELECT * FROM left_behind"),
            (
                "SET VARIABLE left_behind = 'x'",
                "SELECT error('seen') WHERE getvariable('left_behind') = 'x'",
            ),
            ("BEGIN TRANSACTION", "ROLLBACK"),
            ("CREATE TEMP MACRO left_behind() AS 1", "SELECT left_behind()"),
        ] {
            assert_eq!(run(leaves).await.unwrap(), Ok(()), "{leaves}");
            let seen = run(reads).await.unwrap();
            if reads.contains("getvariable") {
                assert_eq!(seen, Ok(()), "{leaves}");
            } else {
                assert!(seen.is_err(), "{leaves}");
            }
        }
        // What belongs to the database stays.
        run("CREATE TABLE kept AS SELECT 1 AS n").await.unwrap().unwrap();
        run("INSERT INTO kept VALUES (2)").await.unwrap().unwrap();
        assert_eq!(
            run("SELECT error('few') FROM kept HAVING count(*) <> 2").await.unwrap(),
            Ok(())
        );
    }
}
