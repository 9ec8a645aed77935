//! The Model Context Protocol: reading requests, choosing the revision, answering each method.
//!
//! Tools, resources and prompts are data here, so JSON-RPC is spoken directly: authorization
//! precedes dispatch, and the audit trail wraps every call.

pub mod era;
pub mod fault;
pub mod jsonrpc;
pub mod list;
pub mod session;
pub mod uri;
