//! Where a provider's endpoints are.

use std::sync::Arc;

use super::ProviderError;
use super::answer::{flag, list, optional, required};
use crate::json::Json;

/// What is known of a provider: from its discovery document, or from its documentation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// who it says it is, in tokens and callbacks
    pub issuer: Option<Arc<str>>,
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

impl Metadata {
    /// Checks that a callback is of the issuer that was asked (RFC 9207): another one may be luring the
    /// code out of us.
    ///
    /// # Errors
    /// When it names another issuer, or none where this one always names itself.
    pub fn check_callback(&self, iss: Option<&str>) -> Result<(), ProviderError> {
        match (&self.issuer, iss) {
            (Some(issuer), Some(iss)) if **issuer == *iss => Ok(()),
            (Some(_), Some(_)) => Err(ProviderError::MixedUp),
            (_, None) if self.names_issuer_in_callback => Err(ProviderError::MixedUp),
            _ => Ok(()),
        }
    }

    /// Reads a discovery document (OpenID Connect Discovery section 3, RFC 8414).
    ///
    /// # Errors
    /// When something that must be there is not, or has the wrong type.
    pub fn read(json: &Json<'_>) -> Result<Self, ProviderError> {
        let text = |name: &str| Ok::<_, ProviderError>(optional(json, name)?.map(str::to_owned));
        let names_issuer = flag(json, "authorization_response_iss_parameter_supported")?;
        Ok(Self {
            issuer: Some(required(json, "issuer")?.into()),
            authorization_endpoint: required(json, "authorization_endpoint")?.to_owned(),
            token_endpoint: required(json, "token_endpoint")?.to_owned(),
            jwks_uri: Some(required(json, "jwks_uri")?.to_owned()),
            introspection_endpoint: text("introspection_endpoint")?,
            userinfo_endpoint: text("userinfo_endpoint")?,
            revocation_endpoint: text("revocation_endpoint")?,
            token_endpoint_auth_methods: list(json, "token_endpoint_auth_methods_supported")?,
            names_issuer_in_callback: names_issuer.unwrap_or(false),
        })
    }
}
