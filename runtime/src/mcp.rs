//! The Model Context Protocol: reading requests, choosing the revision, answering each method.
//!
//! Tools, resources and prompts are data here, so JSON-RPC is spoken directly: authorization
//! precedes dispatch, and the audit trail wraps every call.

mod completion;
mod dispatch;
pub mod era;
pub mod fault;
pub mod jsonrpc;
mod lifecycle;
pub mod list;
mod prompt;
mod resource;
pub mod server;
pub mod session;
mod tool;
pub mod uri;
