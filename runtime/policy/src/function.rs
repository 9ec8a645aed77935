//! The registry of CEL functions and operators: name, overloads, documentation, examples and
//! evaluation are one entry; checker, interpreter, documentation and tests all read it.

use bumpalo::Bump;

use crate::ty::Sig;
use crate::value::Value;

/// A function or operator. Operators have the specification's internal names (`_+_`, `_<_`).
#[derive(Debug)]
pub struct Function {
    /// The name that expressions use.
    pub name: &'static str,
    /// What it does, one line of Markdown.
    pub doc: &'static str,
    /// Expressions and the text of their values; they run as tests.
    pub examples: &'static [(&'static str, &'static str)],
    /// The overloads.
    pub overloads: &'static [Overload],
}

/// One signature of a function with its evaluation.
#[derive(Debug)]
pub struct Overload {
    /// The stable id that bundles name (`add_int64`).
    pub id: &'static str,
    /// Whether it is called on its first argument: `a.f(b)`.
    pub member: bool,
    /// Argument types, the receiver first.
    pub params: &'static [Sig],
    /// Result type.
    pub result: Sig,
    /// How its cost grows.
    pub cost: Cost,
    /// Evaluates it. Arguments are never errors; their types are as declared only where the
    /// checker knew them, so a mismatch is answered with `NoOverload`.
    pub eval: for<'a> fn(&mut Call<'a>, &[Value<'a>]) -> Value<'a>,
}

/// The worst-case cost of a call in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// always one step
    Constant,
    /// one step per unit of the size of the argument at this position
    Linear(u8),
    /// the product of the sizes of the arguments at these positions
    Product(u8, u8),
}

/// What an evaluation lends to the functions it calls.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where results that need memory are made; freed when the evaluation ends.
    pub arena: &'a Bump,
    /// Steps left. A function subtracts what it uses in proportion to its input.
    pub budget: u64,
}
