//! What writes a trail, and the thread on which it does.
//!
//! The thread takes whatever waits, seals it into the chain, writes it in one piece and syncs once for
//! all of it: while one sync is under way the next group gathers, so a lone call waits for nothing
//! but its own sync. A write or sync that fails is never repeated on the same file:
//! what is on disk is unknown then. The segment is left as it is, and the next one begins with a
//! `gap` record that names the numbers in doubt; those numbers are never used again.

mod house;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, iter, vec};

use jiff::Timestamp;
use mxcp_schemas::audit::{CallerType, OperationStatus, OperationType, Record};
use serde_json::Value;

use super::call::CallId;
use super::chain::{CHECKPOINT, Chain, GAP, KEY_ROTATION, TOMBSTONE, TORN};
use super::head::Sidecar;
use super::queue::{AppendError, Entry, Shared, Work};
use super::recover::{Gap, Recovered, Torn};
use super::segment::{Layout, Segment};
use super::storage::{Storage, StoredFile};
use super::trail::{Config, Durability};
use super::voice::Voice;

/// Bytes written and synced at a time, at most, apart from a single longer record.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often refusals are recorded, in milliseconds.
const REFUSALS_MS: u64 = 1_000;
/// Bytes that a seal adds to a record, about.
const SEAL_BYTES: usize = 400;

/// What is written, and how far it got. Whoever holds it writes.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    layout: Layout,
    max_file_size_bytes: u64,
    /// whether callers wait for the disk
    strict: bool,
    retry_pause: Duration,
    chain: Chain,
    sidecar: Sidecar,
    segment: Option<OpenSegment>,
    /// what the next segment must begin with
    gap: Option<Gap>,
    torn: Option<Torn>,
    /// the part of the chain that is on disk: `chain` is ahead of it while a group is written, and
    /// after that failed
    durable: Chain,
    /// segment in which it ends, and the length of that up to there
    at: Option<(String, u64)>,
    buffer: Vec<u8>,
    retry_at: Option<Instant>,
    head: Lag,
    refusals_due: Instant,
    /// sums of refusals that failed to be written, and for which nobody waits
    unsaid: Vec<Vec<u8>>,
    voice: Option<Voice>,
    retention: Retention,
}

/// How long segments are kept.
#[derive(Debug)]
struct Retention {
    days: Option<u32>,
    every: Duration,
    due: Instant,
}

#[derive(Debug)]
struct OpenSegment {
    name: String,
    file: Box<dyn StoredFile>,
    bytes: u64,
}

/// How far the sidecar is behind.
#[derive(Debug)]
struct Lag {
    /// not yet written
    stale: bool,
    /// written and not yet synced
    unsynced: bool,
    written: Instant,
    synced: Instant,
}

impl Writer {
    /// A writer that continues where the trail was found to end.
    pub(super) fn new(
        config: &Config,
        shared: Arc<Shared>,
        layout: Layout,
        sidecar: Sidecar,
        found: Recovered,
        voice: Option<Voice>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            storage: Arc::clone(&config.storage),
            layout,
            max_file_size_bytes: config.max_file_size_bytes,
            strict: config.durability == Durability::Strict,
            retry_pause: config.retry_pause,
            durable: found.chain.clone(),
            chain: found.chain,
            sidecar,
            segment: None,
            gap: found.gap,
            torn: found.torn,
            at: found.at,
            buffer: Vec::new(),
            retry_at: None,
            head: Lag { stale: false, unsynced: false, written: now, synced: now },
            refusals_due: now + Duration::from_millis(REFUSALS_MS),
            unsaid: Vec::new(),
            voice,
            retention: Retention {
                days: config.retention_days,
                every: config.retention_every,
                due: now,
            },
        }
    }

    /// Writes the sidecar, and what was found when the trail was opened, before anything else.
    /// `key` is the one that signed before.
    ///
    /// # Errors
    /// When the trail cannot be written.
    pub(super) fn begin(&mut self, key: Option<&str>) -> io::Result<()> {
        if self.gap.is_some() || self.torn.is_some() {
            self.open_segment()?;
        }
        let rotates = self.voice.as_ref().is_some_and(|v| v.rotation(&self.chain, key).is_some());
        if rotates {
            self.speak(KEY_ROTATION, |writer| {
                writer.voice.as_ref().and_then(|voice| voice.rotation(&writer.chain, key))
            })?;
        }
        self.retain()?;
        self.write_head()?;
        self.sidecar.sync()?;
        self.head.unsynced = false;
        Ok(())
    }

    /// Writes what is reported until the trail is closed.
    pub(super) fn run(writer: &Mutex<Self>, shared: &Arc<Shared>) {
        // Whoever still waits when this thread ends, for whatever reason, must learn of it.
        let _guard = Abandon(Arc::clone(shared));
        let (mut retry_at, mut tick) = (None, Instant::now());
        loop {
            let work = shared.next(retry_at, tick);
            // Where somebody panicked while writing, nobody knows what is on disk.
            let Ok(mut writer) = writer.lock() else { return };
            match work {
                Work::Entries(entries) => writer.commit(entries),
                Work::Tick => {}
                Work::Closed => return writer.finish(),
            }
            // A disk that hangs here hangs like any other.
            shared.committing(true);
            writer.keep_house(Instant::now());
            shared.committing(false);
            (retry_at, tick) = (writer.retry_at, writer.tick());
        }
    }

    /// Brings one record to disk on the thread that has it.
    pub(super) fn commit_alone(&mut self, entry: Entry) {
        let due = self.tick();
        self.commit(vec![entry]);
        if self.tick() < due {
            self.shared.nudge();
        }
    }

    /// Whether nothing is tried for a while, since something failed.
    pub(super) const fn is_paused(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Writes what is left to say when the trail is closed.
    fn finish(&mut self) {
        let mut last = std::mem::take(&mut self.unsaid);
        self.shared.refusals.flush(|body| {
            last.push(body);
            true
        });
        if !last.is_empty() {
            // They are tried once more, whatever the pause; there is no later.
            self.retry_at = self.retry_at.map(|_| Instant::now());
            self.commit(last.into_iter().map(|body| Entry { body, ticket: None }).collect());
        }
        if self.gap.is_some() && self.segment.is_none() {
            // One last attempt to say which numbers are in doubt; the next start does otherwise.
            self.attempt("say what is in doubt", Self::open_segment);
        }
        self.checkpoint(true);
        self.attempt("write its head", |writer| {
            writer.write_head()?;
            writer.sidecar.sync()
        });
    }

    /// Brings records to disk and tells whoever waits for them.
    fn commit(&mut self, entries: Vec<Entry>) {
        let mut waiting = entries.into_iter().peekable();
        let paused = self.retry_at.is_some_and(|at| Instant::now() < at);
        if paused && self.strict {
            let trouble = self.shared.trouble().unwrap_or_else(|| Arc::from("the trail failed"));
            return self.give_up(waiting, &trouble);
        }
        self.shared.committing(true);
        while waiting.peek().is_some() {
            let mut group = Vec::new();
            let first_seq = self.chain.seq + 1;
            if let Err(error) = self.write_group(&mut waiting, &mut group) {
                self.fail(first_seq, &error);
                let trouble: Arc<str> = Arc::from(error.to_string());
                self.give_up(group.into_iter().chain(waiting), &trouble);
                break;
            }
            self.shared.written.fetch_add(group.len() as u64, Ordering::Relaxed);
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
            self.is_well();
            self.head.stale = true;
            for (seq, entry) in iter::zip(first_seq.., group) {
                if let Some(ticket) = entry.ticket {
                    ticket.settle(Ok(seq));
                }
            }
        }
        self.shared.committing(false);
    }

    /// Seals and writes as many records as fit into one commit and into the segment.
    fn write_group(
        &mut self,
        waiting: &mut iter::Peekable<vec::IntoIter<Entry>>,
        group: &mut Vec<Entry>,
    ) -> io::Result<()> {
        self.make_room(waiting.peek().map_or(0, |entry| entry.body.len()))?;
        let room = self.segment.as_ref().map_or(0, |segment| {
            usize::try_from(self.max_file_size_bytes.saturating_sub(segment.bytes))
                .unwrap_or(usize::MAX)
        });
        let room = room.min(COMMIT_BYTES_MAX);
        self.buffer.clear();
        while let Some(entry) = waiting.next_if(|entry| {
            group.is_empty() || self.buffer.len() + entry.body.len() + SEAL_BYTES <= room
        }) {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(&entry.body);
            self.chain.seal(&mut self.buffer, start, None);
            group.push(entry);
        }
        self.flush()
    }

    /// Writes the buffer to the end of the segment and waits until it is on disk.
    fn flush(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else {
            return Err(io::Error::other("no segment is open"));
        };
        segment.file.write_at(&self.buffer, segment.bytes)?;
        segment.file.sync()?;
        segment.bytes += self.buffer.len() as u64;
        self.at = Some((segment.name.clone(), segment.bytes));
        self.durable.clone_from(&self.chain);
        Ok(())
    }

    /// Has a segment open into which a record of that length fits.
    fn make_room(&mut self, body_bytes: usize) -> io::Result<()> {
        let needed = (body_bytes + SEAL_BYTES) as u64;
        self.segment.take_if(|segment| {
            segment.bytes > 0 && segment.bytes + needed > self.max_file_size_bytes
        });
        if self.segment.is_none() {
            self.open_segment()?;
        }
        Ok(())
    }

    /// Begins a segment, with what the trail has to say about itself first.
    fn open_segment(&mut self) -> io::Result<()> {
        let (segment, file) = self.create_segment()?;
        self.segment = Some(OpenSegment { name: segment.name, file, bytes: 0 });
        let result = self.open_with_findings();
        if result.is_err() {
            // Nothing in it was acknowledged; if it cannot be removed it is in the gap's range.
            self.segment = None;
            let _ = self.storage.remove(&segment.path);
        }
        result
    }

    /// Creates the file of the next segment. One of that name may be left over from a process that
    /// died within the same second: if it is empty it is used, otherwise the next second is.
    fn create_segment(&self) -> io::Result<(Segment, Box<dyn StoredFile>)> {
        const SECONDS_MAX: i64 = 5;
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for seconds in 0..SECONDS_MAX {
            let started = Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            let segment = self.layout.segment(started, self.chain.seq + 1);
            match self.storage.create(&segment.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                file => return Ok((segment, file?)),
            }
            if std::fs::metadata(&segment.path).is_ok_and(|metadata| metadata.len() == 0) {
                let file = self.storage.open(&segment.path)?;
                return Ok((segment, file));
            }
        }
        Err(last)
    }

    fn open_with_findings(&mut self) -> io::Result<()> {
        self.storage.sync_folder(self.layout.folder())?;
        if self.gap.is_none() && self.torn.is_none() {
            return Ok(());
        }
        self.buffer.clear();
        let gap = self.gap.as_ref().map(|gap| gap.event(self.chain.seq));
        let torn = self.torn.as_ref().map(Torn::event);
        if let Some(event) = gap {
            self.chain.restart_tree();
            self.note(GAP, &event);
        }
        if let Some(event) = torn {
            self.note(TORN, &event);
        }
        self.flush()?;
        // The sidecar must know of the gap before anything is built upon it.
        self.write_head()?;
        self.sidecar.sync()?;
        (self.gap, self.torn) = (None, None);
        Ok(())
    }

    /// Seals a record of the trail's own into the buffer.
    fn note(&mut self, kind: &str, event: &Value) {
        let start = self.buffer.len();
        encode_system(&mut self.buffer, kind, event);
        let signer = self.voice.as_ref().map(|voice| &voice.key);
        let signer = signer.filter(|_| matches!(kind, CHECKPOINT | TOMBSTONE | KEY_ROTATION));
        self.chain.seal(&mut self.buffer, start, signer);
    }

    /// Notes that a record reached the disk.
    fn is_well(&mut self) {
        if self.retry_at.take().is_some() {
            self.shared.set_trouble(None);
            tracing::info!("the audit trail is being written again");
        }
    }

    /// Leaves the segment as it is; its numbers from `first_seq` on are in doubt.
    fn fail(&mut self, first_seq: u64, error: &io::Error) {
        let segment = self.segment.take();
        if self.chain.seq >= first_seq && self.gap.is_none() {
            self.gap = Some(Gap {
                reason: "write_failed",
                first_seq,
                acknowledged: false,
                detail: serde_json::json!({
                    "segment": segment.as_ref().map(|segment| &segment.name),
                    "offset": segment.as_ref().map(|segment| segment.bytes),
                    "error": error.to_string(),
                }),
            });
        }
        self.retry_at = Some(Instant::now() + self.retry_pause);
        // Before anybody is told: the next record must wait until the pause is over.
        self.shared.nudge();
        if self.shared.trouble().is_none() {
            tracing::error!(%error, path = %self.layout.legacy().display(),
                "the audit trail cannot be written");
        }
        self.shared.set_trouble(Some(Arc::from(error.to_string())));
    }

    /// Strict: refuses. Batch: the records were promised, so they wait for the next attempt.
    fn give_up(&mut self, entries: impl Iterator<Item = Entry>, trouble: &Arc<str>) {
        if !self.strict {
            return self.shared.put_back(entries.collect());
        }
        for entry in entries {
            match entry.ticket {
                Some(ticket) => {
                    self.shared.failed.fetch_add(1, Ordering::Relaxed);
                    ticket.settle(Err(AppendError::Failed(Arc::clone(trouble))));
                }
                // Sums of refusals: who was refused was answered already.
                None => self.unsaid.push(entry.body),
            }
        }
    }
}

/// Tells whoever waits that nobody writes any more.
#[derive(Debug)]
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Appends the beginning of a record in which the trail or the server speaks about itself.
pub(super) fn encode_system(out: &mut Vec<u8>, kind: &str, event: &Value) {
    let id = CallId::begin();
    let mut record = Record::new(
        id.as_str(),
        Timestamp::now(),
        CallerType::Cli,
        OperationType::System,
        kind,
        OperationStatus::Success,
    );
    record.event = Some(event);
    record.encode(out);
}
