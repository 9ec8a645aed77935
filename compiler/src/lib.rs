//! Turns the documents of an mxcp project into a bundle and a list of diagnostics.
//!
//! The compiler does no I/O of its own: files, and DuckDB where SQL is to be looked at, reach it
//! through traits that the command line implements.

#![forbid(unsafe_code)]

pub mod cel;
pub mod prompt;
pub mod publish;
pub mod source;
pub mod sql;
pub mod types;
pub mod uri;
pub mod waiver;
