//! Canaries in every position that must not be readable, and values that must.

use mxcp_schemas::audit::{Json as Written, JsonText, VALUE_BYTES_MAX};
use mxcp_schemas::bundle::definition::{
    self, Additional, Bounds, Property, Type, TypeId, TypeKind, Types,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::json;

const CANARY: &str = "CANARY-7f3a";

struct Fixture {
    checks: Checks,
    parameters: Parameters,
    result: TypeId,
}

fn ty(kind: TypeKind) -> Type {
    Type { kind, sensitive: false, choices: Vec::new() }
}

fn string() -> TypeKind {
    TypeKind::String { format: None, min_length: None, max_length: None, pattern: None }
}

fn array(items: Option<u32>) -> TypeKind {
    let items = items.map(TypeId);
    TypeKind::Array { items, min_items: None, max_items: None, unique_items: false }
}

fn object(properties: &[(&str, u32)]) -> TypeKind {
    let property = |(name, ty): &(&str, u32)| Property {
        name: (*name).to_owned(),
        ty: TypeId(*ty),
        required: false,
    };
    TypeKind::Object {
        properties: properties.iter().map(property).collect(),
        additional: Additional::Unsaid,
    }
}

/// Parameters: `name` and `age` (open), `pin` (sensitive number), `state` (sensitive, of two),
/// `card` (an object with a sensitive `number`), `cards` (of those), `tags`, `free` (any object).
fn fixture() -> Fixture {
    let nodes = vec![
        ty(string()),
        Type { sensitive: true, ..ty(string()) },
        ty(TypeKind::Number { integer: true, bounds: Bounds::default() }),
        Type {
            sensitive: true,
            ..ty(TypeKind::Number { integer: true, bounds: Bounds::default() })
        },
        Type { sensitive: true, choices: vec!["\"on\"".into(), "\"off\"".into()], ..ty(string()) },
        ty(object(&[("number", 1), ("holder", 0)])),
        ty(array(Some(5))),
        ty(array(Some(0))),
        ty(object(&[])),
        Type { sensitive: true, ..ty(TypeKind::Boolean) },
    ];
    let checks = Checks::new(Types { nodes });
    let declared = [
        ("name", 0),
        ("age", 2),
        ("pin", 3),
        ("state", 4),
        ("card", 5),
        ("cards", 6),
        ("tags", 7),
        ("free", 8),
        ("flag", 9),
        ("api_key", 0),
    ]
    .map(|(name, ty)| definition::Parameter {
        name: name.to_owned(),
        description: None,
        ty: TypeId(ty),
        default: Some("null".to_owned()),
    });
    let parameters = Parameters::new(&declared, &checks).unwrap();
    Fixture { checks, parameters, result: TypeId(6) }
}

fn text(value: &dyn Written) -> String {
    let mut out = Vec::new();
    value.write_json(&mut JsonText::new(&mut out, VALUE_BYTES_MAX));
    String::from_utf8(out).unwrap()
}

fn given(redactor: &Redactor, arguments: &Value) -> Value {
    let f = fixture();
    let source = arguments.to_string();
    let Json::Object(members) = json::parse(source.as_bytes()).unwrap() else { panic!() };
    serde_json::from_str(&text(&redactor.given(&f.checks, &f.parameters, &members))).unwrap()
}

#[test]
fn declared_values_are_readable_and_marked_ones_are_not() {
    let arguments = json!({
        "name": "ann", "age": 7, "pin": 1234, "state": "on", "flag": true, "api_key": "k",
        "card": {"number": CANARY, "holder": "ann", "extra": CANARY},
        "cards": [{"NUMBER": CANARY}, CANARY], "tags": ["a", "b"],
        "free": {"a": [1, {"userPassword": {"x": CANARY}}], "b": null},
        "unknown": {"x": CANARY}, "secretThing": CANARY,
    });
    let expected = json!({
        "name": "ann", "age": 7, "pin": REDACTED, "state": REDACTED, "flag": REDACTED,
        "api_key": REDACTED,
        "card": {"number": REDACTED, "holder": "ann", "extra": "[string]"},
        "cards": [{"NUMBER": REDACTED}, "[string]"], "tags": ["a", "b"],
        "free": {"a": [1, {"userPassword": REDACTED}], "b": null},
        "unknown": "[object]", "secretThing": REDACTED,
    });
    assert_eq!(given(&Redactor::default(), &arguments), expected);
}

#[test]
fn understood_arguments_are_redacted_alike() {
    let f = fixture();
    let source = format!(r#"{{"name":"ann","age":"7","card":{{"number":"{CANARY}"}},"pin":42}}"#);
    let Json::Object(members) = json::parse(source.as_bytes()).unwrap() else { panic!() };
    let arguments = f.parameters.read(&f.checks, &members, 1_000).unwrap();
    let redactor = Redactor::default();
    let line = text(&redactor.arguments(&f.checks, &f.parameters, &arguments));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["name"], "ann");
    assert_eq!(value["age"], 7);
    assert_eq!(value["pin"], REDACTED);
    assert_eq!(value["card"], json!({"number": REDACTED}));
    assert_eq!(value["tags"], Value::Null);
}

#[test]
fn a_key_makes_equal_values_comparable_but_not_those_of_few_choices() {
    let key = HmacKey::new(b"0123456789abcdef").unwrap();
    assert!(!format!("{key:?}").contains("0123456789abcdef"));
    let redactor = Redactor::new(Words::default(), Some(key));
    let one = given(&redactor, &json!({"pin": 1234, "api_key": "x", "state": "on", "flag": true}));
    let two = given(&redactor, &json!({"pin": 1234, "card": {"number": "x"}}));
    assert_eq!(one["pin"], two["pin"]);
    assert_eq!(one["api_key"], two["card"]["number"]);
    assert_eq!((&one["state"], &one["flag"]), (&json!(REDACTED), &json!(REDACTED)));
    let pin = one["pin"].as_str().unwrap();
    let parts: Vec<&str> = pin.split(':').collect();
    assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("hmac-sha256", 8, 64));
    let other = Redactor::new(Words::default(), Some(HmacKey::new(&[7; 32]).unwrap()));
    let three = given(&other, &json!({"pin": 1234}));
    assert_ne!(three["pin"], one["pin"]);
    assert!(HmacKey::new(b"short").is_err());
}

#[test]
fn results_obey_the_marks_of_their_type() {
    let f = fixture();
    let rows = json!([{"Number": CANARY, "holder": "ann", "note": CANARY}, null]);
    let redactor = Redactor::default();
    let line = text(&redactor.result(&f.checks, Some(f.result), &rows));
    assert_eq!(line, r#"[{"Number":"[REDACTED]","holder":"ann","note":"[string]"},null]"#);
    let free = json!({"a": 1, "token": CANARY});
    assert_eq!(text(&redactor.result(&f.checks, None, &free)), r#"{"a":1,"token":"[REDACTED]"}"#);
    assert_eq!(text(&redactor.undeclared(&free)), r#"{"a":1,"token":"[REDACTED]"}"#);
}

/// Any JSON value whose texts are canaries.
fn canaries() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), Just(json!(CANARY)), Just(json!(format!("a{CANARY}")))];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let names = prop_oneof!["number", "NUMBER", "holders", "x", "apiToken"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever shape a value has, it does not show in a position that is closed.
    #[test]
    fn no_canary_passes(value in canaries(), with_key in any::<bool>()) {
        let key = with_key.then(|| HmacKey::new(&[1; 32]).unwrap());
        let redactor = Redactor::new(Words::default(), key);
        for name in ["pin", "state", "flag", "api_key", "unknown", "clientSecret"] {
            let shown = given(&redactor, &json!({name: value.clone()})).to_string();
            prop_assert!(!shown.contains(CANARY), "{}", shown);
        }
        for name in ["card", "cards", "age"] {
            let shown = given(&redactor, &json!({name: value.clone()})).to_string();
            prop_assert!(!shown.contains(CANARY), "{}", shown);
        }
        let f = fixture();
        let shown = text(&redactor.result(&f.checks, Some(f.result), &value));
        prop_assert!(!shown.contains(CANARY), "{}", shown);
    }
}
