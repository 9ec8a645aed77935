//! Lints: what is suspicious about policies although it compiles.
//!
//! A lint is one file and one line of the registry. Lints about one endpoint are in [`LINTS`]; those
//! that compare endpoints are in [`project`].

mod no_reason;
pub mod project;

use mxcp_schemas::diagnostic::{Code, Diagnostic};

use crate::endpoint::Compiled;

/// A lint about one endpoint.
pub struct Lint {
    /// its code
    pub code: &'static Code,
    /// looks at an endpoint
    pub(crate) check: fn(&Subject<'_>) -> Vec<Diagnostic>,
}

/// What a lint looks at.
pub(crate) struct Subject<'a> {
    /// the endpoint, as far as it compiled
    pub(crate) endpoint: &'a Compiled,
}

/// The lints, sorted by code.
pub static LINTS: &[&Lint] = &[&no_reason::LINT];
