//! The hash chain: how a line is sealed, and how a sealed line is opened again.
//!
//! The hash covers the exact bytes of the line before it, so nothing has to be brought into a
//! canonical form: whoever checks a line hashes what is there.

use std::fmt;
use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};
use mxcp_schemas::audit::{HASH_FIELD, Seal};
use sha2::{Digest, Sha256};

use super::key::{PublicKey, Signer};
use super::merkle::Tree;

/// What the hash of a record begins with, so that it is the hash of nothing else.
pub const DOMAIN: &[u8] = b"mxcp-audit-record-v1\n";

/// What a signed statement begins with: the line's bytes before its `signature` follow.
const SIGNED_DOMAIN: &[u8] = b"mxcp-audit-signed-v1\n";

/// Kind of the `system` record that a segment begins with after records may have been lost.
pub const GAP: &str = "gap";
/// Kind of the `system` record that reports a torn end.
pub const TORN: &str = "torn";
/// Kind of the `system` record that retention leaves for the records that it deletes.
pub const TOMBSTONE: &str = "tombstone";
/// Kind of the `system` record that a signing key vouches with for everything before it.
pub const CHECKPOINT: &str = "checkpoint";
/// Kind of the `system` record that replaces the signing key.
pub const KEY_ROTATION: &str = "key_rotation";

/// SHA-256 of a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

/// The end of a chain: what the next record continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The trail's identifier.
    pub trail_id: String,
    /// Number of the last record; zero before the first.
    pub seq: u64,
    /// Hash of the last record; none before the first.
    pub head: Option<Hash>,
    /// The Merkle tree over the records since the beginning or the last gap.
    pub tree: Tree,
}

/// What the end of a sealed line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'l> {
    /// The trail that it names.
    pub trail_id: &'l str,
    /// Its number.
    pub seq: u64,
    /// The hash that it continues.
    pub prev: Option<Hash>,
    /// Its signature, if it has one.
    pub signature: Option<&'l str>,
    /// What a signature is over: the line before that member.
    pub signed: &'l [u8],
    /// Its hash, as computed from the line.
    pub hash: Hash,
    /// What was known before it had its place: the line without its seal, a JSON object that
    /// lacks its closing brace.
    pub body: &'l [u8],
}

/// Why a line is not a sealed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It does not end as records do.
    #[error("the line does not end in a record hash")]
    Unsealed,
    /// The bytes are not those that were hashed.
    #[error("the line's bytes do not match its record hash: it was changed")]
    Changed,
    /// The hash fits, yet the members before it are not those of a record.
    #[error("the line's hash is right, but it does not name its place in a trail")]
    Placeless,
}

/// Bytes of `,"record_hash":"…"}`.
const TAIL_BYTES: usize = 82;
/// Bytes in which `,"trail_id":"` must stand before the tail: ids, numbers and a signature.
const SEAL_BYTES_MAX: usize = 1_024;

/// Where a seal begins.
static PLACE: LazyLock<FinderRev<'static>> = LazyLock::new(|| FinderRev::new(",\"trail_id\":\""));
/// What stands before the kind of a `system` record.
static SYSTEM: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"operation_type\":\"system\",\"operation_name\":\""));

impl Chain {
    /// The chain of a trail without records.
    pub const fn new(trail_id: String) -> Self {
        Self { trail_id, seq: 0, head: None, tree: Tree::new(1) }
    }

    /// Finishes the line whose beginning stands in `out` from `start` on, line feed included, and
    /// moves on to it.
    pub fn seal(&mut self, out: &mut Vec<u8>, start: usize, signer: Option<&Signer>) {
        const UNSIGNED: &[u8] = b",\"signature\":null";
        let prev = self.head.map(Hash::hex);
        let seal = Seal {
            trail_id: &self.trail_id,
            seq: self.seq + 1,
            prev_hash: prev.as_ref().map(hex_str),
            signature: None,
        };
        seal.encode(out);
        if let Some(signer) = signer {
            let signed = out.get(start..out.len() - UNSIGNED.len()).unwrap_or_default();
            let signature = signer.sign(&statement(signed));
            out.truncate(out.len() - b"null".len());
            for part in [b"\"", signature.as_bytes(), b"\""] {
                out.extend_from_slice(part);
            }
        }
        let hash = Hash::of(out.get(start..).unwrap_or_default());
        for part in [b",\"", HASH_FIELD.as_bytes(), b"\":\"", &hash.hex(), b"\"}\n"] {
            out.extend_from_slice(part);
        }
        self.seq += 1;
        self.head = Some(hash);
        self.tree.push(hash);
    }

    /// Begins the tree anew with the next record, which is to be a `gap`.
    pub fn restart_tree(&mut self) {
        self.tree = Tree::new(self.seq + 1);
    }

    /// Whether the record comes right after this chain's end.
    pub fn continues_with(&self, record: &Sealed<'_>) -> bool {
        record.trail_id == self.trail_id && record.seq == self.seq + 1 && record.prev == self.head
    }

    /// Moves on to a record.
    pub fn advance(&mut self, record: &Sealed<'_>) {
        if record.seq != self.seq + 1 || record.system_kind() == Some(GAP) {
            self.tree = Tree::new(record.seq);
        }
        self.seq = record.seq;
        self.head = Some(record.hash);
        self.tree.push(record.hash);
    }
}

/// Opens a line (without its line feed) and checks its hash.
///
/// # Errors
/// When it is not a sealed record with the bytes that were sealed.
pub fn open(line: &[u8]) -> Result<Sealed<'_>, Flaw> {
    let covered_bytes = line.len().checked_sub(TAIL_BYTES).ok_or(Flaw::Unsealed)?;
    let (covered, tail) = line.split_at_checked(covered_bytes).ok_or(Flaw::Unsealed)?;
    let digits = tail
        .strip_prefix(b",\"")
        .and_then(|t| t.strip_prefix(HASH_FIELD.as_bytes()))
        .and_then(|t| t.strip_prefix(b"\":\""))
        .and_then(|t| t.strip_suffix(b"\"}"))
        .ok_or(Flaw::Unsealed)?;
    let claimed = Hash::parse(digits).ok_or(Flaw::Unsealed)?;
    let hash = Hash::of(covered);
    if hash != claimed {
        return Err(Flaw::Changed);
    }
    place(covered, hash).ok_or(Flaw::Placeless)
}

/// Reads the members that say where a record stands.
fn place(covered: &[u8], hash: Hash) -> Option<Sealed<'_>> {
    let from = covered.len().saturating_sub(SEAL_BYTES_MAX);
    let end = covered.get(from..)?;
    // A quote within a text is escaped, so the last such sequence is the member itself.
    let at = PLACE.rfind(end)?;
    let body = covered.get(..from + at)?;
    let seal = str::from_utf8(end.get(at..)?).ok()?;
    let rest = seal.strip_prefix(",\"trail_id\":\"")?;
    let (trail_id, rest) = rest.split_once('"')?;
    let rest = rest.strip_prefix(",\"seq\":")?;
    let (seq, rest) = rest.split_once(',')?;
    let rest = rest.strip_prefix("\"prev_hash\":")?;
    let (prev, rest) = if let Some(rest) = rest.strip_prefix("null") {
        (None, rest)
    } else {
        let (digits, rest) = rest.strip_prefix('"')?.split_once('"')?;
        (Some(Hash::parse(digits.as_bytes())?), rest)
    };
    let rest = rest.strip_prefix(",\"signature\":")?;
    let signed = covered.get(..covered.len() - rest.len() - ",\"signature\":".len())?;
    let signature = match rest {
        "null" => None,
        text => Some(text.strip_prefix('"')?.strip_suffix('"')?),
    };
    // The last number there is has no next one.
    let seq = seq.parse().ok().filter(|seq| (1..u64::MAX).contains(seq))?;
    Some(Sealed { trail_id, seq, prev, signature, signed, hash, body })
}

fn statement(signed: &[u8]) -> Vec<u8> {
    [SIGNED_DOMAIN, signed].concat()
}

impl Sealed<'_> {
    /// What a `system` record is about: its `operation_name`. `None` for every other record.
    pub fn system_kind(&self) -> Option<&str> {
        // These members stand before everything that a client can say at length, and a quote that
        // it says is escaped.
        const HEAD_BYTES: usize = 512;
        let head = self.body.get(..HEAD_BYTES.min(self.body.len()))?;
        let at = SYSTEM.find(head)? + SYSTEM.needle().len();
        let rest = head.get(at..)?;
        str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
    }

    /// Whether it has a signature of that key.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.signature.is_some_and(|text| key.verifies(&statement(self.signed), text))
    }

    /// The member `event` of a `system` record.
    pub fn event(&self) -> Option<serde_json::Value> {
        self.read()?.get_mut("event").map(serde_json::Value::take)
    }

    /// The record without its seal, read as JSON.
    pub fn read(&self) -> Option<serde_json::Value> {
        let mut text = self.body.to_vec();
        text.push(b'}');
        serde_json::from_slice(&text).ok()
    }
}

impl Hash {
    /// The hash of a record's bytes.
    fn of(covered: &[u8]) -> Self {
        Self(Sha256::new().chain_update(DOMAIN).chain_update(covered).finalize().into())
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(self) -> [u8; 64] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut hex = [b'0'; 64];
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            let digit = |n: u8| DIGITS.get(usize::from(n)).copied().unwrap_or(b'0');
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        hex
    }

    /// The hash of exactly 64 lower-case hexadecimal digits.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let pairs = hex.as_chunks::<2>();
        if hex.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs.0) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

fn hex_str(hex: &[u8; 64]) -> &str {
    // The bytes are ASCII by construction.
    str::from_utf8(hex).unwrap_or_default()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex_str(&self.hex()))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain() -> Chain {
        Chain::new("t-1".to_owned())
    }

    fn sealed(chain: &mut Chain, body: &str, signer: Option<&Signer>) -> Vec<u8> {
        let mut out = b"before".to_vec();
        out.extend_from_slice(body.as_bytes());
        chain.seal(&mut out, 6, signer);
        assert_eq!(out.pop(), Some(b'\n'));
        out.split_off(6)
    }

    #[test]
    fn a_sealed_line_opens_again() {
        let mut c = chain();
        let body = r#"{"a":",\"trail_id\":\"x","event":{"b":1,"trail_id":"no"}"#;
        let one = sealed(&mut c, body, None);
        let opened = open(&one).unwrap();
        assert_eq!((opened.trail_id, opened.seq, opened.prev), ("t-1", 1, None));
        assert_eq!(opened.body, body.as_bytes());
        assert_eq!(opened.system_kind(), None);
        assert_eq!(opened.read().map(|v| v["event"]["b"].clone()), Some(1.into()));
        let signer = Signer::parse(&"07".repeat(32)).unwrap();
        let two = sealed(&mut c, body, Some(&signer));
        let next = open(&two).unwrap();
        assert_eq!((next.seq, next.prev), (2, Some(opened.hash)));
        assert!(next.is_signed_by(&signer.public()) && !opened.is_signed_by(&signer.public()));
        let mut reader = chain();
        assert!(reader.continues_with(&opened) && !reader.continues_with(&next));
        reader.advance(&opened);
        assert!(reader.continues_with(&next));
        assert!(serde_json::from_slice::<serde_json::Value>(&two).is_ok());
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let line = sealed(&mut chain(), r#"{"a":1"#, None);
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut flipped = line.clone();
                flipped[at] ^= 1 << bit;
                assert!(open(&flipped).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_else_opens(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(&bytes).is_err());
        }

        #[test]
        fn hashes_are_read_as_they_are_written(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(Hash::parse(&Hash(bytes).hex()), Some(Hash(bytes)));
        }
    }
}
