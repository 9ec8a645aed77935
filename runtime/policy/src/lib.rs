//! The machine that policies run on: types, values, functions, predicate code, the interpreter
//! that defines its meaning, and the actions that policies take.

#![deny(unsafe_code)]

pub mod action;
pub mod agreement;
pub mod datum;
pub mod function;
pub mod interpret;
#[expect(unsafe_code, reason = "machine code is called, and reads values in place")]
pub mod jit;
pub mod plan;
pub mod predicate;
pub mod reads;
pub mod text;
pub mod ty;
pub mod value;
pub mod verify;
