//! Verifier mode: the client brings the provider's own token.

use super::provider::Person;

/// A token that is good: whose it is and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// its owner
    pub person: Person,
    /// who issued it
    pub issuer: String,
    /// to which client
    pub client: Option<String>,
    /// what it allows
    pub scopes: Vec<String>,
    /// seconds since 1970 at which this stops being true: the token expires or must be asked about
    /// again
    pub expires_at: i64,
}

/// Why a token opens nothing. Says nothing of the token's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token is not good: answer 401 `invalid_token`.
    #[error("{0}")]
    Invalid(String),
    /// Whether it is good cannot be found out now: answer 503.
    #[error("{0}")]
    Unavailable(String),
}
