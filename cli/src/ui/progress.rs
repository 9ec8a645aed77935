//! How far long work is, on one line of a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Ui;

/// Work that ends before says nothing.
const FIRST: Duration = Duration::from_millis(500);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);

/// Work that is under way. The line goes when this does.
pub struct Progress(Option<Running>);

struct Running {
    state: Arc<State>,
    /// closed to stop the thread that writes
    stop: Option<Sender<()>>,
    writer: Option<JoinHandle<()>>,
}

struct State {
    what: &'static str,
    done: AtomicUsize,
    total: AtomicUsize,
    /// whether the line is there; held while anything is written
    shown: Mutex<bool>,
}

impl Ui {
    /// Begins work of so many steps; more may be expected later. Nothing is shown where standard error is
    /// no terminal, and to whoever wants quiet or JSON.
    pub fn progress(self, what: &'static str, total: usize) -> Progress {
        if self.quiet || self.json || self.debug || !io::stderr().is_terminal() {
            return Progress(None);
        }
        let state = Arc::new(State {
            what,
            done: AtomicUsize::new(0),
            total: AtomicUsize::new(total),
            shown: Mutex::new(false),
        });
        let (stop, stopped) = mpsc::channel();
        let seen = Arc::clone(&state);
        let write = move || {
            let mut wait = FIRST;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                seen.write();
                wait = EVERY;
            }
        };
        let writer = thread::Builder::new().name("progress".to_owned()).spawn(write).ok();
        Progress(Some(Running { state, stop: Some(stop), writer }))
    }
}

impl Progress {
    /// Expects more steps.
    pub fn expect(&self, more: usize) {
        if let Self(Some(running)) = self {
            running.state.total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// One step is done.
    pub fn step(&self) {
        if let Self(Some(running)) = self {
            running.state.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Prints something else, which takes the place of the line.
    pub fn above(&self, print: impl FnOnce()) {
        let Self(Some(running)) = self else { return print() };
        let mut shown = running.state.lock();
        clear(&mut shown);
        print();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let Self(Some(running)) = self else { return };
        running.stop = None;
        if let Some(writer) = running.writer.take() {
            let _ = writer.join();
        }
        clear(&mut running.state.lock());
    }
}

impl State {
    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let mut shown = self.lock();
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let _ = write!(io::stderr(), "\r{}: {done} of {total}\x1b[K", self.what);
        *shown = true;
    }
}

/// Takes the line away.
fn clear(shown: &mut bool) {
    if std::mem::take(shown) {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}
