//! Proofs for somebody who has checkpoints and not the trail: that a record is in it, and that a
//! later checkpoint only added to an earlier one (RFC 9162, 2.1.3 and 2.1.4).
//!
//! A proof is a document that stands alone: the sealed lines it is about, and some hashes. Whoever
//! trusts the key that signed the checkpoints needs nothing else, and learns nothing of the other
//! records.

mod path;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chain::{self, CHECKPOINT, Flaw, Hash, Sealed};
use super::key::PublicKey;
use super::segment::Layout;

use walk::{Walk, fold};

/// A proof, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// That a record is in the trail that a checkpoint speaks of.
    Inclusion {
        /// the record's line
        record: String,
        /// the checkpoint's line
        checkpoint: String,
        /// hashes from the leaf upward, in hexadecimal
        path: Vec<String>,
    },
    /// That everything an earlier checkpoint speaks of is still there for a later one.
    Consistency {
        /// the line of the earlier
        earlier: String,
        /// the line of the later
        later: String,
        /// hashes, in hexadecimal
        path: Vec<String>,
    },
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The trail.
    pub trail_id: String,
    /// In one sentence.
    pub statement: String,
    /// The keys that signed what it rests on; none if none was trusted.
    pub public_keys: Vec<PublicKey>,
}

/// Which record a proof is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// the one of that number
    Seq(u64),
    /// the one of that call
    Id(String),
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The path names no file.
    #[error("the audit path `{}` does not name a file", .0.display())]
    Path(PathBuf),
    /// The trail cannot be read.
    #[error("the audit trail cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The record is not there.
    #[error("the trail has no such record")]
    NoRecord,
    /// No checkpoint speaks of it.
    #[error(
        "no checkpoint speaks of it yet; the trail needs a `signing_key`, and writes one every \
         1,000 records, every minute and when it is closed"
    )]
    NoCheckpoint,
    /// The trail began its tree anew in between.
    #[error("records were lost before record {0}, and no proof leads across that place")]
    Gap(u64),
    /// What the proof needs was deleted.
    #[error("the records that the proof needs were deleted by retention")]
    Deleted,
    /// The trail is not as it was written.
    #[error("the trail is not consistent at record {0}; `mxcp log verify` says more")]
    Inconsistent(u64),
    /// A line that should be a checkpoint is none.
    #[error("that is no checkpoint: {0}")]
    Checkpoint(#[from] NoCheckpoint),
}

/// Why a line is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCheckpoint {
    /// It is no record.
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// It is another record.
    #[error("the line is a record of another kind")]
    Kind,
    /// It does not say what a checkpoint says.
    #[error("the checkpoint does not name its tree")]
    Tree,
}

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A line in it was changed.
    #[error("its record does not stand as it was sealed: {0}")]
    Record(Flaw),
    /// A checkpoint in it is none.
    #[error("what it rests on is no checkpoint: {0}")]
    Checkpoint(#[from] NoCheckpoint),
    /// A checkpoint in it is signed by none of the trusted keys.
    #[error("the checkpoint of record {0} is signed by no trusted key")]
    Unsigned(u64),
    /// Its parts are of different trails or trees.
    #[error("its parts do not belong to one tree")]
    Strange,
    /// A hash in it is none.
    #[error("it has a hash that is none")]
    Hash,
    /// The hashes do not lead to the root that the checkpoint signed.
    #[error("its hashes do not lead to the root that the checkpoint names")]
    Root,
}

/// What a checkpoint says.
#[derive(Debug)]
pub(super) struct Checkpoint<'l> {
    pub(super) sealed: Sealed<'l>,
    pub(super) first_seq: u64,
    pub(super) size: u64,
    pub(super) root: Hash,
}

impl<'l> Checkpoint<'l> {
    /// Reads a line, without its line feed.
    pub(super) fn read(line: &'l [u8]) -> Result<Self, NoCheckpoint> {
        let sealed = chain::open(line)?;
        Self::of(sealed)
    }

    /// Reads a sealed record.
    fn of(sealed: Sealed<'l>) -> Result<Self, NoCheckpoint> {
        if sealed.system_kind() != Some(CHECKPOINT) {
            return Err(NoCheckpoint::Kind);
        }
        let event = sealed.event().ok_or(NoCheckpoint::Tree)?;
        let number = |name: &str| event.get(name).and_then(Value::as_u64);
        let root = event.get("tree_root").and_then(Value::as_str);
        let read = || {
            let root = Hash::parse(root?.as_bytes())?;
            Some((number("tree_first_seq")?, number("tree_size")?, root))
        };
        let (first_seq, size, root) = read().ok_or(NoCheckpoint::Tree)?;
        Ok(Self { sealed, first_seq, size, root })
    }

    /// The place of a record among the leaves.
    fn leaf(&self, seq: u64) -> Option<u64> {
        seq.checked_sub(self.first_seq).filter(|at| *at < self.size)
    }
}

/// Proves that a record is in the trail at that path, for a checkpoint that was kept elsewhere, or
/// else the last one in the trail.
///
/// # Errors
/// When there is no such record, or no checkpoint that speaks of it.
pub fn prove_inclusion(
    path: &Path,
    wanted: &Wanted,
    kept: Option<&[u8]>,
) -> Result<Proof, ProveError> {
    let layout = Layout::new(path).ok_or_else(|| ProveError::Path(path.to_owned()))?;
    let mut found: Option<(u64, Vec<u8>)> = None;
    let mut last: Option<Vec<u8>> = None;
    Walk::over(&layout)?.each(|record, line| {
        if is_wanted(wanted, record) {
            found = Some((record.seq, line.to_vec()));
        } else if let Some((seq, _)) = &found
            && Checkpoint::of(*record).is_ok_and(|checkpoint| checkpoint.leaf(*seq).is_some())
        {
            last = Some(line.to_vec());
        }
        Ok(true)
    })?;
    let (seq, record) = found.ok_or(ProveError::NoRecord)?;
    let line = match kept {
        Some(kept) => kept.trim_ascii().to_vec(),
        None => last.ok_or(ProveError::NoCheckpoint)?,
    };
    let checkpoint = Checkpoint::read(&line)?;
    if seq < checkpoint.first_seq {
        return Err(ProveError::Gap(checkpoint.first_seq));
    }
    let leaf = checkpoint.leaf(seq).ok_or(ProveError::NoCheckpoint)?;
    let ranges = path::inclusion(leaf, checkpoint.size);
    let path = hexadecimal(&fold(&layout, &checkpoint, &ranges)?);
    Ok(Proof::Inclusion { record: text(&record), checkpoint: text(&line), path })
}

/// Proves that the later of two checkpoints of the trail at that path speaks of everything that
/// the earlier one does.
///
/// # Errors
/// When there is no such trail, or it lost records in between.
pub fn prove_consistency(path: &Path, one: &[u8], other: &[u8]) -> Result<Proof, ProveError> {
    let layout = Layout::new(path).ok_or_else(|| ProveError::Path(path.to_owned()))?;
    let (mut earlier, mut later) = (one.trim_ascii(), other.trim_ascii());
    if Checkpoint::read(earlier)?.sealed.seq > Checkpoint::read(later)?.sealed.seq {
        std::mem::swap(&mut earlier, &mut later);
    }
    let (old, new) = (Checkpoint::read(earlier)?, Checkpoint::read(later)?);
    if old.first_seq != new.first_seq {
        return Err(ProveError::Gap(new.first_seq));
    }
    let ranges = path::consistency(old.size, new.size);
    let path = hexadecimal(&fold(&layout, &new, &ranges)?);
    Ok(Proof::Consistency { earlier: text(earlier), later: text(later), path })
}

/// The checkpoints in the trail at that path, the oldest first: number and line.
///
/// # Errors
/// When it cannot be read.
pub fn checkpoints(path: &Path) -> Result<Vec<(u64, Vec<u8>)>, ProveError> {
    let layout = Layout::new(path).ok_or_else(|| ProveError::Path(path.to_owned()))?;
    let mut found = Vec::new();
    Walk::over(&layout)?.each(|record, line| {
        if record.system_kind() == Some(CHECKPOINT) {
            found.push((record.seq, line.to_vec()));
        }
        Ok(true)
    })?;
    Ok(found)
}

impl Proof {
    /// Checks it, and says what it shows. Without a trusted key that is what its checkpoints say,
    /// whoever wrote them. A proof has no records that hand over from one key to the next, so whoever
    /// checks one across a change of keys trusts both.
    ///
    /// # Errors
    /// When it shows nothing.
    pub fn check(&self, trusted: &[PublicKey]) -> Result<Shown, ProofError> {
        match self {
            Self::Inclusion { record, checkpoint, path } => {
                let record = chain::open(record.as_bytes()).map_err(ProofError::Record)?;
                let checkpoint = Checkpoint::read(checkpoint.as_bytes())?;
                let public_keys = signed(&checkpoint, trusted)?.into_iter().collect();
                let leaf = checkpoint.leaf(record.seq).ok_or(ProofError::Strange)?;
                if record.trail_id != checkpoint.sealed.trail_id {
                    return Err(ProofError::Strange);
                }
                let hashes = parsed(path)?;
                if !path::includes(record.hash, leaf, checkpoint.size, &hashes, checkpoint.root) {
                    return Err(ProofError::Root);
                }
                let statement = format!(
                    "record {} is in the trail that the checkpoint of record {} speaks of",
                    record.seq, checkpoint.sealed.seq
                );
                Ok(Shown { trail_id: record.trail_id.to_owned(), statement, public_keys })
            }
            Self::Consistency { earlier, later, path } => {
                let earlier = Checkpoint::read(earlier.as_bytes())?;
                let later = Checkpoint::read(later.as_bytes())?;
                let mut public_keys = Vec::new();
                for checkpoint in [&earlier, &later] {
                    let key = signed(checkpoint, trusted)?;
                    public_keys.extend(key.filter(|key| !public_keys.contains(key)));
                }
                let same = earlier.sealed.trail_id == later.sealed.trail_id;
                if !same || earlier.first_seq != later.first_seq {
                    return Err(ProofError::Strange);
                }
                let (old, new) = ((earlier.size, earlier.root), (later.size, later.root));
                if !path::extends(old, new, &parsed(path)?) {
                    return Err(ProofError::Root);
                }
                let statement = format!(
                    "the checkpoint of record {} speaks of everything that the one of record {} \
                     does",
                    later.sealed.seq, earlier.sealed.seq
                );
                let trail_id = later.sealed.trail_id.to_owned();
                Ok(Shown { trail_id, statement, public_keys })
            }
        }
    }
}

/// Which of the trusted keys signed a checkpoint; none if none is trusted.
fn signed(
    checkpoint: &Checkpoint<'_>,
    trusted: &[PublicKey],
) -> Result<Option<PublicKey>, ProofError> {
    let key = trusted.iter().find(|key| checkpoint.sealed.is_signed_by(key));
    if key.is_none() && !trusted.is_empty() {
        return Err(ProofError::Unsigned(checkpoint.sealed.seq));
    }
    Ok(key.copied())
}

fn is_wanted(wanted: &Wanted, record: &Sealed<'_>) -> bool {
    match wanted {
        Wanted::Seq(seq) => record.seq == *seq,
        Wanted::Id(id) => {
            // The writer's own spelling: no other member of this name can stand before it.
            let spelled = format!("\"record_id\":\"{id}\"");
            const HEAD_BYTES: usize = 256;
            let head = record.body.get(..HEAD_BYTES.min(record.body.len())).unwrap_or_default();
            memchr::memmem::find(head, spelled.as_bytes()).is_some()
        }
    }
}

fn hexadecimal(path: &[Hash]) -> Vec<String> {
    path.iter().map(Hash::to_string).collect()
}

fn parsed(path: &[String]) -> Result<Vec<Hash>, ProofError> {
    path.iter().map(|hex| Hash::parse(hex.as_bytes()).ok_or(ProofError::Hash)).collect()
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}
