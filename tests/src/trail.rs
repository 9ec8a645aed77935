//! A server with an audit trail: started, asked over plain HTTP, its trail read as `jq` would.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::binaries;
use crate::project::Project;
use crate::server::{Server, free_port};

/// How long an answer may take before a test gives up on it.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// A revision of the protocol that needs neither session nor headers where the server is stateless.
const REVISION: &str = "2025-03-26";

const ENDPOINTS: &[(&str, &str)] = &[
    (
        "tools/point.yml",
        "mxcp: 1
tool:
  name: point
  description: One row by its number
  parameters:
    - { name: id, type: integer, description: Number of the row }
  return: { type: object, properties: { id: { type: integer }, name: { type: string } } }
  source: { code: 'SELECT id, name FROM rows WHERE id = $id' }
",
    ),
    (
        "tools/keep.yml",
        "mxcp: 1
tool:
  name: keep
  description: Keeps a tag
  parameters:
    - { name: tag, type: string, description: What is kept }
  return: { type: array, items: { type: object, properties: { tag: { type: string } } } }
  source: { code: 'INSERT INTO tags VALUES ($tag) RETURNING tag' }
",
    ),
    (
        "tools/guarded.yml",
        "mxcp: 1
tool:
  name: guarded
  description: For administrators, with a field that is theirs alone
  parameters:
    - { name: id, type: integer, description: Number of the row }
    - { name: pin, type: string, sensitive: true, default: '0000', description: Personal number }
  return:
    type: object
    properties: { id: { type: integer }, name: { type: string }, note: { type: string } }
  source: { code: \"SELECT id, name, 'private' AS note FROM rows WHERE id = $id AND $pin IS NOT NULL\" }
policies:
  input:
    - { name: staff, condition: \"user.role != 'admin' && user.role != 'clerk'\", action: deny, reason: Staff only }
  output:
    - { name: notes, condition: \"user.role != 'admin'\", action: mask_fields, fields: [note] }
",
    ),
    (
        "resources/row.yml",
        "mxcp: 1
resource:
  uri: 'rows://{id}'
  description: One row
  parameters:
    - { name: id, type: integer, description: Number of the row }
  return: { type: object, properties: { id: { type: integer }, name: { type: string } } }
  source: { code: 'SELECT id, name FROM rows WHERE id = $id' }
",
    ),
    (
        "prompts/greet.yml",
        "mxcp: 1
prompt:
  name: greet
  description: A greeting
  parameters:
    - { name: who, type: string, description: Whom }
  messages:
    - { role: user, type: text, prompt: 'Greet {{ who }}.' }
",
    ),
];

/// A project with endpoints of every kind, and these settings of its audit trail, in YAML's flow
/// notation without braces.
pub fn project(audit: &str, limits: &str) -> Project {
    let project = Project::new(ENDPOINTS);
    project.write(
        "mxcp-site.yml",
        &format!(
            "mxcp: 1
project: trail
profile: dev
profiles:
  dev:
    audit: {{ enabled: true, {audit} }}
    limits: {{ {limits} }}
"
        ),
    );
    project.write(
        "seed.sql",
        "CREATE TABLE rows AS SELECT range AS id, 'name ' || range AS name FROM range(1000);
         CREATE TABLE tags (tag VARCHAR);",
    );
    user_file(&project, "");
    let mut seed = project.command(&["query", "--file", "seed.sql"]);
    crate::workspace::output(seed.env("MXCP_AUDIT_ENABLED", "false"));
    project
}

/// Writes the user file of a project: a server without sessions, and these keys of the audit trail.
pub fn user_file(project: &Project, keys: &str) {
    let text = format!(
        "mxcp: 1
transport: {{ http: {{ stateless: true }} }}
projects: {{ trail: {{ profiles: {{ dev: {{ audit: {{ {keys} }} }} }} }} }}
"
    );
    project.write("user.yml", &text);
    let own = Permissions::from_mode(0o600);
    fs::set_permissions(project.path("user.yml"), own).expect("the file is ours");
}

/// A command to serve a project's bundle over HTTP on a port, with its user file.
pub fn serving(project: &Project, bundle: &Path, options: &[&str], port: u16) -> Command {
    let mut command = binaries::runtime();
    command.arg(bundle).args(["serve", "--transport", "streamable-http", "--host", "127.0.0.1"]);
    command.arg("--port").arg(port.to_string()).arg("--root").arg(project.path("")).args(options);
    command.current_dir(project.path("")).env("MXCP_CONFIG", project.path("user.yml"));
    command
}

/// Serves a project's bundle over HTTP, with its user file.
pub fn serve(project: &Project, bundle: &Path, options: &[&str]) -> Server {
    let port = free_port();
    Server::spawn(serving(project, bundle, options, port), port)
}

/// Lets a server run on a disk that obeys [`order`] where its trail is.
pub fn on_obedient_disk(command: &mut Command, project: &Project) {
    let library = project.path("shim.so");
    if !library.exists() {
        let source = crate::workspace::root().join("tests/faults/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        crate::workspace::output(&mut compiler);
    }
    order(project, "");
    command.env("LD_PRELOAD", library);
    command.env("FAULTS_ORDER", project.path("order"));
    command.env("FAULTS_FOLDER", project.path("audit"));
}

/// Says what the disk of a project's trail is to do from now on; see `tests/faults/shim.c`.
pub fn order(project: &Project, what: &str) {
    // Replaced at once, so that no half of an order is obeyed.
    project.write("order-next", what);
    fs::rename(project.path("order-next"), project.path("order")).expect("an order is given");
}

/// The body of a request.
pub fn message(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// The body of a call of a tool.
pub fn tool(id: u64, name: &str, arguments: &Value) -> Value {
    message(id, "tools/call", &json!({"name": name, "arguments": arguments}))
}

/// A connection that may break.
pub struct Line {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self { stream: BufReader::new(stream), address })
    }

    /// Posts a message and returns the HTTP status and the answer.
    ///
    /// # Errors
    /// When the whole answer did not come.
    pub fn ask(&mut self, message: &Value) -> io::Result<(u16, Value)> {
        self.post(&message.to_string().into_bytes(), &[])
    }

    /// Posts a body with further headers.
    ///
    /// # Errors
    /// When the whole answer did not come.
    pub fn post(&mut self, body: &[u8], headers: &[(&str, &str)]) -> io::Result<(u16, Value)> {
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", REVISION),
        ];
        all.extend_from_slice(headers);
        self.stream.get_mut().write_all(&crate::http::request(self.address, "/mcp", &all, body))?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<(u16, Value)> {
        let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(cut());
            }
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_lowercase());
        }
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let length = head.iter().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        let value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok((status.ok_or_else(cut)?, value))
    }
}

/// The call id that an answer carries.
pub fn call_id(answer: &Value) -> Option<&str> {
    let places = ["/result/_meta/mxcp~1call_id", "/error/data/call_id"];
    places.iter().find_map(|place| answer.pointer(place)?.as_str())
}

/// Whether an answer is a result.
pub fn is_result(answer: &Value) -> bool {
    answer.pointer("/result/isError") == Some(&Value::Bool(false))
}

/// The status of `GET` of a path.
pub fn get(address: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("an option of the socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("an HTTP status")
}

/// What the administrators' socket answers: the status, and the body.
pub fn ask_admin(socket: &Path, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).expect("the administrators' socket");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("an option of the socket");
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP response");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (status.expect("an HTTP status"), body.to_owned())
}

/// The path of a project's trail.
pub fn path(project: &Project) -> PathBuf {
    project.path("audit/logs-dev.jsonl")
}

/// The segments of a trail, the oldest first.
pub fn segments(project: &Project) -> Vec<PathBuf> {
    let folder = project.path("audit");
    let entries = fs::read_dir(&folder).expect("the folder of the trail");
    let named = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("logs-dev.2").is_some_and(|rest| rest.strip_suffix(".jsonl").is_some())
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = paths.filter(named).collect();
    found.sort_by_key(|path| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let seq = name.rsplit('-').next().expect("a number").trim_end_matches(".jsonl").to_owned();
        seq.parse::<u64>().expect("a number")
    });
    found
}

/// The records of a trail, in order. Every line must be one, on one line for every reader.
pub fn records(project: &Project) -> Vec<Value> {
    read(project, |line, error| panic!("not a record ({error}): {line}"))
}

/// The records of a trail that lived through failures of its disk: what these left of a line is no
/// record.
pub fn records_of_torn(project: &Project) -> Vec<Value> {
    read(project, |_, _| {})
}

fn read(project: &Project, torn: impl Fn(&str, serde_json::Error)) -> Vec<Value> {
    let mut found = Vec::new();
    for segment in segments(project) {
        let text = fs::read_to_string(&segment).expect("a segment is UTF-8");
        for line in text.split_terminator('\n') {
            let strange = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
            assert!(!line.contains(strange), "a line that some reader would break: {line:?}");
            match serde_json::from_str(line) {
                Ok(record) => found.push(record),
                Err(error) => torn(line, error),
            }
        }
    }
    found
}

/// The one record of a call.
pub fn record_of<'r>(records: &'r [Value], call_id: &str) -> &'r Value {
    let mut of_call = records.iter().filter(|record| record["record_id"] == call_id);
    let record = of_call.next().unwrap_or_else(|| panic!("call {call_id} has no record"));
    assert!(of_call.next().is_none(), "call {call_id} has two records");
    record
}

/// What `mxcp log verify --json` says.
pub fn verify(project: &Project, options: &[&str]) -> Value {
    let arguments = [&["log", "verify", "--json"], options].concat();
    let done = project.run(&arguments);
    serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&done.stderr)))
}

/// Asserts that the trail is consistent, and returns what `mxcp log verify` says.
pub fn consistent(project: &Project) -> Value {
    let report = verify(project, &[]);
    assert_eq!(report["consistent"], json!(true), "{report:#}");
    report
}
