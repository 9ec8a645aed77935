//! DuckDB: databases, statements, results, and the threads that run them.
//!
//! `libduckdb-sys` is the C interface; everything `unsafe` about it is in `ffi`. Above it nothing
//! is unsafe: values are bound with exactly the type that their parameter was prepared for, and
//! results are read vector by vector.

pub mod asked;
mod ffi;
pub mod pool;
pub mod secret;
pub mod session;
pub mod settings;

pub use ffi::{
    Bind, BindType, Cell, Chunk, Connection, Database, Interrupt, Kind, List, Rows, Shape,
    Statement,
};
pub use pool::Pool;
pub use session::Session;
pub use settings::Settings;

/// Why DuckDB did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DuckError {
    /// the class, which may be recorded: it holds no value
    pub class: &'static str,
    /// DuckDB's words, which may hold values: for operators only
    pub message: String,
}

impl DuckError {
    pub(crate) fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    /// Whether a statement was interrupted: by its timeout, or because nobody waits any more.
    pub fn is_interrupt(&self) -> bool {
        self.class == "interrupt"
    }
}
