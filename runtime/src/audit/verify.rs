//! Verification: whether a trail is as it was written, and where it is not.
//!
//! Every line is hashed and every link followed, across segments and restarts, in constant memory.
//! The first record where something was changed, removed, inserted, put elsewhere or taken from
//! another trail is named. Without a public key the result is "consistent", not "authentic":
//! whoever can rewrite the whole trail can also compute its hashes.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chain::{self, Chain, Flaw, Hash, Sealed};
use super::head::{self, Loaded};
use super::lines::{End, Lines};
use super::recover::GAP;
use super::segment::{Layout, Segment};
use super::trail::is_being_written;

/// Kind of the `system` record that retention leaves for the records that it deletes.
pub const TOMBSTONE: &str = "tombstone";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The trail's identifier; none if it has no record.
    pub trail_id: Option<String>,
    /// Segments that were read.
    pub segments: usize,
    /// Records whose hash and link are right.
    pub records: u64,
    /// Number and hash of the last of them.
    pub head: Option<(u64, Hash)>,
    /// Lines of a file of MXCP's own, which has no chain.
    pub unchained: u64,
    /// Places where the trail itself says that records may be missing and nobody was told that
    /// they are kept.
    pub gaps: Vec<Range>,
    /// What is wrong, in the order of the trail. After the first that the trail does not itself
    /// report nothing more is checked.
    pub problems: Vec<Problem>,
}

/// Numbers of records, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// the first
    pub first: u64,
    /// the last
    pub last: u64,
}

/// Something that is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The number that the record there should have.
    pub seq: u64,
    /// The segment.
    pub segment: String,
    /// The line in it, from one.
    pub line: u64,
    /// The byte at which that line begins.
    pub offset: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The line is not a record as it was sealed.
    Flaw(Flaw),
    /// A record of another trail stands there.
    Foreign(String),
    /// A later record stands there: those before it are missing or elsewhere.
    Missing(Range),
    /// The trail reports itself that acknowledged records were lost there.
    Lost(Range, String),
    /// A record stands there that the trail had before.
    Repeated(u64),
    /// The record has the right number and continues another record.
    Unlinked,
    /// The line is not terminated.
    Unterminated,
    /// The trail goes on here according to its sidecar, up to that record.
    Cut(u64),
    /// No whole record can be found there.
    Overlong,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_consistent(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Verifies the trail at that path. It may be written at the same time: what is complete when it
/// is read is verified.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(path: &Path) -> Result<Report, VerifyError> {
    let layout = Layout::new(path).ok_or_else(|| VerifyError::Path(path.to_owned()))?;
    let fail = |source| VerifyError::Io { path: path.to_owned(), source };
    // Asked before anything is read: what the sidecar says now must be found afterwards.
    let loaded = head::load(&layout.head()).map_err(fail)?;
    let live = is_being_written(path).map_err(fail)?;
    let segments = layout.segments().map_err(fail)?;
    let mut reader = Reader { live, ..Reader::default() };
    reader.report.unchained = unchained(layout.legacy()).map_err(fail)?;
    for (i, segment) in segments.iter().enumerate() {
        let next = segments.get(i + 1);
        if !reader.segment(segment, next).map_err(fail)? {
            break;
        }
    }
    Ok(reader.finish(&loaded))
}

/// Why a trail cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The path names no file.
    #[error("the audit path `{}` does not name a file", .0.display())]
    Path(PathBuf),
    /// A file cannot be read.
    #[error("the audit trail `{}` cannot be read: {source}", path.display())]
    Io {
        /// the trail
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

#[derive(Debug, Default)]
struct Reader {
    report: Report,
    /// somebody writes, so an open last line is no fault
    live: bool,
    chain: Option<Chain>,
    /// the beginning that retention must have left: its place, number and previous hash
    begins: Option<(Problem, Option<Hash>)>,
    last: Place,
    stopped: bool,
}

#[derive(Debug, Clone, Default)]
struct Place {
    segment: String,
    line: u64,
    offset: u64,
}

impl Place {
    fn problem(&self, seq: u64, fault: Fault) -> Problem {
        let Self { segment, line, offset } = self.clone();
        Problem { seq, segment, line, offset, fault }
    }
}

impl Reader {
    /// Reads a segment. Returns whether to go on with the next.
    fn segment(&mut self, segment: &Segment, next: Option<&Segment>) -> io::Result<bool> {
        self.report.segments += 1;
        let mut lines = Lines::new(File::open(&segment.path)?, 0);
        let mut place = Place { segment: segment.name.clone(), line: 0, offset: 0 };
        while let Some(line) = lines.next_line()? {
            (place.line, place.offset) = (place.line + 1, line.offset);
            let fault = match line.end {
                End::File if next.is_none() && self.live => break,
                End::File => Some(Fault::Unterminated),
                End::Limit => Some(Fault::Overlong),
                End::Feed => match chain::open(line.bytes) {
                    Err(flaw) => Some(Fault::Flaw(flaw)),
                    Ok(record) => self.record(&record, &place),
                },
            };
            let Some(fault) = fault else { continue };
            let seq = self.expected(segment);
            if self.is_admitted(seq, next)? {
                return Ok(true);
            }
            self.report.problems.push(place.problem(seq, fault));
            self.stopped = true;
            return Ok(false);
        }
        self.last = Place { line: place.line + 1, ..place };
        Ok(true)
    }

    /// The number that the next record must have.
    fn expected(&self, segment: &Segment) -> u64 {
        self.chain.as_ref().map_or(segment.first_seq, |chain| chain.seq + 1)
    }

    /// Checks that a record stands where it must.
    fn record(&mut self, record: &Sealed<'_>, place: &Place) -> Option<Fault> {
        let begins = self.chain.is_none();
        let chain = self.chain.get_or_insert_with(|| Chain {
            trail_id: record.trail_id.to_owned(),
            seq: 0,
            head: None,
        });
        if record.trail_id != chain.trail_id {
            return Some(Fault::Foreign(record.trail_id.to_owned()));
        }
        let expected = chain.seq + 1;
        if !chain.continues_with(record) {
            if record.seq < expected {
                return Some(Fault::Repeated(record.seq));
            }
            let gap = (place.line == 1).then(|| Gap::read(record)).flatten();
            let admitted = gap.filter(|gap| gap.covers(expected, record.seq));
            let missing = Range { first: expected, last: record.seq - 1 };
            match admitted {
                None if record.seq == expected => return Some(Fault::Unlinked),
                None if begins => {
                    // Retention must have left a tombstone that says why.
                    let problem = place.problem(expected, Fault::Missing(missing));
                    self.begins = Some((problem, record.prev));
                }
                None => return Some(Fault::Missing(missing)),
                Some(gap) if gap.acknowledged => {
                    let fault = Fault::Lost(missing, gap.reason);
                    self.report.problems.push(place.problem(expected, fault));
                }
                Some(_) => self.report.gaps.push(missing),
            }
        }
        chain.advance(record);
        self.count(record);
        None
    }

    fn count(&mut self, record: &Sealed<'_>) {
        self.report.records += 1;
        if self.report.trail_id.is_none() {
            self.report.trail_id = Some(record.trail_id.to_owned());
        }
        self.report.head = Some((record.seq, record.hash));
        if self.begins.is_some() && record.system_kind() == Some(TOMBSTONE) {
            self.bury(record);
        }
    }

    /// Whether this tombstone is for what is missing at the beginning.
    fn bury(&mut self, record: &Sealed<'_>) {
        let Some((problem, prev)) = &self.begins else { return };
        let Some(value) = record.read() else { return };
        let member = |name| value.get("event").and_then(|event| event.get(name));
        let through = member("through_seq").and_then(Value::as_u64);
        let hash = member("hash").and_then(Value::as_str);
        let hash = hash.and_then(|hex| Hash::parse(hex.as_bytes()));
        let missing = match problem.fault {
            Fault::Missing(range) => Some(range.last),
            _ => None,
        };
        if through.is_some() && through == missing && hash == *prev {
            self.begins = None;
        }
    }

    /// Whether the next segment says that nothing from `seq` on was ever acknowledged in this one.
    fn is_admitted(&self, seq: u64, next: Option<&Segment>) -> io::Result<bool> {
        let Some(next) = next else { return Ok(false) };
        let mut lines = Lines::new(File::open(&next.path)?, 0);
        let Some(line) = lines.next_line()? else { return Ok(false) };
        let Ok(record) = chain::open(line.bytes) else { return Ok(false) };
        let same = self.chain.as_ref().is_none_or(|chain| chain.trail_id == record.trail_id);
        Ok(same
            && Gap::read(&record)
                .is_some_and(|gap| !gap.acknowledged && gap.covers(seq, record.seq)))
    }

    fn finish(mut self, loaded: &Loaded) -> Report {
        if let Some((problem, _)) = self.begins {
            self.report.problems.insert(0, problem);
        }
        let end = self.chain.as_ref().map_or(0, |chain| chain.seq);
        if let Loaded::Found(head) = loaded
            && head.seq > end
            && !self.stopped
        {
            self.report.problems.push(self.last.problem(end + 1, Fault::Cut(head.seq)));
        }
        self.report
    }
}

/// What a `gap` record admits.
struct Gap {
    first: u64,
    last: u64,
    acknowledged: bool,
    reason: String,
}

impl Gap {
    fn read(record: &Sealed<'_>) -> Option<Self> {
        if record.system_kind() != Some(GAP) {
            return None;
        }
        let value = record.read()?;
        let event: &Value = value.get("event")?;
        Some(Self {
            first: event.get("first_seq")?.as_u64()?,
            last: event.get("last_seq")?.as_u64()?,
            acknowledged: event.get("acknowledged")?.as_bool()?,
            reason: event.get("reason")?.as_str()?.to_owned(),
        })
    }

    /// Whether it admits that everything from `expected` up to itself may be missing.
    const fn covers(&self, expected: u64, own: u64) -> bool {
        self.first <= expected && self.last + 1 == own
    }
}

/// Lines of a file of MXCP's.
fn unchained(path: &Path) -> io::Result<u64> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let mut lines = Lines::new(file, 0);
    let mut count = 0;
    while lines.next_line()?.is_some() {
        count += 1;
    }
    Ok(count)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, segment, line, offset, fault } = self;
        write!(f, "record {seq} (`{segment}`, line {line}, byte {offset}): {fault}")
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "record {}", self.first)
        } else {
            write!(f, "records {} to {}", self.first, self.last)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flaw(flaw) => write!(f, "{flaw}"),
            Self::Foreign(trail) => write!(f, "a record of another trail, `{trail}`, stands here"),
            Self::Missing(range) => {
                write!(f, "{range} removed or put elsewhere: record {} stands here", range.last + 1)
            }
            Self::Lost(range, reason) => {
                write!(f, "{range} lost; the trail itself reports this (`{reason}`)")
            }
            Self::Repeated(seq) => write!(f, "record {seq} stands here, out of its place"),
            Self::Unlinked => f.write_str("the record here does not continue the one before it"),
            Self::Unterminated => f.write_str("the line is torn or was cut"),
            Self::Cut(seq) => write!(f, "the trail was cut: its sidecar knows record {seq}"),
            Self::Overlong => f.write_str("there is no end of a line within the greatest length"),
        }
    }
}
