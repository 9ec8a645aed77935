//! From claims to attributes.

use std::sync::{Arc, OnceLock};

use mxcp_policy::datum::{Datum, List, Symbols};
use mxcp_schemas::bundle::code::USER_ATTRIBUTES;

use super::questions::Memory;
use super::{Identity, Principal, Vocabulary, builtin_slot};
use crate::arguments::read_strictly;
use crate::auth::claims::find;
use crate::auth::provider::Person;
use crate::json::{self, Json, Member};

/// The principal that a user context describes.
pub(super) fn from_context(vocabulary: Vocabulary<'_>, members: Vec<Member<'_>>) -> Principal {
    let mut slots = Slots::new(vocabulary);
    slots.set("role", &Json::String("user".into()));
    let mut claims: Vec<Member<'_>> = Vec::new();
    let mut given_claims = None;
    for (name, value) in members {
        if name == "claims" {
            given_claims = Some(value);
        } else if !slots.set(&name, &value) {
            claims.push((name, value));
        }
    }
    match given_claims {
        None | Some(Json::Null) => {}
        Some(Json::Object(members)) => {
            for (name, value) in members {
                if json::get(&claims, &name).is_none() {
                    claims.push((name, value));
                }
            }
        }
        Some(other) => {
            slots.fail_claims(&format!("`claims` is {}, not an object", other.kind()));
            return slots.finish();
        }
    }
    slots.claims(claims);
    slots.finish()
}

/// The principal that an identity provider describes: its claims are raw, so only those that are
/// attributes by definition become attributes.
pub(super) fn from_person(
    vocabulary: Vocabulary<'_>,
    person: &Person,
    capabilities: &[String],
) -> Principal {
    let mut slots = Slots::new(vocabulary);
    let text = |text: &str| Json::String(text.to_owned().into());
    slots.set("role", &text("user"));
    slots.set("user_id", &text(&person.user_id));
    slots.set("provider", &text(&person.provider));
    let claims = person.claims.members();
    let there = |name: &&str| !matches!(json::get(&claims, name), None | Some(Json::Null));
    let username = person.naming.username.iter().find(|name| there(name)).copied();
    for (attribute, claim) in [
        ("username", username),
        ("email", Some(person.naming.email)),
        ("name", Some(person.naming.name)),
        ("role", Some("role")),
        ("permissions", Some("permissions")),
        ("groups", Some("groups")),
    ] {
        if let Some(value) = claim.and_then(|claim| json::get(&claims, claim)) {
            slots.set(attribute, value);
        }
    }
    let capabilities = capabilities.iter().map(|capability| text(capability)).collect();
    slots.set("capabilities", &Json::Array(capabilities));
    slots.claims(claims);
    slots.finish()
}

/// Attributes on their way into slots.
pub(super) struct Slots<'b> {
    vocabulary: Vocabulary<'b>,
    values: Vec<Datum>,
    /// which declared attributes were set by name
    set: Vec<bool>,
}

impl<'b> Slots<'b> {
    pub(super) fn new(vocabulary: Vocabulary<'b>) -> Self {
        let count = USER_ATTRIBUTES.len() + vocabulary.attributes.len();
        let mut slots =
            Self { vocabulary, values: vec![Datum::Null; count], set: vec![false; count] };
        for list in ["permissions", "capabilities", "groups"] {
            slots.put(builtin_slot(list), Datum::List(List::indexed(Box::default())));
        }
        slots.put(builtin_slot("claims"), Datum::Map(Box::default()));
        slots
    }

    fn put(&mut self, slot: Option<usize>, value: Datum) {
        if let Some(cell) = slot.and_then(|slot| self.values.get_mut(slot)) {
            *cell = value;
        }
    }

    /// Makes the claims, and whatever would have been read from them, values whose use is an error.
    fn fail_claims(&mut self, problem: &str) {
        self.put(builtin_slot("claims"), Datum::Error(problem.into()));
        for (value, set) in self.values.iter_mut().zip(&self.set).skip(USER_ATTRIBUTES.len()) {
            if !set {
                *value = Datum::Error(problem.into());
            }
        }
    }

    /// Sets an attribute by its name; false if `user` has no such attribute.
    pub(super) fn set(&mut self, name: &str, value: &Json<'_>) -> bool {
        let symbols = self.vocabulary.symbols;
        if let Some(slot) = builtin_slot(name) {
            let null = matches!(value, Json::Null);
            let value = match name {
                // Null is the absence of the claim, which leaves the default in place.
                "role" | "permissions" | "capabilities" | "groups" if null => return true,
                "role" => required_string(symbols, name, value),
                "permissions" => strings(symbols, name, value, true),
                "capabilities" | "groups" => strings(symbols, name, value, false),
                "claims" => dynamic(symbols, value),
                _ if null => Datum::Null,
                _ => required_string(symbols, name, value),
            };
            self.put(Some(slot), value);
            return true;
        }
        let attributes = self.vocabulary.attributes;
        let Some(index) = attributes.iter().position(|attribute| attribute.name == name) else {
            return false;
        };
        self.declared(index, value);
        true
    }

    /// Sets a declared attribute, typed as it is declared.
    fn declared(&mut self, index: usize, value: &Json<'_>) {
        let Some(attribute) = self.vocabulary.attributes.get(index) else { return };
        let slot = USER_ATTRIBUTES.len() + index;
        let datum = match value {
            Json::Null => Datum::Null,
            value => {
                let read =
                    read_strictly(self.vocabulary.checks, attribute.ty, &attribute.name, value);
                match read {
                    Ok(argument) => argument.datum(self.vocabulary.symbols),
                    Err(problems) => Datum::Error(problems.to_string().into()),
                }
            }
        };
        self.put(Some(slot), datum);
        if let Some(set) = self.set.get_mut(slot) {
            *set = true;
        }
    }

    /// Takes the raw claims: they become `claims`, declared attributes are read from them, and an
    /// e-mail address that the provider calls unverified is no address.
    pub(super) fn claims(&mut self, claims: Vec<Member<'_>>) {
        if is_unverified(&claims) {
            self.put(builtin_slot("email"), Datum::Null);
        }
        let claims = Json::Object(claims);
        for (index, attribute) in self.vocabulary.attributes.iter().enumerate() {
            let by_name = self.set.get(USER_ATTRIBUTES.len() + index) == Some(&true);
            if let Some(value) = find(&claims, &attribute.claim).filter(|_| !by_name) {
                self.declared(index, value);
            }
        }
        self.put(builtin_slot("claims"), dynamic(self.vocabulary.symbols, &claims));
    }

    pub(super) fn finish(self) -> Principal {
        let text = |name: &str| match builtin_slot(name).and_then(|slot| self.values.get(slot)) {
            Some(Datum::String(text)) => Some(text.text.clone()),
            _ => None,
        };
        let identity = Identity {
            user_id: text("user_id"),
            username: text("username"),
            email: text("email"),
            provider: text("provider"),
        };
        let questions = self.vocabulary.memory;
        questions.name(self.vocabulary.attributes);
        let mut attributes = self.values;
        // What no condition reads need not be kept for as long as a token is.
        attributes.truncate(questions.slots_read());
        for (slot, value) in attributes.iter_mut().enumerate() {
            *value = questions.keep(slot, std::mem::replace(value, Datum::Null));
        }
        Principal {
            identity,
            is_anonymous: false,
            attributes: attributes.into(),
            questions: Arc::clone(questions),
            symbols_map: OnceLock::new(),
            memory: Memory::default(),
            account: None,
            meter: Arc::default(),
        }
    }
}

/// Whether the provider says that the e-mail address is not known to be the person's.
pub(super) fn is_unverified(claims: &[Member<'_>]) -> bool {
    match json::get(claims, "email_verified") {
        Some(Json::Bool(verified)) => !verified,
        Some(Json::String(text)) => text != "true",
        None | Some(Json::Null) => false,
        Some(_) => true,
    }
}

fn wrong(name: &str, value: &Json<'_>, expected: &str) -> Datum {
    Datum::Error(format!("`{name}` is {}, not {expected}", value.kind()).into())
}

fn required_string(symbols: &Symbols, name: &str, value: &Json<'_>) -> Datum {
    match value {
        Json::String(text) => Datum::String(symbols.text(&**text)),
        other => wrong(name, other, "a string"),
    }
}

/// A list of strings; one string is split at spaces where that is the custom.
fn strings(symbols: &Symbols, name: &str, value: &Json<'_>, split: bool) -> Datum {
    let items: Option<Box<[Datum]>> = match value {
        Json::Array(items) => {
            items.iter().map(|item| Some(Datum::String(symbols.text(item.as_str()?)))).collect()
        }
        Json::String(text) if split => Some(
            text.split_ascii_whitespace().map(|word| Datum::String(symbols.text(word))).collect(),
        ),
        _ => None,
    };
    let list = |items| Datum::List(List::indexed(items));
    items.map_or_else(|| wrong(name, value, "a list of strings"), list)
}

/// A value of which nothing is declared.
pub(super) fn dynamic(symbols: &Symbols, value: &Json<'_>) -> Datum {
    match value {
        Json::Null => Datum::Null,
        Json::Bool(value) => Datum::Bool(*value),
        Json::String(text) => Datum::String(symbols.text(&**text)),
        Json::Number(text) => {
            let whole = text.parse().map(Datum::Int).or_else(|_| text.parse().map(Datum::Uint));
            whole.or_else(|_| text.parse().map(Datum::Double)).unwrap_or_else(|_| {
                Datum::Error("a claim is a number beyond the range of doubles".into())
            })
        }
        Json::Array(items) => {
            Datum::List(List::indexed(items.iter().map(|item| dynamic(symbols, item)).collect()))
        }
        Json::Object(members) => {
            let mut entries: Vec<_> = members
                .iter()
                .map(|(name, value)| (symbols.text(&**name), dynamic(symbols, value)))
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
            Datum::Map(entries.into_boxed_slice())
        }
    }
}
