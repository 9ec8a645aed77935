//! The one way into execution.
//!
//! Whatever asks for an endpoint (a client over HTTP or standard input, a command, a test) passes
//! here, and a call goes through these states in this order and no other:
//!
//! ```text
//! Received → Authenticated → Validated → Admitted → Executed → Decided → Recorded → Answer
//! ```
//!
//! Each state is a type, made from the one before it alone; what stops a call on its way is
//! decided and recorded like everything else. An [`Answer`] holds the receipt of its audit record,
//! and only `Recorded` makes one: no audit, no answer.

mod ask;
mod asked;
mod execute;
mod record;
mod sql;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use mxcp_schemas::audit::{CallerType, OperationType};
use mxcp_schemas::bundle::definition::Kind;
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditReceipt, CallId};
use crate::auth::admission::Vouched;
use crate::endpoint::Endpoint;
use crate::json::Member;
use crate::mcp::fault::Fault;
use crate::mcp::server::Arrival;
use crate::principal::Principal;
use crate::prompt::Rendered;
use crate::serve::Runtime;

/// Who calls, and how.
#[derive(Debug, Clone)]
pub struct Caller {
    /// who it is
    pub principal: Arc<Principal>,
    /// how the call came
    pub via: CallerType,
    /// name of the client program, as it says
    pub client: Option<Arc<str>>,
    /// address of the client
    pub client_ip: Option<Arc<str>>,
    /// session of the transport
    pub session_id: Option<Arc<str>>,
    /// trace that the call belongs to
    pub trace_id: Option<Arc<str>>,
    /// headers of the request, if it came with any
    pub headers: Option<Arc<HeaderMap>>,
    /// whether the caller operates the server, and may see why a call failed
    pub operator: bool,
    /// the token that vouches for the caller, where there is authentication
    pub vouched: Option<Vouched>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// tool, resource or prompt
    pub kind: Kind,
    /// its name; the URI of a resource
    pub target: &'c str,
    /// with which arguments
    pub given: Given<'c>,
    /// who asks
    pub caller: &'c Arc<Caller>,
    /// cancelled when the answer is no longer wanted
    pub cancel: &'c CancellationToken,
}

/// Arguments as they were given.
#[derive(Debug, Clone, Copy)]
pub enum Given<'c> {
    /// members of a JSON object
    Members(&'c [Member<'c>]),
    /// texts, read by the declared types; the variables of a resource's URI are such texts too
    Texts(&'c [(&'c str, String)]),
}

/// What a call came to, with the proof that it is recorded.
#[derive(Debug)]
pub struct Answer {
    /// what it came to
    pub outcome: Outcome,
    /// which call it was
    pub call_id: CallId,
    /// proof that it is recorded
    pub receipt: AuditReceipt,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// a value
    Value(Value),
    /// the messages of a prompt
    Messages(Vec<Rendered>),
    /// nothing
    Failed(Failure),
}

/// A result, after all policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// as JSON
    pub json: String,
    /// whether it is a member `result` where an object is wanted: it is none, or may not be
    pub is_wrapped: bool,
    /// whether it is octets, which JSON has in base64
    pub is_octets: bool,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// what kind of failure
    pub class: Class,
    /// what the caller may read
    pub text: String,
}

impl Failure {
    /// What the client reads: the text, with the call that it can ask the operator about.
    pub fn for_client(&self, call_id: CallId) -> String {
        if self.text.contains(call_id.as_str()) {
            self.text.clone()
        } else {
            format!("{} (call {call_id})", self.text)
        }
    }
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// there is no such endpoint
    Unknown,
    /// the arguments break a rule
    Arguments,
    /// a policy refused
    Denied,
    /// a limit was reached; try again after this time
    Busy(Duration),
    /// execution failed, or its result is not as declared
    Failed,
    /// the answer is no longer wanted
    Cancelled,
}

/// A call that could not be recorded, and so has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call could not be recorded in the audit trail and is not answered (call {call_id})")]
pub struct Unrecorded {
    /// which call it was
    pub call_id: CallId,
}

/// Something that is recorded and is no call: a list, a completion, a rejected message.
#[derive(Debug, Clone, Copy)]
pub struct Note<'n> {
    /// its id
    pub id: CallId,
    /// when it began
    pub started: Instant,
    /// what kind of operation
    pub operation: OperationType,
    /// which one: the method
    pub name: &'n str,
    /// why it failed, if it did
    pub error: Option<&'n str>,
}

impl<'n> Note<'n> {
    /// A message that never became a request.
    pub fn rejected(name: &'n str, fault: &Fault) -> Self {
        Self {
            id: CallId::begin(),
            started: Instant::now(),
            operation: OperationType::List,
            name,
            error: Some(fault.class()),
        }
    }

    /// Something that was done at once.
    pub fn done(name: &'n str) -> Self {
        Self {
            id: CallId::begin(),
            started: Instant::now(),
            operation: OperationType::List,
            name,
            error: None,
        }
    }
}

impl Caller {
    /// The sender of a message.
    pub fn new(arrival: &Arrival) -> Self {
        Self {
            principal: Arc::clone(&arrival.principal),
            via: arrival.via,
            client: None,
            client_ip: arrival.client_ip.clone(),
            session_id: None,
            trace_id: None,
            headers: arrival.headers.clone(),
            operator: arrival.operator,
            vouched: arrival.vouched.clone(),
        }
    }

    /// The headers that endpoints may see: none that carries a credential.
    pub fn visible_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = self.headers.iter().flat_map(|headers| headers.iter());
        headers.filter_map(|(name, value)| {
            let name = name.as_str();
            let is_secret =
                matches!(name, "authorization" | "cookie") || name.starts_with("proxy-");
            Some((name, value.to_str().ok()?)).filter(|_| !is_secret)
        })
    }
}

impl Runtime {
    /// Makes a call.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn call(self: &Arc<Self>, call: Call<'_>) -> Result<Answer, Unrecorded> {
        state::run(self, call).await?.record().await.map(record::Recorded::answer)
    }

    /// Records something that is no call.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn note(&self, caller: &Caller, note: Note<'_>) -> Result<AuditReceipt, Unrecorded> {
        record::note(self, caller, note).await
    }

    /// Whether a list shows an endpoint to a caller: not if an input policy that depends on the
    /// caller alone would refuse every call, or errs.
    pub fn is_visible(&self, endpoint: &Endpoint, principal: &Principal) -> bool {
        self.prepared(endpoint).is_ok_and(|prepared| {
            let refuses =
                |rule| ask::by_caller(self, rule, principal).is_some_and(|told| told.fires());
            !prepared.input.iter().any(refuses)
        })
    }

    /// Whether the lists of a kind depend on who asks.
    pub fn lists_depend_on_caller(&self, kind: Kind) -> bool {
        self.catalog().of(kind).iter().any(|endpoint| {
            self.prepared(endpoint).is_ok_and(|prepared| {
                prepared.input.iter().any(|rule| {
                    let predicate = self.machinery().predicate(rule.program);
                    predicate.is_some_and(|p| p.depends().caller_only() && p.depends().user)
                })
            })
        })
    }
}
