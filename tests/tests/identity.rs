//! Identity providers and their tokens: what each provider is like, what a verifier refuses.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "identity/algorithms.rs"]
mod algorithms;
#[path = "identity/answers.rs"]
mod answers;
#[path = "identity/attacks.rs"]
mod attacks;
#[path = "identity/keys.rs"]
mod keys;
#[path = "identity/opaque.rs"]
mod opaque;
#[path = "identity/openid.rs"]
mod openid;
#[path = "identity/peculiar.rs"]
mod peculiar;
#[path = "identity/real.rs"]
mod real;
#[path = "identity/world.rs"]
mod world;
