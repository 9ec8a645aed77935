//! Limits: each has a name; going beyond one gives a clear error and a record.

use std::time::{Duration, Instant};

use mxcp_tests::http::Connection;
use serde_json::{Value, json};

use super::peer::{MODERN, Peer, modern, serving};

/// The error text of a tool call that did not work.
fn refused(peer: &mut Peer, tool: &str, arguments: Value) -> String {
    let result = peer.call(tool, arguments);
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

#[test]
fn results_arguments_and_time_are_limited() {
    let mut peer = Peer::new(None);
    let fits = peer.call("many", json!({"rows": 1000}));
    assert_eq!(fits["structuredContent"]["result"].as_array().unwrap().len(), 1000);
    let text = refused(&mut peer, "many", json!({"rows": 1001}));
    assert!(text.contains("more than 1000 rows") && text.contains("`max_result_rows`"), "{text}");
    let text = refused(&mut peer, "many", json!({"rows": 60, "width": 1000}));
    assert!(
        text.contains("more than 50000 bytes") && text.contains("`max_result_bytes`"),
        "{text}"
    );
    let text = refused(&mut peer, "echo", json!({"text": "x".repeat(2_001)}));
    assert!(text.contains("`text` must have at most 2000 bytes (`max_argument_bytes`)"), "{text}");
    let begun = Instant::now();
    let text = refused(&mut peer, "slow", json!({}));
    assert!(text.contains("more than 400 ms (`query_timeout_ms`)"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let (records, _project) = peer.stop();
    let errors: Vec<&str> = records.iter().filter_map(|record| record["error"].as_str()).collect();
    assert_eq!(
        errors,
        ["limit reached", "limit reached", "invalid arguments", "timeout"],
        "{records:#?}"
    );
}

#[test]
fn messages_and_heads_are_limited() {
    let project = serving();
    let site = project.read("mxcp-site.yml");
    let limits = "limits:\n      slow_request_timeout_ms: 700";
    project.write("mxcp-site.yml", &site.replace("limits:", limits));
    let peer = Peer::of(project, &[]);
    let large = modern("tools/list", json!({"x": "y".repeat(20_000)}));
    let headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")];
    let address = peer.server.address();
    let reply = Connection::open(address).rpc(&headers, &large);
    assert_eq!(reply.status, 413);
    assert_eq!(reply.json()["error"]["message"], "a message has at most 20000 bytes");
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
        "y".repeat(40_000)
    );
    assert_eq!(peer.raw(&head).0, 431);
    let slow = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    assert_eq!(peer.raw(slow).0, 408);
    for (headers, status) in [
        ("Content-Type: text/plain\r\n", 415),
        ("Content-Type: application/json\r\nAccept: text/html\r\n", 406),
    ] {
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n{headers}\r\n{{}}"
        );
        assert_eq!(peer.raw(&request).0, status);
    }
    // What never became a message is summed in the trail, by reason.
    let (records, _project) = peer.stop();
    let text = Value::from(records).to_string();
    for reason in ["body_size", "header_size", "slow_body", "media_type", "not_acceptable"] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
}

#[test]
fn callers_are_limited_in_how_often_and_how_many_at_once() {
    let project = serving();
    let site = project.read("mxcp-site.yml");
    let limits = "limits:\n      max_calls_per_second: 3\n      max_concurrent_calls: 2";
    project.write("mxcp-site.yml", &site.replace("limits:", limits));
    let mut peer = Peer::of(project, &[]);
    let call = |peer: &mut Peer| {
        peer.modern("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}))
    };
    let replies: Vec<_> = (0..5).map(|_| call(&mut peer)).collect();
    let Some(busy) = replies.iter().find(|reply| reply.status == 429) else {
        panic!("five calls at once, and none was too many: {replies:?}")
    };
    let error = busy.json()["error"].clone();
    assert_eq!(error["code"], -32000);
    assert!(error["message"].as_str().unwrap().contains("`max_calls_per_second`"), "{error}");
    assert!(error["data"]["retry_after_ms"].as_u64().unwrap() > 0);
    assert!(busy.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(call(&mut peer).status, 200);
    let address = peer.server.address();
    let slow: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                let headers = [
                    ("MCP-Protocol-Version", MODERN),
                    ("Mcp-Method", "tools/call"),
                    ("Mcp-Name", "slow"),
                ];
                let message = modern("tools/call", json!({"name": "slow", "arguments": {}}));
                Connection::open(address).rpc(&headers, &message).json()
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(150));
    let busy = call(&mut peer);
    assert_eq!(busy.status, 429);
    assert!(busy.json().to_string().contains("`max_concurrent_calls`"));
    for slow in slow {
        assert!(slow.join().unwrap().to_string().contains("`query_timeout_ms`"));
    }
    let (records, _project) = peer.stop();
    assert!(records.iter().any(|record| record["error"] == "limit reached"));
}

#[test]
fn an_idle_session_ends() {
    let project = serving();
    let site = project.read("mxcp-site.yml");
    project.write("mxcp-site.yml", &site.replace("limits:", "limits:\n      session_idle_ms: 150"));
    let mut peer = Peer::of(project, &[]);
    let (session, _) = peer.initialize("2025-11-25");
    let headers = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    let ping = super::peer::legacy("ping", json!({}));
    assert_eq!(peer.post(&headers, &ping).status, 200);
    std::thread::sleep(Duration::from_millis(400));
    let gone = peer.post(&headers, &ping);
    assert_eq!(gone.status, 404);
    assert!(gone.json()["error"]["message"].as_str().unwrap().contains("`initialize`"));
}

#[test]
fn a_limit_that_nobody_knows_is_a_build_error() {
    let project = serving();
    let site = project.read("mxcp-site.yml");
    project.write("mxcp-site.yml", &site.replace("limits:", "limits:\n      max_nonsense: 1"));
    let done = project.run(&["build"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("max_nonsense"));
}
