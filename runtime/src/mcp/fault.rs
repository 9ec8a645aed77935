//! Errors of the protocol: what a client is told when a request cannot be served as such.

use super::jsonrpc::{Code, Malformed};

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
}

impl Fault {
    /// An error that HTTP carries as success: the request was understood and cannot be served.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, status: 200 }
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
