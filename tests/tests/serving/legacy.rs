//! Revisions that begin with `initialize`, over HTTP.

use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use serde_json::{Value, json};

use super::peer::{Peer, initialize, legacy, serving};

/// The headers of a request in a session.
fn of<'h>(session: &'h str, version: &'h str) -> [(&'h str, &'h str); 2] {
    [("Mcp-Session-Id", session), ("MCP-Protocol-Version", version)]
}

#[test]
fn a_session_is_negotiated_used_and_ended() {
    let mut peer = Peer::new(None);
    let (session, result) = peer.initialize("2025-11-25");
    assert_eq!(result["protocolVersion"], "2025-11-25");
    assert_eq!(result["serverInfo"]["name"], "serving");
    assert!(result["capabilities"]["logging"].is_object(), "{result}");
    let headers = of(&session, "2025-11-25");
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(peer.post(&headers, &initialized).status, 202);
    for (method, params) in [
        ("ping", json!({})),
        ("tools/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("prompts/list", json!({})),
        ("logging/setLevel", json!({"level": "warning"})),
        ("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}})),
        ("resources/read", json!({"uri": "serving://motto"})),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "ada"}})),
    ] {
        let reply = peer.post(&headers, &legacy(method, params));
        let body = reply.json();
        assert_eq!((reply.status, body.get("error")), (200, None), "{method}");
        for modern in ["resultType", "ttlMs", "cacheScope"] {
            assert_eq!(body["result"].get(modern), None, "{method}");
        }
    }
    let level = peer.post(&headers, &legacy("logging/setLevel", json!({"level": "loud"})));
    assert_eq!(level.json()["error"]["code"], -32602);
    let unknown = peer.post(&headers, &legacy("nope", json!({})));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (200, &json!(-32601)));
    let missing = legacy("resources/read", json!({"uri": "serving://nope"}));
    assert_eq!(peer.post(&headers, &missing).json()["error"]["code"], -32002);
    // The session speaks one revision, and belongs to those who know its id.
    let ping = legacy("ping", json!({}));
    assert_eq!(peer.post(&of(&session, "2025-06-18"), &ping).status, 400);
    assert_eq!(peer.post(&[], &ping).status, 400);
    assert_eq!(peer.post(&of("made-up", "2025-11-25"), &ping).status, 404);
    let unspoken = peer.post(&of(&session, "2031-01-01"), &ping);
    assert_eq!((unspoken.status, &unspoken.json()["error"]["code"]), (400, &json!(-32022)));
    let delete = |session: &str| {
        format!(
            "DELETE /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nMcp-Session-Id: {session}\r\n\r\n"
        )
    };
    assert_eq!(peer.raw(&delete("made-up")).0, 404);
    assert_eq!(peer.raw(&delete(&session)).0, 204);
    assert_eq!(peer.raw(&delete(&session)).0, 404);
    assert_eq!(peer.post(&headers, &ping).status, 404);
}

#[test]
fn each_revision_gets_what_it_knows() {
    let mut peer = Peer::new(None);
    for (asked, spoken) in
        [("2025-11-25", "2025-11-25"), ("2025-06-18", "2025-06-18"), ("2025-03-26", "2025-03-26")]
    {
        let (session, result) = peer.initialize(asked);
        assert_eq!(result["protocolVersion"], spoken);
        let headers = of(&session, spoken);
        let is_oldest = spoken == "2025-03-26";
        let tools = peer.post(&headers, &legacy("tools/list", json!({}))).json();
        let echo =
            tools["result"]["tools"].as_array().unwrap().iter().find(|t| t["name"] == "echo");
        let echo = echo.unwrap();
        assert_eq!(echo.get("outputSchema").is_none(), is_oldest);
        assert_eq!(echo.get("title").is_none(), is_oldest);
        let call = legacy("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
        let called = peer.post(&headers, &call).json();
        assert_eq!(called["result"].get("structuredContent").is_none(), is_oldest);
        let text: Value =
            serde_json::from_str(called["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, json!({"said": "hi", "note": null}));
    }
    // A revision that nobody knows is answered with the newest of these.
    let limited = peer.post(&[], &initialize("1999-01-01"));
    // Three sessions are open, which is as many as this project allows.
    assert_eq!(limited.status, 503);
    assert!(limited.json()["error"]["message"].as_str().unwrap().contains("`max_open_sessions`"));
}

#[test]
fn an_unknown_revision_is_answered_with_the_newest_that_begins_so() {
    let mut peer = Peer::new(None);
    for asked in ["1999-01-01", "2026-07-28", "x"] {
        assert_eq!(peer.initialize(asked).1["protocolVersion"], "2025-11-25", "{asked}");
    }
    for wrong in [json!({}), json!({"protocolVersion": 3})] {
        let reply = peer.post(&[], &legacy("initialize", wrong));
        assert_eq!(reply.json()["error"]["code"], -32602);
    }
}

#[test]
fn batches_exist_in_one_revision_alone() {
    let mut peer = Peer::new(None);
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "nope"},
        initialize("2025-03-26"),
        {"id": 3},
    ]);
    let (session, _) = peer.initialize("2025-03-26");
    let reply = peer.post(&of(&session, "2025-03-26"), &batch);
    let answers = reply.json();
    let seen: Vec<(Value, Value)> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| (answer["id"].clone(), answer["error"]["code"].clone()))
        .collect();
    let expected = [
        (json!(1), json!(null)),
        (json!("two"), json!(-32601)),
        (json!(7), json!(-32600)),
        (json!(3), json!(-32600)),
    ];
    assert_eq!(seen, expected);
    let silent = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    assert_eq!(peer.post(&of(&session, "2025-03-26"), &silent).status, 202);
    for version in ["2025-06-18", "2025-11-25"] {
        let (session, _) = peer.initialize(version);
        let reply = peer.post(&of(&session, version), &batch);
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32600)));
    }
}

fn stateless() -> Project {
    let project = serving();
    project.write("user.yml", "mxcp: 1\ntransport: { http: { stateless: true } }\n");
    project
}

#[test]
fn a_stateless_server_answers_without_sessions() {
    let project = stateless();
    let user = project.path("user.yml").display().to_string();
    let mut peer = Peer::of(project, &["--config", &user]);
    let reply = peer.post(&[], &initialize("2025-11-25"));
    assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None));
    let call = legacy("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    let called = peer.post(&[("MCP-Protocol-Version", "2025-11-25")], &call);
    assert_eq!(called.json()["result"]["structuredContent"]["said"], "hi");
}

#[test]
fn a_client_cancels_what_it_asked_for_and_that_is_recorded() {
    let mut peer = Peer::new(None);
    let (session, _) = peer.initialize("2025-11-25");
    let address = peer.server.address();
    let slow = {
        let session = session.clone();
        std::thread::spawn(move || {
            let call = legacy("tools/call", json!({"name": "slow", "arguments": {}}));
            Connection::open(address).rpc(&of(&session, "2025-11-25"), &call).json()
        })
    };
    std::thread::sleep(std::time::Duration::from_millis(100));
    let cancel = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7},
    });
    assert_eq!(peer.post(&of(&session, "2025-11-25"), &cancel).status, 202);
    let answered = slow.join().unwrap();
    let message = answered["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("was cancelled"), "{answered}");
    // A client that goes away has cancelled too.
    let mut gone = std::net::TcpStream::connect(address).unwrap();
    let call = legacy("tools/call", json!({"name": "slow", "arguments": {}})).to_string();
    let request = mxcp_tests::http::request(
        address,
        "/mcp",
        &[&of(&session, "2025-11-25")[..], &[("Content-Type", "application/json")]].concat(),
        call.as_bytes(),
    );
    std::io::Write::write_all(&mut gone, &request).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(gone);
    std::thread::sleep(std::time::Duration::from_millis(200));
    let (records, _project) = peer.stop();
    let errors: Vec<&Value> = records
        .iter()
        .filter(|record| record["operation_name"] == "slow")
        .map(|record| &record["error"])
        .collect();
    assert_eq!(errors, [&json!("cancelled"), &json!("cancelled")]);
}
