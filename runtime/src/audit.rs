//! The audit trail: a durable, tamper-evident record of every operation, and questions to it.

pub mod redact;
