//! Where checkpoints are written besides the trail, so that whoever cuts the trail's end cannot
//! also cut what vouches for it.

mod http;

use std::fmt::Debug;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

pub use http::HttpSink;

/// Checkpoints that wait for a slow sink; what is beyond is dropped, for a later one covers it.
const WAITING_MAX: usize = 16;
/// How often a checkpoint is tried, at most.
const ATTEMPTS_MAX: u32 = 3;
/// How long to wait between attempts, in milliseconds.
const ATTEMPT_PAUSE_MS: u64 = 500;
/// How long closing waits for the last checkpoints to arrive, in milliseconds.
const LAST_MS: u64 = 6_000;

/// A place that keeps checkpoints.
pub trait CheckpointSink: Debug + Send + Sync {
    /// Keeps one: a line of the trail, line feed included. Returns when it is kept.
    ///
    /// # Errors
    /// When it is not; it is tried again then.
    fn put(&self, line: &[u8]) -> io::Result<()>;
}

/// A file, best on another disk or on one that only appends.
#[derive(Debug, Clone)]
pub struct FileSink(pub PathBuf);

impl CheckpointSink for FileSink {
    fn put(&self, line: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.0)?;
        file.write_all(line)?;
        file.sync_data()
    }
}

/// Hands checkpoints to a sink without waiting for it.
#[derive(Debug)]
pub(super) struct Courier {
    sender: Option<SyncSender<Vec<u8>>>,
    done: Receiver<()>,
}

impl Courier {
    /// Starts a thread for a sink.
    pub(super) fn start(sink: Arc<dyn CheckpointSink>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(WAITING_MAX);
        let (end, done) = mpsc::sync_channel(1);
        std::thread::Builder::new().name("audit-checkpoint".to_owned()).spawn(move || {
            let _end = end;
            for line in &receiver {
                deliver(&*sink, &line);
            }
        })?;
        Ok(Self { sender: Some(sender), done })
    }

    /// Sends a checkpoint on its way.
    pub(super) fn send(&self, line: &[u8]) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(_)) = sender.try_send(line.to_vec()) {
            tracing::warn!("the checkpoint sink is slow; a checkpoint was left out");
        }
    }
}

impl Drop for Courier {
    /// Waits, for a limited time, until what was sent has arrived or was given up.
    fn drop(&mut self) {
        self.sender = None;
        let ended = self.done.recv_timeout(Duration::from_millis(LAST_MS));
        if ended == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                "the checkpoint sink is slow; the last checkpoints may be missing there"
            );
        }
    }
}

fn deliver(sink: &dyn CheckpointSink, line: &[u8]) {
    for attempt in 1..=ATTEMPTS_MAX {
        match sink.put(line) {
            Ok(()) => return,
            Err(error) if attempt == ATTEMPTS_MAX => {
                tracing::error!(%error, "a checkpoint of the audit trail could not be delivered");
            }
            Err(_) => std::thread::sleep(Duration::from_millis(ATTEMPT_PAUSE_MS)),
        }
    }
}
