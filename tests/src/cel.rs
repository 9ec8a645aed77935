//! Expressions as tests: the official suites, the engines that evaluate, and what values and types
//! the suites write as JSON.

pub mod differences;
pub mod engine;
pub mod generate;
pub mod hostile;
pub mod json;
pub mod oracle;
pub mod rewrite;
pub mod suite;
