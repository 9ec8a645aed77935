//! Rows of a declared result: what loops do with fields that stand elsewhere, are missing or are not as
//! declared.

use mxcp_policy::agreement::Ways;
use mxcp_policy::datum::{Datum, List, Symbol, Symbols, Text};
use mxcp_policy::interpret::Outcome;
use mxcp_policy::ty::{Field, Record, Ty};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Environment, Given, LAYOUT, agree_over, any_json, condition, data, environment, given,
    some_data,
};

/// The environment with a result that is declared: rows with a number, a text and a list of numbers.
fn environment_of_rows() -> Environment {
    let field = |name: &str, ty| Field { name: name.to_owned(), ty, required: true };
    let record = |name: &str, fields| {
        Ty::Record(Record { name: name.to_owned(), fields, open: false }.into())
    };
    let row = record(
        "row",
        vec![
            field("lines", Ty::list(Ty::Int)),
            field("n", Ty::Int),
            field("name", Ty::String.nullable()),
        ],
    );
    let response = record("response", vec![field("rows", Ty::list(row))]);
    Environment { response: Some(response), ..environment() }
}

/// Conditions on declared rows.
fn condition_on_rows() -> impl Strategy<Value = String> {
    let of_row = prop::sample::select(vec![
        "r.n > n",
        "n == r.n",
        "r.name == 'a'",
        "r.name != s && r.n < 2",
        "r.lines.exists(l, l > n)",
        "r.lines.all(l, l != n || l == r.n)",
        "r.lines.exists(l, i, l > n || i == 1)",
        "n in r.lines",
        "r.lines.all(l, l < 3) && !(r.name in ['a', 'b'])",
        "r.lines.exists(l, [1, 2].exists(k, k < l && l == n))",
        "r.lines.filter(l, l > n).size() == 1",
        "r.lines[0] > 1",
    ]);
    let of_all = prop::sample::select(vec!["exists", "all", "exists_one"]);
    (of_all, of_row.clone(), of_row, prop::sample::select(vec!["&&", "||"]))
        .prop_map(|(all, a, b, op)| format!("response.rows.{all}(r, {a} {op} {b})"))
}

/// Rows of which most are as declared: fields stand at other places in some, are missing, or are of
/// another type.
fn uneven_rows() -> impl Strategy<Value = Value> {
    let lines = prop_oneof![
        8 => prop::collection::vec((-1_i64..4).prop_map(Value::from), 0..4).prop_map(Value::from),
        1 => any_json(),
    ];
    let name = prop::sample::select(vec![json!("a"), json!("stranger"), json!(null)]);
    let number = prop_oneof![8 => (-2_i64..4).prop_map(Value::from), 1 => any_json()];
    let more = prop_oneof![4 => Just(0_usize), 2 => Just(1_usize), 1 => Just(20_usize)];
    let row = (lines, number, name, more, prop::option::weighted(0.1, 0_usize..3)).prop_map(
        |(lines, n, name, more, gone)| {
            let mut fields = vec![("lines", lines), ("n", n), ("name", name)];
            if let Some(gone) = gone {
                fields.remove(gone);
            }
            let before = (0..more).map(|i| (format!("a{i}"), json!(i)));
            let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
            Value::Object(before.chain(fields).collect())
        },
    );
    prop::collection::vec(row, 0..6).prop_map(|rows| json!({ "rows": rows }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn they_agree_about_rows_that_are_not_alike(
        text in condition_on_rows(), rows in uneven_rows(), given in given(),
    ) {
        let given = Given { response: rows, ..given };
        agree_over(&text, &environment_of_rows(), &|symbols| data(&given, symbols))?;
    }
}

/// A key that was never looked up among those that conditions mention is found by its text, also where
/// other rows had it elsewhere.
#[test]
fn rows_with_keys_that_were_never_looked_up() {
    let row = |keys: &[(&str, Symbol)], n: i64| {
        let entry = |(key, symbol): &(&str, Symbol)| {
            (Text { text: (*key).into(), symbol: *symbol }, Datum::Int(n))
        };
        Datum::Map(keys.iter().map(entry).collect())
    };
    let text = "response.rows.exists(r, r.n > 2)";
    let (compiled, found) = condition(text, &environment_of_rows());
    let (program, _) = compiled.unwrap_or_else(|| panic!("{found:?}"));
    let mut symbols = Symbols::default();
    let ways = Ways::link(&program, &LAYOUT, &mut symbols).unwrap();
    let (n, other) = (symbols.find("n"), symbols.find("a"));
    assert!(matches!((n, other), (Symbol::Known(_), Symbol::Foreign)));
    for last in [1, 3] {
        let rows = [
            row(&[("a", other), ("n", n)], 1),
            row(&[("n", n), ("z", Symbol::Unknown)], 2),
            row(&[("a", Symbol::Unknown), ("n", n)], 0),
            row(&[("b", other), ("n", Symbol::Unknown)], last),
        ];
        let rows = Datum::List(List::from(rows));
        let key = Text { text: "rows".into(), symbol: symbols.find("rows") };
        let given = Given { response: json!(null), ..some_data() };
        let mut data = data(&given, &symbols);
        data.response = Datum::Map([(key, rows)].into());
        let agreed = ways.run(&data.inputs()).unwrap();
        let expected = if last > 2 { Outcome::True } else { Outcome::False };
        assert_eq!(agreed.outcome, expected);
        assert!(agreed.sure);
    }
}
