//! Costs against what evaluations take, and the errors of conditions that cost too much.

use std::collections::BTreeMap;
use std::sync::Arc;

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Span, Symbols};
use mxcp_policy::function::{Function, Overload, functions};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::{FailureKind, Value};
use mxcp_policy::verify::Layout;

use super::super::{Environment, condition, expression, expression_plainly};
use super::*;

/// `rows`: a list of lists of whole numbers, `text`: a string; with the sizes that are given.
fn environment(rows: Option<u64>, inner: Option<u64>, text: Option<u64>) -> Environment {
    let bound = |path: &str, key| Some(Bound { path: path.to_owned(), key });
    let inner = Shape { max_size: inner, bound: bound("rows[]", "maxItems"), ..Shape::default() };
    let rows = Shape {
        max_size: rows,
        bound: bound("rows", "maxItems"),
        items: Some(Arc::new(inner)),
        ..Shape::default()
    };
    let text = Shape { max_size: text, bound: bound("text", "maxLength"), ..Shape::default() };
    Environment {
        params: vec![
            ("rows".to_owned(), Ty::list(Ty::list(Ty::Int))),
            ("text".to_owned(), Ty::String),
        ],
        shapes: BTreeMap::from([
            ("rows".to_owned(), Arc::new(rows)),
            ("text".to_owned(), Arc::new(text)),
        ]),
        ..Environment::default()
    }
}

fn cost(text: &str, environment: &Environment) -> u64 {
    let (compiled, found) = expression(text, environment);
    assert!(found.is_empty(), "{text}: {found:?}");
    compiled.unwrap().0.cost
}

#[test]
fn loops_multiply_and_declared_sizes_count() {
    let one = environment(Some(10), Some(10), Some(10));
    let ten = environment(Some(100), Some(10), Some(10));
    let flat = "rows.exists(r, size(r) > 1)";
    let nested = "rows.exists(r, r.exists(n, n > 1))";
    assert!(cost(flat, &ten) > 5 * cost(flat, &one));
    assert!(cost(nested, &one) > 4 * cost(flat, &one));
    assert!(cost(nested, &ten) > 9 * cost(nested, &one));
    assert!(
        cost("text.contains('a')", &one)
            < cost("text.contains('a')", &environment(None, None, Some(10_000)))
    );
    assert!(cost("[1, 2].exists(n, n > 1)", &one) < cost("rows.exists(n, true)", &one));
}

#[test]
fn no_size_is_lost_on_the_way() {
    let large = environment(Some(10), Some(5_000), Some(30));
    let note = Shape { max_size: Some(100_000), ..Shape::default() };
    let record = mxcp_policy::ty::Record {
        name: "page".to_owned(),
        fields: vec![mxcp_policy::ty::Field {
            name: "note".to_owned(),
            ty: Ty::String,
            required: true,
        }],
        open: false,
    };
    let page =
        Shape { fields: BTreeMap::from([("note".to_owned(), Arc::new(note))]), ..Shape::default() };
    let mut large = large;
    large.params.push(("any".to_owned(), Ty::Dyn));
    large.params.push(("page".to_owned(), Ty::Record(Arc::new(record))));
    large.shapes.insert("page".to_owned(), Arc::new(page));
    for (text, least) in [
        ("rows[?0].optMap(r, r.exists(n, n == 3)).hasValue()", 5_000),
        ("cel.bind(x, any, x.exists(r, r.exists(n, n > 1)))", 10_000),
        ("any.filter(r, true).exists(r, r.exists(n, n > 1))", 10_000),
        ("any.map(r, r).exists(r, r.tags.exists(t, t.matches('a+')))", 10_000),
        ("page[text].contains('x')", 25_000),
        ("page.exists(k, v, v.contains('x'))", 25_000),
        ("rows.map(r, '^(a long pattern)+$').exists(p, text.matches(p))", 10 * 19 * 64),
        ("rows.flatten(4294967296).size()", 50_000),
    ] {
        let cost = cost(text, &large);
        assert!(cost > least, "{text} may cost {cost}");
    }
}

#[test]
fn sums_and_products_stop_at_the_largest_number() {
    let environment = environment(None, None, None);
    let grown = "text".to_owned() + &".replace(text, text)".repeat(12);
    for text in [grown.clone(), format!("[text].map(v, {grown}).join(text)")] {
        assert_eq!(cost(&format!("{text}.contains({text})"), &environment), u64::MAX, "{text}");
    }
}

#[test]
fn the_error_names_the_bound_that_fixes_it() {
    let nested = "rows.exists(r, r.exists(n, n > 1))";
    let told = |environment: &Environment| {
        let (compiled, found) = condition(nested, environment);
        assert!(compiled.is_none());
        found.into_iter().flat_map(|finding| finding.help).collect::<Vec<_>>().join("; ")
    };
    let most = |help: &str| -> u64 {
        let digits: String = help
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap()
    };
    let help = told(&environment(Some(100_000), Some(100), None));
    assert!(help.contains("for `rows`"), "{help}");
    // The bound is enough, and one more is not.
    let rows = most(&help);
    assert!(condition(nested, &environment(Some(rows), Some(100), None)).0.is_some());
    assert!(condition(nested, &environment(Some(rows + 1), Some(100), None)).0.is_none());
    let help = told(&environment(Some(2_000_000), Some(2_000_000), None));
    assert!(help.contains("and"), "{help}");
}

/// Code points of the longest text in these tests.
const TEXT: usize = 24;
/// Items of the longest list, entries of the largest map.
const ITEMS: usize = 20;

/// What is declared about values of a type: the sizes above, at every depth.
fn declared(ty: &Ty) -> Shape {
    let size = match ty {
        Ty::String | Ty::Bytes => TEXT,
        _ => ITEMS,
    };
    let items = match ty {
        Ty::List(of) => Some(Arc::new(declared(of))),
        _ => None,
    };
    Shape { max_size: Some(size as u64), items, ..Shape::default() }
}

/// Values of a type that are as large as they may be: equal ones, and ones that differ at their ends.
fn largest_values(ty: &Ty, symbols: &Symbols) -> Vec<Datum> {
    let text = |text: String| Datum::String(symbols.text(text.as_str()));
    match ty {
        Ty::Bool => vec![Datum::Bool(true), Datum::Bool(false)],
        Ty::Int => [3, 0, 1, -1, i64::MAX, i64::MIN].map(Datum::Int).into(),
        Ty::Uint => [3, u64::MAX].map(Datum::Uint).into(),
        Ty::Double => [1.5, -f64::MAX, f64::NAN].map(Datum::Double).into(),
        Ty::Timestamp => vec![Datum::Timestamp(Instant { seconds: 1_700_000_000, nanos: 5 })],
        Ty::Duration => vec![Datum::Duration(Span { seconds: 90, nanos: 5 })],
        Ty::Bytes => vec![Datum::Bytes(vec![0xff; TEXT * 4].into())],
        Ty::String => vec![
            text("\u{1d4b3}".repeat(TEXT)),
            text(format!("{}b", "\u{1d4b3}".repeat(TEXT - 1))),
            text("%s".repeat(TEXT / 2)),
            text("\"".repeat(TEXT)),
            text("a".to_owned()),
        ],
        Ty::List(of) => {
            let items = largest_values(of, symbols);
            let same =
                |item: &Datum| Datum::List(vec![item.clone(); ITEMS].into_boxed_slice().into());
            let mut lists: Vec<Datum> = items.iter().map(same).collect();
            if **of == Ty::String {
                let long = "\u{1d4b3}".repeat(TEXT - 2);
                let apart = (0..ITEMS).map(|i| text(format!("{long}{i:02}")));
                lists.push(Datum::List(apart.collect::<Box<[Datum]>>().into()));
            }
            lists
        }
        Ty::Map(_, of) => {
            let key = |i| symbols.text(format!("{}{i:02}", "k".repeat(TEXT)).as_str());
            let of = largest_values(of, symbols);
            of.iter()
                .map(|value| {
                    let entries = (0..ITEMS).map(|i| (key(i), value.clone()));
                    Datum::Map(entries.collect::<Vec<_>>().into())
                })
                .collect()
        }
        _ => panic!("there are no values of {ty}"),
    }
}

/// The types that a type of a signature may stand for.
fn choices(ty: &Ty) -> Vec<Ty> {
    match ty {
        Ty::Var(_) | Ty::Dyn => vec![Ty::String, Ty::list(Ty::String), Ty::list(Ty::list(Ty::Int))],
        Ty::List(of) => choices(of).into_iter().map(Ty::list).collect(),
        Ty::Map(_, of) => choices(of).into_iter().map(|of| Ty::map(Ty::String, of)).collect(),
        Ty::Optional(of) => choices(of),
        other => vec![other.clone()],
    }
}

/// Checks that an expression of these parameters is evaluated, over their largest values, in as many
/// steps as it may cost, and that these are not far more than it takes.
fn check(text: &str, types: &[Ty]) {
    let names = || (0..).map(|i| format!("p{i}"));
    let environment = Environment {
        params: names().zip(types.iter().cloned()).collect(),
        shapes: names().zip(types.iter().map(|ty| Arc::new(declared(ty)))).collect(),
        ..Environment::default()
    };
    for compile in [expression, expression_plainly] {
        let (compiled, found) = compile(text, &environment);
        let (program, _) = compiled.unwrap_or_else(|| panic!("{text}: {found:?}"));
        // A bound that is far too high would hold as well.
        assert!(program.cost < 2 * MAX_COST_STEPS, "{text} may cost {}", program.cost);
        let mut symbols = Symbols::default();
        let layout = Layout { user: 0, params: types.len(), response: false };
        let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
        let of_each: Vec<Vec<Datum>> =
            types.iter().map(|ty| largest_values(ty, &symbols)).collect();
        let variants = of_each.iter().map(Vec::len).max().unwrap_or(1);
        for (shift, at) in (0..variants).flat_map(|i| (0..variants).map(move |j| (i, j))) {
            let values = (0_usize..).zip(&of_each);
            let values = values.map(|(i, all)| all[(at + i * shift) % all.len()].clone());
            let params: Vec<Datum> = values.collect();
            let within = suffices(&predicate, &params, program.cost);
            assert!(within, "{text} over {params:?} takes more than {}", program.cost);
        }
    }
}

/// Whether an expression is evaluated in so many steps.
fn suffices(predicate: &Predicate, params: &[Datum], steps: u64) -> bool {
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: Symbols::default().text("t"),
        session_id: None,
        client_ip: None,
    };
    let inputs =
        Inputs { user: &[], user_map: &Datum::Null, params, response: None, request: &request };
    let arena = Bump::new();
    let value = predicate.value_within(steps, &inputs, &arena);
    !matches!(value, Value::Error(fault) if fault.kind == FailureKind::Budget)
}

/// A call of an overload, with parameters as its arguments.
fn call(function: &Function, overload: &Overload) -> String {
    let args: Vec<String> = (0..overload.params.len())
        .map(|i| match overload.params[i].ty() {
            Ty::Optional(_) => format!("optional.of(p{i})"),
            Ty::Dyn => format!("dyn(p{i})"),
            _ => format!("p{i}"),
        })
        .collect();
    match (function.name, args.as_slice()) {
        ("@in", [a, b]) => format!("{a} in {b}"),
        ("-_", [a]) => format!("-{a}"),
        ("!_", [a]) => format!("!{a}"),
        (name, [a, b]) if name.starts_with('_') => format!("{a} {} {b}", name.trim_matches('_')),
        (name, [of, rest @ ..]) if overload.member => format!("{of}.{name}({})", rest.join(", ")),
        (name, all) => format!("{name}({})", all.join(", ")),
    }
}

#[test]
fn no_function_takes_more_steps_than_its_bound() {
    for function in functions().iter().filter(|function| !function.is_internal()) {
        for overload in function.overloads {
            let text = call(function, overload);
            let mut types: Vec<Vec<Ty>> =
                overload.params.iter().map(|param| choices(&param.ty())).collect();
            if overload.id == "in_map" {
                // What is looked for is a key.
                types[0] = vec![Ty::String];
            }
            for choice in 0..types.iter().map(Vec::len).max().unwrap_or(1) {
                let types: Vec<Ty> = types.iter().map(|of| of[choice % of.len()].clone()).collect();
                // What is made of a call is as large as its bound says.
                for text in [text.clone(), format!("[{text}] == [{text}]")] {
                    check(&text, &types);
                }
            }
        }
    }
}

/// Expressions of texts `p0` and `p1`, a list of texts `p2`, a list of lists of whole numbers `p3` and
/// a map of texts `p4`.
const MACROS: &[&str] = &[
    "p2.all(x, x != p0)",
    "p2.exists(x, x == p0 + 'x')",
    "p2.exists(x, x in ['a', 'b', 'c'])",
    "p2.exists(x, x == 'a')",
    "p2.all(x, x in p2)",
    "p2.exists_one(x, x == p0)",
    "p2.filter(x, x.size() > 1).map(y, y + p0).distinct().size() > 3",
    "p2.map(x, x > 'b', x + x)",
    "p3.all(r, r.all(n, n < 9223372036854775807))",
    "p3.map(r, r.map(n, [n, n])).flatten().flatten().size() > 1",
    "p3.flatten(5).sort() == p3.flatten().sort()",
    "p3.map(r, r.distinct()) == p3",
    "p3 == p3 && p3[0] == p3[1]",
    "p3.exists(r, r[0] == 1 || r.size() == lists.range(r.size()).size())",
    "p4.all(k, p4[k] == p0 || k in p4)",
    "p4.all(k, v, k != v)",
    "p4.transformMap(k, v, v + k)['x'] == p4['y']",
    "p4.transformMapEntry(k, v, {v + k: k, k: v}).size() > 1",
    "p4.transformList(k, v, k + v).join(p0) == p1",
    "p2.transformMap(i, v, v).all(k, v, k > 3 && v == p0)",
    "p2.transformMapEntry(i, v, {string(i) + v: v})",
    "p2.transformList(i, v, i > 2, v).sort()",
    "{p0: 1, p1 + 'x': 2, 'c': 3}[p0] == 1",
    "{'a': p2, 'b': [p0]}.a.all(x, x == p1)",
    "{1: {2: p2}, 3: {4: [p1]}}[1][2].exists(x, x == p0)",
    "p2.sortBy(x, x + p0)",
    "p2.map(x, p0.split('').join(x)).all(y, y.size() > 3)",
    "p2.map(x, [x, p0, p1]).distinct()",
    "p2.exists(x, x.matches(p0)) || p2.exists(x, x.matches('^a+$'))",
    "cel.bind(x, p0 + p1, x.contains(x) && x.matches(x))",
    "p0.size() > 3 ? p2.exists(x, x == p0) : p2.all(x, x == p0 && x != p1)",
    "p2[?0].optMap(x, x + p0).orValue(p1).size() > 2",
    "p2[?0].optFlatMap(x, p4[?x]).hasValue()",
    "p4.?a.orValue(p0) == p1",
    "'%s %s %s'.format([p3, p4, p2]).size() > 3",
    "'%f %.100f %x %X'.format([1e300, -1e300, p0, p1]) == p0",
    "has(p4.a) && p4.a == p4.b",
    "['a', p0, p1, []].flatten(2).size() > 1",
    "'%s'.format([[-1.7976931348623157e308, 5e-324, double(p3[0][0]) * 1e300]]).size() > 3",
    "'%s %s'.format([p4.filter(k, k > 'a'), p3.transformMap(i, r, [r]).filter(i, true)]).size() > 3",
    "'%s'.format([[p3.transformMapEntry(i, r, {i - 9000000000000000000: r, p0: [i]})]]).size() > 3",
    "'%s'.format([[bytes(p0), null, type(p3), p0 + p1, 1u, duration('-1.5s')]]).size() > 3",
    "'%s %s'.format([p2.map(x, x.split('')), lists.range(20).map(i, [-1 - i])]).size() > 3",
    "'%s %s'.format([[p3, [[0.1]]].flatten(2), [dyn(p3), -5e-324].flatten()]).size() > 3",
    "sets.contains([p4], [p4.transformMap(k, v, v)])",
    "dyn(p3).exists(r, dyn(r).exists(n, dyn(n) == 1.0))",
    "p2.map(x, dyn(x)).filter(x, type(x) == string) == p2",
    "lists.range(40).all(i, lists.range(30).all(j, i * 40 + j > -1))",
    "p2.reverse().slice(2, 7).first().value() == p2.last().orValue(p0)",
];

#[test]
fn no_macro_takes_more_steps_than_its_bound() {
    let types = [
        Ty::String,
        Ty::String,
        Ty::list(Ty::String),
        Ty::list(Ty::list(Ty::Int)),
        Ty::map(Ty::String, Ty::String),
    ];
    for text in MACROS {
        check(text, &types);
    }
}

/// How many times what an expression takes over the largest values its bound is, rounded down.
fn excess(text: &str, ty: &Ty) -> u64 {
    let environment = Environment {
        params: vec![("p0".to_owned(), ty.clone())],
        shapes: BTreeMap::from([("p0".to_owned(), Arc::new(declared(ty)))]),
        ..Environment::default()
    };
    let (program, _) = expression(text, &environment).0.unwrap();
    let mut symbols = Symbols::default();
    let layout = Layout { user: 0, params: 1, response: false };
    let predicate = Predicate::link(&program, &layout, &mut symbols).unwrap();
    let values = largest_values(ty, &symbols);
    let takes = |value: &Datum| {
        let (mut few, mut enough) = (0, program.cost);
        while enough - few > 1 {
            let middle = few + (enough - few) / 2;
            let within = suffices(&predicate, std::slice::from_ref(value), middle);
            if within { enough = middle } else { few = middle }
        }
        enough
    };
    let most = values.iter().map(takes).max().unwrap();
    program.cost / most
}

#[test]
fn the_bound_of_what_is_written_is_near_what_that_takes() {
    let lists = |ty: Ty| Ty::list(Ty::list(ty));
    for ty in [
        Ty::list(Ty::Int),
        lists(Ty::Int),
        Ty::list(lists(Ty::Bool)),
        lists(Ty::Uint),
        lists(Ty::String),
        lists(Ty::Bytes),
        lists(Ty::Timestamp),
        lists(Ty::Duration),
    ] {
        for text in ["'%s'.format([p0]).size()", "'%s'.format([p0.map(x, [x])]).size()"] {
            let excess = excess(text, &ty);
            assert!(excess < 4, "{text} over {ty}: {excess} times what it takes");
        }
    }
}
