//! Hashing the lines of a trail on all processors, in order.
//!
//! That a line has the bytes that were sealed can be said of each line alone, and costs nearly all
//! the time of a verification; that it stands where it must is then a comparison of numbers.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use crate::audit::chain::{self, CHECKPOINT, Flaw, GAP, Hash, KEY_ROTATION, Sealed, TOMBSTONE};
use crate::audit::lines::{End, Lines};
use crate::audit::queue::lock;
use crate::audit::segment::Segment;

/// Lines that are handed over at a time.
const CHUNK_LINES: usize = 2_048;
/// Chunks of one segment that wait to be looked at.
const CHUNKS_MAX: usize = 8;

/// A line of a segment.
#[derive(Debug)]
pub(super) struct Hashed {
    /// Where it begins.
    pub(super) offset: u64,
    /// What it is.
    pub(super) line: Content,
}

/// What a line is.
#[derive(Debug)]
pub(super) enum Content {
    /// A sealed record.
    Record(Link),
    /// A sealed record of which more than its place matters: the whole line.
    Speaking(Box<[u8]>),
    /// No record.
    Flawed(Flaw),
    /// A line that ends with the file.
    Open,
    /// A line longer than lines are.
    Overlong,
}

/// The place of a record in its trail.
#[derive(Debug, Clone)]
pub(super) struct Link {
    trail_id: Arc<str>,
    seq: u64,
    prev: Option<Hash>,
    hash: Hash,
}

impl Link {
    /// The record, with its place alone.
    pub(super) fn sealed(&self) -> Sealed<'_> {
        let Self { trail_id, seq, prev, hash } = self;
        Sealed {
            trail_id,
            seq: *seq,
            prev: *prev,
            signature: None,
            signed: &[],
            hash: *hash,
            body: &[],
        }
    }
}

type Chunks = io::Result<Vec<Hashed>>;

/// Hashes segments and hands the lines of each to `look`, segment by segment, as long as that
/// returns true.
pub(super) fn in_order(
    segments: &[Segment],
    mut look: impl FnMut(usize, &mut dyn Iterator<Item = Chunks>) -> io::Result<bool>,
) -> io::Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        segments.iter().map(|_| sync_channel::<Chunks>(CHUNKS_MAX)).unzip();
    // Each sender is taken by the one thread that hashes its segment, so that dropping it tells
    // the reader that the segment has ended.
    let senders: Vec<_> = senders.into_iter().map(|sender| Mutex::new(Some(sender))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let (Some(segment), Some(sender)) = (segments.get(at), senders.get(at)) else { return };
            let Some(sender) = lock(sender).take() else { return };
            if let Err(error) = hash(segment, &sender) {
                // Without a reader nobody needs to know.
                let _ = sender.send(Err(error));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(segments.len()) {
            scope.spawn(work);
        }
        let mut receivers = receivers.into_iter().enumerate();
        let result = receivers.by_ref().try_for_each(
            |(at, receiver): (usize, Receiver<Chunks>)| match look(at, &mut receiver.into_iter()) {
                Ok(true) => Ok(()),
                Ok(false) => Err(None),
                Err(error) => Err(Some(error)),
            },
        );
        // Whoever still hashes finds nobody to hand lines to, and stops.
        next.store(segments.len(), Ordering::Relaxed);
        drop(receivers);
        match result {
            Ok(()) | Err(None) => Ok(()),
            Err(Some(error)) => Err(error),
        }
    })
}

fn hash(segment: &Segment, sender: &SyncSender<Chunks>) -> io::Result<()> {
    let mut lines = Lines::new(File::open(&segment.path)?, 0);
    let mut trail_id: Arc<str> = Arc::from("");
    let mut chunk = Vec::with_capacity(CHUNK_LINES);
    while let Some(line) = lines.next_line()? {
        let content = match line.end {
            End::File => Content::Open,
            End::Limit => Content::Overlong,
            End::Feed => match chain::open(line.bytes) {
                Err(flaw) => Content::Flawed(flaw),
                Ok(record) if speaks(&record) => Content::Speaking(line.bytes.into()),
                Ok(record) => {
                    if *trail_id != *record.trail_id {
                        trail_id = Arc::from(record.trail_id);
                    }
                    let (seq, prev, hash) = (record.seq, record.prev, record.hash);
                    Content::Record(Link { trail_id: Arc::clone(&trail_id), seq, prev, hash })
                }
            },
        };
        chunk.push(Hashed { offset: line.offset, line: content });
        if chunk.len() == CHUNK_LINES {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_LINES));
            if sender.send(Ok(full)).is_err() {
                return Ok(());
            }
        }
    }
    // Without a reader nobody needs the rest.
    let _ = sender.send(Ok(chunk));
    Ok(())
}

/// Whether what a record says matters to a verification.
fn speaks(record: &Sealed<'_>) -> bool {
    matches!(record.system_kind(), Some(GAP | CHECKPOINT | TOMBSTONE | KEY_ROTATION))
}
