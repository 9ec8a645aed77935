//! `/token`: codes and refresh tokens become tokens.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mxcp_schemas::audit::Client as Recorded;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Issuer;
use super::authorize::check_resource;
use super::client::{AUTHORIZATION_CODE, Credentials, REFRESH_TOKEN};
use super::document;
use super::form::Form;
use super::reply::{OAuthError, add, json_response};
use crate::audit::AuthStep;
use crate::auth::constant::is_equal;
use crate::auth::secret::{Digest, NoRandom, fresh};
use crate::auth::store::{Ended, Pair, Redeemed, Refreshed};
use crate::transport::visitor::Visitor;

/// Seconds that an access token is good for.
pub(super) const ACCESS_TOKEN_S: i64 = 3_600;
/// Seconds that a refresh token is good for, if nobody uses it.
pub(super) const REFRESH_TOKEN_S: i64 = 30 * 24 * 3_600;
/// What every access token begins with, so that people and scanners recognise one.
pub const ACCESS_PREFIX: &str = "mxcp_at_";
const REFRESH_PREFIX: &str = "mxcp_rt_";

/// Who asks for tokens.
struct Asking<'a> {
    issuer: &'a Arc<Issuer>,
    visitor: &'a Visitor,
    client_id: String,
}

/// `POST /token`
pub(super) async fn post(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, OAuthError> {
    let form = Form::parse(body)?;
    form.once()?;
    let client_id = authenticate(issuer, visitor, headers, &form).await?;
    check_resource(visitor, &form)?;
    let asking = Asking { issuer, visitor, client_id };
    match form.need("grant_type")? {
        AUTHORIZATION_CODE => asking.redeem(&form).await,
        REFRESH_TOKEN => asking.refresh(&form).await,
        _ => {
            let text = "`grant_type` must be `authorization_code` or `refresh_token`";
            Err(OAuthError::new("unsupported_grant_type", text))
        }
    }
}

/// The client that asks, once it has shown that it is the one.
pub(super) async fn authenticate(
    issuer: &Issuer,
    visitor: &Visitor,
    headers: &HeaderMap,
    form: &Form,
) -> Result<String, OAuthError> {
    let given = Credentials::read(headers, form)?;
    // A client that describes itself has no secret; what it may do was settled when it was let in.
    if document::is_url(&given.id) {
        return match given.secret {
            None => Ok(given.id),
            Some(_) => Err(OAuthError::invalid_client("the client could not be authenticated")),
        };
    }
    let (network, now) = (visitor.network(), issuer.clock.now_s());
    let guesser = format!("{network} {}", given.id);
    let client = issuer.client(&given.id, &network).await?;
    match given.secret {
        Some(_) => issuer.guesses.look(&guesser, now, || client.authenticate(&given))?,
        None => client.authenticate(&given)?,
    }
    Ok(given.id)
}

impl Asking<'_> {
    async fn redeem(&self, form: &Form) -> Result<Response, OAuthError> {
        let code = Digest::of(form.need("code")?);
        let verifier = form.need("code_verifier")?.to_owned();
        check_verifier(&verifier)?;
        let redirect = form.get("redirect_uri").map(str::to_owned);
        let now = self.issuer.clock.now_s();
        let client_id = self.client_id.clone();
        let fits = move |asked: Option<&str>, challenge: &str| {
            asked == redirect.as_deref() && answers(&verifier, challenge)
        };
        let naming = self.issuer.provider.naming();
        let (pair, redeemed, row) = self
            .issuer
            .store
            .write(move |desk| {
                let row = desk.grant_behind(&code, naming, now)?;
                let mut made = None;
                let make = |scopes, may_refresh| {
                    let pair = pair(scopes, may_refresh, now)?;
                    made = Some(pair.clone());
                    Ok(pair)
                };
                let redeemed = desk.redeem(&code, &client_id, fits, make, now)?;
                Ok((made, redeemed, row))
            })
            .await?;
        match (redeemed, pair) {
            (Redeemed::Done { grant_id, .. }, Some(pair)) => {
                self.tell(AuthStep::Issued, None, &grant_id, &pair.scopes).await?;
                Ok(self.reply(&pair))
            }
            (Redeemed::Reused { grant_id: id }, _) => {
                let ended = Ended { id, row: row.map(Box::new) };
                self.ended(ended, AuthStep::Reused, "code").await?;
                Err(OAuthError::invalid_grant("the code was used before"))
            }
            (Redeemed::Mismatch, _) => {
                self.refused("code_mismatch");
                if let Some(row) = row {
                    let ended = Ended { id: row.id.clone(), row: Some(Box::new(row)) };
                    self.ended(ended, AuthStep::Revoked, "code_mismatch").await?;
                }
                Err(OAuthError::invalid_grant("the code is good for something else"))
            }
            _ => {
                self.refused("code_unknown");
                Err(OAuthError::invalid_grant("there is no such code, or its time is over"))
            }
        }
    }

    async fn refresh(&self, form: &Form) -> Result<Response, OAuthError> {
        let token = Digest::of(form.need("refresh_token")?);
        let now = self.issuer.clock.now_s();
        let client_id = self.client_id.clone();
        let narrowed: Option<Vec<String>> =
            form.get("scope").map(|s| s.split_ascii_whitespace().map(str::to_owned).collect());
        let (naming, defined) = (self.issuer.provider.naming(), self.issuer.scopes.clone());
        let (refreshed, row) = self
            .issuer
            .store
            .write(move |desk| {
                let row = desk.grant_behind(&token, naming, now)?;
                let make = |granted: Vec<String>| {
                    let Some(asked) = narrowed else { return Ok(Some(pair(granted, true, now)?)) };
                    // As with the first request, what nobody defined is left out. Nothing beyond the grant
                    // can be asked for (RFC 6749 §6), and asking spends no token.
                    let had = |scope: &String| granted.contains(scope);
                    let kept: Vec<String> = asked.iter().filter(|s| had(s)).cloned().collect();
                    let beyond = asked.iter().any(|s| defined.contains(s) && !had(s))
                        || (kept.is_empty() && !granted.is_empty());
                    Ok(if beyond { None } else { Some(pair(kept, true, now)?) })
                };
                Ok((desk.refresh(&token, &client_id, make, now)?, row))
            })
            .await?;
        match refreshed {
            Refreshed::Done { grant_id, pair, replayed } => {
                let reason = replayed.then_some("the same again");
                self.tell(AuthStep::Refreshed, reason, &grant_id, &pair.scopes).await?;
                Ok(self.reply(&pair))
            }
            Refreshed::Reused { grant_id: id } => {
                let ended = Ended { id, row: row.map(Box::new) };
                self.ended(ended, AuthStep::Reused, "refresh_token").await?;
                Err(OAuthError::invalid_grant("the refresh token was used before"))
            }
            Refreshed::Beyond => {
                let text = "a scope is asked for that was not granted";
                Err(OAuthError::new("invalid_scope", text))
            }
            Refreshed::Mismatch => {
                self.refused("refresh_token_mismatch");
                Err(OAuthError::invalid_grant("the refresh token is another client's"))
            }
            Refreshed::Unknown => {
                self.refused("refresh_token_unknown");
                let text = "there is no such refresh token, or its login is over: log in again";
                Err(OAuthError::invalid_grant(text))
            }
        }
    }

    fn reply(&self, pair: &Pair) -> Response {
        let now = self.issuer.clock.now_s();
        let mut body = json!({
            "access_token": pair.access.expose(),
            "token_type": "Bearer",
            "expires_in": (pair.access_expires - now).max(0),
            "scope": pair.scopes.join(" "),
        });
        if let Some(refresh) = &pair.refresh {
            add(&mut body, "refresh_token", refresh.expose().as_str());
        }
        json_response(200, &body)
    }

    async fn tell(
        &self,
        step: AuthStep,
        reason: Option<&str>,
        grant_id: &str,
        scopes: &[String],
    ) -> Result<(), OAuthError> {
        let ip = self.visitor.ip();
        let recorded = Recorded { id: Some(&self.client_id), ip: Some(&ip) };
        let detail = json!({ "scopes": scopes, "what": reason });
        let identity = self.issuer.identity(grant_id).await?;
        let (identity, session) = (identity.as_ref(), Some(grant_id));
        Ok(self.issuer.record(step, None, recorded, identity, session, Some(&detail)).await?)
    }

    /// Records that a grant ended because of what was presented.
    async fn ended(&self, ended: Ended, step: AuthStep, what: &str) -> Result<(), OAuthError> {
        let ip = self.visitor.ip();
        let recorded = Recorded { id: Some(&self.client_id), ip: Some(&ip) };
        self.issuer.ended(ended, step, what, recorded).await
    }

    /// Adds a refusal of somebody unknown to the sums: a flood of them must not fill a disk.
    fn refused(&self, reason: &'static str) {
        self.issuer.refused(self.visitor, reason);
    }
}

/// New tokens.
fn pair(scopes: Vec<String>, may_refresh: bool, now: i64) -> Result<Pair, NoRandom> {
    Ok(Pair {
        access: fresh(ACCESS_PREFIX)?,
        access_expires: now + ACCESS_TOKEN_S,
        scopes,
        refresh: may_refresh.then(|| fresh(REFRESH_PREFIX)).transpose()?,
        refresh_expires: now + REFRESH_TOKEN_S,
    })
}

/// 43 to 128 characters that need no encoding (RFC 7636 §4.1).
fn check_verifier(verifier: &str) -> Result<(), OAuthError> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if (43..=128).contains(&verifier.len()) && verifier.bytes().all(known) {
        return Ok(());
    }
    Err(OAuthError::invalid_request("`code_verifier` is no PKCE verifier"))
}

/// Whether a verifier is the one that a challenge was made from.
fn answers(verifier: &str, challenge: &str) -> bool {
    let expected = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    is_equal(&expected, challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkce_is_that_of_rfc_7636() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(answers(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!answers(verifier, verifier));
        assert!(check_verifier(verifier).is_ok());
        for wrong in ["short", &"a".repeat(129), &format!("{verifier} ")] {
            assert!(check_verifier(wrong).is_err());
        }
    }
}
