//! Redaction: what of a call's data may stand in the trail.
//!
//! A value is recorded only if its declaration says what it is. What is marked `sensitive`, and
//! what a key word gives away, is replaced; what is not declared, or is of another type than
//! declared, is recorded by its JSON type alone. The tree is walked while the record is written:
//! nothing is copied, and no redacted tree ever exists beside the readable one.

mod hmac;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use std::fmt;

use mxcp_schemas::audit::{Json as Written, JsonText};
use mxcp_schemas::bundle::definition::TypeId;

use crate::arguments::{Argument, Arguments, Parameter, Parameters};
use crate::check::{Checks, Node, Shape};
use crate::json::{Json, Member};

pub use hmac::{HMAC_KEY_MIN_BYTES, HmacKey, HmacKeyError};
pub use tree::{Kind, Tree};
pub use words::{BUILT_IN, Words};

/// What stands in place of a redacted value.
pub const REDACTED: &str = "[REDACTED]";

/// Levels of a declared type that are looked through; what is deeper counts as redacted.
const DEPTH_MAX: usize = 64;

/// How to redact; one for a trail.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    words: Words,
    hmac: Option<HmacKey>,
}

impl Redactor {
    /// Redacts by these key words; with a key, redacted texts and numbers stay comparable.
    pub const fn new(words: Words, hmac: Option<HmacKey>) -> Self {
        Self { words, hmac }
    }

    /// Arguments as the client gave them: for calls that are refused before they are understood.
    pub const fn given<'a>(
        &'a self,
        checks: &'a Checks,
        parameters: &'a Parameters,
        members: &'a [Member<'a>],
    ) -> Given<'a> {
        Given { walk: Walk { redactor: self, checks }, parameters, members }
    }

    /// Arguments as the server understood them, defaults included.
    pub const fn arguments<'a>(
        &'a self,
        checks: &'a Checks,
        parameters: &'a Parameters,
        arguments: &'a Arguments,
    ) -> Understood<'a> {
        Understood { walk: Walk { redactor: self, checks }, parameters, arguments }
    }

    /// Arguments as texts, of calls that are refused before these are understood.
    pub const fn texts<'a>(
        &'a self,
        checks: &'a Checks,
        parameters: &'a Parameters,
        texts: Vec<(&'a str, &'a str)>,
    ) -> Texts<'a> {
        Texts { walk: Walk { redactor: self, checks }, parameters, given: texts }
    }

    /// Writes an attribute of a caller: by its declared type, if it has one, else by its name.
    pub fn attribute<T: Tree>(
        &self,
        checks: &Checks,
        name: &str,
        declared: Option<TypeId>,
        value: &T,
        text: &mut JsonText<'_>,
    ) {
        match declared {
            Some(_) => Walk { redactor: self, checks }.named(text, name, declared, value),
            None if self.words.stand_in(name) => self.replace(text, value, false),
            None => self.free(text, value),
        }
    }

    /// Whether any part of such arguments is redacted.
    pub fn hides_any(&self, checks: &Checks, parameters: &Parameters) -> bool {
        parameters.list().iter().any(|parameter| {
            self.words.stand_in(&parameter.name) || self.hides(checks, parameter.ty, DEPTH_MAX)
        })
    }

    fn hides(&self, checks: &Checks, ty: TypeId, depth: usize) -> bool {
        let Some(node) = checks.node(ty).filter(|_| depth > 0) else { return true };
        node.sensitive
            || match &node.shape {
                Shape::String(_) | Shape::Number(_) | Shape::Boolean => false,
                Shape::Array(rules) => {
                    rules.items.is_some_and(|ty| self.hides(checks, ty, depth - 1))
                }
                Shape::Object(rules) => rules.properties.iter().any(|property| {
                    self.words.stand_in(&property.name)
                        || self.hides(checks, property.ty, depth - 1)
                }),
            }
    }

    /// A result, by the type that the endpoint's `return` declares.
    pub const fn result<'a, T: Tree>(
        &'a self,
        checks: &'a Checks,
        declared: Option<TypeId>,
        value: &'a T,
    ) -> Result<'a, T> {
        Result { walk: Walk { redactor: self, checks }, declared, value }
    }

    /// A value without declaration: key words alone redact.
    pub const fn undeclared<'a, T: Tree>(&'a self, value: &'a T) -> Undeclared<'a, T> {
        Undeclared { redactor: self, value }
    }

    /// Writes what stands in a redacted value's place.
    fn replace<T: Tree>(&self, text: &mut JsonText<'_>, value: &T, enumerated: bool) {
        let mac = self.hmac.as_ref().filter(|_| !enumerated).and_then(|key| match value.kind() {
            Kind::Text(s) => Some(key.text(s)),
            Kind::Number(n) => Some(key.number(n)),
            _ => None,
        });
        text.string(mac.as_deref().unwrap_or(REDACTED));
    }

    fn free<T: Tree>(&self, text: &mut JsonText<'_>, value: &T) {
        match value.kind() {
            Kind::Null => text.null(),
            Kind::Bool(b) => text.bool(b),
            Kind::Number(n) => text.number(n),
            Kind::Text(s) => text.string(s),
            Kind::List => text.array(value.items(), |text, item| self.free(text, item)),
            Kind::Object => text.object(value.members(), |text, name, value| {
                if self.words.stand_in(name) {
                    self.replace(text, value, false);
                } else {
                    self.free(text, value);
                }
            }),
        }
    }
}

/// Redaction along declarations.
#[derive(Debug, Clone, Copy)]
struct Walk<'a> {
    redactor: &'a Redactor,
    checks: &'a Checks,
}

impl Walk<'_> {
    /// Writes a named value: an argument or a field.
    fn named<T: Tree>(&self, text: &mut JsonText<'_>, name: &str, ty: Option<TypeId>, value: &T) {
        let node = ty.and_then(|ty| self.checks.node(ty));
        match node {
            None if self.redactor.words.stand_in(name) => text.string(REDACTED),
            None => text.string(value.kind().type_alone()),
            Some(node) if self.redactor.words.stand_in(name) => {
                self.redactor.replace(text, value, enumerated(node));
            }
            Some(node) => self.declared(text, node, value),
        }
    }

    fn declared<T: Tree>(&self, text: &mut JsonText<'_>, node: &Node, value: &T) {
        if node.sensitive {
            return self.redactor.replace(text, value, enumerated(node));
        }
        match (value.kind(), &node.shape) {
            (Kind::Null, _) => text.null(),
            (Kind::Bool(b), Shape::Boolean) => text.bool(b),
            (Kind::Number(n), Shape::Number(_)) => text.number(n),
            (Kind::Text(s), Shape::String(_)) => text.string(s),
            (Kind::List, Shape::Array(rules)) => {
                let items = rules.items.map(|ty| self.checks.node(ty));
                text.array(value.items(), |text, item| match items {
                    None => self.redactor.free(text, item),
                    Some(Some(node)) => self.declared(text, node, item),
                    Some(None) => text.string(item.kind().type_alone()),
                });
            }
            (Kind::Object, Shape::Object(rules)) if rules.properties.is_empty() && rules.open => {
                self.redactor.free(text, value);
            }
            (Kind::Object, Shape::Object(rules)) => {
                text.object(value.members(), |text, name, value| {
                    // Columns of SQL do not distinguish case, so a field's mark holds for all.
                    let property = rules.property(name).or_else(|| {
                        rules.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name))
                    });
                    self.named(text, name, property.map(|p| p.ty), value);
                });
            }
            // Another type than declared: whatever the declaration protects may hide in it.
            (kind, _) => text.string(kind.type_alone()),
        }
    }
}

/// Values of which there are few are never hashed: whoever knows the choices would only have to
/// compare.
fn enumerated(node: &Node) -> bool {
    !node.choices.is_empty() || matches!(node.shape, Shape::Boolean)
}

/// See [`Redactor::given`].
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    walk: Walk<'a>,
    parameters: &'a Parameters,
    members: &'a [Member<'a>],
}

impl Written for Given<'_> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        let members = self.members.iter().map(|(name, value)| (name.as_ref(), value));
        text.object(members, |text, name, value: &Json<'_>| {
            let parameter = self.parameters.list().iter().find(|p| *p.name == *name);
            self.walk.named(text, name, parameter.map(|p| p.ty), value);
        });
    }
}

/// See [`Redactor::texts`].
#[derive(Debug)]
pub struct Texts<'a> {
    walk: Walk<'a>,
    parameters: &'a Parameters,
    given: Vec<(&'a str, &'a str)>,
}

impl Written for Texts<'_> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        text.object(self.given.iter().copied(), |text, name, value| {
            let parameter = self.parameters.list().iter().find(|p| *p.name == *name);
            self.walk.named(text, name, parameter.map(|p| p.ty), &Json::String(value.into()));
        });
    }
}

/// See [`Redactor::arguments`].
#[derive(Debug, Clone, Copy)]
pub struct Understood<'a> {
    walk: Walk<'a>,
    parameters: &'a Parameters,
    arguments: &'a Arguments,
}

impl Written for Understood<'_> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        let pairs = self.parameters.list().iter().zip(self.arguments.values());
        let members = pairs.map(|(parameter, value)| (&*parameter.name, (parameter, value)));
        text.object(members, |text, name, (parameter, value): (&Parameter, &Argument)| {
            self.walk.named(text, name, Some(parameter.ty), value);
        });
    }
}

/// See [`Redactor::result`].
#[derive(Debug, Clone, Copy)]
pub struct Result<'a, T> {
    walk: Walk<'a>,
    declared: Option<TypeId>,
    value: &'a T,
}

impl<T: Tree> Written for Result<'_, T> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        match self.declared {
            None => self.walk.redactor.free(text, self.value),
            Some(ty) => match self.walk.checks.node(ty) {
                Some(node) => self.walk.declared(text, node, self.value),
                None => text.string(self.value.kind().type_alone()),
            },
        }
    }
}

/// See [`Redactor::undeclared`].
#[derive(Debug, Clone, Copy)]
pub struct Undeclared<'a, T> {
    redactor: &'a Redactor,
    value: &'a T,
}

impl<T: Tree> Written for Undeclared<'_, T> {
    fn write_json(&self, text: &mut JsonText<'_>) {
        self.redactor.free(text, self.value);
    }
}

impl Kind<'_> {
    /// What is recorded of a value of which only the type may be known.
    const fn type_alone(&self) -> &'static str {
        match self {
            Self::Null => "[null]",
            Self::Bool(_) => "[boolean]",
            Self::Number(_) => "[number]",
            Self::Text(_) => "[string]",
            Self::List => "[array]",
            Self::Object => "[object]",
        }
    }
}

impl fmt::Debug for Kind<'_> {
    /// The kind alone: values of a call never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_alone())
    }
}
