//! Reading what providers answer: wrong types are errors, never absences.

use super::ProviderError;
use crate::auth::fetch::Document;
use crate::json::{Json, Member};

/// The members of an answer that must be an object.
pub(super) fn members(document: &Document) -> Result<Vec<Member<'_>>, ProviderError> {
    match document.json()? {
        Json::Object(members) => Ok(members),
        other => Err(ProviderError::Answer(format!("it is {}, not an object", other.kind()))),
    }
}

/// A string that may be absent; null is absence.
pub(super) fn optional<'j>(
    json: &'j Json<'_>,
    name: &str,
) -> Result<Option<&'j str>, ProviderError> {
    match json.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, other, "a string")),
    }
}

/// A string that must be there and hold something.
pub(super) fn required<'j>(json: &'j Json<'_>, name: &str) -> Result<&'j str, ProviderError> {
    optional(json, name)?
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ProviderError::Answer(format!("`{name}` is missing")))
}

/// A list of strings that may be absent; one string is a list of one.
pub(super) fn list(json: &Json<'_>, name: &str) -> Result<Vec<String>, ProviderError> {
    match json.get(name) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(text)) => Ok(vec![text.to_string()]),
        Some(value @ Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(name, value, "a list of strings")),
        Some(other) => Err(wrong(name, other, "a list of strings")),
    }
}

/// A boolean that may be absent.
pub(super) fn flag(json: &Json<'_>, name: &str) -> Result<Option<bool>, ProviderError> {
    match json.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(wrong(name, other, "a boolean")),
    }
}

/// Words separated by spaces.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn wrong(name: &str, value: &Json<'_>, expected: &str) -> ProviderError {
    ProviderError::Answer(format!("`{name}` is {}, not {expected}", value.kind()))
}
