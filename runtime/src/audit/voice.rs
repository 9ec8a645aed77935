//! What a trail says about itself: checkpoints, changes of the signing key, tombstones.
//!
//! Each is a `system` record in the chain. With a signing key it is signed over the exact bytes of
//! its line before the signature; since these hold the hash of the record before it, the signature
//! vouches for the whole trail up to there.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::chain::{CHECKPOINT, Chain, Hash, KEY_ROTATION, Sealed, TOMBSTONE};
use super::key::{PublicKey, Signer};
use super::merkle::Tree;
use super::sink::{CheckpointSink, Courier};

/// Records after which a checkpoint is due.
pub const CHECKPOINT_RECORDS: u64 = 1_000;
/// Time after which a checkpoint is due if there are new records, in milliseconds.
pub const CHECKPOINT_MS: u64 = 60_000;

const ROTATION_DOMAIN: &str = "mxcp-audit-key-rotation-v1";

/// Who signs for a trail.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The key that signs.
    pub key: Signer,
    /// The key that signed before, so that it can hand over to this one.
    pub previous: Option<Signer>,
    /// Where checkpoints also go.
    pub sink: Option<Arc<dyn CheckpointSink>>,
}

/// The signing side of a writer.
#[derive(Debug)]
pub(super) struct Voice {
    pub(super) key: Signer,
    previous: Option<Signer>,
    courier: Option<Courier>,
    /// number of the last checkpoint
    last_seq: u64,
    last: Instant,
    every: Duration,
}

impl Voice {
    /// A voice for a trail that ends with record `seq`, which speaks so often while there are new ones.
    pub(super) fn new(signing: Signing, seq: u64, every: Duration) -> io::Result<Self> {
        let Signing { key, previous, sink } = signing;
        let courier = sink.map(Courier::start).transpose()?;
        Ok(Self { key, previous, courier, last_seq: seq, last: Instant::now(), every })
    }

    /// Whether a checkpoint is due for a chain that ends with record `seq`.
    pub(super) fn is_due(&self, seq: u64, closing: bool) -> bool {
        let new = seq.saturating_sub(self.last_seq);
        new >= CHECKPOINT_RECORDS || (new > 0 && (closing || Instant::now() >= self.due()))
    }

    /// When a checkpoint is due if there are new records.
    pub(super) fn due(&self) -> Instant {
        self.last + self.every
    }

    /// What a checkpoint says of everything before it.
    pub(super) fn checkpoint(&self, chain: &Chain, bundle: Option<&str>) -> Value {
        json!({
            "seq": chain.seq,
            "head": chain.head.map(|hash| hash.to_string()),
            "tree_first_seq": chain.tree.first_seq,
            "tree_size": chain.tree.size,
            "tree_root": chain.tree.root().to_string(),
            "bundle": bundle,
            "public_key": self.key.public().to_string(),
        })
    }

    /// Sends a checkpoint that is on disk on to the sink.
    pub(super) fn spoken(&mut self, seq: u64, line: &[u8]) {
        (self.last_seq, self.last) = (seq, Instant::now());
        if let Some(courier) = &self.courier {
            courier.send(line);
        }
    }

    /// What is to be said of the key that signed before, if it was another.
    pub(super) fn rotation(&self, chain: &Chain, before: Option<&str>) -> Option<Value> {
        let new = self.key.public();
        let old = before.filter(|old| **old != new.to_string())?;
        let handover = handover(chain.seq + 1, chain.head, &chain.trail_id, old, &new);
        let previous = self.previous.as_ref().filter(|key| key.public().to_string() == old);
        Some(json!({
            "old_public_key": old,
            "new_public_key": new.to_string(),
            "old_signature": previous.map(|key| key.sign(handover.as_bytes())),
        }))
    }
}

/// What the old key signs when it hands over: the place in the trail and both keys.
fn handover(seq: u64, prev: Option<Hash>, trail_id: &str, old: &str, new: &PublicKey) -> String {
    let prev = prev.map(|hash| hash.to_string()).unwrap_or_default();
    format!("{ROTATION_DOMAIN}\n{trail_id}\n{seq}\n{prev}\n{old}\n{new}\n")
}

/// What a reader who trusts a key learns from a signed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vouched {
    /// Nothing: it is no record that is signed.
    Nothing,
    /// Everything up to it is authentic.
    Here,
    /// The same, and another key is trusted from here on.
    HandedOver(PublicKey),
}

/// Checks a `system` record that must be signed. Before anything by the trusted key was `seen`,
/// another key may have signed: what the trusted one signs later vouches for all of it.
///
/// # Errors
/// In words, when it does not hold.
pub(super) fn check(
    record: &Sealed<'_>,
    before: &Chain,
    trusted: &PublicKey,
    seen: bool,
) -> Result<Vouched, String> {
    let kind = record.system_kind();
    if !matches!(kind, Some(CHECKPOINT | TOMBSTONE | KEY_ROTATION)) {
        return Ok(Vouched::Nothing);
    }
    let event = record.event().ok_or("it says nothing")?;
    if kind == Some(KEY_ROTATION) {
        return rotation(record, &event, before, trusted, seen);
    }
    if !record.is_signed_by(trusted) {
        let claims_trusted = event.get("public_key") == Some(&Value::from(trusted.to_string()));
        if seen || claims_trusted {
            return Err(format!("its signature is not that of the key {trusted}"));
        }
        return Ok(Vouched::Nothing);
    }
    if kind == Some(CHECKPOINT) {
        tree_agrees(&event, &before.tree)?;
    }
    Ok(Vouched::Here)
}

fn rotation(
    record: &Sealed<'_>,
    event: &Value,
    before: &Chain,
    trusted: &PublicKey,
    seen: bool,
) -> Result<Vouched, String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    let new = PublicKey::parse(text("new_public_key")).map_err(|error| error.to_string())?;
    let by_new = record.is_signed_by(&new);
    if new == *trusted && by_new {
        return Ok(Vouched::Here);
    }
    let old = trusted.to_string();
    let handover = handover(record.seq, before.head, record.trail_id, &old, &new);
    if by_new && trusted.verifies(handover.as_bytes(), text("old_signature")) {
        return Ok(Vouched::HandedOver(new));
    }
    if seen || text("old_public_key") == old || new == *trusted {
        return Err(format!("the key {old} did not hand over to the key {new}"));
    }
    Ok(Vouched::Nothing)
}

/// Whether the tree that a checkpoint speaks of is the one over the records before it. One that
/// begins before the records that are left cannot be computed, and its signature speaks alone.
fn tree_agrees(event: &Value, tree: &Tree) -> Result<(), String> {
    let number = |name: &str| event.get(name).and_then(Value::as_u64);
    if number("tree_first_seq") != Some(tree.first_seq) || !tree.is_sound() {
        return Ok(());
    }
    let root = event.get("tree_root").and_then(Value::as_str).unwrap_or_default();
    if number("tree_size") == Some(tree.size) && root == tree.root().to_string() {
        return Ok(());
    }
    Err(format!("its Merkle root is not that of the {} records before it", tree.size))
}
