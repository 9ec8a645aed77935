//! Conditions that were made to be expensive are accepted or refused, within a small stack and with few
//! findings. What they cost is printed by the benchmark of the same name.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::thread::Builder;

use mxcp_compiler::cel::{self, Finding};
use mxcp_tests::cel::hostile;

/// Half of what the runtime's threads have.
const STACK_BYTES: usize = 1 << 20;
/// Most errors and warnings together; see the limits of the parser and of the checker.
const MAX_FINDINGS: usize = 8 + 8 + 8 + 1;

#[test]
fn hostile_conditions_are_accepted_or_refused() {
    let run = || {
        let environment = hostile::environment();
        let mut refused = 0;
        for one in hostile::conditions() {
            assert!(one.text.len() <= 64 << 10, "{}", one.name);
            let (compiled, found) = cel::condition(&one.text, &environment);
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
