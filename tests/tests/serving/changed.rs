//! Messages that were changed anywhere, to a server in this process: whatever they become, the answer is
//! one, and no policy is passed by.

use std::cell::Cell;

use mxcp_tests::dispatched::{Dispatched, MESSAGES, OTHERS, TREASURE};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use super::malformed::{PIECES, malformed};

/// Messages that are changed.
const CASES: u32 = 10_000;

/// What changes the meaning of a message of these.
const WORDS: [&str; 24] = [
    "open",
    "closed",
    "greet",
    "text",
    "arguments",
    "params",
    "name",
    "uri",
    "house://items/1",
    "house://closed/a",
    "method",
    "tools/call",
    "resources/read",
    "prompts/get",
    "initialize",
    "2025-11-25",
    "2026-07-28",
    "_meta",
    "jsonrpc",
    "cursor",
    "ref/prompt",
    "admin",
    "null",
    "[]",
];

fn texts() -> Vec<String> {
    MESSAGES
        .iter()
        .map(|(text, _)| *text)
        .chain(OTHERS.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// A change of a text: where, as a share of its length; how much goes; what comes.
fn change() -> impl Strategy<Value = (f64, usize, Vec<u8>)> {
    let come = prop_oneof![
        3 => (prop::sample::select(&PIECES[..]), 1..40_usize).prop_map(|(p, n)| p.repeat(n).into_bytes()),
        3 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::sample::select(texts()).prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => Just(Vec::new()),
    ];
    (0.0..1.0, 0..40_usize, come)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a length"
)]
fn share_of(length: usize, share: f64) -> usize {
    (length as f64 * share) as usize
}

fn changed(text: &str, changes: &[(f64, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (share, gone, come) in changes {
        let at = share_of(bytes.len(), *share);
        let end = (at + gone).min(bytes.len());
        bytes.splice(at..end, come.iter().copied());
    }
    bytes
}

/// Where each value of a message stands.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// The message with other values in it; where each goes is a share of all places.
fn replaced(text: &str, others: &[(f64, Value)]) -> Vec<u8> {
    let mut message: Value = serde_json::from_str(text).unwrap();
    for (share, other) in others {
        let mut places = Vec::new();
        pointers(&message, "", &mut places);
        *message.pointer_mut(&places[share_of(places.len(), *share)]).unwrap() = other.clone();
    }
    message.to_string().into_bytes()
}

/// A value that may stand in a message.
fn any_value() -> impl Strategy<Value = Value> {
    let places = |text: &str| {
        let message: Value = serde_json::from_str(text).unwrap();
        let mut found = Vec::new();
        pointers(&message, "", &mut found);
        found.iter().filter_map(|at| message.pointer(at).cloned()).collect::<Vec<_>>()
    };
    let known: Vec<Value> = texts().iter().flat_map(|text| places(text)).collect();
    prop_oneof![
        4 => prop::sample::select(known),
        2 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => "\\PC{0,8}".prop_map(Value::from),
        1 => (1..3_000_usize).prop_map(|n| Value::from("\u{e9}".repeat(n))),
        1 => (1..70_usize).prop_map(|n| (0..n).fold(Value::Null, |inner, _| Value::from(vec![inner]))),
    ]
}

/// A message that was changed: its values, or its bytes.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let text = || prop::sample::select(texts());
    prop_oneof![
        3 => (text(), prop::collection::vec((0.0..1.0, any_value()), 1..3))
            .prop_map(|(text, others)| replaced(&text, &others)),
        1 => (text(), prop::collection::vec(change(), 1..4))
            .prop_map(|(text, changes)| changed(&text, &changes)),
    ]
}

#[test]
fn the_messages_that_are_changed_mean_something() {
    let server = Dispatched::new();
    let parsed =
        |body: &Option<String>| -> Value { serde_json::from_str(body.as_ref().unwrap()).unwrap() };
    for (text, succeeds) in MESSAGES {
        for answer in server.answers(text.as_bytes(), "nurse").unwrap() {
            let told = parsed(&answer.body);
            assert_eq!(told.get("result").is_some(), *succeeds, "{text}: {told}");
            assert_eq!(told["id"], serde_json::from_str::<Value>(text).unwrap()["id"], "{text}");
            let is_denied = text.contains("closed");
            assert_eq!(told["result"]["isError"] == true, is_denied && *succeeds, "{text}: {told}");
        }
        // What nobody else sees is there for an administrator.
        if text.contains("closed") {
            for answer in server.answers(text.as_bytes(), "admin").unwrap() {
                assert!(answer.body.unwrap().contains(TREASURE), "{text}");
            }
        }
    }
    for text in texts() {
        server.survive(text.as_bytes()).unwrap_or_else(|rule| panic!("{text}: {rule}"));
    }
    for (body, code) in malformed() {
        let shown = String::from_utf8_lossy(&body).into_owned();
        server.survive(&body).unwrap_or_else(|rule| panic!("{shown}: {rule}"));
        for answer in server.answers(&body, "nurse").unwrap() {
            assert_eq!(parsed(&answer.body)["error"]["code"], code, "{shown}");
        }
    }
}

#[test]
fn whatever_a_message_becomes_no_policy_is_passed_by() {
    let server = Dispatched::new();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let succeeded = Cell::new(0);
    let done = runner.run(&any_message(), |bytes| {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let told = server.survive(&bytes);
        let told = told.map_err(|rule| TestCaseError::fail(format!("{shown}: {rule}")))?;
        succeeded.set(succeeded.get() + u32::from(told));
        Ok(())
    });
    done.unwrap();
    // Enough of them are still messages, and get past whatever reads them.
    assert!(succeeded.get() > CASES / 20, "{} of {CASES}", succeeded.get());
}
