//! The audit trail: a durable, tamper-evident record of every operation.
//!
//! A [`Trail`] is open while a server runs. Whoever serves an operation makes a [`CallId`] when it
//! begins and appends one record when it ends; the reply is made from the [`AuditReceipt`] that
//! this gives. Under strict durability the receipt exists when the record is on disk; an operation
//! whose record cannot be written is answered with an error.
//!
//! On disk a trail is a row of segments of JSON lines, chained by hashes ([`chain`]), with a
//! sidecar that says where it ended.

pub mod auth;
pub mod call;
pub mod chain;
mod head;
mod health;
mod key;
mod lines;
mod lone;
mod merkle;
mod pace;
pub mod proof;
pub mod query;
mod queue;
mod recover;
pub mod redact;
mod refusal;
pub mod retention;
pub mod segment;
pub mod settings;
mod sink;
mod storage;
#[cfg(test)]
mod tests;
mod trail;
pub mod verify;
mod voice;
mod writer;

pub use auth::{AuthEvent, AuthStep};
pub use call::CallId;
pub use health::{Health, METRICS, Metric};
pub use key::{KeyError, PublicKey, Signer};
pub use lone::{Expected, Lone};
pub use pace::{BATCH_RECORDS, BATCH_WAIT_MS, STRICT_RECORDS_MAX, STRICT_WAIT_US};
pub use queue::{AppendError, QUEUE_BYTES_MAX, QUEUE_RECORDS_MAX};
pub use refusal::{REFUSAL_SUMS_MAX, Refusal};
pub use settings::{Settings, SettingsError, settings};
pub use sink::{CheckpointSink, FileSink, HttpSink};
pub use trail::{
    AuditReceipt, COMMIT_DEADLINE_MS, Config, Durability, IntentReceipt, OpenError, SEGMENT_BYTES,
    Trail, is_being_written, signed_by,
};
pub use voice::{CHECKPOINT_MS, CHECKPOINT_RECORDS, Signing};
