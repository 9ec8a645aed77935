//! The leg of OAuth between us and a provider: authorization, code, refresh, revocation,
//! introspection (RFC 6749, 7636, 7009, 7662).

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{Callback, Deployment, Grant, Login, Metadata, ProviderError, SettingError, Settings};
use crate::auth::claims::Claims;
use crate::auth::fetch::{Document, FetchError, Fetcher};
use crate::auth::jose;
use crate::config::Concealed;
use crate::json::{self, Json};

/// Seconds that a provider's tokens may claim to live: a year.
const MAX_EXPIRES_IN_S: u64 = 366 * 24 * 3_600;
/// Bytes of an error code.
const MAX_CODE_BYTES: usize = 64;

/// Our side of that leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) deployment: Deployment,
    client_id: String,
    client_secret: Option<Concealed<String>>,
    scopes: Vec<String>,
    extra: Vec<(String, String)>,
    peculiar: Peculiar,
}

/// Where a provider differs from the letter of the RFCs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Peculiar {
    /// it wants our secret in the body rather than in `Authorization`
    pub(super) secret_in_body: bool,
    /// codes that it answers where RFC 6749 says `invalid_grant`
    pub(super) invalid_grant: &'static [&'static str],
    /// it separates granted scopes by commas
    pub(super) commas: bool,
    /// its token answers may lack `token_type`
    pub(super) untyped: bool,
    /// parameters of every authorization request
    pub(super) authorize: &'static [(&'static str, &'static str)],
}

/// What a token endpoint answered.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) grant: Grant,
    pub(super) id_token: Option<Concealed<String>>,
    pub(super) extra: Extra,
}

/// Members of a token answer that only some providers have.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Extra {
    id_token: Option<Secret>,
    /// Salesforce: where the person's identity is
    pub(super) id: Option<String>,
    /// Salesforce: where the person's organization is
    pub(super) instance_url: Option<String>,
    /// Salesforce: when, in milliseconds since 1970
    pub(super) issued_at: Option<String>,
    /// Salesforce: HMAC of `id` and `issued_at` with our secret
    pub(super) signature: Option<String>,
}

impl ExtraTokenFields for Extra {}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

type Answer = StandardTokenResponse<Extra, BasicTokenType>;
type OAuth = Client<
    BasicErrorResponse,
    Answer,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;
type Failure = RequestTokenError<FetchError, BasicErrorResponse>;

impl Leg {
    /// Our side as settings describe it.
    pub(super) fn new(
        settings: &Settings,
        deployment: &Deployment,
        default_scope: &str,
        peculiar: Peculiar,
    ) -> Result<Self, SettingError> {
        if settings.client_id.is_empty() {
            return Err(SettingError::new("client_id", "is missing"));
        }
        Ok(Self {
            deployment: deployment.clone(),
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            scopes: settings.scopes(default_scope),
            extra: settings.extra_authorize_params.clone(),
            peculiar,
        })
    }

    /// Our name at the provider.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Our secret there.
    pub(super) const fn client_secret(&self) -> Option<&Concealed<String>> {
        self.client_secret.as_ref()
    }

    /// Where a browser is sent to log in.
    pub(super) fn authorization_url(
        &self,
        metadata: &Metadata,
        login: &Login,
        with_nonce: bool,
    ) -> Result<String, ProviderError> {
        let endpoint = &metadata.authorization_endpoint;
        self.deployment.fetcher.check(endpoint)?;
        let unusable = |_| ProviderError::Answer("the authorization endpoint is no URL".into());
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_uri(AuthUrl::new(endpoint.clone()).map_err(unusable)?)
            .set_redirect_uri(RedirectUrl::new(login.redirect_uri.clone()).map_err(unusable)?);
        let verifier = PkceCodeVerifier::new(login.code_verifier.clone());
        let mut request = client
            .authorize_url(|| CsrfToken::new(login.state.clone()))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        if with_nonce {
            request = request.add_extra_param("nonce", login.nonce.clone());
        }
        for (name, value) in self.peculiar.authorize {
            if !self.extra.iter().any(|(set, _)| set == name) {
                request = request.add_extra_param(*name, *value);
            }
        }
        for (name, value) in &self.extra {
            request = request.add_extra_param(name.clone(), value.clone());
        }
        Ok(request.url().0.into())
    }

    /// Exchanges a code; the callback's issuer is checked before the code is shown to anybody.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        login: &Login,
        callback: &Callback,
    ) -> Result<Tokens, ProviderError> {
        metadata.check_callback(callback.iss.as_deref())?;
        let client = self.client(metadata)?;
        let redirect = RedirectUrl::new(login.redirect_uri.clone())
            .map_err(|_| ProviderError::Answer("the redirect URI is no URL".into()))?;
        let answer = client
            .exchange_code(AuthorizationCode::new(callback.code.expose().clone()))
            .set_pkce_verifier(PkceCodeVerifier::new(login.code_verifier.clone()))
            .set_redirect_uri(Cow::Owned(redirect))
            .request_async(&self.http())
            .await
            .map_err(|failure| self.explain(failure))?;
        self.tokens(&answer)
    }

    /// Exchanges a refresh token. Where the provider keeps the old one valid, it stays.
    pub(super) async fn refresh(
        &self,
        metadata: &Metadata,
        grant: &Grant,
    ) -> Result<Tokens, ProviderError> {
        let Some(token) = &grant.refresh_token else { return Err(ProviderError::InvalidGrant) };
        let client = self.client(metadata)?;
        let answer = client
            .exchange_refresh_token(&RefreshToken::new(token.expose().clone()))
            .request_async(&self.http())
            .await
            .map_err(|failure| self.explain(failure))?;
        let mut tokens = self.tokens(&answer)?;
        let new = &mut tokens.grant;
        new.refresh_token = new.refresh_token.take().or_else(|| grant.refresh_token.clone());
        new.id_claims = grant.id_claims.clone();
        new.identity_url.clone_from(&grant.identity_url);
        Ok(tokens)
    }

    /// Gives a grant back (RFC 7009): the refresh token, with which the access token goes, or the
    /// access token where there is no other.
    pub(super) async fn revoke(
        &self,
        metadata: &Metadata,
        grant: &Grant,
    ) -> Result<(), ProviderError> {
        let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(()) };
        let (token, hint) = match &grant.refresh_token {
            Some(token) => (token, "refresh_token"),
            None => (&grant.access_token, "access_token"),
        };
        let fields = [("token", token.expose().as_str()), ("token_type_hint", hint)];
        let request = self.form(metadata, endpoint, &fields)?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let response = self.deployment.fetcher.send(request).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(FetchError::Status { host, status: status.as_u16() }.into()),
        }
    }

    /// Asks what a token is worth (RFC 7662); `None` where the provider does not tell.
    pub(super) async fn introspect(
        &self,
        metadata: &Metadata,
        token: &Concealed<String>,
    ) -> Result<Option<Document>, ProviderError> {
        let Some(endpoint) = &metadata.introspection_endpoint else { return Ok(None) };
        let fields = [("token", token.expose().as_str()), ("token_type_hint", "access_token")];
        let request = self.form(metadata, endpoint, &fields)?;
        Ok(Some(self.deployment.fetcher.document(request).await?))
    }

    /// A request with a form and our name and secret.
    pub(super) fn form(
        &self,
        metadata: &Metadata,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<Request<Vec<u8>>, ProviderError> {
        match &self.client_secret {
            Some(secret) if !self.secret_in_body(metadata) => {
                let mut request = form(endpoint, fields)?;
                request.headers_mut().insert(header::AUTHORIZATION, self.basic(secret)?);
                Ok(request)
            }
            Some(secret) => {
                let us =
                    [("client_id", self.client_id.as_str()), ("client_secret", secret.expose())];
                form(endpoint, &[fields, &us].concat())
            }
            None => form(endpoint, &[fields, &[("client_id", self.client_id.as_str())]].concat()),
        }
    }

    /// Our name and secret as RFC 6749 section 2.3.1 has them.
    pub(super) fn basic(&self, secret: &Concealed<String>) -> Result<HeaderValue, ProviderError> {
        use base64::Engine as _;
        let encode =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = format!("{}:{}", encode(&self.client_id), encode(secret.expose()));
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| ProviderError::Answer("our secret is no header value".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn secret_in_body(&self, metadata: &Metadata) -> bool {
        let methods = &metadata.token_endpoint_auth_methods;
        let has = |method: &str| methods.iter().any(|known| known == method);
        self.peculiar.secret_in_body || (has("client_secret_post") && !has("client_secret_basic"))
    }

    fn client(&self, metadata: &Metadata) -> Result<OAuth, ProviderError> {
        let url = TokenUrl::new(metadata.token_endpoint.clone())
            .map_err(|_| ProviderError::Answer("the token endpoint is no URL".into()))?;
        let auth_type =
            if self.secret_in_body(metadata) { AuthType::RequestBody } else { AuthType::BasicAuth };
        let client = Client::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(auth_type)
            .set_token_uri(url);
        Ok(match &self.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
            None => client,
        })
    }

    fn http(&self) -> Http {
        Http { fetcher: self.deployment.fetcher.clone(), untyped: self.peculiar.untyped }
    }

    fn explain(&self, failure: Failure) -> ProviderError {
        match failure {
            RequestTokenError::Request(error) => error.into(),
            RequestTokenError::ServerResponse(error) => match error.error() {
                BasicErrorResponseType::InvalidGrant => ProviderError::InvalidGrant,
                BasicErrorResponseType::Extension(code)
                    if self.peculiar.invalid_grant.contains(&code.as_str()) =>
                {
                    ProviderError::InvalidGrant
                }
                code => ProviderError::Refused { code: error_code(code.as_ref()) },
            },
            // Neither text may go further: both can hold what was answered.
            RequestTokenError::Parse(..) => ProviderError::Answer(
                "the token endpoint's answer is not as RFC 6749 has it".into(),
            ),
            RequestTokenError::Other(_) => {
                ProviderError::Answer("the token endpoint's answer is no token answer".into())
            }
        }
    }

    fn tokens(&self, answer: &Answer) -> Result<Tokens, ProviderError> {
        if *answer.token_type() != BasicTokenType::Bearer {
            return Err(ProviderError::Answer("the token is not a bearer token".into()));
        }
        if answer.access_token().secret().is_empty() {
            return Err(ProviderError::Answer("the access token is empty".into()));
        }
        let expires_at = answer.expires_in().map(|lifetime| {
            let lifetime_s = lifetime.as_secs().min(MAX_EXPIRES_IN_S);
            let now = self.deployment.clock.now_s();
            now.saturating_add(i64::try_from(lifetime_s).unwrap_or(0))
        });
        let scopes = match answer.scopes() {
            None => self.scopes.clone(),
            Some(granted) => granted
                .iter()
                .flat_map(|scope| scope.split(|c| self.peculiar.commas && c == ','))
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
        };
        let grant = Grant {
            access_token: Concealed::new(answer.access_token().secret().clone()),
            refresh_token: answer
                .refresh_token()
                .filter(|token| !token.secret().is_empty())
                .map(|token| Concealed::new(token.secret().clone())),
            expires_at,
            scopes,
            id_claims: Claims::default(),
            identity_url: None,
        };
        let extra = answer.extra_fields();
        let extra = Extra {
            id_token: None,
            id: extra.id.clone(),
            instance_url: extra.instance_url.clone(),
            issued_at: extra.issued_at.clone(),
            signature: extra.signature.clone(),
        };
        let id_token =
            answer.extra_fields().id_token.as_ref().map(|token| Concealed::new(token.0.clone()));
        Ok(Tokens { grant, id_token, extra })
    }
}

/// A request with a form.
pub(super) fn form(
    endpoint: &str,
    fields: &[(&str, &str)],
) -> Result<Request<Vec<u8>>, ProviderError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let mut request = Request::new(form.finish().into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        endpoint.parse().map_err(|_| ProviderError::Answer("an endpoint is no URL".into()))?;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(header::CONTENT_TYPE, form);
    Ok(request)
}

/// How token endpoints are asked.
struct Http {
    fetcher: Fetcher,
    untyped: bool,
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = FetchError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}

impl Http {
    /// Asks a token endpoint. Its answer is read strictly before anything else reads it, and an
    /// error that comes with status 200 becomes one that looks like an error.
    async fn ask(&self, mut request: HttpRequest) -> Result<HttpResponse, FetchError> {
        for value in request.headers_mut().values_mut() {
            value.set_sensitive(true);
        }
        let host = request.uri().host().unwrap_or_default().to_owned();
        let mut response: Response<Vec<u8>> = self.fetcher.send(request).await?;
        let status = response.status();
        let parsed = json::parse(response.body());
        let is_error = parsed.as_ref().is_ok_and(|json| json.get("error").is_some());
        let problem = parsed.err();
        match problem {
            Some(_) if !status.is_success() => {
                return Err(FetchError::Status { host, status: status.as_u16() });
            }
            Some(problem) => return Err(FetchError::Json { host, problem }),
            None if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(FetchError::Status { host, status: status.as_u16() });
            }
            None if is_error && status.is_success() => {
                *response.status_mut() = StatusCode::BAD_REQUEST;
            }
            None if self.untyped && status.is_success() => add_type(&mut response),
            None => {}
        }
        Ok(response)
    }
}

/// Says that tokens are bearer tokens where the answer does not.
fn add_type(response: &mut Response<Vec<u8>>) {
    let typed = match json::parse(response.body()) {
        Ok(Json::Object(mut members)) if json::get(&members, "token_type").is_none() => {
            members.push(("token_type".into(), Json::String("Bearer".into())));
            Json::Object(members).to_string()
        }
        _ => return,
    };
    *response.body_mut() = typed.into_bytes();
}

/// A provider's error code as far as RFC 6749 section 5.2 allows its letters.
fn error_code(code: &str) -> String {
    let allowed = |c: &char| c.is_ascii_graphic() && *c != '"' && *c != '\\';
    code.chars().filter(allowed).take(MAX_CODE_BYTES).collect()
}

/// Whether a hash that came with a token is that of the token: the left half of its digest, as
/// OpenID Connect Core section 3.1.3.6 has it.
pub(super) fn is_half_hash(
    digest: &'static ring::digest::Algorithm,
    token: &Concealed<String>,
    hash: &str,
) -> bool {
    let whole = ring::digest::digest(digest, token.expose().as_bytes());
    let half = whole.as_ref().get(..whole.as_ref().len() / 2).unwrap_or_default();
    jose::encode(half) == hash
}
