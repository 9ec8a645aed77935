//! The JSON Schemas that clients see (JSON Schema 2020-12).
//!
//! What a tool publishes must stay true whatever policies do to a result: every field may be null, a
//! field that some policy may remove is not required, one that some policy may mask may be the mask.
//! Which fields these are is read from the same plans that enforce it.

use mxcp_schemas::bundle::definition::{Additional, Format};
use mxcp_schemas::bundle::plan::{INERT, MASK, Plan, StateId, Verdict};
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

/// The schema of a tool's structured result after every plan. A result that is no object, or that
/// some plan may replace as a whole, is wrapped as `{"result": …}`, as MCP wants an object.
pub fn output(ty: &Type, plans: &[&Plan]) -> Value {
    let place = Place::Result(plans, plans.iter().map(|plan| plan.start).collect());
    if ty.name.value == TypeName::Object && place.stays() {
        let mut schema = bare(ty, &place);
        describe(&mut schema, ty);
        return schema.into();
    }
    json!({
        "type": "object",
        "properties": {"result": value(ty, &place)},
        "required": ["result"],
        "additionalProperties": false,
    })
}

/// Where a type stands: in the arguments of a call, or in its result, in these states of the plans
/// that may change that.
enum Place<'p> {
    Argument,
    Result(&'p [&'p Plan], Vec<StateId>),
}

impl Place<'_> {
    fn step(&self, next: impl Fn(&Plan, StateId) -> StateId) -> Self {
        match self {
            Self::Argument => Self::Argument,
            Self::Result(plans, states) => {
                let states = plans.iter().zip(states).map(|(plan, state)| next(plan, *state));
                Self::Result(plans, states.collect())
            }
        }
    }

    fn any(&self, holds: impl Fn(&Plan, StateId) -> bool) -> bool {
        match self {
            Self::Argument => false,
            Self::Result(plans, states) => {
                plans.iter().zip(states).any(|(plan, state)| holds(plan, *state))
            }
        }
    }

    /// Whether some plan gives a value of that type here the verdict. A scalar that a plan cannot
    /// descend into counts by that plan's `leaf`; an object or array is checked to be one.
    fn may(&self, wanted: Verdict, ty: &Type) -> bool {
        self.any(|plan, state| {
            let state = plan.state(state);
            state.verdict == wanted || (state.leaf == wanted && !is_container(ty))
        })
    }

    /// Whether a value here stays as a whole, whatever becomes of its parts.
    fn stays(&self) -> bool {
        !self.any(|plan, state| plan.state(state).verdict != Verdict::Keep)
    }

    /// Whether some plan may change the value here or a part of it.
    fn is_touched(&self) -> bool {
        self.any(|_, state| state != INERT)
    }

    const fn is_result(&self) -> bool {
        matches!(self, Self::Result(..))
    }
}

fn value(ty: &Type, place: &Place<'_>) -> Value {
    match place {
        Place::Argument => argument(ty),
        Place::Result(..) => result(ty, place),
    }
}

fn argument(ty: &Type) -> Value {
    let mut schema = bare(ty, &Place::Argument);
    describe(&mut schema, ty);
    let nullable = ty.default.as_ref().is_some_and(|d| d.value.is_null());
    if nullable {
        allow_null(&mut schema);
    }
    // What a sensitive parameter, or a part of one, may hold is nobody's business.
    if !holds_sensitive(ty) {
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

const fn is_container(ty: &Type) -> bool {
    matches!(ty.name.value, TypeName::Array | TypeName::Object)
}

fn holds_sensitive(ty: &Type) -> bool {
    ty.sensitive
        || ty.items.as_ref().is_some_and(|items| holds_sensitive(items))
        || ty.properties.iter().any(|property| holds_sensitive(&property.ty))
}

/// A value of a result: null is always possible.
fn result(ty: &Type, place: &Place<'_>) -> Value {
    let mut schema = bare(ty, place);
    allow_null(&mut schema);
    let mut schema = Value::Object(schema);
    if place.may(Verdict::Mask, ty) {
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

fn bare(ty: &Type, place: &Place<'_>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), ty.name.value.as_str().into());
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(key.to_owned(), value);
        }
    };
    put("format", format(ty, place).map(Value::from));
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
    // Of results scalars alone are compared with the choices; a plan may change the others.
    let is_compared = !(is_container(ty) && place.is_result());
    if is_compared && !ty.choices.is_empty() && !holds_sensitive(ty) {
        put("enum", Some(ty.choices.iter().map(|c| c.value.clone()).collect()));
    }
    match ty.name.value {
        TypeName::Array => array(&mut schema, ty, place),
        TypeName::Object => object(&mut schema, ty, place),
        _ => {}
    }
    schema
}

/// The format that is published. JSON Schema's formats of times are narrower than what DuckDB has
/// (a `TIMESTAMP` has no offset, an `INTERVAL` may have fractions): of results they are left out,
/// lest a strict client refuse what is correct.
fn format(ty: &Type, place: &Place<'_>) -> Option<&'static str> {
    let declared = ty.format.as_ref()?.value;
    match declared {
        Format::Timestamp => None,
        Format::Email | Format::Uri => Some(declared.as_str()),
        Format::Date | Format::Time | Format::DateTime | Format::Duration => {
            (!place.is_result()).then(|| declared.as_str())
        }
    }
}

fn array(schema: &mut Map<String, Value>, ty: &Type, place: &Place<'_>) {
    let below = place.step(|plan, state| plan.state(state).items);
    if ty.items.as_ref().is_none_or(|items| below.may(Verdict::Drop, items)) {
        schema.remove("minItems");
    }
    // Items that differ may be the same once parts of them are gone.
    if below.is_touched() {
        schema.remove("uniqueItems");
    }
    if let Some(items) = &ty.items {
        schema.insert("items".to_owned(), value(items, &below));
    }
}

fn object(schema: &mut Map<String, Value>, ty: &Type, place: &Place<'_>) {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for property in &ty.properties {
        let name = &property.name.value;
        let below = place.step(|plan, state| plan.state(state).field(name));
        properties.insert(name.clone(), value(&property.ty, &below));
        if crate::types::is_required(ty, name) && !below.may(Verdict::Drop, &property.ty) {
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
