//! Tests of the endpoint, over a real socket, against a bundle of prompts.

use std::time::Duration;

use mxcp_schemas::bundle::code::{
    Const, ConstId, Depends, Input, InputId, Kind as CodeKind, Op, Operand, Program, Reg, Slot,
};
use mxcp_schemas::bundle::container::Bundle as Contents;
use mxcp_schemas::bundle::definition::{
    Body as EndpointBody, Endpoints, Kind, Message, Parameter, Policy, Predicates, Type, TypeId,
    TypeKind, Types,
};
use mxcp_schemas::bundle::manifest::{Audit, DuckDb, Manifest};
use mxcp_schemas::bundle::source::Sources;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::audit::Trail;
use crate::audit::redact::Redactor;
use crate::endpoint::tests::named;
use crate::serve::{Around, Linked, Runtime};

/// `user.role != 'admin'`
fn not_admin() -> Program {
    let admin = Operand::Const(ConstId(0));
    Program {
        registers: 1,
        inputs: vec![Input { slot: Slot::User(5), kind: CodeKind::String }],
        constants: vec![Const::String("admin".into())],
        functions: Vec::new(),
        arguments: Vec::new(),
        parts: 0,
        code: vec![
            Op::NotEqual { dst: Reg(0), a: Operand::Input(InputId(0)), b: admin },
            Op::Return { src: Operand::Reg(Reg(0)) },
        ],
        kinds: vec![CodeKind::Bool; 2],
        spans: vec![(0, 1); 2],
        depends: Depends { user: true, ..Depends::default() },
        cost: 2,
    }
}

fn prompt(
    name: &str,
    template: &str,
    policies: Vec<Policy>,
) -> mxcp_schemas::bundle::definition::Endpoint {
    let mut prompt = named(Kind::Prompt, name);
    prompt.body = EndpointBody::Messages(vec![Message {
        role: "user".into(),
        kind: "text".into(),
        template: template.into(),
    }]);
    prompt.parameters =
        vec![Parameter { name: "name".into(), description: None, ty: TypeId(0), default: None }];
    prompt.input = policies;
    prompt
}

fn deny(reason: &str) -> Policy {
    Policy {
        name: "input[0]".into(),
        action: "deny".into(),
        reason: Some(reason.into()),
        condition: "user.role != 'admin'".into(),
        program: 0,
        plan: None,
        line: 1,
    }
}

pub(crate) fn contents() -> Contents {
    let text =
        TypeKind::String { format: None, min_length: None, max_length: Some(5), pattern: None };
    let choices = vec!["\"ada\"".into(), "\"bob\"".into()];
    Contents {
        manifest: Manifest {
            project: "clinic".into(),
            profile: "dev".into(),
            compiler: "0.1.0".into(),
            duckdb: DuckDb::default(),
            audit: Audit::default(),
            limits: vec![("max_body_bytes".into(), 2_000), ("slow_request_timeout_ms".into(), 300)],
            secrets: Vec::new(),
            extensions: Vec::new(),
            user_attributes: Vec::new(),
            sql_tools: Vec::new(),
            disabled: Vec::new(),
        },
        types: Types { nodes: vec![Type { kind: text, sensitive: false, choices }] },
        endpoints: Endpoints {
            entries: vec![
                prompt("greet", "hello {{ name }}", Vec::new()),
                prompt("secret", "psst {{ name }}", vec![deny("Admin access required")]),
            ],
        },
        predicates: Predicates { programs: vec![not_admin()], plans: Vec::new() },
        sources: Sources::default(),
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

async fn start(context: Option<&str>, stateless: bool) -> Running {
    let around = Around { trail: Trail::disabled(), redactor: Redactor::default(), pool: None };
    let runtime = Arc::new(Runtime::new(Linked::new(contents(), "d1".into()).unwrap(), around));
    let principal = match context {
        Some(context) => runtime.principal(context).unwrap(),
        None => runtime.anonymous(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = Http {
        server: Arc::new(Server::new(runtime, stateless)),
        doors: Doors::new(address.ip(), None).unwrap(),
        reached: Reached::directly(None),
        callers: Callers::Everybody { principal: Arc::new(principal), operator: false },
        tls: None,
    };
    let stop = CancellationToken::new();
    let ended = tokio::spawn(run(listener, http, stop.clone()));
    Running { address, stop, ended }
}

/// A reply as it came over the wire.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    fn header(&self, name: &str) -> Option<String> {
        let prefix = format!("{name}:");
        let lines = self.head.lines();
        let mut found = lines.filter_map(|line| {
            let (start, rest) = line.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(&prefix).then(|| rest.trim().to_owned())
        });
        found.next()
    }
}

impl Running {
    async fn raw(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn send(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut lines = String::new();
        let mut host = "localhost";
        let mut media = "application/json";
        for (name, value) in headers {
            match *name {
                "host" => host = value,
                "content-type" => media = value,
                _ => lines += &format!("{name}: {value}\r\n"),
            }
        }
        let length = body.len();
        self.raw(&format!(
            "{method} /mcp HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-type: {media}\r\n\
             content-length: {length}\r\n{lines}\r\n{body}"
        ))
        .await
    }

    async fn post(&self, headers: &[(&str, &str)], body: &Value) -> Reply {
        self.send("POST", headers, &body.to_string()).await
    }

    /// A modern request with the headers that it needs.
    async fn modern(&self, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let mut headers = vec![("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post(&headers, &body).await
    }

    async fn initialize(&self, version: &str) -> Reply {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        self.post(
            &[],
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}),
        )
        .await
    }
}

#[tokio::test]
async fn modern_requests_are_answered_with_all_that_the_revision_wants() {
    let server = start(None, false).await;
    let discovered = server.modern("server/discover", json!({})).await;
    assert_eq!(discovered.status, 200);
    let result = &discovered.json()["result"];
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "clinic");
    assert!(result["ttlMs"].is_u64() && result["capabilities"]["tools"].is_object());
    let rendered =
        server.modern("prompts/get", json!({"name": "greet", "arguments": {"name": "ada"}})).await;
    let result = &rendered.json()["result"];
    assert_eq!(
        result["messages"],
        json!([{"role": "user", "content": {"type": "text", "text": "hello ada"}}])
    );
    assert_eq!(result["_meta"]["mxcp/call_id"].as_str().unwrap().len(), 36);
    assert_eq!(server.modern("nope", json!({})).await.status, 404);
    assert_eq!(server.modern("ping", json!({})).await.json()["error"]["code"], -32601);
    let missing = server.modern("resources/read", json!({"uri": "a://b"})).await.json();
    assert_eq!(
        (&missing["error"]["code"], &missing["error"]["data"]["uri"]),
        (&json!(-32602), &json!("a://b"))
    );
}

#[tokio::test]
async fn what_a_policy_refuses_is_not_listed_and_not_rendered() {
    let anonymous = start(None, false).await;
    let names = |reply: &Reply| -> Vec<String> {
        let list = reply.json()["result"]["prompts"].clone();
        list.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let listed = anonymous.modern("prompts/list", json!({})).await;
    assert_eq!(names(&listed), ["greet"]);
    assert_eq!(listed.json()["result"]["cacheScope"], "private");
    let tools = anonymous.modern("tools/list", json!({})).await;
    assert_eq!(tools.json()["result"]["cacheScope"], "public");
    let call = json!({"name": "secret", "arguments": {"name": "ada"}});
    let denied = anonymous.modern("prompts/get", call.clone()).await.json();
    assert_eq!(denied["error"]["code"], -32000);
    let id = denied["error"]["data"]["call_id"].as_str().unwrap();
    assert_eq!(denied["error"]["message"], format!("Admin access required (call {id})"));
    let hidden = json!({"ref": {"type": "ref/prompt", "name": "secret"}, "argument": {"name": "name", "value": ""}});
    assert_eq!(
        anonymous.modern("completion/complete", hidden.clone()).await.json()["error"]["code"],
        -32602
    );
    let admin = start(Some(r#"{"role":"admin"}"#), false).await;
    assert_eq!(names(&admin.modern("prompts/list", json!({})).await), ["greet", "secret"]);
    let rendered = admin.modern("prompts/get", call).await.json();
    assert_eq!(rendered["result"]["messages"][0]["content"]["text"], "psst ada");
    let completed = admin.modern("completion/complete", hidden).await.json();
    assert_eq!(completed["result"]["completion"]["values"], json!(["ada", "bob"]));
    let broken = start(Some(r#"{"role":["admin"]}"#), false).await;
    assert_eq!(names(&broken.modern("prompts/list", json!({})).await), ["greet"]);
}

#[tokio::test]
async fn arguments_are_checked_and_named() {
    let server = start(None, false).await;
    let call = |name: Value| json!({"name": "greet", "arguments": {"name": name}});
    for wrong in [json!("eve"), json!("abcdefg"), json!([])] {
        let reply = server.modern("prompts/get", call(wrong)).await.json();
        assert_eq!(reply["error"]["code"], -32602);
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains("`name`") && !message.contains("abcdefg"), "{message}");
    }
    let missing = server.modern("prompts/get", json!({"name": "greet"})).await.json();
    let message = missing["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("invalid arguments: `name` is missing (call "), "{message}");
}

#[tokio::test]
async fn legacy_clients_get_a_session() {
    let server = start(None, false).await;
    let initialized = server.initialize("2025-06-18").await;
    assert_eq!(initialized.json()["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(initialized.json()["result"]["serverInfo"]["name"], "clinic");
    let session = initialized.header("mcp-session-id").unwrap();
    let of_session = [("mcp-session-id", &*session), ("mcp-protocol-version", "2025-06-18")];
    let notified = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    assert_eq!(server.post(&of_session, &notified).await.status, 202);
    let list = json!({"jsonrpc": "2.0", "id": "a", "method": "prompts/list"});
    let listed = server.post(&of_session, &list).await.json();
    assert_eq!(listed["id"], "a");
    assert_eq!(listed["result"].get("resultType"), None);
    assert_eq!(server.post(&[], &list).await.status, 400);
    assert_eq!(server.post(&[("mcp-session-id", "made-up")], &list).await.status, 404);
    assert_eq!(server.send("DELETE", &of_session, "").await.status, 204);
    assert_eq!(server.post(&of_session, &list).await.status, 404);
    assert_eq!(
        server.initialize("1999-01-01").await.json()["result"]["protocolVersion"],
        "2025-11-25"
    );
}

#[tokio::test]
async fn a_stateless_server_has_no_sessions() {
    let server = start(None, true).await;
    assert_eq!(server.initialize("2025-11-25").await.header("mcp-session-id"), None);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(server.post(&[], &ping).await.json()["result"], json!({}));
}

#[tokio::test]
async fn batches_exist_in_one_revision_alone() {
    let server = start(None, true).await;
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "nope"},
        7
    ]);
    let answers = server.post(&[("mcp-protocol-version", "2025-03-26")], &batch).await.json();
    let codes: Vec<Value> =
        answers.as_array().unwrap().iter().map(|a| a["error"]["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, json!(-32601), json!(-32600)]);
    let refused = server.post(&[("mcp-protocol-version", "2025-11-25")], &batch).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(-32600)));
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_a_reason() {
    let server = start(None, true).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let cases: [(&[(&str, &str)], u16); 6] = [
        (&[("origin", "http://evil.example")], 403),
        (&[("host", "evil.example")], 403),
        (&[("content-type", "text/plain")], 415),
        (&[("accept", "text/html")], 406),
        (
            &[
                ("origin", "http://localhost:3000"),
                ("accept", "application/json, text/event-stream"),
            ],
            200,
        ),
        (&[("mcp-protocol-version", "v999")], 400),
    ];
    for (headers, status) in cases {
        assert_eq!(server.post(headers, &ping).await.status, status, "{headers:?}");
    }
    assert_eq!(server.send("POST", &[], "{").await.json()["error"]["code"], -32700);
    let large =
        json!({"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"a": "b".repeat(2_000)}});
    assert_eq!(server.post(&[], &large).await.status, 413);
    let read = server.send("GET", &[], "").await;
    assert_eq!((read.status, read.header("allow").as_deref()), (405, Some("POST, DELETE")));
    let slow = "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    assert_eq!(server.raw(slow).await.status, 408);
    assert_eq!(
        server.raw("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.body,
        "ok\n"
    );
    assert_eq!(
        server.raw("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.body,
        "ready\n"
    );
}

#[tokio::test]
async fn a_request_without_an_id_is_not_executed() {
    let server = start(None, true).await;
    let call = json!({"jsonrpc": "2.0", "method": "prompts/get", "params": {"name": "greet"}});
    let reply = server.post(&[], &call).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(-32600)));
}

#[tokio::test]
async fn the_server_stops_when_told() {
    let server = start(None, true).await;
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

fn broken() -> Answer {
    panic!("on purpose")
}

#[tokio::test]
async fn a_fault_of_the_server_is_in_the_trail() {
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail::open(&crate::audit::Config::new(folder.path().join("logs.jsonl"))).unwrap();
    let around = Around { trail: trail.clone(), redactor: Redactor::default(), pool: None };
    let runtime = Arc::new(Runtime::new(Linked::new(contents(), "d1".into()).unwrap(), around));
    let principal = Arc::new(runtime.principal(r#"{"user_id":"ada"}"#).unwrap());
    let address = IpAddr::from([127, 0, 0, 1]);
    let callers = Callers::Everybody { principal: Arc::clone(&principal), operator: false };
    let http = Arc::new(Http {
        server: Arc::new(Server::new(runtime, true)),
        doors: Doors::new(address, None).unwrap(),
        reached: Reached::directly(None),
        callers,
        tls: None,
    });
    let headers = Arc::default();
    let visit = Visit { http, address, headers, principal, operator: false, vouched: None };
    let response = visit.settle(tokio::spawn(async { broken() }).await).await;
    assert_eq!(response.status(), 500);
    trail.close();
    let found: Vec<Value> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["error"], &found[0]["user_id"]),
        (&json!("internal error"), &json!("ada"))
    );
}
