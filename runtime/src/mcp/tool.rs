//! Tools: listing and calling them.

use mxcp_schemas::bundle::definition::Kind;

use super::dispatch::{Context, Handled, Success};
use super::fault::Fault;
use super::jsonrpc::Code;
use super::list::{self, Object, Subject};
use crate::audit::CallId;
use crate::enforce::{Answer, Call, Class, Failure, Given, Outcome, Value};
use crate::json::quoted;

pub(super) fn list(context: &Context<'_>) -> Result<Success, Fault> {
    list::answer(context, Subject::Tools)
}

/// Calls a tool. What goes wrong within the call is a result that says so, for the model that
/// called to read; what is wrong with the request is an error of the protocol.
pub(super) async fn call(context: &Context<'_>) -> Handled {
    let (name, arguments) = match (context.text("name"), context.arguments()) {
        (Ok(name), Ok(arguments)) => (name, arguments),
        (Err(fault), _) | (_, Err(fault)) => return Handled::Plain(Err(fault)),
    };
    let call = Call {
        kind: Kind::Tool,
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
                Outcome::Value(value) => Ok(succeed(&value, context)),
                Outcome::Failed(failure) => refuse(&failure, call_id),
                Outcome::Messages(_) => Err(Fault::new(Code::Internal, "a tool has no messages")),
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

fn succeed(value: &Value, context: &Context<'_>) -> String {
    let json = &value.json;
    let mut members = String::with_capacity(2 * json.len() + 128);
    let mut object = Object::begun(&mut members);
    object.raw("content", &content(json));
    if context.revision.has_structured_results() {
        // Structured content is an object, as most revisions have it.
        if value.is_wrapped {
            object.raw("structuredContent", &format!(r#"{{"result":{json}}}"#));
        } else {
            object.raw("structuredContent", json);
        }
    }
    object.raw("isError", "false");
    members
}

fn refuse(failure: &Failure, call_id: CallId) -> Result<String, Fault> {
    if let Class::Unknown | Class::Busy(_) | Class::Cancelled = failure.class {
        return Err(Fault::of_failure(failure, call_id));
    }
    let mut members = String::new();
    let mut object = Object::begun(&mut members);
    object.raw("content", &content(&failure.for_client(call_id)));
    object.raw("isError", "true");
    Ok(members)
}

fn content(text: &str) -> String {
    format!(r#"[{{"type":"text","text":{}}}]"#, quoted(text))
}
