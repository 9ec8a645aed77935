//! Any bytes as a message to a server at work: answered or accepted, and nothing that a policy denies
//! is in an answer.
#![no_main]

#[expect(dead_code, reason = "the messages are seeds")]
#[path = "../../tests/src/dispatched.rs"]
mod dispatched;

use std::sync::LazyLock;

use dispatched::Dispatched;
use libfuzzer_sys::fuzz_target;

static SERVER: LazyLock<Dispatched> = LazyLock::new(Dispatched::new);

fuzz_target!(|bytes: &[u8]| {
    if let Err(rule) = SERVER.survive(bytes) {
        panic!("{rule}");
    }
});
