//! The protocol's side of a server: from the bytes of a message to the bytes of its answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use mxcp_schemas::audit::{CallerType, OperationType};
use tokio_util::sync::CancellationToken;

use super::dispatch::{self, Context, Success};
use super::era::{self, Era, Origin, Revision, trace_id};
use super::fault::Fault;
use super::jsonrpc::{self, Code, Id, Message, Notification, Payload, Request};
use super::list::Object;
use super::session::{Inflight, Session, Sessions};
use crate::audit::AuditReceipt;
use crate::auth::admission::Vouched;
use crate::enforce::{Caller, Note, Unrecorded};
use crate::json::quoted;
use crate::limits::{Limits, size};
use crate::principal::Principal;
use crate::serve::Runtime;
use crate::transport::headers;

/// Answers messages.
#[derive(Debug)]
pub struct Server {
    /// what executes calls
    pub runtime: Arc<Runtime>,
    /// sessions of legacy clients; none when the server is stateless
    pub sessions: Option<Sessions>,
    /// `serverInfo` as JSON
    pub info: String,
}

/// A connection that carries many messages: standard input and output.
#[derive(Debug, Default)]
pub struct Connection {
    session: Mutex<Option<Arc<Session>>>,
    inflight: Inflight,
}

/// Where a message came from and who sent it.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// HTTP headers; none on a connection without them
    pub headers: Option<Arc<HeaderMap>>,
    /// who sent it
    pub principal: Arc<Principal>,
    /// how it came
    pub via: CallerType,
    /// address of the client
    pub client_ip: Option<Arc<str>>,
    /// whether the person who calls is the one who operates the server, and may see why a call
    /// failed
    pub operator: bool,
    /// the token that vouches for the sender, where there is authentication
    pub vouched: Option<Vouched>,
    /// cancelled when the client goes away
    pub cancel: CancellationToken,
}

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status
    pub status: u16,
    /// a JSON-RPC message or batch; none for what wants no answer
    pub body: Option<String>,
    /// the id of a session that was opened
    pub session: Option<String>,
    /// after what time trying again may help
    pub retry_after: Option<Duration>,
}

impl Answer {
    fn accepted() -> Self {
        Self { status: 202, body: None, session: None, retry_after: None }
    }

    /// An answer to something that is no request.
    pub fn fault(id: Option<&Id>, fault: &Fault) -> Self {
        let body = jsonrpc::error(id, fault.code, &fault.message, fault.data.as_deref());
        Self {
            status: fault.status,
            body: Some(body),
            session: None,
            retry_after: fault.retry_after,
        }
    }
}

/// A message with everything that is known about it.
struct Received<'a> {
    arrival: &'a Arrival,
    connection: Option<&'a Connection>,
    session: Option<Arc<Session>>,
}

impl Server {
    /// A server for a runtime.
    pub fn new(runtime: Arc<Runtime>, stateless: bool) -> Self {
        let limits = runtime.limits();
        let sessions = (!stateless).then(|| {
            let idle = Limits::duration(limits.session_idle_ms);
            Sessions::new(size(limits.max_open_sessions), idle)
        });
        let mut info = String::new();
        let mut object = Object::new(&mut info);
        object.text("name", runtime.project());
        object.text("version", env!("CARGO_PKG_VERSION"));
        object.end();
        Self { runtime, sessions, info }
    }

    /// Answers the messages of one body. A connection without headers is given with it.
    pub async fn receive(
        &self,
        body: &[u8],
        arrival: &Arrival,
        connection: Option<&Connection>,
    ) -> Answer {
        let received = match self.session(arrival, connection) {
            Ok(session) => Received { arrival, connection, session },
            Err(fault) => return self.reject(None, fault, arrival).await,
        };
        let limits = self.runtime.limits();
        let depth = size(limits.max_json_depth);
        match jsonrpc::read(body, size(limits.max_body_bytes), depth) {
            Ok(Payload::Single(message)) => self.message(&received, message).await,
            Ok(Payload::Batch(messages)) if received.has_batches() => {
                let mut answers = Vec::with_capacity(messages.len());
                for message in messages {
                    let answer = match message {
                        Ok(Message::Request(request)) if request.method == "initialize" => {
                            let message = "`initialize` stands alone, not in a batch";
                            let fault = Fault::bad(Code::InvalidRequest, message);
                            self.reject(Some(&request.id), fault, arrival).await
                        }
                        Ok(message) => self.message(&received, message).await,
                        Err(malformed) => {
                            let id = malformed.id.clone();
                            self.reject(id.as_ref(), malformed.into(), arrival).await
                        }
                    };
                    answers.extend(answer.body);
                }
                if answers.is_empty() {
                    return Answer::accepted();
                }
                let body = Some(format!("[{}]", answers.join(",")));
                Answer { status: 200, body, session: None, retry_after: None }
            }
            Ok(Payload::Batch(_)) => {
                let message = "only revision 2025-03-26 of the protocol has batches";
                self.reject(None, Fault::bad(Code::InvalidRequest, message), arrival).await
            }
            Err(malformed) => {
                let id = malformed.id.clone();
                self.reject(id.as_ref(), malformed.into(), arrival).await
            }
        }
    }

    /// The session that a message belongs to.
    fn session(
        &self,
        arrival: &Arrival,
        connection: Option<&Connection>,
    ) -> Result<Option<Arc<Session>>, Fault> {
        if let Some(connection) = connection {
            return Ok(connection.session.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        let (Some(headers), Some(sessions)) = (&arrival.headers, &self.sessions) else {
            return Ok(None);
        };
        let id = headers::single(headers, headers::SESSION_ID)?;
        Ok(id.and_then(|id| sessions.find(id, &arrival.principal)))
    }

    async fn message(&self, received: &Received<'_>, message: Message<'_>) -> Answer {
        match message {
            Message::Request(request) => self.request(received, &request).await,
            Message::Notification(notification) => self.notification(received, &notification).await,
            // Nothing is ever asked of a client, so there is nothing that this could answer.
            Message::Response(_) => Answer::accepted(),
        }
    }

    async fn request(&self, received: &Received<'_>, request: &Request<'_>) -> Answer {
        let era = match received.era(&request.method, &request.params) {
            Ok(era) => era,
            Err(fault) => return self.reject(Some(&request.id), fault, received.arrival).await,
        };
        let session = received.session.as_ref().filter(|_| !era.revision.is_modern());
        let caller = Arc::new(received.caller(&era, session));
        let alone = Inflight::default();
        let inflight = received.inflight(session).unwrap_or(&alone);
        let running = inflight.begin(&request.id, &received.arrival.cancel);
        let context = Context {
            server: self,
            caller: &caller,
            revision: era.revision,
            cancel: &running.token,
            params: &request.params,
        };
        let refused = received.require_session(self, &era, &request.method).err();
        let done = dispatch::run(&context, &request.method, refused).await;
        if received.connection.is_some() && running.token.is_cancelled() {
            // Whoever cancels over a shared channel wants no answer at all.
            return Answer::accepted();
        }
        match done {
            Ok((Ok(success), receipt)) => {
                if let (Some(connection), Some(opened)) = (received.connection, &success.opened) {
                    *connection.session.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some(Arc::clone(opened));
                }
                self.succeed(&request.id, era.revision, &success, receipt)
            }
            Ok((Err(fault), receipt)) => fail(Some(&request.id), &fault, receipt),
            Err(unrecorded) => Answer::fault(Some(&request.id), &unrecorded.into()),
        }
    }

    async fn notification(
        &self,
        received: &Received<'_>,
        notification: &Notification<'_>,
    ) -> Answer {
        if dispatch::is_request(&notification.method) {
            let message = "a request without an `id` is not executed";
            let fault = Fault::bad(Code::InvalidRequest, message);
            return self.reject(None, fault, received.arrival).await;
        }
        if notification.method == "notifications/cancelled"
            && let Some(inflight) = received.inflight(received.session.as_ref())
            && let Some(id) = crate::json::get(&notification.params, "requestId")
            && let Ok(id) = jsonrpc::read_id(id)
        {
            inflight.cancel(&id);
        }
        Answer::accepted()
    }

    /// Ends a session of a legacy client, as far as this caller has it.
    pub async fn end_session(&self, id: &str, arrival: &Arrival) -> Answer {
        let ended = self.sessions.as_ref().is_some_and(|s| s.close(id, &arrival.principal));
        if !ended {
            let fault = Fault::bad(Code::InvalidRequest, "there is no such session");
            return self.reject(None, fault.with_status(404), arrival).await;
        }
        let caller = Caller { session_id: Some(id.into()), ..Caller::new(arrival) };
        match self.runtime.note(&caller, Note::done("session/end")).await {
            Ok(_receipt) => Answer { status: 204, ..Answer::accepted() },
            Err(unrecorded) => Answer::fault(None, &unrecorded.into()),
        }
    }

    /// Records and answers a message that never became a request.
    pub async fn reject(&self, id: Option<&Id>, fault: Fault, arrival: &Arrival) -> Answer {
        let caller = Arc::new(Caller::new(arrival));
        let note = Note::rejected("message", &fault);
        match self.runtime.note(&caller, note).await {
            Ok(receipt) => fail(id, &fault, receipt),
            Err(unrecorded) => Answer::fault(id, &unrecorded.into()),
        }
    }

    /// Records and answers a request of somebody known that never became a message.
    pub async fn refuse(&self, reason: &'static str, fault: &Fault, arrival: &Arrival) -> Answer {
        let caller = Caller::new(arrival);
        let note = Note {
            operation: OperationType::Auth,
            error: Some(reason),
            ..Note::rejected("refused", fault)
        };
        match self.runtime.note(&caller, note).await {
            Ok(receipt) => fail(None, fault, receipt),
            Err(unrecorded) => Answer::fault(None, &unrecorded.into()),
        }
    }

    /// Makes the answer to a request that succeeded. It takes the receipt of its record: without
    /// one there is no answer.
    fn succeed(
        &self,
        id: &Id,
        revision: Revision,
        success: &Success,
        _receipt: AuditReceipt,
    ) -> Answer {
        let mut result = String::with_capacity(success.members.len() + 256);
        let mut object = Object::new(&mut result);
        if revision.is_modern() {
            object.text("resultType", "complete");
        }
        object.members(&success.members);
        if let Some(cache) = success.cache.filter(|_| revision.is_modern()) {
            object.raw("ttlMs", &cache.ttl_ms.to_string());
            object.text("cacheScope", if cache.is_private { "private" } else { "public" });
        }
        let mut meta = String::new();
        let mut inner = Object::new(&mut meta);
        if revision.is_modern() {
            inner.raw("io.modelcontextprotocol/serverInfo", &self.info);
        }
        if let Some(call_id) = &success.call_id {
            inner.text("mxcp/call_id", call_id.as_str());
        }
        if inner.end() {
            object.raw("_meta", &meta);
        }
        object.end();
        let session = success.opened.as_ref().map(|session| session.id.clone());
        let body = Some(jsonrpc::result(id, &result));
        Answer { status: 200, body, session, retry_after: None }
    }
}

/// Makes the answer to a request that failed; see [`Server::succeed`].
fn fail(id: Option<&Id>, fault: &Fault, _receipt: AuditReceipt) -> Answer {
    Answer::fault(id, fault)
}

impl From<Unrecorded> for Fault {
    fn from(unrecorded: Unrecorded) -> Self {
        let id = quoted(unrecorded.call_id.as_str());
        Self::new(Code::Internal, unrecorded.to_string())
            .with_data(format!(r#"{{"call_id":{id}}}"#))
            .with_status(503)
    }
}

impl Received<'_> {
    /// Whether an array of messages is one of the protocol's forms here.
    fn has_batches(&self) -> bool {
        let header = self.version_header();
        let said = header.and_then(Revision::parse);
        let negotiated = self.session.as_ref().map(|session| session.revision);
        negotiated.or(said).unwrap_or(Revision::UNSAID).has_batches()
    }

    fn version_header(&self) -> Option<&str> {
        let headers = self.arrival.headers.as_ref()?;
        headers::single(headers, headers::PROTOCOL_VERSION).ok()?
    }

    /// Finds out which revision a request speaks, and whether its headers repeat what it says.
    fn era<'p>(
        &self,
        method: &str,
        params: &'p [crate::json::Member<'_>],
    ) -> Result<Era<'p>, Fault> {
        let headers = self.arrival.headers.as_deref();
        let version = match headers {
            Some(headers) => headers::single(headers, headers::PROTOCOL_VERSION)?,
            None => None,
        };
        let origin = Origin {
            http: headers.is_some(),
            version_header: version,
            negotiated: self.session.as_ref().map(|session| session.revision),
        };
        let era = era::select(origin, method, params)?;
        if let Some(headers) = headers.filter(|_| era.revision.is_modern()) {
            headers::repeat(headers, method, params)?;
        }
        Ok(era)
    }

    /// Refuses a legacy request outside a session where there are sessions.
    fn require_session(&self, server: &Server, era: &Era<'_>, method: &str) -> Result<(), Fault> {
        if era.revision.is_modern() || method == "initialize" || self.session.is_some() {
            return Ok(());
        }
        if self.connection.is_some() {
            let message = "the connection is not initialized; send `initialize` first";
            return if method == "ping" {
                Ok(())
            } else {
                Err(Fault::bad(Code::InvalidRequest, message))
            };
        }
        if server.sessions.is_none() {
            return Ok(());
        }
        let named =
            self.arrival.headers.as_ref().is_some_and(|h| h.contains_key(headers::SESSION_ID));
        Err(if named {
            Fault::bad(Code::InvalidRequest, "there is no such session; send `initialize` again")
                .with_status(404)
        } else {
            Fault::bad(
                Code::InvalidRequest,
                "the header `Mcp-Session-Id` is missing; send `initialize` first",
            )
        })
    }

    fn inflight<'s>(&'s self, session: Option<&'s Arc<Session>>) -> Option<&'s Inflight> {
        let own = self.connection.map(|connection| &connection.inflight);
        own.or_else(|| session.map(|session| &session.inflight))
    }

    fn caller(&self, era: &Era<'_>, session: Option<&Arc<Session>>) -> Caller {
        let of_session = session.and_then(|session| session.client.as_deref());
        // What a request says itself is nearer to it than what its transport says.
        let of_transport = || {
            let header = self.arrival.headers.as_ref()?.get("traceparent")?;
            trace_id(header.to_str().ok()?)
        };
        let trace_id = era.meta.trace_id.as_deref().or_else(of_transport);
        Caller {
            client: era.meta.client.as_deref().or(of_session).map(Into::into),
            session_id: session.map(|session| session.id.as_str().into()),
            trace_id: trace_id.map(Into::into),
            ..Caller::new(self.arrival)
        }
    }
}
