//! How messages come in and go out: streamable HTTP and standard input and output.

pub mod admin;
pub mod doors;
pub mod headers;
pub mod http;
pub mod network;
pub mod stdio;
pub mod tls;
pub mod visitor;
