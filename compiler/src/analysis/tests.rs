//! What the analysis says of conditions is held against values that the declarations accept.

use std::collections::BTreeMap;

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::ty::Ty;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Program;
use mxcp_schemas::document::endpoint;
use mxcp_schemas::document::ty::{Type, TypeName};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Answer, Condition, Facts, Point, Question, Table, decide};
use crate::cel::{Environment, Typed, condition};
use crate::types;

/// Declarations, and what a condition may ask about a parameter so declared, where `@` stands.
#[derive(Debug, Clone, Copy)]
struct Family {
    declarations: &'static [&'static str],
    atoms: &'static [&'static str],
}

const INTEGERS: Family = Family {
    declarations: &[
        "type: integer",
        "type: integer, minimum: 1, maximum: 10",
        "type: integer, exclusiveMinimum: 0, exclusiveMaximum: 11",
        "type: integer, enum: [1, 2, 3, 10]",
        "type: integer, multipleOf: 10",
        "type: integer, minimum: 5",
    ],
    atoms: &["@ == 10", "@ > 9", "@ >= 1", "@ < 5", "@ in [1, 3]", "@ <= 20", "@ > -1", "@ < 2.5"],
};
const NUMBERS: Family = Family {
    declarations: &[
        "type: number",
        "type: number, minimum: 0, maximum: 1",
        "type: number, exclusiveMinimum: 0, maximum: 1",
        "type: number, enum: [0.25, 0.5, 1]",
        "type: number, multipleOf: 0.5",
    ],
    atoms: &["@ > 0.5", "@ >= 0.5", "@ == 1.0", "@ < 1", "@ > 0", "@ <= 0.25", "@ > 1e300"],
};
const TEXTS: Family = Family {
    declarations: &[
        "type: string",
        "type: string, enum: [a, b, c]",
        "type: string, enum: [a, b]",
        "type: string, maxLength: 1",
        "type: string, minLength: 2",
        "type: string, pattern: '^[a-z]$'",
    ],
    atoms: &["@ == 'a'", "@ != 'b'", "@ in ['a', 'b']", "@ in user.groups", "user.role == @"],
};
const LISTS: Family = Family {
    declarations: &[
        "type: array, items: {type: string}",
        "type: array, items: {type: string, enum: [a, b]}",
        "type: array, items: {type: string, enum: [a, b, c]}, minItems: 2",
        "type: array, items: {type: string}, minItems: 2",
        "type: array, items: {type: string}, minItems: 2, uniqueItems: true",
        "type: array, items: {type: string, enum: [a, b]}, minItems: 2, uniqueItems: true",
        "type: array, items: {type: string}, maxItems: 1",
    ],
    atoms: &[
        "'a' in @",
        "@.all(t, t == 'a')",
        "@.exists(t, t in ['a', 'b'])",
        "@.exists(t, t != 'a')",
        "size(@) > 0",
        "@.all(t, t in ['a', 'b'])",
        "user.role in @",
    ],
};

/// Values of all kinds; a parameter has those that its declaration accepts.
fn values() -> Vec<Json> {
    let mut values = vec![json!(f64::MAX), json!(-f64::MAX)];
    values.extend((-2..=22).map(|n| json!(n)));
    values.extend((-4..=8).map(|n| json!(f64::from(n) / 4.0 + 0.125)));
    values.extend((-4..=8).map(|n| json!(f64::from(n) / 4.0)));
    let texts = ["a", "b", "c", "z", "other", "zz"];
    values.extend(texts.map(Json::from));
    let some = ["a", "b", "c", "z"].map(Json::from);
    values.push(json!([]));
    for a in &some {
        values.push(json!([a]));
        for b in &some {
            values.push(json!([a, b]));
            values.extend(some.iter().map(|c| json!([a, b, c])));
        }
    }
    values
}

fn datum(ty: &Type, value: &Json, symbols: &Symbols) -> Datum {
    match (ty.name.value, value) {
        (TypeName::Integer, value) => Datum::Int(value.as_i64().unwrap()),
        (TypeName::Number, value) => Datum::Double(value.as_f64().unwrap()),
        (_, Json::Array(items)) => {
            let text = |item: &Json| Datum::String(symbols.text(item.as_str().unwrap()));
            Datum::List(items.iter().map(text).collect())
        }
        (_, value) => Datum::String(symbols.text(value.as_str().unwrap())),
    }
}

/// Two parameters of which two conditions speak.
struct Case {
    declared: Vec<Type>,
    environment: Environment,
}

impl Case {
    fn new(x: &str, y: &str) -> Self {
        let text = format!(
            "mxcp: 1\ntool:\n  name: t\n  source: {{code: 'SELECT $x, $y'}}\n  parameters:\n    - {{name: x, {x}}}\n    - {{name: y, {y}}}\n"
        );
        let (file, found) = endpoint::read(&"t.yml".into(), &text);
        assert!(found.iter().all(|d| !d.is_error()), "{text}: {found:?}");
        let parameters = file.unwrap().endpoint.parameters;
        let declared: Vec<Type> = parameters.into_iter().map(|parameter| parameter.ty).collect();
        let named = || ["x", "y"].into_iter().zip(&declared);
        let environment = Environment {
            user: Some(Environment::user_record(&[])),
            params: named().map(|(n, ty)| (n.to_owned(), types::in_conditions(ty, n))).collect(),
            shapes: named()
                .map(|(n, ty)| (n.to_owned(), types::shape(ty, n)))
                .collect::<BTreeMap<_, _>>(),
            ..Environment::default()
        };
        Self { declared, environment }
    }

    fn compiled(&self, text: &str) -> Option<(Program, Typed)> {
        condition(text, &self.environment).0
    }

    /// What conditions say for every two values that the declarations accept, and for callers who have
    /// the roles and groups that they mention or another one.
    fn answers(&self, programs: &[&Program], mut each: impl FnMut(&[Answer])) {
        let mut symbols = Symbols::default();
        let user = self.environment.user.as_ref().map_or(0, |record| record.fields.len());
        let layout = Layout { user, params: 2, response: false };
        let linked: Vec<Predicate> = programs
            .iter()
            .map(|program| Predicate::link(program, &layout, &mut symbols).unwrap())
            .collect();
        let accepted = |ty: &Type| -> Vec<Datum> {
            let all = values();
            let whole = |value: &Json| ty.name.value != TypeName::Integer || value.is_i64();
            let fit = all.iter().filter(|value| ty.accepts(value).is_ok() && whole(value));
            fit.map(|value| datum(ty, value, &symbols)).collect()
        };
        let [xs, ys] = [accepted(&self.declared[0]), accepted(&self.declared[1])];
        assert!(!xs.is_empty() && !ys.is_empty());
        let request = Request {
            time: Instant { seconds: 0, nanos: 0 },
            tool: symbols.text("t"),
            session_id: None,
            client_ip: None,
        };
        let mut arena = Bump::new();
        for role in ["a", "b", "z"] {
            let mut attributes = vec![Datum::Null; user];
            attributes[5] = Datum::String(symbols.text(role));
            attributes[8] = Datum::List([Datum::String(symbols.text(role))].into_iter().collect());
            for x in &xs {
                for y in &ys {
                    let params = [x.clone(), y.clone()];
                    let inputs = Inputs {
                        user: &attributes,
                        user_map: &Datum::Null,
                        params: &params,
                        response: None,
                        request: &request,
                    };
                    let answer = |predicate: &Predicate| match predicate.evaluate(&inputs, &arena) {
                        Outcome::True => Answer::True,
                        Outcome::False => Answer::False,
                        Outcome::Error(_) => Answer::Error,
                    };
                    each(&linked.iter().map(answer).collect::<Vec<_>>());
                    arena.reset();
                }
            }
        }
    }

    /// What the analysis says of two conditions: whether each is constant, whether it takes effect always
    /// or never, and whether the first implies the second.
    fn told(&self, conditions: &[Condition<'_>]) -> Option<Told> {
        let declared: Vec<&Type> = self.declared.iter().collect();
        let facts = Facts { environment: &self.environment, parameters: &declared, result: None };
        let table: Table = decide(&facts, conditions);
        let one = |at: usize| table.question(&[at]).map(|q| (q.constant(0), q.always(0)));
        let implies = table.question(&[0, 1]).and_then(|q: Question<'_>| q.implies(0, &[1]));
        // Every world that it speaks of is one that there is.
        if let Some(question) = table.question(&[0, 1]) {
            let strange = question.find(&[], |point| {
                let witness = point.world().witness(&facts);
                witness.arguments.iter().any(|(name, value)| {
                    self.declared[usize::from(name == "y")].accepts(value).is_err()
                })
            });
            assert!(strange.is_none_or(|found| found.is_none()), "a world that cannot be");
            // Asking conditions early leads to the world that trying all of them leads to.
            for (first, second) in [(false, false), (false, true), (true, false), (true, true)] {
                let early = question.find(&[(0, first), (1, second)], |_| true);
                let late = question.find(&[], |point| {
                    point.answer(0).fires() == first && point.answer(1).fires() == second
                });
                let world = |found: &Option<Option<Point<'_>>>| {
                    found
                        .as_ref()
                        .map(|found| found.as_ref().map(|point| format!("{:?}", point.world())))
                };
                assert!(late.is_none() || world(&early) == world(&late), "another world");
            }
        }
        Some(Told { alone: [one(0)?, one(1)?], implies })
    }
}

struct Told {
    alone: [(Option<Answer>, Option<bool>); 2],
    implies: Option<bool>,
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(INTEGERS), Just(NUMBERS), Just(TEXTS), Just(LISTS)]
}

/// A family and one of its declarations, by index.
fn declared() -> impl Strategy<Value = (Family, &'static str)> {
    family().prop_flat_map(|family| (Just(family), prop::sample::select(family.declarations)))
}

fn text(x: Family, y: Family) -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        4 => prop::sample::select(x.atoms).prop_map(|atom| atom.replace('@', "x")),
        2 => prop::sample::select(y.atoms).prop_map(|atom| atom.replace('@', "y")),
        1 => Just("x == y".to_owned()),
        1 => Just("user.role == 'a'".to_owned()),
    ];
    atom.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn cases() -> impl Strategy<Value = ([&'static str; 2], [String; 2])> {
    (declared(), declared()).prop_flat_map(|((x, first), (y, second))| {
        (Just([first, second]), [text(x, y), text(x, y)])
    })
}

/// Holds what is said against the values; `None` where nothing is said.
fn check(declared: [&str; 2], texts: &[String; 2]) -> Option<()> {
    let case = Case::new(declared[0], declared[1]);
    let compiled = [case.compiled(&texts[0])?, case.compiled(&texts[1])?];
    let conditions: Vec<Condition<'_>> =
        compiled.iter().map(|(program, tree)| Condition { tree, program }).collect();
    let told = case.told(&conditions)?;
    let programs: Vec<&Program> = compiled.iter().map(|(program, _)| program).collect();
    case.answers(&programs, |answers| {
        for ((constant, always), answer) in told.alone.iter().zip(answers) {
            assert!(constant.is_none_or(|c| c == *answer), "{declared:?} {texts:?}: {constant:?}");
            assert!(
                always.is_none_or(|a| a == answer.fires()),
                "{declared:?} {texts:?}: {always:?}"
            );
        }
        if told.implies == Some(true) {
            let holds = !answers[0].fires() || answers[1].fires();
            assert!(holds, "{declared:?}: {texts:?} implies");
        }
    });
    Some(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_decided_holds_for_all_that_is_accepted((declared, texts) in cases()) {
        check(declared, &texts);
    }
}

#[test]
fn every_question_about_one_parameter_is_answered_rightly() {
    let mut said = 0;
    for family in [INTEGERS, NUMBERS, TEXTS, LISTS] {
        for declared in family.declarations {
            for atom in family.atoms {
                let text = atom.replace('@', "x");
                let told = check([declared, "type: string"], &[text.clone(), format!("!({text})")]);
                said += u32::from(told.is_some());
            }
        }
    }
    // What is silent is never wrong: most of these can be decided.
    assert!(said > 110, "{said} questions were answered");
}

/// Conditions over truth values, and whether the one at `this` takes effect only where another does.
fn others_cover(texts: &[&str], this: usize) -> Option<bool> {
    let params = (0..17).map(|n| (format!("p{n}"), Ty::Bool)).collect();
    let environment = Environment { params, ..Environment::default() };
    let compiled: Vec<(Program, Typed)> =
        texts.iter().map(|text| condition(text, &environment).0.unwrap()).collect();
    let conditions: Vec<Condition<'_>> =
        compiled.iter().map(|(program, tree)| Condition { tree, program }).collect();
    let facts = Facts { environment: &environment, parameters: &[], result: None };
    let all: Vec<usize> = (0..texts.len()).collect();
    let others: Vec<usize> = all.iter().copied().filter(|at| *at != this).collect();
    decide(&facts, &conditions).question(&all).unwrap().implies(this, &others)
}

const PAIRS: [&str; 7] =
    ["p0 && p1", "p2 && p3", "p4 && p5", "p6 && p7", "p8 && p9", "p10 && p11", "p12 && p13"];

#[test]
fn what_has_many_worlds_is_decided_where_few_of_them_matter() {
    // 2^17 worlds, and the first values that are given contradict one another.
    let decided = [&PAIRS[..], &["p14 && p15", "p14 && p15 && p16"]].concat();
    assert_eq!(others_cover(&decided, 8), Some(true));
    assert_eq!(others_cover(&decided, 0), Some(false));
}

#[test]
fn what_takes_too_many_steps_is_left_open() {
    // The same the other way round: what contradicts is given its values last.
    let open = [&["p14 && p15", "p14 && p15 && p16"], &PAIRS[..]].concat();
    assert_eq!(others_cover(&open, 1), None);
}
