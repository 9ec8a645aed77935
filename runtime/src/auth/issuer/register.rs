//! Dynamic client registration (RFC 7591).

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use mxcp_schemas::audit::Client as Recorded;
use serde_json::json;

use super::Issuer;
use super::client::{AUTHORIZATION_CODE, REFRESH_TOKEN, check_redirect};
use super::reply::{OAuthError, add, json_response};
use crate::audit::AuthStep;
use crate::auth::secret::{Digest, fresh, identifier};
use crate::auth::store::{Registered, Registration};
use crate::json::{self, Json};
use crate::transport::visitor::Visitor;

/// Redirect URIs of a client, at most.
const REDIRECT_URIS_MAX: usize = 16;
/// Characters of a name.
const NAME_MAX_CHARS: usize = 200;
/// Bytes of a list of scopes.
const SCOPE_MAX_BYTES: usize = 2_000;
/// Seconds after which registering may work again.
const RETRY_S: u64 = 600;

/// `POST /register`
pub(super) async fn post(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, OAuthError> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(wrong("the content type must be `application/json`"));
    }
    let document = json::parse_within(body, 8).map_err(|_| wrong("the body is not JSON"))?;
    let (mut client, is_confidential) = read(&document)?;
    client.client_id = format!("mxcp_client_{}", identifier()?);
    let secret = is_confidential.then(|| fresh("mxcp_secret_")).transpose()?;
    client.secret = secret.as_ref().map(|secret| Digest::of(secret.expose()));
    let now = issuer.clock.now_s();
    let (kept, network) = (client.clone(), visitor.network());
    let done = issuer.store.write(move |desk| desk.register(&kept, &network, now)).await?;
    match done {
        Registration::Done => {}
        Registration::AddressFull => {
            let text = "this address has registered as many clients as it may have";
            return Err(OAuthError::too_many(text, RETRY_S));
        }
        Registration::Full => {
            let text = "there are as many registered clients as there may be";
            return Err(OAuthError::too_many(text, RETRY_S));
        }
    }
    let detail = json!({ "client_name": client.name, "redirect_uris": client.redirect_uris });
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&client.client_id), ip: Some(&ip) };
    issuer.record(AuthStep::Registered, None, recorded, None, None, Some(&detail)).await?;
    let mut answer = json!({
        "client_id": client.client_id,
        "client_id_issued_at": now,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth_method,
    });
    if let Some(secret) = &secret {
        add(&mut answer, "client_secret", secret.expose().as_str());
        add(&mut answer, "client_secret_expires_at", 0);
    }
    if !client.scopes.is_empty() {
        add(&mut answer, "scope", client.scopes.join(" "));
    }
    Ok(json_response(201, &answer))
}

fn wrong(problem: &str) -> OAuthError {
    OAuthError::new("invalid_client_metadata", problem)
}

/// What a registration asks for, and whether the client wants a secret.
fn read(document: &Json<'_>) -> Result<(Registered, bool), OAuthError> {
    if !matches!(document, Json::Object(_)) {
        return Err(wrong("the body is not a JSON object"));
    }
    let text = |name: &str| match document.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_ref().to_owned())),
        Some(_) => Err(wrong(&format!("`{name}` must be a string"))),
    };
    let texts = |name: &str| match document.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
            .map(Some)
            .ok_or_else(|| wrong(&format!("`{name}` must be a list of strings"))),
        Some(_) => Err(wrong(&format!("`{name}` must be a list of strings"))),
    };
    let redirect_uris = redirect_uris(texts("redirect_uris")?)?;
    let auth_method =
        text("token_endpoint_auth_method")?.unwrap_or_else(|| "client_secret_basic".to_owned());
    if !super::metadata::AUTH_METHODS.contains(&auth_method.as_str()) {
        return Err(wrong("this `token_endpoint_auth_method` is not supported"));
    }
    let grants = texts("grant_types")?.unwrap_or_else(|| vec![AUTHORIZATION_CODE.to_owned()]);
    if !grants.iter().any(|grant| grant == AUTHORIZATION_CODE) {
        return Err(wrong("`grant_types` must have `authorization_code`"));
    }
    let known = |grant: &String| grant == AUTHORIZATION_CODE || grant == REFRESH_TOKEN;
    let responses = texts("response_types")?.unwrap_or_else(|| vec!["code".to_owned()]);
    if !responses.iter().any(|response| response == "code") {
        return Err(wrong("`response_types` must have `code`"));
    }
    let name = text("client_name")?.unwrap_or_else(|| "a client without a name".to_owned());
    if name.chars().count() > NAME_MAX_CHARS {
        return Err(wrong("`client_name` is too long"));
    }
    let scope = text("scope")?.unwrap_or_default();
    if scope.len() > SCOPE_MAX_BYTES {
        return Err(wrong("`scope` is too long"));
    }
    let client = Registered {
        client_id: String::new(),
        secret: None,
        name,
        redirect_uris,
        grant_types: grants.into_iter().filter(known).collect(),
        auth_method: auth_method.clone(),
        scopes: scope.split_ascii_whitespace().map(str::to_owned).collect(),
    };
    Ok((client, auth_method != "none"))
}

fn redirect_uris(given: Option<Vec<String>>) -> Result<Vec<String>, OAuthError> {
    let wrong = |problem: &str| OAuthError::new("invalid_redirect_uri", problem);
    let uris =
        given.filter(|uris| !uris.is_empty()).ok_or_else(|| wrong("there is no redirect URI"))?;
    if uris.len() > REDIRECT_URIS_MAX {
        return Err(wrong("there are too many redirect URIs"));
    }
    for uri in &uris {
        check_redirect(uri).map_err(wrong)?;
    }
    Ok(uris)
}
