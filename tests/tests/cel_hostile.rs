//! Conditions that were made to be expensive are accepted or refused, within a small stack, a bounded
//! heap and a bounded number of allocations, and with few findings. How long they take is printed by the
//! benchmark of the same name.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::thread::Builder;

use allocation_counter::measure;
use mxcp_compiler::cel::{self, Finding};
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
