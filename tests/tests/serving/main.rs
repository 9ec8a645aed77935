//! The shipped programs at work: bundles, the protocol in both eras, results, limits, hardening.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bundle;
mod changed;
mod closed;
mod conformance;
mod engines;
mod hardening;
mod legacy;
mod limits;
mod malformed;
mod modern;
mod peer;
mod published;
mod reach;
mod results;
mod served;
mod stdio;
