//! What the shipped server records: every request that reached it, whoever sent it and however it
//! ended.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, json_of, parameter};
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use mxcp_tests::trail::{self, Line, call_id, is_result, message, record_of, tool};
use serde_json::{Value, json};

const CLERK: &str = r#"{"user_id": "u-7", "username": "ann", "email": "ann@example.org",
    "provider": "corp", "role": "clerk", "permissions": ["secret.read"]}"#;

fn start(audit: &str, limits: &str, options: &[&str]) -> (Project, Server) {
    let project = trail::project(audit, limits);
    let bundle = project.build();
    let server = trail::serve(&project, &bundle, options);
    (project, server)
}

fn open(server: &Server) -> Line {
    Line::open(server.address()).unwrap()
}

/// Ends the server and returns its records, with the chain checked.
fn finish(project: &Project, server: Server) -> Vec<Value> {
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    trail::consistent(project);
    trail::records(project)
}

/// W3C Trace Context: the header names the trace, unless the request itself does (`_meta`); what is no
/// `traceparent` names none.
#[test]
fn a_call_is_recorded_with_the_trace_that_it_belongs_to() {
    let (project, server) = start("", "", &[]);
    let (header, meta) = ("4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c");
    let named = |trace: &str| format!("00-{trace}-00f067aa0ba902b7-01");
    let plain = tool(1, "point", &json!({"id": 1}));
    let mut told = plain.clone();
    told["params"]["_meta"] = json!({"traceparent": named(meta)});
    let zeros = named(&"0".repeat(32));
    let cases = [
        (&plain, Some(named(header)), Some(header)),
        (&told, Some(named(header)), Some(meta)),
        (&told, None, Some(meta)),
        (&plain, Some(zeros), None),
        (&plain, Some("00-x".to_owned()), None),
        (&plain, None, None),
    ];
    let mut line = open(&server);
    let expected = cases.map(|(message, sent, trace)| {
        let headers: Vec<_> = sent.iter().map(|text| ("traceparent", text.as_str())).collect();
        let (_, answer) = line.post(message.to_string().as_bytes(), &headers).unwrap();
        assert!(is_result(&answer), "{answer}");
        (call_id(&answer).unwrap().to_owned(), trace)
    });
    let records = finish(&project, server);
    for (id, trace) in &expected {
        assert_eq!(record_of(&records, id)["trace_id"].as_str(), *trace, "{id}");
    }
    for (trace, count) in [(header, 1), (meta, 2)] {
        let found = project.mxcp(&["log", "--json", "--trace", trace]);
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        assert_eq!(found.len(), count, "{found:#?}");
        assert!(found.iter().all(|record| record["trace_id"] == trace), "{found:#?}");
    }
}

#[test]
fn a_call_is_attributed_and_its_decision_can_be_replayed() {
    let (project, server) = start("", "", &["--user-context", CLERK]);
    let mut line = open(&server);
    let ask = tool(1, "guarded", &json!({"id": 3, "pin": "8841"}));
    let (_, answer) = line.ask(&ask).unwrap();
    assert!(is_result(&answer), "{answer}");
    let id = call_id(&answer).unwrap().to_owned();
    let records = finish(&project, server);
    let record = record_of(&records, &id);
    assert_eq!(
        (&record["caller_type"], &record["operation_type"]),
        (&json!("http"), &json!("tool"))
    );
    assert_eq!(
        (&record["operation_name"], &record["operation_status"]),
        (&json!("guarded"), &json!("success"))
    );
    assert_eq!(record["user_id"], "u-7");
    let who = json!({"username": "ann", "email": "ann@example.org", "provider": "corp"});
    assert_eq!(record["principal"], who);
    assert_eq!(record["client"]["ip"], "127.0.0.1");
    assert_eq!(record["input_data"], json!({"id": 3, "pin": "[REDACTED]"}));
    assert_eq!(record["policies_evaluated"], json!(["staff", "notes"]));
    assert_eq!(record["policies_fired"], json!(["notes"]));
    assert_eq!(
        (&record["policy_decision"], &record["masked_fields"]),
        (&json!("warn"), &json!(["note"]))
    );
    // What the policies read, and nothing else of the caller.
    assert_eq!(record["user_attributes"], json!({"role": "clerk"}));
    assert_eq!(record["output_data"], Value::Null);
    assert!(record["bundle"].as_str().unwrap().len() >= 64);
    assert!(record["duration_us"].as_u64().unwrap() > 0);
    let (first, last) = (&records[0], &records[records.len() - 1]);
    assert_eq!(
        (&first["operation_name"], &last["operation_name"]),
        (&json!("start"), &json!("stop"))
    );
    assert_eq!(first["event"]["bundle"], record["bundle"]);
}

#[test]
fn resources_are_recorded_by_template_and_results_when_asked_for() {
    let (project, server) = start("output_data: true", "", &["--user-context", CLERK]);
    let mut line = open(&server);
    let read = |uri: &str| message(1, "resources/read", &json!({"uri": uri}));
    let mut answers = Vec::new();
    for ask in [
        read("rows://5"),
        read("rows://five"),
        read("rows://%ZZ"),
        read("vault://4711/secret"),
        tool(2, "guarded", &json!({"id": 3})),
        message(3, "prompts/get", &json!({"name": "greet", "arguments": {"who": "Ada"}})),
    ] {
        answers.push(line.ask(&ask).unwrap().1);
    }
    let records = finish(&project, server);
    let calls: Vec<&Value> = records.iter().filter(|r| r["operation_type"] != "system").collect();
    assert_eq!(calls.len(), 6);
    assert_eq!(calls[0]["operation_name"], "rows://{id}");
    assert_eq!(calls[0]["input_data"], json!({"id": 5}));
    assert_eq!(calls[0]["output_data"], json!({"id": 5, "name": "name 5"}));
    // Not understood, so what was given is known by its type alone.
    assert_eq!(calls[1]["operation_name"], "rows://{id}");
    assert_eq!(calls[1]["input_data"], json!({"id": "[string]"}));
    assert_eq!(calls[1]["error"], "invalid arguments");
    assert_eq!(calls[1]["policy_decision"], Value::Null);
    assert_eq!(calls[2]["operation_name"], "rows:[undeclared]");
    assert_eq!(
        (&calls[3]["operation_name"], &calls[3]["error"]),
        (&json!("vault:[undeclared]"), &json!("unknown endpoint"))
    );
    // After the policies.
    assert_eq!(calls[4]["output_data"], json!({"id": 3, "name": "name 3", "note": "****"}));
    assert_eq!(calls[5]["output_data"], json!([{"role": "user", "text": "Greet Ada."}]));
    assert!(answers.iter().all(|answer| answer["id"].is_number()));
}

/// Sends bytes as they are and returns the status.
fn raw(server: &Server, request: &str) -> u16 {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn every_refusal_before_a_message_is_summed_with_its_reason() {
    let (project, server) = start("", "max_body_bytes: 5000, max_header_bytes: 8192", &[]);
    let port = server.address().port();
    let head = |method: &str, path: &str, headers: &str| {
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n")
    };
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let json_type = "Content-Type: application/json\r\n";
    let long = "x".repeat(6_000);
    let huge = "y".repeat(20_000);
    for (status, times, request) in [
        (403, 3, head("POST", "/mcp", &format!("{host}Origin: https://evil.example\r\n"))),
        (403, 2, head("POST", "/mcp", "Host: evil.example\r\n")),
        (405, 1, head("GET", "/mcp", &host)),
        (404, 2, head("GET", "/admin", &host)),
        (415, 1, head("POST", "/mcp", &format!("{host}Content-Length: 0\r\n"))),
        (
            406,
            1,
            head(
                "POST",
                "/mcp",
                &format!("{host}{json_type}Accept: text/html\r\nContent-Length: 0\r\n"),
            ),
        ),
        (
            413,
            1,
            head("POST", "/mcp", &format!("{host}{json_type}Content-Length: 6000\r\n")) + &long,
        ),
        (431, 1, head("POST", "/mcp", &format!("{host}X: {huge}\r\n"))),
        (400, 1, "nonsense\r\n\r\n".to_owned()),
    ] {
        for _ in 0..times {
            assert_eq!(raw(&server, &request), status, "{request:.60}");
        }
    }
    let records = finish(&project, server);
    let refused = records.iter().filter(|r| r["operation_name"] == "refused");
    let mut sums = std::collections::BTreeMap::new();
    for record in refused {
        assert_eq!(
            (&record["operation_type"], &record["client"]["ip"]),
            (&json!("auth"), &json!("127.0.0.1"))
        );
        let reason = record["error"].as_str().unwrap().to_owned();
        *sums.entry(reason).or_insert(0) += record["event"]["count"].as_u64().unwrap();
    }
    let expected = [
        ("body_size", 1),
        ("header_size", 1),
        ("host", 2),
        ("malformed", 1),
        ("media_type", 1),
        ("method", 1),
        ("not_acceptable", 1),
        ("origin", 3),
        ("path", 2),
    ];
    assert_eq!(sums, expected.map(|(reason, count)| (reason.to_owned(), count)).into());
}

#[test]
fn every_message_has_its_record_and_each_element_of_a_batch_its_own() {
    let (project, server) = start("", "", &["--user-context", CLERK]);
    let mut line = open(&server);
    let notified = json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "keep", "arguments": {"tag": "x"}}});
    let batch = json!([
        tool(1, "point", &json!({"id": 1})),
        tool(2, "point", &json!({"id": "one"})),
        tool(3, "point", &json!({"idd": 1})),
        tool(4, "nothing", &json!({"a": 1})),
        tool(5, "guarded", &json!({"id": 1})),
        message(6, "tools/list", &json!({})),
        message(7, "no/such", &json!({})),
        message(8, "completion/complete", &json!({"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "A"}})),
        {"jsonrpc": "1.0", "id": 9, "method": "ping"},
        notified,
    ]);
    let (status, answers) = line.ask(&batch).unwrap();
    assert_eq!((status, answers.as_array().unwrap().len()), (200, 10), "{answers:#}");
    for broken in [&b"{\"jsonrpc\":"[..], b"\xff\xfe", b"[]", b"7"] {
        let (status, answer) = line.post(broken, &[]).unwrap();
        assert_eq!(status, 400, "{answer}");
    }
    let records = finish(&project, server);
    let seen: Vec<(&str, &str, Value)> = records
        .iter()
        .filter(|record| record["operation_type"] != "system")
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap();
            (text("operation_type"), text("operation_name"), record["error"].clone())
        })
        .collect();
    let expected = [
        ("tool", "point", Value::Null),
        ("tool", "point", json!("invalid arguments")),
        ("tool", "point", json!("invalid arguments")),
        ("tool", "nothing", json!("unknown endpoint")),
        ("tool", "guarded", Value::Null),
        ("list", "tools/list", Value::Null),
        ("list", "no/such", json!("unknown method")),
        ("list", "completion/complete", Value::Null),
        ("list", "message", json!("invalid request")),
        ("list", "message", json!("invalid request")),
        ("list", "message", json!("malformed JSON")),
        ("list", "message", json!("malformed JSON")),
        ("list", "message", json!("invalid request")),
        ("list", "message", json!("invalid request")),
    ];
    assert_eq!(seen, expected);
    let given = |name: &str| {
        let of_name = records.iter().filter(|r| r["operation_name"] == name);
        of_name.map(|r| r["input_data"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(given("point")[1..], [json!({"id": "[string]"}), json!({"idd": "[number]"})]);
    assert_eq!(given("nothing"), [json!({"a": "[number]"})]);
    // A request method without an id was not executed.
    assert_eq!(project.mxcp(&["query", "--json", "SELECT * FROM tags"]).trim(), "[]");
    for record in &records {
        let id = record["record_id"].as_str().unwrap();
        assert_eq!(records.iter().filter(|other| other["record_id"] == id).count(), 1);
    }
}

#[test]
fn limits_and_cancellation_are_recorded() {
    let (project, server) = start("", "max_calls_per_second: 2", &[]);
    let mut line = open(&server);
    let statuses: Vec<u16> =
        (0..6).map(|i| line.ask(&tool(i, "point", &json!({"id": 1}))).unwrap().0).collect();
    assert!(statuses.contains(&429), "{statuses:?}");
    let limited = finish(&project, server);
    let limited = limited.iter().filter(|record| record["error"] == "limit reached").count();
    assert_eq!(limited, statuses.iter().filter(|status| **status == 429).count());

    let project = trail::project("", "");
    project.write(
        "tools/slow.yml",
        "mxcp: 1
tool:
  name: slow
  description: Takes its time
  return: { type: object, properties: { n: { type: number } } }
  source: { code: 'SELECT sum(sin(a.range + b.range))::DOUBLE AS n FROM range(1000000) a, range(1000000) b' }
",
    );
    let bundle = project.build();
    let server = trail::serve(&project, &bundle, &[]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let body = tool(1, "slow", &json!({})).to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-03-26"),
    ];
    let request = mxcp_tests::http::request(server.address(), "/mcp", &headers, body.as_bytes());
    stream.write_all(&request).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(stream);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let cancelled = loop {
        let records = trail::records(&project);
        if let Some(record) = records.into_iter().find(|r| r["operation_name"] == "slow") {
            break record;
        }
        assert!(std::time::Instant::now() < until, "a cancelled call has no record");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert_eq!(
        (&cancelled["error"], &cancelled["operation_status"]),
        (&json!("cancelled"), &json!("error"))
    );
    finish(&project, server);
}

#[test]
fn strange_and_huge_texts_stay_on_one_line_and_are_marked() {
    let limits = "max_body_bytes: 67108864, max_argument_bytes: 33554432, max_header_bytes: 32768";
    let (project, server) = start("", limits, &[]);
    let mut line = open(&server);
    let strange = "a\nb\r\u{2028}\u{2029}\u{85}\0\u{1b}[31m\u{7f}\"\\ü\u{1F980}";
    let huge = "\u{2028}x".repeat(10 << 18);
    assert!(huge.len() >= 10 << 20);
    let mut ids = Vec::new();
    for text in [strange, &huge] {
        let (_, answer) = line.ask(&tool(1, "keep", &json!({"tag": text}))).unwrap();
        assert!(is_result(&answer), "{:.300}", answer.to_string());
        ids.push(call_id(&answer).unwrap().to_owned());
    }
    // Names that clients choose, too.
    let (_, answer) = line.ask(&tool(2, &huge, &json!({}))).unwrap();
    let unknown = call_id(&answer).unwrap().to_owned();
    line.ask(&message(3, strange, &json!({}))).unwrap();
    let records = finish(&project, server);
    assert_eq!(record_of(&records, &ids[0])["input_data"]["tag"], strange);
    let marked = format!("[cut: {} bytes]", huge.len());
    for text in [
        &record_of(&records, &ids[1])["input_data"]["tag"],
        &record_of(&records, &unknown)["operation_name"],
    ] {
        let text = text.as_str().unwrap();
        assert!(text.ends_with(&marked), "{}", text.len());
        assert!(text.len() <= mxcp_schemas::audit::TEXT_BYTES_MAX + marked.len());
    }
    assert!(records.iter().any(|record| record["operation_name"] == strange));
    // DuckDB reads the same, and finds them.
    let found: Value =
        serde_json::from_str(&project.mxcp(&["log", "--json", "--tool", "keep"])).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert!(found.as_array().unwrap().iter().any(|record| record["input_data"]["tag"] == strange));
}

#[test]
fn standard_input_is_recorded_like_http() {
    let project = trail::project("", "");
    let bundle = project.build();
    let mut command = mxcp_tests::binaries::runtime();
    command.arg(&bundle).args(["serve", "--transport", "stdio", "--user-context", CLERK, "--root"]);
    command.arg(project.path("")).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let start = message(
        1,
        "initialize",
        &json!({
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "a client", "version": "1"},
        }),
    );
    writeln!(input, "{start}").unwrap();
    writeln!(input, "{}", tool(2, "point", &json!({"id": 4}))).unwrap();
    input.write_all(b"\xff\xfe\n").unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    assert_eq!(String::from_utf8_lossy(&done.stdout).lines().count(), 3);
    trail::consistent(&project);
    let records = trail::records(&project);
    let call = records.iter().find(|r| r["operation_name"] == "point").unwrap();
    assert_eq!((&call["caller_type"], &call["user_id"]), (&json!("stdio"), &json!("u-7")));
    assert_eq!(call["client"], json!({"id": "a client", "ip": null}));
    let names: Vec<&str> = records.iter().map(|r| r["operation_name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["start", "initialize"]);
    assert!(names.contains(&"message") && names.last() == Some(&"stop"), "{names:?}");
}

#[test]
fn a_second_server_on_one_trail_is_refused() {
    let (project, server) = start("", "", &[]);
    let bundle = project.path("bundle.mx");
    let port = mxcp_tests::server::free_port();
    // Another database, so that it is the trail that stands in the way.
    let done = trail::serving(&project, &bundle, &[], port)
        .env("MXCP_DUCKDB_PATH", "other.duckdb")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let owner = format!("is being written by another process (process {})", server.id());
    assert!(said.contains(&owner) && said.contains("audit.path"), "{said}");
    let (_, answer) = open(&server).ask(&tool(1, "point", &json!({"id": 1}))).unwrap();
    assert!(is_result(&answer));
    finish(&project, server);
}

#[test]
fn the_environment_turns_recording_on_and_off() {
    let project = trail::project("", "");
    let bundle = project.build();
    let port = mxcp_tests::server::free_port();
    let mut command = trail::serving(&project, &bundle, &[], port);
    command.env("MXCP_AUDIT_ENABLED", "false");
    let server = Server::spawn(command, port);
    let (_, answer) = open(&server).ask(&tool(1, "point", &json!({"id": 1}))).unwrap();
    assert!(is_result(&answer));
    server.stop();
    assert!(!project.path("audit").exists() || trail::segments(&project).is_empty());
}

/// A project without audit, and a deployment that wants it.
#[test]
fn the_environment_turns_on_what_the_project_leaves_out() {
    let project = trail::project("", "");
    let site = project.read("mxcp-site.yml").replace("enabled: true", "enabled: false");
    project.write("mxcp-site.yml", &site);
    let bundle = project.build();
    let ask = |setting: Option<&str>| {
        let port = mxcp_tests::server::free_port();
        let mut command = trail::serving(&project, &bundle, &[], port);
        command.envs(setting.map(|setting| ("MXCP_AUDIT_ENABLED", setting)));
        let server = Server::spawn(command, port);
        let (_, answer) = open(&server).ask(&tool(1, "point", &json!({"id": 1}))).unwrap();
        server.stop();
        call_id(&answer).unwrap().to_owned()
    };
    ask(None);
    assert!(!project.path("audit").exists() || trail::segments(&project).is_empty());
    let recorded = ask(Some("true"));
    record_of(&trail::records(&project), &recorded);
}

/// Of somebody without a token, with one that opens nothing, and with one that does not open this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_get_past_authentication_is_recorded() {
    let scopes = json!({
        "authorization": { "required_scopes": ["tools"] },
        "clients": [{ "client_id": "known", "redirect_uris": [REDIRECT], "scopes": ["other"] }],
    });
    let issuer = Issuer::start("ada", &scopes);
    let client = issuer.register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let url = issuer.authorize(&client, &[("scope", "other")]);
    let callback = issuer.until_callback(&mut browser, &url).await;
    let to = browser.get(callback.as_str()).await.location().unwrap();
    let answer = json_of(&issuer.exchange(&client, &parameter(&to, "code").unwrap()).await);
    assert_eq!(issuer.call(answer["access_token"].as_str().unwrap()).await.status, 403);
    assert_eq!(issuer.call("nonsense").await.status, 401);
    let headers = [("content-type", "application/json")];
    let post = axum::http::Method::POST;
    let bare = Browser::default().send(post, &issuer.url("/mcp"), &headers, b"{}".to_vec()).await;
    assert_eq!(bare.status, 401);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let records = issuer.records_of("refused");
        let mut reasons: Vec<_> = records.iter().filter_map(|r| r["error"].as_str()).collect();
        reasons.sort_unstable();
        if reasons == ["insufficient_scope", "invalid_token", "no_token"] {
            break;
        }
        assert!(std::time::Instant::now() < until, "{records:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
