//! When the writer takes what waits.
//!
//! A commit costs about the same for one record as for thirty, and most of that is the processor's
//! time, so where many calls are under way it is cheaper for all of them that the next records are
//! waited for. How many come is learnt from those that came: a lone caller never waits for anybody,
//! and nobody waits for more than have come of late.

use std::time::Duration;

/// Batch durability: how long a record waits to be written, at most, in milliseconds.
pub const BATCH_WAIT_MS: u64 = 100;
/// Batch durability: how many records are waited for, at most.
pub const BATCH_RECORDS: usize = 1_000;
/// Strict durability: how long a record waits for others to share its sync, at most, in microseconds.
pub const STRICT_WAIT_US: u64 = 4_000;
/// Strict durability: how many records are waited for, at most.
pub const STRICT_RECORDS_MAX: usize = 64;
/// So many more full commits must have kept others waiting than have not, until more records are
/// waited for.
const CROWDED_COMMITS: u32 = 4;

/// How many records are waited for, and how long.
#[derive(Debug)]
pub(super) enum Pace {
    /// Whoever reports a record does not wait for it.
    Batch,
    /// Somebody waits for each record.
    Strict(Gather),
}

/// How many records share a sync.
#[derive(Debug)]
pub(super) struct Gather {
    wanted: usize,
    /// how many more commits kept others waiting than did not
    crowded: u32,
}

impl Pace {
    /// The pace of a trail, strict or in batches.
    pub(super) fn new(strict: bool) -> Self {
        if strict { Self::Strict(Gather::default()) } else { Self::Batch }
    }

    /// How many records are enough.
    pub(super) const fn wanted(&self) -> usize {
        match self {
            Self::Batch => BATCH_RECORDS,
            Self::Strict(gather) => gather.wanted,
        }
    }

    /// How long the first record waits for the others.
    pub(super) const fn wait(&self) -> Duration {
        match self {
            Self::Batch => Duration::from_millis(BATCH_WAIT_MS),
            Self::Strict(_) => Duration::from_micros(STRICT_WAIT_US),
        }
    }

    /// Whether records for which somebody waits hurry the others.
    pub(super) const fn hurries(&self) -> bool {
        matches!(self, Self::Batch)
    }

    /// Whether nobody but a single caller has come of late, who waits for the disk.
    pub(super) const fn is_lone(&self) -> bool {
        matches!(self, Self::Strict(Gather { wanted: 1, crowded: 0 }))
    }

    /// Learns from a commit: how many records it takes, and how many others had come by the time
    /// that a commit ended.
    pub(super) fn took(&mut self, records: usize, meanwhile: usize) {
        if let Self::Strict(gather) = self {
            gather.took(records, meanwhile);
        }
    }
}

impl Default for Gather {
    fn default() -> Self {
        Self { wanted: 1, crowded: 0 }
    }
}

impl Gather {
    fn took(&mut self, records: usize, meanwhile: usize) {
        if records < self.wanted {
            // These are all that come in the time.
            *self = Self { wanted: records.max(1), crowded: 0 };
        } else if meanwhile == 0 {
            self.crowded = self.crowded.saturating_sub(1);
        } else {
            self.crowded += 1;
            if self.crowded == CROWDED_COMMITS {
                let wanted = self.wanted + self.wanted.div_ceil(2);
                *self = Self { wanted: wanted.min(STRICT_RECORDS_MAX), crowded: 0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pace: &mut Pace, commits: u32, records: usize, meanwhile: usize) -> usize {
        (0..commits).for_each(|_| pace.took(records, meanwhile));
        pace.wanted()
    }

    #[test]
    fn a_lone_caller_never_waits() {
        assert_eq!(wanted(&mut Pace::new(true), 1_000, 1, 0), 1);
    }

    #[test]
    fn a_caller_is_alone_as_long_as_nobody_else_comes() {
        let mut pace = Pace::new(true);
        assert!(pace.is_lone());
        wanted(&mut pace, 2, 1, 1);
        wanted(&mut pace, 1, 1, 0);
        assert!(!pace.is_lone());
        wanted(&mut pace, 1, 1, 0);
        assert!(pace.is_lone());
        wanted(&mut pace, CROWDED_COMMITS, 1, 1);
        wanted(&mut pace, 100, 2, 0);
        assert!(!pace.is_lone(), "two come together");
        assert!(!Pace::new(false).is_lone());
    }

    #[test]
    fn as_many_are_waited_for_as_come() {
        let mut pace = Pace::new(true);
        assert_eq!(wanted(&mut pace, CROWDED_COMMITS - 1, 1, 1), 1);
        assert_eq!(wanted(&mut pace, 1, 1, 1), 2);
        assert_eq!(wanted(&mut pace, CROWDED_COMMITS, 2, 1), 3);
        // A full commit that kept nobody waiting asks for no more.
        assert_eq!(wanted(&mut pace, 100, 3, 0), 3);
        assert_eq!(wanted(&mut pace, 1, 2, 1), 2);
        assert_eq!(wanted(&mut pace, 1, 0, 0), 1);
        assert_eq!(wanted(&mut pace, 1_000, 10_000, 9_000), STRICT_RECORDS_MAX);
    }

    #[test]
    fn batches_do_not_change() {
        let mut pace = Pace::new(false);
        assert_eq!(wanted(&mut pace, 100, 3, 3), BATCH_RECORDS);
        assert!(pace.hurries() && !Pace::new(true).hurries());
    }
}
