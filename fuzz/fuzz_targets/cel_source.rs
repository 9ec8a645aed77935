//! Any text as a condition: refused, or code that the verifier accepts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_compiler::cel::{Environment, condition};
use mxcp_policy::datum::Symbols;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;

fuzz_target!(|text: &str| {
    let environment = Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![("a".to_owned(), Ty::Int), ("b".to_owned(), Ty::String.nullable())],
        response: Some(Ty::Dyn),
        request: true,
        ..Environment::default()
    };
    if let (Some((program, _)), _) = condition(text, &environment) {
        let layout = Layout { user: 10, params: 2, response: true };
        Predicate::link(&program, &layout, &mut Symbols::default()).expect("compiled code links");
    }
});
