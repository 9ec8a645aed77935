//! Client ID Metadata Documents: a client whose id is the URL of its own description.
//!
//! Strangers choose the URL, so what is fetched is bounded in every way: https, no redirects, public
//! addresses alone (checked on the address that is connected to), a few kilobytes, seconds, and so
//! many in a minute. What was fetched is kept for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::header::CACHE_CONTROL;
use tokio::sync::Semaphore;
use url::Url;

use super::client::{Client, REFRESH_TOKEN, Source, check_redirect};
use super::reply::OAuthError;
use crate::auth::fetch::{Document, FetchError, Fetcher, Rules};
use crate::json::Json;

/// Bytes of a description.
pub(super) const DOCUMENT_MAX_BYTES: usize = 5 << 10;
/// Milliseconds until it is there.
pub(super) const DOCUMENT_TIMEOUT_MS: u64 = 3_000;
/// Bytes of its URL.
const URL_MAX_BYTES: usize = 512;
/// Descriptions that are kept.
const KEPT_MAX: usize = 1_000;
/// Seconds that one is kept when it does not say; at least; at most.
const KEPT_S: i64 = 3_600;
const KEPT_MIN_S: i64 = 60;
const KEPT_MAX_S: i64 = 24 * 3_600;
/// Descriptions that are fetched within a minute, in all and for one address.
const FETCHES_PER_MINUTE_MAX: u32 = 120;
const FETCHES_PER_ADDRESS_AND_MINUTE_MAX: u32 = 10;
/// Descriptions that are fetched at the same time.
const FETCHES_AT_ONCE_MAX: usize = 8;
const MINUTE_S: i64 = 60;

/// Fetches descriptions and keeps them.
#[derive(Debug)]
pub(super) struct Documents {
    fetcher: Fetcher,
    room: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: HashMap<String, (Client, i64)>,
    minute: i64,
    fetches: HashMap<String, u32>,
    all: u32,
}

/// The rules by which descriptions are fetched.
pub(super) fn rules() -> Rules {
    Rules {
        max_answer_bytes: DOCUMENT_MAX_BYTES,
        answer_timeout_ms: DOCUMENT_TIMEOUT_MS,
        allow_plain: false,
        public_only: true,
    }
}

impl Documents {
    pub(super) fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, room: Semaphore::new(FETCHES_AT_ONCE_MAX), state: Mutex::default() }
    }

    /// The client that a URL describes. `address` is who asks for it.
    ///
    /// # Errors
    /// When it is not such a URL, cannot be fetched, or does not describe a client.
    pub(super) async fn client(
        &self,
        url: &str,
        address: &str,
        now: i64,
    ) -> Result<Client, OAuthError> {
        check_url(url)?;
        if let Some(client) = self.kept(url, now) {
            return Ok(client);
        }
        if !self.may_fetch(address, now) {
            return Err(OAuthError::too_many("too many client descriptions were asked for", 60));
        }
        let Ok(_permit) = self.room.try_acquire() else {
            return Err(OAuthError::too_many("too many client descriptions are being fetched", 5));
        };
        let document = self.fetcher.get(url, None).await.map_err(|error| fetched(&error))?;
        let client = read(url, &document)?;
        self.keep(url, &client, now + lifetime(&document));
        Ok(client)
    }

    fn kept(&self, url: &str, now: i64) -> Option<Client> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.kept.get(url).filter(|(_, until)| *until > now).map(|(client, _)| client.clone())
    }

    fn keep(&self, url: &str, client: &Client, until: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.kept.len() >= KEPT_MAX && !state.kept.contains_key(url) {
            let oldest = state.kept.iter().min_by_key(|(_, (_, until))| *until);
            if let Some(oldest) = oldest.map(|(url, _)| url.clone()) {
                state.kept.remove(&oldest);
            }
        }
        state.kept.insert(url.to_owned(), (client.clone(), until));
    }

    fn may_fetch(&self, address: &str, now: i64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now / MINUTE_S;
        if state.minute != minute {
            state.minute = minute;
            state.fetches.clear();
            state.all = 0;
        }
        if state.all >= FETCHES_PER_MINUTE_MAX {
            return false;
        }
        let of_address = state.fetches.entry(address.to_owned()).or_default();
        if *of_address >= FETCHES_PER_ADDRESS_AND_MINUTE_MAX {
            return false;
        }
        *of_address += 1;
        state.all += 1;
        true
    }
}

/// Whether a client id is a URL, and so the place of a description.
pub(super) fn is_url(client_id: &str) -> bool {
    client_id.starts_with("https://") || client_id.starts_with("http://")
}

fn check_url(text: &str) -> Result<(), OAuthError> {
    let wrong = |problem: &str| {
        OAuthError::invalid_client(&format!("a `client_id` that is a URL {problem}"))
    };
    if text.len() > URL_MAX_BYTES {
        return Err(wrong("is too long"));
    }
    let url = Url::parse(text).map_err(|_| wrong("must be one"))?;
    if url.scheme() != "https" {
        return Err(wrong("must be `https`"));
    }
    if url.path() == "/" || url.path().is_empty() {
        return Err(wrong("needs a path"));
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has neither a fragment nor a user name"));
    }
    // What is not written as it is meant (`..`, other case, a default port) is another id.
    if url.as_str() != text {
        return Err(wrong("must be in its normal form"));
    }
    Ok(())
}

fn fetched(error: &FetchError) -> OAuthError {
    tracing::warn!(%error, "a client's description could not be fetched");
    if error.is_temporary() {
        return OAuthError { code: "invalid_client", ..OAuthError::unavailable() };
    }
    OAuthError::invalid_client("the client's description could not be fetched")
}

fn read(url: &str, document: &Document) -> Result<Client, OAuthError> {
    let wrong =
        |problem: &str| OAuthError::invalid_client(&format!("the client's description {problem}"));
    let json = document.json().map_err(|_| wrong("is not JSON"))?;
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let texts = |name: &str| match json.get(name) {
        None => Some(Vec::new()),
        Some(Json::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(_) => None,
    };
    if text("client_id") != Some(url) {
        return Err(wrong("has another `client_id` than its own URL"));
    }
    let name = text("client_name").ok_or_else(|| wrong("has no `client_name`"))?;
    let redirect_uris = texts("redirect_uris").filter(|uris| !uris.is_empty());
    let redirect_uris = redirect_uris.ok_or_else(|| wrong("has no `redirect_uris`"))?;
    for uri in &redirect_uris {
        check_redirect(uri).map_err(|problem| wrong(&format!("is not usable: {problem}")))?;
    }
    if !matches!(text("token_endpoint_auth_method"), None | Some("none"))
        || json.get("client_secret").is_some()
    {
        return Err(wrong("must say `\"token_endpoint_auth_method\": \"none\"`"));
    }
    let grants = texts("grant_types").ok_or_else(|| wrong("has odd `grant_types`"))?;
    let scopes = text("scope").unwrap_or_default();
    Ok(Client {
        id: url.to_owned(),
        name: name.to_owned(),
        source: Source::Document,
        secret: None,
        redirect_uris,
        may_refresh: grants.iter().any(|grant| grant == REFRESH_TOKEN),
        scopes: scopes.split_ascii_whitespace().map(str::to_owned).collect(),
    })
}

/// How long a description may be kept, in seconds.
fn lifetime(document: &Document) -> i64 {
    let header = document.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let Some(header) = header else { return KEPT_S };
    let mut directives = header.split(',').map(str::trim);
    if directives
        .clone()
        .any(|d| d.eq_ignore_ascii_case("no-store") || d.eq_ignore_ascii_case("no-cache"))
    {
        return KEPT_MIN_S;
    }
    let age = directives.find_map(|directive| directive.strip_prefix("max-age="));
    age.and_then(|age| age.parse().ok()).unwrap_or(KEPT_S).clamp(KEPT_MIN_S, KEPT_MAX_S)
}

#[cfg(test)]
mod tests;
