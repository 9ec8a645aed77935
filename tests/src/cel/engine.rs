//! The ways to evaluate predicate code. Every case runs on each of them.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Program;

/// A way to evaluate.
pub struct Engine {
    /// What failures call it.
    pub name: &'static str,
    /// Evaluates linked code.
    pub value: for<'a> fn(&'a Predicate, &Inputs<'a>, &'a Bump) -> Value<'a>,
}

/// All engines; the interpreter defines what code means.
pub const ENGINES: &[Engine] = &[Engine {
    name: "interpreter",
    value: |predicate, inputs, arena| predicate.value(inputs, arena),
}];

impl Engine {
    /// Links a program whose only inputs are parameters, evaluates it and hands the value on.
    /// Parameters are made after linking, when the symbols are known.
    ///
    /// # Errors
    /// When the code does not link.
    pub fn run<T>(
        &self,
        program: &Program,
        params: impl FnOnce(&Symbols) -> Vec<Datum>,
        seen: impl FnOnce(Value<'_>, &Bump) -> T,
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
