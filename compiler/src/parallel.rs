//! The same work on many things, on all processors, with the results in order.

use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Fewest things for which a second thread is worth its start.
const MIN_PER_THREAD: usize = 16;
/// Most threads.
const MAX_THREADS: usize = 16;
/// What a thread has for recursion: as much as a main thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Applies a function to each thing. Threads that cannot be had are done without.
pub(crate) fn map<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let helpers = processors.min(things.len() / MIN_PER_THREAD).saturating_sub(1);
    let queue = Mutex::new(things.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let take = || {
        let mut done = Vec::new();
        while let Some((index, thing)) = next() {
            done.push((index, work(thing)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let begin =
            |_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, take).ok();
        let begun: Vec<_> = (0..helpers).filter_map(begin).collect();
        let mut done = take();
        for thread in begun {
            match thread.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_things() {
        for count in [0, 1, 15, 16, 1_000] {
            let doubled = map((0..count).collect(), |thing: usize| thing * 2);
            assert_eq!(doubled, (0..count).map(|thing| thing * 2).collect::<Vec<_>>());
        }
    }
}
