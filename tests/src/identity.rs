//! Identity providers to test against: keys that sign, and servers that answer as providers do.

pub mod browser;
pub mod issuer;
pub mod oidc_provider;
pub mod replicas;
pub mod server;
pub mod signer;
pub mod verifier;
