//! The store of logins: one suite over SQLite and a real PostgreSQL server, and what is particular to
//! each.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod postgres;
mod secure;
mod sqlite;
mod suite;
