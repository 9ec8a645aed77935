//! Generated expressions over generated values, through the interpreter and machine code and through
//! two other implementations of CEL: Google's (`cel-cpp`) and the crate `cel`. A difference is
//! explained by a rule of `docs/cel-differences.md`, or the test fails.
//!
//! `MXCP_ORACLE_CASES` says how many cases are drawn, `MXCP_ORACLE_SEED` where they begin.
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use mxcp_tests::cel::differences::{OUTVOTED, RULES, UNJUDGED, explain};
use mxcp_tests::cel::oracle::{Case, Google, Said, tell_panics_but_those_of_cel};
use mxcp_tests::workspace;

/// Cases for every day; a night has a million.
const CASES: u64 = 10_000;
/// How many cases are under way at once.
const BATCH: u64 = 500;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn other_implementations_say_the_same() {
    tell_panics_but_those_of_cel();
    let (count, seed) = (number("MXCP_ORACLE_CASES", CASES), number("MXCP_ORACLE_SEED", 1));
    let mut google = Google::start();
    let mut told: BTreeMap<(&str, String), (u64, String)> = BTreeMap::new();
    let mut failures = Vec::new();
    for begin in (0..count).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let cases: Vec<Case> =
            (begin..(begin + BATCH).min(count)).map(|n| Case::new(seed + n)).collect();
        for (case, by_google) in cases.iter().zip(google.ask(&cases)) {
            let ours = match case.ours() {
                Ok(ours) => ours,
                Err(problem) => {
                    failures.push(format!("our engines: {}\n    {problem}", case.text));
                    continue;
                }
            };
            let by_crate = case.crate_cel();
            for (oracle, said) in [("cel-cpp", &by_google), ("cel", &by_crate)] {
                let agrees = match (&ours, said) {
                    (Said::Refused(_), Said::Refused(_)) => true,
                    (a, b) => a == b,
                };
                let outcome = if agrees {
                    agreement(&ours).to_owned()
                } else if let Some(rule) = explain(oracle, case, &ours, said, &by_google) {
                    rule.to_owned()
                } else {
                    failures.push(format!(
                        "{oracle}: {}\n    {:?}\n    ours   {ours:?}\n    theirs {said:?}",
                        case.text, case.values
                    ));
                    continue;
                };
                let entry = told.entry((oracle, outcome)).or_insert((0, case.text.clone()));
                entry.0 += 1;
                if case.text.len() < entry.1.len() {
                    entry.1.clone_from(&case.text);
                }
            }
        }
    }
    for ((oracle, outcome), (count, example)) in &told {
        println!("{count:>8}  {oracle}: {outcome}    {example}");
    }
    failures.sort_by_key(String::len);
    let shown: Vec<String> = failures.iter().take(40).cloned().collect();
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), shown.join("\n"));
    let same = |oracle: &str| -> u64 {
        let agreed =
            told.iter().filter(|((of, what), _)| *of == oracle && what.starts_with("same"));
        agreed.map(|(_, (count, _))| count).sum()
    };
    assert!(same("cel-cpp") * 10 >= count * 8, "cel-cpp agrees on {} of {count}", same("cel-cpp"));
    assert!(same("cel") * 10 >= count * 4, "cel agrees on {} of {count}", same("cel"));
}

const fn agreement(said: &Said) -> &'static str {
    match said {
        Said::Refused(_) => "same: refused",
        Said::Error => "same: an error",
        Said::Value(_) => "same: a value",
        Said::Nothing(_) => "same: nothing",
    }
}

#[test]
fn every_rule_is_explained() {
    let page = std::fs::read_to_string(workspace::root().join("docs/cel-differences.md"))
        .expect("the page is there");
    let more = [("cel", OUTVOTED), ("cel", UNJUDGED)];
    for (oracle, name) in RULES.iter().map(|rule| (rule.oracle, rule.name)).chain(more) {
        let row = format!("| {oracle} | {name} |");
        assert!(page.contains(&row), "docs/cel-differences.md has no row {row:?}");
    }
}
