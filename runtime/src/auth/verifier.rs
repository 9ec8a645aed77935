//! Verifier mode: the client brings the provider's own token.
//!
//! A signed token is judged here, against the provider's keys; one that looks signed and is not good
//! is refused, and nobody is asked about it. Only a token that does not look signed is introspected,
//! and only where the operator said so does userinfo alone count, which proves for nobody whom a
//! token was issued for. Whatever cannot be found out closes.

mod access;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::bearer::is_token;
use super::claims::Claims;
use super::clock::Clock;
use super::jose::registered::{ClaimFault, Registered};
use super::jose::remote::{RemoteKeys, VerifyError};
use super::jose::{Compact, MAX_TOKEN_BYTES, looks_like_jwt};
use super::provider::{
    Audience, Deployment, Introspected, Metadata, Person, Provider, ProviderError,
};
use crate::config::Concealed;

/// Seconds for which the provider's word about an opaque token counts.
pub const MAX_OPAQUE_FRESH_S: i64 = 60;
/// Questions to the provider about tokens, at the same time.
const MAX_QUESTIONS: usize = 32;
/// Milliseconds that a question waits for its turn.
const QUESTION_WAIT_MS: u64 = 5_000;

/// A token that is good: whose it is and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// its owner
    pub person: Person,
    /// who issued it
    pub issuer: Arc<str>,
    /// to which client
    pub client: Option<String>,
    /// what it allows
    pub scopes: Vec<String>,
    /// seconds since 1970 at which this stops being true: the token expires or must be asked about
    /// again
    pub expires_at: i64,
}

/// Why a token opens nothing. Says nothing of the token's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The token is not good: answer 401 `invalid_token`.
    #[error("{0}")]
    Invalid(String),
    /// Whether it is good cannot be found out now: answer 503.
    #[error("{0}")]
    Unavailable(String),
}

/// What a verifier demands of tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// names of this server, one of which a token must be for
    pub audiences: Vec<String>,
    /// our name at the provider: a token for it is an ID token
    pub client_id: String,
    /// whether a token is accepted that nothing says is meant for this server
    pub allow_unaudienced: bool,
    /// whether claims that the token does not have are asked of userinfo
    pub ask_userinfo: bool,
}

/// Judges the tokens of one provider.
#[derive(Debug)]
pub struct Verifier {
    provider: Arc<dyn Provider>,
    demands: Demands,
    keys: RemoteKeys,
    clock: Clock,
    questions: Semaphore,
}

impl Verifier {
    /// A verifier of a provider's tokens.
    pub fn new(provider: Arc<dyn Provider>, deployment: &Deployment, demands: Demands) -> Self {
        Self {
            provider,
            demands,
            keys: RemoteKeys::new(deployment.fetcher.clone(), deployment.clock.clone()),
            clock: deployment.clock.clone(),
            questions: Semaphore::new(MAX_QUESTIONS),
        }
    }

    /// Judges a token.
    ///
    /// # Errors
    /// When it is not good, or the provider that would know does not answer.
    pub async fn verify(&self, token: &str) -> Result<Verified, Refused> {
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !is_token(token) {
            return Err(Refused::Invalid("it is not a bearer token".into()));
        }
        let metadata = self.provider.metadata().await.map_err(|error| unavailable(&error))?;
        match &metadata.jwks_uri {
            Some(jwks_uri) if looks_like_jwt(token) => {
                self.signed(&metadata, jwks_uri, token).await
            }
            _ => self.opaque(&metadata, &Concealed::new(token.to_owned())).await,
        }
    }

    /// Judges a token that is, or wants to be, a signed one.
    async fn signed(
        &self,
        metadata: &Metadata,
        jwks_uri: &str,
        token: &str,
    ) -> Result<Verified, Refused> {
        let compact = Compact::parse(token).map_err(invalid)?;
        access::check_type(&compact.header).map_err(invalid)?;
        let claims = match self.keys.verify(jwks_uri, &compact).await {
            Ok(claims) => claims,
            Err(VerifyError::Token(error)) => return Err(invalid(error)),
            Err(VerifyError::Keys(error)) => return Err(Refused::Unavailable(error.to_string())),
        };
        let registered = Registered::read(&claims).map_err(invalid)?;
        let issuer = metadata.issuer.as_ref();
        let issuer = issuer.ok_or_else(|| unknown("the provider has no name as an issuer"))?;
        registered.check_issuer(&[issuer]).map_err(invalid)?;
        let expires_at = registered.check_times(self.clock.now_s()).map_err(invalid)?;
        access::check_kind(&compact.header, &claims, &registered, &self.demands.client_id)
            .map_err(invalid)?;
        self.check_audience(&registered.audience).map_err(invalid)?;
        let subject = registered.subject.ok_or(ClaimFault::Missing("sub")).map_err(invalid)?;
        let client = access::client(&claims).map_err(invalid)?;
        let scopes = access::scopes(&claims).map_err(invalid)?;
        let claims = self.add_userinfo(token, &subject, claims).await?;
        let person = self.person(subject, claims);
        Ok(Verified { person, issuer: Arc::clone(issuer), client, scopes, expires_at })
    }

    /// Judges a token that only the provider can read.
    async fn opaque(
        &self,
        metadata: &Metadata,
        token: &Concealed<String>,
    ) -> Result<Verified, Refused> {
        let wait = Duration::from_millis(QUESTION_WAIT_MS);
        let turn = tokio::time::timeout(wait, self.questions.acquire()).await;
        let _turn = turn
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| unknown("too many tokens are being asked about"))?;
        let answer = self.provider.introspect(token).await.map_err(refused)?;
        let now = self.clock.now_s();
        let issuer = metadata.issuer.clone().unwrap_or_else(|| self.provider.name().into());
        let Introspected::Active { claims, audience, client, scopes, expires_at } = answer else {
            if matches!(answer, Introspected::Inactive) {
                return Err(Refused::Invalid("the provider says that it is not active".into()));
            }
            return self.userinfo_alone(issuer, token).await;
        };
        let registered = Registered::read(&claims).map_err(invalid)?;
        let expires_at = match expires_at {
            Some(at) => {
                let registered = Registered { expires_at: Some(at), ..registered.clone() };
                registered.check_times(now).map_err(invalid)?
            }
            // Some providers have tokens without an end; they say of these that they are ours, and
            // are asked again soon.
            None if audience == Audience::Us => i64::MAX,
            None => return Err(invalid(ClaimFault::Missing("exp"))),
        };
        access::check_binding(&claims).map_err(invalid)?;
        match &audience {
            Audience::Us => {}
            Audience::Named(audience) => self.check_audience(audience).map_err(invalid)?,
            Audience::Unnamed if self.demands.allow_unaudienced => {}
            Audience::Unnamed => return Err(invalid(ClaimFault::Audience)),
        }
        let subject = registered.subject.ok_or(ClaimFault::Missing("sub")).map_err(invalid)?;
        let claims = self.add_userinfo(token.expose(), &subject, claims).await?;
        let person = self.person(subject, claims);
        let expires_at = expires_at.min(now + MAX_OPAQUE_FRESH_S);
        Ok(Verified { person, issuer, client, scopes, expires_at })
    }

    /// Takes userinfo's word, where the operator accepts tokens that may be meant for anybody.
    async fn userinfo_alone(
        &self,
        issuer: Arc<str>,
        token: &Concealed<String>,
    ) -> Result<Verified, Refused> {
        if !self.demands.allow_unaudienced {
            return Err(invalid(ClaimFault::Audience));
        }
        let person = self.provider.userinfo(token).await.map_err(refused)?;
        let expires_at = self.clock.now_s() + MAX_OPAQUE_FRESH_S;
        Ok(Verified { person, issuer, client: None, scopes: Vec::new(), expires_at })
    }

    /// Adds what userinfo knows to claims, if that is wanted. What they say already stays.
    async fn add_userinfo(
        &self,
        token: &str,
        subject: &str,
        claims: Claims,
    ) -> Result<Claims, Refused> {
        if !self.demands.ask_userinfo {
            return Ok(claims);
        }
        let token = Concealed::new(token.to_owned());
        let person = self.provider.userinfo(&token).await.map_err(refused)?;
        if person.user_id != subject {
            return Err(Refused::Invalid("userinfo is about somebody else".into()));
        }
        Ok(claims.with(&person.claims))
    }

    fn check_audience(&self, audience: &[String]) -> Result<(), ClaimFault> {
        if audience.is_empty() {
            return Err(ClaimFault::Missing("aud"));
        }
        let is_ours = |name: &String| self.demands.audiences.contains(name);
        if audience.iter().any(is_ours) { Ok(()) } else { Err(ClaimFault::Audience) }
    }

    fn person(&self, user_id: String, claims: Claims) -> Person {
        let provider = self.provider.name().to_owned();
        Person { provider, user_id, claims, naming: self.provider.naming() }
    }
}

fn invalid(problem: impl std::fmt::Display) -> Refused {
    Refused::Invalid(problem.to_string())
}

fn unknown(problem: &str) -> Refused {
    Refused::Unavailable(problem.to_owned())
}

fn unavailable(error: &ProviderError) -> Refused {
    Refused::Unavailable(error.to_string())
}

/// What a provider's refusal to tell means for a token.
fn refused(error: ProviderError) -> Refused {
    match error {
        ProviderError::Fetch(_) | ProviderError::Refused { .. } => unavailable(&error),
        error => Refused::Invalid(error.to_string()),
    }
}
