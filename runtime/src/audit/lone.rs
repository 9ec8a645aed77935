//! Records that are not there yet, and one that nobody else's waits beside.
//!
//! A thread that waits for another one to write its record, and a task that waits for that thread,
//! lose more time by going to sleep and being woken than a fast disk takes. Where nothing else is
//! being written the thread that has the record writes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::queue::{Entry, Shared, Ticket};
use super::trail::Open;

/// An operation that runs, until this is dropped. Its record will come.
#[derive(Debug)]
#[must_use = "the record is not expected any more when this is dropped"]
pub struct Expected(Option<Arc<Shared>>);

impl Expected {
    pub(super) fn new(shared: Option<Arc<Shared>>) -> Self {
        if let Some(shared) = &shared {
            shared.expected.fetch_add(1, Ordering::Relaxed);
        }
        Self(shared)
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.expected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A record that is made, and nowhere yet.
#[derive(Debug)]
#[must_use = "a record is not written by itself"]
pub struct Lone {
    pub(super) open: Arc<Open>,
    pub(super) body: Vec<u8>,
    pub(super) ticket: Ticket,
}

impl Lone {
    /// Brings the record to disk on this thread, one of so many that run operations, and blocks for as
    /// long as the disk takes, if nobody else writes and other operations can spare the thread; leaves
    /// it to the trail's own thread otherwise.
    pub fn commit(self, threads: usize) {
        let Self { open, body, ticket } = self;
        if open.shared.spares(threads)
            && let Ok(mut writer) = open.writer.try_lock()
            && !writer.is_paused()
            && open.shared.is_quiet()
        {
            return writer.commit_alone(Entry { body, ticket: Some(ticket) });
        }
        open.submit(body, ticket);
    }
}
