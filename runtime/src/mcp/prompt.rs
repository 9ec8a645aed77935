//! Prompts: listing and rendering them.

use mxcp_schemas::bundle::definition::Kind;

use super::dispatch::{Context, Handled, Success};
use super::fault::Fault;
use super::jsonrpc::Code;
use super::list::{self, Object, Subject};
use crate::enforce::{Answer, Call, Given, Outcome};
use crate::json::quoted;
use crate::prompt::Rendered;

pub(super) fn list(context: &Context<'_>) -> Result<Success, Fault> {
    list::answer(context, Subject::Prompts)
}

/// Renders a prompt.
pub(super) async fn get(context: &Context<'_>) -> Handled {
    let (name, arguments) = match (context.text("name"), context.arguments()) {
        (Ok(name), Ok(arguments)) => (name, arguments),
        (Err(fault), _) | (_, Err(fault)) => return Handled::Plain(Err(fault)),
    };
    let call = Call {
        kind: Kind::Prompt,
        target: name,
        given: Given::Members(arguments),
        caller: context.caller,
        cancel: context.cancel,
    };
    match context.server.runtime.call(call).await {
        Err(unrecorded) => Handled::Unrecorded(unrecorded),
        Ok(answer) => {
            let Answer { outcome, call_id, receipt } = answer;
            let result = match outcome {
                Outcome::Messages(rendered) => Ok(messages(context, name, &rendered)),
                Outcome::Value(_) => Err(Fault::new(Code::Internal, "a prompt has no value")),
                Outcome::Failed(failure) => Err(Fault::of_failure(&failure, call_id)),
            };
            let result = result.map(|members| Success {
                members,
                call_id: Some(call_id),
                ..Success::default()
            });
            Handled::Recorded(result, receipt)
        }
    }
}

fn messages(context: &Context<'_>, name: &str, rendered: &[Rendered]) -> String {
    let endpoint = context.server.runtime.catalog().find(Kind::Prompt, name);
    let description = endpoint.and_then(|endpoint| endpoint.definition.description.as_deref());
    let message = |message: &Rendered| {
        let (role, text) = (quoted(&message.role), quoted(&message.text));
        format!(r#"{{"role":{role},"content":{{"type":"text","text":{text}}}}}"#)
    };
    let list: Vec<String> = rendered.iter().map(message).collect();
    let mut members = String::new();
    let mut object = Object::begun(&mut members);
    object.optional("description", description);
    object.raw("messages", &format!("[{}]", list.join(",")));
    members
}
