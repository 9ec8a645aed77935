//! Who may call: identity providers, their tokens, and ours.

pub mod admission;
pub mod bearer;
pub mod cache;
pub mod claims;
pub mod clock;
pub mod config;
pub mod constant;
pub mod fetch;
pub mod flight;
pub mod issuer;
pub mod jose;
pub mod login;
pub mod meters;
pub mod provider;
pub mod seal;
pub mod secret;
pub mod start;
pub mod store;
pub mod verifier;
