//! Wrong secrets of each client, counted by where they come from: whoever guesses has to wait (RFC 6749
//! §2.3.1).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::reply::OAuthError;

/// Wrong secrets of one client from one address within [`WINDOW_S`]; beyond them none is looked at.
const GUESSES_MAX: u32 = 10;
/// Seconds for which they are counted.
const WINDOW_S: i64 = 60;
/// Addresses and clients that are counted; beyond them all others are counted as one.
const ADDRESSES_MAX: usize = 10_000;

/// The guesses of each address at each client.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<String, Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    since: i64,
}

impl Count {
    const fn is_over(self, now: i64) -> bool {
        now.saturating_sub(self.since) >= WINDOW_S
    }
}

impl Guesses {
    /// Checks that an address may present a secret.
    ///
    /// # Errors
    /// When it has presented too many wrong ones.
    pub(super) fn may_try(&self, guesser: &str, now: i64) -> Result<(), OAuthError> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if counts.contains_key(guesser) { guesser } else { "" };
        match counts.get(key).filter(|count| count.wrong >= GUESSES_MAX && !count.is_over(now)) {
            None => Ok(()),
            Some(_) => {
                let text = "too many wrong client secrets came from this address; try again later";
                Err(OAuthError::too_many(text, WINDOW_S.unsigned_abs()))
            }
        }
    }

    /// Counts a wrong secret.
    pub(super) fn wrong(&self, guesser: &str, now: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(guesser) {
            counts.retain(|_, count| !count.is_over(now));
        }
        let has_room = counts.len() < ADDRESSES_MAX || counts.contains_key(guesser);
        let key = if has_room { guesser } else { "" };
        let count = counts.entry(key.to_owned()).or_insert(Count { wrong: 0, since: now });
        if count.is_over(now) {
            *count = Count { wrong: 0, since: now };
        }
        count.wrong += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_guesses_waits_and_nobody_else() {
        let guesses = Guesses::default();
        for _ in 0..GUESSES_MAX {
            assert!(guesses.may_try("a", 0).is_ok());
            guesses.wrong("a", 0);
        }
        assert_eq!(guesses.may_try("a", WINDOW_S - 1).unwrap_err().status, 429);
        assert!(guesses.may_try("b", 0).is_ok());
        assert!(guesses.may_try("a", WINDOW_S).is_ok());
        guesses.wrong("a", WINDOW_S);
        assert!(guesses.may_try("a", WINDOW_S).is_ok());
    }

    #[test]
    fn there_is_a_limit_and_nobody_gets_around_it() {
        let guesses = Guesses::default();
        for i in 0..ADDRESSES_MAX + 100 {
            guesses.wrong(&format!("a{i}"), 0);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), ADDRESSES_MAX + 1);
        assert_eq!(guesses.may_try("stranger", 0).unwrap_err().status, 429);
        assert!(guesses.may_try("a7", 0).is_ok());
        assert!(guesses.may_try("stranger", WINDOW_S).is_ok());
    }
}
