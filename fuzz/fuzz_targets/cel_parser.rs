//! Any text as CEL: parsed within the parser's limits, with every finding at a place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_compiler::cel::parser;

fuzz_target!(|text: &str| {
    let (_, found) = parser::parse(text);
    for finding in found {
        assert!(text.get(finding.range.clone()).is_some(), "{:?} is no place", finding.range);
    }
});
