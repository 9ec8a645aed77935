//! Records in the shape of the Open Cybersecurity Schema Framework, for security event stores.
//!
//! Calls, reads, prompts and lists are API Activity (6003), what authentication does is
//! Authentication (3002), what the server and the trail say about themselves is Application
//! Lifecycle (6002). What the schema has no place for stands under `unmapped`, by its name in the
//! trail, so nothing is lost.

use jiff::Timestamp;
use mxcp_schemas::audit::{OperationStatus, OperationType, PolicyDecision};
use serde_json::{Map, Value, json};

/// The version of the schema.
pub const OCSF_VERSION: &str = "1.5.0";

/// Members of a record that have a place in the schema.
const MAPPED: [&str; 14] = [
    "caller_type",
    "client",
    "duration_ms",
    "error",
    "operation_name",
    "operation_status",
    "operation_type",
    "principal",
    "record_id",
    "seq",
    "session_id",
    "timestamp",
    "trace_id",
    "user_id",
];

/// A class of events, with what one of them did.
struct Class {
    category: u32,
    uid: u32,
    activity: u32,
    /// in words, where the schema has none
    activity_name: Option<&'static str>,
}

/// The event that a record is about.
pub fn ocsf(record: &Value) -> Value {
    let text = |name: &str| record.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let kind = text("operation_type").and_then(OperationType::parse);
    let name = text("operation_name").unwrap_or("unknown");
    let class = class(kind, name);
    let status = text("operation_status").and_then(OperationStatus::parse);
    let decision = text("policy_decision").and_then(PolicyDecision::parse);
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
    set("category_uid", class.category.into());
    set("class_uid", class.uid.into());
    set("activity_id", class.activity.into());
    if let Some(name) = class.activity_name {
        set("activity_name", name.into());
    }
    set("type_uid", (class.uid * 100 + class.activity).into());
    set("time", millis(text("timestamp")).into());
    set("severity_id", severity(record, kind, name, status, decision).into());
    let (status_id, word) = match status {
        Some(OperationStatus::Success) => (1, "Success"),
        Some(OperationStatus::Error) => (2, "Failure"),
        None => (0, "Unknown"),
    };
    set("status_id", status_id.into());
    set("status", word.into());
    if let Some(detail) = text("policy_reason").or_else(|| text("error")) {
        set("status_detail", detail.into());
    }
    if let Some(ms) = record.get("duration_ms").filter(|ms| ms.is_number()) {
        set("duration", ms.clone());
    }
    set("message", format!("{} {name}", text("operation_type").unwrap_or("unknown")).into());
    set("metadata", metadata(record, &text));
    match class.uid {
        6_002 => set("app", product(record)),
        3_002 => {
            set("user", user(record).unwrap_or_else(|| json!({"name": "unknown"})));
            set("service", json!({"name": "mxcp"}));
            set("src_endpoint", source(record));
        }
        _ => {
            set("actor", actor(record));
            set("src_endpoint", source(record));
            set("api", api(record, name));
        }
    }
    if let (6_003, Some(decision)) = (class.uid, decision) {
        let (id, word) = match decision {
            PolicyDecision::Deny => (2, "Denied"),
            PolicyDecision::Allow | PolicyDecision::Warn => (1, "Allowed"),
        };
        set("action_id", id.into());
        set("action", word.into());
    }
    set("unmapped", unmapped(record));
    Value::Object(event)
}

fn class(kind: Option<OperationType>, name: &str) -> Class {
    let api = |activity, activity_name| Class { category: 6, uid: 6_003, activity, activity_name };
    let other =
        |category, uid, name| Class { category, uid, activity: 99, activity_name: Some(name) };
    match (kind, name) {
        (Some(OperationType::Auth), "issued") => {
            Class { category: 3, uid: 3_002, activity: 1, activity_name: None }
        }
        (Some(OperationType::Auth), "revoked") => {
            Class { category: 3, uid: 3_002, activity: 2, activity_name: None }
        }
        (Some(OperationType::Auth), _) => other(3, 3_002, "Other"),
        (Some(OperationType::System), "start") => {
            Class { category: 6, uid: 6_002, activity: 3, activity_name: None }
        }
        (Some(OperationType::System), "stop") => {
            Class { category: 6, uid: 6_002, activity: 4, activity_name: None }
        }
        (Some(OperationType::System), _) => other(6, 6_002, "Other"),
        (Some(OperationType::Tool) | None, _) => api(99, Some("Call")),
        (Some(OperationType::Resource | OperationType::Prompt | OperationType::List), _) => {
            api(2, None)
        }
    }
}

/// Informational for what went as asked, low for what failed, medium for what was refused for a
/// reason, high where records were lost.
fn severity(
    record: &Value,
    kind: Option<OperationType>,
    name: &str,
    status: Option<OperationStatus>,
    decision: Option<PolicyDecision>,
) -> u32 {
    let lost = record.pointer("/event/acknowledged") == Some(&Value::Bool(true));
    match (kind, status, decision) {
        (Some(OperationType::System), _, _) if lost => 4,
        (_, _, Some(PolicyDecision::Deny)) => 3,
        (Some(OperationType::Auth), _, _) if name == "reused" => 3,
        (_, Some(OperationStatus::Error), _) => 2,
        _ => 1,
    }
}

fn millis(timestamp: Option<&str>) -> i64 {
    timestamp.and_then(|text| text.parse::<Timestamp>().ok()).map_or(0, Timestamp::as_millisecond)
}

fn metadata<'r>(record: &Value, text: &impl Fn(&str) -> Option<&'r str>) -> Value {
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "product": product(record),
        "log_name": text("schema_name").unwrap_or("mxcp.endpoints"),
        "profiles": ["security_control"],
    });
    if let Some(metadata) = metadata.as_object_mut() {
        let mut set = |name: &str, value: Option<Value>| {
            metadata.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("uid", text("record_id").map(Into::into));
        set("correlation_uid", text("trace_id").map(Into::into));
        set("sequence", record.get("seq").filter(|seq| seq.is_number()).cloned());
    }
    metadata
}

fn product(record: &Value) -> Value {
    let mut product = json!({"name": "mxcp", "vendor_name": "mxcp"});
    if let (Some(product), Some(bundle)) = (product.as_object_mut(), record.get("bundle"))
        && bundle.is_string()
    {
        // What is served is what was built.
        product.insert("uid".to_owned(), bundle.clone());
    }
    product
}

fn user(record: &Value) -> Option<Value> {
    let principal =
        |name: &str| record.pointer(&format!("/principal/{name}")).filter(|v| v.is_string());
    let mut user = Map::new();
    let mut set = |name: &str, value: Option<&Value>| {
        user.extend(value.map(|value| (name.to_owned(), value.clone())));
    };
    set("uid", record.get("user_id").filter(|id| id.is_string()));
    set("name", principal("username"));
    set("email_addr", principal("email"));
    let known = user.contains_key("uid") || user.contains_key("name");
    known.then_some(Value::Object(user))
}

/// Who acted: the person as far as known, and the program.
fn actor(record: &Value) -> Value {
    let mut actor = Map::new();
    let program = record.pointer("/client/id").filter(|id| id.is_string()).cloned();
    let program = program.unwrap_or_else(|| "unknown".into());
    actor.insert("app_name".to_owned(), program);
    if let Some(user) = user(record) {
        actor.insert("user".to_owned(), user);
    }
    if let Some(session) = record.get("session_id").filter(|id| id.is_string()) {
        actor.insert("session".to_owned(), json!({"uid": session}));
    }
    if let Some(provider) = record.pointer("/principal/provider").filter(|p| p.is_string()) {
        actor.insert("idp".to_owned(), json!({"name": provider}));
    }
    Value::Object(actor)
}

/// Where it came from: an address, or the way where there is none.
fn source(record: &Value) -> Value {
    match record.pointer("/client/ip").filter(|ip| ip.is_string()) {
        Some(ip) => json!({"ip": ip}),
        None => {
            json!({"name": record.get("caller_type").and_then(Value::as_str).unwrap_or("unknown")})
        }
    }
}

fn api(record: &Value, name: &str) -> Value {
    let mut api = json!({
        "operation": name,
        "service": {"name": "mxcp"},
        "group": {"name": record.get("operation_type")},
    });
    if let (Some(api), Some(id)) = (api.as_object_mut(), record.get("record_id")) {
        api.insert("request".to_owned(), json!({"uid": id}));
        if let Some(error) = record.get("error").filter(|error| error.is_string()) {
            api.insert("response".to_owned(), json!({"error": error}));
        }
    }
    api
}

/// What the schema has no place for, without what is not there.
fn unmapped(record: &Value) -> Value {
    let members = record.as_object().into_iter().flatten();
    let kept = members.filter(|(name, value)| {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        !empty && !MAPPED.contains(&name.as_str())
    });
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({
            "schema_name": "mxcp.endpoints", "record_id": "r-1",
            "timestamp": "2026-01-01T00:00:00.250000Z", "caller_type": "http",
            "operation_type": "tool", "operation_name": "patient", "operation_status": "error",
            "duration_ms": 12, "input_data": {"id": 1}, "error": "policy denied",
            "user_id": "u-1", "principal": {"username": "ann", "email": "ann@example.org", "provider": "google"},
            "client": {"id": "claude", "ip": "192.0.2.1"}, "session_id": "s-1", "trace_id": "t-1",
            "bundle": "blake3:aa", "policies_fired": ["input[0]"], "policies_evaluated": [],
            "policy_decision": "deny", "policy_reason": "nurses only", "seq": 7, "output_data": null,
        })
    }

    #[test]
    fn a_denied_call_is_api_activity() {
        let event = ocsf(&record());
        assert_eq!(event["class_uid"], 6_003);
        assert_eq!((&event["type_uid"], &event["severity_id"]), (&json!(600_399), &json!(3)));
        assert_eq!(event["time"], 1_767_225_600_250_i64);
        assert_eq!((&event["action"], &event["status"]), (&json!("Denied"), &json!("Failure")));
        assert_eq!(event["status_detail"], "nurses only");
        assert_eq!(event["actor"]["user"]["uid"], "u-1");
        assert_eq!(event["actor"]["app_name"], "claude");
        assert_eq!(event["src_endpoint"], json!({"ip": "192.0.2.1"}));
        assert_eq!(event["api"]["operation"], "patient");
        assert_eq!(event["metadata"]["uid"], "r-1");
        assert_eq!(event["metadata"]["sequence"], 7);
        assert_eq!(event["unmapped"]["input_data"], json!({"id": 1}));
        assert_eq!(event["unmapped"]["policies_fired"], json!(["input[0]"]));
        assert!(event["unmapped"].get("output_data").is_none());
    }

    #[test]
    fn every_kind_has_a_class_and_every_event_what_it_needs() {
        for (kind, name, class, activity) in [
            ("resource", "patient://{id}", 6_003, 2),
            ("list", "tools/list", 6_003, 2),
            ("auth", "issued", 3_002, 1),
            ("auth", "revoked", 3_002, 2),
            ("auth", "refused", 3_002, 99),
            ("system", "start", 6_002, 3),
            ("system", "gap", 6_002, 99),
            ("unknown", "x", 6_003, 99),
        ] {
            let mut record = record();
            record["operation_type"] = kind.into();
            record["operation_name"] = name.into();
            let event = ocsf(&record);
            assert_eq!(
                (&event["class_uid"], &event["activity_id"]),
                (&json!(class), &json!(activity)),
                "{kind}"
            );
            assert_eq!(event["type_uid"], class * 100 + activity);
        }
        let event = ocsf(&json!({}));
        assert_eq!(event["actor"]["app_name"], "unknown");
        assert_eq!(event["src_endpoint"]["name"], "unknown");
        let lost = json!({"operation_type": "system", "operation_name": "gap", "event": {"acknowledged": true}});
        assert_eq!(ocsf(&lost)["severity_id"], 4);
    }
}
