//! Who may call: identity providers and their tokens.

pub mod claims;
pub mod clock;
pub mod constant;
pub mod fetch;
pub mod jose;
pub mod provider;
pub mod verifier;
