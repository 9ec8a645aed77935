//! Maps a bundle and serves it: authenticated, filtered, audited MCP.

#![deny(unsafe_code)]

pub mod bundle;
pub mod json;
pub mod mcp;
