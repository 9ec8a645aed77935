//! The others. Each is asked with a context that was built before, and with one that is built anew.

use std::str::FromStr as _;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};

use crate::world::World;
use crate::{Case, Time, measure};

type Pair = (Time, Time);

/// The crate `cel`; `None` where it cannot evaluate the condition.
pub fn cel(case: &Case, world: &World, expected: bool) -> Option<Pair> {
    let program = cel::Program::compile(&case.cel).ok()?;
    let time = |text: &str| {
        let program = cel::Program::compile(&format!("timestamp('{text}')")).unwrap();
        program.execute(&cel::Context::default()).unwrap()
    };
    let (start, end) = (time("2024-01-01T00:00:00Z"), time("2024-03-01T00:00:00Z"));
    let build = || {
        let mut context = cel::Context::default();
        // What a condition does not read is not built for it.
        if case.reads("user") {
            context.add_variable("user", &world.user).unwrap();
        }
        if case.reads("response") {
            context.add_variable("response", world.response_for(case)).unwrap();
        }
        context.add_variable("employee_id", &world.employee_id).unwrap();
        context.add_variable("n", world.n).unwrap();
        context.add_variable("note", &world.note).unwrap();
        context.add_variable_from_value("start_date", start.clone());
        context.add_variable_from_value("end_date", end.clone());
        context
    };
    let ask = |context: &cel::Context<'_, '_>| program.execute(context) == Ok(expected.into());
    let context = build();
    if !ask(&context) {
        return None;
    }
    Some((measure(|| ask(&context), true), measure(|| ask(&build()), true)))
}

/// The crate `regorus`.
pub fn regorus(case: &Case, condition: &str, world: &World, expected: bool) -> Pair {
    let mut engine = regorus::Engine::new();
    let policy =
        format!("package t\nimport rego.v1\ndefault allow := false\nallow if {{ {condition} }}");
    engine.add_policy("t.rego".to_owned(), policy).unwrap();
    let input = serde_json::json!({
        "user": world.user, "employee_id": world.employee_id, "n": world.n, "note": world.note,
        "response": world.response_for(case),
    })
    .to_string();
    let value = regorus::Value::from_json_str(&input).unwrap();
    engine.set_input(value);
    let allowed = regorus::Value::from(true);
    let rule = "data.t.allow";
    let built = measure(|| engine.eval_rule(rule.to_owned()).unwrap() == allowed, expected);
    let building = measure(
        || {
            engine.set_input(regorus::Value::from_json_str(&input).unwrap());
            engine.eval_rule(rule.to_owned()).unwrap() == allowed
        },
        expected,
    );
    (built, building)
}

/// The crate `cedar-policy`.
pub fn cedar(condition: &str, world: &World, expected: bool) -> Pair {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    let policies = PolicySet::from_str(&policy).unwrap();
    let mut attributes = world.user.clone();
    attributes["claims"] = serde_json::json!({"org": {"unit": "u7"}, "level": 5});
    let uid = |text: &str| EntityUid::from_str(text).unwrap();
    let entities = serde_json::json!([
        {"uid": {"type": "User", "id": "me"}, "attrs": attributes, "parents": []}
    ]);
    let context = serde_json::json!({
        "employee_id": world.employee_id, "n": world.n, "department": "finance",
    });
    let build = || {
        let entities = Entities::from_json_value(entities.clone(), None).unwrap();
        let context = Context::from_json_value(context.clone(), None).unwrap();
        let (who, what, on) = (uid("User::\"me\""), uid("Action::\"call\""), uid("Tool::\"t\""));
        (Request::new(who, what, on, context, None).unwrap(), entities)
    };
    let authorizer = Authorizer::new();
    let ask = |request: &Request, entities: &Entities| {
        authorizer.is_authorized(request, &policies, entities).decision() == Decision::Allow
    };
    let (request, held) = build();
    let built = measure(|| ask(&request, &held), expected);
    let building = measure(
        || {
            let (request, entities) = build();
            ask(&request, &entities)
        },
        expected,
    );
    (built, building)
}
