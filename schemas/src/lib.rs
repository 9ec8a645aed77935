//! The shared vocabulary of mxcp: the documents that people write, the bundle that they become,
//! the audit record and the diagnostics that speak about all of them.
//!
//! Nothing here does I/O, and nothing here knows how an expression is evaluated.

#![forbid(unsafe_code)]

pub mod audit;
pub mod bundle;
pub mod diagnostic;
pub mod document;
pub mod format;
pub mod pattern;
pub mod yaml;
