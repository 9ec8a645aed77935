//! From configuration to an admission at work.

use std::sync::Arc;

use mxcp_schemas::audit::CallerType;
use serde_json::json;

use super::admission::{self, Admission, Way};
use super::cache::{Cache, PRINCIPALS_MAX};
use super::claims::Mappings;
use super::clock::Clock;
use super::config::{AuthConfig, Kept, Mode, ProviderConfig};
use super::fetch::{FetchError, Fetcher, Rules};
use super::issuer::{self, Issuer};
use super::provider::{self, Deployment, Provider, SettingError, Settings};
use super::store::{self, OpenError, Opened, Store, StoreError, Whereabouts};
use super::verifier::{Demands, Verifier};
use crate::audit::{AppendError, AuthEvent, AuthStep};
use crate::serve::Runtime;
use crate::transport::http::ENDPOINT;

/// Why authentication cannot work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The session database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The session database does not work.
    #[error(transparent)]
    Job(#[from] StoreError),
    /// No HTTP client can be made.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A setting of the provider cannot be used.
    #[error("`{place}.{name}`: {source}")]
    Setting {
        /// where authentication is configured
        place: String,
        /// the provider
        name: String,
        /// what is wrong
        source: SettingError,
    },
    /// That logins have ended cannot be recorded.
    #[error("the audit trail cannot be written: {0}")]
    Record(#[from] AppendError),
    /// People would be sent where they must not be.
    #[error("`{place}.redirect_uris`: `{uri}`: {problem}")]
    Redirect {
        /// the client
        place: String,
        /// the redirect URI
        uri: String,
        /// what is wrong
        problem: &'static str,
    },
    /// The release does not have what is configured.
    #[error("`{place}`: this release has no {what}")]
    Missing {
        /// where it is configured
        place: String,
        /// what is missing
        what: String,
    },
}

/// What was started, and what the operator should know.
#[derive(Debug)]
pub struct Started {
    /// lets requests in
    pub admission: Arc<Admission>,
    /// in the order in which it was found out
    pub notes: Vec<String>,
}

/// Makes the provider that configuration names.
fn provider(config: &AuthConfig, deployment: &Deployment) -> Result<Arc<dyn Provider>, StartError> {
    let name = &config.provider.name;
    let kind = provider::kind(name).ok_or_else(|| StartError::Missing {
        place: format!("{}.provider", config.place),
        what: format!("identity provider `{name}`"),
    })?;
    (kind.build)(&settings(&config.provider), deployment).map_err(|source| StartError::Setting {
        place: config.place.clone(),
        name: name.clone(),
        source,
    })
}

fn settings(config: &ProviderConfig) -> Settings {
    Settings {
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.clone(),
        scope: config.scope.clone(),
        values: config.values.clone(),
        extra_authorize_params: config.extra_authorize_params.clone(),
    }
}

/// Capabilities that claims give, as configuration has it.
pub fn mappings(config: &ProviderConfig) -> Mappings {
    let entries = config.claim_mappings.iter().flat_map(|mapping| {
        mapping
            .values
            .iter()
            .map(|(value, given)| (mapping.claim.clone(), value.clone(), given.clone()))
    });
    Mappings { entries: entries.collect() }
}

/// Starts authentication for a runtime. `base_url` is the URL that clients know it by, if that is
/// configured.
///
/// # Errors
/// See [`StartError`].
pub async fn start(
    runtime: &Arc<Runtime>,
    config: &AuthConfig,
    base_url: Option<&str>,
    clock: Clock,
) -> Result<Started, StartError> {
    let deployment = Deployment { fetcher: Fetcher::new(Rules::default())?, clock: clock.clone() };
    let provider = provider(config, &deployment)?;
    match config.mode {
        Mode::Issuer => start_issuer(runtime, config, provider, clock).await,
        Mode::Verifier => {
            let audiences = match (config.provider.audience.as_slice(), base_url) {
                ([], Some(url)) => vec![format!("{}{ENDPOINT}", url.trim_end_matches('/'))],
                (audience, _) => audience.to_vec(),
            };
            let mut notes = Vec::new();
            if audiences.is_empty() {
                notes.push(format!(
                    "neither `{}.{}.audience` nor `transport.http.base_url` is set: signed tokens \
                     are for nobody and are refused",
                    config.place, config.provider.name
                ));
            }
            let demands = Demands {
                audiences,
                client_id: config.provider.client_id.clone(),
                allow_unaudienced: config.provider.allow_unaudienced,
                ask_userinfo: config.provider.ask_userinfo,
            };
            let verifier = Arc::new(Verifier::new(Arc::clone(&provider), &deployment, demands));
            let way = Way::Verifier { verifier, provider };
            let cache = Arc::new(Cache::new(PRINCIPALS_MAX));
            Ok(Started { admission: admission(runtime, config, way, cache, clock), notes })
        }
    }
}

/// Starts issuer mode with a provider.
///
/// # Errors
/// See [`StartError`].
pub async fn start_issuer(
    runtime: &Arc<Runtime>,
    config: &AuthConfig,
    provider: Arc<dyn Provider>,
    clock: Clock,
) -> Result<Started, StartError> {
    for (i, client) in config.clients.iter().enumerate() {
        for uri in &client.redirect_uris {
            issuer::check_configured_redirect(uri).map_err(|problem| StartError::Redirect {
                place: format!("{}.clients[{i}]", config.place),
                uri: uri.clone(),
                problem,
            })?;
        }
    }
    let manifest = runtime.manifest();
    let realm = format!("{}/{}", manifest.project, manifest.profile);
    let Opened { store, sealer, mut notes, notices } = open(config, realm).await?;
    let own = sealer.clone();
    let lost = store.write(move |desk| desk.end_unreadable(&own)).await?;
    if lost > 0 {
        notes.push(format!(
            "{lost} logins were encrypted under another key and have ended; people have to log in \
             again"
        ));
        let detail = json!({ "what": "key", "count": lost });
        let event = AuthEvent {
            detail: Some(&detail),
            ..AuthEvent::new(AuthStep::Revoked, CallerType::Http)
        };
        drop(runtime.trail().auth(&event).await?);
    }
    let cache = Arc::new(Cache::new(PRINCIPALS_MAX));
    let issuer = Issuer::new(issuer::Parts {
        runtime: Arc::clone(runtime),
        config,
        provider,
        store,
        sealer,
        clock: clock.clone(),
        cache: Arc::clone(&cache),
    })?;
    let issuer = Arc::new(issuer);
    issuer.resume().await?;
    if let Some(notices) = notices {
        tokio::spawn(issuer::heed(Arc::downgrade(&issuer), notices));
    }
    let way = Way::Issuer(issuer);
    Ok(Started { admission: admission(runtime, config, way, cache, clock), notes })
}

/// Opens the store apart from the runtime's threads: a database may take its time.
async fn open(config: &AuthConfig, realm: String) -> Result<Opened, StartError> {
    let (kept, key) = (config.store.clone(), config.encryption_key.clone());
    let open = move || {
        let place = match &kept {
            Kept::File(path) => Whereabouts::File(path),
            Kept::Database { url, ca } => {
                Whereabouts::Database { url: url.expose(), ca: ca.as_deref() }
            }
        };
        let key = key.as_ref().map(|key| key.expose().as_str());
        Store::open(store::Settings { place, key, realm })
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(|_| StoreError::Closed)?;
    Ok(opened?)
}

fn admission(
    runtime: &Arc<Runtime>,
    config: &AuthConfig,
    way: Way,
    cache: Arc<Cache>,
    clock: Clock,
) -> Arc<Admission> {
    Arc::new(Admission::new(admission::Parts {
        runtime: Arc::clone(runtime),
        way,
        mappings: mappings(&config.provider),
        required_scopes: config.required_scopes.clone(),
        cache,
        generation: 0,
        clock,
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mxcp_schemas::document::user::auth::PROVIDERS;

    use super::provider::{self, Unset};

    #[test]
    fn the_user_file_has_a_section_for_each_provider_with_its_keys() {
        let names = PROVIDERS.iter().map(|keys| keys.name);
        assert!(names.eq(provider::PROVIDERS.iter().map(|kind| kind.name)));
        for (section, kind) in PROVIDERS.iter().zip(provider::PROVIDERS) {
            let required = kind.keys.iter().filter(|key| key.unset == Unset::Required);
            let required: BTreeSet<&str> = required.map(|key| key.name).collect();
            assert_eq!(section.required.iter().copied().collect::<BTreeSet<_>>(), required);
            let known: BTreeSet<&str> = kind.keys.iter().map(|key| key.name).collect();
            let written = section.required.iter().chain(section.optional).copied();
            let written: BTreeSet<&str> =
                written.filter(|key| *key != "extra_authorize_params").collect();
            assert_eq!(written, known, "{}", kind.name);
        }
    }
}
