//! Providers that speak OAuth 2.0 alone: their endpoints are settings, and an API says who somebody
//! is.

use std::fmt;
use std::sync::Arc;

use super::leg::Leg;
use super::{Callback, Grant, Introspected, Login, Metadata, Naming, Person, Provider, Reply};
use crate::config::Concealed;

/// Such a provider.
pub(super) trait Plain: fmt::Debug + Send + Sync {
    /// Its name.
    const NAME: &'static str;
    /// Which claims are the name, the login name and the e-mail address of a person.
    const NAMING: Naming;

    /// Our side of the leg between us and it.
    fn leg(&self) -> &Leg;

    /// Where its endpoints are.
    fn endpoints(&self) -> &Arc<Metadata>;

    /// Whose an access token is.
    fn person<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person>;

    /// What an access token is worth. Most have no way to tell.
    fn worth<'a>(&'a self, _: &'a Concealed<String>) -> Reply<'a, Introspected> {
        Box::pin(async { Ok(Introspected::Unsupported) })
    }

    /// Gives a grant back. Some have no way to do so.
    fn give_back<'a>(&'a self, _: &'a Grant) -> Reply<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Such a provider as one among all.
#[derive(Debug)]
pub(super) struct OverOAuth<P>(pub(super) P);

impl<P: Plain> Provider for OverOAuth<P> {
    fn name(&self) -> &str {
        P::NAME
    }

    fn naming(&self) -> Naming {
        P::NAMING
    }

    fn authorization_url<'a>(&'a self, login: &'a Login) -> Reply<'a, String> {
        Box::pin(async move { self.0.leg().authorization_url(self.0.endpoints(), login, false) })
    }

    fn exchange<'a>(&'a self, login: &'a Login, callback: &'a Callback) -> Reply<'a, Grant> {
        Box::pin(async move {
            Ok(self.0.leg().exchange(self.0.endpoints(), login, callback).await?.grant)
        })
    }

    fn refresh<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Grant> {
        Box::pin(async move { Ok(self.0.leg().refresh(self.0.endpoints(), grant).await?.grant) })
    }

    fn revoke<'a>(&'a self, grant: &'a Grant) -> Reply<'a, ()> {
        self.0.give_back(grant)
    }

    fn identity<'a>(&'a self, grant: &'a Grant) -> Reply<'a, Person> {
        self.0.person(&grant.access_token)
    }

    fn metadata(&self) -> Reply<'_, Arc<Metadata>> {
        Box::pin(async move { Ok(Arc::clone(self.0.endpoints())) })
    }

    fn introspect<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Introspected> {
        self.0.worth(token)
    }

    fn userinfo<'a>(&'a self, token: &'a Concealed<String>) -> Reply<'a, Person> {
        self.0.person(token)
    }
}
