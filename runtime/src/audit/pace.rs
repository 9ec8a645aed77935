//! When the writer takes what waits.
//!
//! A commit costs about the same for one record as for thirty, and most of that is the processor's
//! time. While a processor is free that is spent for each record at once, and nobody waits for anybody.
//! While operations run on every processor all of them wait for what a commit takes, so it is quicker
//! for all that as many records wait as operations run. Operations may run long, or wait for others:
//! where a record waited for nobody, the next ones do not wait until two have met again.

use std::time::Duration;

/// Batch durability: how long a record waits to be written, at most, in milliseconds.
pub const BATCH_WAIT_MS: u64 = 100;
/// Batch durability: how many records are waited for, at most.
pub const BATCH_RECORDS: usize = 1_000;
/// Strict durability: how long a record waits for others to share its sync, at most, in microseconds.
pub const STRICT_WAIT_US: u64 = 4_000;
/// Strict durability: how many records are waited for, at most.
pub const STRICT_RECORDS_MAX: usize = 64;

/// How many records are waited for, and how long.
#[derive(Debug)]
pub(super) enum Pace {
    /// Whoever reports a record does not wait for it.
    Batch,
    /// Somebody waits for each record.
    Strict {
        /// whether a record waited for others, and none came
        in_vain: bool,
    },
}

impl Pace {
    /// The pace of a trail, strict or in batches.
    pub(super) const fn new(strict: bool) -> Self {
        if strict { Self::Strict { in_vain: false } } else { Self::Batch }
    }

    /// How many records are enough, while so many operations run on so many processors.
    pub(super) fn wanted(&self, running: usize, processors: usize) -> usize {
        match self {
            Self::Batch => BATCH_RECORDS,
            Self::Strict { in_vain } if *in_vain || running < processors => 1,
            Self::Strict { .. } => running.clamp(1, STRICT_RECORDS_MAX),
        }
    }

    /// How long the first record waits for the others.
    pub(super) const fn wait(&self) -> Duration {
        match self {
            Self::Batch => Duration::from_millis(BATCH_WAIT_MS),
            Self::Strict { .. } => Duration::from_micros(STRICT_WAIT_US),
        }
    }

    /// Whether records for which somebody waits hurry the others.
    pub(super) const fn hurries(&self) -> bool {
        matches!(self, Self::Batch)
    }

    /// Learns that so many records were taken, and whether they had waited as long as records do.
    pub(super) const fn took(&mut self, records: usize, waited: bool) {
        if let Self::Strict { in_vain } = self {
            *in_vain = records < 2 && (waited || *in_vain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_while_a_processor_is_free() {
        let pace = Pace::new(true);
        assert_eq!([0, 1, 3].map(|running| pace.wanted(running, 4)), [1, 1, 1]);
    }

    #[test]
    fn as_many_wait_as_run() {
        let pace = Pace::new(true);
        assert_eq!([1, 2, 7].map(|running| pace.wanted(running, 1)), [1, 2, 7]);
        assert_eq!(pace.wanted(1_000, 4), STRICT_RECORDS_MAX);
    }

    #[test]
    fn who_waited_in_vain_waits_no_more_until_two_have_met() {
        let mut pace = Pace::new(true);
        pace.took(1, false);
        assert_eq!(pace.wanted(8, 2), 8);
        pace.took(1, true);
        assert_eq!(pace.wanted(8, 2), 1);
        pace.took(1, false);
        assert_eq!(pace.wanted(8, 2), 1);
        pace.took(2, false);
        assert_eq!(pace.wanted(8, 2), 8);
        pace.took(2, true);
        assert_eq!(pace.wanted(8, 2), 8);
    }

    #[test]
    fn batches_do_not_change() {
        let mut pace = Pace::new(false);
        pace.took(1, true);
        assert_eq!([0, 100].map(|running| pace.wanted(running, 1)), [BATCH_RECORDS; 2]);
        assert!(pace.hurries() && !Pace::new(true).hurries());
    }
}
