//! The documents that people write, typed: endpoint files, the site file, the user file.
//!
//! A reader takes what it understands, reports everything else with its exact place, and goes on,
//! so that one run names every problem of a file. The JSON Schemas in `json/` describe the same
//! shape for editors; a test holds both in agreement.

pub mod code;
pub mod endpoint;
mod lift;
pub mod site;
pub mod ty;
pub mod user;

use crate::diagnostic::Span;

/// JSON Schema of endpoint files.
pub const ENDPOINT_SCHEMA: &str = include_str!("../json/endpoint.json");
/// JSON Schema of the site file.
pub const SITE_SCHEMA: &str = include_str!("../json/site.json");
/// JSON Schema of the user file.
pub const USER_SCHEMA: &str = include_str!("../json/user.json");

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// the value
    pub value: T,
    /// its place
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// A reference with the same place.
    pub const fn as_ref(&self) -> Spanned<&T> {
        Spanned { value: &self.value, span: self.span }
    }
}
