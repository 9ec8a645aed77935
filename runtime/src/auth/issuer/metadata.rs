//! What clients read before they begin: RFC 8414 and RFC 9728.

use axum::response::Response;
use serde_json::json;

use super::Issuer;
use super::reply::{add, public_json};
use crate::transport::visitor::Visitor;

/// How clients may authenticate at the token endpoint.
pub(super) const AUTH_METHODS: &[&str] = &["none", "client_secret_basic", "client_secret_post"];

/// Metadata of the authorization server.
pub(super) fn authorization_server(issuer: &Issuer, visitor: &Visitor) -> Response {
    let base = &visitor.base_url;
    let mut document = json!({
        "issuer": base,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "registration_endpoint": format!("{base}/register"),
        "revocation_endpoint": format!("{base}/revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
        "protected_resources": [super::resource_of(visitor)],
    });
    if !issuer.scopes.is_empty() {
        add(&mut document, "scopes_supported", issuer.scopes.clone());
    }
    public_json(&document)
}

/// Metadata of the protected resource: which server issues tokens for it.
pub fn protected_resource(
    resource: &str,
    name: &str,
    servers: &[String],
    scopes: &[String],
) -> Response {
    let mut document = json!({
        "resource": resource,
        "resource_name": name,
        "bearer_methods_supported": ["header"],
    });
    if !servers.is_empty() {
        add(&mut document, "authorization_servers", servers.to_vec());
    }
    if !scopes.is_empty() {
        add(&mut document, "scopes_supported", scopes.to_vec());
    }
    public_json(&document)
}
