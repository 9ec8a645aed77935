//! Where a provider's endpoints are.

/// What is known of a provider: from its discovery document, or from its documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// who it says it is, in tokens and callbacks
    pub issuer: Option<String>,
    /// where a browser logs in
    pub authorization_endpoint: String,
    /// where codes become tokens
    pub token_endpoint: String,
    /// its public keys
    pub jwks_uri: Option<String>,
    /// where tokens are introspected
    pub introspection_endpoint: Option<String>,
    /// where the owner of a token is told
    pub userinfo_endpoint: Option<String>,
    /// where tokens are given back
    pub revocation_endpoint: Option<String>,
    /// how we may authenticate at the token endpoint; empty when it does not say
    pub token_endpoint_auth_methods: Vec<String>,
    /// whether its callbacks always name the issuer (RFC 9207)
    pub names_issuer_in_callback: bool,
}
