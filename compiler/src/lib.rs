//! Turns the documents of an mxcp project into a bundle and a list of diagnostics.
//!
//! The compiler does no I/O of its own: files, and DuckDB where SQL is to be looked at, reach it
//! through traits that the command line implements.

#![forbid(unsafe_code)]

pub mod analysis;
pub mod body;
pub mod cel;
mod endpoint;
pub mod lint;
mod parallel;
pub mod policy;
pub mod project;
pub mod prompt;
pub mod publish;
pub mod source;
pub mod sql;
pub mod types;
pub mod uri;
pub mod waiver;

use mxcp_schemas::diagnostic::Code;

pub use project::{Compiled, Listed, Options, compile};

/// Every code that a project can be told about, sorted.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    let mut codes: Vec<&'static Code> = [
        mxcp_schemas::yaml::CODES,
        mxcp_schemas::document::code::CODES,
        &[&mxcp_schemas::document::endpoint::NO_VERSION],
        project::CODES,
        cel::CODES,
        policy::CODES,
        waiver::CODES,
        body::CODES,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain(lint::LINTS.iter().map(|lint| lint.code))
    .chain(lint::PROJECT_LINTS.iter().map(|lint| lint.code))
    .collect();
    codes.sort_by_key(|code| code.id);
    codes.into_iter()
}
