//! Helpers for the tests that cross crates: where things are, how to build, start and ask them.
//!
//! A helper that cannot do its work panics and says why: that is how a test fails.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a helper of tests fails by panicking"
)]

pub mod bare;
pub mod binaries;
pub mod browser;
pub mod case;
pub mod cel;
pub mod clients;
pub mod dispatched;
pub mod generate;
pub mod http;
pub mod identity;
pub mod measure;
pub mod postgres;
pub mod project;
pub mod rust;
pub mod server;
pub mod trail;
pub mod workspace;
