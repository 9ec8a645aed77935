//! Identity providers: who somebody is, asked over OAuth 2.0 or OpenID Connect.
//!
//! A provider is one file below and one line in [`PROVIDERS`]. The two legs of OAuth never mix: what
//! is here is our side as a client of the provider, with our own PKCE, state and nonce.

mod answer;
mod atlassian;
mod github;
mod google;
mod keycloak;
mod leg;
mod metadata;
mod oidc;
mod openid;
mod plain;
mod salesforce;
mod settings;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use oauth2::{CsrfToken, PkceCodeChallenge};
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::fetch::FetchError;
use crate::config::Concealed;

pub use metadata::Metadata;
pub use settings::{Deployment, Key, SettingError, Settings, Unset};

/// Every provider, sorted by name.
pub const PROVIDERS: &[Kind] =
    &[atlassian::KIND, github::KIND, google::KIND, keycloak::KIND, oidc::KIND, salesforce::KIND];

/// A kind of provider, as configuration names it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// its name in `auth.provider`, and of the section with its settings
    pub name: &'static str,
    /// the settings that it has beside those of all providers
    pub keys: &'static [Key],
    /// makes one from its settings
    pub build: Build,
}

/// Makes a provider from its settings.
pub type Build = fn(&Settings, &Deployment) -> Result<Arc<dyn Provider>, SettingError>;

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    PROVIDERS.iter().find(|kind| kind.name == name)
}

/// What a provider comes back with, later.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// An identity provider.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its name: `user.provider` in conditions, and in the audit trail.
    fn name(&self) -> &str;

    /// Which claims are the name, the login name and the e-mail address of a person.
    fn naming(&self) -> Naming;

    /// The address to which a browser is sent to log in.
    fn authorization_url<'a>(&'a self, login: &'a Login) -> Reply<'a, String>;

    /// Exchanges the code that a callback brought. The issuer in the callback and the nonce in the
    /// ID token are checked, where the provider has them.
    fn exchange<'a>(&'a self, login: &'a Login, callback: &'a Callback) -> Reply<'a, Grant>;

    /// Gets a new grant for one that expires. [`ProviderError::InvalidGrant`] says that there will
    /// never be one: the session is over.
    fn refresh<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Grant>;

    /// Gives a grant back. A provider that has no way to do so does nothing.
    fn revoke<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()>;

    /// Who the owner of a grant is, as the provider says now.
    /// [`ProviderError::InvalidGrant`] says that the grant is no longer good.
    fn identity<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Person>;

    /// Where its endpoints are, and what it says about itself.
    fn metadata(&self) -> Reply<'_, Arc<Metadata>>;

    /// What an access token that cannot be checked here is worth: RFC 7662, or what the provider has
    /// instead.
    fn introspect<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected>;

    /// The claims about the owner of an access token, which prove nothing about for whom it was
    /// issued.
    fn userinfo<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person>;
}

/// Which claims of a provider are which attributes of `user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// the login name: the first of these that is there
    pub username: &'static [&'static str],
    /// the e-mail address
    pub email: &'static str,
    /// the name for people
    pub name: &'static str,
}

/// The claims of OpenID Connect.
pub const OPENID: Naming =
    Naming { username: &["preferred_username", "username"], email: "email", name: "name" };

/// A login at a provider that is under way: what must be remembered until its callback.
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// where the provider sends the browser back to
    pub redirect_uri: String,
    /// comes back with the callback; tied to the browser by whoever keeps this
    pub state: String,
    /// comes back within the ID token
    pub nonce: String,
    /// our PKCE verifier (RFC 7636), which only the code exchange shows
    pub code_verifier: String,
}

impl Login {
    /// A new login: state, nonce and verifier from the system's random numbers, 256 bits each.
    pub fn new(redirect_uri: String) -> Self {
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        Self {
            redirect_uri,
            state: CsrfToken::new_random_len(32).into_secret(),
            nonce: CsrfToken::new_random_len(32).into_secret(),
            code_verifier: verifier.into_secret(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// What a provider's callback brought, its `state` checked already.
#[derive(Debug, Clone)]
pub struct Callback {
    /// the authorization code
    pub code: Concealed<String>,
    /// the issuer that says it answers (RFC 9207)
    pub iss: Option<String>,
}

/// What a provider granted us. Kept encrypted, as [`Grant::to_text`] writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// for calls to the provider; never shown to a client of ours
    pub access_token: Concealed<String>,
    /// for [`Provider::refresh`]; some providers give none
    pub refresh_token: Option<Concealed<String>>,
    /// seconds since 1970 at which the access token expires; some say nothing
    pub expires_at: Option<i64>,
    /// what was granted
    pub scopes: Vec<String>,
    /// the claims of the ID token, checked; empty where there is none
    pub id_claims: Claims,
    /// where the provider says that this person's identity is to be asked (Salesforce)
    pub identity_url: Option<String>,
}

/// A grant as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    access_token: String,
    refresh_token: Option<String>,
    expires_at: Option<i64>,
    scopes: Vec<String>,
    id_claims: String,
    identity_url: Option<String>,
}

impl Grant {
    /// The grant as text, to be encrypted before it is stored.
    pub fn to_text(&self) -> Concealed<String> {
        let written = Written {
            access_token: self.access_token.expose().clone(),
            refresh_token: self.refresh_token.as_ref().map(|token| token.expose().clone()),
            expires_at: self.expires_at,
            scopes: self.scopes.clone(),
            id_claims: self.id_claims.text().to_owned(),
            identity_url: self.identity_url.clone(),
        };
        Concealed::new(serde_json::to_string(&written).unwrap_or_default())
    }

    /// The grant that a text holds; `None` when it holds none.
    pub fn from_text(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        Some(Self {
            access_token: Concealed::new(written.access_token),
            refresh_token: written.refresh_token.map(Concealed::new),
            expires_at: written.expires_at,
            scopes: written.scopes,
            id_claims: Claims::parse(&written.id_claims).ok()?,
            identity_url: written.identity_url,
        })
    }
}

/// A person, as a provider knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// who vouches for it
    pub provider: String,
    /// stable at that provider, never reassigned
    pub user_id: String,
    /// all that the provider says, raw
    pub claims: Claims,
    /// which of the claims are which attributes
    pub naming: Naming,
}

/// What a provider says of an access token that only it can read.
#[derive(Debug, Clone)]
pub enum Introspected {
    /// It is not (or no longer) a token.
    Inactive,
    /// It is one.
    Active {
        /// who its owner is, as far as the answer says
        claims: Claims,
        /// whom it is for
        audience: Audience,
        /// to whom it was issued
        client: Option<String>,
        /// what it allows
        scopes: Vec<String>,
        /// seconds since 1970 at which it expires
        expires_at: Option<i64>,
    },
    /// The provider has no way to tell.
    Unsupported,
}

/// Whom a token is for, as far as its provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// It was issued to us, under our name at the provider.
    Us,
    /// These; whether we are among them is to be checked.
    Named(Vec<String>),
    /// The provider does not say.
    Unnamed,
}

/// Why a provider did not do what it was asked. Holds no token and no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The grant, code or refresh token is no good and never will be: log in again.
    #[error("the provider says that the grant is no longer valid")]
    InvalidGrant,
    /// The provider refuses, with a code of its own.
    #[error("the provider refuses: `{code}`")]
    Refused {
        /// the error code, of letters that RFC 6749 allows, not long
        code: String,
    },
    /// It cannot be reached or does not answer as HTTP and JSON say.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Its answer lacks something or has it with a wrong type.
    #[error("the provider's answer cannot be used: {0}")]
    Answer(String),
    /// The callback is of another issuer than the one that was asked (RFC 9207).
    #[error("the answer comes from another issuer than the one that was asked")]
    MixedUp,
    /// The ID token is not acceptable.
    #[error("the ID token is not acceptable: {0}")]
    IdToken(String),
}

impl ProviderError {
    /// Whether trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_temporary(),
            _ => false,
        }
    }
}
