//! Identity providers and their tokens: what each provider is like, what a verifier refuses.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod algorithms;
mod answers;
mod attacks;
mod keys;
mod opaque;
mod openid;
mod peculiar;
mod peculiar_openid;
mod real;
mod world;
