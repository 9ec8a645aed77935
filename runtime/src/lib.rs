//! Maps a bundle and serves it: authenticated, filtered, audited MCP.

#![deny(unsafe_code)]

pub mod arguments;
pub mod audit;
pub mod auth;
pub mod bundle;
pub mod check;
pub mod command;
pub mod config;
pub mod duckdb;
pub mod endpoint;
pub mod enforce;
pub mod gate;
pub mod json;
pub mod launch;
pub mod limits;
pub mod mcp;
pub mod output;
pub mod principal;
pub mod prompt;
pub mod serve;
pub mod transport;
