//! One question for all who wait for the same answer.
//!
//! A hundred requests with a token that nobody has seen yet ask the provider once. An answer belongs
//! to those who waited for it and to nobody after them, so that a failure is not remembered; and to
//! the one token that it is about.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::secret::Digest;

/// Questions that are being asked, by the token that they are about.
#[derive(Debug)]
pub struct Flights<T> {
    open: Mutex<HashMap<Digest, Arc<OnceCell<T>>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

/// The place of one who waits. When the last one leaves, the question is forgotten.
struct Seat<'f, T> {
    flights: &'f Flights<T>,
    token: Digest,
    cell: Arc<OnceCell<T>>,
}

impl<T: Clone> Flights<T> {
    /// What `ask` comes to: asked by whoever is first, for all who come before there is an answer.
    /// Should the first one go away, the next one asks.
    pub async fn join<F: Future<Output = T>>(&self, token: &Digest, ask: impl FnOnce() -> F) -> T {
        let seat = self.seat(token);
        let answer = seat.cell.get_or_init(|| async {
            let answer = ask().await;
            // Whoever comes from now on asks anew.
            self.forget(token, &seat.cell);
            answer
        });
        answer.await.clone()
    }

    /// How many questions are being asked.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn seat(&self, token: &Digest) -> Seat<'_, T> {
        let cell = Arc::clone(self.lock().entry(*token).or_default());
        Seat { flights: self, token: *token, cell }
    }
}

impl<T> Flights<T> {
    fn forget(&self, token: &Digest, cell: &Arc<OnceCell<T>>) {
        let mut open = self.lock();
        if open.get(token).is_some_and(|known| Arc::ptr_eq(known, cell)) {
            open.remove(token);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<OnceCell<T>>>> {
        // Nothing panics while it holds this, and the map is whole at any time.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Seat<'_, T> {
    fn drop(&mut self) {
        let mut open = self.flights.lock();
        // Seats are taken under the same lock: the map and this one are all who have it.
        let is_last = Arc::strong_count(&self.cell) <= 2;
        let known = open.get(&self.token);
        if is_last && known.is_some_and(|known| Arc::ptr_eq(known, &self.cell)) {
            open.remove(&self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Someone who asks, and lets those wait who hold no permit yet.
    struct World {
        flights: Flights<Result<usize, &'static str>>,
        asked: AtomicUsize,
        gate: Semaphore,
    }

    impl World {
        fn new() -> Arc<Self> {
            let (flights, asked) = (Flights::default(), AtomicUsize::new(0));
            Arc::new(Self { flights, asked, gate: Semaphore::new(0) })
        }

        async fn ask(&self, token: &str) -> Result<usize, &'static str> {
            let ask = || async {
                let number = self.asked.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                if number == 0 { Err("not now") } else { Ok(number) }
            };
            self.flights.join(&Digest::of(token), ask).await
        }

        fn spawn(
            self: &Arc<Self>,
            token: &'static str,
        ) -> tokio::task::JoinHandle<Result<usize, &'static str>> {
            let world = Arc::clone(self);
            tokio::spawn(async move { world.ask(token).await })
        }

        /// Waits until this many have asked and all who can have run.
        async fn asked(&self, count: usize) {
            while self.asked.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test]
    async fn a_hundred_ask_once_and_a_failure_ends_with_those_who_waited() {
        let world = World::new();
        let waiting: Vec<_> = (0..100).map(|_| world.spawn("a")).collect();
        world.asked(1).await;
        assert_eq!((world.asked.load(Ordering::SeqCst), world.flights.len()), (1, 1));
        world.gate.add_permits(1);
        for one in waiting {
            assert_eq!(one.await.unwrap(), Err("not now"));
        }
        assert!(world.flights.is_empty());
        world.gate.add_permits(1);
        assert_eq!(world.ask("a").await, Ok(1));
    }

    #[tokio::test]
    async fn each_token_has_a_question_of_its_own() {
        let world = World::new();
        let (a, b) = (world.spawn("a"), world.spawn("b"));
        world.asked(2).await;
        assert_eq!(world.flights.len(), 2);
        world.gate.add_permits(2);
        assert_ne!(a.await.unwrap(), b.await.unwrap());
    }

    #[tokio::test]
    async fn the_next_one_asks_when_the_first_goes_away() {
        let world = World::new();
        let first = world.spawn("a");
        world.asked(1).await;
        let second = world.spawn("a");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        first.abort();
        world.asked(2).await;
        world.gate.add_permits(1);
        assert_eq!(second.await.unwrap(), Ok(1));
        assert!(world.flights.is_empty());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing() {
        let world = World::new();
        for token in ["a", "b", "c"] {
            let one = world.spawn(token);
            world.asked(1).await;
            one.abort();
            one.await.unwrap_err();
        }
        assert!(world.flights.is_empty());
    }
}
