//! Salesforce: production, sandboxes and domains of one's own.
//!
//! Token answers name the person's `id` URL and the organization's `instance_url`, signed with our
//! secret; the `id` URL tells who somebody is, sometimes after one step to the instance. Answers do
//! not say when access tokens expire.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, header};
use url::Url;

use super::answer::{flag, members, optional, required, words};
use super::leg::{Leg, Peculiar, Tokens};
use super::openid::gone;
use super::{
    Audience, Callback, Deployment, Grant, Introspected, Key, Kind, Login, Metadata, Naming,
    Person, Provider, ProviderError, Reply, SettingError, Settings, Unset,
};
use crate::auth::claims::Claims;
use crate::auth::fetch::{Answer, Document, FetchError};
use crate::config::Concealed;
use crate::json::{Json, Member};

const AUTH_URL: Key = Key {
    name: "auth_url",
    meaning: "where a browser logs in; of a sandbox, below `https://test.salesforce.com`",
    unset: Unset::Value("https://login.salesforce.com/services/oauth2/authorize"),
};
const TOKEN_URL: Key = Key {
    name: "token_url",
    meaning: "where codes become tokens",
    unset: Unset::Value("https://login.salesforce.com/services/oauth2/token"),
};
const USERINFO_URL: Key = Key {
    name: "userinfo_url",
    meaning: "where the owner of a token is told; else beside `token_url`",
    unset: Unset::Absent,
};

pub(super) const KIND: Kind =
    Kind { name: "salesforce", keys: &[AUTH_URL, TOKEN_URL, USERINFO_URL], build };

const PECULIAR: Peculiar = Peculiar {
    secret_in_body: true,
    invalid_grant: &[],
    commas: false,
    untyped: false,
    authorize: &[],
};
const NAMING: Naming =
    Naming { username: &["username", "preferred_username"], email: "email", name: "display_name" };
/// Domains of Salesforce; below them are the hosts of organizations.
const DOMAINS: [&str; 3] = [".salesforce.com", ".force.com", ".salesforce.mil"];

#[derive(Debug)]
struct Salesforce {
    leg: Leg,
    metadata: Arc<Metadata>,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let leg = Leg::new(settings, deployment, "id email refresh_token", PECULIAR)?;
    let url = |key: &Key| settings.url(key, &deployment.fetcher);
    let token_endpoint = url(&TOKEN_URL)?.unwrap_or_default();
    let services = token_endpoint.strip_suffix("/token").ok_or_else(|| {
        SettingError::new("token_url", "must end with `/token`, as `…/services/oauth2/token` does")
    })?;
    let beside = |name: &str| Some(format!("{services}/{name}"));
    let metadata = Arc::new(Metadata {
        authorization_endpoint: url(&AUTH_URL)?.unwrap_or_default(),
        introspection_endpoint: beside("introspect"),
        userinfo_endpoint: url(&USERINFO_URL)?.or_else(|| beside("userinfo")),
        revocation_endpoint: beside("revoke"),
        token_endpoint,
        ..Metadata::default()
    });
    Ok(Arc::new(Salesforce { leg, metadata }))
}

impl Salesforce {
    /// The grant with the `id` URL, once that is known to be Salesforce's word.
    fn grant(&self, tokens: Tokens, before: Option<&Grant>) -> Result<Grant, ProviderError> {
        let extra = &tokens.extra;
        let id = extra.id.as_deref().or(before.and_then(|grant| grant.identity_url.as_deref()));
        let id = id.ok_or_else(|| ProviderError::Answer("`id` is missing".into()))?.to_owned();
        if before.is_some_and(|grant| grant.identity_url.as_deref() != Some(&id)) {
            return Err(ProviderError::Answer("`id` is of another person than before".into()));
        }
        let instance = extra.instance_url.as_deref();
        if !self.is_home(&id, instance) {
            return Err(ProviderError::Answer("`id` leads away from Salesforce".into()));
        }
        if let (Some(secret), Some(signature)) = (self.leg.client_secret(), &extra.signature) {
            let issued_at = extra.issued_at.as_deref().unwrap_or_default();
            if !is_signed(secret, &format!("{id}{issued_at}"), signature) {
                return Err(ProviderError::Answer("`signature` is not that of `id`".into()));
            }
        }
        Ok(Grant { identity_url: Some(id), ..tokens.grant })
    }

    /// Whether a URL is of a host that may see a token: that of our token endpoint, that of the
    /// person's organization, or one of Salesforce.
    fn is_home(&self, url: &str, instance: Option<&str>) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let same =
            |other: &str| Url::parse(other).is_ok_and(|other| other.origin() == url.origin());
        let host = url.host_str().unwrap_or_default();
        same(&self.metadata.token_endpoint)
            || instance.is_some_and(same)
            || (url.scheme() == "https" && DOMAINS.iter().any(|domain| host.ends_with(domain)))
    }

    /// Asks an `id` URL, which may lead one step on, within Salesforce.
    async fn ask(&self, url: &str, token: &Concealed<String>) -> Result<Document, ProviderError> {
        let fetcher = &self.leg.deployment.fetcher;
        // The first answer is mostly the document; it is asked for as such.
        let redirected = match fetcher.answer(bearer_get(url, token)?).await.map_err(forbidden)? {
            Answer::Document(document) => return Ok(document),
            Answer::Redirect(to) => to,
        };
        let next = Url::parse(url).ok().and_then(|from| from.join(&redirected).ok());
        let next = next.filter(|next| self.is_home(next.as_str(), None)).ok_or_else(|| {
            ProviderError::Answer("the `id` URL leads away from Salesforce".into())
        })?;
        fetcher.get(next.as_str(), Some(token.expose())).await.map_err(forbidden)
    }

    async fn person(&self, grant: &Grant) -> Result<Person, ProviderError> {
        let url = grant
            .identity_url
            .as_deref()
            .ok_or_else(|| ProviderError::Answer("the grant has no `id` URL".into()))?;
        let document = self.ask(url, &grant.access_token).await?;
        person(members(&document)?)
    }

    async fn check(&self, token: &Concealed<String>) -> Result<Introspected, ProviderError> {
        let Some(document) = self.leg.introspect(&self.metadata, token).await? else {
            return Ok(Introspected::Unsupported);
        };
        let json = Json::Object(members(&document)?);
        match flag(&json, "active")? {
            Some(true) => {}
            Some(false) => return Ok(Introspected::Inactive),
            None => return Err(ProviderError::Answer("`active` is missing".into())),
        }
        if optional(&json, "token_type")?.is_some_and(|kind| kind != "access_token") {
            return Err(ProviderError::Answer("the token is no access token".into()));
        }
        // There is no `aud`: a token is for the connected app that it was issued to.
        let client = optional(&json, "client_id")?.map(str::to_owned);
        let audience = match &client {
            Some(client) if client == self.leg.client_id() => Audience::Us,
            Some(client) => Audience::Named(vec![client.clone()]),
            None => Audience::Unnamed,
        };
        let expires_at = match json.get("exp") {
            None => None,
            Some(Json::Number(text)) => Some(text.parse().map_err(|_| wrong("exp"))?),
            Some(_) => return Err(wrong("exp")),
        };
        let scopes = words(optional(&json, "scope")?.unwrap_or_default());
        // `sub` is the `id` URL; the person's number is its last part.
        let subject = required(&json, "sub")?.rsplit('/').next().unwrap_or_default().to_owned();
        let Json::Object(mut members) = json else { return Ok(Introspected::Unsupported) };
        members.retain(|(name, _)| name != "sub");
        members.push(("sub".into(), Json::String(subject.into())));
        let claims = Claims::from_members(members);
        Ok(Introspected::Active { claims, audience, client, scopes, expires_at })
    }
}

fn wrong(name: &str) -> ProviderError {
    ProviderError::Answer(format!("`{name}` is missing or has the wrong type"))
}

fn person(members: Vec<Member<'_>>) -> Result<Person, ProviderError> {
    let json = Json::Object(members);
    let user_id = required(&json, "user_id")?.to_owned();
    if flag(&json, "active")? == Some(false) {
        return Err(ProviderError::InvalidGrant);
    }
    let Json::Object(members) = json else { return Err(wrong("user_id")) };
    let claims = Claims::from_members(members);
    Ok(Person { provider: KIND.name.to_owned(), user_id, claims, naming: NAMING })
}

fn bearer_get(url: &str, token: &Concealed<String>) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = url.parse().map_err(|_| wrong("id"))?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
        .map_err(|_| ProviderError::InvalidGrant)?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let accepted = HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::ACCEPT, accepted);
    Ok(request)
}

/// Salesforce says 403 `Bad_OAuth_Token` where others say 401.
fn forbidden(error: FetchError) -> ProviderError {
    match error {
        FetchError::Status { status: 403, .. } => ProviderError::InvalidGrant,
        error => gone(error),
    }
}

/// Whether a signature is the HMAC-SHA256 of a text under our secret.
fn is_signed(secret: &Concealed<String>, text: &str, signature: &str) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.expose().as_bytes());
    STANDARD
        .decode(signature)
        .is_ok_and(|signature| ring::hmac::verify(&key, text.as_bytes(), &signature).is_ok())
}

impl Provider for Salesforce {
    fn name(&self) -> &str {
        KIND.name
    }

    fn naming(&self) -> Naming {
        NAMING
    }

    fn authorization_url<'a>(&'a self, login: &'a Login) -> Reply<'a, String> {
        Box::pin(async move { self.leg.authorization_url(&self.metadata, login, false) })
    }

    fn exchange<'a>(&'a self, login: &'a Login, callback: &'a Callback) -> Reply<'a, Grant> {
        Box::pin(async move {
            self.grant(self.leg.exchange(&self.metadata, login, callback).await?, None)
        })
    }

    fn refresh<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Grant> {
        Box::pin(
            async move { self.grant(self.leg.refresh(&self.metadata, grant).await?, Some(grant)) },
        )
    }

    fn revoke<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()> {
        Box::pin(self.leg.revoke(&self.metadata, grant))
    }

    fn identity<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Person> {
        Box::pin(self.person(grant))
    }

    fn metadata(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(async move { Ok(Arc::clone(&self.metadata)) })
    }

    fn introspect<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        Box::pin(self.check(token))
    }

    fn userinfo<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        Box::pin(async move {
            let url = self.metadata.userinfo_endpoint.as_deref().unwrap_or_default();
            let fetcher = &self.leg.deployment.fetcher;
            let document = fetcher.get(url, Some(token.expose())).await.map_err(forbidden)?;
            person(members(&document)?)
        })
    }
}
