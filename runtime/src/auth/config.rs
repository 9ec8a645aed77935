//! What a deployment says about authentication, references resolved.

use std::path::PathBuf;

use mxcp_schemas::document::user::auth::{
    Auth, COMMON_KEYS, ClaimMapping, Client, DEFAULT_CALLBACK_PREFIX, DEFAULT_STORE, StoreKind,
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
    /// the file where sessions are kept
    pub store: PathBuf,
    /// key under which provider tokens are encrypted; one is made beside the file when there is none
    pub encryption_key: Option<Concealed<String>>,
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
        let kept = &auth.persistence;
        if kept.kind == StoreKind::Postgres {
            return Err(ConfigError::Unsupported {
                place: format!("{place}.persistence.type"),
                problem: "this release keeps sessions in SQLite alone; say `sqlite`",
            });
        }
        let at = |key: &str| format!("{place}.{key}");
        let path = kept.path.as_deref().unwrap_or(DEFAULT_STORE);
        let path = resolve(path, &at("persistence.path"), around)?;
        let key = kept.auth_encryption_key.as_deref();
        let clients = auth.clients.iter().enumerate();
        Ok(Some(Self {
            mode: auth.mode,
            provider: provider_config(&provider.value, auth, around, place)?,
            clients: clients
                .map(|(i, client)| static_client(client, around, &at(&format!("clients[{i}]"))))
                .collect::<Result<_, _>>()?,
            required_scopes: auth.required_scopes.clone(),
            store: expand_home(&path, around),
            encryption_key: key
                .map(|key| resolve_key(key, &at("persistence.auth_encryption_key"), around))
                .transpose()?
                .map(Concealed::new),
            place: place.to_owned(),
        }))
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
