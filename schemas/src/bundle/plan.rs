//! Output plans: what a policy's field action does to a result, as an automaton over paths.
//!
//! A plan is walked beside the value while that is written. Its states are reached by the fields
//! and items passed on the way; `**` is a state that leads back to itself, so a plan of fixed size
//! reaches any depth. Field names are ASCII lower case: SQL columns do not distinguish it. The
//! same type serves enforcement, the published output schema and the search for leaks.

use rkyv::{Archive, Deserialize, Serialize};

/// What becomes of a value. The order is that of strength: of several, the greatest counts.
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub enum Verdict {
    /// It stays (its parts may still be touched).
    Keep,
    /// It becomes [`MASK`], whole.
    Mask,
    /// It is absent; where there is no absence (the whole result) it is null.
    Drop,
}

/// What a masked value becomes.
pub const MASK: &str = "****";

/// A state of a plan, an index into [`Plan::states`].
#[derive(
    Archive, Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
)]
pub struct StateId(pub u32);

/// The state that keeps everything below it: always the first of a plan.
pub const INERT: StateId = StateId(0);

/// One state.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What becomes of a value that is reached in this state.
    pub verdict: Verdict,
    /// Fields with a state of their own, by ASCII lower-case name, sorted.
    pub fields: Vec<(String, StateId)>,
    /// The state of every other field.
    pub other: StateId,
    /// The state of the items of an array.
    pub items: StateId,
    /// What becomes of a value that is neither object nor array nor null although the plan has
    /// something to do below it: it cannot be descended into.
    pub leaf: Verdict,
}

/// What a field action does to a result.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    /// The states; the first is [`INERT`].
    pub states: Vec<State>,
    /// The state of the whole result.
    pub start: StateId,
    /// What it removes or masks, as paths in the author's words, for the audit trail.
    pub paths: Vec<String>,
}

impl Plan {
    /// The plan that keeps everything.
    pub fn inert() -> Self {
        Self { states: vec![State::inert()], start: INERT, paths: Vec::new() }
    }

    /// The state of that number; one that does not exist drops everything, so that a damaged plan
    /// closes.
    pub fn state(&self, id: StateId) -> &State {
        const CLOSED: &State = &State {
            verdict: Verdict::Drop,
            fields: Vec::new(),
            other: StateId(u32::MAX),
            items: StateId(u32::MAX),
            leaf: Verdict::Drop,
        };
        self.states.get(id.0 as usize).unwrap_or(CLOSED)
    }
}

impl State {
    /// The state that keeps everything below it.
    pub const fn inert() -> Self {
        Self {
            verdict: Verdict::Keep,
            fields: Vec::new(),
            other: INERT,
            items: INERT,
            leaf: Verdict::Keep,
        }
    }

    /// The state of a field, whatever the ASCII case of its name.
    pub fn field(&self, name: &str) -> StateId {
        let order = |entry: &(String, StateId)| {
            let folded = name.bytes().map(|b| b.to_ascii_lowercase());
            entry.0.bytes().cmp(folded)
        };
        match self.fields.binary_search_by(order) {
            Ok(found) => self.fields.get(found).map_or(self.other, |(_, state)| *state),
            Err(_) => self.other,
        }
    }
}
