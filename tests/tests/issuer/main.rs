//! The shipped program as an authorization server: flows that work, and attacks that do not.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod browsing;
mod clients;
mod conformance;
mod consent;
mod flow;
mod kill;
mod redirects;
mod replay;
mod replicas;
mod rotation;
mod tenants;
