//! Google: OpenID Connect with opaque access tokens.
//!
//! Access tokens are checked at `tokeninfo`, which says for which client they were issued. Google
//! gives a refresh token only with `access_type=offline`, and again only with `prompt=consent`.

use std::sync::Arc;

use super::answer::{members, optional, words};
use super::leg::{Leg, Peculiar, form};
use super::openid::{OpenId, Standard};
use super::{
    Audience, Deployment, Introspected, Key, Kind, Metadata, Provider, ProviderError, Reply,
    SettingError, Settings, Unset,
};
use crate::auth::claims::Claims;
use crate::auth::fetch::FetchError;
use crate::config::Concealed;
use crate::json::Json;

const AUTH_URL: Key = Key {
    name: "auth_url",
    meaning: "where a browser logs in",
    unset: Unset::Value("https://accounts.google.com/o/oauth2/v2/auth"),
};
const TOKEN_URL: Key = Key {
    name: "token_url",
    meaning: "where codes become tokens",
    unset: Unset::Value("https://oauth2.googleapis.com/token"),
};
const USERINFO_URL: Key = Key {
    name: "userinfo_url",
    meaning: "where the owner of a token is told",
    unset: Unset::Value("https://openidconnect.googleapis.com/v1/userinfo"),
};
const TOKENINFO_URL: Key = Key {
    name: "tokeninfo_url",
    meaning: "where access tokens are checked",
    unset: Unset::Value("https://oauth2.googleapis.com/tokeninfo"),
};
const JWKS_URL: Key = Key {
    name: "jwks_url",
    meaning: "the keys of ID tokens",
    unset: Unset::Value("https://www.googleapis.com/oauth2/v3/certs"),
};
const REVOKE_URL: Key = Key {
    name: "revoke_url",
    meaning: "where tokens are given back",
    unset: Unset::Value("https://oauth2.googleapis.com/revoke"),
};
const ISSUER: Key = Key {
    name: "issuer",
    meaning: "who ID tokens are from",
    unset: Unset::Value("https://accounts.google.com"),
};

pub(super) const KIND: Kind = Kind {
    name: "google",
    keys: &[AUTH_URL, TOKEN_URL, USERINFO_URL, TOKENINFO_URL, JWKS_URL, REVOKE_URL, ISSUER],
    build,
};

const PECULIAR: Peculiar = Peculiar {
    secret_in_body: true,
    invalid_grant: &[],
    commas: false,
    untyped: false,
    authorize: &[("access_type", "offline"), ("prompt", "consent")],
};

#[derive(Debug)]
struct Google {
    openid: OpenId,
    metadata: Arc<Metadata>,
    tokeninfo: String,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let leg = Leg::new(settings, deployment, "openid profile email", PECULIAR)?;
    let url = |key: &Key| settings.url(key, &deployment.fetcher);
    let metadata = Arc::new(Metadata {
        issuer: settings.get(&ISSUER)?.map(Into::into),
        authorization_endpoint: url(&AUTH_URL)?.unwrap_or_default(),
        token_endpoint: url(&TOKEN_URL)?.unwrap_or_default(),
        // Access tokens are opaque: `openid` uses these for ID tokens, the verifier does not.
        jwks_uri: url(&JWKS_URL)?,
        introspection_endpoint: None,
        userinfo_endpoint: url(&USERINFO_URL)?,
        revocation_endpoint: url(&REVOKE_URL)?,
        token_endpoint_auth_methods: Vec::new(),
        names_issuer_in_callback: false,
    });
    let mut openid = OpenId::new(KIND.name.to_owned(), leg, deployment);
    openid.reads_access_token = false;
    if metadata.issuer.as_deref() == Some("https://accounts.google.com") {
        // Older ID tokens have it without the scheme, as Google's documentation says.
        openid.aliases = &["accounts.google.com"];
    }
    let tokeninfo = url(&TOKENINFO_URL)?.unwrap_or_default();
    Ok(Arc::new(Google { openid, metadata, tokeninfo }))
}

impl Google {
    /// Asks `tokeninfo`, the token in the body and not in the URL.
    async fn tokeninfo(&self, token: &Concealed<String>) -> Result<Introspected, ProviderError> {
        let request = form(&self.tokeninfo, &[("access_token", token.expose())])?;
        let document = match self.openid.leg.deployment.fetcher.document(request).await {
            // Google answers 400 for a token that is not (or no longer) one.
            Err(FetchError::Status { status: 400, .. }) => return Ok(Introspected::Inactive),
            other => other?,
        };
        let json = Json::Object(members(&document)?);
        let client = optional(&json, "aud")?.map(str::to_owned);
        let audience = match &client {
            Some(client) if client == self.openid.leg.client_id() => Audience::Us,
            Some(client) => Audience::Named(vec![client.clone()]),
            None => Audience::Unnamed,
        };
        // Numbers come as strings here.
        let expires_at = match optional(&json, "exp")? {
            Some(text) => {
                Some(text.parse().map_err(|_| ProviderError::Answer("`exp` is no number".into()))?)
            }
            None => None,
        };
        let scopes = words(optional(&json, "scope")?.unwrap_or_default());
        let mut about: Vec<_> = Vec::new();
        for name in ["sub", "email", "email_verified"] {
            if let Some(value) = json.get(name) {
                about.push((name.into(), value.clone()));
            }
        }
        let claims = Claims::from_members(about);
        Ok(Introspected::Active { claims, audience, client, scopes, expires_at })
    }
}

impl Standard for Google {
    fn openid(&self) -> &OpenId {
        &self.openid
    }

    fn endpoints(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(async move { Ok(Arc::clone(&self.metadata)) })
    }

    fn ask_about<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        Box::pin(self.tokeninfo(token))
    }
}
