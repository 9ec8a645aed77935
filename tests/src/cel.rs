//! Expressions as tests: the official suites, the engines that evaluate, and what values and types
//! the suites write as JSON.

pub mod engine;
pub mod hostile;
pub mod json;
pub mod suite;
