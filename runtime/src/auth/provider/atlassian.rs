//! Atlassian: OAuth 2.0 (3LO) for its cloud.
//!
//! An authorization request names the audience `api.atlassian.com`; who somebody is, `/me` says, and
//! which sites they let us see, `/oauth/token/accessible-resources`: policies find these in
//! `user.claims.accessible_resources`. Access tokens look like JSON Web Tokens and are opaque all
//! the same, and nothing tells for whom one was issued. The documented token answer has no
//! `token_type`.

use std::sync::Arc;

use super::answer::{flag, members, optional, required};
use super::leg::{Leg, Peculiar};
use super::openid::gone;
use super::plain::{OverOAuth, Plain};
use super::{
    Deployment, Key, Kind, Metadata, Naming, Person, Provider, ProviderError, Reply, SettingError,
    Settings, Unset,
};
use crate::auth::claims::Claims;
use crate::auth::fetch::FetchError;
use crate::config::Concealed;
use crate::json::Json;

const AUTH_URL: Key = Key {
    name: "auth_url",
    meaning: "where a browser logs in",
    unset: Unset::Value("https://auth.atlassian.com/authorize"),
};
const TOKEN_URL: Key = Key {
    name: "token_url",
    meaning: "where codes become tokens",
    unset: Unset::Value("https://auth.atlassian.com/oauth/token"),
};
const API_URL: Key =
    Key { name: "api_url", meaning: "the API", unset: Unset::Value("https://api.atlassian.com") };

pub(super) const KIND: Kind =
    Kind { name: "atlassian", keys: &[AUTH_URL, TOKEN_URL, API_URL], build };

const PECULIAR: Peculiar = Peculiar {
    secret_in_body: true,
    invalid_grant: &[],
    commas: false,
    untyped: true,
    authorize: &[("audience", "api.atlassian.com"), ("prompt", "consent")],
};
const NAMING: Naming = Naming { username: &["nickname"], email: "email", name: "name" };

#[derive(Debug)]
struct Atlassian {
    leg: Leg,
    metadata: Arc<Metadata>,
    api: String,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let leg = Leg::new(settings, deployment, "read:me offline_access", PECULIAR)?;
    let url = |key: &Key| Ok(settings.url(key, &deployment.fetcher)?.unwrap_or_default());
    let metadata = Arc::new(Metadata {
        authorization_endpoint: url(&AUTH_URL)?,
        token_endpoint: url(&TOKEN_URL)?,
        ..Metadata::default()
    });
    Ok(Arc::new(OverOAuth(Atlassian { leg, metadata, api: url(&API_URL)? })))
}

impl Atlassian {
    async fn me(&self, token: &Concealed<String>) -> Result<Person, ProviderError> {
        let fetcher = &self.leg.deployment.fetcher;
        let bearer = Some(token.expose().as_str());
        let me = fetcher.get(&format!("{}/me", self.api), bearer).await.map_err(gone)?;
        let json = Json::Object(members(&me)?);
        let user_id = required(&json, "account_id")?.to_owned();
        // An account that its owner or an administrator closed is nobody's any more.
        if optional(&json, "account_status")?.is_some_and(|status| status != "active") {
            return Err(ProviderError::InvalidGrant);
        }
        flag(&json, "email_verified")?;
        let Json::Object(mut members) = json else { return Err(ProviderError::InvalidGrant) };
        members.retain(|(name, _)| name != "accessible_resources");
        let url = format!("{}/oauth/token/accessible-resources", self.api);
        let resources = match fetcher.get(&url, bearer).await {
            Ok(document) => Some(document),
            // The grant is for no site at all.
            Err(FetchError::Status { status: 403 | 404, .. }) => None,
            Err(error) => return Err(gone(error)),
        };
        if let Some(document) = &resources {
            let list = document.json()?;
            if !matches!(list, Json::Array(_)) {
                return Err(ProviderError::Answer("the accessible resources are no list".into()));
            }
            members.push(("accessible_resources".into(), list));
        }
        let claims = Claims::from_members(members);
        Ok(Person { provider: KIND.name.to_owned(), user_id, claims, naming: NAMING })
    }
}

/// There is no way to give a grant back; its owner takes it back in the account's settings.
impl Plain for Atlassian {
    const NAME: &'static str = KIND.name;
    const NAMING: Naming = NAMING;

    fn leg(&self) -> &Leg {
        &self.leg
    }

    fn endpoints(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    fn person<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        Box::pin(self.me(token))
    }
}
