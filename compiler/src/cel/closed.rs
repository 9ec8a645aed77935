//! The property that everything else is for: for any condition over any data, an evaluation that
//! errs never lets more through than one that is true.

use bumpalo::Bump;
use mxcp_policy::action::{self, Effect};
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::plan::{FieldPath, apply, from_paths};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::plan::Verdict;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Environment, condition};

/// Conditions of all kinds, most of which err on some data.
fn any_condition() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        Just("user.role == 'admin'"),
        Just("user.email.endsWith('@x')"),
        Just("'p' in user.permissions"),
        Just("user.claims.tenant == 'a'"),
        Just("user.claims.level > 3"),
        Just("response.a == 1"),
        Just("response.b.c"),
        Just("response.list.exists(v, v > 1)"),
        Just("response.list.all(v, 10 / v > 1)"),
        Just("size(response.text) > 2"),
        Just("n / m > 1"),
        Just("has(response.a)"),
        Just("user.email == null"),
        Just("int(user.claims.level) == 2"),
    ]
    .prop_map(str::to_owned);
    atom.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3_i64..6).prop_map(Value::from),
        Just(json!("abc")),
        Just(json!("a@x")),
        Just(json!("admin")),
        Just(json!(1.5)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(
                (
                    prop::sample::select(vec!["a", "b", "c", "list", "text", "tenant", "level"]),
                    inner
                ),
                0..4
            )
            .prop_map(|f| Value::Object(f.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// What leaves when a policy with this outcome acts on the result: nothing, or the result without
/// what the action takes.
fn leaves(outcome: &Outcome, action: &str, result: &Value) -> Option<Value> {
    let mut result = result.clone();
    if outcome.fires() {
        match action::find(action).map(|a| a.effect) {
            Some(Effect::Refuse) | None => return None,
            Some(Effect::Change(_)) => {
                let verdict = if action == "mask_fields" { Verdict::Mask } else { Verdict::Drop };
                let paths = [FieldPath::parse("a").unwrap(), FieldPath::parse("**.c").unwrap()];
                apply(&from_paths(&paths, verdict).unwrap(), &mut result);
            }
        }
    }
    Some(result)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn an_error_never_lets_more_through_than_true(
        text in any_condition(), role in any_json(), email in any_json(), claims in any_json(),
        response in any_json(), n in any::<i64>(), m in -1_i64..2,
        action in prop::sample::select(vec!["deny", "filter_fields", "mask_fields"]),
    ) {
        let environment = Environment {
            user: Some(Environment::user_record(&[])),
            params: vec![("n".to_owned(), Ty::Int), ("m".to_owned(), Ty::Int)],
            response: Some(Ty::Dyn),
            request: true,
            ..Environment::default()
        };
        let (compiled, found) = condition(&text, &environment);
        prop_assert!(compiled.is_some(), "{} {:?}", text, found);
        let Some((program, _)) = compiled else { return Ok(()) };
        let mut symbols = Symbols::default();
        let layout = Layout { user: 10, params: 2, response: true };
        let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
        let datum = |value: &Value| Datum::from_json(value, &symbols);
        let mut user = vec![Datum::Null; 10];
        // Also attributes of the wrong type, and those that are errors already.
        user[5] = match &role { Value::String(_) => datum(&role), _ => Datum::Error("role".into()) };
        user[2] = datum(&email);
        user[6] = Datum::List(mxcp_policy::datum::List::indexed([Datum::String(symbols.text("p"))].into()));
        user[9] = datum(&claims);
        let request = Request {
            time: Instant { seconds: 0, nanos: 0 }, tool: symbols.text("t"), session_id: None, client_ip: None,
        };
        let (params, seen) = ([Datum::Int(n), Datum::Int(m)], datum(&response));
        let inputs = Inputs {
            user: &user, user_map: &Datum::Null, params: &params, response: Some(&seen), request: &request,
        };
        let arena = Bump::new();
        let outcome = predicate.evaluate(&inputs, &arena);
        if matches!(outcome, Outcome::Error(_)) {
            prop_assert_eq!(leaves(&outcome, action, &response), leaves(&Outcome::True, action, &response));
        }
        // The same question has the same answer.
        prop_assert_eq!(predicate.evaluate(&inputs, &arena), outcome);
    }
}
