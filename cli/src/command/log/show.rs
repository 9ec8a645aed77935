//! How records are printed.

use mxcp_runtime::audit::query::{Numbers, Stats, ocsf};
use serde_json::{Value, json};

use crate::ui::Ui;

/// The forms of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shape {
    /// a table for people
    Table,
    /// as the trail has them
    Json,
    /// events of the Open Cybersecurity Schema Framework, one a line
    Ocsf,
}

/// Prints records together.
pub(super) fn all(ui: Ui, records: Vec<Value>, shape: Shape) {
    match shape {
        Shape::Json => ui.document(&Value::Array(records)),
        Shape::Ocsf => records.iter().for_each(|record| line(ui, record, shape)),
        Shape::Table => {
            let rows: Vec<Value> = records.iter().map(row).collect();
            crate::table::print(ui, &rows);
        }
    }
}

/// Prints a record on a line of its own.
pub(super) fn line(ui: Ui, record: &Value, shape: Shape) {
    match shape {
        Shape::Json => ui.line(&record.to_string()),
        Shape::Ocsf => ui.line(&ocsf(record).to_string()),
        Shape::Table => {
            let row = row(record);
            let cells = row.as_object().into_iter().flatten().filter_map(|(_, cell)| match cell {
                Value::Null => None,
                Value::String(text) if text.is_empty() => None,
                Value::String(text) => Some(text.chars().map(printable).collect()),
                other => Some(other.to_string()),
            });
            ui.line(&cells.collect::<Vec<String>>().join("  "));
        }
    }
}

/// What a client says moves no cursor.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// What a table shows of a record.
fn row(record: &Value) -> Value {
    let text = |key: &str| record.get(key).cloned().unwrap_or(Value::Null);
    let who =
        [text("user_id"), record.pointer("/principal/username").cloned().unwrap_or(Value::Null)]
            .into_iter()
            .find(|value| !value.is_null())
            .unwrap_or(Value::Null);
    let fired = text("policies_fired")
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    json!({
        "time": text("timestamp"),
        "type": text("operation_type"),
        "name": text("operation_name"),
        "user": who,
        "status": text("operation_status"),
        "policy": text("policy_decision"),
        "fired": fired,
        "reason": text("policy_reason"),
        "ms": text("duration_ms"),
    })
}

/// Prints numbers.
pub(super) fn stats(ui: Ui, stats: &Stats) {
    let numbers = |n: &Numbers| {
        json!({"calls": n.calls, "errors": n.errors, "denials": n.denials,
               "p50_ms": n.p50_ms, "p95_ms": n.p95_ms, "p99_ms": n.p99_ms})
    };
    let join = |mut head: Value, tail: Value| {
        if let (Some(head), Value::Object(tail)) = (head.as_object_mut(), tail) {
            head.extend(tail);
        }
        head
    };
    let endpoints = stats.endpoints.iter().map(|e| {
        join(json!({"type": e.operation_type, "name": e.operation_name}), numbers(&e.numbers))
    });
    let endpoints: Vec<Value> = endpoints.collect();
    let users: Vec<Value> =
        stats.users.iter().map(|u| join(json!({"user": u.user_id}), numbers(&u.numbers))).collect();
    if ui.json {
        ui.document(&json!({"endpoints": endpoints, "users": users}));
    } else {
        crate::table::print(ui, &endpoints);
        ui.line("");
        crate::table::print(ui, &users);
    }
}
