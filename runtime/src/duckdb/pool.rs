//! Threads that run statements, each with a session of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Database, DuckError, Interrupt, Session};

/// Threads unless configured otherwise.
pub const DEFAULT_WORKERS: usize = 4;
/// Jobs that wait, at most.
pub const MAX_WAITING_JOBS: usize = 1_024;
/// How often running jobs are looked at for their deadline.
const WATCH_INTERVAL_MS: u64 = 20;

type Job = Box<dyn FnOnce(&mut Session) + Send>;

/// The threads.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

struct Queue {
    jobs: std::collections::VecDeque<Waiting>,
    running: Vec<Option<Running>>,
    closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("waiting", &self.jobs.len()).finish_non_exhaustive()
    }
}

struct Waiting {
    job: Job,
    timeout: Duration,
    abandoned: Arc<AtomicBool>,
}

struct Running {
    interrupt: Interrupt,
    deadline: Instant,
    abandoned: Arc<AtomicBool>,
}

/// Interrupts a job when whoever waits for it goes away.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Pool {
    /// Starts threads with sessions on a database.
    ///
    /// # Errors
    /// When a connection or a thread cannot be had.
    pub fn start(database: &Database, workers: usize) -> Result<Self, DuckError> {
        let workers = workers.max(1);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                jobs: std::collections::VecDeque::new(),
                running: (0..workers).map(|_| None).collect(),
                closed: false,
            }),
            arrived: Condvar::new(),
        });
        for worker in 0..workers {
            let session = Session::new(database)?;
            let shared = Arc::clone(&shared);
            spawn(&format!("sql-{worker}"), move || work(&shared, worker, session))?;
        }
        let watched = Arc::downgrade(&shared);
        spawn("sql-watch", move || {
            while let Some(shared) = watched.upgrade() {
                shared.watch();
                drop(shared);
                thread::sleep(Duration::from_millis(WATCH_INTERVAL_MS));
            }
        })?;
        Ok(Self { shared })
    }

    /// Runs a job on some thread. It is interrupted after `timeout`, and when the future is dropped.
    ///
    /// # Errors
    /// With class `busy` when too many jobs wait, `stopped` when the pool is closed.
    pub async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        job: impl FnOnce(&mut Session) -> T + Send + 'static,
    ) -> Result<T, DuckError> {
        let (sender, receiver) = oneshot::channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let _abandon = Abandon(Arc::clone(&abandoned));
        {
            let mut queue = self.shared.lock();
            if queue.closed {
                return Err(DuckError::new("stopped", "the database is closed"));
            }
            if queue.jobs.len() >= MAX_WAITING_JOBS {
                return Err(DuckError::new("busy", "too many calls wait for the database"));
            }
            let job: Job = Box::new(move |session| {
                let _ = sender.send(job(session));
            });
            queue.jobs.push_back(Waiting { job, timeout, abandoned });
        }
        self.shared.arrived.notify_one();
        receiver.await.map_err(|_| DuckError::new("stopped", "the database was closed meanwhile"))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job that somebody still waits for, or `None` when the pool is closed.
    fn next(&self, worker: usize, interrupt: &Interrupt) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            while let Some(waiting) = queue.jobs.pop_front() {
                if waiting.abandoned.load(Ordering::Acquire) {
                    continue;
                }
                let deadline = Instant::now() + waiting.timeout;
                if let Some(slot) = queue.running.get_mut(worker) {
                    *slot = Some(Running {
                        interrupt: interrupt.clone(),
                        deadline,
                        abandoned: waiting.abandoned,
                    });
                }
                return Some(waiting.job);
            }
            if queue.closed {
                return None;
            }
            queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, worker: usize) {
        if let Some(slot) = self.lock().running.get_mut(worker) {
            *slot = None;
        }
    }

    fn watch(&self) {
        let now = Instant::now();
        for running in self.lock().running.iter().flatten() {
            if running.deadline <= now || running.abandoned.load(Ordering::Acquire) {
                running.interrupt.interrupt();
            }
        }
    }
}

fn work(shared: &Shared, worker: usize, mut session: Session) {
    let interrupt = session.interrupt();
    while let Some(job) = shared.next(worker, &interrupt) {
        // A panic in a job is that job's failure alone; its sender is dropped, which tells the caller.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut session)));
        shared.done(worker);
        if outcome.is_err() {
            tracing::error!("a job of the database panicked");
        }
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
}
