//! The routes of the authorization server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};

use super::authorize::Stopped;
use super::reply::OAuthError;
use super::{Issuer, authorize, callback, consent, metadata, page, register, revoke, token};
use crate::transport::doors::{Doors, Refused};
use crate::transport::http::admit;
use crate::transport::visitor::{Reached, Visitor};

/// Where clients read what the authorization server is (RFC 8414). The path of an issuer that has one
/// comes behind it (§3.1).
const METADATA: &str = "/.well-known/oauth-authorization-server";
/// Bytes of the body of a request, at most.
const BODY_MAX_BYTES: usize = 64 << 10;
/// Milliseconds until a body is there.
const BODY_TIMEOUT_MS: u64 = 10_000;

/// What every route needs.
#[derive(Debug)]
struct Door {
    issuer: Arc<Issuer>,
    reached: Reached,
    doors: Doors,
}

/// The routes, for those whom `doors` let in.
pub fn routes(issuer: Arc<Issuer>, reached: Reached, doors: Doors) -> Router {
    let callback_path = issuer.callback_path.clone();
    let door = Arc::new(Door { issuer, reached, doors });
    Router::new()
        .route(METADATA, get(describe))
        .route(&format!("{METADATA}/{{*path}}"), get(describe))
        .route("/authorize", get(ask))
        .route("/consent", post(answer))
        .route(&callback_path, get(call_back))
        .route("/register", post(introduce))
        .route("/token", post(exchange))
        .route("/revoke", post(give_back))
        .route("/logout", post(leave))
        .method_not_allowed_fallback(other_method)
        .with_state(door)
}

type Here = (State<Arc<Door>>, ConnectInfo<SocketAddr>);

impl Door {
    /// Who asks, if they are let in.
    fn visitor(&self, peer: SocketAddr, parts: &Parts) -> Result<Visitor, OAuthError> {
        let visitor = self.reached.visitor(peer, &parts.uri, &parts.headers);
        match admit(&self.doors, &visitor, &parts.headers) {
            Ok(()) => Ok(visitor),
            // The page is our own, under the name that a trusted proxy says. Nothing here is done
            // for whoever has neither a token nor the cookie of that name.
            Err(Refused::Origin) if is_own_page(&visitor, &parts.headers) => Ok(visitor),
            Err(refused) => {
                self.issuer.refused(&visitor, refused.reason());
                let text = refused.to_string();
                Err(OAuthError { status: 403, ..OAuthError::new("access_denied", &text) })
            }
        }
    }

    /// Adds a refusal to the sums, by its code.
    fn note(&self, visitor: &Visitor, error: &OAuthError) {
        self.issuer.refused(visitor, error.code);
    }

    /// Adds a refusal to the sums for what OAuth has no code of its own for.
    fn refuse(&self, visitor: &Visitor, unread: Unread) -> OAuthError {
        self.issuer.refused(visitor, unread.reason);
        unread.error
    }
}

/// Whether a request comes from a page of ours, by the address that a trusted proxy gives us.
fn is_own_page(visitor: &Visitor, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    visitor.is_forwarded && origin == Some(visitor.base_url.as_str())
}

/// A place of ours that is asked with a method which it does not have.
async fn other_method((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = door.reached.visitor(peer, &parts.uri, &parts.headers);
    door.issuer.refused(&visitor, "method");
    let error = OAuthError::invalid_request("this is not asked for with that method");
    OAuthError { status: 405, ..error }.response()
}

async fn describe((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match door.visitor(peer, &parts) {
        Ok(visitor) => {
            let suffix = parts.uri.path().strip_prefix(METADATA).unwrap_or_default();
            if !suffix.is_empty() && suffix != visitor.base_path() {
                door.issuer.refused(&visitor, "path");
                let error = OAuthError::invalid_request("there is no such issuer here");
                return OAuthError { status: 404, ..error }.response();
            }
            metadata::authorization_server(&door.issuer, &visitor)
        }
        Err(error) => error.response(),
    }
}

async fn ask((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match door.visitor(peer, &parts) {
        Ok(visitor) => visitor,
        Err(error) => return stopped(&error),
    };
    let query = parts.uri.query().unwrap_or_default();
    let asked = authorize::get(&door.issuer, &visitor, &parts.headers, query).await;
    door.page(&visitor, asked)
}

async fn answer((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, body) = match door.form(peer, &parts, body).await {
        Ok(read) => read,
        Err(error) => return stopped(&error),
    };
    let answered = consent::post(&door.issuer, &visitor, &parts.headers, &body).await;
    door.page(&visitor, answered)
}

async fn call_back((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match door.visitor(peer, &parts) {
        Ok(visitor) => visitor,
        Err(error) => return stopped(&error),
    };
    let query = parts.uri.query().unwrap_or_default();
    let called = callback::get(&door.issuer, &visitor, &parts.headers, query).await;
    door.page(&visitor, called)
}

async fn introduce((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match door.visitor(peer, &parts) {
        Ok(visitor) => visitor,
        Err(error) => return error.response(),
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(unread) => return door.refuse(&visitor, unread).response(),
    };
    let done = register::post(&door.issuer, &visitor, &parts.headers, &body).await;
    door.json(&visitor, done)
}

async fn exchange((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, body) = match door.form(peer, &parts, body).await {
        Ok(read) => read,
        Err(error) => return error.response(),
    };
    let done = token::post(&door.issuer, &visitor, &parts.headers, &body).await;
    door.json(&visitor, done)
}

async fn give_back((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (visitor, body) = match door.form(peer, &parts, body).await {
        Ok(read) => read,
        Err(error) => return error.response(),
    };
    let done = revoke::post(&door.issuer, &visitor, &parts.headers, &body).await;
    door.json(&visitor, done)
}

async fn leave((State(door), ConnectInfo(peer)): Here, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = match door.visitor(peer, &parts) {
        Ok(visitor) => visitor,
        Err(error) => return error.response(),
    };
    let done = revoke::logout(&door.issuer, &visitor, &parts.headers).await;
    door.json(&visitor, done)
}

impl Door {
    /// Who asks, and the form that they sent.
    async fn form(
        &self,
        peer: SocketAddr,
        parts: &Parts,
        body: Body,
    ) -> Result<(Visitor, Vec<u8>), OAuthError> {
        let visitor = self.visitor(peer, parts)?;
        let media = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        let media = media.and_then(|value| value.split(';').next()).unwrap_or_default();
        if !media.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let text = "the content type must be `application/x-www-form-urlencoded`";
            let error = OAuthError::invalid_request(text);
            return Err(self.refuse(&visitor, Unread { reason: "media_type", error }));
        }
        match read(body).await {
            Ok(body) => Ok((visitor, body)),
            Err(unread) => Err(self.refuse(&visitor, unread)),
        }
    }

    fn json(&self, visitor: &Visitor, done: Result<Response, OAuthError>) -> Response {
        done.unwrap_or_else(|error| {
            // What a token request ran into has been noted where it happened.
            if error.code != "invalid_grant" {
                self.note(visitor, &error);
            }
            error.response()
        })
    }

    fn page(&self, visitor: &Visitor, done: Result<Response, Stopped>) -> Response {
        match done {
            Ok(response) => response,
            Err(Stopped::There(code, response)) => {
                self.issuer.refused(visitor, code);
                response
            }
            Err(Stopped::Here(error)) => {
                self.note(visitor, &error);
                stopped(&error)
            }
        }
    }
}

/// An error as a page.
fn stopped(error: &OAuthError) -> Response {
    // A browser would answer 401 with a password dialog.
    let status = if error.status == 401 { 400 } else { error.status };
    page::problem(status, "This login cannot go on", &error.description)
}

/// Why there is no form, in the word that records use and in OAuth's.
struct Unread {
    reason: &'static str,
    error: OAuthError,
}

async fn read(body: Body) -> Result<Vec<u8>, Unread> {
    let read = axum::body::to_bytes(body, BODY_MAX_BYTES);
    let unread = |reason, status, text| {
        let error = OAuthError { status, ..OAuthError::invalid_request(text) };
        Err(Unread { reason, error })
    };
    match tokio::time::timeout(Duration::from_millis(BODY_TIMEOUT_MS), read).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => unread("body_size", 413, "the body is too large or could not be read"),
        Err(_) => unread("slow_body", 408, "the body did not come in time"),
    }
}
