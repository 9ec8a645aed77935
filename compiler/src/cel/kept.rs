//! What is kept of a caller's claims: for any condition over any claims, what it comes to on the
//! claims that it reads is what it comes to on all of them.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, List, Symbols};
use mxcp_policy::interpret::{Engine, Inputs, Outcome, Request};
use mxcp_policy::jit;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::reads::{MAX_DEPTH, Reads, reads};
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Program;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Environment, condition};

/// The slot of `user.claims`.
const CLAIMS: u16 = 9;
const LAYOUT: Layout = Layout { user: 10, params: 1, response: false };

fn compiled(text: &str) -> Program {
    try_compiled(text).unwrap_or_else(|found| panic!("{text}: {found}"))
}

fn try_compiled(text: &str) -> Result<Program, String> {
    let environment = Environment {
        user: Some(Environment::user_record(&[])),
        params: vec![("s".to_owned(), Ty::String)],
        request: true,
        ..Environment::default()
    };
    let (compiled, found) = condition(text, &environment);
    compiled.map(|(program, _)| program).ok_or_else(|| format!("{found:?}"))
}

/// A value that is reached from the claims in one of many ways.
fn any_value() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let leaf = prop_oneof![
        12 => Just("user.claims".to_owned()),
        1 => Just("dyn('a')".to_owned()),
        1 => Just("dyn(s)".to_owned()),
        1 => Just("dyn(user.claims)".to_owned()),
    ];
    leaf.prop_recursive(5, 12, 2, move |inner| {
        prop_oneof![
            4 => (inner.clone(), name()).prop_map(|(a, n)| format!("{a}.{n}")),
            2 => (inner.clone(), name()).prop_map(|(a, n)| format!("{a}['{n}']")),
            1 => (inner.clone(), name()).prop_map(|(a, n)| format!("{a}.?{n}.orValue(dyn('x'))")),
            1 => (inner.clone(), name()).prop_map(|(a, n)| format!("{a}[?'{n}'].?b.orValue(dyn(1))")),
            1 => inner.clone().prop_map(|a| format!("{a}[s]")),
            1 => inner.clone().prop_map(|a| format!("{a}[0]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(s == 'a' ? {a} : {b})")),
            1 => (inner.clone(), name())
                .prop_map(|(a, n)| format!("cel.bind(x, dyn({a}), x.{n} == 'a' ? dyn(x.b) : dyn(x))")),
        ]
    })
}

/// Conditions of all kinds over such values.
fn any_condition() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d"]);
    let atom = prop_oneof![
        4 => (any_value(), name()).prop_map(|(a, n)| format!("dyn({a}) == '{n}'")),
        2 => (any_value(), any_value()).prop_map(|(a, b)| format!("dyn({a}) != dyn({b})")),
        3 => (any_value(), name()).prop_map(|(a, n)| format!("has(dyn({a}).{n})")),
        2 => (any_value(), name()).prop_map(|(a, n)| format!("'{n}' in dyn({a})")),
        1 => any_value().prop_map(|a| format!("s in dyn({a})")),
        1 => any_value().prop_map(|a| format!("dyn({a}) != null")),
        1 => any_value().prop_map(|a| format!("size(dyn({a})) > 1")),
        1 => any_value().prop_map(|a| format!("dyn({a})")),
        1 => any_value().prop_map(|a| format!("dyn({a}).exists(k, k == s)")),
        1 => any_value().prop_map(|a| format!("dyn({a}).all(k, k in ['a', 'b'])")),
        1 => any_value().prop_map(|a| format!("[dyn({a})].exists(k, k.a == 'a')")),
        1 => any_value().prop_map(|a| format!("{{'k': dyn({a})}}.k.b == 1")),
        1 => (any_value(), any_value())
            .prop_map(|(a, b)| format!("dyn({a}).exists(k, dyn({b})[k] == k)")),
    ];
    atom.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

fn any_claims() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(1),
        json!("a"),
        json!("b"),
        json!(["a", "b"]),
        json!([]),
    ]);
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::btree_map(
            prop::sample::select(vec!["a", "b", "c", "d", "e"]),
            inner,
            0..5,
        )
        .prop_map(|fields| json!(fields))
    });
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c", "d", "e"]), value, 0..5)
        .prop_map(|fields| json!(fields))
}

fn outcome(predicate: &Predicate, claims: Datum, s: &str, symbols: &Symbols) -> [Outcome; 2] {
    let mut user = vec![Datum::Null; 10];
    user[6] = Datum::List(List::indexed([].into()));
    user[usize::from(CLAIMS)] = claims;
    let params = [Datum::String(symbols.text(s))];
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: symbols.text("t"),
        session_id: None,
        client_ip: None,
    };
    let inputs = Inputs {
        user: &user,
        user_map: &Datum::Null,
        params: &params,
        response: None,
        request: &request,
    };
    let arena = Bump::new();
    [Engine::Interpreter, Engine::Compiled]
        .map(|engine| predicate.evaluate_with(engine, &inputs, &arena))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]
    #[test]
    fn a_condition_comes_to_the_same_on_the_claims_that_are_kept(
        text in any_condition(), other in any_condition(), claims in any_claims(),
        s in prop::sample::select(vec!["a", "b", "e"]),
    ) {
        // Some of these can never come to anything, and the compiler says so.
        let (program, other) = (try_compiled(&text), try_compiled(&other));
        prop_assume!(program.is_ok() && other.is_ok());
        let (Ok(program), Ok(other)) = (program, other) else { return Ok(()) };
        let mut symbols = Symbols::default();
        let predicate = Predicate::link(&program, &LAYOUT, &mut symbols).unwrap();
        jit::compile_all([&predicate]).unwrap();
        let claims = Datum::from_json(&claims, &symbols);
        let expected = outcome(&predicate, claims.clone(), s, &symbols);
        let mut least = reads(&program).remove(&CLAIMS).unwrap_or_default();
        let kept = least.keep(claims.clone());
        prop_assert_eq!(outcome(&predicate, kept, s, &symbols), expected.clone(), "{} reads {}", text, least);
        // A caller is kept for all conditions of a bundle.
        least.add(reads(&other).remove(&CLAIMS).unwrap_or_default());
        prop_assert_eq!(outcome(&predicate, least.keep(claims), s, &symbols), expected, "{} beside others", text);
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = reads(&compiled(text)).remove(&CLAIMS);
    assert_eq!(found.map(|reads| reads.to_string()).unwrap_or_default(), expected, "{text}");
}

#[test]
fn constant_paths_are_read_alone() {
    check("user.role == 'a'", "");
    check("user.claims.org.unit == 'x'", "{org: {unit: *}}");
    check("user.claims['https://corp/roles'] == s", "{https://corp/roles: *}");
    check("has(user.claims.org) && has(user.claims.org.unit)", "{org: {unit: {}}}");
    check("user.claims.?org.?unit.orValue('q') == 'x'", "{org: {unit: *}}");
    check("user.claims[?'org'].?unit.hasValue()", "{org: {unit: *}}");
    check("'admin' in user.claims.roles", "{roles: {admin: {}}}");
    check("user.claims.roles.exists(r, r == user.claims.boss.name)", "{boss: {name: *}, roles: *}");
    check("(s == 'a' ? user.claims.x : user.claims.y).z == 1", "{x: {z: *}, y: {z: *}}");
    check("cel.bind(o, user.claims.org, o.a == 1 || o.b == 2)", "{org: {a: *, b: *}}");
    check("user.claims.a.x == 1 || user.claims.b.y == 2", "{a: {x: *}, b: {y: *}}");
}

#[test]
fn what_is_used_in_another_way_is_read_as_a_whole() {
    for text in [
        "user.claims[s] == 'x'",
        "user.claims.exists(k, k == 'a')",
        "size(user.claims) > 3",
        "user.claims == {'a': 1}",
        "s in user.claims",
        "[user.claims].exists(c, c.a == 1)",
        "user.claims.transformList(k, v, v).exists(v, v == 'a')",
        "type(user.claims) == map || user.claims.a == 1",
    ] {
        check(text, "*");
    }
    check("user.claims.org[s] == 'x' && user.claims.org.unit == 'y'", "{org: *}");
    check("user.claims.list.exists(o, o.unit == 'y')", "{list: *}");
}

#[test]
fn depth_is_bounded() {
    let path = |depth: usize| (0..depth).map(|_| ".a").collect::<String>();
    let text = |depth: usize| format!("user.claims{} == 1", path(depth));
    let braces = |depth: usize| format!("{}*{}", "{a: ".repeat(depth), "}".repeat(depth));
    check(&text(MAX_DEPTH), &braces(MAX_DEPTH));
    check(&text(MAX_DEPTH + 3), &braces(MAX_DEPTH));
}

#[test]
fn what_is_no_map_stays_and_errors_stay_errors() {
    let symbols = Symbols::default();
    let reads = reads(&compiled("user.claims.a.b == 1")).remove(&CLAIMS).unwrap();
    let claims = |value: Value| Datum::from_json(&value, &symbols);
    let kept = reads.keep(claims(json!({"a": {"b": {"c": 1}, "d": 2}, "e": 3})));
    assert_eq!(kept, claims(json!({"a": {"b": {"c": 1}}})));
    assert_eq!(reads.keep(claims(json!({"a": ["b"]}))), claims(json!({"a": ["b"]})));
    assert_eq!(reads.keep(Datum::Error("no claims".into())), Datum::Error("no claims".into()));
    assert_eq!(Reads::everything().keep(claims(json!({"x": 1}))), claims(json!({"x": 1})));
}
