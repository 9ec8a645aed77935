//! The methods of the protocol: one table that says which revision has which, and who answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mxcp_schemas::audit::OperationType;
use tokio_util::sync::CancellationToken;

use super::era::Revision;
use super::fault::Fault;
use super::jsonrpc::Code;
use super::list::LIST_TTL_MS;
use super::server::Server;
use super::session::Session;
use super::{completion, lifecycle, prompt, resource, tool};
use crate::audit::{AuditReceipt, CallId};
use crate::enforce::{Caller, Note, Unrecorded};
use crate::json::{Json, Member, get};

/// The methods, sorted by name.
static METHODS: &[Method] = &[
    Method::both("completion/complete", OperationType::List, |c| plain(completion::complete(c))),
    Method::legacy("initialize", |c| plain(lifecycle::initialize(c))),
    Method::legacy("logging/setLevel", |c| plain(lifecycle::set_level(c))),
    Method::legacy("ping", |_| plain(Ok(Success::default()))),
    Method::both("prompts/get", OperationType::Prompt, |c| Box::pin(prompt::get(c))),
    Method::both("prompts/list", OperationType::List, |c| plain(prompt::list(c))),
    Method::both("resources/list", OperationType::List, |c| plain(resource::list(c))),
    Method::both("resources/read", OperationType::Resource, |c| Box::pin(resource::read(c))),
    Method::both("resources/templates/list", OperationType::List, |c| {
        plain(resource::templates(c))
    }),
    Method::modern("server/discover", |c| plain(lifecycle::discover(c))),
    Method::both("tools/call", OperationType::Tool, |c| Box::pin(tool::call(c))),
    Method::both("tools/list", OperationType::List, |c| plain(tool::list(c))),
];

/// A request on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// who answers
    pub server: &'a Server,
    /// who asks
    pub caller: &'a Arc<Caller>,
    /// in which revision of the protocol
    pub revision: Revision,
    /// cancelled when the answer is no longer wanted
    pub cancel: &'a CancellationToken,
    /// with what
    pub params: &'a [Member<'a>],
}

/// A result before it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Success {
    /// members of the result object, without braces
    pub members: String,
    /// how long and by whom it may be kept; some results must say so
    pub cache: Option<Cache>,
    /// the call whose result it is
    pub call_id: Option<CallId>,
    /// the session that it opened
    pub opened: Option<Arc<Session>>,
}

/// How long and by whom a result may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cache {
    /// in milliseconds
    pub ttl_ms: u64,
    /// whether it depends on who asks
    pub is_private: bool,
}

impl Cache {
    /// How a list may be kept.
    pub(super) const fn list(is_private: bool) -> Self {
        Self { ttl_ms: LIST_TTL_MS, is_private }
    }
}

/// What a handler comes to.
#[derive(Debug)]
pub(super) enum Handled {
    /// still to be recorded
    Plain(Result<Success, Fault>),
    /// recorded as a call
    Recorded(Result<Success, Fault>, AuditReceipt),
    /// could not be recorded
    Unrecorded(Unrecorded),
}

type Handling<'a> = Pin<Box<dyn Future<Output = Handled> + Send + 'a>>;

struct Method {
    name: &'static str,
    legacy: bool,
    modern: bool,
    operation: OperationType,
    handle: for<'a> fn(&'a Context<'a>) -> Handling<'a>,
}

impl Method {
    const fn both(
        name: &'static str,
        operation: OperationType,
        handle: for<'a> fn(&'a Context<'a>) -> Handling<'a>,
    ) -> Self {
        Self { name, legacy: true, modern: true, operation, handle }
    }

    const fn legacy(
        name: &'static str,
        handle: for<'a> fn(&'a Context<'a>) -> Handling<'a>,
    ) -> Self {
        Self { name, legacy: true, modern: false, operation: OperationType::List, handle }
    }

    const fn modern(
        name: &'static str,
        handle: for<'a> fn(&'a Context<'a>) -> Handling<'a>,
    ) -> Self {
        Self { name, legacy: false, modern: true, operation: OperationType::List, handle }
    }
}

fn plain<'a>(result: Result<Success, Fault>) -> Handling<'a> {
    Box::pin(std::future::ready(Handled::Plain(result)))
}

fn find(name: &str) -> Option<&'static Method> {
    let index = METHODS.binary_search_by(|method| method.name.cmp(name)).ok()?;
    METHODS.get(index)
}

/// Whether a method is one that wants an answer.
pub(super) fn is_request(method: &str) -> bool {
    find(method).is_some()
}

/// Answers a request, or refuses it as it has been decided, and records that.
///
/// # Errors
/// When it cannot be recorded.
pub(super) async fn run(
    context: &Context<'_>,
    name: &str,
    refused: Option<Fault>,
) -> Result<(Result<Success, Fault>, AuditReceipt), Unrecorded> {
    let modern = context.revision.is_modern();
    let method = find(name).filter(|method| if modern { method.modern } else { method.legacy });
    let id = CallId::begin();
    let started = std::time::Instant::now();
    let handled = match (method, refused) {
        (_, Some(fault)) => Handled::Plain(Err(fault)),
        (None, None) => Handled::Plain(Err(Fault::unknown_method(name, modern))),
        (Some(method), None) => (method.handle)(context).await,
    };
    let result = match handled {
        Handled::Recorded(result, receipt) => return Ok((result, receipt)),
        Handled::Unrecorded(unrecorded) => return Err(unrecorded),
        Handled::Plain(result) => result,
    };
    let operation = method.map_or(OperationType::List, |method| method.operation);
    let error = result.as_ref().err().map(Fault::class);
    let note = Note { id, started, operation, name, error };
    let receipt = context.server.runtime.note(context.caller, note).await?;
    Ok((result, receipt))
}

impl<'a> Context<'a> {
    /// A required text among the parameters.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub(super) fn text(&self, name: &str) -> Result<&'a str, Fault> {
        match get(self.params, name) {
            Some(Json::String(text)) => Ok(text),
            Some(other) => Err(Fault::new(
                Code::InvalidParams,
                format!("`params.{name}` must be a string, not {}", other.kind()),
            )),
            None => Err(Fault::new(Code::InvalidParams, format!("`params.{name}` is missing"))),
        }
    }

    /// The object `arguments` among the parameters; empty when it is not there.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn arguments(&self) -> Result<&'a [Member<'a>], Fault> {
        match get(self.params, "arguments") {
            None | Some(Json::Null) => Ok(&[]),
            Some(Json::Object(members)) => Ok(members),
            Some(other) => Err(Fault::new(
                Code::InvalidParams,
                format!("`params.arguments` must be an object, not {}", other.kind()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_method_belongs_to_an_era() {
        assert!(METHODS.is_sorted_by_key(|method| method.name));
        assert!(METHODS.iter().all(|method| method.legacy || method.modern));
        assert!(is_request("ping") && !is_request("notifications/cancelled"));
    }
}
