//! The bundle: what a project becomes.
//!
//! Each section of the file is one rkyv archive of one of the types here. Trees are flat arrays
//! with `u32` indices, never recursive types, so that validating an archive cannot overflow the
//! stack. Nothing is ever stored in the order of a hash map, and no type holds a time or a path of
//! the machine that built it: identical inputs give identical bytes.

#![allow(
    missing_docs,
    reason = "rkyv derives archived twins of every type, whose fields it gives no documentation"
)]

pub mod code;
pub mod container;
pub mod definition;
pub mod manifest;
pub mod plan;
pub mod source;
