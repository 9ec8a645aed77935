//! A provider under the control of a test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::auth::claims::Claims;
use crate::auth::fetch::FetchError;
use crate::auth::provider::{
    Callback, Grant, Introspected, Login, Metadata, Naming, OPENID, Person, Provider,
    ProviderError, Reply,
};
use crate::config::Concealed;

/// What the provider says and how often it was asked.
#[derive(Debug)]
pub(super) struct Stub {
    /// claims of the person who logs in
    pub(super) claims: Mutex<String>,
    /// the person's id
    pub(super) subject: Mutex<String>,
    /// what it does when asked
    pub(super) mood: Mutex<Mood>,
    /// when its access tokens expire, in seconds since 1970
    pub(super) expires: Mutex<Option<i64>>,
    pub(super) exchanges: AtomicUsize,
    pub(super) identities: AtomicUsize,
    pub(super) refreshes: AtomicUsize,
    pub(super) revocations: AtomicUsize,
    /// every token and code that it was shown
    pub(super) shown: Mutex<Vec<String>>,
}

/// How a provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Down,
    /// access tokens are refused, refresh tokens work
    TokensRefused,
    /// everything was revoked
    Revoked,
}

impl Default for Stub {
    fn default() -> Self {
        Self {
            claims: Mutex::new(r#"{"sub":"ada","preferred_username":"ada","role":"admin"}"#.into()),
            subject: Mutex::new("ada".into()),
            mood: Mutex::new(Mood::Well),
            expires: Mutex::new(None),
            exchanges: AtomicUsize::new(0),
            identities: AtomicUsize::new(0),
            refreshes: AtomicUsize::new(0),
            revocations: AtomicUsize::new(0),
            shown: Mutex::default(),
        }
    }
}

fn down() -> ProviderError {
    FetchError::Unreachable { host: "idp.example".into(), problem: "no connection" }.into()
}

impl Stub {
    pub(super) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(super) fn says(&self, claims: &str) {
        *self.claims.lock().unwrap() = claims.to_owned();
    }

    /// Keeps what it was shown of a grant.
    fn look_at(&self, grant: &Grant) {
        let tokens = [Some(&grant.access_token), grant.refresh_token.as_ref()];
        let tokens = tokens.into_iter().flatten().map(|token| token.expose().clone());
        self.shown.lock().unwrap().extend(tokens);
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn grant(&self, name: &str) -> Grant {
        Grant {
            access_token: Concealed::new(format!("PROVIDER-ACCESS-{name}")),
            refresh_token: Some(Concealed::new(format!("PROVIDER-REFRESH-{name}"))),
            expires_at: *self.expires.lock().unwrap(),
            scopes: Vec::new(),
            id_claims: Claims::default(),
            identity_url: None,
        }
    }

    fn person(&self) -> Person {
        Person {
            provider: "stub".into(),
            user_id: self.subject.lock().unwrap().clone(),
            claims: Claims::parse(&self.claims.lock().unwrap()).unwrap(),
            naming: OPENID,
        }
    }
}

impl Provider for Stub {
    fn name(&self) -> &'static str {
        "stub"
    }

    fn naming(&self) -> Naming {
        OPENID
    }

    fn authorization_url<'a>(&'a self, login: &'a Login) -> Reply<'a, String> {
        Box::pin(async move {
            if self.mood() == Mood::Down {
                return Err(down());
            }
            Ok(format!("https://idp.example/login?state={}", login.state))
        })
    }

    fn exchange<'a>(&'a self, _: &'a Login, callback: &'a Callback) -> Reply<'a, Grant> {
        Box::pin(async move {
            self.exchanges.fetch_add(1, Ordering::SeqCst);
            self.shown.lock().unwrap().push(callback.code.expose().clone());
            if callback.iss.as_deref().is_some_and(|iss| iss != "https://idp.example") {
                return Err(ProviderError::MixedUp);
            }
            match callback.code.expose().as_str() {
                "good" => Ok(self.grant("1")),
                _ => Err(ProviderError::InvalidGrant),
            }
        })
    }

    fn refresh<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Grant> {
        Box::pin(async move {
            self.refreshes.fetch_add(1, Ordering::SeqCst);
            self.look_at(grant);
            tokio::time::sleep(Duration::from_millis(50)).await;
            match self.mood() {
                Mood::Down => Err(down()),
                Mood::Revoked => Err(ProviderError::InvalidGrant),
                Mood::Well | Mood::TokensRefused => {
                    assert!(grant.refresh_token.is_some());
                    self.is(Mood::Well);
                    Ok(self.grant("2"))
                }
            }
        })
    }

    fn revoke<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()> {
        Box::pin(async move {
            self.look_at(grant);
            self.revocations.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }

    fn identity<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Person> {
        Box::pin(async move {
            self.look_at(grant);
            self.identities.fetch_add(1, Ordering::SeqCst);
            match self.mood() {
                Mood::Well => Ok(self.person()),
                Mood::Down => Err(down()),
                Mood::TokensRefused | Mood::Revoked => Err(ProviderError::InvalidGrant),
            }
        })
    }

    fn metadata(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(async { Ok(Arc::new(Metadata::default())) })
    }

    fn introspect<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        self.shown.lock().unwrap().push(token.expose().clone());
        Box::pin(async { Ok(Introspected::Unsupported) })
    }

    fn userinfo<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        self.shown.lock().unwrap().push(token.expose().clone());
        Box::pin(async {
            self.identities.fetch_add(1, Ordering::SeqCst);
            match self.mood() {
                Mood::Well => Ok(self.person()),
                Mood::Down => Err(down()),
                Mood::TokensRefused | Mood::Revoked => Err(ProviderError::InvalidGrant),
            }
        })
    }
}
