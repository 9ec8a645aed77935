//! `/authorize`: what a client asks for is checked, and a person is asked whether it may.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use url::Url;

use super::client::{Client, Source, host_of, is_loopback_uri};
use super::cookie::{Browser, LOGIN_S};
use super::form::{Form, with_query};
use super::page::{self, Consent, Origin};
use super::reply::{OAuthError, redirect};
use super::{Issuer, resource_of};
use crate::auth::seal::Place;
use crate::auth::secret::Digest;
use crate::transport::visitor::Visitor;

/// Bytes of a client's `state`, at most.
const STATE_MAX_BYTES: usize = 4_096;
/// Length of an S256 challenge: 32 bytes in base64url.
const CHALLENGE_CHARS: usize = 43;

/// What a client asks for, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// who asks
    pub(super) client_id: String,
    /// where the person is sent afterwards
    pub(super) redirect_uri: String,
    /// whether the operator named that place, or it is on the person's own machine
    #[serde(default)]
    pub(super) is_trusted: bool,
    /// whether the request named it, so that the exchange must name it too
    pub(super) named_redirect: bool,
    /// comes back to the client as it is
    pub(super) state: Option<String>,
    /// PKCE challenge, S256
    pub(super) challenge: String,
    /// what the tokens will allow
    pub(super) scopes: Vec<String>,
    /// on which server
    pub(super) resource: String,
    /// whether the client may have refresh tokens
    pub(super) may_refresh: bool,
    /// this server's URL, as the client knows it
    pub(super) base_url: String,
}

/// What the consent page gives back, encrypted for one browser.
#[derive(Serialize, Deserialize)]
struct Ticket {
    asked: Asked,
    expires: i64,
}

/// Why a request cannot go on.
pub(super) enum Stopped {
    /// the person reads it: nobody knows whether the redirect URI is the client's
    Here(OAuthError),
    /// the client is told, by this code
    There(&'static str, Response),
}

impl<E: Into<OAuthError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Here(error.into())
    }
}

impl Asked {
    /// Sends the person back to the client with what they agreed to, and the issuer's name (RFC 9207).
    pub(super) fn answer(&self, parameters: &[(&str, &str)]) -> Response {
        redirect(&self.back().with(parameters))
    }

    /// Says that there is nothing for the client, and lets the person go back to it.
    pub(super) fn refuse(&self, code: &str, description: &str) -> Response {
        self.back().refuse(code, description)
    }

    fn back(&self) -> Back<'_> {
        Back {
            uri: &self.redirect_uri,
            is_trusted: self.is_trusted,
            state: self.state.as_deref(),
            issuer: &self.base_url,
        }
    }
}

/// The way back to a client.
struct Back<'a> {
    uri: &'a str,
    is_trusted: bool,
    state: Option<&'a str>,
    issuer: &'a str,
}

impl Back<'_> {
    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        all.extend(self.state.map(|state| ("state", state)));
        all.push(("iss", self.issuer));
        with_query(self.uri, &all)
    }

    /// Nobody is sent by an error to a place that a stranger registered: whoever wants a page of theirs
    /// to look as if it came from here would only have to make a request that fails. The person sees
    /// where the link leads (RFC 9700 §4.11.2).
    fn refuse(&self, code: &str, description: &str) -> Response {
        let to = self.with(&[("error", code), ("error_description", description)]);
        if self.is_trusted {
            return redirect(&to);
        }
        let status = match code {
            "access_denied" => 200,
            "temporarily_unavailable" => 503,
            "server_error" => 502,
            _ => 400,
        };
        page::leave(status, description, &host_of(self.uri), &to)
    }
}

/// `GET /authorize`
pub(super) async fn get(
    issuer: &Arc<Issuer>,
    visitor: &Visitor,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, Stopped> {
    let form = Form::parse(query.as_bytes())?;
    let (client, asked) = read(issuer, visitor, &form).await?;
    let browser = Browser::known_or_new(visitor, headers)?;
    let ticket = issue(issuer, &browser, &asked)?;
    let document_host = host_of(&client.id);
    // Where the provider is, which it is not told of anybody here.
    let login_host = match issuer.provider.metadata().await {
        Ok(metadata) => host_of(&metadata.authorization_endpoint),
        Err(_) => String::new(),
    };
    let page = page::consent(&Consent {
        project: issuer.runtime.project(),
        provider: issuer.provider.name(),
        login_host: &login_host,
        client: &client.name,
        origin: match client.source {
            Source::Configured => Origin::Configured,
            Source::Registered => Origin::Registered,
            Source::Document => Origin::Document(&document_host),
        },
        redirect_host: &host_of(&asked.redirect_uri),
        is_loopback: is_loopback_uri(&asked.redirect_uri),
        scopes: &asked.scopes,
        ticket: &ticket,
    });
    Ok(browser.set_on(page))
}

/// Reads what is asked for: first who asks and where an answer may go, and only then the rest.
async fn read(issuer: &Issuer, visitor: &Visitor, form: &Form) -> Result<(Client, Asked), Stopped> {
    let once = form.once();
    if form.all("client_id").count() > 1 || form.all("redirect_uri").count() > 1 {
        once.clone()?;
    }
    let client = issuer.client(form.need("client_id")?, &visitor.network()).await?;
    let named = form.get("redirect_uri");
    let redirect_uri = match (named, client.redirect_uris.as_slice()) {
        (Some(uri), _) if client.allows_redirect(uri) => uri.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(OAuthError::invalid_request("`redirect_uri` is missing").into()),
        (Some(_), _) => {
            let text = "the `redirect_uri` is not one that this client registered";
            return Err(OAuthError::invalid_request(text).into());
        }
    };
    let state = form.get("state");
    let is_trusted = client.source == Source::Configured || is_loopback_uri(&redirect_uri);
    let details = once.and_then(|()| details(issuer, visitor, &client, form));
    let (challenge, scopes) = details.map_err(|error| {
        let state = state.filter(|state| state.len() <= STATE_MAX_BYTES);
        let back = Back { uri: &redirect_uri, is_trusted, state, issuer: &visitor.base_url };
        Stopped::There(error.code, back.refuse(error.code, &error.description))
    })?;
    let asked = Asked {
        client_id: client.id.clone(),
        redirect_uri,
        is_trusted,
        named_redirect: named.is_some(),
        state: state.map(str::to_owned),
        challenge,
        scopes,
        resource: resource_of(visitor),
        may_refresh: client.may_refresh,
        base_url: visitor.base_url.clone(),
    };
    Ok((client, asked))
}

/// The parts whose errors the client may read: the challenge and the scopes.
fn details(
    issuer: &Issuer,
    visitor: &Visitor,
    client: &Client,
    form: &Form,
) -> Result<(String, Vec<String>), OAuthError> {
    if form.get("request").is_some() {
        return Err(OAuthError::new("request_not_supported", "`request` is not supported"));
    }
    if form.get("request_uri").is_some() {
        return Err(OAuthError::new("request_uri_not_supported", "`request_uri` is not supported"));
    }
    if form.need("response_type")? != "code" {
        let text = "`response_type` must be `code`";
        return Err(OAuthError::new("unsupported_response_type", text));
    }
    if form.get("response_mode").is_some_and(|mode| mode != "query") {
        return Err(OAuthError::invalid_request("`response_mode` must be `query`"));
    }
    if form.get("state").is_some_and(|state| state.len() > STATE_MAX_BYTES) {
        return Err(OAuthError::invalid_request("`state` is too long"));
    }
    if form.get("code_challenge_method") != Some("S256") {
        return Err(OAuthError::invalid_request("PKCE is required: `code_challenge_method=S256`"));
    }
    let challenge = form.need("code_challenge")?;
    if URL_SAFE_NO_PAD.decode(challenge).map_or(true, |bytes| bytes.len() != 32) {
        return Err(OAuthError::invalid_request("`code_challenge` is no S256 challenge"));
    }
    debug_assert_eq!(challenge.len(), CHALLENGE_CHARS);
    check_resource(visitor, form)?;
    let scopes = issuer.granted(client, form.get("scope"))?;
    Ok((challenge.to_owned(), scopes))
}

/// Checks that tokens are asked for this server and no other (RFC 8707).
pub(super) fn check_resource(visitor: &Visitor, form: &Form) -> Result<(), OAuthError> {
    let ours = Url::parse(&resource_of(visitor)).ok();
    for resource in form.all("resource") {
        let mut asked = Url::parse(resource).ok().filter(|url| url.fragment().is_none());
        if let Some(url) = &mut asked {
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
        }
        if asked.is_none() || asked != ours {
            let text = "`resource` is not this server";
            return Err(OAuthError::new("invalid_target", text));
        }
    }
    Ok(())
}

/// Encrypts what was asked for, so that one browser alone can bring it back, and unchanged.
fn issue(issuer: &Issuer, browser: &Browser, asked: &Asked) -> Result<String, OAuthError> {
    let ticket =
        Ticket { asked: asked.clone(), expires: issuer.clock.now_s().saturating_add(LOGIN_S) };
    let text = serde_json::to_vec(&ticket).map_err(|_| OAuthError::unavailable())?;
    let sealed = issuer.sealer.seal(place(&browser.digest.hex()), &text)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What was asked for on the page that this browser was shown.
pub(super) fn redeem(issuer: &Issuer, browser: &Digest, ticket: &str) -> Option<Asked> {
    let sealed = URL_SAFE_NO_PAD.decode(ticket).ok()?;
    let text = issuer.sealer.open(place(&browser.hex()), &sealed).ok()?;
    let ticket: Ticket = serde_json::from_slice(&text).ok()?;
    (ticket.expires > issuer.clock.now_s()).then_some(ticket.asked)
}

const fn place(browser: &str) -> Place<'_> {
    Place { table: "consent", row: browser, column: "ticket" }
}
