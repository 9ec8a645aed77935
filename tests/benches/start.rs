//! From exec to the first answer with a bundle of a thousand endpoints, and the memory that takes,
//! beside a bare server on the same database.
//!
//! `cargo bench -p mxcp-tests --bench start`

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark")]

use std::time::Instant;

use mxcp_tests::bare;
use mxcp_tests::generate;
use mxcp_tests::http::Connection;
use mxcp_tests::measure::{Sample, goal, resident_mib, rounds, row};
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENDPOINTS: usize = 1_000;
const CONTEXT: &str = r#"{"role": "admin", "username": "ada"}"#;
const VERSION: &str = "2026-07-28";
const STATEMENTS: bare::Statements = &[("one", "SELECT 1 AS n")];

fn main() {
    bare::become_one(STATEMENTS);
    let project = Project::new(&generate::project(ENDPOINTS));
    project.mxcp(&["query", "CREATE TABLE t AS SELECT 1 AS n"]);
    let bundle = project.build();
    let database = project.path("data/db-default.duckdb");
    let (mut ours, mut lists, mut theirs) =
        (Sample::default(), Sample::default(), Sample::default());
    let (mut ours_mib, mut used_mib, mut theirs_mib) =
        (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..rounds(15) {
        let begun = Instant::now();
        let server = Server::start(&project, &bundle, &["--user-context", CONTEXT]);
        let mut connection = Connection::open(server.address());
        call(&mut connection, &generate::tool_name(617));
        ours.add_ms(begun.elapsed());
        ours_mib.add(resident_mib(server.id()));
        let begun = Instant::now();
        list(&mut connection);
        lists.add_ms(begun.elapsed());
        for index in 0..ENDPOINTS {
            call(&mut connection, &generate::tool_name(index));
        }
        used_mib.add(resident_mib(server.id()));
        drop(connection);
        server.stop();

        let begun = Instant::now();
        let server = bare::start(&database);
        let mut connection = Connection::open(server.address());
        let reply = connection.rpc(&[], &json!({"params": {"name": "one", "arguments": {}}}));
        assert_eq!(reply.status, 200);
        theirs.add_ms(begun.elapsed());
        theirs_mib.add(resident_mib(server.id()));
    }
    println!("{ENDPOINTS} endpoints with six policies each:");
    row("bare axum + DuckDB: exec to first answer", &theirs, "ms");
    row("mxcp-runtime: exec to first answer", &ours, "ms");
    row("mxcp-runtime: then the first tools/list", &lists, "ms");
    row("bare axum + DuckDB: resident", &theirs_mib, "MiB");
    row("mxcp-runtime: resident at the first answer", &ours_mib, "MiB");
    row("mxcp-runtime: resident when all were called", &used_mib, "MiB");
    println!(
        "  ratio: start {:.2}, memory {:.2}",
        ours.median() / theirs.median(),
        ours_mib.median() / theirs_mib.median()
    );
    goal("exec to first answer", ours.median(), "ms", "at most", 50.0);
    goal("resident", ours_mib.median() * 1.048_576, "MB", "at most", 60.0);
}

fn call(connection: &mut Connection, name: &str) {
    let headers =
        [("MCP-Protocol-Version", VERSION), ("Mcp-Method", "tools/call"), ("Mcp-Name", name)];
    let reply = connection
        .rpc(&headers, &message("tools/call", json!({"name": name, "arguments": {"limit": 2}})));
    let body = reply.json();
    assert_eq!(body["result"]["isError"], false, "{body}");
}

fn list(connection: &mut Connection) {
    let headers = [("MCP-Protocol-Version", VERSION), ("Mcp-Method", "tools/list")];
    let reply = connection.rpc(&headers, &message("tools/list", json!({})));
    assert_eq!(reply.status, 200);
    assert!(reply.body.len() > ENDPOINTS * 100);
}

fn message(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}
