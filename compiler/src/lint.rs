//! Lints: what is suspicious about policies although it compiles.
//!
//! A lint is one file and one line of the registry. Lints about one endpoint are in [`LINTS`]; those
//! that compare endpoints are in [`PROJECT_LINTS`]. The examples on a lint's page are its tests: what is marked
//! `# wrong` is reported, what is marked `# right` is not.

mod anonymous_only;
mod constant;
mod contradictory;
mod duplicate;
mod exposed;
mod look_alike;
mod no_input_policy;
mod no_reason;
mod shadowed;
mod unknown_literal;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use mxcp_schemas::diagnostic::{Code, Diagnostic};

use crate::analysis::{Condition, Facts, Question, Table, decide};
use crate::endpoint::Compiled;
use crate::policy::{Checked, Read, Stage};

pub(crate) use unknown_literal::{Word, words};

/// A lint about one endpoint.
pub struct Lint {
    /// its code
    pub code: &'static Code,
    /// looks at an endpoint
    pub(crate) check: fn(&Subject<'_>) -> Vec<Diagnostic>,
}

/// What a lint looks at.
pub(crate) struct Subject<'a> {
    /// the endpoint, as far as it compiled
    pub(crate) endpoint: &'a Compiled,
    /// the conditions of its policies, in the order of [`Self::policies`]
    pub(crate) conditions: &'a [Read],
    /// what its conditions are about
    pub(crate) facts: Facts<'a>,
    table: OnceCell<Table>,
    /// those of some policies alone, by the places of these
    apart: RefCell<HashMap<Vec<usize>, Rc<Table>>>,
}

/// The lints, sorted by name.
pub static LINTS: &[&Lint] = &[
    &anonymous_only::LINT,
    &constant::LINT,
    &contradictory::LINT,
    &duplicate::LINT,
    &exposed::LINT,
    &look_alike::LINT,
    &no_reason::LINT,
    &shadowed::LINT,
];

/// A lint that compares the endpoints of a project.
pub struct ProjectLint {
    /// its code
    pub code: &'static Code,
    /// looks at all of them together
    pub(crate) check: fn(&[Compiled], &Known) -> Vec<Diagnostic>,
}

/// The lints about projects, sorted by name.
pub static PROJECT_LINTS: &[&ProjectLint] = &[&no_input_policy::LINT, &unknown_literal::LINT];

/// The words that something can produce, by attribute of `user`; an attribute of which nothing is known
/// is not there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(pub(crate) Vec<(&'static str, Vec<String>)>);

impl<'a> Subject<'a> {
    /// An endpoint, about which nothing was decided yet.
    pub(crate) fn new(endpoint: &'a Compiled, conditions: &'a [Read], facts: Facts<'a>) -> Self {
        Self { endpoint, conditions, facts, table: OnceCell::new(), apart: RefCell::default() }
    }

    /// Its policies, those of the input first.
    pub(crate) fn policies(&self) -> Vec<(Stage, &'a Checked)> {
        let input = self.endpoint.input.iter().map(|policy| (Stage::Input, policy));
        let output = self.endpoint.output.iter().map(|policy| (Stage::Output, policy));
        input.chain(output).collect()
    }

    /// Asks about the conditions of some policies, by their places in [`Self::policies`]. What is
    /// asked about one at a time has a small world even where all of them together have none.
    pub(crate) fn ask<T>(
        &self,
        policies: &[usize],
        answer: impl Fn(Question<'_>) -> Option<T>,
    ) -> Option<T> {
        let all = self.policies().into_iter().zip(self.conditions);
        let all: Vec<Condition<'_>> = all
            .map(|((_, policy), read)| Condition { tree: &read.tree, program: &policy.program })
            .collect();
        let table = self.table.get_or_init(|| decide(&self.facts, &all));
        let together = table.question(policies).and_then(&answer);
        if together.is_some() || table.is_hopeless(policies) {
            return together;
        }
        // Lints ask about the same ones again and again.
        let known = self.apart.borrow().get(policies).map(Rc::clone);
        let own = known.unwrap_or_else(|| {
            let asked: Vec<Condition<'_>> =
                policies.iter().filter_map(|at| all.get(*at)).copied().collect();
            let own = Rc::new(decide(&self.facts, &asked));
            self.apart.borrow_mut().insert(policies.to_vec(), Rc::clone(&own));
            own
        });
        let places: Vec<usize> = (0..policies.len()).collect();
        own.question(&places).and_then(answer)
    }

    /// Whether a policy takes effect always (`true`) or never (`false`), where that is known.
    pub(crate) fn constant(&self, policy: usize) -> Option<bool> {
        self.ask(&[policy], |question| Some(question.always(0))).flatten()
    }
}
