//! Compiled conditions against interpreted ones: over generated conditions and data, machine code
//! that says true or false says what the interpreter says, and nothing else unless that errs.

mod rows;

use bumpalo::Bump;
use mxcp_policy::agreement::Ways;
use mxcp_policy::datum::{Datum, Instant, List, Span, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::Ty;
use mxcp_policy::value::{FailureKind, Value as CelValue};
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Kind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Environment, condition, expression_plainly};

const LAYOUT: Layout = Layout { user: 11, params: 7, response: true };

fn environment() -> Environment {
    Environment {
        user: Some(Environment::user_record(&[("level".to_owned(), Ty::Int)])),
        params: vec![
            ("n".to_owned(), Ty::Int),
            ("m".to_owned(), Ty::Int),
            ("s".to_owned(), Ty::String),
            ("d".to_owned(), Ty::Double),
            ("day".to_owned(), Ty::Timestamp),
            ("any".to_owned(), Ty::Dyn),
            ("tags".to_owned(), Ty::list(Ty::String)),
        ],
        response: Some(Ty::Dyn),
        request: true,
        ..Environment::default()
    }
}

fn text() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "'a'",
        "'b'",
        "''",
        "'abc'",
        "s",
        "user.role",
        "user.email",
        "user.claims.tenant",
        "any.a",
        "request.tool",
        "response.name",
        "tags[0]",
        "'a' + s",
        "any.list[0]",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(1, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} + {b})")),
            (truth_leaf(), inner.clone(), inner).prop_map(|(c, a, b)| format!("({c} ? {a} : {b})")),
        ]
    })
}

fn number() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "n",
        "m",
        "0",
        "1",
        "-1",
        "9223372036854775807",
        "user.level",
        "any.n",
        "size(s)",
        "response.n",
        "int(d)",
        "tags.size()",
        "any.list[n]",
        "int('12')",
        "user.claims.level",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%"]))
                .prop_map(|(a, b, op)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| format!("cel.bind(x, {a}, x * {b} + x)")),
            inner.prop_map(|a| format!("-({a})")),
        ]
    })
}

fn truth_leaf() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "true",
        "false",
        "any.yes",
        "response.yes",
        "user.email == null",
        "n == m",
        "has(any.a)",
        "has(user.email)",
        "any == 1",
        "user.role == 'admin'",
        "type(any) == int",
        "any",
    ])
    .prop_map(|text| format!("({text})"))
}

/// Conditions of all kinds over all kinds of operands.
fn any_condition() -> impl Strategy<Value = String> {
    let compare = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let atom = prop_oneof![
        truth_leaf(),
        (text(), text(), compare.clone()).prop_map(|(a, b, op)| format!("dyn({a}) {op} dyn({b})")),
        (text(), prop::sample::select(vec!["==", "!="]), text())
            .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (number(), number(), compare.clone()).prop_map(|(a, b, op)| format!("{a} {op} {b}")),
        (number(), compare.clone()).prop_map(|(a, op)| format!("double({a}) / d {op} d + 1.5")),
        (
            text(),
            prop::sample::select(vec!["startsWith", "endsWith", "contains", "matches"]),
            text()
        )
            .prop_map(|(a, f, b)| format!("{a}.{f}({b})")),
        text().prop_map(|a| format!("{a} in user.permissions")),
        text().prop_map(|a| format!("{a} in ['a', 'b', 'c', 'd', 'e', 'admin']")),
        text().prop_map(|a| format!("dyn({a}) in [dyn('a'), 1, 2.0, null]")),
        number().prop_map(|a| format!("{a} in [1, 2, 3]")),
        Just("tags.exists(t, t in ['a', 'b'])".to_owned()),
        Just("user.permissions.all(p, p in ['a', 'p', 'b'])".to_owned()),
        Just("user.permissions.exists(p, p == 'p')".to_owned()),
        number().prop_map(|a| format!("response.rows.exists(r, r.n > {a})")),
        text().prop_map(|a| format!("response.rows.all(r, r.name != {a} || r.n == 1)")),
        text().prop_map(|a| format!("any.exists(k, k == {a})")),
        number().prop_map(|a| format!("any.list.exists(x, i, i > 0 && x == {a})")),
        (compare.clone(), prop::sample::select(vec!["0.5", "d", "n", "1"]))
            .prop_map(|(op, b)| format!("tags.exists(i, t, i {op} {b})")),
        (compare.clone(), prop::sample::select(vec!["0.5", "d", "1"]))
            .prop_map(|(op, b)| format!("tags.all(i, t, {b} {op} i)")),
        number().prop_map(|a| format!("[1, n, {a}].map(x, x + 1).exists_one(x, x == 2)")),
        text().prop_map(|a| format!("tags.filter(t, t != {a}).size() > 1")),
        number().prop_map(|a| format!("{{'a': {a}, s: 2}}.all(k, k != 'b')")),
        number().prop_map(|a| format!("any.?n.orValue({a}) == 2")),
        Just("day > timestamp('2024-01-01T00:00:00Z')".to_owned()),
        Just("day - request.time > duration('24h')".to_owned()),
        Just("now() + duration('1h') >= day && day == day".to_owned()),
        Just("any[s] == 1".to_owned()),
        Just("response == any".to_owned()),
    ];
    atom.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            inner.clone().prop_map(|a| format!("[1, 2].all(x, x > n || ({a}))")),
            inner.prop_map(|a| format!("tags.exists(t, t != 'z' && ({a}))")),
        ]
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        Just(json!("a")),
        Just(json!("stranger")),
        Just(json!("admin")),
        Just(json!(1.0)),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let keys = vec!["a", "n", "name", "yes", "list", "rows", "tenant", "level"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(keys), inner), 0..6).prop_map(|f| {
                Value::Object(f.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

fn rows() -> impl Strategy<Value = Value> {
    let row = ((-2_i64..4), prop::sample::select(vec!["a", "b", "stranger"]))
        .prop_map(|(n, name)| json!({"n": n, "name": name}));
    (prop::collection::vec(row, 0..4), any::<bool>(), -1_i64..3)
        .prop_map(|(rows, yes, n)| json!({"rows": rows, "yes": yes, "n": n, "name": "a"}))
}

struct Data {
    user: Vec<Datum>,
    params: Vec<Datum>,
    response: Datum,
    request: Request,
}

impl Data {
    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            user: &self.user,
            user_map: &Datum::Null,
            params: &self.params,
            response: Some(&self.response),
            request: &self.request,
        }
    }
}

#[derive(Debug, Clone)]
struct Given {
    role: Value,
    email: Value,
    permissions: Vec<&'static str>,
    claims: Value,
    response: Value,
    any: Value,
    n: i64,
    m: i64,
    d: f64,
    s: &'static str,
    tags: Vec<&'static str>,
    day: i64,
}

fn given() -> impl Strategy<Value = Given> {
    let words = || prop::sample::select(vec!["a", "b", "p", "abc", "admin", "stranger", ""]);
    let list = || prop::collection::vec(words(), 0..4);
    let numbers = prop_oneof![(-3_i64..4), Just(i64::MAX), Just(i64::MIN)];
    (
        (any_json(), any_json(), list(), any_json()),
        (prop_oneof![rows(), any_json()], prop_oneof![rows(), any_json()]),
        (numbers, -2_i64..3, prop_oneof![Just(0.0), Just(f64::NAN), Just(1.5)]),
        (words(), list(), 1_700_000_000_i64..1_710_000_000),
    )
        .prop_map(
            |((role, email, permissions, claims), (response, any), (n, m, d), (s, tags, day))| {
                Given { role, email, permissions, claims, response, any, n, m, d, s, tags, day }
            },
        )
}

fn data(given: &Given, symbols: &Symbols) -> Data {
    let datum = |value: &Value| Datum::from_json(value, symbols);
    let texts = |all: &[&str]| all.iter().map(|t| Datum::String(symbols.text(*t))).collect();
    let mut user = vec![Datum::Null; 11];
    user[5] = match &given.role {
        Value::String(_) => datum(&given.role),
        _ => Datum::Error("role".into()),
    };
    user[2] = datum(&given.email);
    user[6] = Datum::List(List::indexed(texts(&given.permissions)));
    user[9] = datum(&given.claims);
    user[10] = if given.m > 0 { Datum::Int(given.m) } else { Datum::Null };
    let instant = |seconds| Instant { seconds, nanos: 5 };
    Data {
        user,
        params: vec![
            Datum::Int(given.n),
            Datum::Int(given.m),
            Datum::String(symbols.text(given.s)),
            Datum::Double(given.d),
            if given.m == 0 {
                Datum::Duration(Span { seconds: 1, nanos: 0 })
            } else {
                Datum::Timestamp(instant(given.day))
            },
            datum(&given.any),
            Datum::List(List::from(texts(&given.tags))),
        ],
        response: datum(&given.response),
        request: Request {
            time: instant(1_705_000_000),
            tool: symbols.text("a"),
            session_id: None,
            client_ip: None,
        },
    }
}

fn agree(text: &str, given: &Given, plain: bool) -> Result<(), TestCaseError> {
    let compile = if plain { expression_plainly } else { condition };
    let (compiled, _) = compile(text, &environment());
    // Some combinations do not pass the checker.
    let Some((program, _)) = compiled else { return Ok(()) };
    let mut symbols = Symbols::default();
    let ways = Ways::link(&program, &LAYOUT, &mut symbols).unwrap();
    let data = data(given, &symbols);
    let agreed = ways.run(&data.inputs());
    prop_assert!(agreed.is_ok(), "{}: {:?}", text, agreed);
    // None of these values is larger than it is taken to be, so the worst case is enough.
    let predicate = Predicate::link(&program, &LAYOUT, &mut symbols).unwrap();
    let (inputs, arena) = (data.inputs(), Bump::new());
    let value = predicate.value_within(program.cost, &inputs, &arena);
    let spent = matches!(value, CelValue::Error(fault) if fault.kind == FailureKind::Budget);
    prop_assert!(!spent, "{} takes more than {} steps", text, program.cost);
    Ok(())
}

fn instant() -> impl Strategy<Value = Instant> {
    let seconds = prop_oneof![
        6 => -3_i64..4,
        // The first and the last second that there is.
        1 => Just(-62_135_596_800),
        1 => Just(253_402_300_799),
    ];
    let nanos = prop::sample::select(vec![0, 1, 2, 500_000_000, 999_999_998, 999_999_999]);
    (seconds, nanos).prop_map(|(seconds, nanos)| Instant { seconds, nanos })
}

fn condition_on_differences() -> impl Strategy<Value = String> {
    let limit = prop::sample::select(vec![
        "0s",
        "1ns",
        "-1ns",
        "1s",
        "-1s",
        "1.5s",
        "-1.5s",
        "2s",
        "-0.000000001s",
        "0.999999999s",
        "-1.000000001s",
        "87840h",
        "-2562047h",
    ]);
    let shape = prop::sample::select(vec![
        "day - request.time OP duration('L')",
        "duration('L') OP day - request.time",
        "cel.bind(d, day - request.time, d OP duration('L') || d == duration('1s'))",
        "cel.bind(d, day - request.time, d OP duration('L') && duration('L') OP d)",
        "[1].exists(x, day - request.time OP duration('L'))",
    ]);
    let order = prop::sample::select(vec!["<", "<=", ">", ">="]);
    (shape, order, limit).prop_map(|(shape, op, limit)| shape.replace("OP", op).replace('L', limit))
}

/// Both engines over inputs that were made by hand.
fn agree_over(
    text: &str,
    environment: &Environment,
    data: &dyn Fn(&Symbols) -> Data,
) -> Result<(), TestCaseError> {
    let (compiled, found) = condition(text, environment);
    let Some((program, _)) = compiled else { panic!("{text}: {found:?}") };
    let mut symbols = Symbols::default();
    let ways = Ways::link(&program, &LAYOUT, &mut symbols).unwrap();
    let data = data(&symbols);
    let agreed = ways.run(&data.inputs());
    prop_assert!(agreed.is_ok(), "{}: {:?}", text, agreed);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn machine_code_says_what_the_interpreter_says(
        text in any_condition(), given in given(), plain in any::<bool>(),
    ) {
        agree(&text, &given, plain)?;
    }

    #[test]
    fn they_agree_about_differences_of_times(
        text in condition_on_differences(), day in instant(), time in instant(), given in given(),
    ) {
        agree_over(&text, &environment(), &|symbols| {
            let mut data = data(&given, symbols);
            data.params[4] = Datum::Timestamp(day);
            data.request.time = time;
            data
        })?;
    }
}

/// What the checker expects of values is a hint: both engines say the same whatever it is.
#[test]
fn hints_may_be_anything() {
    let kinds = [
        Kind::Any,
        Kind::Null,
        Kind::Bool,
        Kind::Int,
        Kind::Uint,
        Kind::Double,
        Kind::String,
        Kind::Timestamp,
        Kind::Duration,
        Kind::List,
        Kind::Map,
        Kind::Optional,
    ];
    for text in [
        "day - request.time > duration('1s')",
        "duration('1s') <= day - request.time && n == 1",
        "n + m > 2 || s.size() == 1",
        "user.email.endsWith('e') && s < 'b'",
        "tags.exists(t, t == s) && tags.all(t, t != 'q')",
        "any.list.exists(x, i, i > 0 && x == 2)",
        "(n == 1 ? d : 2.0) > 1.0",
        "tags.exists(i, t, i > 0.5)",
        "tags.all(i, t, d > i || n in [1, 2, 3])",
        "user.claims.level > 1 && user.claims.tenant in ['a', 'b']",
    ] {
        let (compiled, found) = condition(text, &environment());
        let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
        for at in 0..program.kinds.len() {
            for kind in kinds {
                let mut program = program.clone();
                program.kinds[at] = kind;
                let mut symbols = Symbols::default();
                let ways = Ways::link(&program, &LAYOUT, &mut symbols).unwrap();
                let agreed = ways.run(&data(&some_data(), &symbols).inputs());
                assert!(agreed.is_ok(), "{text}, {kind:?} at {at}: {agreed:?}");
            }
        }
    }
}

fn some_data() -> Given {
    Given {
        role: json!("admin"),
        email: json!("me@corp.example"),
        permissions: vec!["a", "p"],
        claims: json!({"tenant": "a", "level": 2}),
        response: json!({"rows": [{"n": 1, "name": "a"}, {"n": 3, "name": "b"}], "yes": true, "n": 4, "name": "x"}),
        any: json!({"a": "b", "n": 3, "list": [1, 2], "yes": false}),
        n: 1,
        m: 1,
        d: 1.5,
        s: "a",
        tags: vec!["a", "b"],
        day: 1_705_000_000,
    }
}

#[test]
fn machine_code_is_seldom_unsure() {
    let given = some_data();
    for text in [
        "user.role != 'admin'",
        "'p' in user.permissions && 'q' in user.permissions",
        "user.permissions.exists(p, p in ['x', 'p'])",
        "s != user.claims.tenant && user.role == 'x'",
        "user.email.endsWith('@corp.example')",
        "response.name == 'x' || missing(1)",
        "response.rows.exists(r, r.n > 2 && r.name == 'b')",
        "response.rows.exists(r, r.n > 2) && tags.all(t, t != 'q')",
        "any.list.exists(x, i, i > 0 && x == 2)",
        "n + m * 3 > 2 && d * 2.0 < 4.0 && (n == 1 ? m == 1 : m == 2)",
        "day > timestamp('2024-01-01T00:00:00Z') && day - request.time < duration('1h')",
        "n in [1, 2, 3] && s in ['a', 'b', 'c', 'd', 'e', 'f'] && s in ['a', 'b']",
        "tags.filter(t, t != 'a').size() == 1",
        "size(s) == 1 && s.size() < 2",
        "any.?n.orValue(1) == 3",
        "type(n) == int",
        "any.nothing == 1 || n == 1",
    ] {
        let text = text.replace(" || missing(1)", "");
        for plain in [false, true] {
            let compile = if plain { expression_plainly } else { condition };
            let (compiled, found) = compile(&text, &environment());
            let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
            let mut symbols = Symbols::default();
            let ways = Ways::link(&program, &LAYOUT, &mut symbols).unwrap();
            let data = data(&given, &symbols);
            let agreed = ways.run(&data.inputs()).unwrap();
            assert!(agreed.sure, "{text} {plain}");
            assert!(matches!(agreed.outcome, Outcome::True | Outcome::False), "{text}: {agreed:?}");
        }
    }
}

#[test]
fn a_size_is_the_same_in_both_forms_for_each_kind_of_value() {
    let kinds = [Ty::String, Ty::Bytes, Ty::list(Ty::Int), Ty::map(Ty::String, Ty::Int), Ty::Dyn];
    let symbols = Symbols::default();
    let texts =
        ["", "a", "né", "\u{1d4b3}\u{1d4b3}x"].map(|text| Datum::String(symbols.text(text)));
    let bytes = [&b""[..], b"\xff\x00\xc3"].map(|bytes| Datum::Bytes(bytes.into()));
    let lists = [json!([]), json!([1, 2]), json!([[1], "a", {}])];
    let maps = [json!({}), json!({"a": 1, "b": 2, "c": 3})];
    let others = [json!(null), json!(1), json!(1.5), json!(true)];
    let json = lists.iter().chain(&maps).chain(&others).map(|v| Datum::from_json(v, &symbols));
    let values: Vec<(Datum, Option<u64>)> =
        texts.into_iter().chain(bytes).chain(json).map(|v| (v.clone(), size_of(&v))).collect();
    let request = data(&some_data(), &symbols).request;
    for ty in kinds {
        let of = Environment { params: vec![("x".to_owned(), ty.clone())], ..Default::default() };
        for form in ["size(x)", "x.size()", "size(dyn(x))", "dyn(x).size()", "[x][0].size()"] {
            // What is declared is a guess: each type is given values of all.
            for (value, size) in &values {
                for (expected, wanted) in [(*size, true), (size.map(|size| size + 1), false)] {
                    let text = format!("{form} == {}", expected.unwrap_or(0));
                    let (program, _) = expression_plainly(&text, &of).0.unwrap();
                    let layout = Layout { user: 0, params: 1, response: false };
                    let ways = Ways::link(&program, &layout, &mut Symbols::default()).unwrap();
                    let params = std::slice::from_ref(value);
                    let inputs = Inputs {
                        user: &[],
                        user_map: &Datum::Null,
                        params,
                        response: None,
                        request: &request,
                    };
                    let agreed =
                        ways.run(&inputs).unwrap_or_else(|e| panic!("{text} over {value:?}: {e}"));
                    let right = match (&agreed.outcome, expected) {
                        (Outcome::True, Some(_)) => wanted,
                        (Outcome::False, Some(_)) => !wanted,
                        (Outcome::Error(_), None) => true,
                        _ => false,
                    };
                    assert!(right, "{text} over {value:?} of {ty}: {agreed:?}");
                }
            }
        }
    }
}

/// What `size` says of a value, if anything.
fn size_of(value: &Datum) -> Option<u64> {
    let size = match value {
        Datum::String(text) => text.text.chars().count(),
        Datum::Bytes(bytes) => bytes.len(),
        Datum::List(items) => items.len(),
        Datum::Map(entries) => entries.len(),
        _ => return None,
    };
    u64::try_from(size).ok()
}
