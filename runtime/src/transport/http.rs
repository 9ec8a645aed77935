//! Streamable HTTP.

pub mod listen;
