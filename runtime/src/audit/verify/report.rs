//! What a verification finds, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::audit::chain::{Flaw, Hash};
use crate::audit::key::PublicKey;

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
    /// The public key that was trusted at the end: the one that was given, or one that it handed
    /// over to.
    pub public_key: Option<PublicKey>,
    /// The last record up to which that key vouches for the trail.
    pub authentic_through: Option<u64>,
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
    /// The trail goes on here, at least up to that record, according to whoever knows.
    Cut(u64, Witness),
    /// A record that must be signed is not, or not rightly: why.
    Unsigned(String),
    /// Somebody knows another record of this number.
    Contradicted(Witness),
    /// No whole record can be found there.
    Overlong,
}

/// Who knows of records that a trail does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// The trail's own sidecar.
    Sidecar,
    /// A checkpoint that was kept elsewhere.
    Checkpoint,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_consistent(&self) -> bool {
        self.problems.is_empty()
    }

    /// What may be claimed of the trail, in one sentence.
    pub fn verdict(&self) -> String {
        match (&self.problems.as_slice(), self.authentic_through, &self.public_key) {
            ([first, ..], _, _) => first.to_string(),
            ([], Some(seq), Some(key)) => {
                let rest = self.head.map_or(0, |(last, _)| last.saturating_sub(seq));
                let more = if rest > 0 {
                    format!("; {rest} later records are consistent, not authenticated")
                } else {
                    String::new()
                };
                format!("authentic up to record {seq} by the key {key}{more}")
            }
            ([], _, Some(_)) => {
                "consistent, not authenticated: no checkpoint of the given key is in it".to_owned()
            }
            ([], _, None) => "consistent, not authenticated".to_owned(),
        }
    }

    /// The report in the form that `--json` prints.
    pub fn to_json(&self) -> Value {
        let range = |range: &Range| json!({"first_seq": range.first, "last_seq": range.last});
        let problem = |problem: &Problem| {
            json!({
                "seq": problem.seq,
                "segment": problem.segment,
                "line": problem.line,
                "offset": problem.offset,
                "message": problem.fault.to_string(),
            })
        };
        json!({
            "consistent": self.is_consistent(),
            "verdict": self.verdict(),
            "trail_id": self.trail_id,
            "segments": self.segments,
            "records": self.records,
            "unchained_records": self.unchained,
            "last_seq": self.head.map(|(seq, _)| seq),
            "head": self.head.map(|(_, hash)| hash.to_string()),
            "public_key": self.public_key.map(|key| key.to_string()),
            "authentic_through": self.authentic_through,
            "gaps": self.gaps.iter().map(range).collect::<Vec<_>>(),
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
        })
    }
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
            Self::Cut(seq, Witness::Sidecar) => {
                write!(f, "the trail was cut: its sidecar knows record {seq}")
            }
            Self::Cut(seq, Witness::Checkpoint) => {
                write!(f, "the trail was cut: a checkpoint knows record {seq}")
            }
            Self::Unsigned(why) => write!(f, "what should vouch for the trail does not: {why}"),
            Self::Contradicted(Witness::Checkpoint) => {
                f.write_str("a checkpoint kept elsewhere knows another record")
            }
            Self::Contradicted(Witness::Sidecar) => {
                f.write_str("the trail's sidecar knows another record")
            }
            Self::Overlong => f.write_str("there is no end of a line within the greatest length"),
        }
    }
}
