//! Looking on while conditions are evaluated: what `mxcp test --coverage` counts.

use std::fmt::Debug;
use std::sync::atomic::AtomicU8;

use bumpalo::Bump;

use super::{Inputs, Outcome};
use crate::predicate::Predicate;

/// Somebody who is shown each evaluation of a condition, after its outcome is settled and without a
/// way to change it.
pub trait Watch: Debug + Send + Sync {
    /// What the condition read, and what it came to.
    fn saw(&self, inputs: &Inputs<'_>, outcome: &Outcome);
}

impl Predicate {
    /// Shows every evaluation from now on. A condition has one watcher; false if it had one already.
    pub fn watch(&self, watch: Box<dyn Watch>) -> bool {
        self.watch.set(watch).is_ok()
    }

    #[cold]
    pub(super) fn evaluate_watched(
        &self,
        watch: &dyn Watch,
        inputs: &Inputs<'_>,
        memory: &[AtomicU8],
        arena: &Bump,
    ) -> Outcome {
        let outcome = self.outcome(inputs, memory, arena);
        watch.saw(inputs, &outcome);
        outcome
    }
}
