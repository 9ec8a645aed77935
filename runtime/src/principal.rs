//! Who calls: what conditions see as `user`, flattened once into slots.
//!
//! A claim that is present with the wrong type becomes an error value, never a default: a `role`
//! that is a list must not turn into the role of ordinary users.

mod claims;
mod questions;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::atomic::AtomicU8;
use std::sync::{Arc, OnceLock};

use mxcp_policy::datum::{Datum, Symbols};
use mxcp_schemas::bundle::code::USER_ATTRIBUTES;
use mxcp_schemas::bundle::manifest::UserAttribute;

use crate::auth::provider::Person;
use crate::check::Checks;
use crate::gate::Meter;
use crate::json::{Json, get};

use questions::Memory;
pub use questions::{Questions, Remembered};

/// What a bundle says about callers.
#[derive(Debug, Clone, Copy)]
pub struct Vocabulary<'b> {
    /// the strings that conditions mention
    pub symbols: &'b Symbols,
    /// the declared attributes of `user`, in slot order
    pub attributes: &'b [UserAttribute],
    /// declared types
    pub checks: &'b Checks,
    /// what conditions ask of callers, and where it is remembered what they came to
    pub memory: &'b Arc<Questions>,
}

/// A caller whose identity is settled.
#[derive(Debug)]
pub struct Principal {
    identity: Identity,
    is_anonymous: bool,
    attributes: Box<[Datum]>,
    questions: Arc<Questions>,
    symbols_map: OnceLock<Box<Datum>>,
    memory: Memory,
    account: Option<Box<Account>>,
    /// counts the calls of this caller
    pub meter: Arc<Meter>,
}

/// An account, and the client that uses it: what a session is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// who vouches for it; shared, for it is the same for many
    pub issuer: Arc<str>,
    /// its id there
    pub subject: Box<str>,
    /// the client that acts in its name
    pub client: Option<Box<str>>,
}

/// Who somebody is, for the audit trail and for SQL. Null where nothing usable is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// stable id at the provider
    pub user_id: Option<Box<str>>,
    /// login name
    pub username: Option<Box<str>>,
    /// verified e-mail address
    pub email: Option<Box<str>>,
    /// who vouches for all this
    pub provider: Option<Box<str>>,
}

/// A user context that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// It is not JSON.
    #[error("the user context is not acceptable JSON")]
    Json(#[from] crate::json::JsonError),
    /// It is not an object.
    #[error("the user context must be a JSON object, not {0}")]
    NotAnObject(&'static str),
}

impl Principal {
    /// Somebody of whom nothing is known.
    pub fn anonymous(vocabulary: Vocabulary<'_>) -> Self {
        let mut slots = claims::Slots::new(vocabulary);
        slots.set("role", &Json::String("anonymous".into()));
        Self { is_anonymous: true, ..slots.finish() }
    }

    /// Somebody described by a JSON object: keys that are attributes of `user` become those, all
    /// others its claims.
    ///
    /// # Errors
    /// When the text is not a JSON object. A value of the wrong type is no error here: it becomes
    /// an attribute whose use in a condition is one.
    pub fn from_context(vocabulary: Vocabulary<'_>, text: &str) -> Result<Self, ContextError> {
        match crate::json::parse(text.as_bytes())? {
            Json::Object(members) => Ok(claims::from_context(vocabulary, members)),
            other => Err(ContextError::NotAnObject(other.kind())),
        }
    }

    /// Somebody whom an identity provider knows, with the capabilities that the configuration gives
    /// for their claims.
    pub fn authenticated(
        vocabulary: Vocabulary<'_>,
        person: &Person,
        capabilities: &[String],
    ) -> Self {
        claims::from_person(vocabulary, person, capabilities)
    }

    /// The same caller with the account that sessions are bound to, and what counts its calls.
    #[must_use]
    pub fn with_account(self, account: Account, meter: Arc<Meter>) -> Self {
        Self { account: Some(Box::new(account)), meter, ..self }
    }

    /// Who a person is, for records.
    pub fn identity_of(person: &Person) -> Identity {
        let raw = person.claims.members();
        let text = |name: &str| get(&raw, name).and_then(Json::as_str).map(Into::into);
        Identity {
            user_id: Some(person.user_id.as_str().into()),
            username: person.naming.username.iter().find_map(|name| text(name)),
            email: text(person.naming.email).filter(|_| !claims::is_unverified(&raw)),
            provider: Some(person.provider.as_str().into()),
        }
    }

    /// Whether two are the same caller: one value, or one account of one provider that acts through
    /// one client. Two who have no account are the same only if both are anonymous.
    pub fn is_same(a: &Arc<Self>, b: &Arc<Self>) -> bool {
        if a.account.is_some() || b.account.is_some() {
            return a.account == b.account;
        }
        Arc::ptr_eq(a, b)
            || (a.identity.user_id == b.identity.user_id
                && a.identity.provider == b.identity.provider
                && (a.identity.user_id.is_some() || (a.is_anonymous && b.is_anonymous)))
    }

    /// The account, for callers who were authenticated.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_deref()
    }

    /// Who this is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The attributes in slot order, the built-in ones, then the declared ones, up to the last that
    /// conditions read. Of each there is what they read of it; where none does, there is null.
    pub const fn attributes(&self) -> &[Datum] {
        &self.attributes
    }

    /// The name of the attribute in a slot.
    pub fn attribute_name(&self, slot: usize) -> Option<&str> {
        self.questions.names().get(slot).map(|name| &**name)
    }

    /// All attributes as one map, for conditions that use `user` as a value.
    fn as_map(&self, symbols: &Symbols) -> &Datum {
        self.symbols_map.get_or_init(|| {
            let mut entries: Vec<_> = self
                .questions
                .names()
                .iter()
                .zip(&self.attributes)
                .map(|(name, value)| (symbols.text(name.clone()), value.clone()))
                .collect();
            if let Some(id) = self.attributes.first() {
                entries.push((symbols.text("id"), id.clone()));
            }
            entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            Box::new(Datum::Map(entries.into_boxed_slice()))
        })
    }

    /// The caller as a condition reads it as a whole; null for a condition that does not.
    pub fn map_for(&self, condition: usize, symbols: &Symbols) -> &Datum {
        if self.questions.reads_all(condition) { self.as_map(symbols) } else { &Datum::Null }
    }

    /// What is remembered of the parts of a condition that depend on the caller alone.
    pub fn memory(&self, condition: usize) -> &[AtomicU8] {
        self.memory.parts(&self.questions, condition)
    }

    /// What a condition that depends on the caller alone comes to: evaluated on first use, then
    /// remembered as long as this principal lives.
    pub fn remember(&self, condition: usize, evaluate: impl FnOnce() -> Remembered) -> Remembered {
        self.memory.remember(&self.questions, condition, evaluate)
    }
}

/// The slot of a built-in attribute.
fn builtin_slot(name: &str) -> Option<usize> {
    let name = if name == "id" { "user_id" } else { name };
    USER_ATTRIBUTES.iter().position(|attribute| *attribute == name)
}
