//! Whether a call came to what its test expects.

use mxcp_runtime::enforce::{Class, Failure, Outcome};
use mxcp_schemas::document::endpoint::{Denied, Test};
use mxcp_schemas::document::ty::same;
use serde_json::{Value, json};

/// What is wrong, in words.
pub(super) fn judge(test: &Test, outcome: &Outcome) -> Result<(), String> {
    if let Some(expected) = &test.expect_denied {
        return denied(expected, outcome);
    }
    if let Some(expected) = &test.expect_error {
        return failed(expected, outcome);
    }
    match outcome {
        Outcome::Value(value) => {
            let result: Value = serde_json::from_str(&value.json)
                .map_err(|e| format!("the result is not JSON: {e}"))?;
            result_is(test, &result)
        }
        Outcome::Messages(messages) => {
            let all: Vec<Value> =
                messages.iter().map(|m| json!({"role": m.role, "content": m.text})).collect();
            result_is(test, &Value::Array(all))
        }
        Outcome::Failed(Failure { class: Class::Denied, text }) => {
            Err(format!("the call was denied: {text}"))
        }
        Outcome::Failed(failure) => Err(format!("the call failed: {}", failure.text)),
    }
}

fn denied(expected: &Denied, outcome: &Outcome) -> Result<(), String> {
    match (outcome, expected) {
        (Outcome::Failed(Failure { class: Class::Denied, text }), Denied::Reason(reason)) => {
            if text.contains(reason.as_str()) {
                Ok(())
            } else {
                Err(format!("denied, but because: {text}"))
            }
        }
        (Outcome::Failed(Failure { class: Class::Denied, .. }), Denied::Any) => Ok(()),
        (Outcome::Failed(failure), _) => {
            Err(format!("a denial was expected, and the call failed: {}", failure.text))
        }
        _ => Err("a denial was expected, and the call was answered".to_owned()),
    }
}

fn failed(expected: &str, outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Failed(failure) if failure.class != Class::Denied => {
            if failure.text.contains(expected) {
                Ok(())
            } else {
                Err(format!("the error does not contain `{expected}`: {}", failure.text))
            }
        }
        Outcome::Failed(failure) => {
            Err(format!("an error was expected, and the call was denied: {}", failure.text))
        }
        _ => Err("an error was expected, and the call was answered".to_owned()),
    }
}

fn result_is(test: &Test, result: &Value) -> Result<(), String> {
    let show = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > 300 {
            format!("{}…", text.chars().take(300).collect::<String>())
        } else {
            text
        }
    };
    if let Some(expected) = &test.result
        && !same(expected, result)
    {
        return Err(format!("expected {}, got {}", show(expected), show(result)));
    }
    if let Some(part) = &test.result_contains
        && !contains(result, part)
    {
        return Err(format!("{} is not in {}", show(part), show(result)));
    }
    for name in &test.result_not_contains {
        let has = |value: &Value| value.get(name).is_some();
        let found = match result {
            Value::Array(items) => items.iter().any(has),
            other => has(other),
        };
        if found {
            return Err(format!("the result has `{name}`"));
        }
    }
    items(test, result, show)?;
    if let Some(text) = &test.result_contains_text {
        let whole = match result {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !whole.contains(text.as_str()) {
            return Err(format!("`{text}` is not in {}", show(result)));
        }
    }
    Ok(())
}

fn items(test: &Test, result: &Value, show: impl Fn(&Value) -> String) -> Result<(), String> {
    let all = result.as_array().map_or(&[][..], Vec::as_slice);
    let wanted = test.result_contains_item.iter().chain(test.result_contains_all.iter().flatten());
    for item in wanted {
        if !all.iter().any(|found| contains(found, item)) {
            return Err(format!("no item is like {} in {}", show(item), show(result)));
        }
    }
    match test.result_length {
        Some(length) if !result.is_array() => {
            Err(format!("{length} items are expected, and the result is no list"))
        }
        Some(length) if all.len() as u64 != length => {
            Err(format!("{length} items are expected, and there are {}", all.len()))
        }
        _ => Ok(()),
    }
}

/// Whether a value has at least what a part says.
fn contains(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(fields), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, part)| fields.get(name).is_some_and(|value| contains(value, part))),
        (Value::Array(items), wanted) if !wanted.is_array() => {
            items.iter().any(|item| contains(item, wanted))
        }
        _ => same(value, part),
    }
}
