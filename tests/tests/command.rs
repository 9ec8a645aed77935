//! The command as programs and terminals see it: what `--json` prints is what `docs/json.md` says, and how
//! far long work is shows on a terminal and nowhere else.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

use mxcp_tests::case::blocks;
use mxcp_tests::project::Project;
use mxcp_tests::{trail, workspace};
use serde_json::Value;

const SITE: &str =
    "mxcp: 1\nproject: trail\nprofile: dev\nprofiles: {dev: {audit: {enabled: true}}}\n";

const TOOL: &str = "mxcp: 1
tool:
  name: add
  description: Adds
  source: {code: \"SELECT $n + 1 AS sum, 'me' AS who\"}
  parameters: [{name: n, type: integer}]
  return: {type: object, properties: {sum: {type: integer}, who: {type: string}}}
  policies:
    input: [{condition: user.role == 'guest', action: deny, reason: Not guests}]
    output: [{condition: user.role != 'admin', action: filter_fields, fields: [who]}]
  tests:
    - {name: one, arguments: [{key: n, value: 1}], user_context: {role: user}, result: {sum: 2}}
    - {name: guests are refused, arguments: [{key: n, value: 1}], user_context: {role: guest}, expect_denied: true}
";

const PROMPT: &str = "mxcp: 1
prompt:
  name: greet
  messages: [{role: user, type: text, prompt: Hello}]
";

const BROKEN: &str = "mxcp: 1
tool:
  name: broken
  source: {code: SELECT 1 AS n}
  policies: {input: [{condition: user.departmnt != 'hr', action: denny, reason: r}]}
";

/// What stands for any value on the page.
const ANY: &str = "…";

/// A project that was worked with: a bundle, a trail, a proof of one of its records.
fn used() -> Project {
    let files = [("mxcp-site.yml", SITE), ("tools/add.yml", TOOL), ("prompts/greet.yml", PROMPT)];
    let project = Project::new(&files);
    trail::user_file(&project, &format!("signing_key: '{}'", "07".repeat(32)));
    project.build();
    for user in ["user", "guest"] {
        let context = format!(r#"{{"role": "{user}"}}"#);
        let call = ["run", "tool", "add", "--param", "n=1", "--user-context", &context];
        project.run(&[&call[..], &["--config", "user.yml"]].concat());
    }
    let proof = project.mxcp(&["log", "prove", "--record", "1"]);
    project.write("proof.json", &proof);
    project.write("seed.sql", "SELECT 1; SELECT 2;");
    project
}

/// Changes a record of the trail.
fn tampered() -> Project {
    let project = used();
    let segments = std::fs::read_dir(project.path("audit")).expect("the folder of the trail");
    let mut changed = 0;
    for segment in segments.map(|entry| entry.expect("an entry").path()) {
        let Ok(text) = std::fs::read_to_string(&segment) else { continue };
        changed += text.matches("Not guests").count();
        std::fs::write(&segment, text.replace("Not guests", "Not quests")).expect("it is ours");
    }
    assert_eq!(changed, 1, "the refusal is on record once");
    project
}

#[test]
fn every_command_prints_the_json_that_its_page_describes() {
    let (used, tampered) = (used(), tampered());
    let broken = Project::new(&[("mxcp-site.yml", SITE), ("tools/a.yml", BROKEN)]);
    let empty = Project::empty();
    let add = ["run", "tool", "add", "--param", "n=1", "--user-context"];
    let run = |who: &'static str| [&add[..], &[who]].concat();
    let commands: Vec<(&str, &Project, Vec<Vec<&str>>)> = vec![
        (
            "mxcp check",
            &broken,
            vec![vec!["check"], vec!["validate"], vec!["lint"], vec!["build"], vec!["test"]],
        ),
        ("mxcp check --explain MX0304", &used, vec![vec!["check", "--explain", "MX0304"]]),
        ("mxcp init", &empty, vec![vec!["init", "shop"]]),
        ("mxcp list", &used, vec![vec!["list"]]),
        ("mxcp build", &used, vec![vec!["build", "-o", "other.mx"]]),
        ("mxcp inspect bundle.mx", &used, vec![vec!["inspect", "bundle.mx"]]),
        ("mxcp run tool", &used, vec![run(r#"{"role": "user"}"#), run(r#"{"role": "admin"}"#)]),
        ("mxcp run prompt", &used, vec![vec!["run", "prompt", "greet"]]),
        (
            "mxcp run, refused",
            &used,
            vec![run(r#"{"role": "guest"}"#), vec!["run", "tool", "add", "--param", "n=x"]],
        ),
        ("mxcp test", &used, vec![vec!["test"], vec!["test", "--jit"]]),
        (
            "mxcp test --coverage",
            &used,
            vec![vec!["test", "--coverage"], vec!["test", "tool", "add", "--coverage"]],
        ),
        ("mxcp query 'SELECT 1 AS n'", &used, vec![vec!["query", "SELECT 1 AS n"]]),
        ("mxcp query --file seed.sql", &used, vec![vec!["query", "--file", "seed.sql"]]),
        ("mxcp eval '1 + 2'", &used, vec![vec!["eval", "1 + 2"]]),
        ("mxcp eval '1 / 0'", &used, vec![vec!["eval", "1 / 0"]]),
        ("mxcp eval '1 + 2' --type", &used, vec![vec!["eval", "1 + 2", "--type"]]),
        (
            "mxcp eval 'usr'",
            &used,
            vec![vec!["eval", "usr"], vec!["eval", "1 + 'a'"], vec!["eval", "1 +"]],
        ),
        ("mxcp eval --functions", &used, vec![vec!["eval", "--functions"]]),
        ("mxcp log --stats", &used, vec![vec!["log", "--stats"]]),
        ("mxcp log verify", &tampered, vec![vec!["log", "verify"]]),
        ("mxcp log verify --proof", &used, vec![vec!["log", "verify", "--proof", "proof.json"]]),
        ("mxcp log-cleanup", &used, vec![vec!["log-cleanup", "--config", "user.yml"]]),
    ];
    let page = blocks(&workspace::read("docs/json.md"));
    let shown: Vec<&str> = page.iter().filter_map(|b| b.info.strip_prefix("json ")).collect();
    let known: Vec<&str> = commands.iter().map(|(name, ..)| *name).collect();
    assert_eq!(shown, known, "the page and this test name other commands");
    let mut problems = Vec::new();
    for (block, (name, project, runs)) in page.iter().zip(&commands) {
        let described: Value = serde_json::from_str(&block.text)
            .unwrap_or_else(|error| panic!("{name} of the page is not JSON: {error}"));
        let (mut told, printed) = (Keys::default(), printed(project, runs));
        told.add(&described, "");
        problems.extend(told.differs(&printed).map(|problem| format!("{name}: {problem}")));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The keys that some runs of `mxcp` print together.
fn printed(project: &Project, runs: &[Vec<&str>]) -> Keys {
    let mut keys = Keys::default();
    for arguments in runs {
        let arguments = [arguments.as_slice(), &["--json"]].concat();
        let done = project.run(&arguments);
        let text = String::from_utf8_lossy(&done.stdout);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {text}{}", String::from_utf8_lossy(&done.stderr))
        });
        keys.add(&value, "");
    }
    keys
}

/// The keys of a document, as paths.
#[derive(Debug, Default)]
struct Keys {
    paths: BTreeSet<String>,
    /// where anything may be
    open: Vec<String>,
}

impl Keys {
    fn add(&mut self, value: &Value, path: &str) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let below = format!("{path}.{name}");
                    self.paths.insert(below.clone());
                    self.add(value, &below);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.add(item, &format!("{path}[]"));
                }
            }
            Value::String(text) if text == ANY => self.open.push(path.to_owned()),
            _ => {}
        }
    }

    /// What of this a page tells and nobody prints, and the other way round.
    fn differs(&self, printed: &Self) -> impl Iterator<Item = String> {
        let below = |path: &str, open: &String| {
            path.strip_prefix(open.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
        };
        let is_open = |path: &String| self.open.iter().any(|open| below(path, open));
        let printed: BTreeSet<&String> =
            printed.paths.iter().filter(|path| !is_open(path)).collect();
        let told: BTreeSet<&String> = self.paths.iter().collect();
        let untold = printed.difference(&told).map(|path| format!("the page has no `{path}`"));
        let absent = told.difference(&printed).map(|path| format!("`{path}` is not printed"));
        untold.chain(absent).collect::<Vec<_>>().into_iter()
    }
}

#[test]
fn what_cannot_be_done_is_said_on_standard_error() {
    let project = used();
    for arguments in [
        &["run", "tool", "nothing", "--json"][..],
        &["test", "tool", "nothing", "--coverage", "--json"],
        &["inspect", "nowhere.mx", "--json"],
        &["eval", "1", "--context", "[]", "--json"],
    ] {
        let done = project.run(arguments);
        assert_eq!(done.stdout, b"", "{arguments:?}");
        assert!(done.stderr.starts_with(b"error: "), "{arguments:?}");
        assert!(done.status.code() > Some(0), "{arguments:?}");
    }
}

/// A project whose test takes some seconds.
fn slow() -> Project {
    let tool = "mxcp: 1
tool:
  name: slow
  source: {code: SELECT sum(hash(i) % 7) > 0 AS n FROM range(60000000) t(i)}
  return: {type: boolean}
  tests: [{name: it ends, result: true}]
";
    Project::new(&[("mxcp-site.yml", SITE), ("tools/slow.yml", tool)])
}

/// Runs `mxcp` with a terminal as its standard streams; what it printed is standard output.
fn on_a_terminal(project: &Project, arguments: &[&str]) -> Output {
    const SPAWN: &str =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let plain = project.command(arguments);
    let mut command = Command::new("python3");
    command.args(["-c", SPAWN]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(project.path("")).output().expect("python3 starts")
}

#[test]
fn how_far_long_work_is_shows_on_a_terminal_alone() {
    let project = slow();
    let piped = project.run(&["test"]);
    assert_eq!(
        String::from_utf8_lossy(&piped.stdout),
        "ok     slow · it ends\n1 passed, 0 failed\n"
    );
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "");
    let seen = on_a_terminal(&project, &["test"]);
    let text = String::from_utf8_lossy(&seen.stdout);
    assert!(text.contains("\rrunning tests: 0 of 1\x1b[K"), "{text:?}");
    assert!(
        text.contains("\r\x1b[Kok     slow · it ends"),
        "the line was not taken away: {text:?}"
    );
    for quiet in ["--quiet", "--json"] {
        let seen = on_a_terminal(&project, &["test", quiet]);
        let text = String::from_utf8_lossy(&seen.stdout);
        assert!(text.contains("it ends") && !text.contains("running"), "{quiet}: {text:?}");
    }
    let piped = project.run(&["check"]);
    assert_eq!(String::from_utf8_lossy(&piped.stderr), "1 endpoint checked, nothing to say\n");
}

#[test]
fn the_schemas_that_a_new_project_names_are_there_and_are_ours() {
    let project = Project::empty();
    project.mxcp(&["init"]);
    for (file, kind) in [("mxcp-site.yml", "site"), ("tools/hello.yml", "endpoint")] {
        let text = project.read(file);
        let first = text.lines().next().unwrap_or_default();
        let hint = first.strip_prefix("# yaml-language-server: $schema=").expect(file);
        // Editors look for it from the file's own folder.
        let folder = PathBuf::from(file).parent().expect("a folder").to_owned();
        let schema = project.read(folder.join(hint));
        assert_eq!(schema.trim_end(), project.mxcp(&["schema", kind]).trim_end());
    }
}
