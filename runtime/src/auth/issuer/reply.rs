//! Replies of the authorization server: JSON, redirects, errors.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::super::store::StoreError;
use crate::audit::AppendError;

/// An error as RFC 6749 §5.2 and its relatives have it. Its description may be read by anybody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub(super) struct OAuthError {
    /// one of the codes that the RFCs define
    pub(super) code: &'static str,
    /// for people
    pub(super) description: String,
    /// HTTP status where the error is the answer
    pub(super) status: u16,
    /// after what time trying again may help
    pub(super) retry_after: Option<Duration>,
}

impl OAuthError {
    pub(super) fn new(code: &'static str, description: &str) -> Self {
        Self { code, description: description.to_owned(), status: 400, retry_after: None }
    }

    pub(super) fn invalid_request(description: &str) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn invalid_grant(description: &str) -> Self {
        Self::new("invalid_grant", description)
    }

    pub(super) fn invalid_client(description: &str) -> Self {
        Self { status: 401, ..Self::new("invalid_client", description) }
    }

    /// Something of ours that does not work now.
    pub(super) fn unavailable() -> Self {
        let description = "the authorization server cannot do this now; try again later";
        Self {
            status: 503,
            retry_after: Some(Duration::from_secs(5)),
            ..Self::new("temporarily_unavailable", description)
        }
    }

    pub(super) fn too_many(description: &str, seconds: u64) -> Self {
        Self {
            status: 429,
            retry_after: Some(Duration::from_secs(seconds)),
            ..Self::new("temporarily_unavailable", description)
        }
    }

    /// The error as an answer.
    pub(super) fn response(&self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = json_response(self.status, &body);
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        let challenge = match self.code {
            "invalid_client" => Some("Basic"),
            "invalid_token" => Some("Bearer error=\"invalid_token\""),
            _ => None,
        };
        if let Some(challenge) = challenge.filter(|_| self.status == 401) {
            let value = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the session database failed");
        Self::unavailable()
    }
}

impl From<super::super::secret::NoRandom> for OAuthError {
    fn from(error: super::super::secret::NoRandom) -> Self {
        tracing::error!(%error, "no secret could be made");
        Self::unavailable()
    }
}

impl From<AppendError> for OAuthError {
    /// What is not recorded is not answered.
    fn from(error: AppendError) -> Self {
        tracing::error!(%error, "an event of authentication could not be recorded");
        Self::unavailable()
    }
}

/// Adds a member to a document.
pub(super) fn add(document: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = document.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// A JSON answer that nobody keeps.
pub(super) fn json_response(status: u16, body: &Value) -> Response {
    let mut response = public_json(body);
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A JSON answer that is the same for everybody.
pub(super) fn public_json(body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// Sends a browser somewhere, with GET.
pub(super) fn redirect(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let Ok(location) = HeaderValue::try_from(to) else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return response;
    };
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}
