//! Hearing what other replicas end.
//!
//! What was found out about a token is used again without asking the database as long as this process
//! would hear of its end. Whenever it may have missed something, a new epoch begins, and everything
//! that was found out before is looked up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator as _;
use tokio::sync::mpsc::UnboundedSender;

use super::base::Notice;
use super::connect::Target;
use super::postgres::told;

/// Milliseconds between two looks at whether the connection still stands.
const HEARTBEAT_MS: u64 = 1_500;
/// Milliseconds that an answer to that may take. With the interval this is how long an end on another
/// replica can stay unheard when a network breaks without a word.
const HEARTBEAT_TIMEOUT_MS: u64 = 1_500;
/// Milliseconds after which a broken connection is tried anew.
const PAUSE_MS: u64 = 500;

/// Whether this process hears of what others end, and since when.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// odd: nothing is heard; even: everything has been heard since it became this number
    epoch: AtomicU64,
    over: AtomicBool,
}

impl Hearing {
    /// The epoch of what is found out now; `None` while nothing is heard.
    pub(super) fn epoch(&self) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::Acquire);
        epoch.is_multiple_of(2).then_some(epoch)
    }

    /// Nobody asks any more.
    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Release);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn hears(&self, does: bool) {
        if self.epoch().is_some() != does {
            self.epoch.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// Listens in a thread of its own until it is told to stop.
pub(super) fn listen(
    target: Target,
    channel: String,
    hearing: Arc<Hearing>,
    notices: UnboundedSender<Notice>,
) -> std::io::Result<()> {
    hearing.hears(false);
    let listen = move || {
        while !hearing.is_over() {
            if let Err(error) = attend(&target, &channel, &hearing, &notices)
                && hearing.epoch().is_some()
            {
                tracing::warn!(
                    error = told(&error),
                    "the session database does not say any more what other replicas end: every call \
                     is looked up there"
                );
            }
            hearing.hears(false);
            thread::sleep(Duration::from_millis(PAUSE_MS));
        }
    };
    thread::Builder::new().name("auth-hearing".to_owned()).spawn(listen).map(drop)
}

/// One connection, until it breaks.
fn attend(
    target: &Target,
    channel: &str,
    hearing: &Hearing,
    notices: &UnboundedSender<Notice>,
) -> Result<(), postgres::Error> {
    let mut client = target.connect()?;
    client.batch_execute(&format!("LISTEN {channel}"))?;
    hearing.hears(true);
    let beat = Duration::from_millis(HEARTBEAT_MS);
    let mut checked = Instant::now();
    while !hearing.is_over() && !client.is_closed() {
        let heard = client.notifications().timeout_iter(beat).next()?;
        if let Some(notice) = heard.and_then(|heard| Notice::of_text(heard.payload()))
            && notices.send(notice).is_err()
        {
            return Ok(());
        }
        if checked.elapsed() >= beat {
            client.is_valid(Duration::from_millis(HEARTBEAT_TIMEOUT_MS))?;
            checked = Instant::now();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_missed_something_begins_anew() {
        let hearing = Hearing::default();
        assert_eq!(hearing.epoch(), Some(0));
        hearing.hears(true);
        assert_eq!(hearing.epoch(), Some(0));
        hearing.hears(false);
        hearing.hears(false);
        assert_eq!(hearing.epoch(), None);
        hearing.hears(true);
        assert_eq!(hearing.epoch(), Some(2));
    }
}
