//! The official MCP clients, as programs that run a plan and print what they saw.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::workspace;

/// A client that `tests/clients` drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// the Python package `mcp`, 2.x
    Python,
    /// the npm package `@modelcontextprotocol/sdk`, 1.x: legacy revisions alone
    Sdk,
    /// the npm package `@modelcontextprotocol/client`, 2.x
    TypeScript,
}

/// How a client reaches the server.
#[derive(Debug, Clone)]
pub enum Target {
    /// streamable HTTP
    Url(String),
    /// streamable HTTP, after the client has logged in as the server tells it to
    Login {
        /// the endpoint
        url: String,
        /// where the client is sent back; nobody has to listen there
        redirect: String,
    },
    /// a program that speaks over its standard streams
    Stdio {
        /// program and arguments
        command: Vec<String>,
        /// its working directory
        folder: PathBuf,
    },
}

/// What a client reports.
#[derive(Debug)]
pub struct Report {
    /// the revision agreed on
    pub protocol: String,
    /// name and version of the server, as it says
    pub server: Value,
    /// the results of the steps, in order; an error is `{"error": {code, message, data}}`
    pub steps: Vec<Value>,
    /// how often a person had to log in, and how often the client got tokens
    pub logins: (u64, u64),
}

impl Client {
    /// Connects, runs the steps (see `tests/clients/driver.py`) and reports. `mode` is `legacy`,
    /// `auto` or a modern revision.
    pub fn run(self, target: &Target, mode: &str, steps: &Value) -> Report {
        let mut plan = json!({ "mode": mode, "steps": steps });
        match target {
            Target::Url(url) => plan["url"] = json!(url),
            Target::Login { url, redirect } => {
                plan["url"] = json!(url);
                plan["oauth"] = json!({ "redirect": redirect });
            }
            Target::Stdio { command, folder } => {
                plan["command"] = json!(command);
                plan["cwd"] = json!(folder);
                plan["env"] = json!({ "MXCP_CONFIG": workspace::root().join("tests/user.yml") });
            }
        }
        let mut command = match self {
            Self::Python => python("driver.py"),
            Self::Sdk | Self::TypeScript => {
                plan["client"] = json!(if self == Self::Sdk { "sdk" } else { "client" });
                node(&workspace::root().join("tests/clients/driver.mjs"))
            }
        };
        let report: Value = serde_json::from_str(&feed(&mut command, &plan.to_string()))
            .expect("a driver prints JSON");
        Report {
            protocol: report["protocol"].as_str().unwrap_or_default().to_owned(),
            server: report["server"].clone(),
            steps: report["steps"].as_array().expect("a report has steps").clone(),
            logins: (
                report["logins"].as_u64().unwrap_or_default(),
                report["tokens"].as_u64().unwrap_or_default(),
            ),
        }
    }
}

/// Runs the Inspector's command line once and returns what it printed.
pub fn inspector(target: &Target, era: &str, arguments: &[&str]) -> Value {
    let launcher = folder()
        .join("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut command = node(&launcher);
    command.env("HOME", home.path()).args([
        "--cli",
        "--format",
        "json",
        "--quiet",
        "--protocol-era",
        era,
    ]);
    command.args(arguments);
    match target {
        Target::Url(url) | Target::Login { url, .. } => command.args(["--transport", "http", url]),
        Target::Stdio { command: server, folder } => {
            command.arg("--cwd").arg(folder).arg("--").args(server)
        }
    };
    let done = command.output().expect("the Inspector starts");
    // Exit code 5 says that the tool's result is an error, which a test may be after.
    assert!(
        matches!(done.status.code(), Some(0 | 5)),
        "the Inspector ended with {}:\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    let report: Value = serde_json::from_slice(&done.stdout).expect("the Inspector prints JSON");
    report["result"].clone()
}

/// The official conformance suite of MCP, run with these arguments: what it printed, whatever it
/// thinks of the server.
pub fn conformance(arguments: &[&str]) -> String {
    let mut command = suite();
    let results = tempfile::tempdir().expect("a temporary folder");
    let done = command.args(arguments).current_dir(results.path()).output();
    let done = done.expect("the conformance suite starts");
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// The official conformance suite of MCP.
pub fn suite() -> Command {
    let suite = "conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js";
    node(&folder().join(suite))
}

/// Where the clients are; installed when they are not there yet.
pub fn folder() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let printed = workspace::output(&mut Command::new(workspace::root().join(".ci/clients")));
        PathBuf::from(printed.trim_end())
    })
}

/// A Python script of `tests/clients`, in the environment of the Python client.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(folder().join("python/bin/python"));
    command.arg("-I").arg(workspace::root().join("tests/clients").join(script));
    command
}

/// A script for Node.js, which finds the TypeScript packages.
pub fn node(script: &Path) -> Command {
    let programs = folder().join("node/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all =
        std::env::join_paths(std::iter::once(programs.clone()).chain(std::env::split_paths(&path)));
    let mut command = Command::new(programs.join("node"));
    command.arg(script).env("MXCP_CLIENTS", folder()).env("PATH", all.expect("a path of folders"));
    command
}

/// Runs a command with `input` on its standard input and returns what it printed.
fn feed(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    stdin.write_all(input.as_bytes()).expect("the driver reads its plan");
    drop(stdin);
    let done = child.wait_with_output().expect("the driver ends");
    assert!(
        done.status.success(),
        "{command:?} ended with {} on {input}:\n{}",
        done.status,
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("a driver prints UTF-8")
}
