//! GitHub: OAuth without OpenID Connect.
//!
//! Errors of the token endpoint come with status 200; scopes are separated by commas; tokens of
//! OAuth apps never expire; an e-mail address that its owner keeps private is only in
//! `/user/emails`; whether a token is one of ours is asked at `/applications/CLIENT_ID/token`.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode, header};
use jiff::Timestamp;

use super::answer::{flag, list, members, optional, required};
use super::leg::{Leg, Peculiar};
use super::openid::gone;
use super::plain::{OverOAuth, Plain};
use super::{
    Audience, Deployment, Grant, Introspected, Key, Kind, Metadata, Naming, Person, Provider,
    ProviderError, Reply, SettingError, Settings, Unset,
};
use crate::auth::claims::Claims;
use crate::auth::fetch::{Document, FetchError};
use crate::config::Concealed;
use crate::json::{Json, Member, get, quoted};

const AUTH_URL: Key = Key {
    name: "auth_url",
    meaning: "where a browser logs in",
    unset: Unset::Value("https://github.com/login/oauth/authorize"),
};
const TOKEN_URL: Key = Key {
    name: "token_url",
    meaning: "where codes become tokens",
    unset: Unset::Value("https://github.com/login/oauth/access_token"),
};
const API_URL: Key = Key {
    name: "api_url",
    meaning: "the REST API; of GitHub Enterprise Server, `https://HOST/api/v3`",
    unset: Unset::Value("https://api.github.com"),
};

pub(super) const KIND: Kind = Kind { name: "github", keys: &[AUTH_URL, TOKEN_URL, API_URL], build };

const PECULIAR: Peculiar = Peculiar {
    secret_in_body: true,
    invalid_grant: &["bad_verification_code", "bad_refresh_token"],
    commas: true,
    untyped: false,
    authorize: &[],
};
const NAMING: Naming = Naming { username: &["login"], email: "email", name: "name" };

#[derive(Debug)]
struct GitHub {
    leg: Leg,
    metadata: Arc<Metadata>,
    api: String,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let leg = Leg::new(settings, deployment, "read:user user:email", PECULIAR)?;
    let url = |key: &Key| Ok(settings.url(key, &deployment.fetcher)?.unwrap_or_default());
    let authorization_endpoint = url(&AUTH_URL)?;
    let metadata = Arc::new(Metadata {
        // What `iss` of a callback says, where it says anything.
        issuer: authorization_endpoint.strip_suffix("/authorize").map(Into::into),
        authorization_endpoint,
        token_endpoint: url(&TOKEN_URL)?,
        ..Metadata::default()
    });
    Ok(Arc::new(OverOAuth(GitHub { leg, metadata, api: url(&API_URL)? })))
}

impl GitHub {
    async fn get(&self, path: &str, token: &Concealed<String>) -> Result<Document, ProviderError> {
        let mut request = self.request(Method::GET, path, Vec::new())?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| ProviderError::InvalidGrant)?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        self.leg.deployment.fetcher.document(request).await.map_err(gone)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}{path}", self.api)
            .parse()
            .map_err(|_| ProviderError::Answer("`api_url` is no URL".into()))?;
        let headers = request.headers_mut();
        let accepted = HeaderValue::from_static("application/vnd.github+json");
        headers.insert(header::ACCEPT, accepted);
        headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        Ok(request)
    }

    /// A request about one of our tokens, which we make as the application.
    fn about_token(
        &self,
        method: Method,
        token: &Concealed<String>,
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        let secret = self.leg.client_secret().ok_or_else(|| {
            ProviderError::Answer("GitHub tells about tokens only with `client_secret`".into())
        })?;
        let path = format!("/applications/{}/token", self.leg.client_id());
        let body = format!("{{\"access_token\":{}}}", quoted(token.expose()));
        let mut request = self.request(method, &path, body.into_bytes())?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, self.leg.basic(secret)?);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    async fn user(&self, token: &Concealed<String>) -> Result<Person, ProviderError> {
        let document = self.get("/user", token).await?;
        let mut user = members(&document)?;
        let user_id = user_id(&user)?;
        let emails;
        if !matches!(get(&user, "email"), Some(Json::String(_))) {
            emails = match self.get("/user/emails", token).await {
                Ok(document) => Some(document),
                // Without the scope `user:email` the address stays unknown.
                Err(ProviderError::Fetch(FetchError::Status { status: 403 | 404, .. })) => None,
                Err(error) => return Err(error),
            };
            user.retain(|(name, _)| name != "email");
            if let Some(email) = emails.as_ref().map(primary_email).transpose()?.flatten() {
                user.push(("email".into(), Json::String(email.into())));
            }
        }
        let claims = Claims::from_members(user);
        Ok(Person { provider: KIND.name.to_owned(), user_id, claims, naming: NAMING })
    }

    async fn check(&self, token: &Concealed<String>) -> Result<Introspected, ProviderError> {
        let request = self.about_token(Method::POST, token)?;
        let document = match self.leg.deployment.fetcher.document(request).await {
            Err(FetchError::Status { status: 404 | 422, .. }) => {
                return Ok(Introspected::Inactive);
            }
            other => other?,
        };
        let json = document.json()?;
        let app = json.get("app").ok_or_else(|| missing("app"))?;
        let client = required(app, "client_id")?.to_owned();
        let audience = if client == self.leg.client_id() {
            Audience::Us
        } else {
            Audience::Named(vec![client.clone()])
        };
        let expires_at = match optional(&json, "expires_at")? {
            None => None,
            Some(text) => {
                let at: Timestamp = text.parse().map_err(|_| missing("expires_at"))?;
                Some(at.as_second())
            }
        };
        let Some(Json::Object(user)) = json.get("user") else { return Err(missing("user")) };
        let mut about = user.clone();
        about.push(("sub".into(), Json::String(user_id(user)?.into())));
        let claims = Claims::from_members(about);
        let (client, scopes) = (Some(client), list(&json, "scopes")?);
        Ok(Introspected::Active { claims, audience, client, scopes, expires_at })
    }
}

fn missing(name: &str) -> ProviderError {
    ProviderError::Answer(format!("`{name}` is missing or has the wrong type"))
}

/// The number of an account as text. Logins can be given up and taken by others; numbers cannot.
fn user_id(user: &[Member<'_>]) -> Result<String, ProviderError> {
    match get(user, "id") {
        Some(Json::Number(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok((*text).to_owned())
        }
        _ => Err(missing("id")),
    }
}

/// The address that is both primary and verified.
fn primary_email(document: &Document) -> Result<Option<String>, ProviderError> {
    let Json::Array(emails) = document.json()? else {
        return Err(ProviderError::Answer("`/user/emails` is not a list".into()));
    };
    for email in &emails {
        if flag(email, "primary")? == Some(true) && flag(email, "verified")? == Some(true) {
            return Ok(Some(required(email, "email")?.to_owned()));
        }
    }
    Ok(None)
}

impl Plain for GitHub {
    const NAME: &'static str = KIND.name;
    const NAMING: Naming = NAMING;

    fn leg(&self) -> &Leg {
        &self.leg
    }

    fn endpoints(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    fn person<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        Box::pin(self.user(token))
    }

    fn worth<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        Box::pin(self.check(token))
    }

    fn give_back<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()> {
        Box::pin(async move {
            let request = self.about_token(Method::DELETE, &grant.access_token)?;
            let host = request.uri().host().unwrap_or_default().to_owned();
            let response = self.leg.deployment.fetcher.send(request).await?;
            match response.status() {
                // It is gone, or was already.
                StatusCode::NO_CONTENT
                | StatusCode::NOT_FOUND
                | StatusCode::UNPROCESSABLE_ENTITY => Ok(()),
                status => Err(FetchError::Status { host, status: status.as_u16() }.into()),
            }
        })
    }
}
