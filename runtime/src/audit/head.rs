//! The sidecar that says where a trail ends, so that a restart notices if its end is gone.
//!
//! It is written after the records it speaks of are on disk and synced at least every second, so
//! it may lag behind the trail and is never ahead of it. It has two slots that are written in
//! turn, each with a hash of its own: a crash while one is written leaves the other.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::{Chain, Hash};
use super::merkle::Tree;
use super::storage::{Storage, StoredFile};

/// Bytes of a slot.
const SLOT_BYTES: usize = 4_096;
const DOMAIN: &[u8] = b"mxcp-audit-head-v1\n";

/// Where a trail ends, or ended when this was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Counts the writings; the greater of two slots is the newer.
    pub written: u64,
    /// The trail.
    pub trail_id: String,
    /// Number of its last record.
    pub seq: u64,
    /// Hash of that record, in hexadecimal.
    pub hash: Option<String>,
    /// The segment that it stands in, and where its line ends there.
    pub segment: Option<String>,
    /// See `segment`.
    pub offset: u64,
    /// Number of the record with which the Merkle tree begins, and the tree's right edge.
    pub tree_first_seq: u64,
    /// See `tree_first_seq`.
    pub tree_edge: Vec<String>,
    /// The public key that signs, in hexadecimal.
    pub key: Option<String>,
}

/// What became of the sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loaded {
    /// There is none.
    Missing,
    /// There is one, and neither of its slots can be read.
    Damaged,
    /// The newer of its readable slots.
    Found(Head),
}

impl Head {
    /// The chain that ends here; `None` if the hashes are none.
    pub(super) fn chain(&self) -> Option<Chain> {
        let parse = |hex: &String| Hash::parse(hex.as_bytes());
        let head = match &self.hash {
            Some(hex) => Some(parse(hex)?),
            None => None,
        };
        let tree = Tree {
            first_seq: self.tree_first_seq,
            size: self.seq.checked_add(1)?.checked_sub(self.tree_first_seq)?,
            edge: self.tree_edge.iter().map(parse).collect::<Option<_>>()?,
        };
        let chain = Chain { trail_id: self.trail_id.clone(), seq: self.seq, head, tree };
        chain.tree.is_sound().then_some(chain)
    }

    fn slot(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec(self)?;
        text.pop();
        let check = check(&text);
        text.extend_from_slice(b",\"check\":\"");
        text.extend_from_slice(&check.hex());
        text.extend_from_slice(b"\"}");
        if text.len() >= SLOT_BYTES {
            return Err(io::Error::other("the head of the trail does not fit into its slot"));
        }
        text.resize(SLOT_BYTES - 1, b' ');
        text.push(b'\n');
        Ok(text)
    }

    fn read(slot: &[u8]) -> Option<Self> {
        let text = slot.trim_ascii_end();
        let (body, tail) = text.split_at_checked(text.len().checked_sub(76)?)?;
        let digits = tail.strip_prefix(b",\"check\":\"")?.strip_suffix(b"\"}")?;
        if Hash::parse(digits)? != check(body) {
            return None;
        }
        let mut whole = body.to_vec();
        whole.push(b'}');
        let head: Self = serde_json::from_slice(&whole).ok()?;
        head.chain().map(|_| head)
    }
}

fn check(text: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update(DOMAIN).chain_update(text).finalize().into())
}

/// Reads the sidecar.
///
/// # Errors
/// When there is a file that cannot be read.
pub(super) fn load(path: &Path) -> io::Result<Loaded> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Missing),
        bytes => bytes?,
    };
    let slots = bytes.chunks(SLOT_BYTES).take(2).filter_map(Head::read);
    Ok(slots.max_by_key(|head| head.written).map_or(Loaded::Damaged, Loaded::Found))
}

/// The sidecar of a trail that is being written.
#[derive(Debug)]
pub(super) struct Sidecar {
    file: Box<dyn StoredFile>,
    written: u64,
    key: Option<String>,
}

impl Sidecar {
    /// Opens or creates it; `last` is what was read from it.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub(super) fn open(storage: &dyn Storage, path: &Path, last: &Loaded) -> io::Result<Self> {
        let (written, key) = match last {
            Loaded::Found(head) => (head.written, head.key.clone()),
            Loaded::Missing | Loaded::Damaged => (0, None),
        };
        Ok(Self { file: storage.open(path)?, written, key })
    }

    /// The key that signs, or that signed last: who writes without one does not make it forgotten.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// From now on names this as the key that signs.
    pub(super) fn set_key(&mut self, key: String) {
        self.key = Some(key);
    }

    /// Notes where the trail ends, into the slot that was not written last.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(
        &mut self,
        chain: &Chain,
        segment: Option<&str>,
        offset: u64,
    ) -> io::Result<()> {
        self.written += 1;
        let head = Head {
            written: self.written,
            trail_id: chain.trail_id.clone(),
            seq: chain.seq,
            hash: chain.head.map(|hash| hash.to_string()),
            segment: segment.map(str::to_owned),
            offset,
            tree_first_seq: chain.tree.first_seq,
            tree_edge: chain.tree.edge.iter().map(Hash::to_string).collect(),
            key: self.key.clone(),
        };
        self.file.write_at(&head.slot()?, (self.written % 2) * SLOT_BYTES as u64)
    }

    /// Returns when what was written is on disk.
    ///
    /// # Errors
    /// When it cannot be brought there.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::storage::Disk;

    fn chain(seq: u64) -> Chain {
        let mut chain = Chain::new("t".to_owned());
        for _ in 0..seq {
            chain.tree.push(Hash([7; 32]));
        }
        Chain { seq, head: Some(Hash([7; 32])), ..chain }
    }

    #[test]
    fn the_newer_slot_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs.head");
        assert_eq!(load(&path).unwrap(), Loaded::Missing);
        let mut sidecar = Sidecar::open(&Disk, &path, &Loaded::Missing).unwrap();
        sidecar.write(&chain(1), None, 10).unwrap();
        sidecar.write(&chain(2), Some("s"), 20).unwrap();
        sidecar.sync().unwrap();
        let Loaded::Found(head) = load(&path).unwrap() else { panic!() };
        assert_eq!((head.seq, head.segment.as_deref(), head.offset), (2, Some("s"), 20));
        assert_eq!(head.chain(), Some(chain(2)));
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let seq = match load(&path).unwrap() {
                Loaded::Found(head) => head.seq,
                other => panic!("byte {at}: {other:?}"),
            };
            let untouched = if at < SLOT_BYTES { 1 } else { 2 };
            assert!(seq == untouched || seq == 2, "byte {at}: {seq}");
        }
        std::fs::write(&path, vec![b' '; 2 * SLOT_BYTES]).unwrap();
        assert_eq!(load(&path).unwrap(), Loaded::Damaged);
    }
}
