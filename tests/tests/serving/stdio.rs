//! Standard input and output: one message a line, and nothing but messages on the output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use mxcp_tests::binaries;
use mxcp_tests::project::Project;
use serde_json::{Value, json};

use super::peer::{initialize, legacy, modern, serving};

/// A server that is spoken with over its standard streams.
pub(crate) struct Spoken {
    project: Project,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Spoken {
    pub(crate) fn new(options: &[&str]) -> Self {
        let project = serving();
        let bundle = project.build();
        let mut command = binaries::runtime();
        command.arg(bundle).args(["serve", "--transport", "stdio", "--root"]);
        command.arg(project.path("")).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { project, child, input, output }
    }

    /// Writes bytes and the end of their line.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().unwrap();
        input.write_all(bytes).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    /// The next line, which has to be JSON.
    pub(crate) fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    pub(crate) fn ask(&mut self, message: &Value) -> Value {
        self.write(message.to_string().as_bytes());
        self.read()
    }

    /// Ends the input; returns the exit code and the lines that were not read yet.
    fn end(mut self) -> (Option<i32>, Vec<String>, Project) {
        drop(self.input.take());
        let rest = self.output.lines().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        (status.code(), rest, self.project)
    }
}

#[test]
fn both_eras_share_a_connection_and_the_output_holds_messages_alone() {
    let mut spoken = Spoken::new(&["--user-context", r#"{"role": "admin"}"#]);
    // Modern requests need no beginning.
    let called = spoken.ask(&modern("tools/call", json!({"name": "admins", "arguments": {}})));
    assert_eq!(called["result"]["structuredContent"], json!({"result": 1}));
    assert_eq!(called["result"]["resultType"], "complete");
    // Legacy ones do.
    let early = spoken.ask(&legacy("tools/list", json!({})));
    assert_eq!(early["error"]["code"], -32600);
    assert_eq!(spoken.ask(&legacy("ping", json!({})))["result"], json!({}));
    let begun = spoken.ask(&initialize("2025-06-18"));
    assert_eq!(begun["result"]["protocolVersion"], "2025-06-18");
    spoken.write(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let listed = spoken.ask(&legacy("tools/list", json!({})));
    assert!(listed["result"]["tools"].as_array().unwrap().len() > 5);
    assert_eq!(listed["result"].get("resultType"), None);
    let batch = spoken.ask(&json!([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]));
    assert_eq!(batch["error"]["code"], -32600);
    spoken.write(b"");
    spoken.write(b"   ");
    let unversioned = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2031-01-01",
            "io.modelcontextprotocol/clientCapabilities": {},
        }},
    });
    let refused = spoken.ask(&unversioned);
    assert_eq!(refused["error"]["code"], -32022);
    assert_eq!(refused["error"]["data"]["supported"][0], "2026-07-28");
    let (code, rest, project) = spoken.end();
    assert_eq!((code, rest), (Some(0), Vec::new()));
    project.mxcp(&["log", "verify"]);
}

#[test]
fn the_oldest_revision_has_batches() {
    let mut spoken = Spoken::new(&[]);
    spoken.ask(&initialize("2025-03-26"));
    let answers = spoken.ask(&json!([
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "ping"},
    ]));
    assert_eq!(answers.as_array().unwrap().len(), 2);
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_the_last_needs_no_end() {
    let mut spoken = Spoken::new(&[]);
    let long = legacy("ping", json!({"a": "x".repeat(30_000)})).to_string();
    spoken.write(long.as_bytes());
    let refused = spoken.read();
    assert_eq!(refused["error"]["code"], -32600);
    assert!(refused["error"]["message"].as_str().unwrap().contains("at most 20000 bytes"));
    let input = spoken.input.as_mut().unwrap();
    input.write_all(legacy("ping", json!({})).to_string().as_bytes()).unwrap();
    let (code, rest, _project) = spoken.end();
    assert_eq!((code, rest.len()), (Some(0), 1), "{rest:?}");
}

#[test]
fn what_is_cancelled_is_not_answered_but_recorded() {
    let mut spoken = Spoken::new(&[]);
    spoken.ask(&initialize("2025-11-25"));
    let mut slow = legacy("tools/call", json!({"name": "slow", "arguments": {}}));
    slow["id"] = json!("slow");
    spoken.write(slow.to_string().as_bytes());
    std::thread::sleep(std::time::Duration::from_millis(100));
    spoken.write(
        br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"slow"}}"#,
    );
    assert_eq!(spoken.ask(&legacy("ping", json!({})))["id"], 7);
    let (code, rest, project) = spoken.end();
    assert_eq!((code, rest), (Some(0), Vec::new()));
    let log: Value = serde_json::from_str(&project.mxcp(&["log", "--json"])).unwrap();
    let record = log.as_array().unwrap().iter().find(|r| r["operation_name"] == "slow").unwrap();
    assert_eq!(record["error"], "cancelled");
}

#[test]
fn relative_paths_are_below_the_root_wherever_the_server_was_started() {
    let tool =
        "mxcp: 1\ntool:\n  name: wards\n  source: {code: \"SELECT name FROM 'data/wards.csv'\"}\n";
    let site = "mxcp: 1\nproject: p\nprofile: q\nprofiles: {q: {audit: {enabled: true}}}\n";
    let project = Project::new(&[
        ("mxcp-site.yml", site),
        ("tools/wards.yml", tool),
        ("data/wards.csv", "name\nnorth\n"),
        ("here/caller.json", "{\"role\": \"nurse\"}"),
        ("here/user.yml", "mxcp: 1\n"),
    ]);
    let bundle = project.build();
    let mut command = binaries::runtime();
    command.arg(bundle).args(["serve", "--transport", "stdio", "--root", ".."]);
    // What is named on the command line is relative to where that is.
    command.args(["--config", "user.yml", "--user-context", "@caller.json"]);
    command.current_dir(project.path("here")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let input = child.stdin.take();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut spoken = Spoken { project, child, input, output };
    let called = spoken.ask(&modern("tools/call", json!({"name": "wards", "arguments": {}})));
    assert_eq!(called["result"]["structuredContent"], json!({"result": [{"name": "north"}]}));
    let (code, _, project) = spoken.end();
    assert_eq!(code, Some(0));
    assert!(project.path("audit").is_dir() && !project.path("here/audit").exists());
}
