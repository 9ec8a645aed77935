//! What providers of OpenID Connect have in common.

use std::fmt;
use std::sync::Arc;

use super::answer::{self, list, optional, words};
use super::leg::{Leg, Tokens, is_half_hash};
use super::{
    Audience, Callback, Deployment, Grant, Introspected, Login, Metadata, Naming, OPENID, Person,
    Provider, ProviderError, Reply,
};
use crate::auth::claims::Claims;
use crate::auth::constant::is_equal;
use crate::auth::jose::registered::{ClaimFault, Registered};
use crate::auth::jose::remote::{RemoteKeys, VerifyError};
use crate::auth::jose::{Compact, looks_like_jwt};
use crate::config::Concealed;
use crate::json::{Json, get};

/// A provider of OpenID Connect, its endpoints known.
#[derive(Debug)]
pub(super) struct OpenId {
    pub(super) name: String,
    pub(super) leg: Leg,
    keys: RemoteKeys,
    /// other names of the issuer
    pub(super) aliases: &'static [&'static str],
    /// whether access tokens may be read for claims
    pub(super) reads_access_token: bool,
}

impl OpenId {
    pub(super) fn new(name: String, leg: Leg, deployment: &Deployment) -> Self {
        let keys = RemoteKeys::new(deployment.fetcher.clone(), deployment.clock.clone());
        Self { name, leg, keys, aliases: &[], reads_access_token: true }
    }

    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        login: &Login,
        callback: &Callback,
    ) -> Result<Grant, ProviderError> {
        let tokens = self.leg.exchange(metadata, login, callback).await?;
        let token = tokens
            .id_token
            .as_ref()
            .ok_or_else(|| ProviderError::Answer("there is no ID token in it".into()))?;
        let claims = self.id_token(metadata, &tokens, token, Some(&login.nonce)).await?;
        Ok(Grant { id_claims: claims, ..tokens.grant })
    }

    pub(super) async fn refresh(
        &self,
        metadata: &Metadata,
        grant: &Grant,
    ) -> Result<Grant, ProviderError> {
        let tokens = self.leg.refresh(metadata, grant).await?;
        let Some(token) = &tokens.id_token else { return Ok(tokens.grant) };
        let claims = self.id_token(metadata, &tokens, token, None).await?;
        // OpenID Connect Core section 12.2: still the same person.
        if get(&claims.members(), "sub") != get(&grant.id_claims.members(), "sub") {
            return Err(ProviderError::IdToken("it is about another person".into()));
        }
        Ok(Grant { id_claims: claims, ..tokens.grant })
    }

    /// Checks an ID token (OpenID Connect Core section 3.1.3.7) and returns its claims.
    async fn id_token(
        &self,
        metadata: &Metadata,
        tokens: &Tokens,
        token: &Concealed<String>,
        nonce: Option<&str>,
    ) -> Result<Claims, ProviderError> {
        let bad = |problem: &dyn fmt::Display| ProviderError::IdToken(problem.to_string());
        let compact = Compact::parse(token.expose()).map_err(|error| bad(&error))?;
        let claims = self.signed(metadata, &compact).await?;
        let registered = Registered::read(&claims).map_err(|fault| bad(&fault))?;
        self.check_id_claims(metadata, &claims, &registered, nonce).map_err(|fault| bad(&fault))?;
        let members = claims.members();
        match get(&members, "at_hash") {
            None => {}
            Some(Json::String(hash)) => {
                let digest = compact.header.algorithm.digest();
                if !is_half_hash(digest, &tokens.grant.access_token, hash) {
                    return Err(bad(&"`at_hash` is of another access token"));
                }
            }
            Some(_) => return Err(bad(&ClaimFault::Type("at_hash"))),
        }
        drop(members);
        Ok(claims)
    }

    fn check_id_claims(
        &self,
        metadata: &Metadata,
        claims: &Claims,
        registered: &Registered,
        nonce: Option<&str>,
    ) -> Result<(), ClaimFault> {
        registered.check_issuer(&self.issuers(metadata))?;
        registered.check_times(self.leg.deployment.clock.now_s())?;
        if registered.subject.is_none() {
            return Err(ClaimFault::Missing("sub"));
        }
        let us = self.leg.client_id();
        if !registered.audience.iter().any(|audience| audience == us) {
            return Err(ClaimFault::Audience);
        }
        let members = claims.members();
        match get(&members, "azp") {
            None if registered.audience.len() > 1 => return Err(ClaimFault::Missing("azp")),
            None => {}
            Some(Json::String(party)) if party == us => {}
            Some(Json::String(_)) => return Err(ClaimFault::Audience),
            Some(_) => return Err(ClaimFault::Type("azp")),
        }
        match (nonce, get(&members, "nonce")) {
            (None, _) => Ok(()),
            (Some(nonce), Some(Json::String(given))) if is_equal(nonce, given) => Ok(()),
            (Some(_), None) => Err(ClaimFault::Missing("nonce")),
            (Some(_), _) => Err(ClaimFault::Kind("of another login: `nonce` differs")),
        }
    }

    /// The claims of a token that the provider signed.
    async fn signed(
        &self,
        metadata: &Metadata,
        token: &Compact<'_>,
    ) -> Result<Claims, ProviderError> {
        let Some(url) = &metadata.jwks_uri else {
            return Err(ProviderError::IdToken("the provider publishes no keys".into()));
        };
        self.keys.verify(url, token).await.map_err(|error| match error {
            VerifyError::Token(error) => ProviderError::IdToken(error.to_string()),
            VerifyError::Keys(error) => error.into_provider_error(),
        })
    }

    fn issuers<'m>(&self, metadata: &'m Metadata) -> Vec<&'m str> {
        metadata.issuer.as_deref().into_iter().chain(self.aliases.iter().copied()).collect()
    }

    /// Who the owner of a grant is: claims of the access token, under those of the ID token, under
    /// those of userinfo.
    pub(super) async fn identity(
        &self,
        metadata: &Metadata,
        grant: &Grant,
    ) -> Result<Person, ProviderError> {
        let id_members = grant.id_claims.members();
        let subject = match get(&id_members, "sub") {
            Some(Json::String(subject)) => subject.to_string(),
            _ => return Err(ProviderError::Answer("the grant has no ID token".into())),
        };
        drop(id_members);
        let access = self.access_token_claims(metadata, grant, &subject).await?;
        let known = grant.id_claims.with(&access);
        let claims = match self.ask_userinfo(metadata, &grant.access_token).await? {
            Some(userinfo) => {
                check_subject(&userinfo, &subject)?;
                userinfo.with(&known)
            }
            None => known,
        };
        Ok(self.person(subject, claims))
    }

    /// The claims of an access token that is a signed one of this provider; none of any other, since
    /// the form of access tokens is the provider's own affair.
    async fn access_token_claims(
        &self,
        metadata: &Metadata,
        grant: &Grant,
        subject: &str,
    ) -> Result<Claims, ProviderError> {
        let token = grant.access_token.expose();
        if !self.reads_access_token || metadata.jwks_uri.is_none() || !looks_like_jwt(token) {
            return Ok(Claims::default());
        }
        let Ok(compact) = Compact::parse(token) else { return Ok(Claims::default()) };
        let claims = match self.signed(metadata, &compact).await {
            Ok(claims) => claims,
            Err(ProviderError::IdToken(problem)) => {
                tracing::debug!(problem, "the access token is not read for claims");
                return Ok(Claims::default());
            }
            Err(error) => return Err(error),
        };
        let registered = Registered::read(&claims)
            .map_err(|fault| ProviderError::Answer(format!("of the access token, {fault}")))?;
        let same = registered.subject.as_deref().is_none_or(|of| of == subject);
        if !same || registered.check_issuer(&self.issuers(metadata)).is_err() {
            return Err(ProviderError::Answer("the access token is about somebody else".into()));
        }
        Ok(claims)
    }

    async fn ask_userinfo(
        &self,
        metadata: &Metadata,
        token: &Concealed<String>,
    ) -> Result<Option<Claims>, ProviderError> {
        let Some(url) = &metadata.userinfo_endpoint else { return Ok(None) };
        let document = self.leg.deployment.fetcher.get(url, Some(token.expose())).await;
        let document = document.map_err(gone)?;
        Ok(Some(Claims::from_members(answer::members(&document)?)))
    }

    pub(super) async fn userinfo(
        &self,
        metadata: &Metadata,
        token: &Concealed<String>,
    ) -> Result<Person, ProviderError> {
        let claims = self.ask_userinfo(metadata, token).await?;
        let claims =
            claims.ok_or_else(|| ProviderError::Answer("there is no userinfo endpoint".into()))?;
        let subject = Registered::read(&claims)
            .ok()
            .and_then(|registered| registered.subject)
            .ok_or_else(|| ProviderError::Answer("userinfo has no `sub`".into()))?;
        Ok(self.person(subject, claims))
    }

    /// RFC 7662, with what is said there about tokens of other kinds taken seriously: refresh tokens
    /// and ID tokens introspect as active too.
    pub(super) async fn introspect(
        &self,
        metadata: &Metadata,
        token: &Concealed<String>,
    ) -> Result<Introspected, ProviderError> {
        let Some(document) = self.leg.introspect(metadata, token).await? else {
            return Ok(Introspected::Unsupported);
        };
        let members = answer::members(&document)?;
        let json = Json::Object(members);
        match answer::flag(&json, "active")? {
            Some(true) => {}
            Some(false) => return Ok(Introspected::Inactive),
            None => return Err(ProviderError::Answer("`active` is missing".into())),
        }
        let kind = optional(&json, "token_type")?.map(str::to_ascii_lowercase);
        let audience = list(&json, "aud")?;
        match (kind.as_deref(), optional(&json, "typ")?) {
            (_, Some("ID" | "Refresh" | "Offline" | "Logout")) => {
                return Err(ProviderError::Answer("the token is no access token".into()));
            }
            (Some("bearer"), _) => {}
            (Some(_), _) => {
                return Err(ProviderError::Answer("the token is no bearer token".into()));
            }
            (None, _) if audience.is_empty() => {
                return Err(ProviderError::Answer(
                    "it names neither the type nor the audience of the token".into(),
                ));
            }
            (None, _) => {}
        }
        let scopes = words(optional(&json, "scope")?.unwrap_or_default());
        let client = optional(&json, "client_id")?.map(str::to_owned);
        let Json::Object(members) = json else { return Ok(Introspected::Unsupported) };
        let claims = Claims::from_members(members);
        let registered =
            Registered::read(&claims).map_err(|fault| ProviderError::Answer(fault.to_string()))?;
        if registered.issuer.is_some() && registered.check_issuer(&self.issuers(metadata)).is_err()
        {
            return Err(ProviderError::Answer("the token is of another issuer".into()));
        }
        let audience =
            if audience.is_empty() { Audience::Unnamed } else { Audience::Named(audience) };
        let expires_at = registered.expires_at;
        Ok(Introspected::Active { claims, audience, client, scopes, expires_at })
    }

    pub(super) fn person(&self, user_id: String, claims: Claims) -> Person {
        Person { provider: self.name.clone(), user_id, claims, naming: OPENID }
    }
}

/// A provider that differs from others of OpenID Connect only in where things are.
pub(super) trait Standard: fmt::Debug + Send + Sync {
    /// What it has in common with the others.
    fn openid(&self) -> &OpenId;

    /// Where its endpoints are.
    fn endpoints(&self) -> Reply<'_, Arc<Metadata>>;

    /// What an access token is worth.
    fn ask_about<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        Box::pin(async move { self.openid().introspect(&*self.endpoints().await?, token).await })
    }
}

impl<P: Standard> Provider for P {
    fn name(&self) -> &str {
        &self.openid().name
    }

    fn naming(&self) -> Naming {
        OPENID
    }

    fn authorization_url<'a>(&'a self, login: &'a Login) -> Reply<'a, String> {
        Box::pin(async move {
            self.openid().leg.authorization_url(&*self.endpoints().await?, login, true)
        })
    }

    fn exchange<'a>(&'a self, login: &'a Login, callback: &'a Callback) -> Reply<'a, Grant> {
        Box::pin(
            async move { self.openid().exchange(&*self.endpoints().await?, login, callback).await },
        )
    }

    fn refresh<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Grant> {
        Box::pin(async move { self.openid().refresh(&*self.endpoints().await?, grant).await })
    }

    fn revoke<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()> {
        Box::pin(async move { self.openid().leg.revoke(&*self.endpoints().await?, grant).await })
    }

    fn identity<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Person> {
        Box::pin(async move { self.openid().identity(&*self.endpoints().await?, grant).await })
    }

    fn metadata(&self) -> Reply<'_, Arc<Metadata>> {
        self.endpoints()
    }

    fn introspect<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        self.ask_about(token)
    }

    fn userinfo<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        Box::pin(async move { self.openid().userinfo(&*self.endpoints().await?, token).await })
    }
}

/// Checks that userinfo is about the person that the ID token is about (OpenID Connect Core section
/// 5.3.2): a token that was swapped on the way would bring another's claims.
fn check_subject(userinfo: &Claims, subject: &str) -> Result<(), ProviderError> {
    match get(&userinfo.members(), "sub") {
        Some(Json::String(of)) if of == subject => Ok(()),
        _ => Err(ProviderError::Answer("userinfo is about somebody else".into())),
    }
}

/// A 401 at a place that is asked with an access token means that the token is over.
pub(super) fn gone(error: crate::auth::fetch::FetchError) -> ProviderError {
    if error.is_unauthorized() { ProviderError::InvalidGrant } else { error.into() }
}
