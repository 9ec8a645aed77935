//! Completion of arguments, from the values that their declarations list.

use mxcp_schemas::bundle::definition::Kind;

use super::dispatch::{Context, Success};
use super::fault::Fault;
use super::jsonrpc::Code;
use crate::endpoint::Endpoint;
use crate::json::{self, Json, get, quoted};

/// Suggestions of one answer, at most, as the protocol has it.
const SUGGESTIONS_MAX: usize = 100;

/// Suggests values for an argument of a prompt or a variable of a resource template.
pub(super) fn complete(context: &Context<'_>) -> Result<Success, Fault> {
    let invalid = |message: &str| Fault::new(Code::InvalidParams, message);
    let endpoint = referenced(context)?;
    let argument = get(context.params, "argument");
    let part = |name| argument.and_then(|argument| argument.get(name)).and_then(Json::as_str);
    let (Some(name), Some(typed)) = (part("name"), part("value")) else {
        return Err(invalid(
            "`params.argument` must be an object with the texts `name` and `value`",
        ));
    };
    let mut parameters = endpoint.definition.parameters.iter();
    let Some(parameter) = parameters.find(|parameter| parameter.name == name) else {
        return Err(invalid("there is no such argument"));
    };
    let node = context.server.runtime.checks().node(parameter.ty);
    let choices = node.filter(|node| !node.sensitive).map_or(&[][..], |node| &node.choices);
    let typed = typed.to_lowercase();
    let fitting: Vec<String> = choices
        .iter()
        .map(|choice| as_text(choice))
        .filter(|choice| choice.to_lowercase().starts_with(&typed))
        .collect();
    let shown: Vec<String> =
        fitting.iter().take(SUGGESTIONS_MAX).map(|text| quoted(text)).collect();
    let (total, more) = (fitting.len(), fitting.len() > SUGGESTIONS_MAX);
    let members = format!(
        r#""completion":{{"values":[{}],"total":{total},"hasMore":{more}}}"#,
        shown.join(",")
    );
    Ok(Success { members, ..Success::default() })
}

/// The endpoint that a reference names. One that lists hide is not there.
fn referenced<'c>(context: &Context<'c>) -> Result<&'c Endpoint, Fault> {
    let invalid = |message: &str| Fault::new(Code::InvalidParams, message);
    let reference = get(context.params, "ref");
    let part = |name| reference.and_then(|reference| reference.get(name)).and_then(Json::as_str);
    let runtime = &context.server.runtime;
    let catalog = runtime.catalog();
    let endpoint = match (part("type"), part("name"), part("uri")) {
        (Some("ref/prompt"), Some(name), _) => catalog.find(Kind::Prompt, name),
        (Some("ref/resource"), _, Some(uri)) => catalog.find(Kind::Resource, uri),
        _ => {
            return Err(invalid(
                "`params.ref` must be {\"type\": \"ref/prompt\", \"name\"} or \
                 {\"type\": \"ref/resource\", \"uri\"}",
            ));
        }
    };
    endpoint
        .filter(|endpoint| runtime.is_visible(endpoint, &context.caller.principal))
        .ok_or_else(|| invalid("there is no such prompt or resource"))
}

/// A choice as a person types it.
fn as_text(choice: &str) -> String {
    match json::parse(choice.as_bytes()) {
        Ok(Json::String(text)) => text.into_owned(),
        _ => choice.to_owned(),
    }
}
