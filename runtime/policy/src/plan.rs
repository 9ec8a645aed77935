//! Building, joining and applying output plans.
//!
//! [`mxcp_schemas::bundle::plan`] says what a plan is. Here one is made from the paths of a field
//! action or from the `sensitive` marks of a declared result, several are joined into one that is
//! at least as strict as each, and one is applied to a JSON value.

pub mod path;
mod paths;
mod sensitive;

use std::collections::HashMap;

use mxcp_schemas::bundle::plan::{INERT, MASK, Plan, State, StateId, Verdict};
use serde_json::Value;

pub use path::{FieldPath, PathError, Segment};
pub use paths::from_paths;
pub use sensitive::from_sensitive;

/// How many states a plan may have; more is an error at build, and closes at run time.
pub const MAX_PLAN_STATES: usize = 4_096;

/// A plan would need more than [`MAX_PLAN_STATES`] states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the field paths together need more than {MAX_PLAN_STATES} states; use fewer `**` paths")]
pub struct TooManyStates;

/// The plan whose verdict on every path is the strongest of those of `plans`.
///
/// # Errors
/// When the joint plan is too large. The caller then drops the whole result.
pub fn join(plans: &[&Plan]) -> Result<Plan, TooManyStates> {
    match plans {
        [] => Ok(Plan::inert()),
        [one] => Ok((*one).clone()),
        _ => Joint::new(plans).run(),
    }
}

/// Applies a plan to a value that is already in memory.
pub fn apply(plan: &Plan, value: &mut Value) {
    if apply_at(plan, plan.start, value) == Verdict::Drop {
        *value = Value::Null;
    }
}

/// Applies one state and says whether the parent has to drop the value.
fn apply_at(plan: &Plan, at: StateId, value: &mut Value) -> Verdict {
    if at == INERT {
        return Verdict::Keep;
    }
    let state = plan.state(at);
    let verdict = match (state.verdict, &*value) {
        (Verdict::Keep, Value::Null | Value::Object(_) | Value::Array(_)) => Verdict::Keep,
        (Verdict::Keep, _) => state.leaf,
        (verdict, _) => verdict,
    };
    match verdict {
        Verdict::Drop => return Verdict::Drop,
        Verdict::Mask => *value = Value::String(MASK.to_owned()),
        Verdict::Keep => match value {
            Value::Object(fields) => {
                fields.retain(|name, field| {
                    apply_at(plan, state.field(name), field) != Verdict::Drop
                });
            }
            Value::Array(items) => {
                items.retain_mut(|item| apply_at(plan, state.items, item) != Verdict::Drop);
            }
            _ => {}
        },
    }
    Verdict::Keep
}

/// The product of several automata, built from the start as far as it is reachable.
struct Joint<'p> {
    plans: &'p [&'p Plan],
    known: HashMap<Vec<StateId>, StateId>,
    pending: Vec<Vec<StateId>>,
}

impl<'p> Joint<'p> {
    fn new(plans: &'p [&'p Plan]) -> Self {
        let inert = vec![INERT; plans.len()];
        Self { plans, known: HashMap::from([(inert.clone(), INERT)]), pending: vec![inert] }
    }

    fn run(mut self) -> Result<Plan, TooManyStates> {
        let start = self.id(self.plans.iter().map(|plan| plan.start).collect())?;
        let mut states = Vec::new();
        let mut next = 0;
        while let Some(tuple) = self.pending.get(next).cloned() {
            states.push(self.state(&tuple)?);
            next += 1;
        }
        let mut paths: Vec<String> = Vec::new();
        for path in self.plans.iter().flat_map(|plan| &plan.paths) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        Ok(Plan { states, start, paths })
    }

    fn state(&mut self, tuple: &[StateId]) -> Result<State, TooManyStates> {
        let plans = self.plans;
        let parts: Vec<&State> =
            plans.iter().zip(tuple).map(|(plan, id)| plan.state(*id)).collect();
        let verdict = parts.iter().map(|s| s.verdict).max().unwrap_or(Verdict::Keep);
        if verdict != Verdict::Keep {
            return Ok(State { verdict, ..State::inert() });
        }
        let mut names: Vec<&String> =
            parts.iter().flat_map(|s| s.fields.iter().map(|(name, _)| name)).collect();
        names.sort_unstable();
        names.dedup();
        let mut fields = Vec::with_capacity(names.len());
        for name in names {
            let target = self.id(parts.iter().map(|s| s.field(name)).collect())?;
            fields.push((name.clone(), target));
        }
        Ok(State {
            verdict,
            fields,
            other: self.id(parts.iter().map(|s| s.other).collect())?,
            items: self.id(parts.iter().map(|s| s.items).collect())?,
            leaf: parts.iter().map(|s| s.leaf).max().unwrap_or(Verdict::Keep),
        })
    }

    fn id(&mut self, tuple: Vec<StateId>) -> Result<StateId, TooManyStates> {
        if let Some(id) = self.known.get(&tuple) {
            return Ok(*id);
        }
        let number = self.pending.len();
        if number >= MAX_PLAN_STATES {
            return Err(TooManyStates);
        }
        let id = StateId(u32::try_from(number).map_err(|_| TooManyStates)?);
        self.known.insert(tuple.clone(), id);
        self.pending.push(tuple);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn plan(paths: &[&str], verdict: Verdict) -> Plan {
        let parsed: Vec<FieldPath> = paths.iter().map(|p| FieldPath::parse(p).unwrap()).collect();
        from_paths(&parsed, verdict).unwrap()
    }

    fn applied(plan: &Plan, mut value: Value) -> Value {
        apply(plan, &mut value);
        value
    }

    #[test]
    fn plain_names_are_top_level_fields_of_every_item() {
        let rows = json!([{"Salary": 1, "n": {"salary": 2}}, {"n": 1}]);
        let got = applied(&plan(&["salary"], Verdict::Drop), rows);
        assert_eq!(got, json!([{"n": {"salary": 2}}, {"n": 1}]));
    }

    #[test]
    fn paths_descend_and_what_they_cannot_descend_into_goes() {
        let drop = plan(&["address.street"], Verdict::Drop);
        assert_eq!(
            applied(&drop, json!({"address": {"street": "x", "city": "y"}})),
            json!({"address": {"city": "y"}})
        );
        assert_eq!(applied(&drop, json!({"address": "{\"street\":1}"})), json!({}));
        let object = json!({"orders": {"card": {"number": 1}, "k": {"number": 2}}});
        assert_eq!(
            applied(&plan(&["orders[].number"], Verdict::Drop), object),
            json!({"orders": {}})
        );
        assert_eq!(applied(&drop, json!({"address": null})), json!({"address": null}));
        let cards = plan(&["orders[].card.number"], Verdict::Mask);
        assert_eq!(
            applied(&cards, json!({"orders": [{"card": {"number": 1, "x": 2}}]})),
            json!({"orders": [{"card": {"number": "****", "x": 2}}]})
        );
    }

    #[test]
    fn wildcards_reach_one_level_or_any() {
        let one = plan(&["*.ssn"], Verdict::Drop);
        let any = plan(&["**.ssn"], Verdict::Drop);
        let value = json!({"ssn": 1, "a": {"ssn": 2, "b": [{"ssn": 3, "k": 4}]}, "c": "text"});
        assert_eq!(
            applied(&one, value.clone()),
            json!({"ssn": 1, "a": {"b": [{"ssn": 3, "k": 4}]}, "c": "text"})
        );
        assert_eq!(applied(&any, value), json!({"a": {"b": [{"k": 4}]}, "c": "text"}));
    }

    #[test]
    fn masks_replace_whole_containers_and_drop_outweighs_mask() {
        let mask = plan(&["a"], Verdict::Mask);
        let drop = plan(&["a.b", "c"], Verdict::Drop);
        let both = join(&[&mask, &drop, &plan(&["c"], Verdict::Mask)]).unwrap();
        assert_eq!(
            applied(&both, json!({"a": {"b": 1}, "c": 2, "d": 3})),
            json!({"a": "****", "d": 3})
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(null)), Just(json!(1)), Just(json!("t"))];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec(("[abAB]", inner), 0..4)
                    .prop_map(|f| Value::Object(f.into_iter().collect())),
            ]
        })
    }

    fn any_path() -> impl Strategy<Value = String> {
        let step =
            prop_oneof![Just("a"), Just("b"), Just("*"), Just("a[]"), Just("**.b"), Just("b[][]")];
        prop::collection::vec(step, 1..4).prop_map(|steps| steps.join("."))
    }

    proptest! {
        /// Joined plans do what the plans do one after another, up to what a mask hides.
        #[test]
        fn a_joint_plan_leaves_nothing_that_one_of_its_parts_removes(
            v in value(), first in any_path(), second in any_path(),
        ) {
            let (a, b) = (plan(&[&first], Verdict::Drop), plan(&[&second], Verdict::Drop));
            let joint = join(&[&a, &b]).unwrap();
            let together = applied(&joint, v);
            prop_assert_eq!(applied(&a, together.clone()), together.clone());
            prop_assert_eq!(applied(&b, together.clone()), together);
        }

        #[test]
        fn order_and_repetition_do_not_matter(v in value(), first in any_path(), second in any_path()) {
            let (a, b) = (plan(&[&first], Verdict::Drop), plan(&[&second], Verdict::Mask));
            let one = applied(&join(&[&a, &b]).unwrap(), v.clone());
            prop_assert_eq!(&one, &applied(&join(&[&b, &a, &b]).unwrap(), v));
        }
    }
}
