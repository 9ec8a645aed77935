//! A running server with a project, and a peer that says exactly what a test wants to say.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use mxcp_tests::http::{Connection, Reply};
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use serde_json::{Value, json};

pub(crate) const MODERN: &str = "2026-07-28";

/// A served project.
pub(crate) struct Peer {
    pub(crate) project: Project,
    pub(crate) server: Server,
    connection: Connection,
}

/// The project of these tests, with its database.
pub(crate) fn serving() -> Project {
    let project = Project::copy("tests/projects/serving");
    project.mxcp(&["query", "CREATE TABLE notes (text VARCHAR)"]);
    project
}

impl Peer {
    /// Serves the project of these tests to somebody.
    pub(crate) fn new(context: Option<&str>) -> Self {
        let options: Vec<&str> = context.into_iter().flat_map(|c| ["--user-context", c]).collect();
        Self::of(serving(), &options)
    }

    /// Serves a project.
    pub(crate) fn of(project: Project, options: &[&str]) -> Self {
        let bundle = project.build();
        let server = Server::start(&project, &bundle, options);
        let connection = Connection::open(server.address());
        Self { project, server, connection }
    }

    /// Posts a message with these headers.
    pub(crate) fn post(&mut self, headers: &[(&str, &str)], message: &Value) -> Reply {
        self.connection.rpc(headers, message)
    }

    /// Posts any bytes as `application/json`.
    pub(crate) fn bytes(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut all = vec![("Content-Type", "application/json")];
        all.extend_from_slice(headers);
        self.connection.post("/mcp", &all, body)
    }

    /// A modern request with the headers that it needs.
    pub(crate) fn modern(&mut self, method: &str, params: Value) -> Reply {
        let message = modern(method, params);
        let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
        let name = name.map(str::to_owned);
        let mut headers = vec![("MCP-Protocol-Version", MODERN), ("Mcp-Method", method)];
        headers.extend(name.as_deref().map(|name| ("Mcp-Name", name)));
        self.post(&headers, &message)
    }

    /// The result of a modern request.
    pub(crate) fn result(&mut self, method: &str, params: Value) -> Value {
        let reply = self.modern(method, params);
        let mut body = reply.json();
        assert_eq!((reply.status, body.get("error")), (200, None), "{method}: {body}");
        body["result"].take()
    }

    /// The error of a modern request, with its HTTP status.
    pub(crate) fn error(&mut self, method: &str, params: Value) -> (u16, Value) {
        let reply = self.modern(method, params);
        let mut body = reply.json();
        assert_eq!(body.get("result"), None, "{method}: {body}");
        (reply.status, body["error"].take())
    }

    /// The result of a tool.
    pub(crate) fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.result("tools/call", json!({"name": name, "arguments": arguments}))
    }

    /// A result as bytes, for what must not be in it anywhere.
    pub(crate) fn raw_call(&mut self, name: &str, arguments: Value) -> String {
        let reply = self.modern("tools/call", json!({"name": name, "arguments": arguments}));
        String::from_utf8(reply.body).unwrap()
    }

    /// Opens a legacy session and returns its id.
    pub(crate) fn initialize(&mut self, version: &str) -> (String, Value) {
        let reply = self.post(&[], &initialize(version));
        let body = reply.json();
        let session = reply.header("mcp-session-id").map(str::to_owned);
        (session.unwrap_or_else(|| panic!("no session: {body}")), body["result"].clone())
    }

    /// Sends the bytes of a whole HTTP request on a connection of their own and returns the status
    /// and everything that came back.
    pub(crate) fn raw(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    /// Stops the server and returns the records of its audit trail, oldest first.
    pub(crate) fn stop(self) -> (Vec<Value>, Project) {
        let Self { project, server, connection } = self;
        drop(connection);
        let (status, log) = server.stop();
        assert!(status.success(), "{log}");
        let printed = project.mxcp(&["log", "--json", "--limit", "10000"]);
        let mut records: Vec<Value> = serde_json::from_str(&printed).unwrap();
        records.reverse();
        (records, project)
    }
}

/// A modern request.
pub(crate) fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

/// A request of a legacy revision.
pub(crate) fn legacy(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

pub(crate) fn initialize(version: &str) -> Value {
    let client = json!({"name": "peer", "version": "1"});
    legacy(
        "initialize",
        json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}),
    )
}

/// The names, or URIs, of the entries of a list.
pub(crate) fn names(result: &Value, list: &str) -> Vec<String> {
    let entries = result[list].as_array().unwrap_or_else(|| panic!("no {list}: {result}"));
    let name = |entry: &Value| {
        let uri = entry.get("uri").or(entry.get("uriTemplate"));
        uri.unwrap_or(&entry["name"]).as_str().unwrap().to_owned()
    };
    entries.iter().map(name).collect()
}
