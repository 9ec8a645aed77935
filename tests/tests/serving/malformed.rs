//! What is no message, over HTTP and standard input: refused with a code, a reason and no crash.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::peer::{Peer, legacy};
use super::stdio::Spoken;

/// Bodies that are no message, with the code that answers them.
pub(super) fn malformed() -> Vec<(Vec<u8>, i64)> {
    let message = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}"#).into_bytes()
    };
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let mut utf8 = message(r#"{"a":"X"}"#);
    let at = utf8.iter().position(|byte| *byte == b'X').unwrap();
    utf8[at] = 0xFF;
    vec![
        (b"{".to_vec(), -32700),
        (b"nonsense".to_vec(), -32700),
        (utf8, -32700),
        (message(r#"{"a":"\ud800"}"#), -32700),
        (message(r#"{"a":"\udc00\ud800"}"#), -32700),
        (message(r#"{"a":"\x41"}"#), -32700),
        (message(r#"{"a":01}"#), -32700),
        (message(r#"{"a":1,}"#), -32700),
        (message("{\"a\":\"\u{1}\"}"), -32700),
        (message(r#"{"a":1} trailing"#), -32700),
        (message(r#"{"a":1,"a":2}"#), -32600),
        (message(r#"{"a":1,"\u0061":2}"#), -32600),
        (br#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#.to_vec(), -32600),
        (message(r#"{"a":1e999}"#), -32600),
        (message(&format!(r#"{{"a":{}}}"#, "9".repeat(200))), -32600),
        (message(&format!(r#"{{"a":{}}}"#, nested(70))), -32600),
        (message("[]"), -32600),
        (b"[]".to_vec(), -32600),
        (b"7".to_vec(), -32600),
        (b"{}".to_vec(), -32600),
        (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#.to_vec(), -32600),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.to_vec(), -32600),
        (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.to_vec(), -32600),
        (br#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#.to_vec(), -32600),
        (br#"{"jsonrpc":"2.0","id":1,"method":7}"#.to_vec(), -32600),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","result":1}"#.to_vec(), -32600),
    ]
}

#[test]
fn over_http() {
    let mut peer = Peer::new(None);
    for (body, code) in malformed() {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let reply = peer.bytes(&[], &body);
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, error["code"].as_i64()), (400, Some(code)), "{shown}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    // The server still serves.
    assert!(peer.call("echo", json!({"text": "hi"}))["structuredContent"].is_object());
}

/// Pieces that change what a message says.
pub(super) const PIECES: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "-1",
    "1e400",
    "\\u0000",
    "\u{1F600}",
    "id",
    "\\ud800",
];

#[test]
fn whatever_a_message_becomes_it_is_answered() {
    let mut peer = Peer::new(None);
    let good =
        legacy("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}})).to_string();
    let strategy = (0..good.len(), 0..9_usize, proptest::sample::select(&PIECES[..]), 1..40_usize);
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    for _ in 0..300 {
        let (at, gone, piece, times) = strategy.new_tree(&mut runner).unwrap().current();
        let mut body = good.clone().into_bytes();
        let end = (at + gone).min(body.len());
        body.splice(at..end, piece.repeat(times).into_bytes());
        let shown = String::from_utf8_lossy(&body).into_owned();
        let began = Instant::now();
        let reply = peer.bytes(&[], &body);
        assert!(began.elapsed() < Duration::from_secs(20), "{shown}");
        assert!([200, 202, 400].contains(&reply.status), "{}: {shown}", reply.status);
        if reply.status == 400 {
            let error = reply.json()["error"].clone();
            assert!(error["code"].is_i64() && error["message"].is_string(), "{shown}: {error}");
        }
    }
    assert!(peer.call("echo", json!({"text": "hi"}))["structuredContent"].is_object());
}

#[test]
fn over_standard_input() {
    let mut spoken = Spoken::new(&[]);
    for (body, code) in malformed() {
        if body.contains(&b'\n') {
            continue;
        }
        let shown = String::from_utf8_lossy(&body).into_owned();
        spoken.write(&body);
        let error = spoken.read()["error"].clone();
        assert_eq!(error["code"].as_i64(), Some(code), "{shown}: {error}");
    }
    spoken.ask(&super::peer::initialize("2025-11-25"));
    let numbers = json!({"name": "echo", "arguments": {"text": "é\u{1F600}\u{0}"}});
    let answered = spoken.ask(&legacy("tools/call", numbers));
    assert_eq!(
        answered["result"]["structuredContent"]["said"],
        Value::Null.to_string().replace("null", "é\u{1F600}\u{0}")
    );
}
