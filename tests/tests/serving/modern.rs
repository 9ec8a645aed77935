//! Revision 2026-07-28 over HTTP: stateless, every request self-describing.

use serde_json::{Value, json};

use super::peer::{MODERN, Peer, legacy, modern, names};

const ADMIN: &str = r#"{"role": "admin", "username": "ada", "clearance": 5}"#;

#[test]
fn headers_repeat_the_body_or_the_request_is_refused() {
    let mut peer = Peer::new(None);
    let call = modern("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}));
    let version = ("MCP-Protocol-Version", MODERN);
    let (method, name) = (("Mcp-Method", "tools/call"), ("Mcp-Name", "echo"));
    let good: [&[(&str, &str)]; 3] = [
        &[version, method, name],
        &[version, method, ("Mcp-Name", "=?base64?ZWNobw==?=")],
        &[("mcp-name", "echo"), ("MCP-METHOD", "tools/call"), ("mcp-protocol-version", MODERN)],
    ];
    for headers in good {
        assert_eq!(peer.post(headers, &call).status, 200, "{headers:?}");
    }
    let bad: [&[(&str, &str)]; 10] = [
        &[method, name],
        &[version, name],
        &[version, method],
        &[("MCP-Protocol-Version", "2025-11-25"), method, name],
        &[version, ("Mcp-Method", "tools/list"), name],
        &[version, ("Mcp-Method", "TOOLS/CALL"), name],
        &[version, method, ("Mcp-Name", "admins")],
        &[version, method, ("Mcp-Name", "=?base64?YWRtaW5z?=")],
        &[version, method, ("Mcp-Name", "=?base64?!?=")],
        &[version, method, name, ("Mcp-Name", "admins")],
    ];
    for headers in bad {
        let reply = peer.post(headers, &call);
        let body = reply.json();
        assert_eq!((reply.status, &body["error"]["code"]), (400, &json!(-32020)), "{headers:?}");
        assert_eq!(body["id"], 7);
    }
    // Headers that name another thing than the body do so for resources and prompts too.
    for (method, params, name) in [
        ("resources/read", json!({"uri": "serving://motto"}), "serving://secret"),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "ada"}}), "other"),
    ] {
        let headers = [version, ("Mcp-Method", method), ("Mcp-Name", name)];
        let reply = peer.post(&headers, &modern(method, params));
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32020)));
    }
}

#[test]
fn what_a_request_must_say_of_itself() {
    let mut peer = Peer::new(None);
    let headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")];
    let meta = |meta: Value| legacy("tools/list", json!({"_meta": meta}));
    let (version, capabilities) =
        ("io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities");
    for wrong in [
        json!({}),
        json!({version: MODERN}),
        json!({capabilities: {}}),
        json!({version: 3, capabilities: {}}),
        json!({version: MODERN, capabilities: []}),
        json!({version: MODERN, capabilities: {}, "io.modelcontextprotocol/clientInfo": "x"}),
        json!({version: MODERN, capabilities: {}, "io.modelcontextprotocol/logLevel": "loud"}),
        json!("x"),
    ] {
        let reply = peer.post(&headers, &meta(wrong.clone()));
        let body = reply.json();
        assert_eq!(
            (reply.status, &body["error"]["code"]),
            (400, &json!(-32602)),
            "{wrong}: {body}"
        );
    }
    let unknown = [("MCP-Protocol-Version", "2031-01-01"), ("Mcp-Method", "tools/list")];
    let reply = peer.post(&unknown, &meta(json!({version: "2031-01-01", capabilities: {}})));
    let body = reply.json();
    assert_eq!((reply.status, &body["error"]["code"]), (400, &json!(-32022)));
    assert_eq!(
        body["error"]["data"],
        json!({
            "supported": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"],
            "requested": "2031-01-01",
        })
    );
    for (method, status) in
        [("nope", 404), ("ping", 404), ("initialize", 404), ("logging/setLevel", 404)]
    {
        let (found, error) = peer.error(method, json!({}));
        assert_eq!((found, &error["code"]), (status, &json!(-32601)), "{method}");
    }
}

#[test]
fn results_say_who_answers_and_how_long_they_may_be_kept() {
    let mut peer = Peer::new(None);
    let info = json!({"name": "serving", "version": env!("CARGO_PKG_VERSION")});
    let item = json!({"name": "x", "uri": "serving://items/2", "arguments": {"text": "hi"}});
    for (method, params, scope) in [
        ("server/discover", json!({}), Some("public")),
        ("tools/list", json!({}), Some("private")),
        ("resources/list", json!({}), Some("private")),
        ("resources/templates/list", json!({}), Some("private")),
        ("prompts/list", json!({}), Some("public")),
        ("resources/read", json!({"uri": item["uri"]}), Some("private")),
        ("tools/call", json!({"name": "echo", "arguments": {"text": "hi"}}), None),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "ada"}}), None),
    ] {
        let result = peer.result(method, params);
        assert_eq!(result["resultType"], "complete", "{method}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"], info, "{method}");
        assert_eq!(result.get("cacheScope").and_then(Value::as_str), scope, "{method}");
        assert_eq!(result.get("ttlMs").is_some_and(Value::is_u64), scope.is_some(), "{method}");
    }
    let found = peer.result("server/discover", json!({}));
    assert_eq!(found["supportedVersions"][0], MODERN);
    for capability in ["tools", "resources", "prompts", "completions"] {
        assert!(found["capabilities"][capability].is_object(), "{found}");
    }
    assert_eq!(found["capabilities"].get("logging"), None);
}

#[test]
fn lists_hide_what_the_caller_can_never_call() {
    let mut anonymous = Peer::new(None);
    let tools = names(&anonymous.result("tools/list", json!({})), "tools");
    // `cleared` errs for somebody whose clearance is not known, so it is refused and hidden.
    for (tool, is_seen) in [("echo", true), ("own", true), ("admins", false), ("cleared", false)] {
        assert_eq!(tools.iter().any(|name| name == tool), is_seen, "{tool}");
    }
    assert!(tools.is_sorted());
    let resources = names(&anonymous.result("resources/list", json!({})), "resources");
    assert_eq!(resources, ["serving://motto", "serving://octets"]);
    // What is hidden is refused all the same, with the policy's words and the call's id.
    let denied = anonymous.call("admins", json!({}));
    assert_eq!(denied["isError"], true);
    let (text, id) = (&denied["content"][0]["text"], &denied["_meta"]["mxcp/call_id"]);
    let expected = format!("Admin access required (call {})", id.as_str().unwrap());
    assert_eq!(text.as_str(), Some(expected.as_str()));
    let unknown = anonymous.call("cleared", json!({}));
    assert!(unknown["content"][0]["text"].as_str().unwrap().starts_with("access denied (call "));
    let (status, error) = anonymous.error("resources/read", json!({"uri": "serving://secret"}));
    assert_eq!((status, &error["code"]), (200, &json!(-32000)));
    let id = error["data"]["call_id"].as_str().unwrap();
    assert_eq!(error["message"].as_str(), Some(&*format!("Admin access required (call {id})")));

    let mut admin = Peer::new(Some(ADMIN));
    let tools = names(&admin.result("tools/list", json!({})), "tools");
    assert!(tools.contains(&"admins".to_owned()) && tools.contains(&"cleared".to_owned()));
    let resources = names(&admin.result("resources/list", json!({})), "resources");
    assert_eq!(resources, ["serving://motto", "serving://octets", "serving://secret"]);
    assert_eq!(admin.call("admins", json!({}))["structuredContent"], json!({"result": 1}));
    let own = admin.call("own", json!({"owner": "ada"}));
    assert_eq!(own["content"], json!([{"type": "text", "text": "\"of ada\""}]));
    assert_eq!(admin.call("own", json!({"owner": "bob"}))["isError"], true);
    let again = names(&admin.result("tools/list", json!({})), "tools");
    assert_eq!(tools, again);
}

#[test]
fn cursors_names_and_uris_that_there_are_not() {
    let mut peer = Peer::new(None);
    for list in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
        for cursor in [json!(""), json!("AAAA"), json!(7), json!("dG9vbHMKZDIKeA"), json!(null)] {
            let (status, error) = peer.error(list, json!({"cursor": cursor}));
            assert_eq!((status, &error["code"]), (200, &json!(-32602)), "{list} {cursor}");
        }
    }
    for (method, params) in [
        ("tools/call", json!({"name": "nope", "arguments": {}})),
        ("tools/call", json!({"name": "echo", "arguments": []})),
        ("tools/call", json!({"name": "greet"})),
        ("resources/read", json!({"uri": "serving://nope"})),
        ("resources/read", json!({"uri": "serving://items/a%2Fb"})),
        ("resources/read", json!({"uri": "serving://items/9"})),
        ("prompts/get", json!({"name": "nope"})),
        ("prompts/get", json!({"name": "greet"})),
        ("prompts/get", json!({"name": "greet", "arguments": {"who": "mallory"}})),
    ] {
        let (status, error) = peer.error(method, params.clone());
        assert_eq!((status, &error["code"]), (200, &json!(-32602)), "{method} {params}: {error}");
    }
    let (_, error) = peer.error("resources/read", json!({"uri": "serving://nope"}));
    assert_eq!(error["data"]["uri"], "serving://nope");
    // Without a name at all the header cannot repeat it.
    let headers = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call")];
    let reply = peer.post(&headers, &modern("tools/call", json!({})));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32020)));
}

#[test]
fn wrong_arguments_and_failures_are_results_for_the_model_to_read() {
    let mut peer = Peer::new(None);
    for (arguments, words) in [
        (json!({}), "`text` is missing"),
        (json!({"text": []}), "`text` must be a string, not an array"),
        (json!({"text": "a", "times": 6}), "`times` must be at most 5"),
        (json!({"text": "a", "more": 1}), "`more` is not declared"),
    ] {
        let result = peer.call("echo", arguments);
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        assert_eq!(result["isError"], true);
        assert!(text.contains(words) && text.contains("(call "), "{text}");
        assert_eq!(result.get("structuredContent"), None);
    }
    let wrong = peer.raw_call("vault", json!({"pin": "letmein"}));
    assert!(wrong.contains("must be one of the values that are allowed"), "{wrong}");
    for secret in ["letmein", "hunter2", "swordfish"] {
        assert!(!wrong.contains(secret), "{wrong}");
    }
    // DuckDB's words hold the value, so they stay with the operator.
    let failed = peer.raw_call("broken", json!({"text": "s3cr3t"}));
    assert!(failed.contains("\"isError\":true") && !failed.contains("s3cr3t"), "{failed}");
    // What models send wrongly and loses nothing is taken.
    let lenient = peer.call("echo", json!({"text": 5, "times": "2", "note": null}));
    assert_eq!(lenient["structuredContent"], json!({"said": "55", "note": null}));
}

#[test]
fn sensitive_parameters_publish_nothing_that_they_may_hold() {
    let mut peer = Peer::new(None);
    let tools = peer.result("tools/list", json!({}));
    let vault = tools["tools"].as_array().unwrap().iter().find(|t| t["name"] == "vault").unwrap();
    let schema = &vault["inputSchema"];
    assert_eq!(schema["properties"]["pin"], json!({"type": "string"}));
    assert_eq!(schema["properties"]["login"].get("default"), None);
    let user = &schema["properties"]["login"]["properties"]["user"];
    assert_eq!(user["examples"], json!(["ada"]));
    let text = tools.to_string();
    for word in ["hunter2", "swordfish", "sensitive"] {
        assert!(!text.contains(word), "{word}");
    }
    let complete = |argument: &str, value: &str| {
        json!({
            "ref": {"type": "ref/prompt", "name": "greet"},
            "argument": {"name": argument, "value": value},
        })
    };
    let found = peer.result("completion/complete", complete("who", "B"));
    assert_eq!(found["completion"], json!({"values": ["bob"], "total": 1, "hasMore": false}));
    let found = peer.result("completion/complete", complete("tone", ""));
    assert_eq!(found["completion"]["values"], json!([]));
    let template = json!({
        "ref": {"type": "ref/resource", "uri": "serving://items/{id}"},
        "argument": {"name": "id", "value": ""},
    });
    let found = peer.result("completion/complete", template);
    assert_eq!(found["completion"]["values"], json!(["1", "2", "3"]));
    for wrong in [
        complete("nobody", ""),
        json!({"ref": {"type": "ref/prompt", "name": "nope"}, "argument": {"name": "a", "value": ""}}),
        json!({"ref": {"type": "ref/resource", "uri": "serving://secret"}, "argument": {"name": "a", "value": ""}}),
        json!({"ref": {"type": "ref/tool", "name": "echo"}, "argument": {"name": "a", "value": ""}}),
        json!({}),
    ] {
        assert_eq!(peer.error("completion/complete", wrong.clone()).1["code"], -32602, "{wrong}");
    }
}

#[test]
fn the_endpoint_takes_posts_from_its_own_pages() {
    let mut peer = Peer::new(None);
    let list = modern("tools/list", json!({}));
    let needed = [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/list")];
    let with = |more: &[(&'static str, &'static str)]| [&needed[..], more].concat();
    for origin in ["http://evil.example", "null", "http://localhost.evil.example", "file://"] {
        assert_eq!(peer.post(&with(&[("Origin", origin)]), &list).status, 403, "{origin}");
    }
    for origin in ["http://localhost:6274", "http://127.0.0.1"] {
        assert_eq!(peer.post(&with(&[("Origin", origin)]), &list).status, 200, "{origin}");
    }
    let body = list.to_string();
    for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
        let request = format!(
            "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             MCP-Protocol-Version: {MODERN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(peer.raw(&request).0, 405, "{method}");
    }
    let foreign = "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(peer.raw(foreign).0, 403);
    // A notification is accepted, a request without an id is none, a batch does not exist.
    let cancelled = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1},
    });
    let reply = peer.post(&[("MCP-Protocol-Version", MODERN)], &cancelled);
    assert_eq!((reply.status, reply.body.len()), (202, 0));
    let mut unanswered = list.clone();
    unanswered.as_object_mut().unwrap().remove("id");
    let reply = peer.post(&needed, &unanswered);
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32600)));
    let reply = peer.post(&needed, &json!([list]));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32600)));
}

#[test]
fn resources_are_texts_octets_or_json() {
    let mut peer = Peer::new(None);
    let mut read =
        |uri: &str| peer.result("resources/read", json!({"uri": uri}))["contents"].take();
    assert_eq!(
        read("serving://motto"),
        json!([{"uri": "serving://motto", "mimeType": "text/markdown", "text": "# closed"}])
    );
    assert_eq!(
        read("serving://octets"),
        json!([{"uri": "serving://octets", "mimeType": "image/png", "blob": "iVBORw=="}])
    );
    let item = read("serving://items/2");
    assert_eq!(item[0]["mimeType"], "application/json");
    let text: Value = serde_json::from_str(item[0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, json!({"id": 2, "name": "item 2"}));
    let messages =
        peer.result("prompts/get", json!({"name": "greet", "arguments": {"who": "eve"}}));
    assert_eq!(
        messages["messages"],
        json!([
            {"role": "user", "content": {"type": "text", "text": "Greet eve, warmly."}},
            {"role": "assistant", "content": {"type": "text", "text": "Hello Eve!"}},
        ])
    );
}

#[test]
fn every_message_is_on_record() {
    let mut peer = Peer::new(None);
    peer.call("echo", json!({"text": "hi"}));
    peer.call("admins", json!({}));
    peer.result("tools/list", json!({}));
    peer.error("nope", json!({}));
    peer.bytes(&[], b"{");
    let (records, project) = peer.stop();
    let seen: Vec<(&str, &str, &str)> = records
        .iter()
        .map(|record| {
            let word = |key: &str| record[key].as_str().unwrap_or("");
            (word("operation_name"), word("operation_status"), word("error"))
        })
        .filter(|(name, ..)| !name.is_empty())
        .collect();
    for wanted in [
        ("echo", "success", ""),
        ("admins", "error", "policy denied"),
        ("tools/list", "success", ""),
        ("nope", "error", "unknown method"),
        ("message", "error", "malformed JSON"),
    ] {
        assert!(seen.contains(&wanted), "{wanted:?} is not among {seen:?}");
    }
    project.mxcp(&["log", "verify"]);
}
