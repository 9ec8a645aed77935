//! The registry of CEL functions and operators: name, overloads, documentation, examples and
//! evaluation are one entry; checker, interpreter, documentation and tests all read it.

mod bits;
mod compare;
mod convert;
mod cost;
mod encode;
mod format;
mod list;
mod lowering;
mod math;
mod number;
mod optional;
mod set;
mod string;
mod text;
pub mod time;

use bumpalo::Bump;

use crate::ty::Sig;
use crate::value::{FailureKind, Fault, Value};

pub(crate) use compare::contains;
pub(crate) use cost::scan_steps;
pub use cost::{BYTES_PER_SCAN_STEP, Cost, CostOf, Extent, Kinds};
pub use lowering::{Arithmetic, Lowering, Order, TextTest};
pub use string::compile as compile_pattern;

/// A function or operator. Operators have the specification's internal names (`_+_`, `_<_`).
#[derive(Debug)]
pub struct Function {
    /// The name that expressions use, with its namespace.
    pub name: &'static str,
    /// What it does, one line of Markdown.
    pub doc: &'static str,
    /// Expressions and the text of their values; they run as tests.
    pub examples: &'static [(&'static str, &'static str)],
    /// The signatures, with the ids of the specification's definitions.
    pub overloads: &'static [Overload],
    /// What a call may cost, and how large its value may be, from the sizes of its arguments.
    pub cost: CostOf,
    /// How machine code does it in place, if it can.
    pub lowering: Option<Lowering>,
    /// Evaluates any of the overloads. Arguments are never errors; their types were checked only
    /// where they were known, so arguments that no overload takes are answered with
    /// [`Call::no_overload`].
    pub eval: Eval,
}

impl Function {
    /// Whether it is what something else becomes, and no name that people write.
    pub fn is_internal(&self) -> bool {
        self.name.starts_with('@') && self.name != "@in"
    }

    /// The name as people write it: operators without their places.
    pub fn shown_name(&self) -> &'static str {
        match self.name {
            "@in" => "in",
            name if name.starts_with('_') || name.starts_with('-') => name.trim_matches('_'),
            name => name,
        }
    }
}

impl Overload {
    /// The signature as people write a call, of the function of that name.
    pub fn written(&self, name: &str) -> String {
        let params: Vec<String> = self.params.iter().map(|p| p.ty().to_string()).collect();
        let result = self.result.ty();
        match (name, params.as_slice()) {
            ("@in", [a, b]) => format!("{a} in {b}"),
            (name, [a]) if name.starts_with('-') => format!("-{a} -> {result}"),
            (name, [a, b]) if name.starts_with('_') => {
                format!("{a} {} {b} -> {result}", name.trim_matches('_'))
            }
            (name, [of, rest @ ..]) if self.member => {
                format!("{of}.{name}({}) -> {result}", rest.join(", "))
            }
            (name, all) => format!("{name}({}) -> {result}", all.join(", ")),
        }
    }
}

/// The evaluation of a function.
pub type Eval = for<'a> fn(&mut Call<'a>, &[Value<'a>]) -> Value<'a>;

/// One signature of a function.
#[derive(Debug)]
pub struct Overload {
    /// The specification's id (`add_int64`).
    pub id: &'static str,
    /// Whether it is called on its first argument: `a.f(b)`.
    pub member: bool,
    /// Argument types, the receiver first.
    pub params: &'static [Sig],
    /// Result type.
    pub result: Sig,
}

/// What an evaluation lends to the functions it calls.
#[derive(Debug)]
pub struct Call<'a> {
    /// Where results that need memory are made; freed when the evaluation ends.
    pub arena: &'a Bump,
    /// Steps left. A function subtracts what it uses in proportion to its input.
    pub budget: u64,
    /// Regular expressions that were compiled when the program was linked.
    pub patterns: &'a [(Box<str>, regex::Regex)],
}

impl<'a> Call<'a> {
    /// An error.
    pub fn fail(&self, kind: FailureKind, message: impl AsRef<str>) -> Value<'a> {
        Value::failed(self.arena, kind, message)
    }

    /// The error of arguments that no overload takes. Names their types, never their values.
    pub fn no_overload(&self, name: &str, args: &[Value<'a>]) -> Value<'a> {
        let mut message = bumpalo::format!(in self.arena, "`{name}` takes no (",);
        for (i, arg) in args.iter().enumerate() {
            message.push_str(if i > 0 { ", " } else { "" });
            message.push_str(arg.type_name());
        }
        message.push(')');
        let message = message.into_bump_str();
        Value::Error(self.arena.alloc(Fault { kind: FailureKind::NoOverload, message }))
    }

    /// The error of a budget that does not suffice; nothing is left of it.
    pub fn exhausted(&mut self) -> Value<'a> {
        self.budget = 0;
        Value::Error(&EXHAUSTED)
    }

    /// Takes steps from the budget.
    ///
    /// # Errors
    /// With an error value when there are not enough.
    pub fn spend(&mut self, steps: u64) -> Result<(), Value<'a>> {
        match self.budget.checked_sub(steps) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(self.exhausted()),
        }
    }
}

static EXHAUSTED: Fault<'static> =
    Fault { kind: FailureKind::Budget, message: "the step budget is exhausted" };

/// Declares overloads: `id: [params] -> result;`, members with `member` before the id.
macro_rules! overloads {
    ($($kind:ident $id:tt [$($param:expr),*] $result:expr;)*) => {
        &[$($crate::function::Overload {
            id: $id,
            member: $crate::function::overloads!(@ $kind),
            params: &[$($param),*],
            result: $result,
        }),*]
    };
    (@ member) => { true };
    (@ global) => { false };
}
use overloads;

/// Functions that belong together.
#[derive(Debug)]
pub struct Family {
    /// what the reference calls them
    pub title: &'static str,
    /// the functions
    pub functions: &'static [Function],
}

/// All families, in the order of the reference.
pub static FAMILIES: &[Family] = &[
    Family { title: "Operators", functions: number::FUNCTIONS },
    Family { title: "Operators", functions: compare::FUNCTIONS },
    Family { title: "Conversions", functions: convert::FUNCTIONS },
    Family { title: "Strings", functions: string::FUNCTIONS },
    Family { title: "Strings", functions: text::FUNCTIONS },
    Family { title: "Strings", functions: format::FUNCTIONS },
    Family { title: "Strings", functions: encode::FUNCTIONS },
    Family { title: "Lists and sets", functions: list::FUNCTIONS },
    Family { title: "Lists and sets", functions: set::FUNCTIONS },
    Family { title: "Numbers", functions: math::FUNCTIONS },
    Family { title: "Numbers", functions: bits::FUNCTIONS },
    Family { title: "Times", functions: time::FUNCTIONS },
    Family { title: "Optionals", functions: optional::FUNCTIONS },
];

/// All functions, sorted by name.
pub fn functions() -> &'static [&'static Function] {
    static ALL: std::sync::LazyLock<Vec<&'static Function>> = std::sync::LazyLock::new(|| {
        let mut all: Vec<&'static Function> =
            FAMILIES.iter().flat_map(|family| family.functions).collect();
        all.sort_by_key(|function| function.name);
        all
    });
    &ALL
}

/// The function of that name.
pub fn find(name: &str) -> Option<&'static Function> {
    let all = functions();
    let found = all.binary_search_by(|function| function.name.cmp(name)).ok()?;
    all.get(found).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_overloads_have_ids() {
        let all = functions();
        assert!(all.is_sorted_by(|a, b| a.name < b.name));
        let mut ids: Vec<&str> = all.iter().flat_map(|f| f.overloads).map(|o| o.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        assert!(all.iter().all(|f| !f.overloads.is_empty() && !f.doc.is_empty()));
    }
}
