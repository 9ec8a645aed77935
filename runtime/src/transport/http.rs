//! Streamable HTTP: `POST /mcp` for every message, `DELETE /mcp` to end a legacy session.
//!
//! Replies are JSON; nothing is streamed, so there is no stream to open with `GET`.

pub mod listen;
#[cfg(test)]
pub(crate) mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures_util::StreamExt as _;
use mxcp_schemas::audit::CallerType;
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::doors::{Doors, Refused};
use super::headers;
use super::tls::Tls;
use super::visitor::{Reached, Visitor};
use crate::audit::Refusal as Recorded;
use crate::auth::admission::{Admission, Vouched, Way};
use crate::auth::bearer::Refusal;
use crate::auth::issuer;
use crate::auth::login::RETRY_S;
use crate::limits::{Limits, size};
use crate::mcp::fault::Fault;
use crate::mcp::jsonrpc::Code;
use crate::mcp::server::{Answer, Arrival, Server};
use crate::principal::Principal;

/// Where messages are posted.
pub const ENDPOINT: &str = "/mcp";
/// Where clients learn which authorization server to ask (RFC 9728).
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// What the HTTP endpoint serves, and to whom.
#[derive(Debug)]
pub struct Http {
    /// who answers
    pub server: Arc<Server>,
    /// which hosts and origins are ours
    pub doors: Doors,
    /// how clients reach it
    pub reached: Reached,
    /// who they are
    pub callers: Callers,
    /// makes TLS of connections, if configured
    pub tls: Option<Tls>,
}

/// Who sends requests.
#[derive(Debug, Clone)]
pub enum Callers {
    /// everybody is the same person
    Everybody {
        /// that person
        principal: Arc<Principal>,
        /// whether they operate the server
        operator: bool,
    },
    /// whoever their token says
    Known(Arc<Admission>),
}

/// Serves until `stop` is cancelled.
pub async fn run(listener: TcpListener, http: Http, stop: CancellationToken) {
    let tls = http.tls.clone();
    let limits = http.server.runtime.limits();
    let settings = listen::Settings {
        max_header_bytes: size(limits.max_header_bytes),
        slow_request: Limits::duration(limits.slow_request_timeout_ms),
        stop_deadline: Limits::duration(limits.shutdown_timeout_ms),
    };
    let http = Arc::new(http);
    let unread = {
        let http = Arc::clone(&http);
        // hyper has answered already, or has nobody to answer to.
        Arc::new(move |peer: SocketAddr, reason| drop(http.refuse(peer.ip(), reason, 400, reason)))
    };
    listen::serve(listener, router(http), settings, unread, tls, stop).await;
}

/// The routes.
pub fn router(http: Arc<Http>) -> Router {
    let router = Router::new()
        .route(ENDPOINT, any(endpoint))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(elsewhere)
        .method_not_allowed_fallback(other_method);
    let Callers::Known(admission) = &http.callers else { return router.with_state(http) };
    let router = router
        .route(RESOURCE_METADATA, get(resource))
        .route(&format!("{RESOURCE_METADATA}/{{*path}}"), get(resource))
        .method_not_allowed_fallback(other_method);
    let Way::Issuer(issuer) = admission.way() else { return router.with_state(http) };
    let (reached, doors) = (http.reached.clone(), http.doors.clone());
    let ours = issuer::routes(Arc::clone(issuer), reached, doors);
    router.with_state(http).merge(ours)
}

/// What the endpoint is as a protected resource (RFC 9728): the same document with and without the
/// path of the endpoint in its URL.
async fn resource(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = http.reached.visitor(peer, &parts.uri, &parts.headers);
    if let Err(refused) = admit(&http.doors, &visitor, &parts.headers) {
        return http.refuse(visitor.address, refused.reason(), 403, &refused.to_string());
    }
    let suffix = parts.uri.path().strip_prefix(RESOURCE_METADATA).unwrap_or_default();
    let resource = issuer::resource_of(&visitor);
    let path = format!("{}{ENDPOINT}", visitor.base_path());
    let Callers::Known(admission) = &http.callers else {
        return http.nothing_here(visitor.address);
    };
    if !suffix.is_empty() && suffix != path && suffix != ENDPOINT {
        return http.nothing_here(visitor.address);
    }
    let servers = admission.authorization_servers(&visitor).await;
    let (name, scopes) = (http.server.runtime.project(), admission.required_scopes());
    issuer::metadata::protected_resource(&resource, name, &servers, scopes)
}

/// Whether calls can be answered: not while their records cannot be written.
async fn ready(State(http): State<Arc<Http>>) -> Response {
    match http.server.runtime.trail().health().trouble {
        None => "ready\n".into_response(),
        Some(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the audit trail cannot be written\n").into_response()
        }
    }
}

/// A request to a place that there is not.
async fn elsewhere(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let visitor = http.reached.visitor(peer, request.uri(), request.headers());
    http.nothing_here(visitor.address)
}

/// A place of ours that is asked with a method which it does not have.
async fn other_method(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let visitor = http.reached.visitor(peer, request.uri(), request.headers());
    http.refuse(visitor.address, "method", 405, "this is not asked for with that method")
}

async fn endpoint(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (mut parts, body) = request.into_parts();
    // They are kept with the call, and are not to be printed.
    for (name, value) in &mut parts.headers {
        value.set_sensitive(*name == AUTHORIZATION || *name == COOKIE);
    }
    let visitor = http.reached.visitor(peer, &parts.uri, &parts.headers);
    let address = visitor.address;
    if let Err(refused) = admit(&http.doors, &visitor, &parts.headers) {
        return http.refuse(address, refused.reason(), 403, &refused.to_string());
    }
    let max_head = size(http.server.runtime.limits().max_header_bytes);
    if head_bytes(&parts.uri, &parts.headers) > max_head {
        let message = format!("the head of a request has at most {max_head} bytes");
        return http.refuse(address, "header_size", 431, &message);
    }
    let (principal, operator, vouched) = match &http.callers {
        Callers::Everybody { principal, operator } => (Arc::clone(principal), *operator, None),
        Callers::Known(admission) => match admission.recognise(&parts.uri, &parts.headers).await {
            Ok(admitted) => {
                let principal = Arc::clone(&admitted.principal);
                (principal, false, Some(Vouched::new(admission, admitted)))
            }
            Err(refusal) => return http.turn_away(&visitor, admission, refusal),
        },
    };
    let headers = Arc::new(parts.headers);
    let visit = Visit { http, address, headers, principal, operator, vouched };
    if let Some(refused) = visit.outside_scope(&visitor).await {
        return refused;
    }
    match parts.method.as_str() {
        "POST" => visit.post(body).await,
        "DELETE" => visit.delete().await,
        _ => {
            let mut response = visit.refuse("method", 405, "messages are sent with POST").await;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
            response
        }
    }
}

/// Whether a visitor is let in: what they say of the host and the page that they come from.
///
/// # Errors
/// When these are none of ours.
pub fn admit(doors: &Doors, visitor: &Visitor, headers: &HeaderMap) -> Result<(), Refused> {
    let mut hosts = headers.get_all(HOST).iter();
    // What stands there twice is nobody of ours.
    if hosts.next().is_some() && hosts.next().is_some() {
        return Err(Refused::Host);
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = match (origins.next(), origins.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().map_err(|_| Refused::Origin)?),
        (Some(_), Some(_)) => return Err(Refused::Origin),
    };
    doors.admit(visitor.host.as_deref(), origin)
}

/// The size of a request's head, near enough: hyper holds back what is far beyond the limit, and
/// lets through what came with the rest of a read.
fn head_bytes(uri: &http::Uri, headers: &HeaderMap) -> usize {
    const AROUND_FIELD_BYTES: usize = ": \r\n".len();
    let field = |(name, value): (&HeaderName, &HeaderValue)| {
        name.as_str().len() + value.len() + AROUND_FIELD_BYTES
    };
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    path + headers.iter().map(field).sum::<usize>()
}

/// A request that was let in.
struct Visit {
    http: Arc<Http>,
    address: IpAddr,
    headers: Arc<HeaderMap>,
    principal: Arc<Principal>,
    operator: bool,
    vouched: Option<Vouched>,
}

impl Visit {
    async fn post(self, body: Body) -> Response {
        if !self.is_json() {
            let message = "the content type must be `application/json`";
            return self.refuse("media_type", 415, message).await;
        }
        if !self.accepts_json() {
            return self.refuse("not_acceptable", 406, "replies are `application/json`").await;
        }
        let limits = self.http.server.runtime.limits();
        let max = size(limits.max_body_bytes);
        let deadline = Limits::duration(limits.slow_request_timeout_ms);
        let body = match tokio::time::timeout(deadline, read(body, max)).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => {
                let message = format!("a message has at most {max} bytes");
                return self.refuse("body_size", 413, &message).await;
            }
            Ok(Err(Unread::Broken)) => {
                return self.refuse("body", 400, "the body could not be read").await;
            }
            Err(_) => return self.refuse("slow_body", 408, "the body did not come in time").await,
        };
        self.answer(body).await
    }

    /// Refuses a request before it is a message. Of somebody whom a token vouches for that is a record
    /// of its own; everybody else is summed.
    async fn refuse(&self, reason: &'static str, status: u16, message: &str) -> Response {
        if self.vouched.is_none() {
            return self.http.refuse(self.address, reason, status, message);
        }
        let arrival = self.arrival(CancellationToken::new());
        let fault = Fault::new(Code::InvalidRequest, message).with_status(status);
        respond(self.http.server.refuse(reason, &fault, &arrival).await)
    }

    /// Turns away somebody whose token is good and does not allow what is asked.
    async fn outside_scope(&self, visitor: &Visitor) -> Option<Response> {
        let vouched = self.vouched.as_ref().filter(|vouched| !vouched.admitted().has_scopes)?;
        let refusal = Refusal::Scope;
        let message = refusal.to_string();
        let mut response = self.refuse(refusal.reason(), refusal.status(), &message).await;
        // Where the refusal could not be recorded the answer is another one.
        if response.status().as_u16() == refusal.status() {
            challenge(&mut response, visitor, vouched.required_scopes(), refusal);
        }
        Some(response)
    }

    /// Answers in a task of its own: when the client goes away the call is cancelled, and still
    /// recorded.
    async fn answer(self, body: Vec<u8>) -> Response {
        let cancel = CancellationToken::new();
        let gone = cancel.clone().drop_guard();
        let arrival = self.arrival(cancel);
        let server = Arc::clone(&self.http.server);
        let answered =
            tokio::spawn(async move { server.receive(&body, &arrival, None).await }).await;
        gone.disarm();
        self.settle(answered).await
    }

    /// What a task came to. One that ended in a fault of ours has recorded nothing, perhaps.
    async fn settle(&self, answered: Result<Answer, JoinError>) -> Response {
        let error = match answered {
            Ok(answer) => return respond(answer),
            Err(error) => error,
        };
        tracing::error!(%error, "a request ended in a fault of the server");
        let fault = Fault::new(Code::Internal, "a fault of the server").with_status(500);
        let arrival = self.arrival(CancellationToken::new());
        respond(self.http.server.reject(None, fault, &arrival).await)
    }

    async fn delete(self) -> Response {
        let arrival = self.arrival(CancellationToken::new());
        match headers::single(&self.headers, headers::SESSION_ID) {
            Ok(Some(id)) => respond(self.http.server.end_session(id, &arrival).await),
            Ok(None) => self.refuse("method", 405, "there is no session to end").await,
            Err(fault) => respond(self.http.server.reject(None, fault, &arrival).await),
        }
    }

    fn arrival(&self, cancel: CancellationToken) -> Arrival {
        Arrival {
            headers: Some(Arc::clone(&self.headers)),
            principal: Arc::clone(&self.principal),
            via: CallerType::Http,
            client_ip: Some(self.address.to_string().into()),
            operator: self.operator,
            vouched: self.vouched.clone(),
            cancel,
        }
    }

    fn is_json(&self) -> bool {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    }

    /// Whether the client takes JSON; one that says nothing takes anything.
    fn accepts_json(&self) -> bool {
        let mut accepts = self.headers.get_all(ACCEPT).iter().peekable();
        accepts.peek().is_none()
            || accepts.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).any(
                |range| {
                    let range = range.split(';').next().unwrap_or_default().trim();
                    let known = ["application/json", "application/*", "*/*"];
                    known.iter().any(|known| range.eq_ignore_ascii_case(known))
                },
            )
    }
}

/// Why a body was not read.
enum Unread {
    TooLarge,
    Broken,
}

/// Reads a body, but not beyond the limit.
async fn read(body: Body, max_bytes: usize) -> Result<Vec<u8>, Unread> {
    let mut chunks = body.into_data_stream();
    let mut read = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if read.len() + chunk.len() > max_bytes {
            return Err(Unread::TooLarge);
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

impl Http {
    /// Refuses a request to a place that there is not.
    fn nothing_here(&self, address: IpAddr) -> Response {
        self.refuse(address, "path", 404, "there is nothing here; messages are sent to `/mcp`")
    }

    /// Refuses a request before it is a message, and adds it to the sums of the audit trail.
    fn refuse(
        &self,
        address: IpAddr,
        reason: &'static str,
        status: u16,
        message: &str,
    ) -> Response {
        let address = Some(address);
        let _receipt = self.server.runtime.trail().refuse(&Recorded {
            caller: CallerType::Http,
            address,
            reason,
        });
        let fault = Fault::new(Code::InvalidRequest, message).with_status(status);
        respond(Answer::fault(None, &fault))
    }

    /// Refuses a request without a token that would open anything, and says how to get one.
    fn turn_away(&self, visitor: &Visitor, admission: &Admission, refusal: Refusal) -> Response {
        let message = refusal.to_string();
        let mut response =
            self.refuse(visitor.address, refusal.reason(), refusal.status(), &message);
        challenge(&mut response, visitor, admission.required_scopes(), refusal);
        response
    }
}

/// Says in the head of a refusal how to get a token that opens this, or when to come again.
fn challenge(response: &mut Response, visitor: &Visitor, scopes: &[String], refusal: Refusal) {
    let metadata = format!("{}{RESOURCE_METADATA}{ENDPOINT}", visitor.base_url);
    let headers = response.headers_mut();
    match refusal.challenge(&metadata, scopes) {
        Some(challenge) => headers.insert(WWW_AUTHENTICATE, challenge),
        None => headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_S)),
    };
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(answer.body.map_or_else(Body::empty, Body::from));
    let has_body = !answer.status.eq(&202) && !answer.status.eq(&204);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(session) = answer.session.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.insert(HeaderName::from_static(headers::SESSION_ID), session);
    }
    if let Some(wait) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}
