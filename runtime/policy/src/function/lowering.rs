//! What machine code has instructions for. A function that has a lowering is done in place where its
//! operands have the types that the instructions take, and by its evaluation otherwise.

use std::cmp::Ordering;

/// How machine code does a function without a call of its evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lowering {
    /// on whole numbers, doubles, and times for a difference
    Arithmetic(Arithmetic),
    /// on whole numbers, doubles and times
    Order(Order),
    /// on a text and a literal
    Text(TextTest),
    /// the code points of a text
    Size,
}

/// Arithmetic on numbers (CEL specification, "Arithmetic operators").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say which operators they are")]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Negate,
}

/// What is asked of a text and a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the functions")]
pub enum TextTest {
    StartsWith,
    EndsWith,
    Contains,
    Matches,
}

/// Which results of a comparison an order holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say which operators they are")]
pub enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// Whether it holds for what a comparison came to.
    pub const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}
