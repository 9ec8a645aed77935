//! The ways to evaluate predicate code. Every case runs on each of them.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::jit::{self, Expression, Lowering};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::{FailureKind, Fault, Value};
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Program;

/// A way to evaluate.
pub struct Engine {
    /// What failures call it.
    pub name: &'static str,
    /// Whether it evaluates expressions of any type, or conditions alone.
    pub any_type: bool,
    /// Evaluates linked code.
    pub value: for<'a> fn(&'a Predicate, &'a Inputs<'a>, &'a Bump) -> Answer<'a>,
}

/// What an engine says, and who said it.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// the value
    pub value: Value<'a>,
    /// who came to it
    pub by: By,
}

/// Who came to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// the interpreter, as asked
    Interpreter,
    /// machine code alone
    MachineCode,
    /// machine code that lets the interpreter do these instructions
    Stepped(Vec<&'static str>),
    /// the interpreter, because machine code gave up; why it may have
    GaveUp(&'static str),
    /// the interpreter, because the code is too large
    TooLarge,
}

/// All engines; the interpreter defines what code means.
pub const ENGINES: &[Engine] = &[
    Engine {
        name: "interpreter",
        any_type: true,
        value: |predicate, inputs, arena| Answer {
            value: predicate.value(inputs, arena),
            by: By::Interpreter,
        },
    },
    Engine { name: "machine code", any_type: true, value: compiled },
    Engine { name: "condition as served", any_type: false, value: served },
];

/// The value as machine code has it, or the interpreter where that gives up, as a server does.
fn compiled<'a>(predicate: &'a Predicate, inputs: &'a Inputs<'a>, arena: &'a Bump) -> Answer<'a> {
    let Some(code) = Expression::compile(predicate).expect("machine code can be had") else {
        return Answer { value: predicate.value(inputs, arena), by: By::TooLarge };
    };
    match (code.value(predicate, inputs, arena), jit::lowering(predicate)) {
        (Some(value), Lowering::Stepped(what)) => Answer { value, by: By::Stepped(what) },
        (Some(value), _) => Answer { value, by: By::MachineCode },
        (None, _) => {
            let value = predicate.value(inputs, arena);
            Answer { value, by: By::GaveUp(why(&value)) }
        }
    }
}

/// Why machine code may have given up where the interpreter comes to this.
fn why(value: &Value<'_>) -> &'static str {
    match value {
        Value::Error(fault) => match fault.kind {
            FailureKind::Overflow => "a number does not fit",
            FailureKind::DivideByZero => "a division by zero",
            FailureKind::NoOverload => "a type that was not expected, an error",
            FailureKind::Budget => "the budget is exhausted",
            _ => "another error",
        },
        _ => "a type that was not expected",
    }
}

/// A condition, evaluated as a server does it.
fn served<'a>(predicate: &'a Predicate, inputs: &'a Inputs<'a>, arena: &'a Bump) -> Answer<'a> {
    jit::compile_all([predicate]).expect("machine code can be had");
    let by = match predicate.verdict(inputs, &[], arena) {
        None => By::TooLarge,
        Some(jit::Verdict::Unsure) => By::GaveUp("see machine code"),
        Some(_) => By::MachineCode,
    };
    let value = match predicate.evaluate(inputs, arena) {
        Outcome::True => Value::Bool(true),
        Outcome::False => Value::Bool(false),
        Outcome::Error(failure) => {
            let message = arena.alloc_str(&failure.message);
            Value::Error(arena.alloc(Fault { kind: failure.kind, message }))
        }
    };
    Answer { value, by }
}

impl Engine {
    /// Links a program whose only inputs are parameters, evaluates it and hands the answer on.
    /// Parameters are made after linking, when the symbols are known.
    ///
    /// # Errors
    /// When the code does not link.
    pub fn run<T>(
        &self,
        program: &Program,
        params: impl FnOnce(&Symbols) -> Vec<Datum>,
        seen: impl FnOnce(Answer<'_>, &Bump) -> T,
    ) -> Result<T, String> {
        let mut symbols = Symbols::default();
        // The layout is known only by the values; a program cannot name more parameters than a
        // slot can number.
        let layout = Layout { user: 0, params: usize::from(u16::MAX), response: false };
        let predicate =
            Predicate::link(program, &layout, &mut symbols).map_err(|error| error.to_string())?;
        let params = params(&symbols);
        let request = Request {
            time: Instant { seconds: 0, nanos: 0 },
            tool: symbols.text("case"),
            session_id: None,
            client_ip: None,
        };
        let inputs = Inputs {
            user: &[],
            user_map: &Datum::Null,
            params: &params,
            response: None,
            request: &request,
        };
        let arena = Bump::new();
        Ok(seen((self.value)(&predicate, &inputs, &arena), &arena))
    }
}
