//! Who may call: identity providers, their tokens, and ours.

pub mod claims;
pub mod clock;
pub mod config;
pub mod fetch;
pub mod jose;
pub mod provider;
pub mod verifier;
