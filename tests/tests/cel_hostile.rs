//! Conditions that were made to be expensive are accepted or refused, within a small stack, a bounded
//! heap and a bounded number of allocations, and with few findings. How long they take is printed by the
//! benchmark of the same name.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::thread::Builder;

use allocation_counter::measure;
use mxcp_compiler::cel::{self, Finding};
use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Options, compile};
use mxcp_schemas::diagnostic::Diagnostic;
use mxcp_tests::cel::hostile;

/// Half of what the runtime's threads have.
const STACK_BYTES: usize = 1 << 20;
/// Most memory that a condition may need at any one time.
const MAX_HEAP_BYTES: u64 = 64 << 20;
/// Most allocations that a condition may cause: the work it is, whatever else the machine does. A
/// thousand of them take about a tenth of a millisecond.
const MAX_ALLOCATIONS: u64 = 400_000;
/// Most errors and warnings together; see the limits of the parser and of the checker.
const MAX_FINDINGS: usize = 8 + 8 + 8 + 1;
/// The length of an endpoint file that is full of such conditions.
const FILE_BYTES: usize = 64 << 10;
/// Most that is said about such a file beyond its conditions.
const MAX_FINDINGS_BESIDE: usize = 8;

#[test]
fn hostile_conditions_are_accepted_or_refused() {
    let run = || {
        let environment = hostile::environment();
        let mut refused = 0;
        for one in hostile::conditions() {
            assert!(one.text.len() <= 64 << 10, "{}", one.name);
            let (mut compiled, mut found) = (None, Vec::new());
            let cost = measure(|| (compiled, found) = cel::condition(&one.text, &environment));
            assert!(cost.bytes_max <= MAX_HEAP_BYTES, "{}: {} bytes", one.name, cost.bytes_max);
            assert!(
                cost.count_total <= MAX_ALLOCATIONS,
                "{}: {} allocations",
                one.name,
                cost.count_total
            );
            let wrong = found.iter().any(Finding::is_error);
            assert!(compiled.is_none() == wrong, "{}: {found:?}", one.name);
            assert!(found.len() <= MAX_FINDINGS, "{}: {} findings", one.name, found.len());
            let (unchecked, _) = cel::unchecked(&one.text, &environment);
            refused += usize::from(wrong && unchecked.is_none());
        }
        refused
    };
    let thread = Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread starts");
    let refused = thread.join().expect("the stack is large enough");
    assert!(refused > 20, "{refused} are refused by the parser alone");
}

#[test]
fn whole_files_of_hostile_conditions_are_accepted_or_refused() {
    let run = || {
        let files = files();
        for (text, conditions) in &files {
            let project = MemoryFiles::new([
                ("mxcp-site.yml", "mxcp: 1\nproject: p\nprofile: q\n"),
                ("tools/a.yml", text),
            ]);
            let mut compiled = None;
            let cost =
                measure(|| compiled = Some(compile(&project, &NoProbe, &Options::default())));
            let compiled = compiled.expect("it was compiled");
            let name = conditions.join(", ");
            assert!(cost.bytes_max <= MAX_HEAP_BYTES, "{name}: {} bytes", cost.bytes_max);
            let (said, most) = (compiled.diagnostics.len(), conditions.len() * MAX_FINDINGS);
            assert!(said <= most + MAX_FINDINGS_BESIDE, "{name}: {said} diagnostics");
            let wrong = compiled.diagnostics.iter().any(Diagnostic::is_error);
            assert_eq!(compiled.bundle.is_none(), wrong, "{name}");
            // The file is read as what it is: nothing is wrong but its conditions.
            assert_eq!(compiled.endpoints.len(), 1, "{name}: {:?}", compiled.diagnostics.first());
        }
        files.len()
    };
    let thread = Builder::new().stack_size(STACK_BYTES).spawn(run).expect("a thread starts");
    let files = thread.join().expect("the stack is large enough");
    assert!(files > 8, "{files} files");
}

/// Endpoint files that are full of conditions, with their names.
fn files() -> Vec<(String, Vec<&'static str>)> {
    let mut fields = String::new();
    for index in 0..400 {
        let _ = write!(fields, "f{index}: {{type: string}}, ");
    }
    let head = format!(
        "mxcp: 1\ntool:\n  name: a\n  parameters:\n    - {{name: a, type: object}}\n    \
         - {{name: n, type: integer}}\n    - {{name: s, type: string}}\n  \
         return: {{type: object, properties: {{{fields}}}}}\n  \
         source: {{code: SELECT $a AS f0, $n AS f1, $s AS f2}}\n  policies:\n    output:\n"
    );
    let mut files = vec![(head.clone(), Vec::new())];
    for one in hostile::conditions() {
        // A text in JSON is one in YAML, too.
        let condition = serde_json::Value::from(one.text);
        let policy = format!("      - {{condition: {condition}, action: deny, reason: r}}\n");
        if head.len() + policy.len() > FILE_BYTES {
            continue;
        }
        let full = files.last().is_none_or(|(text, _)| text.len() + policy.len() > FILE_BYTES);
        if full {
            files.push((head.clone(), Vec::new()));
        }
        if let Some((text, names)) = files.last_mut() {
            text.push_str(&policy);
            names.push(one.name);
        }
    }
    files
}
