//! What policies do when their condition is true, or when it errs.
//!
//! An action is one file and one line of the registry. The compiler asks it what it needs and
//! makes its plan; the runtime asks whether it refuses the call.

mod deny;
mod filter_fields;
mod filter_sensitive_fields;
mod mask_fields;

use mxcp_schemas::bundle::definition::{TypeId, Types};
use mxcp_schemas::bundle::plan::Plan;

use crate::plan::{FieldPath, TooManyStates};

/// The actions, sorted by name.
pub static ACTIONS: &[&Action] = &[
    &deny::ACTION,
    &filter_fields::ACTION,
    &filter_sensitive_fields::ACTION,
    &mask_fields::ACTION,
];

/// The action of that name.
pub fn find(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| action.name == name).copied()
}

/// An action of a policy.
#[derive(Debug)]
pub struct Action {
    /// The word in a definition.
    pub name: &'static str,
    /// What it does, one line of Markdown.
    pub doc: &'static str,
    /// Whether it may stand among input policies; every action may stand among output policies.
    pub on_input: bool,
    /// Whether it needs `fields`.
    pub takes_fields: bool,
    /// What it does to a call or its result.
    pub effect: Effect,
    /// Definitions with a result before and after; they run as tests.
    pub examples: &'static [Example],
}

/// What an action does.
#[derive(Debug, Clone, Copy)]
pub enum Effect {
    /// The call is refused.
    Refuse,
    /// The result is changed by the plan that this makes.
    Change(fn(&Subject<'_>) -> Result<Plan, PlanError>),
}

/// What a field action is made for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// the parsed `fields`
    pub fields: &'a [FieldPath],
    /// all declared types
    pub types: &'a Types,
    /// the declared result
    pub result: Option<TypeId>,
}

/// Why a field action has no plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The action acts on `sensitive` marks and there are none.
    #[error("`return` marks nothing `sensitive: true`")]
    NothingSensitive,
    /// See [`TooManyStates`].
    #[error(transparent)]
    TooManyStates(#[from] TooManyStates),
}

/// A result before and after a field action, as JSON.
#[derive(Debug)]
pub struct Example {
    /// the entries of `fields`
    pub fields: &'static [&'static str],
    /// the result as executed
    pub before: &'static str,
    /// the result as it leaves
    pub after: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::apply;

    #[test]
    fn the_registry_is_sorted() {
        assert!(ACTIONS.is_sorted_by_key(|action| action.name));
        assert!(ACTIONS.iter().all(|action| find(action.name).is_some()));
    }

    #[test]
    fn the_examples_are_true() {
        for action in ACTIONS {
            let Effect::Change(make) = action.effect else { continue };
            for example in action.examples {
                let fields: Vec<FieldPath> =
                    example.fields.iter().map(|f| FieldPath::parse(f).unwrap()).collect();
                let (types, result) = filter_sensitive_fields::example_types();
                let subject = Subject { fields: &fields, types: &types, result: Some(result) };
                let plan = make(&subject).unwrap();
                let mut value: serde_json::Value = serde_json::from_str(example.before).unwrap();
                apply(&plan, &mut value);
                let after: serde_json::Value = serde_json::from_str(example.after).unwrap();
                assert_eq!(value, after, "{}: {}", action.name, example.before);
            }
        }
    }
}
