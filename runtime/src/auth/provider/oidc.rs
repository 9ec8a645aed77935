//! Any provider of OpenID Connect that publishes a discovery document.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::leg::{Leg, Peculiar};
use super::openid::{OpenId, Standard};
use super::{
    Deployment, Key, Kind, Metadata, Provider, ProviderError, Reply, SettingError, Settings, Unset,
};

const CONFIG_URL: Key =
    Key { name: "config_url", meaning: "the discovery document", unset: Unset::Required };
const PROVIDER_NAME: Key = Key {
    name: "provider_name",
    meaning: "what `user.provider` says",
    unset: Unset::Value("oidc"),
};

pub(super) const KIND: Kind = Kind { name: "oidc", keys: &[CONFIG_URL, PROVIDER_NAME], build };

/// Where a discovery document is, below the issuer.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Seconds for which a discovery document is good.
const MAX_FRESH_S: i64 = 3_600;
/// Seconds between two attempts to get it.
const MIN_REFETCH_S: i64 = 30;

#[derive(Debug)]
struct Oidc {
    openid: OpenId,
    config_url: String,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    metadata: Option<Arc<Metadata>>,
    /// seconds since 1970 of the last success
    fetched_at: i64,
    /// seconds since 1970 of the last failure, and what it was
    failure: Option<(i64, ProviderError)>,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let config_url = settings.url(&CONFIG_URL, &deployment.fetcher)?.unwrap_or_default();
    let name = settings.get(&PROVIDER_NAME)?.unwrap_or_default();
    let scopes = settings.scopes("openid profile email");
    if !scopes.iter().any(|scope| scope == "openid") {
        return Err(SettingError::new("scope", "must hold `openid`"));
    }
    let leg = Leg::new(settings, deployment, "openid profile email", Peculiar::default())?;
    let openid = OpenId::new(name, leg, deployment);
    Ok(Arc::new(Oidc { openid, config_url, found: Mutex::default() }))
}

impl Oidc {
    /// The discovery document, fetched when it is old; an old one is better than none.
    async fn discover(&self) -> Result<Arc<Metadata>, ProviderError> {
        let mut found = self.found.lock().await;
        let now = self.openid.leg.deployment.clock.now_s();
        let fresh = (0..MAX_FRESH_S).contains(&(now - found.fetched_at));
        if let Some(metadata) = found.metadata.as_ref().filter(|_| fresh) {
            return Ok(Arc::clone(metadata));
        }
        let failed = found.failure.clone();
        let failed = failed.filter(|(at, _)| (0..MIN_REFETCH_S).contains(&(now - at)));
        let error = match failed {
            Some((_, error)) => error,
            None => match self.fetch().await {
                Ok(metadata) => {
                    let metadata = Arc::new(metadata);
                    *found = Found {
                        metadata: Some(Arc::clone(&metadata)),
                        fetched_at: now,
                        failure: None,
                    };
                    return Ok(metadata);
                }
                Err(error) => {
                    tracing::warn!(%error, "the discovery document cannot be used");
                    found.failure = Some((now, error.clone()));
                    error
                }
            },
        };
        // A document that says something else now is not one that cannot be had.
        found.metadata.clone().filter(|_| error.is_temporary()).ok_or(error)
    }

    async fn fetch(&self) -> Result<Metadata, ProviderError> {
        let fetcher = &self.openid.leg.deployment.fetcher;
        let document = fetcher.get(&self.config_url, None).await?;
        let json = document.json()?;
        let metadata = Metadata::read(&json)?;
        // OpenID Connect Discovery section 4.3. A document elsewhere than below its issuer is what
        // the operator named; it binds the issuer all the same.
        let expected = self.config_url.strip_suffix(WELL_KNOWN);
        let issuer = metadata.issuer.as_deref().unwrap_or_default();
        if expected.is_some_and(|expected| expected != issuer.trim_end_matches('/')) {
            return Err(ProviderError::Answer(
                "the discovery document is of another issuer than the one it is found at".into(),
            ));
        }
        for url in [
            Some(&metadata.authorization_endpoint),
            Some(&metadata.token_endpoint),
            metadata.jwks_uri.as_ref(),
            metadata.introspection_endpoint.as_ref(),
            metadata.userinfo_endpoint.as_ref(),
            metadata.revocation_endpoint.as_ref(),
        ]
        .into_iter()
        .flatten()
        {
            fetcher.check(url)?;
        }
        Ok(metadata)
    }
}

impl Standard for Oidc {
    fn openid(&self) -> &OpenId {
        &self.openid
    }

    fn endpoints(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(self.discover())
    }
}
