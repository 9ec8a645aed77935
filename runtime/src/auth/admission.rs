//! From the token of a request to the person who calls.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, Uri};
use tokio_util::sync::CancellationToken;

use super::bearer::{self, Refusal};
use super::cache::{Admitted, Cache, Context};
use super::claims::Mappings;
use super::clock::Clock;
use super::flight::Flights;
use super::issuer::{Issuer, Renewal};
use super::login::Login;
use super::meters::Meters;
use super::provider::{Person, Provider};
use super::secret::Digest;
use super::store::{CLEANING_INTERVAL_S, GrantRow, StoreError, TokenRow};
use super::verifier::{Refused, Verified, Verifier};
use crate::config::Concealed;
use crate::principal::{Account, Principal};
use crate::serve::Runtime;
use crate::transport::visitor::Visitor;

/// Lets requests in, or turns them away.
#[derive(Debug)]
pub struct Admission {
    runtime: Arc<Runtime>,
    way: Way,
    mappings: Mappings,
    required_scopes: Vec<String>,
    cache: Arc<Cache>,
    /// tokens that are being found out about for the first time
    flights: Flights<Result<Arc<Admitted>, Refusal>>,
    meters: Meters,
    context: Context,
    clock: Clock,
}

/// Whose tokens are accepted.
#[derive(Debug)]
pub enum Way {
    /// those that we issued
    Issuer(Arc<Issuer>),
    /// the provider's own
    Verifier {
        /// judges them
        verifier: Arc<Verifier>,
        /// who issues them
        provider: Arc<dyn Provider>,
    },
}

/// A token that was let in, and who let it in.
#[derive(Debug, Clone)]
pub struct Vouched {
    admission: Arc<Admission>,
    admitted: Arc<Admitted>,
}

impl Vouched {
    /// A token, let in.
    pub fn new(admission: &Arc<Admission>, admitted: Arc<Admitted>) -> Self {
        Self { admission: Arc::clone(admission), admitted }
    }

    /// Scopes that a token must have.
    pub fn required_scopes(&self) -> &[String] {
        self.admission.required_scopes()
    }

    /// What was found out about the token.
    pub fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The login that the token belongs to, if we issued it: an identifier that opens nothing.
    pub fn login_id(&self) -> Option<&str> {
        self.admitted.login.as_ref().map(|login| login.id.as_str())
    }

    /// The identity provider's access token: in issuer mode the one that the provider gave us, in
    /// verifier mode the one that the client brought with its request.
    pub async fn external_token(&self, headers: Option<&HeaderMap>) -> Option<Concealed<String>> {
        match (&self.admission.way, &self.admitted.login) {
            (Way::Issuer(issuer), Some(login)) => match issuer.provider_token(login).await {
                Ok(token) => token,
                Err(error) => {
                    tracing::error!(%error, "a token of the provider's could not be looked up");
                    None
                }
            },
            (Way::Verifier { .. }, _) => {
                bearer::read(headers?).ok().map(|token| Concealed::new(token.to_owned()))
            }
            (Way::Issuer(_), None) => None,
        }
    }
}

/// What an admission is made of.
#[derive(Debug)]
pub struct Parts {
    /// what is served
    pub runtime: Arc<Runtime>,
    /// whose tokens are accepted
    pub way: Way,
    /// capabilities that claims give
    pub mappings: Mappings,
    /// scopes that a token must have
    pub required_scopes: Vec<String>,
    /// principals of tokens in use
    pub cache: Arc<Cache>,
    /// generation of the configuration
    pub generation: u64,
    /// the time
    pub clock: Clock,
}

impl Admission {
    /// Lets requests in by the tokens that they carry.
    pub fn new(parts: Parts) -> Self {
        let context = Context::new(parts.runtime.digest(), parts.generation);
        Self {
            runtime: parts.runtime,
            way: parts.way,
            mappings: parts.mappings,
            required_scopes: parts.required_scopes,
            cache: parts.cache,
            flights: Flights::default(),
            meters: Meters::default(),
            context,
            clock: parts.clock,
        }
    }

    /// Scopes that a token must have.
    pub fn required_scopes(&self) -> &[String] {
        &self.required_scopes
    }

    /// Whose tokens are accepted.
    pub const fn way(&self) -> &Way {
        &self.way
    }

    /// How many tokens are remembered.
    pub fn remembered(&self) -> usize {
        self.cache.len()
    }

    /// Where clients get tokens; nowhere that we know of when the provider has no name as an issuer.
    pub async fn authorization_servers(&self, visitor: &Visitor) -> Vec<String> {
        match &self.way {
            Way::Issuer(_) => vec![visitor.base_url.clone()],
            Way::Verifier { provider, .. } => match provider.metadata().await {
                Ok(metadata) => metadata.issuer.as_deref().map(str::to_owned).into_iter().collect(),
                Err(error) => {
                    tracing::warn!(%error, "the identity provider does not say who it is");
                    Vec::new()
                }
            },
        }
    }

    /// Who sends a request: one look-up for a token that was seen before. Whether the token allows what
    /// is asked is another question ([`Admitted::has_scopes`]): who is turned away for that is known.
    ///
    /// # Errors
    /// When the request has no token that is good now.
    pub async fn recognise(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Arc<Admitted>, Refusal> {
        if bearer::is_in_query(uri) {
            return Err(Refusal::InQuery);
        }
        let token = bearer::read(headers)?;
        let digest = Digest::of(token);
        match self.known(&digest) {
            Some(admitted) => self.again(&digest, admitted).await,
            None => self.flights.join(&digest, || self.cold(token, &digest)).await,
        }
    }

    /// What is remembered of a token, if that still counts. What was found out about a token that only
    /// the provider can read counts for a minute; then the provider is asked again.
    fn known(&self, digest: &Digest) -> Option<Arc<Admitted>> {
        let admitted = self.cache.get(digest, &self.context)?;
        if admitted.is_good(self.clock.now_s()) {
            return Some(admitted);
        }
        self.cache.remove(digest);
        None
    }

    /// A token that nobody has found out about yet.
    async fn cold(&self, token: &str, digest: &Digest) -> Result<Arc<Admitted>, Refusal> {
        // Somebody else did between the look at the cache and this.
        if let Some(admitted) = self.known(digest) {
            return self.again(digest, admitted).await;
        }
        match &self.way {
            Way::Issuer(issuer) => self.first(issuer, digest).await,
            Way::Verifier { verifier, .. } => self.foreign(verifier, token, digest).await,
        }
    }

    /// A token that was seen before.
    async fn again(
        &self,
        digest: &Digest,
        admitted: Arc<Admitted>,
    ) -> Result<Arc<Admitted>, Refusal> {
        let (Way::Issuer(issuer), Some(login)) = (&self.way, &admitted.login) else {
            return Ok(admitted);
        };
        if issuer.epoch() != Some(admitted.epoch) {
            // It may have ended on another replica without a word to this one.
            return self.first(issuer, digest).await;
        }
        self.checked(issuer, digest, login).await?;
        if login.version() == admitted.version {
            return Ok(admitted);
        }
        // The provider says something new about the person.
        self.first(issuer, digest).await
    }

    async fn checked(
        &self,
        issuer: &Arc<Issuer>,
        digest: &Digest,
        login: &Arc<Login>,
    ) -> Result<(), Refusal> {
        match issuer.check(login).await {
            Renewal::Stands => Ok(()),
            Renewal::Unknown => Err(Refusal::Unavailable),
            Renewal::Ended => {
                self.cache.remove(digest);
                Err(Refusal::Invalid)
            }
        }
    }

    /// A token that was not seen before, or whose owner changed.
    async fn first(&self, issuer: &Arc<Issuer>, digest: &Digest) -> Result<Arc<Admitted>, Refusal> {
        let (epoch, ended) = (issuer.epoch(), self.cache.removals());
        let (_, _, login) = self.look_up(issuer, digest).await?;
        self.checked(issuer, digest, &login).await?;
        // Read before the row is, so that what changes in between is noticed at the next call.
        let version = login.version();
        let (token, grant, login) = self.look_up(issuer, digest).await?;
        let account = account(&grant.person, Some(&grant.client_id));
        let principal = self.principal(&grant.person, account);
        let has_scopes = self.has_scopes(&token.scopes);
        let expires = token.expires.min(grant.expires);
        let admitted =
            Admitted::new(Arc::new(principal), expires, has_scopes, Some((login, version)));
        match epoch {
            // What ends from here on is heard of.
            Some(epoch) => Ok(self.remember(digest, admitted.in_epoch(epoch), ended)),
            None => Ok(Arc::new(admitted)),
        }
    }

    /// A token of the provider's that was not seen before.
    async fn foreign(
        &self,
        verifier: &Verifier,
        token: &str,
        digest: &Digest,
    ) -> Result<Arc<Admitted>, Refusal> {
        let ended = self.cache.removals();
        let verified = verifier.verify(token).await.map_err(|refused| {
            tracing::debug!(reason = %refused, "a token was refused");
            match refused {
                Refused::Invalid(_) => Refusal::Invalid,
                Refused::Unavailable(_) => Refusal::Unavailable,
            }
        })?;
        let Verified { person, issuer, client, scopes, expires_at } = verified;
        let account = Account {
            issuer,
            subject: person.user_id.as_str().into(),
            client: client.map(Into::into),
        };
        let principal = self.principal(&person, account);
        let has_scopes = self.has_scopes(&scopes);
        let admitted = Admitted::new(Arc::new(principal), expires_at, has_scopes, None);
        Ok(self.remember(digest, admitted, ended))
    }

    fn principal(&self, person: &Person, account: Account) -> Principal {
        let capabilities = self.mappings.capabilities(&person.claims);
        let meter = self.meters.of(&account.issuer, &account.subject);
        self.runtime.authenticated(person, &capabilities, account, meter)
    }

    async fn look_up(
        &self,
        issuer: &Issuer,
        digest: &Digest,
    ) -> Result<(TokenRow, GrantRow, Arc<Login>), Refusal> {
        match issuer.token(digest).await {
            Ok(Some(found)) => Ok(found),
            // What was encrypted under another key is as good as gone.
            Ok(None) | Err(StoreError::Sealed(_)) => Err(Refusal::Invalid),
            Err(error) => {
                tracing::error!(%error, "a token could not be looked up");
                Err(Refusal::Unavailable)
            }
        }
    }

    /// Forgets what is over, until `stop` is cancelled.
    pub async fn keep_clean(self: Arc<Self>, stop: CancellationToken) {
        let pause = Duration::from_secs(CLEANING_INTERVAL_S);
        loop {
            let now = self.clock.now_s();
            self.cache.sweep(now);
            self.meters.sweep();
            if let Way::Issuer(issuer) = &self.way {
                issuer.clean(now).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn has_scopes(&self, scopes: &[String]) -> bool {
        self.required_scopes.iter().all(|scope| scopes.contains(scope))
    }

    /// Remembers a token, unless one was forgotten since `ended` was read: it may be this one.
    fn remember(&self, digest: &Digest, admitted: Admitted, ended: u64) -> Arc<Admitted> {
        let admitted = Arc::new(admitted);
        let now = self.clock.now_s();
        self.cache.put_since(ended, digest, &self.context, Arc::clone(&admitted), now);
        admitted
    }
}

fn account(person: &Person, client: Option<&str>) -> Account {
    Account {
        issuer: person.provider.as_str().into(),
        subject: person.user_id.as_str().into(),
        client: client.map(Into::into),
    }
}
