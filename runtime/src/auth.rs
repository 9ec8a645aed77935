//! Who may call: identity providers and their tokens.

pub mod claims;
pub mod clock;
pub mod fetch;
pub mod provider;
pub mod verifier;
