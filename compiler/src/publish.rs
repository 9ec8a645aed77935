//! The JSON Schemas that clients see (JSON Schema 2020-12).
//!
//! What a tool publishes must stay true whatever policies do to a result: every field may be null, a
//! field that some policy may remove is not required, one that some policy may mask may be the mask.
//! Which fields these are is read from the same plans that enforce it.

use mxcp_schemas::bundle::definition::Additional;
use mxcp_schemas::bundle::plan::{MASK, Plan, StateId, Verdict};
use mxcp_schemas::document::endpoint::Parameter;
use mxcp_schemas::document::ty::{Type, TypeName};
use serde_json::{Map, Value, json};

/// The schema of a tool's arguments.
pub fn input(parameters: &[Parameter]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for parameter in parameters {
        properties.insert(parameter.name.value.clone(), argument(&parameter.ty));
        if parameter.ty.default.is_none() {
            required.push(Value::from(parameter.name.value.clone()));
        }
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    schema.insert("additionalProperties".to_owned(), false.into());
    schema.into()
}

/// The schema of a tool's structured result after every plan. A result that is no object is wrapped
/// as `{"result": …}`, as MCP wants an object.
pub fn output(ty: &Type, plans: &[&Plan]) -> Value {
    let states: Vec<StateId> = plans.iter().map(|plan| plan.start).collect();
    let inner = result(ty, plans, &states);
    if ty.name.value == TypeName::Object && verdict(plans, &states) == Verdict::Keep {
        let mut schema = bare(ty, plans, &states);
        describe(&mut schema, ty);
        return schema.into();
    }
    json!({
        "type": "object",
        "properties": {"result": inner},
        "required": ["result"],
        "additionalProperties": false,
    })
}

/// Whether a result of this type is wrapped.
pub fn is_wrapped(ty: Option<&Type>) -> bool {
    ty.is_none_or(|ty| ty.name.value != TypeName::Object)
}

fn argument(ty: &Type) -> Value {
    let mut schema = bare(ty, &[], &[]);
    describe(&mut schema, ty);
    let nullable = ty.default.as_ref().is_some_and(|d| d.value.is_null());
    if nullable {
        allow_null(&mut schema);
    }
    // What a sensitive parameter may hold is nobody's business.
    if !ty.sensitive {
        if let Some(default) = &ty.default {
            schema.insert("default".to_owned(), default.value.clone());
        }
        if !ty.examples.is_empty() {
            schema.insert(
                "examples".to_owned(),
                ty.examples.iter().map(|e| e.value.clone()).collect(),
            );
        }
    }
    schema.into()
}

/// A value of a result: null is always possible.
fn result(ty: &Type, plans: &[&Plan], states: &[StateId]) -> Value {
    let mut schema = bare(ty, plans, states);
    allow_null(&mut schema);
    let mut schema = Value::Object(schema);
    if may(plans, states, Verdict::Mask) {
        schema = json!({"anyOf": [schema, {"const": MASK}]});
    }
    if let Value::Object(fields) = &mut schema {
        describe(fields, ty);
    }
    schema
}

fn describe(schema: &mut Map<String, Value>, ty: &Type) {
    if let Some(title) = &ty.title {
        schema.insert("title".to_owned(), title.clone().into());
    }
    if let Some(description) = &ty.description {
        schema.insert("description".to_owned(), description.clone().into());
    }
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(name) = schema.get("type").cloned() {
        schema.insert("type".to_owned(), json!([name, "null"]));
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
}

fn bare(ty: &Type, plans: &[&Plan], states: &[StateId]) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), ty.name.value.as_str().into());
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(key.to_owned(), value);
        }
    };
    let published = ty.format.as_ref().map(|f| f.value.as_str()).filter(|f| *f != "timestamp");
    put("format", published.map(Value::from));
    put("minLength", ty.min_length.as_ref().map(|n| n.value.into()));
    put("maxLength", ty.max_length.as_ref().map(|n| n.value.into()));
    put("pattern", ty.pattern.as_ref().map(|p| p.value.clone().into()));
    put("minimum", ty.minimum.as_ref().map(|n| n.value.clone().into()));
    put("maximum", ty.maximum.as_ref().map(|n| n.value.clone().into()));
    put("exclusiveMinimum", ty.exclusive_minimum.as_ref().map(|n| n.value.clone().into()));
    put("exclusiveMaximum", ty.exclusive_maximum.as_ref().map(|n| n.value.clone().into()));
    put("multipleOf", ty.multiple_of.as_ref().map(|n| n.value.clone().into()));
    put("minItems", ty.min_items.as_ref().map(|n| n.value.into()));
    put("maxItems", ty.max_items.as_ref().map(|n| n.value.into()));
    put("uniqueItems", ty.unique_items.then(|| true.into()));
    if !ty.choices.is_empty() && !ty.sensitive {
        put("enum", Some(ty.choices.iter().map(|c| c.value.clone()).collect()));
    }
    match ty.name.value {
        TypeName::Array => array(&mut schema, ty, plans, states),
        TypeName::Object => object(&mut schema, ty, plans, states),
        _ => {}
    }
    schema
}

fn array(schema: &mut Map<String, Value>, ty: &Type, plans: &[&Plan], states: &[StateId]) {
    let below = step(plans, states, |plan, state| plan.state(state).items);
    let items = ty
        .items
        .as_ref()
        .map(|items| if plans.is_empty() { argument(items) } else { result(items, plans, &below) });
    if may(plans, &below, Verdict::Drop) {
        schema.remove("minItems");
    }
    if let Some(items) = items {
        schema.insert("items".to_owned(), items);
    }
}

fn object(schema: &mut Map<String, Value>, ty: &Type, plans: &[&Plan], states: &[StateId]) {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for property in &ty.properties {
        let name = &property.name.value;
        let below = step(plans, states, |plan, state| plan.state(state).field(name));
        // A field that every caller loses is not published at all.
        let value = if plans.is_empty() {
            argument(&property.ty)
        } else {
            result(&property.ty, plans, &below)
        };
        properties.insert(name.clone(), value);
        if crate::types::is_required(ty, name) && !may(plans, &below, Verdict::Drop) {
            required.push(Value::from(name.clone()));
        }
    }
    if !properties.is_empty() {
        schema.insert("properties".to_owned(), properties.into());
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if ty.additional == Additional::Forbidden {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}

fn step(
    plans: &[&Plan],
    states: &[StateId],
    next: impl Fn(&Plan, StateId) -> StateId,
) -> Vec<StateId> {
    plans.iter().zip(states).map(|(plan, state)| next(plan, *state)).collect()
}

/// Whether some plan gives a value in these states the verdict. A scalar that a plan cannot descend
/// into counts by that plan's `leaf`.
fn may(plans: &[&Plan], states: &[StateId], wanted: Verdict) -> bool {
    plans.iter().zip(states).any(|(plan, state)| {
        let state = plan.state(*state);
        state.verdict == wanted || state.leaf == wanted
    })
}

fn verdict(plans: &[&Plan], states: &[StateId]) -> Verdict {
    let verdicts = plans.iter().zip(states).map(|(plan, state)| plan.state(*state).verdict);
    verdicts.max().unwrap_or(Verdict::Keep)
}
