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
    /// Looks at the secret that an address presents, and counts it where it is wrong. Guesses that come
    /// at once are looked at one after the other, so none slips past the limit.
    ///
    /// # Errors
    /// When the secret is wrong, or when too many were before it.
    pub(super) fn look(
        &self,
        guesser: &str,
        now: i64,
        secret: impl FnOnce() -> Result<(), OAuthError>,
    ) -> Result<(), OAuthError> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = if counts.contains_key(guesser) { guesser } else { "" };
        if counts.get(key).is_some_and(|count| count.wrong >= GUESSES_MAX && !count.is_over(now)) {
            let text = "too many wrong client secrets came from this address; try again later";
            return Err(OAuthError::too_many(text, WINDOW_S.unsigned_abs()));
        }
        let looked = secret();
        if looked.is_err() {
            count(&mut counts, guesser, now);
        }
        looked
    }
}

/// Counts a wrong secret.
fn count(counts: &mut HashMap<String, Count>, guesser: &str, now: i64) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(guesses: &Guesses, guesser: &str, now: i64) -> u16 {
        let no = || Err(OAuthError::invalid_client("no"));
        guesses.look(guesser, now, no).unwrap_err().status
    }

    fn right(guesses: &Guesses, guesser: &str, now: i64) -> u16 {
        guesses.look(guesser, now, || Ok(())).map_or_else(|refused| refused.status, |()| 200)
    }

    #[test]
    fn whoever_guesses_waits_and_nobody_else() {
        let guesses = Guesses::default();
        for _ in 0..GUESSES_MAX {
            assert_eq!(right(&guesses, "a", 0), 200);
            assert_eq!(wrong(&guesses, "a", 0), 401);
        }
        assert_eq!(right(&guesses, "a", WINDOW_S - 1), 429);
        assert_eq!(right(&guesses, "b", 0), 200);
        assert_eq!(right(&guesses, "a", WINDOW_S), 200);
        assert_eq!(wrong(&guesses, "a", WINDOW_S), 401);
        assert_eq!(right(&guesses, "a", WINDOW_S), 200);
    }

    #[test]
    fn guesses_at_once_are_as_many_as_guesses_one_by_one() {
        let guesses = Guesses::default();
        // Long enough for all to be at it at once, if they could.
        let slow = || {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Err(OAuthError::invalid_client("no"))
        };
        let is_looked_at = |_: &usize| guesses.look("a", 0, slow).unwrap_err().status == 401;
        let looked_at = std::thread::scope(|scope| {
            let guess = || (0..100).filter(is_looked_at).count();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(guess)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
        });
        assert_eq!(looked_at, GUESSES_MAX as usize);
    }

    #[test]
    fn there_is_a_limit_and_nobody_gets_around_it() {
        let guesses = Guesses::default();
        for i in 0..ADDRESSES_MAX + 100 {
            wrong(&guesses, &format!("a{i}"), 0);
        }
        assert_eq!(guesses.0.lock().unwrap().len(), ADDRESSES_MAX + 1);
        assert_eq!(right(&guesses, "stranger", 0), 429);
        assert_eq!(right(&guesses, "a7", 0), 200);
        assert_eq!(right(&guesses, "stranger", WINDOW_S), 200);
    }
}
