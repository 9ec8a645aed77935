//! Who evaluates the conditions of a server: machine code, the interpreter where that was asked for,
//! and the interpreter where no executable memory can be had. The answers are the same.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mxcp_tests::binaries;
use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use serde_json::{Value, json};

use super::peer::{MODERN, modern};

/// How long conditions may take to become machine code.
const COMPILE_TIMEOUT: Duration = Duration::from_mins(1);

/// Starts a program in a process that may never gain executable memory (`PR_SET_MDWE`, which outlives
/// `exec`); ends with 77 where the kernel does not know that.
const WITHOUT_EXECUTABLE_MEMORY: &str = "import ctypes, os, sys\n\
    if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0): sys.exit(77)\n\
    os.execv(sys.argv[1], sys.argv[1:])";

const COMPILED: &str = "\"message\":\"conditions are machine code\",\"compiled\":4,";
const INTERPRETED: &str = "conditions are interpreted";

fn project() -> Project {
    let tool = "mxcp: 1
tool:
  name: rows
  source: {code: \"SELECT i::BIGINT AS n, 's' || i AS secret, 'd' AS kind FROM range(1, $n + 1) AS t(i)\"}
  parameters:
    - {name: n, type: integer}
    - {name: divisor, type: integer, default: 1}
  return:
    type: array
    items:
      type: object
      properties: {n: {type: integer}, secret: {type: string}, kind: {type: string}}
      required: [n, secret, kind]
  policies:
    input:
      - {condition: n > 5 && user.role != 'admin', action: deny, reason: Too many}
      - {condition: n / divisor == 4, action: deny, reason: Four}
    output:
      - {condition: 'response.exists(r, r.n > 2)', action: filter_fields, fields: [secret]}
      - {condition: \"user.role == 'anonymous' && n == 1\", action: mask_fields, fields: [kind]}
";
    Project::new(&[
        ("mxcp-site.yml", "mxcp: 1\nproject: engines\nprofile: default\n"),
        ("tools/rows.yml", tool),
    ])
}

/// The answers of a server that runs, in the order of the questions, and its log.
fn answers(server: Server) -> (Vec<Value>, String) {
    let mut connection = Connection::open(server.address());
    let asked = [
        json!({"n": 1}),
        json!({"n": 2}),
        json!({"n": 3}),
        json!({"n": 4}),
        json!({"n": 6}),
        json!({"n": 1, "divisor": 0}),
        json!({"n": 5, "divisor": 2}),
    ];
    let headers =
        [("MCP-Protocol-Version", MODERN), ("Mcp-Method", "tools/call"), ("Mcp-Name", "rows")];
    let ask = |arguments: Value| {
        let params = json!({"name": "rows", "arguments": arguments});
        let mut body = connection.rpc(&headers, &modern("tools/call", params)).json();
        without_id(&body["result"].take())
    };
    let answers = asked.map(ask).to_vec();
    drop(connection);
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    (answers, log)
}

/// A result without what differs from call to call: its id, which fixed texts name, too.
fn without_id(result: &Value) -> Value {
    let id = result["_meta"]["mxcp/call_id"].as_str().expect("a result has an id");
    serde_json::from_str(&result.to_string().replace(id, "id")).unwrap()
}

/// A server that has decided how it evaluates.
fn started(project: &Project, wrapper: &[&str], options: &[&str], until: Option<&str>) -> Server {
    let bundle = project.build();
    let port = free_port();
    let runtime = binaries::runtime();
    let mut command = match wrapper {
        [] => Command::new(runtime.get_program()),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(runtime.get_program());
            command
        }
    };
    for (name, value) in runtime.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("MXCP_LOG", "debug").arg(&bundle).args(["serve", "--port", &port.to_string()]);
    command.args(["--transport", "streamable-http", "--host", "127.0.0.1", "--root"]);
    command.arg(project.path("")).args(options).current_dir(project.path(""));
    let server = Server::spawn(command, port);
    let deadline = Instant::now() + COMPILE_TIMEOUT;
    while until.is_some_and(|line| !server.log().contains(line)) {
        assert!(Instant::now() < deadline, "{until:?} is not in the log:\n{}", server.log());
        thread::sleep(Duration::from_millis(5));
    }
    server
}

#[test]
fn machine_code_and_the_interpreter_give_the_same_answers() {
    let project = project();
    let (compiled, log) = answers(started(&project, &[], &[], Some(COMPILED)));
    assert!(!log.contains(INTERPRETED), "{log}");
    let (asked, log) = answers(started(&project, &[], &["--no-jit"], None));
    assert!(!log.contains("conditions are"), "{log}");
    assert_eq!(compiled, asked);

    let rows = |answer: &Value| answer["structuredContent"]["result"].clone();
    assert_eq!(rows(&compiled[0]), json!([{"n": 1, "secret": "s1", "kind": "****"}]));
    assert_eq!(rows(&compiled[1])[1], json!({"n": 2, "secret": "s2", "kind": "d"}));
    assert_eq!(rows(&compiled[2])[0], json!({"n": 1, "kind": "d"}));
    for (at, reason) in [(3, "Four"), (4, "Too many"), (5, "")] {
        assert_eq!(compiled[at]["isError"], json!(true), "{}", compiled[at]);
        assert!(compiled[at].to_string().contains(reason), "{}", compiled[at]);
    }
    assert_eq!(rows(&compiled[6])[4], json!({"n": 5, "kind": "d"}));
}

#[test]
#[cfg(target_os = "linux")]
fn without_executable_memory_conditions_are_interpreted() {
    let python = ["python3", "-c", WITHOUT_EXECUTABLE_MEMORY];
    let known = Command::new(python[0]).args(&python[1..]).arg("/bin/true").status().unwrap();
    if known.code() == Some(77) {
        eprintln!("this kernel cannot refuse executable memory (PR_SET_MDWE)");
        return;
    }
    assert!(known.success());
    let project = project();
    let (refused, log) = answers(started(&project, &python, &[], Some(INTERPRETED)));
    assert!(log.contains("no executable memory can be had"), "{log}");
    assert!(!log.contains("machine code"), "{log}");
    let (interpreted, _) = answers(started(&project, &[], &["--no-jit"], None));
    assert_eq!(refused, interpreted);
}
