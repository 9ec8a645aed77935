//! Results: their shape, their types, what policies leave of them, in texts and structures alike.

use mxcp_tests::project::Project;
use serde_json::{Value, json};

use super::peer::Peer;

/// The text of a result as JSON, which has to be what its structure is.
fn both(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result}"));
    let text: Value = serde_json::from_str(text).unwrap();
    let structured = &result["structuredContent"];
    let inner = if structured.get("result").is_some() { &structured["result"] } else { structured };
    assert_eq!(&text, inner);
    text
}

#[test]
fn a_removed_field_is_absent_everywhere() {
    let whole = json!({
        "id": 1, "Salary": 12.5, "ssn": "123-45-6789",
        "address": {"street": "Elm", "city": "Springfield"},
        "cards": [{"number": "4111", "kind": "visa"}, {"number": "5500", "kind": "master"}],
        "phone": "555-1234",
    });
    let mut admin = Peer::new(Some(r#"{"role": "admin"}"#));
    assert_eq!(both(&admin.call("person", json!({}))), whole);
    assert!(admin.raw_call("person", json!({})).contains("12.50"), "all digits are there");
    let mut user = Peer::new(Some(r#"{"role": "user"}"#));
    let filtered = json!({
        "id": 1, "address": {"city": "Springfield"},
        "cards": [{"kind": "visa"}, {"kind": "master"}], "phone": "555-1234",
    });
    assert_eq!(both(&user.call("person", json!({}))), filtered);
    let raw = user.raw_call("person", json!({}));
    for gone in ["alary", "ssn", "12.5", "123-45", "street", "Elm", "number", "4111", "null"] {
        assert!(!raw.contains(gone), "{gone}: {raw}");
    }
    let mut guest = Peer::new(Some(r#"{"role": "guest"}"#));
    let mut masked = filtered;
    masked["phone"] = json!("****");
    assert_eq!(both(&guest.call("person", json!({}))), masked);
    // What is published holds for all three.
    let tools = guest.result("tools/list", json!({}));
    let tools = tools["tools"].as_array().unwrap();
    let schema = &tools.iter().find(|tool| tool["name"] == "person").unwrap()["outputSchema"];
    let validator = jsonschema::validator_for(schema).unwrap();
    for mut peer in [admin, user, guest] {
        let structured = peer.call("person", json!({}))["structuredContent"].take();
        if let Err(error) = validator.validate(&structured) {
            panic!("{error}: {structured} by {schema:#}");
        }
    }
    assert_eq!(schema["required"], json!(["id", "address", "cards", "phone"]));
    assert!(!schema.to_string().contains("sensitive"));
}

/// A tool of one SQL text and one declared result.
fn tool(name: &str, result: &str, sql: &str) -> (String, String) {
    let result = if result.is_empty() { String::new() } else { format!("  return: {result}\n") };
    let sql = sql.replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!(
        "mxcp: 1\ntool:\n  name: {name}\n  description: One of the results\n{result}  source: {{ code: \"{sql}\" }}\n"
    );
    (format!("tools/{name}.yml"), text)
}

const SITE: &str = "mxcp: 1\nproject: results\nprofile: default\n";

#[test]
fn rows_take_the_declared_shape_or_say_why_not() {
    let object = "{ type: object, properties: { a: { type: integer } } }";
    let list = "{ type: array, items: { type: object, properties: { a: { type: integer } }, additionalProperties: false } }";
    let cases: Vec<(&str, &str, &str, Result<Value, &str>)> = vec![
        ("list", list, "SELECT range AS a FROM range(2)", Ok(json!([{"a": 0}, {"a": 1}]))),
        ("none", list, "SELECT 1 AS a WHERE false", Ok(json!([]))),
        ("unsaid", "", "SELECT 1 AS a", Ok(json!([{"a": 1}]))),
        ("one", object, "SELECT 5 AS a", Ok(json!({"a": 5}))),
        ("empty", object, "SELECT 5 AS a WHERE false", Err("No results returned")),
        ("more", object, "SELECT range AS a FROM range(3)", Err("the query returned 3")),
        ("value", "{ type: integer }", "SELECT 7", Ok(json!(7))),
        ("text", "{ type: string }", "SELECT 'seven'", Ok(json!("seven"))),
        ("nothing", "{ type: integer }", "SELECT 7 WHERE false", Err("No results returned")),
        ("values", "{ type: integer }", "SELECT * FROM range(4)", Err("the query returned 4")),
        (
            "columns",
            "{ type: integer }",
            "SELECT 1 AS a, 2 AS b",
            Err("the query returned 2 columns"),
        ),
        ("nulled", "{ type: integer }", "SELECT NULL::INTEGER", Ok(json!(null))),
        ("wrong", "{ type: integer }", "SELECT 'x'", Err("must be")),
        ("decimals", "{ type: integer }", "SELECT 1.5", Err("must be")),
        ("whole", "{ type: integer }", "SELECT 5.0::DOUBLE", Ok(json!(5.0))),
        ("undeclared", list, "SELECT 1 AS a, 2 AS b", Err("`[0].b` is not declared")),
        ("twice", "", "SELECT 1 AS a, 2 AS A", Err("two columns are named `A`")),
        ("keys", "", "SELECT MAP {[1]: 2} AS m", Err("a type without a JSON form")),
    ];
    let files = cases.iter().map(|(name, result, sql, _)| tool(name, result, sql));
    let mut all: Vec<(String, String)> = files.collect();
    all.push(("mxcp-site.yml".into(), SITE.into()));
    let mut peer = Peer::of(Project::new(&all), &[]);
    for (name, _, _, expected) in cases {
        let result = peer.call(name, json!({}));
        match expected {
            Ok(value) => assert_eq!(both(&result), value, "{name}"),
            Err(words) => {
                let text = result["content"][0]["text"].as_str().unwrap();
                assert_eq!(result["isError"], true, "{name}");
                assert!(text.contains(words), "{name}: {text}");
                assert_eq!(result.get("structuredContent"), None, "{name}");
            }
        }
    }
}

#[test]
fn numbers_keep_all_their_digits() {
    let cases = [
        (
            "huge",
            "number",
            "SELECT 170141183460469231731687303715884105727::HUGEINT",
            "170141183460469231731687303715884105727",
        ),
        (
            "uhuge",
            "number",
            "SELECT 340282366920938463463374607431768211455::UHUGEINT",
            "340282366920938463463374607431768211455",
        ),
        ("big", "integer", "SELECT 9007199254740993", "9007199254740993"),
        ("small", "integer", "SELECT (-9223372036854775808)::BIGINT", "-9223372036854775808"),
        (
            "money",
            "number",
            "SELECT 12345678901234567890.12345678::DECIMAL(38,8)",
            "12345678901234567890.12345678",
        ),
        ("cents", "number", "SELECT (-0.05)::DECIMAL(4,2)", "-0.05"),
        ("nan", "number", "SELECT 'nan'::DOUBLE", "null"),
        ("infinite", "number", "SELECT '-inf'::FLOAT", "null"),
        ("double", "number", "SELECT 0.1::DOUBLE", "0.1"),
    ];
    let files =
        cases.iter().map(|(name, ty, sql, _)| tool(name, &format!("{{ type: {ty} }}"), sql));
    let mut all: Vec<(String, String)> = files.collect();
    all.push(("mxcp-site.yml".into(), SITE.into()));
    let mut peer = Peer::of(Project::new(&all), &[]);
    for (name, _, _, digits) in cases {
        let raw = peer.raw_call(name, json!({}));
        assert!(
            raw.contains(&format!("\"structuredContent\":{{\"result\":{digits}}}")),
            "{name}: {raw}"
        );
        assert!(raw.contains(&format!("\"text\":\"{digits}\"")), "{name}: {raw}");
    }
}
