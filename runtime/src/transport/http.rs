//! Streamable HTTP: `POST /mcp` for every message, `DELETE /mcp` to end a legacy session.
//!
//! Replies are JSON; nothing is streamed, so there is no stream to open with `GET`.

pub mod listen;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use futures_util::StreamExt as _;
use mxcp_schemas::audit::CallerType;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::doors::{Doors, Refused};
use super::headers;
use crate::audit::Refusal;
use crate::limits::{Limits, size};
use crate::mcp::fault::Fault;
use crate::mcp::jsonrpc::Code;
use crate::mcp::server::{Answer, Arrival, Server};
use crate::principal::Principal;

/// Where messages are posted.
pub const ENDPOINT: &str = "/mcp";

/// What the HTTP endpoint serves, and to whom.
#[derive(Debug)]
pub struct Http {
    /// who answers
    pub server: Arc<Server>,
    /// which hosts and origins are ours
    pub doors: Doors,
    /// who everybody is, without authentication
    pub principal: Arc<Principal>,
    /// whether everybody operates the server
    pub operator: bool,
}

/// Serves until `stop` is cancelled.
pub async fn run(listener: TcpListener, http: Http, stop: CancellationToken) {
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
        Arc::new(move |peer, reason| drop(http.refuse(peer, reason, 400, reason)))
    };
    listen::serve(listener, router(http), settings, unread, stop).await;
}

/// The routes.
pub fn router(http: Arc<Http>) -> Router {
    Router::new()
        .route(ENDPOINT, any(endpoint))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(elsewhere)
        .with_state(http)
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
) -> Response {
    http.refuse(peer, "path", 404, "there is nothing here; messages are sent to `/mcp`")
}

async fn endpoint(
    State(http): State<Arc<Http>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(refused) = admit(&http.doors, &parts.uri, &parts.headers) {
        let reason = match refused {
            Refused::Origin => "origin",
            Refused::Host => "host",
        };
        return http.refuse(peer, reason, 403, &refused.to_string());
    }
    let visit = Visit { http, peer, headers: Arc::new(parts.headers) };
    match parts.method.as_str() {
        "POST" => visit.post(body).await,
        "DELETE" => visit.delete().await,
        _ => {
            let message = "messages are sent with POST";
            let mut response = visit.http.refuse(peer, "method", 405, message);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, DELETE"));
            response
        }
    }
}

fn admit(doors: &Doors, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
    let one = |name| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            // What is not plain text, or stands there twice, is nobody of ours.
            (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
            (Some(_), Some(_)) => Err(()),
        }
    };
    let host = one(HOST).map_err(|()| Refused::Host)?;
    let origin = one(ORIGIN).map_err(|()| Refused::Origin)?;
    doors.admit(host.or_else(|| uri.authority().map(http::uri::Authority::as_str)), origin)
}

/// A request that was let in.
struct Visit {
    http: Arc<Http>,
    peer: SocketAddr,
    headers: Arc<HeaderMap>,
}

impl Visit {
    async fn post(self, body: Body) -> Response {
        let refuse =
            |reason, status, message: &str| self.http.refuse(self.peer, reason, status, message);
        if !self.is_json() {
            return refuse("media_type", 415, "the content type must be `application/json`");
        }
        if !self.accepts_json() {
            return refuse("not_acceptable", 406, "replies are `application/json`");
        }
        let limits = self.http.server.runtime.limits();
        let max = size(limits.max_body_bytes);
        let deadline = Limits::duration(limits.slow_request_timeout_ms);
        let body = match tokio::time::timeout(deadline, read(body, max)).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::TooLarge)) => {
                return refuse("body_size", 413, &format!("a message has at most {max} bytes"));
            }
            Ok(Err(Unread::Broken)) => return refuse("body", 400, "the body could not be read"),
            Err(_) => return refuse("slow_body", 408, "the body did not come in time"),
        };
        self.answer(body).await
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
        match answered {
            Ok(answer) => respond(answer),
            Err(error) => {
                tracing::error!(%error, "a request ended in a fault of the server");
                let fault = Fault::new(Code::Internal, "a fault of the server").with_status(500);
                respond(Answer::fault(None, &fault))
            }
        }
    }

    async fn delete(self) -> Response {
        let arrival = self.arrival(CancellationToken::new());
        match headers::single(&self.headers, headers::SESSION_ID) {
            Ok(Some(id)) => respond(self.http.server.end_session(id, &arrival).await),
            Ok(None) => self.http.refuse(self.peer, "method", 405, "there is no session to end"),
            Err(fault) => respond(self.http.server.reject(None, fault, &arrival).await),
        }
    }

    fn arrival(&self, cancel: CancellationToken) -> Arrival {
        Arrival {
            headers: Some(Arc::clone(&self.headers)),
            principal: Arc::clone(&self.http.principal),
            via: CallerType::Http,
            client_ip: Some(self.peer.ip().to_canonical().to_string().into()),
            operator: self.http.operator,
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
    /// Refuses a request before it is a message, and adds it to the sums of the audit trail.
    fn refuse(
        &self,
        peer: SocketAddr,
        reason: &'static str,
        status: u16,
        message: &str,
    ) -> Response {
        let address = Some(peer.ip());
        let _receipt = self.server.runtime.trail().refuse(&Refusal {
            caller: CallerType::Http,
            address,
            reason,
        });
        let fault = Fault::new(Code::InvalidRequest, message).with_status(status);
        respond(Answer::fault(None, &fault))
    }
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
