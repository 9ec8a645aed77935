//! Admission: how many calls run at once, and how many a caller may make.
//!
//! Nothing waits here. A call beyond a limit is refused at once, so there is no queue that a flood
//! could fill.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Limits;

/// Counts the calls of a server.
#[derive(Debug)]
pub struct Gate {
    running: Arc<AtomicU64>,
    max_running: u64,
    max_per_principal: u64,
    max_per_second: u64,
}

/// Counts the calls of one caller.
#[derive(Debug, Default)]
pub struct Meter {
    running: AtomicU64,
    bucket: Mutex<Option<Bucket>>,
}

/// Tokens that refill with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Leave to run one call; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    server: Arc<AtomicU64>,
    caller: Arc<Meter>,
}

/// A call beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// The server runs as many calls as it may.
    #[error("the server runs as many calls as it may (`max_concurrent_calls`); try again later")]
    Server,
    /// The caller has as many calls running as it may.
    #[error("this caller has as many calls running as it may (`max_calls_per_principal`)")]
    Principal,
    /// The caller calls too often.
    #[error("this caller calls more often than it may (`max_calls_per_second`)")]
    Rate(Duration),
}

impl Gate {
    /// A gate with the limits of a server.
    pub fn new(limits: &Limits) -> Self {
        Self {
            running: Arc::default(),
            max_running: limits.max_concurrent_calls,
            max_per_principal: limits.max_calls_per_principal,
            max_per_second: limits.max_calls_per_second,
        }
    }

    /// Lets a call of a caller in.
    ///
    /// # Errors
    /// When it goes beyond a limit.
    pub fn enter(&self, meter: &Arc<Meter>, now: Instant) -> Result<Permit, Busy> {
        if !take(&self.running, self.max_running) {
            return Err(Busy::Server);
        }
        if !take(&meter.running, self.max_per_principal) {
            self.running.fetch_sub(1, Ordering::AcqRel);
            return Err(Busy::Principal);
        }
        let permit = Permit { server: Arc::clone(&self.running), caller: Arc::clone(meter) };
        match meter.spend(self.max_per_second, now) {
            None => Ok(permit),
            Some(wait) => Err(Busy::Rate(wait)),
        }
    }

    /// How many calls run now.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Acquire)
    }
}

impl Meter {
    /// Takes a token; if there is none, says after what time there will be one.
    fn spend(&self, per_second: u64, now: Instant) -> Option<Duration> {
        // Exact up to 2^53, far beyond any rate of calls.
        #[expect(clippy::cast_precision_loss, reason = "a rate beyond 2^53 is no limit")]
        let rate = per_second as f64;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let last = bucket.unwrap_or(Bucket { tokens: rate, at: now });
        let earned = now.saturating_duration_since(last.at).as_secs_f64() * rate;
        let tokens = (last.tokens + earned).min(rate);
        let at = last.at.max(now);
        if tokens >= 1.0 {
            *bucket = Some(Bucket { tokens: tokens - 1.0, at });
            return None;
        }
        *bucket = Some(Bucket { tokens, at });
        let wait = if rate > 0.0 { (1.0 - tokens) / rate } else { f64::MAX };
        Some(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }
}

/// Counts one up, unless the counter stands at its limit; whether it did.
fn take(counter: &AtomicU64, max: u64) -> bool {
    let next = |count| if count < max { Some(count + 1) } else { None };
    counter.try_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.server.fetch_sub(1, Ordering::AcqRel);
        self.caller.running.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(running: u64, per_principal: u64, per_second: u64) -> Gate {
        Gate::new(&Limits {
            max_concurrent_calls: running,
            max_calls_per_principal: per_principal,
            max_calls_per_second: per_second,
            ..Limits::default()
        })
    }

    #[test]
    fn permits_are_given_back() {
        let (gate, ada, bob) = (gate(3, 2, 100), Arc::default(), Arc::default());
        let now = Instant::now();
        let first = gate.enter(&ada, now).unwrap();
        let _second = gate.enter(&ada, now).unwrap();
        assert_eq!(gate.enter(&ada, now).unwrap_err(), Busy::Principal);
        let _third = gate.enter(&bob, now).unwrap();
        assert_eq!(gate.enter(&bob, now).unwrap_err(), Busy::Server);
        assert_eq!(gate.running(), 3);
        drop(first);
        assert_eq!(gate.running(), 2);
        assert!(gate.enter(&ada, now).is_ok());
    }

    #[test]
    fn tokens_refill_with_time() {
        let (gate, ada) = (gate(100, 100, 2), Arc::default());
        let start = Instant::now();
        assert!(gate.enter(&ada, start).is_ok());
        assert!(gate.enter(&ada, start).is_ok());
        let Err(Busy::Rate(wait)) = gate.enter(&ada, start) else { panic!("let in") };
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(gate.running(), 0);
        assert!(gate.enter(&ada, start + wait).is_ok());
        assert!(gate.enter(&ada, start + wait).is_err());
        let later = start + Duration::from_hours(1);
        assert!(gate.enter(&ada, later).is_ok());
        assert!(gate.enter(&ada, later).is_ok());
        assert!(gate.enter(&ada, later).is_err());
    }

    #[test]
    fn a_rate_of_zero_lets_nobody_in() {
        let gate = gate(1, 1, 0);
        let refused = gate.enter(&Arc::default(), Instant::now());
        assert_eq!(refused.unwrap_err(), Busy::Rate(Duration::MAX));
    }
}
