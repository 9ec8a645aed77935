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
}
