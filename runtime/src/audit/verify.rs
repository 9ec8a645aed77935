//! Verification: whether a trail is as it was written, and where it is not.
//!
//! Every line is hashed and every link followed, across segments and restarts, in constant memory.
//! The first record where something was changed, removed, inserted, put elsewhere or taken from
//! another trail is named. Without a public key the result is "consistent", not "authentic":
//! whoever can rewrite the whole trail can also compute its hashes.

mod hashing;
mod report;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chain::{self, Chain, Flaw, GAP, Hash, Sealed, TOMBSTONE};
use super::head::{self, Loaded};
use super::key::PublicKey;
use super::lines::Lines;
use super::merkle::Tree;
use super::retention;
use super::segment::{Layout, Segment};
use super::trail::is_being_written;
use super::voice::{self, Vouched};

use hashing::{Content, Hashed};
pub use report::{Fault, Problem, Range, Report, Witness};

/// Against what a trail is verified.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A key from outside the trail whose checkpoints count.
    pub public_key: Option<PublicKey>,
    /// Checkpoints that were kept elsewhere: lines of the trail.
    pub checkpoints: Vec<u8>,
}

/// Verifies the trail at that path. It may be written at the same time: what is complete when it
/// is read is verified.
///
/// # Errors
/// When a file cannot be read, or a checkpoint is none.
pub fn verify(path: &Path, options: &Options) -> Result<Report, VerifyError> {
    verify_telling(path, options, &mut |_| {})
}

/// As [`verify`]; `tell` is told how many segments there are before the first, and called again after
/// each.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_telling(
    path: &Path,
    options: &Options,
    tell: &mut dyn FnMut(usize),
) -> Result<Report, VerifyError> {
    let layout = Layout::new(path).ok_or_else(|| VerifyError::Path(path.to_owned()))?;
    let fail = |source| VerifyError::Io { path: path.to_owned(), source };
    // Asked before anything is read: what the sidecar says now must be found afterwards.
    let loaded = head::load(&layout.head()).map_err(fail)?;
    let live = is_being_written(path).map_err(fail)?;
    let segments = layout.segments().map_err(fail)?;
    let elsewhere = elsewhere(&options.checkpoints)?;
    let mut reader = Reader {
        live,
        left: retention::load(&layout).map_err(fail)?,
        trusted: options.public_key,
        trail_id: known_id(&elsewhere, &loaded),
        sidecar: known_end(&loaded),
        elsewhere,
        ..Reader::default()
    };
    reader.report.unchained = unchained(layout.legacy()).map_err(fail)?;
    tell(segments.len());
    let look = |at: usize, lines: &mut dyn Iterator<Item = _>| {
        let Some(segment) = segments.get(at) else { return Ok(false) };
        let found = reader.segment(segment, segments.get(at + 1), lines);
        tell(segments.len());
        found
    };
    hashing::in_order(&segments, look).map_err(fail)?;
    Ok(reader.finish(&loaded))
}

/// Which trail this must be, by those who know besides its records.
fn known_id(elsewhere: &BTreeMap<u64, Vec<u8>>, loaded: &Loaded) -> Option<String> {
    let kept = elsewhere.values().find_map(|line| chain::open(line).ok());
    let by_sidecar = || match loaded {
        Loaded::Found(head) if head.seq > 0 => Some(head.trail_id.clone()),
        Loaded::Found(_) | Loaded::Missing | Loaded::Damaged => None,
    };
    kept.map(|record| record.trail_id.to_owned()).or_else(by_sidecar)
}

/// The record that the sidecar knows as the last one.
fn known_end(loaded: &Loaded) -> Option<(u64, Hash)> {
    let Loaded::Found(head) = loaded else { return None };
    Some((head.seq, Hash::parse(head.hash.as_ref()?.as_bytes())?))
}

/// Reads checkpoints that were kept elsewhere.
fn elsewhere(text: &[u8]) -> Result<BTreeMap<u64, Vec<u8>>, VerifyError> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut found = BTreeMap::new();
    for (i, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        let record = chain::open(line);
        let flaw = |flaw| VerifyError::Checkpoint { line: i + 1, flaw };
        found.insert(record.map_err(flaw)?.seq, line.to_vec());
    }
    Ok(found)
}

/// Why a trail cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The path names no file.
    #[error("the audit path `{}` does not name a file", .0.display())]
    Path(PathBuf),
    /// A line of the checkpoints is none.
    #[error("line {line} of the checkpoints is no record of a trail: {flaw}")]
    Checkpoint {
        /// the line, from one
        line: usize,
        /// why
        flaw: Flaw,
    },
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
    /// which trail this is, where that is known before anything is read
    trail_id: Option<String>,
    /// the last record that the sidecar knew before anything was read
    sidecar: Option<(u64, Hash)>,
    /// the beginning that retention must have left: its place, number and previous hash
    begins: Option<(Problem, Option<Hash>)>,
    /// the chain that the last tombstone leaves
    left: Option<Chain>,
    /// the key that is trusted here, and whether it vouched for anything yet
    trusted: Option<PublicKey>,
    seen: bool,
    /// checkpoints that were kept elsewhere, by number
    elsewhere: BTreeMap<u64, Vec<u8>>,
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
    /// Looks at a segment. Returns whether to go on with the next.
    fn segment(
        &mut self,
        segment: &Segment,
        next: Option<&Segment>,
        chunks: &mut dyn Iterator<Item = io::Result<Vec<Hashed>>>,
    ) -> io::Result<bool> {
        self.report.segments += 1;
        let mut place = Place { segment: segment.name.clone(), line: 0, offset: 0 };
        for chunk in chunks {
            for line in chunk? {
                (place.line, place.offset) = (place.line + 1, line.offset);
                let fault = match &line.line {
                    Content::Open if next.is_none() && self.live => break,
                    Content::Open => Some(Fault::Unterminated),
                    Content::Overlong => Some(Fault::Overlong),
                    Content::Flawed(flaw) => Some(Fault::Flaw(*flaw)),
                    Content::Record(link) => self.record(&link.sealed(), &place),
                    Content::Speaking(bytes) => match chain::open(bytes) {
                        Ok(record) => self.record(&record, &place),
                        Err(flaw) => Some(Fault::Flaw(flaw)),
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
        let chain = self.chain.get_or_insert_with(|| {
            let id = self.trail_id.take().unwrap_or_else(|| record.trail_id.to_owned());
            let mut chain = Chain::new(id);
            if self.trusted.is_none() {
                // Nobody will ask for its root.
                chain.tree = Tree::unknown();
            }
            chain
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
                    if let Some(left) = self.left.take_if(|left| left.continues_with(record)) {
                        *chain = left;
                    }
                }
                None => return Some(Fault::Missing(missing)),
                Some(gap) if gap.acknowledged => {
                    let fault = Fault::Lost(missing, gap.reason);
                    self.report.problems.push(place.problem(expected, fault));
                }
                Some(_) => self.report.gaps.push(missing),
            }
        }
        if let Some(fault) =
            vouch(&mut self.report, &mut self.trusted, &mut self.seen, chain, record)
        {
            return Some(fault);
        }
        if let Some(line) = self.elsewhere.remove(&record.seq)
            && let Some(fault) = contradicts(&line, record, self.trusted.as_ref())
        {
            return Some(fault);
        }
        if self.sidecar.is_some_and(|(seq, hash)| seq == record.seq && hash != record.hash) {
            return Some(Fault::Contradicted(Witness::Sidecar));
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
        let Some(left) = retention::left(record) else { return };
        let missing = match problem.fault {
            Fault::Missing(range) => Some(range.last),
            _ => None,
        };
        if Some(left.seq) == missing && left.head == *prev {
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
        self.report.public_key = self.trusted;
        let end = self.chain.as_ref().map_or(0, |chain| chain.seq);
        let sidecar = match loaded {
            Loaded::Found(head) => Some((head.seq, Witness::Sidecar)),
            Loaded::Missing | Loaded::Damaged => None,
        };
        let checkpoint = self.elsewhere.last_key_value();
        let checkpoint = checkpoint.map(|(seq, _)| (*seq, Witness::Checkpoint));
        let known = sidecar.into_iter().chain(checkpoint).max_by_key(|(seq, _)| *seq);
        if let Some((seq, witness)) = known.filter(|(seq, _)| *seq > end && !self.stopped) {
            self.report.problems.push(self.last.problem(end + 1, Fault::Cut(seq, witness)));
        }
        self.report
    }
}

/// Asks what a record says for the trail before it, if a key is trusted.
fn vouch(
    report: &mut Report,
    trusted: &mut Option<PublicKey>,
    seen: &mut bool,
    before: &Chain,
    record: &Sealed<'_>,
) -> Option<Fault> {
    let key = trusted.as_mut()?;
    match voice::check(record, before, key, *seen) {
        Err(why) => return Some(Fault::Unsigned(why)),
        Ok(Vouched::Nothing) => return None,
        Ok(Vouched::Here) => {}
        Ok(Vouched::HandedOver(new)) => *key = new,
    }
    *seen = true;
    report.authentic_through = Some(record.seq);
    None
}

/// Whether a checkpoint that was kept elsewhere is another record than the one in its place.
fn contradicts(line: &[u8], record: &Sealed<'_>, trusted: Option<&PublicKey>) -> Option<Fault> {
    let other = Fault::Contradicted(Witness::Checkpoint);
    let Ok(kept) = chain::open(line) else { return Some(other) };
    if kept.hash == record.hash {
        // It is the same line, which was asked for its signature where it stands: the key that is
        // trusted now need not be the one that signed then.
        return None;
    }
    if trusted.is_some_and(|key| !kept.is_signed_by(key)) {
        let why = "the checkpoint kept elsewhere is not signed by the trusted key";
        return Some(Fault::Unsigned(why.to_owned()));
    }
    Some(other)
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
    fn covers(&self, expected: u64, own: u64) -> bool {
        self.first <= expected && self.last.checked_add(1) == Some(own)
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
