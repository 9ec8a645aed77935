//! Deciding questions about conditions: whether one is ever true, whether one implies another.
//!
//! Over equality, membership, comparison with literals and boolean structure a condition is a finite
//! function of which literals its attributes equal. So the worlds that matter are the combinations of
//! the literals that occur plus fresh values that stand for all others, as many for attributes that are
//! compared with one another as there are of them. Conditions are evaluated in these worlds by the
//! interpreter itself, so there is no second opinion on what a condition means, and every answer has a
//! witness: a caller, arguments and a result that can be shown.
//!
//! A condition is evaluated for the values of what it reads itself, once; a question about several gives
//! the attributes values one after the other, and looks an answer up as soon as there is one.
//!
//! Whatever lies outside of that fragment, reads more than [`MAX_WORLDS`] combinations of values, or would
//! take more than [`MAX_STEPS`] steps, is unknown: the functions say `None`, and whoever asks stays silent.

mod column;
mod domain;
mod fragment;
mod question;
mod table;
#[cfg(test)]
mod tests;
mod world;

pub use column::Answer;
pub use fragment::Place;
pub use question::{Point, Question};
pub use table::{Table, decide};
pub use world::{Binding, Witness, World};

use mxcp_schemas::bundle::code::Program;
use mxcp_schemas::document::ty::Type;

use crate::cel::{Environment, Typed};

/// Most worlds that one condition is evaluated in.
pub const MAX_WORLDS: usize = 4096;

/// Most values that are tried for attributes while one question is answered.
pub const MAX_STEPS: usize = 2 * MAX_WORLDS;

/// Most literals that the elements of one list are compared with: a list is a set of them.
pub const MAX_LIST_LITERALS: usize = 8;

/// A condition as the analysis sees it.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a> {
    /// its tree
    pub tree: &'a Typed,
    /// its code
    pub program: &'a Program,
}

/// What is declared about the attributes of conditions.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// what the conditions were checked against; that of output conditions where there are any
    pub environment: &'a Environment,
    /// declared types of the parameters, in order
    pub parameters: &'a [&'a Type],
    /// declared type of the result
    pub result: Option<&'a Type>,
}
