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
    let mut report = Report::default();
    for begin in (0..count).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let cases = (begin..(begin + BATCH).min(count)).map(|n| Case::new(seed + n));
        let (alone, asked): (Vec<Case>, Vec<Case>) = cases.partition(|case| case.alone);
        for case in &alone {
            if let Some(ours) = report.ours(case) {
                report.count(("nobody", agreement(&ours)), case);
            }
        }
        for (case, by_google) in asked.iter().zip(google.ask(&asked, true)) {
            if let Some(ours) = report.ours(case) {
                report.compare("cel-cpp", case, &ours, &by_google, (&by_google, &mut google));
                report.compare("cel", case, &ours, &case.crate_cel(), (&by_google, &mut google));
            }
        }
    }
    report.print();
    report.failures.sort_by_key(String::len);
    let shown: Vec<String> = report.failures.iter().take(40).cloned().collect();
    let failures = report.failures.len();
    assert!(failures == 0, "{failures} differences:\n{}", shown.join("\n"));
    report.rules_explain_few(count);
    let alone = report.same("nobody");
    assert!(alone * 10 <= count * 4, "{alone} of {count} cases are for nobody but us");
    for (oracle, most) in [("cel-cpp", 8), ("cel", 4)] {
        let (same, asked) = (report.same(oracle), count - alone);
        assert!(same * 10 >= asked * most, "{oracle} agrees on {same} of {asked}");
    }
}

/// What was said, by whom; how often, with the shortest example.
#[derive(Default)]
struct Report {
    told: BTreeMap<(&'static str, &'static str), (u64, String)>,
    failures: Vec<String>,
}

impl Report {
    fn ours(&mut self, case: &Case) -> Option<Said> {
        let ours = case.ours();
        ours.map_err(|problem| {
            self.failures
                .push(format!("our engines: {}\n    {:?}\n    {problem}", case.text, case.values));
        })
        .ok()
    }

    fn compare(
        &mut self,
        oracle: &'static str,
        case: &Case,
        ours: &Said,
        said: &Said,
        google: (&Said, &mut Google),
    ) {
        let agrees = match (ours, said) {
            (Said::Refused(_), Said::Refused(_)) => true,
            (a, b) => a == b,
        };
        if agrees {
            self.count((oracle, agreement(ours)), case);
        } else if let Some(rule) = explain(oracle, case, ours, said, google) {
            self.count((oracle, rule), case);
        } else {
            self.failures.push(format!(
                "{oracle}: {}\n    {:?}\n    ours   {ours:?}\n    theirs {said:?}",
                case.text, case.values
            ));
        }
    }

    fn count(&mut self, outcome: (&'static str, &'static str), case: &Case) {
        let entry = self.told.entry(outcome).or_insert((0, case.text.clone()));
        entry.0 += 1;
        if case.text.len() < entry.1.len() {
            entry.1.clone_from(&case.text);
        }
    }

    fn print(&self) {
        for ((oracle, outcome), (count, example)) in &self.told {
            println!("{count:>8}  {oracle}: {outcome}    {example}");
        }
    }

    fn same(&self, oracle: &str) -> u64 {
        let agreed =
            self.told.iter().filter(|((of, what), _)| *of == oracle && what.starts_with("same"));
        agreed.map(|(_, (count, _))| count).sum()
    }

    /// A rule that explains more than it did may have begun to hide mistakes.
    fn rules_explain_few(&self, cases: u64) {
        for (oracle, name, most_per_mille) in rules() {
            let explained = self.told.get(&(oracle, name)).map_or(0, |(count, _)| *count);
            // Few cases say little about how many there are of a thousand.
            let most = (cases * most_per_mille).div_ceil(1_000) + 2;
            assert!(explained <= most, "{oracle}: {name}: {explained} cases, at most {most}");
        }
    }
}

/// All rules, with how many of a thousand cases each may explain.
fn rules() -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let judged = [("cel", OUTVOTED, 12), ("cel", UNJUDGED, 2)];
    RULES.iter().map(|rule| (rule.oracle, rule.name, rule.most_per_mille)).chain(judged)
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
    let rows: Vec<String> =
        rules().map(|(oracle, name, _)| format!("| {oracle} | {name} |")).collect();
    for row in &rows {
        assert!(page.contains(row), "docs/cel-differences.md has no row {row:?}");
    }
    for line in page.lines().filter(|line| line.starts_with("| cel")) {
        let known = rows.iter().any(|row| line.starts_with(row));
        assert!(known, "docs/cel-differences.md has a row of no rule: {line}");
    }
}
