//! What is found when a trail is opened again: where it ends, and what is wrong with its end.
//!
//! The sidecar says up to where the trail was certainly on disk. What comes after that is read
//! and followed record by record; a torn end is put aside, and whatever does not fit is reported
//! as a gap that the next segment begins with. Nothing is repaired silently, and a sequence number
//! that may have been used is never used again.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};

use mxcp_schemas::audit::LINE_BYTES_MAX;
use serde_json::{Value, json};

use super::chain::{self, CHECKPOINT, Chain, GAP, KEY_ROTATION, Sealed};
use super::head::{Head, Loaded};
use super::lines::{End, Lines};
use super::segment::{Layout, Segment};

/// The end of a trail that is opened again.
#[derive(Debug)]
pub(super) struct Recovered {
    /// What the next record continues.
    pub chain: Chain,
    /// What the next segment must begin with, if the chain has a gap.
    pub gap: Option<Gap>,
    /// A torn end that was put aside.
    pub torn: Option<Torn>,
    /// Segment and length up to which the trail is known to be sound, for the sidecar.
    pub at: Option<(String, u64)>,
    /// The key that signed last, where the sidecar does not say.
    pub key: Option<String>,
}

/// A place where a trail is not known to be complete.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    /// Why.
    pub reason: &'static str,
    /// The first number that may be missing.
    pub first_seq: u64,
    /// Whether callers were told that these records are kept.
    pub acknowledged: bool,
    /// Where, and what else is known.
    pub detail: Value,
}

/// The end of a segment that is no record.
#[derive(Debug, Clone)]
pub(super) struct Torn {
    segment: String,
    offset: u64,
    bytes: u64,
    kept: String,
}

impl Gap {
    /// What the `gap` record says when the chain has come to `last_seq`.
    pub(super) fn event(&self, last_seq: u64) -> Value {
        json!({
            "reason": self.reason,
            "first_seq": self.first_seq,
            "last_seq": last_seq,
            "acknowledged": self.acknowledged,
            "detail": self.detail,
        })
    }
}

impl Torn {
    /// What the `torn` record says.
    pub(super) fn event(&self) -> Value {
        json!({
            "segment": self.segment,
            "offset": self.offset,
            "bytes": self.bytes,
            "kept": self.kept,
        })
    }
}

/// How reading a segment from some place on ended.
enum Stop {
    /// At its end.
    End,
    /// In a line that is not terminated, from that offset on.
    Torn(u64),
    /// At a line that does not continue the chain.
    Broken { offset: u64, flaw: String, later: Chain },
}

/// Finds the end of a trail and puts a torn end aside.
///
/// # Errors
/// When a file cannot be read or a torn end cannot be put aside.
pub(super) fn recover(layout: &Layout, loaded: &Loaded, fresh_id: String) -> io::Result<Recovered> {
    let segments = layout.segments()?;
    let known = match loaded {
        Loaded::Found(head) => head.chain().map(|chain| (head, chain)),
        Loaded::Missing | Loaded::Damaged => None,
    };
    let Some((head, chain)) = known else {
        return unknown(layout, &segments, loaded, fresh_id);
    };
    if head.seq == 0
        && let Some((first, rest)) = segments.split_first()
        && first.first_seq == 1
    {
        // The process died before the sidecar was written for the first time.
        return follow(layout, first, rest, 0, chain);
    }
    let Some(position) =
        segments.iter().position(|segment| Some(&segment.name) == head.segment.as_ref())
    else {
        return absent(layout, &segments, head, chain);
    };
    let Some((first, rest)) = segments.get(position..).and_then(<[Segment]>::split_first) else {
        return absent(layout, &segments, head, chain);
    };
    if let Some(found) = lost(layout, first, &segments, head, &chain)? {
        return Ok(found);
    }
    follow(layout, first, rest, head.offset, chain)
}

/// Reads on from a sound place to the trail's end.
fn follow(
    layout: &Layout,
    first: &Segment,
    rest: &[Segment],
    offset: u64,
    mut chain: Chain,
) -> io::Result<Recovered> {
    let mut segment = first;
    let mut from = offset;
    let mut following = rest.iter();
    loop {
        let (stop, sound) = scan(segment, from, &mut chain)?;
        let next = following.next();
        match (stop, next) {
            (Stop::End, None) => {
                let at = Some((segment.name.clone(), sound));
                return Ok(Recovered { chain, gap: None, torn: None, at, key: None });
            }
            (Stop::Torn(offset), None) => {
                let torn = Some(put_aside(layout, segment, offset)?);
                let at = Some((segment.name.clone(), offset));
                return Ok(Recovered { chain, gap: None, torn, at, key: None });
            }
            (Stop::Broken { offset, flaw, later }, None) => {
                let gap = Gap {
                    reason: "broken",
                    first_seq: chain.seq + 1,
                    acknowledged: true,
                    detail: json!({"segment": segment.name, "offset": offset, "flaw": flaw}),
                };
                let chain = if later.seq > chain.seq { later } else { chain };
                return Ok(Recovered { chain, gap: Some(gap), torn: None, at: None, key: None });
            }
            // A segment whose end is unsound is followed by one that begins with a gap, or the
            // scan of that one says that it does not continue.
            (_, Some(next)) => (segment, from) = (next, 0),
        }
    }
}

/// The sidecar is not readable: the last segment alone says where the trail ends.
fn unknown(
    layout: &Layout,
    segments: &[Segment],
    loaded: &Loaded,
    fresh_id: String,
) -> io::Result<Recovered> {
    let Some(last) = segments.last() else {
        let chain = Chain::new(fresh_id);
        return Ok(Recovered { chain, gap: None, torn: None, at: None, key: None });
    };
    let reason = if *loaded == Loaded::Missing { "head_missing" } else { "head_damaged" };
    let mut chain = Chain::new(fresh_id);
    let torn = resume(layout, segments, &mut chain)?;
    let gap = Gap {
        reason,
        first_seq: chain.seq + 1,
        acknowledged: true,
        detail: json!({"segment": last.name}),
    };
    let key = signed_last(segments)?;
    Ok(Recovered { chain, gap: Some(gap), torn, at: None, key })
}

/// The key that the last record names in which a key speaks.
pub(super) fn signed_last(segments: &[Segment]) -> io::Result<Option<String>> {
    for segment in segments.iter().rev() {
        let mut found = None;
        let mut lines = Lines::new(File::open(&segment.path)?, 0);
        while let Some(line) = lines.next_line()? {
            let Ok(record) = chain::open(line.bytes) else { continue };
            let name = match record.system_kind() {
                Some(CHECKPOINT) => "public_key",
                Some(KEY_ROTATION) => "new_public_key",
                _ => continue,
            };
            let key = record.event().and_then(|event| Some(event.get(name)?.as_str()?.to_owned()));
            found = key.or(found);
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The segment that the sidecar names does not exist.
fn absent(
    layout: &Layout,
    segments: &[Segment],
    head: &Head,
    chain: Chain,
) -> io::Result<Recovered> {
    if head.seq == 0 && segments.is_empty() {
        return Ok(Recovered { chain, gap: None, torn: None, at: None, key: None });
    }
    let detail = json!({"segment": head.segment, "head_seq": head.seq});
    mismatch(layout, segments, chain, "segment_missing", detail)
}

/// Whether the record that the sidecar names is where it should be; if not, what is there.
fn lost(
    layout: &Layout,
    segment: &Segment,
    segments: &[Segment],
    head: &Head,
    chain: &Chain,
) -> io::Result<Option<Recovered>> {
    let length = std::fs::metadata(&segment.path)?.len();
    let reason = if length < head.offset {
        "tail_lost"
    } else if line_before(segment, head.offset, chain)? {
        return Ok(None);
    } else {
        "changed"
    };
    let detail = json!({
        "segment": segment.name,
        "expected_bytes": head.offset,
        "found_bytes": length,
    });
    mismatch(layout, segments, chain.clone(), reason, detail).map(Some)
}

/// The trail does not end as the sidecar says: goes on after whichever of both is further, and
/// says which numbers are in doubt.
fn mismatch(
    layout: &Layout,
    segments: &[Segment],
    chain: Chain,
    reason: &'static str,
    detail: Value,
) -> io::Result<Recovered> {
    let mut found = Chain { seq: 0, ..chain.clone() };
    let torn = resume(layout, segments, &mut found)?;
    let first_seq = if found.seq < chain.seq { found.seq + 1 } else { chain.seq };
    let gap = Gap { reason, first_seq, acknowledged: true, detail };
    let chain = if found.seq > chain.seq { found } else { chain };
    Ok(Recovered { chain, gap: Some(gap), torn, at: None, key: None })
}

/// Moves `chain` to the last record that stands by itself, whatever comes before it, and puts a
/// torn end of the last segment aside. The last segments may be empty: a process may die after it
/// has created one.
fn resume(layout: &Layout, segments: &[Segment], chain: &mut Chain) -> io::Result<Option<Torn>> {
    let mut torn = None;
    for (i, segment) in segments.iter().rev().enumerate() {
        let before = chain.seq;
        let open_end = last_record(segment, chain)?;
        if i == 0 {
            torn = open_end.map(|offset| put_aside(layout, segment, offset)).transpose()?;
        }
        if chain.seq > before {
            break;
        }
    }
    Ok(torn)
}

/// Moves `chain` to the last record of a segment that stands by itself. Returns where a line
/// begins that is not terminated. Without a hash the chain knows no trail yet: the first record
/// names it.
fn last_record(segment: &Segment, chain: &mut Chain) -> io::Result<Option<u64>> {
    let mut lines = Lines::new(File::open(&segment.path)?, 0);
    let mut open_end = None;
    while let Some(line) = lines.next_line()? {
        match line.end {
            End::Feed => {
                if let Ok(record) = chain::open(line.bytes)
                    && record.seq > chain.seq
                    && (record.trail_id == chain.trail_id || chain.head.is_none())
                {
                    record.trail_id.clone_into(&mut chain.trail_id);
                    chain.advance(&record);
                }
            }
            End::File => open_end = Some(line.offset),
            End::Limit => {}
        }
    }
    Ok(open_end)
}

/// Follows the chain through a segment. Returns where it stopped, and the offset up to which the
/// segment is sound.
fn scan(segment: &Segment, from: u64, chain: &mut Chain) -> io::Result<(Stop, u64)> {
    let mut file = File::open(&segment.path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Lines::new(file, from);
    let mut sound = from;
    while let Some(line) = lines.next_line()? {
        if line.end == End::File {
            return Ok((Stop::Torn(line.offset), sound));
        }
        let offset = line.offset;
        let (flaw, mut later) = match chain::open(line.bytes) {
            Ok(record) if chain.continues_with(&record) || begins_anew(chain, &record, offset) => {
                chain.advance(&record);
                sound = offset + line.bytes.len() as u64 + 1;
                continue;
            }
            Ok(record) => {
                let flaw = format!("record {} does not continue record {}", record.seq, chain.seq);
                (flaw, own(chain, &record))
            }
            Err(flaw) => (flaw.to_string(), None),
        };
        // Blocks that never reached the disk may hold anything, line feeds included. What no
        // whole record follows is a torn end; what one follows was changed.
        while let Some(line) = lines.next_line()? {
            if let (End::Feed, Ok(record)) = (line.end, chain::open(line.bytes)) {
                later = own(chain, &record).or(later);
            }
        }
        return Ok(match later {
            None => (Stop::Torn(offset), sound),
            Some(later) => (Stop::Broken { offset, flaw, later }, sound),
        });
    }
    Ok((Stop::End, sound))
}

/// Moves `chain` through a whole segment. Returns whether all of it could be followed.
pub(super) fn follows(segment: &Segment, chain: &mut Chain) -> io::Result<bool> {
    let (stop, _) = scan(segment, 0, chain)?;
    Ok(matches!(stop, Stop::End))
}

/// The chain that ends with a record of the same trail.
fn own(chain: &Chain, record: &Sealed<'_>) -> Option<Chain> {
    let mut end = chain.clone();
    end.advance(record);
    (record.trail_id == chain.trail_id).then_some(end)
}

/// Whether a record is the `gap` that begins a segment after a failure: it admits what came before
/// it, so a scan goes on there.
fn begins_anew(chain: &Chain, record: &Sealed<'_>, offset: u64) -> bool {
    offset == 0
        && record.trail_id == chain.trail_id
        && record.seq > chain.seq
        && record.system_kind() == Some(GAP)
}

/// Whether the line that ends at `offset` is the last record of `chain`.
fn line_before(segment: &Segment, offset: u64, chain: &Chain) -> io::Result<bool> {
    let from = offset.saturating_sub(LINE_BYTES_MAX as u64 + 1);
    let mut file = File::open(&segment.path)?;
    let mut window: u64 = 64 * 1024;
    loop {
        let start = offset.saturating_sub(window).max(from);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&file).take(offset - start).read_to_end(&mut bytes)?;
        let Some(line) = bytes.strip_suffix(b"\n") else { return Ok(false) };
        let begin = memchr::memrchr(b'\n', line);
        if begin.is_none() && start > from {
            window *= 16;
            continue;
        }
        let line = line.get(begin.map_or(0, |at| at + 1)..).unwrap_or_default();
        return Ok(chain::open(line).is_ok_and(|record| {
            record.seq == chain.seq
                && Some(record.hash) == chain.head
                && record.trail_id == chain.trail_id
        }));
    }
}

/// Copies the end of a segment to a file of its own and then cuts it off.
fn put_aside(layout: &Layout, segment: &Segment, offset: u64) -> io::Result<Torn> {
    let mut file = OpenOptions::new().read(true).write(true).open(&segment.path)?;
    file.seek(SeekFrom::Start(offset))?;
    let kept = layout.torn(&segment.name, offset);
    let mut copy = File::create(&kept)?;
    let bytes = io::copy(&mut file, &mut copy)?;
    copy.sync_all()?;
    File::open(layout.folder())?.sync_all()?;
    file.set_len(offset)?;
    file.sync_all()?;
    let kept = kept.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Torn { segment: segment.name.clone(), offset, bytes, kept })
}
