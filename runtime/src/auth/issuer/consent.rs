//! The answer to the consent page. Only after it does the provider see anything.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use mxcp_schemas::audit::Client as Recorded;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Issuer;
use super::authorize::{Asked, Stopped, redeem};
use super::cookie::{Browser, LOGIN_S};
use super::form::Form;
use super::reply::{OAuthError, redirect};
use crate::audit::AuthStep;
use crate::auth::provider::Login;
use crate::auth::secret::Digest;
use crate::auth::store::Begun;
use crate::transport::visitor::Visitor;

/// A login at the provider, and what it is for.
#[derive(Serialize, Deserialize)]
pub(super) struct Underway {
    /// what the client asked for
    pub(super) asked: Asked,
    /// our side of the provider's leg
    pub(super) login: Login,
}

/// `POST /consent`
pub(super) async fn post(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Stopped> {
    let form = Form::parse(body)?;
    form.once()?;
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| site != "same-origin") {
        return Err(stale("consent_site"));
    }
    let browser = Browser::known(visitor, headers).ok_or_else(|| stale("consent_cookie"))?;
    let ticket = form.need("ticket")?;
    let asked = redeem(issuer, &browser.digest, ticket).ok_or_else(|| stale("consent_ticket"))?;
    if asked.base_url != visitor.base_url {
        return Err(stale("consent_origin"));
    }
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&asked.client_id), ip: Some(&ip) };
    match form.get("decision") {
        Some("allow") => {}
        Some("deny") => {
            let step = AuthStep::Refused;
            let done = issuer.record(step, Some("access_denied"), recorded, None, None, None);
            done.await?;
            return Ok(asked.refuse("access_denied", "the person declined"));
        }
        _ => return Err(OAuthError::invalid_request("`decision` is missing").into()),
    }
    let detail = json!({ "scopes": asked.scopes, "redirect_uri": asked.redirect_uri });
    issuer.record(AuthStep::Consented, None, recorded, None, None, Some(&detail)).await?;
    let to = begin(issuer, visitor, &browser, asked).await?;
    Ok(browser.set_on(to))
}

/// Records that a login which a person wants cannot begin, and tells the client.
async fn put_off(
    issuer: &Issuer,
    visitor: &Visitor,
    asked: &Asked,
    reason: &str,
    description: &str,
) -> Result<Response, OAuthError> {
    let ip = visitor.ip();
    let recorded = Recorded { id: Some(&asked.client_id), ip: Some(&ip) };
    issuer.record(AuthStep::Refused, Some(reason), recorded, None, None, None).await?;
    Ok(asked.refuse("temporarily_unavailable", description))
}

/// Begins the login at the provider.
async fn begin(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    browser: &Browser,
    asked: Asked,
) -> Result<Response, OAuthError> {
    let login = Login::new(format!("{}{}", asked.base_url, issuer.callback_path));
    let url = match issuer.provider.authorization_url(&login).await {
        Ok(url) => url,
        Err(error) => {
            tracing::error!(%error, "the identity provider cannot be used");
            let text = "the identity provider cannot be reached";
            return put_off(issuer, visitor, &asked, "provider: unreachable", text).await;
        }
    };
    let (state, owner) = (Digest::of(&login.state), browser.digest);
    let (refused, underway) = (asked.clone(), Underway { asked, login });
    let content = serde_json::to_string(&underway).map_err(|_| OAuthError::unavailable())?;
    let (network, now) = (visitor.network(), issuer.clock.now_s());
    let begun = issuer
        .store
        .write(move |desk| desk.begin_login(&state, &owner, &content, &network, now + LOGIN_S, now))
        .await?;
    match begun {
        Begun::Done => Ok(redirect(&url)),
        Begun::Full => {
            let text = "too many logins are under way; try again later";
            put_off(issuer, visitor, &refused, "too_many_logins", text).await
        }
    }
}

/// An answer to a page that this browser was not shown, or too long ago.
fn stale(reason: &'static str) -> Stopped {
    tracing::info!(reason, "an answer to a consent page was refused");
    let text = "this page is too old or was opened in another browser; go back to the program \
                that you came from and begin again";
    Stopped::Here(OAuthError { status: 403, ..OAuthError::new("access_denied", text) })
}
