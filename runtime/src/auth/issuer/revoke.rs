//! Giving tokens back: `/revoke` for clients (RFC 7009), `/logout` for whoever holds a token.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use mxcp_schemas::audit::Client as Recorded;
use serde_json::json;

use super::Issuer;
use super::form::Form;
use super::reply::{OAuthError, json_response};
use super::token::authenticate;
use crate::audit::AuthStep;
use crate::auth::bearer;
use crate::auth::secret::Digest;
use crate::transport::visitor::Visitor;

/// `POST /revoke`: an access token ends alone, a refresh token ends the whole grant. A token that
/// nobody knows is as void as it should be.
pub(super) async fn post(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, OAuthError> {
    let form = Form::parse(body)?;
    form.once()?;
    let client_id = authenticate(issuer, visitor, headers, &form).await?;
    let token = Digest::of(form.need("token")?);
    let owner = issuer.store.read(move |desk| desk.owner(&token)).await?;
    let Some((grant_id, owner, is_access)) = owner else { return Ok(done()) };
    if owner != client_id {
        return Err(OAuthError::new("unauthorized_client", "the token is another client's"));
    }
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&client_id), ip: Some(&ip) };
    if is_access {
        let identity = issuer.identity(&grant_id).await?;
        issuer.store.write(move |desk| desk.end_token(&token)).await?;
        issuer.forget(&token);
        let detail = json!({ "what": "access_token" });
        let (identity, session) = (identity.as_ref(), Some(grant_id.as_str()));
        issuer.record(AuthStep::Revoked, None, recorded, identity, session, Some(&detail)).await?;
    } else {
        issuer.end(&grant_id, "refresh_token", recorded).await?;
    }
    Ok(done())
}

/// `POST /logout`: ends the grant of the token that is presented, here and at the provider.
pub(super) async fn logout(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
) -> Result<Response, OAuthError> {
    let invalid = || OAuthError {
        status: 401,
        ..OAuthError::new("invalid_token", "the token is not (or no longer) good")
    };
    let token = Digest::of(bearer::read(headers).map_err(|_| invalid())?);
    let now = issuer.clock.now_s();
    let found = issuer.store.read(move |desk| {
        let Some(row) = desk.token(&token, now)? else { return Ok(None) };
        Ok(desk.owner(&token)?.map(|(_, client_id, _)| (row.grant_id, client_id)))
    });
    let Some((grant_id, client_id)) = found.await? else { return Err(invalid()) };
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&client_id), ip: Some(&ip) };
    issuer.end(&grant_id, "logout", recorded).await?;
    Ok(done())
}

fn done() -> Response {
    json_response(200, &json!({}))
}
