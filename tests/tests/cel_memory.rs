//! Evaluating a condition allocates nothing: what it makes is in an arena that is used again. An
//! allocator that counts is the witness. Messages of errors are excepted, for they outlive the
//! evaluation.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::atomic::AtomicU8;

use allocation_counter::measure;
use bumpalo::Bump;
use mxcp_compiler::cel::{Environment, condition, expression_plainly};
use mxcp_policy::datum::{Datum, Instant, List, Symbols};
use mxcp_policy::interpret::{Engine, Inputs, Outcome, Request};
use mxcp_policy::jit;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;
use serde_json::json;

const CONDITIONS: [&str; 27] = [
    "user.role != 'admin'",
    "'hr.read' in user.permissions",
    "user.permissions.exists(p, p in ['hr.read', 'hr.write'])",
    "s != user.user_id && user.role != 'hr'",
    "user.email.endsWith('@corp.example') && user.email.contains('@')",
    "s.matches('^[a-z]+$') || s.matches('[0-9]')",
    "user.claims.org.unit == 'u7' && user.claims.level > 3",
    "response.rows.exists(r, r.lines.exists(l, l > 2))",
    "response.rows.filter(r, r.id > 0).map(r, r.id + n).size() == 1",
    "user.role + ':' + s == 'nurse:abc'",
    "(s + s + s).size() == 9",
    "[n, 2, 3] + [4] == [1, 2, 3, 4]",
    "{'a': n, s: 2}.abc == 2",
    "{'a': n}.exists(k, v, v == n)",
    "user.claims.?nothing.orValue(3) == 3",
    "day - timestamp('2024-01-01T00:00:00Z') > duration('1h')",
    "day.getFullYear('Europe/Zurich') == 2024",
    "s.lowerAscii() == 'abc' && s.upperAscii().reverse() == 'CBA'",
    "s.split('b').size() == 2 && ['x', s].join('-') == 'x-abc'",
    "s.replace('b', 'BB') == 'aBBc' && ' a '.trim() == 'a'",
    "string(n) == '1' && int('12') == 12",
    "[n, n, 2].distinct().size() == 2 && lists.range(n) == [0]",
    "n == 1 ? s == 'abc' : s == 'x'",
    "[24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, n].sort()[0] == 1",
    "[24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, n].sortBy(i, -i)[0] == 24",
    "(user.role == 'nurse' || user.email.endsWith('x')) && n == 1",
    "[1, 2, 3].exists_one(x, x == n) && [[1], [2]].all(l, l.size() == 1)",
];

fn environment() -> Environment {
    Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![
            ("n".to_owned(), Ty::Int),
            ("s".to_owned(), Ty::String),
            ("day".to_owned(), Ty::Timestamp),
        ],
        response: Some(Ty::Dyn),
        request: true,
        ..Environment::default()
    }
}

fn user(symbols: &Symbols) -> Vec<Datum> {
    let given = json!({
        "user_id": "u-1017", "email": "me@corp.example", "role": "nurse",
        "permissions": ["a.read", "hr.read"],
        "claims": {"org": {"unit": "u7"}, "level": 5},
    });
    mxcp_schemas::bundle::code::USER_ATTRIBUTES
        .iter()
        .map(|name| match Datum::from_json(&given[*name], symbols) {
            Datum::List(items) => Datum::List(List::indexed(items.to_vec().into())),
            datum => datum,
        })
        .collect()
}

/// Allocations of an evaluation in an arena that has been used for the same before. Compiled conditions
/// remember the caller, as they do in a server.
fn allocations(predicate: &Predicate, engine: Engine, inputs: &Inputs<'_>, text: &str) -> u64 {
    let memory: Vec<AtomicU8> = (0..predicate.parts()).map(|_| AtomicU8::new(0)).collect();
    let evaluate = |arena: &Bump| match engine {
        Engine::Interpreter => predicate.evaluate_with(engine, inputs, arena),
        Engine::Compiled => predicate.evaluate_remembering(inputs, &memory, arena),
    };
    let mut arena = Bump::new();
    for _ in 0..3 {
        assert_eq!(evaluate(&arena), Outcome::True, "{text}");
        arena.reset();
    }
    let mut holds = false;
    let counted = measure(|| {
        holds = evaluate(&arena) == Outcome::True;
    });
    assert!(holds, "{text}");
    counted.count_total
}

#[test]
fn evaluating_allocates_nothing() {
    let layout = Layout { user: 10, params: 3, response: true };
    let mut told = Vec::new();
    for text in CONDITIONS {
        for compile in [condition, expression_plainly] {
            let (compiled, found) = compile(text, &environment());
            let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
            let mut symbols = Symbols::default();
            let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
            jit::compile_all([&predicate]).unwrap();
            let user = user(&symbols);
            let day = Instant { seconds: 1_710_000_000, nanos: 5 };
            let params = [Datum::Int(1), Datum::String(symbols.text("abc")), Datum::Timestamp(day)];
            let rows = json!({"rows": [{"id": 0, "lines": [1, 2]}, {"id": 1, "lines": [3]}]});
            let response = Datum::from_json(&rows, &symbols);
            let request =
                Request { time: day, tool: symbols.text("t"), session_id: None, client_ip: None };
            let inputs = Inputs {
                user: &user,
                user_map: &Datum::Null,
                params: &params,
                response: Some(&response),
                request: &request,
            };
            for engine in [Engine::Interpreter, Engine::Compiled] {
                let count = allocations(&predicate, engine, &inputs, text);
                if count > 0 {
                    told.push(format!("{text}: {count} by {engine:?}"));
                }
            }
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[test]
fn the_allocator_counts() {
    let counted = measure(|| drop(std::hint::black_box(Box::new(1_u64))));
    assert_eq!(counted.count_total, 1);
}
