//! Issuer mode: the authorization server that MCP clients talk to.
//!
//! There are two legs of OAuth: the client and us, us and the identity provider. Each has its own
//! state, PKCE and tokens, and no token of one is ever seen on the other.

mod authorize;
mod callback;
mod client;
mod consent;
mod cookie;
mod document;
mod form;
mod guesses;
pub mod metadata;
mod page;
mod register;
mod renew;
mod reply;
mod revoke;
mod routes;
#[cfg(test)]
mod tests;
mod token;

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mxcp_schemas::audit::{CallerType, Client as Recorded, Json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::cache::Cache;
use super::clock::Clock;
use super::config::AuthConfig;
use super::fetch::{FetchError, Fetcher};
use super::login::Logins;
use super::provider::Provider;
use super::seal::Sealer;
use super::secret::Digest;
use super::store::{Ended, Notice, Store, StoreError};
use crate::audit::{AppendError, AuthEvent, AuthStep, Refusal};
use crate::principal::{Identity, Principal};
use crate::serve::Runtime;
use crate::transport::http::ENDPOINT;
use crate::transport::visitor::Visitor;
use client::Client;
use document::Documents;
use guesses::Guesses;
use reply::OAuthError;

pub use client::check_configured_redirect;
pub use renew::Renewal;
pub use routes::routes;
pub use token::ACCESS_PREFIX;

/// The path of the consent form, relative to the page that shows it.
const CONSENT_NAME: &str = "consent";
/// Milliseconds that a background task waits for the provider when a grant is given back.
const GIVE_BACK_TIMEOUT_MS: u64 = 10_000;

/// The authorization server.
#[derive(Debug)]
pub struct Issuer {
    runtime: Arc<Runtime>,
    provider: Arc<dyn Provider>,
    store: Store,
    sealer: Sealer,
    clock: Clock,
    callback_path: String,
    configured: Vec<Client>,
    documents: Documents,
    guesses: Guesses,
    /// all scopes that tokens can have
    scopes: Vec<String>,
    required_scopes: Vec<String>,
    /// logins whose tokens are in use
    pub(super) logins: Logins,
    cache: Arc<Cache>,
}

/// What an issuer is made of.
#[derive(Debug)]
pub struct Parts<'p> {
    /// what it issues tokens for
    pub runtime: Arc<Runtime>,
    /// what configuration says
    pub config: &'p AuthConfig,
    /// who vouches for people
    pub provider: Arc<dyn Provider>,
    /// where logins are kept
    pub store: Store,
    /// encrypts what leaves for a while
    pub sealer: Sealer,
    /// the time
    pub clock: Clock,
    /// principals of tokens in use
    pub cache: Arc<Cache>,
}

impl Issuer {
    /// An authorization server.
    ///
    /// # Errors
    /// When no client can be made for fetching descriptions of clients.
    pub fn new(parts: Parts<'_>) -> Result<Self, FetchError> {
        let config = parts.config;
        let mut scopes = config.required_scopes.clone();
        for scope in config.clients.iter().flat_map(|client| &client.scopes) {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        Ok(Self {
            runtime: parts.runtime,
            provider: parts.provider,
            store: parts.store,
            sealer: parts.sealer,
            clock: parts.clock,
            callback_path: config.provider.callback_path.clone(),
            configured: config.clients.iter().map(Client::from).collect(),
            documents: Documents::new(Fetcher::new(document::rules())?),
            guesses: Guesses::default(),
            scopes,
            required_scopes: config.required_scopes.clone(),
            logins: Logins::default(),
            cache: parts.cache,
        })
    }

    /// What has to be the same for what was found out about a token to be used again: see
    /// [`Store::epoch`].
    pub(super) fn epoch(&self) -> Option<u64> {
        self.store.epoch()
    }

    /// Removes what is over.
    pub(super) async fn clean(&self, now: i64) {
        if let Err(error) = self.store.write(move |desk| desk.clean(now)).await {
            tracing::error!(%error, "the session database could not be cleaned");
        }
        self.logins.sweep();
    }

    /// A client by its id: configured, described under a URL, or registered. `address` is who asks.
    async fn client(&self, id: &str, address: &str) -> Result<Client, OAuthError> {
        if let Some(client) = self.configured.iter().find(|client| client.id == id) {
            return Ok(client.clone());
        }
        if document::is_url(id) {
            return self.documents.client(id, address, self.clock.now_s()).await;
        }
        let wanted = id.to_owned();
        let found = self.store.read(move |desk| desk.client(&wanted)).await?;
        found
            .map(Client::from)
            .ok_or_else(|| OAuthError::invalid_client("this client is not known"))
    }

    /// The scopes that a client is granted of those that it asks for. What nobody defined is left
    /// out, and the reply says what remains.
    fn granted(&self, client: &Client, asked: Option<&str>) -> Result<Vec<String>, OAuthError> {
        let may = |scope: &String| client.scopes.is_empty() || client.scopes.contains(scope);
        let Some(asked) = asked else {
            return Ok(self.required_scopes.iter().filter(|s| may(s)).cloned().collect());
        };
        let asked: Vec<&str> = asked.split_ascii_whitespace().collect();
        let known = |scope: &&String| asked.contains(&scope.as_str());
        let granted: Vec<String> =
            self.scopes.iter().filter(known).filter(|scope| may(scope)).cloned().collect();
        if granted.is_empty() && !self.scopes.is_empty() {
            let text = "none of these scopes can be granted";
            return Err(OAuthError::new("invalid_scope", text));
        }
        Ok(granted)
    }

    /// Who gave a grant, for records.
    async fn identity(&self, grant_id: &str) -> Result<Option<Identity>, StoreError> {
        let (id, naming, now) = (grant_id.to_owned(), self.provider.naming(), self.clock.now_s());
        let row = self.store.read(move |desk| desk.grant(&id, naming, now)).await?;
        Ok(row.map(|row| Principal::identity_of(&row.person)))
    }

    /// Ends a grant: here, in what is at work, and at the provider.
    async fn end(
        self: &Arc<Self>,
        grant_id: &str,
        reason: &str,
        client: Recorded<'_>,
    ) -> Result<(), OAuthError> {
        let (id, naming, now) = (grant_id.to_owned(), self.provider.naming(), self.clock.now_s());
        let ended = self.store.write(move |desk| desk.end_known(&id, naming, now)).await?;
        self.ended(ended, AuthStep::Revoked, reason, client).await
    }

    /// Lets nothing go on with a grant that has ended here: it is given back to the provider, and on
    /// record with whoever gave it.
    async fn ended(
        self: &Arc<Self>,
        ended: Ended,
        step: AuthStep,
        what: &str,
        client: Recorded<'_>,
    ) -> Result<(), OAuthError> {
        if let Some(row) = ended.row.clone() {
            let issuer = Arc::clone(self);
            tokio::spawn(async move {
                let wait = Duration::from_millis(GIVE_BACK_TIMEOUT_MS);
                let given = tokio::time::timeout(wait, issuer.provider.revoke(&row.provider)).await;
                if !matches!(given, Ok(Ok(()))) {
                    tracing::warn!("a grant could not be given back to the identity provider");
                }
            });
        }
        self.ended_here(&ended, step, what, client).await
    }

    /// As [`Self::ended`], and the provider hears nothing of it: some would end all logins of the person.
    async fn ended_here(
        &self,
        ended: &Ended,
        step: AuthStep,
        what: &str,
        client: Recorded<'_>,
    ) -> Result<(), OAuthError> {
        self.logins.end(&ended.id);
        let identity = ended.row.as_ref().map(|row| Principal::identity_of(&row.person));
        let reason = (step == AuthStep::Reused).then_some(what);
        let detail = serde_json::json!({ "what": what });
        let (identity, session) = (identity.as_ref(), Some(ended.id.as_str()));
        self.record(step, reason, client, identity, session, Some(&detail)).await?;
        Ok(())
    }

    /// Forgets the principal of a token.
    fn forget(&self, token: &Digest) {
        self.cache.remove(token);
    }

    /// Records something that authentication did.
    async fn record(
        &self,
        step: AuthStep,
        reason: Option<&str>,
        client: Recorded<'_>,
        identity: Option<&Identity>,
        session_id: Option<&str>,
        detail: Option<&dyn Json>,
    ) -> Result<(), AppendError> {
        let event = AuthEvent {
            reason,
            identity,
            client,
            session_id,
            detail,
            ..AuthEvent::new(step, CallerType::Http)
        };
        let written = self.runtime.trail().auth(&event);
        written.await.map(drop)
    }

    /// Adds a refusal of somebody unknown to the sums of the audit trail.
    fn refused(&self, visitor: &Visitor, reason: &'static str) {
        let address: Option<IpAddr> = Some(visitor.address);
        let refusal = Refusal { caller: CallerType::Http, address, reason };
        let _receipt = self.runtime.trail().refuse(&refusal);
    }
}

/// Acts on what other replicas end, as long as there is an issuer.
pub(super) async fn heed(issuer: Weak<Issuer>, mut notices: UnboundedReceiver<Notice>) {
    while let Some(notice) = notices.recv().await {
        let Some(issuer) = issuer.upgrade() else { return };
        match notice {
            Notice::Grant(id) => issuer.logins.end(&id),
            Notice::Token(token) => issuer.forget(&token),
        }
    }
}

/// The URL of the resource that tokens are for, as a visitor knows it.
pub fn resource_of(visitor: &Visitor) -> String {
    format!("{}{ENDPOINT}", visitor.base_url)
}
