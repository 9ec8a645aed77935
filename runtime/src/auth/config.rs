//! What a deployment says about authentication, references resolved.

use std::path::PathBuf;

use mxcp_schemas::document::user::auth::{
    Auth, COMMON_KEYS, ClaimMapping, Client, DEFAULT_CALLBACK_PREFIX, DEFAULT_STORE, Persistence,
    StoreKind,
};

pub use mxcp_schemas::document::user::auth::Mode;

use crate::config::{
    Concealed, ConfigError, ReferenceError, Surroundings, expand_home, resolve, resolve_key,
};

/// How callers are authenticated.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthConfig {
    /// where it stands: `projects.P.profiles.Q.auth`
    pub place: String,
    /// whose tokens clients bring
    pub mode: Mode,
    /// who vouches for callers
    pub provider: ProviderConfig,
    /// clients that are known beforehand
    pub clients: Vec<StaticClient>,
    /// scopes that a token must have for anything at all
    pub required_scopes: Vec<String>,
    /// where sessions are kept
    pub store: Kept,
    /// key under which provider tokens are encrypted; one is made beside a file when there is none
    pub encryption_key: Option<Concealed<String>>,
}

/// Where sessions are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// in a SQLite file
    File(PathBuf),
    /// in a PostgreSQL database, which replicas share
    Database {
        /// its address, with what it takes to get in
        url: Concealed<String>,
        /// certificates that vouch for it, in PEM
        ca: Option<PathBuf>,
    },
}

/// What is set for the identity provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderConfig {
    /// its name
    pub name: String,
    /// our id there
    pub client_id: String,
    /// our secret there; a public client has none
    pub client_secret: Option<Concealed<String>>,
    /// scopes to ask for, separated by spaces
    pub scope: Option<String>,
    /// where it sends people back
    pub callback_path: String,
    /// keys of its own
    pub values: Vec<(String, String)>,
    /// further parameters of the authorization request
    pub extra_authorize_params: Vec<(String, String)>,
    /// audiences that its tokens are for
    pub audience: Vec<String>,
    /// whether a token is accepted that nothing says is meant for this server
    pub allow_unaudienced: bool,
    /// whether userinfo is asked for claims that a token does not have
    pub ask_userinfo: bool,
    /// from claims to capabilities
    pub claim_mappings: Vec<ClaimMapping>,
}

/// A client that is known beforehand.
#[derive(Debug, Clone, PartialEq)]
pub struct StaticClient {
    /// its id
    pub client_id: String,
    /// what people are told it is called
    pub name: String,
    /// its secret; a client without one is public
    pub client_secret: Option<Concealed<String>>,
    /// where people may be sent back
    pub redirect_uris: Vec<String>,
    /// what it may use
    pub grant_types: Vec<String>,
    /// scopes that it may ask for; empty is any
    pub scopes: Vec<String>,
}

impl AuthConfig {
    /// Resolves what a profile says; `None` when it wants no authentication.
    ///
    /// # Errors
    /// When a reference leads nowhere, or something is asked for that this release cannot do.
    pub fn resolve(
        auth: &Auth,
        around: &dyn Surroundings,
        place: &str,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(provider) = &auth.provider else { return Ok(None) };
        let at = |key: &str| format!("{place}.{key}");
        let kept = &auth.persistence;
        let key = kept.auth_encryption_key.as_deref();
        let clients = auth.clients.iter().enumerate();
        Ok(Some(Self {
            mode: auth.mode,
            provider: provider_config(&provider.value, auth, around, place)?,
            clients: clients
                .map(|(i, client)| static_client(client, around, &at(&format!("clients[{i}]"))))
                .collect::<Result<_, _>>()?,
            required_scopes: auth.required_scopes.clone(),
            store: store(kept, around, &at("persistence"))?,
            encryption_key: key
                .map(|key| resolve_key(key, &at("persistence.auth_encryption_key"), around))
                .transpose()?
                .map(Concealed::new),
            place: place.to_owned(),
        }))
    }
}

/// Where sessions are kept. A key that goes with the other kind of database is a mistake that nobody
/// would notice.
fn store(kept: &Persistence, around: &dyn Surroundings, place: &str) -> Result<Kept, ConfigError> {
    let at = |key: &str| format!("{place}.{key}");
    let text = |key: &str, value: &Option<String>| {
        value.as_deref().map(|text| resolve(text, &at(key), around)).transpose()
    };
    let wrong = |key: &str, problem: &str| {
        Err(ConfigError::Value { place: at(key), problem: problem.to_owned() })
    };
    match kept.kind {
        StoreKind::Sqlite if kept.url.is_some() => {
            wrong("url", "it is for `type: postgres`; sessions in SQLite are at `path`")
        }
        StoreKind::Sqlite if kept.ca.is_some() => wrong("ca", "it is for `type: postgres`"),
        StoreKind::Postgres if kept.path.is_some() => {
            wrong("path", "it is for `type: sqlite`; a PostgreSQL database is at `url`")
        }
        StoreKind::Sqlite => {
            let path = text("path", &kept.path)?.unwrap_or_else(|| DEFAULT_STORE.to_owned());
            Ok(Kept::File(expand_home(&path, around)))
        }
        StoreKind::Postgres => {
            let Some(url) = text("url", &kept.url)? else {
                return wrong("url", "with `type: postgres` the address of the database is needed");
            };
            if kept.auth_encryption_key.is_none() {
                return wrong(
                    "auth_encryption_key",
                    "with `type: postgres` a key is needed, the same one for all replicas; \
                     `openssl rand -hex 32` makes one",
                );
            }
            let ca = text("ca", &kept.ca)?.map(|path| expand_home(&path, around));
            Ok(Kept::Database { url: Concealed::new(url), ca })
        }
    }
}

fn provider_config(
    name: &str,
    auth: &Auth,
    around: &dyn Surroundings,
    place: &str,
) -> Result<ProviderConfig, ReferenceError> {
    let settings = &auth.settings;
    let at = |key: &str| format!("{place}.{name}.{key}");
    let text =
        |key: &str| settings.text(key).map(|text| resolve(text, &at(key), around)).transpose();
    let resolved = |key: &str, pairs: &[(String, String)]| {
        let pair = |(name, text): &(String, String)| {
            Ok((name.clone(), resolve(text, &at(&format!("{key}{name}")), around)?))
        };
        pairs.iter().map(pair).collect::<Result<Vec<_>, ReferenceError>>()
    };
    let own: Vec<(String, String)> = settings
        .texts
        .iter()
        .filter(|(key, _)| !COMMON_KEYS.contains(&key.as_str()))
        .cloned()
        .collect();
    let callback = text("callback_path")?;
    Ok(ProviderConfig {
        name: name.to_owned(),
        client_id: text("client_id")?.unwrap_or_default(),
        client_secret: text("client_secret")?.map(Concealed::new),
        scope: text("scope")?,
        callback_path: callback
            .unwrap_or_else(|| format!("{DEFAULT_CALLBACK_PREFIX}/{name}/callback")),
        values: resolved("", &own)?,
        extra_authorize_params: resolved(
            "extra_authorize_params.",
            &settings.extra_authorize_params,
        )?,
        audience: settings
            .audience
            .iter()
            .map(|audience| resolve(audience, &at("audience"), around))
            .collect::<Result<_, _>>()?,
        allow_unaudienced: settings.allow_unaudienced,
        ask_userinfo: settings.ask_userinfo,
        claim_mappings: settings.claim_mappings.clone(),
    })
}

fn static_client(
    client: &Client,
    around: &dyn Surroundings,
    place: &str,
) -> Result<StaticClient, ReferenceError> {
    let at = |key: &str| format!("{place}.{key}");
    let secret = client.client_secret.as_deref();
    let client_id = resolve(&client.client_id, &at("client_id"), around)?;
    Ok(StaticClient {
        name: client.name.clone().unwrap_or_else(|| client_id.clone()),
        client_id,
        client_secret: secret
            .map(|secret| resolve(secret, &at("client_secret"), around))
            .transpose()?
            .map(Concealed::new),
        redirect_uris: client
            .redirect_uris
            .iter()
            .map(|uri| resolve(uri, &at("redirect_uris"), around))
            .collect::<Result<_, _>>()?,
        grant_types: client.grant_types.clone(),
        scopes: client.scopes.clone(),
    })
}
