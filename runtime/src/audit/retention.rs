//! Retention: whole segments are deleted when all their records are old enough.
//!
//! What is deleted leaves a tombstone in the chain: up to which record, with which hash, and the
//! right edge of the Merkle tree there, so that what is left can still be verified. A copy stands
//! in a file of its own, because a reader needs it before it comes to the record.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::chain::{self, Chain, Hash, Sealed, TOMBSTONE};
use super::lines::{End, Lines};
use super::merkle::Tree;
use super::recover;
use super::segment::{Layout, Segment};

const HOURS_PER_DAY: i64 = 24;

/// What has expired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expired {
    /// A file of MXCP's that nobody has written to for so long.
    pub legacy: Option<PathBuf>,
    /// Segments, the oldest first.
    pub segments: Vec<Segment>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Number of the first record that is kept.
    pub kept_from_seq: u64,
}

impl Expired {
    /// Whether there is nothing to delete.
    pub const fn is_empty(&self) -> bool {
        self.legacy.is_none() && self.segments.is_empty()
    }
}

/// How often expired segments are looked for, in milliseconds.
pub const RETENTION_MS: u64 = 3_600_000;

/// What of a trail has expired. The last segment never does.
///
/// # Errors
/// When the folder cannot be read.
pub fn expired(layout: &Layout, days: u32, now: Timestamp) -> io::Result<Expired> {
    let age = SignedDuration::from_hours(i64::from(days) * HOURS_PER_DAY);
    let mut found = Expired::default();
    let Ok(cutoff) = now.checked_sub(age) else { return Ok(found) };
    let segments = layout.segments()?;
    for pair in segments.windows(2) {
        let [segment, next] = pair else { break };
        // All records of a segment are older than the beginning of the next.
        if next.started > cutoff {
            break;
        }
        found.bytes += fs::metadata(&segment.path)?.len();
        found.kept_from_seq = next.first_seq;
        found.segments.push(segment.clone());
    }
    match fs::metadata(layout.legacy()) {
        Ok(metadata) if Timestamp::try_from(metadata.modified()?).is_ok_and(|at| at < cutoff) => {
            found.bytes += metadata.len();
            found.legacy = Some(layout.legacy().to_owned());
        }
        _ => {}
    }
    Ok(found)
}

/// What the tombstone of expired segments says.
pub(super) fn tombstone(layout: &Layout, expired: &Expired, days: u32) -> io::Result<Value> {
    let names: Vec<&str> = expired.segments.iter().map(|segment| segment.name.as_str()).collect();
    let end = end(layout, expired)?;
    let tree = end.as_ref().filter(|end| end.tree.is_sound()).map(|end| {
        let edge: Vec<String> = end.tree.edge.iter().map(Hash::to_string).collect();
        json!({"first_seq": end.tree.first_seq, "size": end.tree.size, "edge": edge})
    });
    Ok(json!({
        "retention_days": days,
        "segments": names,
        "bytes": expired.bytes,
        "mxcp_file": expired.legacy.is_some(),
        "through_seq": end.as_ref().map(|end| end.seq),
        "hash": end.as_ref().and_then(|end| end.head).map(|hash| hash.to_string()),
        "tree": tree,
    }))
}

/// The chain where the expired segments end. Its tree is known only if all of them can be followed
/// from where an earlier tombstone left off.
fn end(layout: &Layout, expired: &Expired) -> io::Result<Option<Chain>> {
    let Some(last) = expired.segments.last() else { return Ok(None) };
    let all = layout.segments()?;
    let following = all
        .iter()
        .find(|segment| segment.first_seq == expired.kept_from_seq && segment.name != last.name);
    let Some(following) = following else { return Ok(None) };
    let mut lines = Lines::new(File::open(&following.path)?, 0);
    let Some(line) = lines.next_line()?.filter(|line| line.end == End::Feed) else {
        return Ok(None);
    };
    let Ok(first) = chain::open(line.bytes) else { return Ok(None) };
    let mut walked = match load(layout)? {
        Some(chain) => chain,
        None => Chain::new(first.trail_id.to_owned()),
    };
    let mut sound = true;
    for segment in &expired.segments {
        sound &= recover::follows(segment, &mut walked)?;
    }
    let tree = if sound && walked.seq + 1 == first.seq && walked.head == first.prev {
        walked.tree
    } else {
        Tree::unknown()
    };
    let seq = first.seq.saturating_sub(1);
    Ok(Some(Chain { trail_id: first.trail_id.to_owned(), seq, head: first.prev, tree }))
}

/// Keeps a copy of the tombstone where readers begin.
pub(super) fn keep_tombstone(layout: &Layout, line: &[u8]) -> io::Result<()> {
    let path = layout.tombstone();
    let fresh = path.with_extension("tombstone-new");
    let mut file = File::create(&fresh)?;
    file.write_all(line)?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    File::open(layout.folder())?.sync_all()
}

/// The chain that the last tombstone leaves; none if nothing was deleted yet.
pub(super) fn load(layout: &Layout) -> io::Result<Option<Chain>> {
    Ok(load_line(layout)?.and_then(|line| chain::open(&line).ok().and_then(|record| left(&record))))
}

/// The copy of the last tombstone, without its line feed.
pub(super) fn load_line(layout: &Layout) -> io::Result<Option<Vec<u8>>> {
    match fs::read(layout.tombstone()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        line => Ok(Some(line?.trim_ascii_end().to_vec())),
    }
}

/// The chain that a tombstone leaves.
pub(super) fn left(record: &Sealed<'_>) -> Option<Chain> {
    if record.system_kind() != Some(TOMBSTONE) {
        return None;
    }
    let event = record.event()?;
    let parse = |value: &Value| Hash::parse(value.as_str()?.as_bytes());
    let tree = event.get("tree").and_then(|tree| {
        let edge = tree.get("edge")?.as_array()?.iter().map(parse).collect::<Option<_>>()?;
        let number = |name: &str| tree.get(name).and_then(Value::as_u64);
        Some(Tree { first_seq: number("first_seq")?, size: number("size")?, edge })
    });
    Some(Chain {
        trail_id: record.trail_id.to_owned(),
        seq: event.get("through_seq")?.as_u64()?,
        head: event.get("hash").and_then(parse),
        tree: tree.unwrap_or(Tree::unknown()),
    })
}

/// Deletes what has expired, with the torn ends that were put aside.
pub(super) fn delete(layout: &Layout, expired: &Expired) -> io::Result<()> {
    for segment in &expired.segments {
        remove(&segment.path)?;
        let torn = format!("{}.torn-", segment.name);
        for entry in fs::read_dir(layout.folder())? {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(&torn)) {
                remove(&entry.path())?;
            }
        }
    }
    if let Some(legacy) = &expired.legacy {
        remove(legacy)?;
    }
    File::open(layout.folder())?.sync_all()
}

fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
