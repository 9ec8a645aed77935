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

use std::cell::OnceCell;

use mxcp_schemas::diagnostic::{Code, Diagnostic};

use crate::analysis::{Condition, Facts, Table, decide};
use crate::endpoint::Compiled;
use crate::policy::{Checked, Stage};

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
    /// what its conditions are about
    pub(crate) facts: Facts<'a>,
    all: OnceCell<Option<Table>>,
    single: OnceCell<Vec<Option<Table>>>,
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
    pub(crate) const fn new(endpoint: &'a Compiled, facts: Facts<'a>) -> Self {
        Self { endpoint, facts, all: OnceCell::new(), single: OnceCell::new() }
    }

    /// Its policies, those of the input first.
    pub(crate) fn policies(&self) -> Vec<(Stage, &'a Checked)> {
        let input = self.endpoint.input.iter().map(|policy| (Stage::Input, policy));
        let output = self.endpoint.output.iter().map(|policy| (Stage::Output, policy));
        input.chain(output).collect()
    }

    /// The conditions of all policies together, in the order of [`Self::policies`].
    pub(crate) fn all(&self) -> Option<&Table> {
        self.all.get_or_init(|| self.decide(&self.policies())).as_ref()
    }

    /// The condition of each policy by itself.
    pub(crate) fn single(&self) -> &[Option<Table>] {
        self.single.get_or_init(|| {
            self.policies().iter().map(|policy| self.decide(std::slice::from_ref(policy))).collect()
        })
    }

    /// Some conditions together.
    pub(crate) fn decide(&self, policies: &[(Stage, &Checked)]) -> Option<Table> {
        let conditions: Vec<Condition<'_>> = policies
            .iter()
            .map(|(_, policy)| Condition { tree: &policy.tree, program: &policy.program })
            .collect();
        decide(&self.facts, &conditions)
    }

    /// Whether a policy takes effect always (`true`) or never (`false`), where that is known.
    pub(crate) fn constant(&self, policy: usize) -> Option<bool> {
        let table = self.single().get(policy)?.as_ref()?;
        let fires = table.answer(0, 0).fires();
        table.find(|world| table.answer(0, world).fires() != fires).is_none().then_some(fires)
    }
}
