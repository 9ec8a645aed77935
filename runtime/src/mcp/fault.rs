//! Errors of the protocol: what a client is told when a request cannot be served as such.

use std::time::Duration;

use super::jsonrpc::{Code, Malformed};
use crate::audit::CallId;
use crate::enforce::{Class, Failure};
use crate::json::quoted;

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// JSON-RPC error code
    pub code: Code,
    /// what is wrong, in words that are safe for clients
    pub message: String,
    /// further facts, as JSON
    pub data: Option<String>,
    /// HTTP status
    pub status: u16,
    /// after what time trying again may help
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// An error that HTTP carries as success: the request was understood and cannot be served.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, status: 200, retry_after: None }
    }

    /// An error that HTTP calls a bad request.
    pub fn bad(code: Code, message: impl Into<String>) -> Self {
        Self { status: 400, ..Self::new(code, message) }
    }

    /// Headers that contradict the body.
    pub fn mismatch(message: impl Into<String>) -> Self {
        Self::bad(Code::HeaderMismatch, message)
    }

    /// A method that there is not.
    pub fn unknown_method(method: &str, modern: bool) -> Self {
        const SHOWN_MAX_CHARS: usize = 64;
        let shown: String = method.chars().take(SHOWN_MAX_CHARS).collect();
        let status = if modern { 404 } else { 200 };
        Self { status, ..Self::new(Code::MethodNotFound, format!("there is no method `{shown}`")) }
    }

    /// A call that came to nothing, where the protocol has no result that says so.
    pub fn of_failure(failure: &Failure, call_id: CallId) -> Self {
        let id = quoted(call_id.as_str());
        let (code, status) = match failure.class {
            Class::Unknown | Class::Arguments => (Code::InvalidParams, 200),
            Class::Busy(_) => (Code::Refused, 429),
            Class::Denied | Class::Failed | Class::Cancelled => (Code::Refused, 200),
        };
        let fault = Self::new(code, failure.for_client(call_id)).with_status(status);
        match failure.class {
            Class::Busy(wait) => {
                let wait_ms = wait.as_millis().max(1);
                let data = format!(r#"{{"call_id":{id},"retry_after_ms":{wait_ms}}}"#);
                Self { retry_after: Some(wait), ..fault.with_data(data) }
            }
            _ => fault.with_data(format!(r#"{{"call_id":{id}}}"#)),
        }
    }

    /// What the audit trail calls it.
    pub const fn class(&self) -> &'static str {
        match self.code {
            Code::Parse => "malformed JSON",
            Code::InvalidRequest => "invalid request",
            Code::MethodNotFound => "unknown method",
            Code::InvalidParams => "invalid parameters",
            Code::Internal => "internal error",
            Code::Refused => "refused",
            Code::ResourceNotFound => "resource not found",
            Code::HeaderMismatch => "header mismatch",
            Code::UnsupportedVersion => "unsupported protocol version",
        }
    }

    /// The same with further facts, as JSON.
    #[must_use]
    pub fn with_data(mut self, data: String) -> Self {
        self.data = Some(data);
        self
    }

    /// The same with another HTTP status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::bad(malformed.code, malformed.message)
    }
}
