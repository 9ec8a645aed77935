//! Keycloak: one server, many realms; roles live in the access token.
//!
//! `realm_access.roles` and `resource_access.CLIENT.roles` are in access tokens and, unless an
//! administrator adds mappers, nowhere else. So the access token is read for claims, under the
//! realm's keys.

use std::sync::Arc;

use super::leg::{Leg, Peculiar};
use super::openid::{OpenId, Standard};
use super::{Deployment, Key, Kind, Metadata, Provider, Reply, SettingError, Settings, Unset};

const SERVER_URL: Key = Key { name: "server_url", meaning: "the server", unset: Unset::Required };
const REALM: Key = Key { name: "realm", meaning: "the realm", unset: Unset::Required };

pub(super) const KIND: Kind = Kind { name: "keycloak", keys: &[SERVER_URL, REALM], build };

#[derive(Debug)]
struct Keycloak {
    openid: OpenId,
    metadata: Arc<Metadata>,
}

fn build(settings: &Settings, deployment: &Deployment) -> Result<Arc<dyn Provider>, SettingError> {
    let server = settings.url(&SERVER_URL, &deployment.fetcher)?.unwrap_or_default();
    let realm = settings.get(&REALM)?.unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    if realm.is_empty() || realm.starts_with('.') || !realm.chars().all(plain) {
        return Err(SettingError::new("realm", "may hold letters, digits and `-._~` alone"));
    }
    let leg = Leg::new(settings, deployment, "openid profile email", Peculiar::default())?;
    let issuer = format!("{server}/realms/{realm}");
    let below = |path: &str| format!("{issuer}/protocol/openid-connect/{path}");
    let metadata = Arc::new(Metadata {
        authorization_endpoint: below("auth"),
        token_endpoint: below("token"),
        jwks_uri: Some(below("certs")),
        introspection_endpoint: Some(below("token/introspect")),
        userinfo_endpoint: Some(below("userinfo")),
        revocation_endpoint: Some(below("revoke")),
        token_endpoint_auth_methods: Vec::new(),
        // Older servers do not name it, so its absence cannot be held against an answer.
        names_issuer_in_callback: false,
        issuer: Some(issuer.into()),
    });
    let openid = OpenId::new(KIND.name.to_owned(), leg, deployment);
    Ok(Arc::new(Keycloak { openid, metadata }))
}

impl Standard for Keycloak {
    fn openid(&self) -> &OpenId {
        &self.openid
    }

    fn endpoints(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(async move { Ok(Arc::clone(&self.metadata)) })
    }
}
