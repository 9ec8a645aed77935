//! The official conformance suite of CEL, on every engine: values, deduced types, and errors at the
//! stage where they belong.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use mxcp_compiler::cel::{self, Environment, Finding, Stage, Typed};
use mxcp_policy::value::Value;
use mxcp_schemas::bundle::code::Program;
use mxcp_tests::cel::engine::{By, ENGINES};
use mxcp_tests::cel::json::{is_ty, is_value};
use mxcp_tests::cel::suite::{self, Case, Expected};

/// Cases of the suite that are run, and those that are left out by the rule.
const COUNTED: usize = 1_651;
const EXCLUDED: usize = 693;
/// Cases of the reference implementation's own tests of parser and checker that are run.
const PARSED: usize = 148;
const CHECKED: usize = 74;

#[test]
fn every_case_without_messages_passes() {
    let cases = suite::load("conformance");
    let mut excluded: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let (mut failures, mut counted, mut answered) = (Vec::new(), 0, Answered::new());
    for case in &cases {
        if let Some(reason) = case.excluded() {
            let section = case.path.split('/').next().unwrap_or_default().to_owned();
            *excluded.entry((section, reason)).or_default() += 1;
            continue;
        }
        counted += 1;
        failures.extend(run(case, &mut answered).err().map(|problem| {
            format!("{}: {}\n    {problem}", case.path, case.expression.replace('\n', " "))
        }));
    }
    println!("{counted} cases run");
    print_answered(&answered);
    assert!(
        failures.is_empty(),
        "{} of {counted} cases fail:\n  {}",
        failures.len(),
        failures.join("\n  ")
    );
    assert_eq!((counted, excluded.values().sum::<usize>()), (COUNTED, EXCLUDED));
    // A case that moves from one reason to another changes no sum.
    let row = |((section, reason), count): (&(String, &str), &usize)| {
        format!("{count:>5}  {section}: {reason}")
    };
    let table: Vec<String> = excluded.iter().map(row).collect();
    insta::assert_snapshot!("left_out", table.join("\n"));
    let by_code = |engine| {
        let told = answered.iter().filter(|((name, by), _)| {
            *name == engine && matches!(by, By::MachineCode | By::Stepped(_))
        });
        told.map(|(_, count)| count).sum::<usize>()
    };
    let all = answered.iter().filter(|((name, _), _)| *name == "machine code").map(|(_, n)| n);
    let (code, all) = (by_code("machine code"), all.sum::<usize>());
    assert!(code * 10 >= all * 9, "machine code answered {code} of {all} evaluations");
}

/// How often who answered, for each engine.
type Answered = BTreeMap<(&'static str, By), usize>;

fn print_answered(answered: &Answered) {
    println!("evaluations by engine, and who answered:");
    for ((engine, by), count) in answered {
        let by = match by {
            By::Interpreter => "the interpreter".to_owned(),
            By::MachineCode => "machine code alone".to_owned(),
            By::Stepped(what) => {
                format!("machine code, with steps of the interpreter for {}", what.join(", "))
            }
            By::GaveUp(why) => format!("the interpreter, code gave up: {why}"),
            By::TooLarge => "the interpreter, not lowered: too large".to_owned(),
        };
        println!("{count:>5}  {engine}: {by}");
    }
}

/// Why the parser of the reference implementation refuses an expression that this one may take:
/// settings and limits that are its own.
const OWN_LIMITS: [&str; 5] =
    ["unsupported syntax", "recursion", "lookahead", "accumulator variable", "not a message type"];

#[test]
fn what_the_reference_parses_is_parsed_and_the_rest_refused() {
    let (mut counted, mut failures) = (0, Vec::new());
    for case in suite::load("parsing") {
        let own = OWN_LIMITS.iter().any(|limit| case.says(limit));
        // What is wrong inside of a message is not told apart from the message.
        let message = case.expression.contains('{') && !case.parses;
        if case.excluded().is_some() || own || message {
            continue;
        }
        counted += 1;
        let (_, found) = cel::parser::parse(&case.expression);
        let message = found.iter().any(|finding| finding.code.slug == "no-messages");
        let parses = !found.iter().any(Finding::is_error);
        if parses != case.parses && !message {
            failures.push(format!("{:?}: {}", case.expression, told(&found)));
        }
        if found.iter().any(|finding| finding.stage != Stage::Parse) {
            failures.push(format!("{:?}: not told by the parser", case.expression));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(counted, PARSED);
}

#[test]
fn what_the_reference_checks_has_its_type_and_the_rest_is_refused() {
    // Numbers of different types have an order here, as they have at run time.
    let own = ["unsupported syntax", "applied to '(int, double)'", "is not a type"];
    let (mut counted, mut failures) = (0, Vec::new());
    for case in suite::load("checking") {
        if case.excluded().is_some() || own.iter().any(|limit| case.says(limit)) {
            continue;
        }
        counted += 1;
        let (typed, found) = cel::typed(&case.expression, &case.reference_environment());
        let typed = typed.filter(|_| !found.iter().any(Finding::is_error));
        match (case.ty(), typed) {
            (Some(wanted), Some(typed)) => {
                let ty = typed.ty(typed.tree.root);
                if !is_ty(&wanted, ty) {
                    failures.push(format!("{}: its type is {ty}, not {wanted}", case.expression));
                }
            }
            (Some(_), None) => failures.push(format!("{}: {}", case.expression, told(&found))),
            (None, Some(_)) => failures.push(format!("{}: is not refused", case.expression)),
            (None, None) => {
                // That there are no messages is known before there are types.
                let read = |finding: &&Finding| {
                    finding.stage != Stage::Check && finding.code.slug != "no-messages"
                };
                if let Some(finding) = found.iter().filter(|finding| finding.is_error()).find(read)
                {
                    let message = &finding.message;
                    failures.push(format!("{}: told by the parser: {message}", case.expression));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(counted, CHECKED);
}

fn run(case: &Case, answered: &mut Answered) -> Result<(), String> {
    let environment = case.environment();
    let expected = case.expected();
    if let (Some(wanted), false) = (case.ty(), case.disable_check()) {
        let (typed, found) = cel::typed(&case.expression, &environment);
        let typed = typed.filter(|_| !found.iter().any(Finding::is_error));
        let typed = typed.ok_or_else(|| format!("does not check: {}", told(&found)))?;
        let found = typed.ty(typed.tree.root);
        if !is_ty(&wanted, found) {
            return Err(format!("its type is {found}, not {wanted}"));
        }
    }
    if expected == Expected::TypeAlone {
        return Ok(());
    }
    // As policies are compiled, and with nothing computed ahead, so that the engines do all the work.
    let passes: &[Compile] = if case.disable_check() {
        &[cel::unchecked]
    } else {
        &[cel::expression, cel::expression_plainly]
    };
    for compile in passes {
        let (compiled, found) = compile(&case.expression, &environment);
        let (program, _) = compiled.ok_or_else(|| format!("does not compile: {}", told(&found)))?;
        evaluate(case, &environment, &expected, &program, answered)?;
    }
    Ok(())
}

type Compile = fn(&str, &Environment) -> (Option<(Program, Typed)>, Vec<Finding>);

/// Evaluates on every engine.
fn evaluate(
    case: &Case,
    environment: &Environment,
    expected: &Expected,
    program: &Program,
    answered: &mut Answered,
) -> Result<(), String> {
    let is_condition = match expected {
        Expected::Value(value) => value.get("boolValue").is_some(),
        _ => true,
    };
    for engine in ENGINES.iter().filter(|engine| engine.any_type || is_condition) {
        let verdict = engine.run(
            program,
            |symbols| case.params(environment, symbols),
            |answer, arena| {
                *answered.entry((engine.name, answer.by)).or_default() += 1;
                match (expected, answer.value) {
                    (Expected::Error, Value::Error(_)) => Ok(()),
                    (Expected::Value(expected), actual) if is_value(expected, &actual, arena) => {
                        Ok(())
                    }
                    (Expected::Value(expected), actual) => {
                        Err(format!("{}: {actual} instead of {expected}", engine.name))
                    }
                    (_, actual) => Err(format!("{}: {actual} instead of an error", engine.name)),
                }
            },
        );
        verdict.and_then(|verdict| verdict)?;
    }
    Ok(())
}

fn told(found: &[Finding]) -> String {
    found.iter().map(|f| f.message.clone()).collect::<Vec<_>>().join("; ")
}
