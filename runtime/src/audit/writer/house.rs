//! What the writer does besides writing what is reported: the sidecar, refusals, checkpoints,
//! retention. Whoever waited for a record was answered before any of it.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{REFUSALS_MS, Writer};
use crate::audit::chain::{CHECKPOINT, TOMBSTONE};
use crate::audit::retention;

/// How far the sidecar may lag behind the trail, in milliseconds.
const HEAD_WRITE_MS: u64 = 50;
/// How far the sidecar on disk may lag behind the trail, in milliseconds.
const HEAD_SYNC_MS: u64 = 1_000;
/// How many times the pause after a failure passes until it is tried again when nobody calls.
const IDLE_PAUSES: u32 = 4;
/// Kind of the `system` record that is written when the trail can be written again.
const RESUMED: &str = "resumed";

impl Writer {
    /// When something is due although nothing is reported.
    pub(super) fn tick(&self) -> Instant {
        let head = if self.head.stale {
            self.head.written + Duration::from_millis(HEAD_WRITE_MS)
        } else if self.head.unsynced {
            self.head.synced + Duration::from_millis(HEAD_SYNC_MS)
        } else {
            self.refusals_due
        };
        let due = head.min(self.refusals_due);
        self.retry_at.map_or(due, |at| due.min(at + self.retry_pause * IDLE_PAUSES))
    }

    /// Does what is due. Whoever waited was answered before.
    pub(super) fn keep_house(&mut self, now: Instant) {
        if now >= self.refusals_due {
            self.refusals_due = now + Duration::from_millis(REFUSALS_MS);
            self.say_refusals();
        }
        self.recover(now);
        self.checkpoint(false);
        if now >= self.retention.due {
            self.attempt("delete what has expired", Self::retain);
        }
        if self.head.stale && now >= self.head.written + Duration::from_millis(HEAD_WRITE_MS) {
            self.attempt("write its head", Self::write_head);
        }
        if self.head.unsynced && now >= self.head.synced + Duration::from_millis(HEAD_SYNC_MS) {
            self.head.synced = now;
            self.attempt("sync its head", |writer| {
                // After a failure nobody knows what of it is on disk: it is written again.
                writer.sidecar.sync().inspect_err(|_| writer.head.stale = true)?;
                writer.head.unsynced = false;
                Ok(())
            });
        }
    }

    /// Hands the sums of refusals over to be written. While nothing can be written they go on being
    /// summed, and while some wait that failed to be written no further ones join them: of both there
    /// are never more than one flush has.
    fn say_refusals(&mut self) {
        if self.retry_at.is_some() {
            return;
        }
        if self.unsaid.is_empty() {
            return self.shared.refusals.flush(|body| self.shared.offer(body).is_ok());
        }
        let kept = std::mem::take(&mut self.unsaid);
        let left = kept.into_iter().filter_map(|body| self.shared.offer(body).err());
        self.unsaid = left.collect();
    }

    /// Tries again what failed when nobody calls, so that whoever watches the trail's health sees
    /// it recover. Only a record that reached the disk counts.
    fn recover(&mut self, now: Instant) {
        let is_due = |at: Instant| now >= at + self.retry_pause * IDLE_PAUSES;
        if !self.retry_at.is_some_and(is_due) {
            return;
        }
        let trouble = self.shared.trouble();
        let written = if self.gap.is_some() {
            self.make_room(0)
        } else {
            self.speak(RESUMED, |_| Some(json!({"trouble": trouble.as_deref()})))
        };
        match written {
            Ok(()) => {
                self.head.stale = true;
                self.is_well();
            }
            Err(error) => self.fail(self.chain.seq + 1, &error),
        }
    }

    pub(super) fn write_head(&mut self) -> io::Result<()> {
        self.head.written = Instant::now();
        let (segment, bytes) = match &self.at {
            Some((segment, bytes)) => (Some(segment.as_str()), *bytes),
            None => (None, 0),
        };
        self.sidecar.write(&self.durable, segment, bytes)?;
        (self.head.stale, self.head.unsynced) = (false, true);
        Ok(())
    }

    /// Writes a record of the trail's own, if there is something to say.
    pub(super) fn speak(
        &mut self,
        kind: &str,
        event: impl FnOnce(&Self) -> Option<Value>,
    ) -> io::Result<()> {
        const BODY_BYTES: usize = 4_096;
        let first_seq = self.chain.seq + 1;
        let speak = || {
            self.make_room(BODY_BYTES)?;
            // Making room may have written a gap, so what is said is said of the chain as it is.
            let Some(event) = event(self) else { return Ok(()) };
            self.buffer.clear();
            self.note(kind, &event);
            self.flush()
        };
        let result = speak();
        self.head.stale = true;
        if let Err(error) = &result {
            self.fail(first_seq, error);
        }
        result
    }

    /// Writes a checkpoint if one is due.
    pub(super) fn checkpoint(&mut self, closing: bool) {
        let is_due = |voice: &super::Voice| voice.is_due(self.chain.seq, closing);
        if self.retry_at.is_some() || !self.voice.as_ref().is_some_and(is_due) {
            return;
        }
        let bundle = self.shared.bundle();
        let said = self.speak(CHECKPOINT, |writer| {
            let voice = writer.voice.as_ref()?;
            Some(voice.checkpoint(&writer.chain, bundle.as_deref()))
        });
        if let (Ok(()), Some(voice)) = (said, &mut self.voice) {
            voice.spoken(self.chain.seq, &self.buffer);
        }
    }

    /// Deletes the segments that have expired. The tombstone is on disk before anything is gone.
    pub(super) fn retain(&mut self) -> io::Result<()> {
        self.retention.due = Instant::now() + self.retention.every;
        let Some(days) = self.retention.days else { return Ok(()) };
        let expired = retention::expired(&self.layout, days, Timestamp::now())?;
        if expired.is_empty() {
            return Ok(());
        }
        if let (None, Some(key)) = (&self.voice, self.sidecar.key()) {
            // Who trusts that key would never again find the trail in order.
            tracing::warn!(
                key,
                "segments have expired, and stay: the key that signs the trail is \
                needed to say so in it"
            );
            return Ok(());
        }
        let event = retention::tombstone(&self.layout, &expired, days)?;
        self.speak(TOMBSTONE, |_| Some(event))?;
        retention::keep_tombstone(&self.layout, &self.buffer)?;
        retention::delete(&self.layout, &expired)
    }

    /// Does what records can be written without; what fails is warned about and done later.
    pub(super) fn attempt(&mut self, what: &str, action: impl FnOnce(&mut Self) -> io::Result<()>) {
        if let Err(error) = action(self) {
            tracing::warn!(%error, "the audit trail could not {what}");
        }
    }
}
