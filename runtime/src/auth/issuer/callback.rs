//! The provider sends somebody back: the login becomes a grant, and the client gets a code.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use mxcp_schemas::audit::Client as Recorded;

use super::Issuer;
use super::authorize::{Asked, Stopped};
use super::consent::Underway;
use super::cookie::Browser;
use super::form::Form;
use super::reply::OAuthError;
use crate::audit::AuthStep;
use crate::auth::provider::{Callback, Grant, Person, ProviderError};
use crate::auth::secret::{Digest, fresh, identifier};
use crate::auth::store::{Code, NewGrant};
use crate::config::Concealed;
use crate::transport::visitor::Visitor;

/// Seconds that a code is good for.
pub(super) const CODE_S: i64 = 60;
/// Seconds after which a person has to log in again, whatever happens.
pub(super) const GRANT_S: i64 = 90 * 24 * 3_600;

/// `GET` on the callback path
pub(super) async fn get(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, Stopped> {
    let form = Form::parse(query.as_bytes())?;
    form.once()?;
    let underway = take(issuer, visitor, headers, &form).await?;
    let asked = &underway.asked;
    let refuse = |code: &'static str, reason: String| refuse(issuer, visitor, asked, code, reason);
    if let Some(error) = form.get("error") {
        // What somebody else says is not what the provider says (RFC 9207 §2.4).
        if let Ok(metadata) = issuer.provider.metadata().await
            && let Err(error) = metadata.check_callback(form.get("iss"))
        {
            return refuse("server_error", reason(&error).into()).await;
        }
        let denied = error == "access_denied";
        let code = if denied { "access_denied" } else { "server_error" };
        return refuse(code, format!("provider: {}", word(error))).await;
    }
    let Some(code) = form.get("code") else {
        return refuse("server_error", "provider: no code".into()).await;
    };
    let callback =
        Callback { code: Concealed::new(code.to_owned()), iss: form.get("iss").map(str::to_owned) };
    let (grant, person) = match identify(issuer, &underway, &callback).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "a login at the identity provider failed");
            let code =
                if error.is_temporary() { "temporarily_unavailable" } else { "server_error" };
            return refuse(code, reason(&error).into()).await;
        }
    };
    Ok(keep(issuer, asked, grant, person).await?)
}

/// Takes the login that a callback belongs to, once.
async fn take(
    issuer: &Issuer,
    visitor: &Visitor,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Underway, Stopped> {
    let stale = || {
        let text = "this login is over, was not begun here, or was begun in another browser; go \
                    back to the program that you came from and begin again";
        Stopped::Here(OAuthError { status: 403, ..OAuthError::new("access_denied", text) })
    };
    let state = Digest::of(form.get("state").ok_or_else(stale)?);
    let browser = Browser::known(visitor, headers).ok_or_else(stale)?.digest;
    let now = issuer.clock.now_s();
    let taken = issuer.store.write(move |desk| desk.take_login(&state, &browser, now)).await;
    let content = taken.map_err(OAuthError::from)?.ok_or_else(stale)?;
    serde_json::from_str(&content).map_err(|_| stale())
}

async fn identify(
    issuer: &Issuer,
    underway: &Underway,
    callback: &Callback,
) -> Result<(Grant, Person), ProviderError> {
    let grant = issuer.provider.exchange(&underway.login, callback).await?;
    let person = issuer.provider.identity(&grant).await?;
    if person.user_id.is_empty() {
        return Err(ProviderError::Answer("the person has no id".into()));
    }
    Ok((grant, person))
}

/// Keeps what was granted, and gives the client a code for it.
async fn keep(
    issuer: &Arc<Issuer>,
    asked: &Asked,
    provider: Grant,
    person: Person,
) -> Result<Response, OAuthError> {
    let (id, text) = (identifier()?, fresh("mxcp_code_")?);
    let now = issuer.clock.now_s();
    let grant = NewGrant {
        id: id.clone(),
        client_id: asked.client_id.clone(),
        person,
        scopes: asked.scopes.clone(),
        resource: asked.resource.clone(),
        may_refresh: asked.may_refresh,
        provider,
        expires: now + GRANT_S,
    };
    let code = Code {
        digest: Digest::of(text.expose()),
        redirect_uri: asked.named_redirect.then(|| asked.redirect_uri.clone()),
        challenge: asked.challenge.clone(),
        expires: now + CODE_S,
    };
    let gave_way = issuer
        .store
        .write(move |desk| {
            let gave_way = desk.add_grant(&grant, now)?;
            desk.add_code(&id, &code)?;
            desk.use_client(&grant.client_id, now)?;
            Ok(gave_way)
        })
        .await?;
    for ended in gave_way {
        let client = ended.row.as_ref().map(|row| row.client_id.clone());
        let client = Recorded { id: client.as_deref(), ip: None };
        issuer.ended_here(&ended, AuthStep::Revoked, "too_many_logins", client).await?;
    }
    Ok(asked.answer(&[("code", text.expose())]))
}

async fn refuse(
    issuer: &Issuer,
    visitor: &Visitor,
    asked: &Asked,
    code: &'static str,
    reason: String,
) -> Result<Response, Stopped> {
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&asked.client_id), ip: Some(&ip) };
    let step = AuthStep::Refused;
    issuer.record(step, Some(&reason), recorded, None, None, None).await?;
    Ok(asked.refuse(code, "the login at the identity provider did not succeed"))
}

/// Why a login failed, as one of a fixed set of words.
const fn reason(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::InvalidGrant => "provider: invalid_grant",
        ProviderError::Refused { .. } => "provider: refused",
        ProviderError::Fetch(_) => "provider: unreachable",
        ProviderError::Answer(_) => "provider: answer",
        ProviderError::MixedUp => "provider: mix_up",
        ProviderError::IdToken(_) => "provider: id_token",
    }
}

/// An error code of OAuth, or that it is none.
fn word(text: &str) -> &str {
    let is_word = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word { text } else { "unknown" }
}
