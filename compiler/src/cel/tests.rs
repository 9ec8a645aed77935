//! The front end as a whole: what is said about an expression, and what it evaluates to.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbols, Text};
use mxcp_policy::function;
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::jit::{self, Expression};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::{Field, Record, Ty};
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
use std::sync::Arc;

use super::reference::MACROS;
use super::{Environment, condition, expression};

fn environment() -> Environment {
    let field = |name: &str, ty, required| Field { name: name.to_owned(), ty, required };
    let address = Arc::new(Record {
        name: "response.address".to_owned(),
        fields: vec![field("street", Ty::String, true)],
        open: false,
    });
    Environment {
        user: Some(Environment::user_record(&[("department".to_owned(), Ty::String)])),
        params: vec![
            ("patient_id".to_owned(), Ty::Int),
            ("start_date".to_owned(), Ty::Timestamp),
            ("end_date".to_owned(), Ty::Timestamp),
            ("note".to_owned(), Ty::String.nullable()),
        ],
        response: Some(Ty::Record(Arc::new(Record {
            name: "response".to_owned(),
            fields: vec![
                field("salary", Ty::Double, true),
                field("owner", Ty::String, false),
                field("address", Ty::Record(address), true),
                field("tags", Ty::list(Ty::String), true),
            ],
            open: true,
        }))),
        request: true,
        ..Environment::default()
    }
}

/// All findings, each as `slug at \`text\``.
fn told(text: &str) -> Vec<String> {
    let (_, found) = condition(text, &environment());
    found
        .into_iter()
        .map(|f| format!("{} at `{}`", f.code.slug, text.get(f.range).unwrap_or("?")))
        .collect()
}

#[test]
fn good_conditions_have_nothing_to_be_told() {
    for text in [
        "user.role != 'admin'",
        "!('finance' in user.permissions)",
        "user.permissions.exists(p, p in ['a', 'b'])",
        "user.email == null || !user.email.endsWith('@corp.example')",
        "!user.email.endsWith('@corp.example') || user.email == null",
        "!has(user.email) || user.email.contains('x')",
        "user.department != 'hr' && patient_id > 10",
        "end_date - start_date > duration('720h')",
        "start_date < '2024-01-01' || end_date >= '2024-01-01T00:00:00Z'",
        "start_date in ['2024-01-01', '2024-12-24'] || start_date in [end_date, dyn(1)]",
        "response.salary > 1000.0 && user.role == 'x'",
        "has(response.owner) && response.owner == 'me'",
        "response.address.street.startsWith('a')",
        "response.tags.all(t, size(t) < 5)",
        "request.time.getHours() < 6 || now() > start_date",
        "note != null && note.size() > 3 ? true : false",
        "user.claims.tenant == 'a'",
        "user['role'] == 'x' && user.id == 'y'",
        "params.patient_id == 1",
        "type(patient_id) == int",
        "cel.bind(x, user.role, x == 'a' || x == 'b')",
        "math.greatest(patient_id, 3) > 2",
    ] {
        assert_eq!(told(text), [""; 0], "{text}");
    }
}

#[test]
fn mistakes_are_told_at_their_place() {
    for (text, expected) in [
        ("user.departmnt != 'hr'", "unknown-field at `departmnt`"),
        ("usr.role == 'x'", "unknown-variable at `usr`"),
        ("user.role == 1", "never-equal at `user.role == 1`"),
        ("user.permissions == 'x'", "never-equal at `user.permissions == 'x'`"),
        ("user.role", "not-a-condition at `user.role`"),
        ("patient_id + 'a' == 'b'", "wrong-types at `patient_id + 'a'`"),
        ("size(user.role) == 2 && undefined_fn(1)", "unknown-function at `undefined_fn`"),
        ("(end_date - start_date).getDays() > 3", "unknown-function at `getDays`"),
        ("timestamp.now() > start_date", "unknown-function at `timestamp.now()`"),
        ("start_date in ['2024-01-01', 2]", "never-equal at `start_date in ['2024-01-01', 2]`"),
        (
            "end_date - start_date in [start_date]",
            "never-equal at `end_date - start_date in [start_date]`",
        ),
        ("user.role in 'admin'", "wrong-types at `'admin'`"),
        ("start_date < 'yesterday'", "bad-literal at `'yesterday'`"),
        ("user.role == 'a' || 'b'", "wrong-types at `'b'`"),
        ("user.role.matches('(')", "bad-pattern at `'('`"),
        ("response.salry > 1.0", "undeclared-field at `salry`"),
        ("response.owner == 'me'", "unguarded-null at `response.owner`"),
        ("!user.email.endsWith('@x')", "unguarded-null at `user.email`"),
        ("note.size() > 3", "unguarded-null at `note`"),
        (
            "user.email != null && !user.email.endsWith('@x')",
            "absence-slips-through at `user.email != null`",
        ),
        (
            "user.email != null ? !user.email.endsWith('@x') : false",
            "absence-slips-through at `user.email != null`",
        ),
        (
            "!(user.email == null ? true : user.email.endsWith('@x'))",
            "absence-slips-through at `user.email == null`",
        ),
        (
            "cel.bind(x, '@x', user.email != null && !user.email.endsWith(x))",
            "absence-slips-through at `user.email != null`",
        ),
        ("response.address.zip == 1", "unknown-field at `zip`"),
    ] {
        assert_eq!(told(text), [expected], "{text}");
    }
}

fn values(text: &str, params: &[(&str, Datum)]) -> String {
    let names = params.iter().map(|(name, _)| (*name).to_owned());
    let environment = Environment { request: true, ..Environment::dynamic(names) };
    let (compiled, found) = expression(text, &environment);
    let Some((program, _)) = compiled else { return format!("{found:?}") };
    let layout = Layout { user: 0, params: params.len(), response: false };
    let mut symbols = Symbols::default();
    let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
    let data: Vec<Datum> = params.iter().map(|(_, d)| d.clone()).collect();
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: Text { text: "t".into(), symbol: symbols.find("t") },
        session_id: None,
        client_ip: None,
    };
    let inputs = Inputs {
        user: &[],
        user_map: &Datum::Null,
        params: &data,
        response: None,
        request: &request,
    };
    let arena = Bump::new();
    let value = predicate.value(&inputs, &arena).to_string();
    let code = Expression::compile(&predicate).unwrap().expect("it is small");
    match code.value(&predicate, &inputs, &arena) {
        // Machine code has no messages.
        Some(Value::Error(_)) => assert!(value.starts_with("error: "), "{text}: {value}"),
        Some(compiled) => assert_eq!(compiled.to_string(), value, "{text}: machine code"),
        None => {}
    }
    value
}

#[test]
fn the_examples_of_all_functions_are_true() {
    for function in function::functions() {
        for (text, expected) in function.examples {
            assert_eq!(values(text, &[]), *expected, "{}: {text}", function.name);
        }
    }
}

#[test]
fn the_examples_of_all_macros_are_true() {
    assert!(MACROS.is_sorted_by(|a, b| a.name < b.name));
    for one in MACROS {
        assert!(!one.examples.is_empty(), "{}", one.name);
        for (text, expected) in one.examples {
            assert_eq!(values(text, &[]), *expected, "{}: {text}", one.name);
        }
    }
}

#[test]
fn expressions_have_the_values_of_the_specification() {
    for (text, expected) in [
        ("[1, 2, 3].all(x, x > 0)", "true"),
        ("[1, 2, 3].exists(x, x == 2)", "true"),
        ("[1, 2, 2].exists_one(x, x == 2)", "false"),
        ("[1, 2, 3].filter(x, x > 1)", "[2, 3]"),
        ("[1, 2, 3].map(x, x * x)", "[1, 4, 9]"),
        ("[1, 2, 3].map(x, x > 1, x * 10)", "[20, 30]"),
        ("{'a': 1, 'b': 2}.exists(k, k == 'b')", "true"),
        ("[1, 2].transformList(i, v, i + v)", "[1, 3]"),
        ("{'a': 1}.transformMap(k, v, v + 1)", "{\"a\": 2}"),
        ("[[1, 2], [3]].map(l, l.map(x, x + 1))", "[[2, 3], [4]]"),
        ("[1, 0].exists(x, 1 / x == 1)", "true"),
        ("[0, 1].all(x, 1 / x == 2)", "false"),
        ("1 / 0 == 1 || true", "true"),
        ("false && 1 / 0 == 1", "false"),
        ("1 / 0 == 1 && false", "false"),
        ("true ? 1 : 2", "1"),
        ("{'a': {'b': 3}}.a.b", "3"),
        ("has({'a': 1}.a) && !has({'a': 1}.b)", "true"),
        ("{'a': 1}.?b.orValue(7)", "7"),
        ("[1][?3].hasValue()", "false"),
        ("[?optional.none(), 2]", "[2]"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("'a\\u00e9\\n' == \"a\u{e9}\\n\"", "true"),
        ("r'\\d' == '\\\\d'", "true"),
        ("b'\\xff' == b'\\377'", "true"),
        ("'''a'b''' == \"a'b\"", "true"),
        ("0x10 + 1", "17"),
        ("1.5e3", "1500.0"),
        ("'abc'.size() + [1].size()", "4"),
        ("dyn([1, 'a', 2.0])[2] == 2", "true"),
        ("[1 in {1: 2}, 1u in {1: 2}, dyn(1.0) in {1: 2}, 1.5 in {}]", "[true, true, true, false]"),
        ("[int(-0.9), int(-1.9)]", "[0, -1]"),
        (
            "[0.0, -0.0, 0.0001, 0.00001, 1.5e-7, 123456.7, 999999.0, 1e6, -1234567.0].map(d, string(d))",
            "[\"0\", \"-0\", \"0.0001\", \"1e-05\", \"1.5e-07\", \"123456.7\", \"999999\", \"1e+06\", \"-1.234567e+06\"]",
        ),
        (
            "[1e20, 1.5e300, 4.9e-324, 1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0].map(d, string(d))",
            "[\"1e+20\", \"1.5e+300\", \"5e-324\", \"Infinity\", \"-Infinity\", \"NaN\"]",
        ),
        (
            "[uint(0.9), uint(-0.0), uint(18446744073709549568.0)]",
            "[0u, 0u, 18446744073709549568u]",
        ),
    ] {
        assert_eq!(values(text, &[]), expected, "{text}");
    }
    for (text, expected) in [
        ("1 / 0", "error: division by zero"),
        ("9223372036854775807 + 1", "error: the result does not fit in 64 bits"),
        ("{'a': 1}['b']", "error: there is no such key"),
        ("[1][5]", "error: the index is outside the list"),
        ("{'a': 1, 'a': 2}", "error: a key stands twice"),
        ("[1, 0].exists(x, 1 / x == 5)", "error: division by zero"),
        ("dyn('a') + dyn(1)", "error: `_+_` takes no (string, int)"),
        ("dyn(null) in {'a': 1}", "error: `@in` takes no (null_type, map)"),
        ("dyn([1]) in {}", "error: `@in` takes no (list, map)"),
        ("uint(-0.5)", "error: `uint`: the number is out of range"),
        ("uint(18446744073709551616.0)", "error: `uint`: the number is out of range"),
        ("uint(double('NaN'))", "error: `uint`: the number is out of range"),
        ("int(9223372036854775808.0)", "error: `int`: the number is out of range"),
        ("dyn(1).all(x, x)", "error: `a comprehension` takes no (int)"),
    ] {
        assert_eq!(values(text, &[]), expected, "{text}");
    }
}

#[test]
fn inputs_reach_conditions() {
    let (compiled, _) = condition("user.role == 'nurse' && user.email == null", &environment());
    let (program, _) = compiled.unwrap();
    let mut symbols = Symbols::default();
    let layout = Layout { user: 11, params: 4, response: true };
    let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
    assert!(predicate.depends().caller_only());
    jit::compile_all([&predicate]).unwrap();
    let mut user = vec![Datum::Null; 11];
    user[5] = Datum::String(symbols.text("nurse"));
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: symbols.text("t"),
        session_id: None,
        client_ip: None,
    };
    let arena = Bump::new();
    let inputs = Inputs {
        user: &user,
        user_map: &Datum::Null,
        params: &[],
        response: None,
        request: &request,
    };
    assert_eq!(predicate.evaluate(&inputs, &arena), Outcome::True);
    user[5] = Datum::Error("`role` is a list".into());
    let inputs = Inputs {
        user: &user,
        user_map: &Datum::Null,
        params: &[],
        response: None,
        request: &request,
    };
    assert!(matches!(predicate.evaluate(&inputs, &arena), Outcome::Error(_)));
}
