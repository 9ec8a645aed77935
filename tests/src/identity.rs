//! Identity providers to test against: keys that sign, and servers that answer as providers do.

pub mod oidc_provider;
pub mod server;
pub mod signer;
