//! A record that nobody else's waits beside.
//!
//! A thread that waits for another one to write its record, and a task that waits for that thread,
//! lose more time by going to sleep and being woken than a fast disk takes. Where nothing else is
//! being written the thread that has the record writes it.

use std::sync::Arc;

use super::queue::Entry;
use super::trail::Open;

/// A record that is made, and nowhere yet.
#[derive(Debug)]
#[must_use = "a record is not written by itself"]
pub struct Lone {
    pub(super) open: Arc<Open>,
    pub(super) entry: Entry,
}

impl Lone {
    /// Brings the record to disk on this thread if still nobody else writes, and blocks for as long as
    /// the disk takes; leaves it to the trail's own thread otherwise.
    pub fn commit(self) {
        let Self { open, entry } = self;
        if let Ok(mut writer) = open.writer.try_lock()
            && !writer.is_paused()
            && open.shared.is_quiet()
        {
            return writer.commit_alone(entry);
        }
        // A trail that does not take it drops the ticket, and whoever waits learns of it.
        if let Some(ticket) = entry.ticket {
            let _ = open.shared.submit(entry.body, ticket);
        }
    }
}
