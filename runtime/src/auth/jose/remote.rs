//! A provider's keys, as last fetched.
//!
//! A token decides when keys are fetched, so anyone can try to make us fetch: an unknown key name
//! does so at most once in 30 seconds, and so does a failure. While the provider is down its keys
//! stay good for an hour after they were last seen.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::jwk::{KeySet, KeySetError};
use super::{Compact, JoseError};
use crate::auth::claims::Claims;
use crate::auth::clock::Clock;
use crate::auth::fetch::{FetchError, Fetcher};
use crate::auth::provider::ProviderError;

/// Seconds between two fetches, whatever tokens say.
pub const MIN_REFETCH_S: i64 = 30;
/// Seconds after which keys are fetched again though no token asked for others: a key that the
/// provider withdrew is then no longer accepted.
pub const MAX_FRESH_S: i64 = 300;
/// Seconds for which keys stay good while the provider cannot be asked.
pub const MAX_STALE_S: i64 = 3_600;

/// The keys of one provider.
#[derive(Debug)]
pub struct RemoteKeys {
    fetcher: Fetcher,
    clock: Clock,
    known: ArcSwapOption<Known>,
    /// when somebody last tried to fetch; whoever holds it fetches
    tried: Mutex<Option<Attempt>>,
}

#[derive(Debug)]
struct Known {
    /// where they were fetched from
    url: String,
    keys: KeySet,
    /// seconds since 1970
    fetched_at: i64,
}

#[derive(Debug, Clone)]
struct Attempt {
    url: String,
    at: i64,
    failure: Option<KeysError>,
}

/// Why there are no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// They cannot be fetched.
    #[error("the provider's keys cannot be fetched: {0}")]
    Fetch(#[from] FetchError),
    /// What was fetched is no key set.
    #[error("the provider's keys cannot be used: {0}")]
    Set(#[from] KeySetError),
}

/// Why a token was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not good.
    #[error(transparent)]
    Token(#[from] JoseError),
    /// There are no keys to tell.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

impl RemoteKeys {
    /// Keys that nobody asked for yet.
    pub fn new(fetcher: Fetcher, clock: Clock) -> Self {
        Self { fetcher, clock, known: ArcSwapOption::empty(), tried: Mutex::new(None) }
    }

    /// The claims of a token that one of the keys at `url` signed.
    ///
    /// # Errors
    /// When it is not signed by any, or the keys cannot be had.
    pub async fn verify(&self, url: &str, token: &Compact<'_>) -> Result<Claims, VerifyError> {
        let known = self.keys(url, token.header.kid.as_deref()).await?;
        Ok(token.verified(&known.keys)?)
    }

    /// The keys at `url`, fetched if they are too old or do not have the name that is looked for.
    async fn keys(&self, url: &str, kid: Option<&str>) -> Result<Arc<Known>, KeysError> {
        let has = |known: &Known| kid.is_none_or(|kid| known.keys.has_name(kid));
        let known = self.known(url).filter(|(known, _)| has(known));
        let mut tried = match known {
            Some((known, age_s)) if age_s < MAX_FRESH_S => return Ok(known),
            // Old keys that are still good: one asks for new ones, the others do not wait for it.
            Some((known, _)) => match self.tried.try_lock() {
                Ok(tried) => tried,
                Err(_) => return Ok(known),
            },
            None => self.tried.lock().await,
        };
        // Whoever waited here finds what the one before fetched.
        if let Some((known, age_s)) = self.known(url).filter(|(known, _)| has(known))
            && age_s < MAX_FRESH_S
        {
            return Ok(known);
        }
        let now = self.clock.now_s();
        let last = tried.as_ref().filter(|attempt| attempt.url == url);
        let recent = last.filter(|attempt| (0..MIN_REFETCH_S).contains(&(now - attempt.at)));
        let failure = if let Some(attempt) = recent {
            attempt.failure.clone()
        } else {
            let failure = self.fetch(url, now).await.err();
            if let Some(error) = &failure {
                tracing::warn!(%error, "the keys of the identity provider stay as they are");
            }
            *tried = Some(Attempt { url: url.to_owned(), at: now, failure: failure.clone() });
            failure
        };
        match (self.known(url), failure) {
            (Some((known, _)), None) => Ok(known),
            // With a name that is not among old keys nobody knows whether it is among the new ones.
            (Some((known, _)), Some(failure)) => {
                if has(&known) {
                    Ok(known)
                } else {
                    Err(failure)
                }
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(KeysError::Set(KeySetError::NoKeys)),
        }
    }

    /// The keys that were fetched from `url`, and how many seconds ago, unless they are too old.
    fn known(&self, url: &str) -> Option<(Arc<Known>, i64)> {
        let known = self.known.load_full().filter(|known| known.url == url)?;
        let age_s = self.clock.now_s() - known.fetched_at;
        (0..MAX_STALE_S).contains(&age_s).then_some((known, age_s))
    }

    async fn fetch(&self, url: &str, now: i64) -> Result<(), KeysError> {
        let document = self.fetcher.get(url, None).await?;
        let keys = KeySet::parse(&document.json()?)?;
        let known = Known { url: url.to_owned(), keys, fetched_at: now };
        self.known.store(Some(Arc::new(known)));
        Ok(())
    }
}

impl KeysError {
    /// As what it looks like to whoever asked the provider.
    pub fn into_provider_error(self) -> ProviderError {
        match self {
            Self::Fetch(error) => error.into(),
            Self::Set(error) => ProviderError::Answer(error.to_string()),
        }
    }
}
