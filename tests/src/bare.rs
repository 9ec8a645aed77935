//! The alternative that benchmarks print beside ours: the same SQL behind plain axum and DuckDB. No
//! protocol, no policies, no validation, no audit; the same number of threads, the same settings of
//! DuckDB, statements prepared once.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use mxcp_runtime::duckdb::{Bind, Pool, Settings};
use mxcp_runtime::output::{Form, Table};
use mxcp_schemas::bundle::plan::Plan;
use serde_json::Value;

use crate::server::{Server, free_port};

/// The first argument of a process that is to be the bare server.
const ROLE: &str = "--bare-server";
const ROWS_MAX: usize = 100_000;
const RESULT_MAX_BYTES: usize = 1 << 24;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The SQL that it runs, by the name of the tool.
pub type Statements = &'static [(&'static str, &'static str)];

/// Becomes the bare server, and does not return, if this process was started as one.
pub fn become_one(statements: Statements) {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(ROLE) {
        return;
    }
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("a port");
    let path = arguments.next().map(PathBuf::from).expect("a database");
    serve(port, path, statements);
    std::process::exit(0);
}

/// Starts this program as the bare server on a database.
pub fn start(database: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().expect("a process knows its program"));
    command.arg(ROLE).arg(port.to_string()).arg(database);
    Server::spawn(command, port)
}

struct Bare {
    pool: Pool,
    statements: Statements,
}

fn serve(port: u16, path: PathBuf, statements: Statements) {
    let settings = Settings { path: Some(path), ..Settings::default() };
    let database = settings.open().expect("the database opens");
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool = Pool::start(&database, workers).expect("threads");
    let router =
        Router::new().route("/mcp", post(answer)).with_state(Arc::new(Bare { pool, statements }));
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    threads.expect("a runtime").block_on(async {
        let listener =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("a free port");
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("an option"));
        axum::serve(listener, router).await.expect("it serves");
    });
}

async fn answer(State(bare): State<Arc<Bare>>, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    let name = message["params"]["name"].as_str().unwrap_or_default();
    let sql = bare.statements.iter().find(|(known, _)| *known == name).expect("a statement").1;
    let arguments = message["params"]["arguments"].clone();
    let rows = bare.pool.run(TIMEOUT, move |session| {
        let value = |name: &str| match &arguments[name] {
            Value::String(text) => Some(Bind::Text(text.clone())),
            number => number.as_i64().map(Bind::Int),
        };
        let rows = session.query(sql, value).expect("rows");
        let table = Table::collect(rows, ROWS_MAX).expect("a table");
        let mut json = Vec::new();
        let plan = Plan::inert();
        table.write_json(Form::Rows, &plan, RESULT_MAX_BYTES, &mut json).expect("JSON");
        json
    });
    ([(CONTENT_TYPE, "application/json")], rows.await.expect("a result")).into_response()
}
