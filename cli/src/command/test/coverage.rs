//! Coverage of tests: which policies fired, and which parts of their conditions were seen true and
//! seen false.
//!
//! The calls are those that every test makes, on the same path as the server's. The parts of a condition
//! are conditions of their own in the same bundle, and whoever watches a condition asks its parts with
//! the inputs that the condition itself was given: the same caller, arguments, result and time.

mod parts;
mod report;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bumpalo::Bump;
use mxcp_compiler::Compiled;
use mxcp_policy::interpret::{Inputs, Outcome, Watch};
use mxcp_policy::predicate::Predicate;
use mxcp_schemas::bundle::container::Bundle;
use mxcp_schemas::bundle::definition::{Kind, Policy as Stored};

use crate::exit::Failure;
use crate::local::Local;

use parts::{Conditions, Part, Step};

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    policies: Vec<Policy>,
    /// what the policies came to in the test that runs now, by their order
    now: Arc<Mutex<BTreeMap<usize, Vec<Option<Truth>>>>>,
}

/// A policy, and what it came to so far.
#[derive(Debug)]
struct Policy {
    kind: Kind,
    endpoint: String,
    stage: &'static str,
    name: String,
    action: String,
    line: u32,
    /// its condition as a number of the bundle
    program: usize,
    /// the condition as a whole, then its parts
    parts: Vec<Part>,
    counts: Vec<Counts>,
}

/// In how many tests something was seen.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    holds: u64,
    fails: u64,
    errs: u64,
}

/// What a condition or a part of one came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Error,
}

impl From<&Outcome> for Truth {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::True => Self::True,
            Outcome::False => Self::False,
            Outcome::Error(_) => Self::Error,
        }
    }
}

impl Coverage {
    /// Gives each policy of a bundle a condition of its own, and each condition its parts.
    ///
    /// # Errors
    /// When a condition cannot be taken apart, which is a fault of ours.
    pub(super) fn prepare(bundle: &mut Bundle, compiled: &Compiled) -> Result<Self, Failure> {
        let conditions = Conditions::new(compiled);
        let programs = &mut bundle.predicates.programs;
        let mut policies = Vec::new();
        for endpoint in &mut bundle.endpoints.entries {
            let (kind, identity) = (endpoint.kind, endpoint.identity.clone());
            for (stage, stored) in
                [("input", &mut endpoint.input), ("output", &mut endpoint.output)]
            {
                let environment = conditions.environment(&endpoint.file, stage)?;
                for policy in stored {
                    let parts = parts::add(policy, &environment, programs)?;
                    policies.push(Policy::new(kind, &identity, stage, policy, parts));
                }
            }
        }
        Ok(Self { policies, ..Self::default() })
    }

    /// Looks on from now on.
    pub(super) fn watch(&self, local: &Local) {
        let predicates = local.runtime.machinery().predicates();
        for (index, policy) in self.policies.iter().enumerate() {
            let Some(predicate) = predicates.get(policy.program) else { continue };
            predicate.watch(Box::new(Watcher {
                index,
                parts: policy.parts.clone(),
                predicates: Arc::downgrade(&predicates),
                now: Arc::clone(&self.now),
            }));
        }
    }

    /// Counts what was seen since the last time, which is one test.
    pub(super) fn count(&mut self) {
        let now = std::mem::take(&mut *self.now.lock().unwrap_or_else(PoisonError::into_inner));
        for (index, truths) in now {
            let Some(policy) = self.policies.get_mut(index) else { continue };
            for (count, truth) in policy.counts.iter_mut().zip(truths) {
                match truth {
                    Some(Truth::True) => count.holds += 1,
                    Some(Truth::False) => count.fails += 1,
                    Some(Truth::Error) => count.errs += 1,
                    None => {}
                }
            }
        }
    }
}

impl Policy {
    fn new(
        kind: Kind,
        endpoint: &str,
        stage: &'static str,
        stored: &Stored,
        parts: Vec<Part>,
    ) -> Self {
        Self {
            kind,
            endpoint: endpoint.to_owned(),
            stage,
            name: stored.name.clone(),
            action: stored.action.clone(),
            line: stored.line,
            program: stored.program as usize,
            counts: vec![Counts::default(); parts.len()],
            parts,
        }
    }

    /// What the condition as a whole came to.
    fn whole(&self) -> Counts {
        self.counts.first().copied().unwrap_or_default()
    }
}

impl Counts {
    const fn all(self) -> u64 {
        self.holds + self.fails + self.errs
    }
}

/// Watches one condition.
#[derive(Debug)]
struct Watcher {
    /// its place among the policies
    index: usize,
    parts: Vec<Part>,
    /// all conditions; they hold their watchers, so a watcher does not keep them
    predicates: Weak<[Predicate]>,
    now: Arc<Mutex<BTreeMap<usize, Vec<Option<Truth>>>>>,
}

impl Watch for Watcher {
    fn saw(&self, inputs: &Inputs<'_>, outcome: &Outcome) {
        let Some(predicates) = self.predicates.upgrade() else { return };
        let mut seen = vec![None; self.parts.len()];
        let mut looking =
            Looking { watcher: self, predicates: &predicates, inputs, seen: &mut seen };
        looking.note(0, outcome.into());
        // A condition that errs is evaluated a second time for its message: what is known of this test
        // already is replaced by the same.
        self.now.lock().unwrap_or_else(PoisonError::into_inner).insert(self.index, seen);
    }
}

/// One evaluation that is looked at.
struct Looking<'w> {
    watcher: &'w Watcher,
    predicates: &'w [Predicate],
    inputs: &'w Inputs<'w>,
    seen: &'w mut Vec<Option<Truth>>,
}

impl Looking<'_> {
    /// Asks a part, and those below it that decide.
    fn ask(&mut self, part: usize) -> Option<Truth> {
        let program = self.watcher.parts.get(part)?.program?;
        let predicate = self.predicates.get(program)?;
        let truth = Truth::from(&predicate.evaluate(self.inputs, &Bump::new()));
        self.note(part, truth);
        Some(truth)
    }

    /// Notes what a part came to, and asks those below it, in the order in which they are written and
    /// as far as they matter: what stands behind an operand that settles the whole was not seen.
    fn note(&mut self, part: usize, truth: Truth) {
        if let Some(seen) = self.seen.get_mut(part) {
            *seen = Some(truth);
        }
        let Some(Part { step, .. }) = self.watcher.parts.get(part) else { return };
        match step {
            Step::Leaf => {}
            Step::Not(operand) => {
                self.ask(*operand);
            }
            Step::All(operands) => self.until(operands, Truth::False),
            Step::Any(operands) => self.until(operands, Truth::True),
            Step::Choice { condition, yes, no } => match self.ask(*condition) {
                Some(Truth::True) => {
                    self.ask(*yes);
                }
                Some(Truth::False) => {
                    self.ask(*no);
                }
                Some(Truth::Error) | None => {}
            },
        }
    }

    fn until(&mut self, operands: &[usize], settles: Truth) {
        for operand in operands {
            if self.ask(*operand) == Some(settles) {
                return;
            }
        }
    }
}
