//! `mxcp log`, `mxcp log verify`, `mxcp log prove` and `mxcp log-cleanup` on trails that the shipped
//! server writes.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use mxcp_runtime::audit::Signer;
use mxcp_tests::clients;
use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use mxcp_tests::trail::{self, Line, call_id, message, tool};
use mxcp_tests::workspace;
use serde_json::{Value, json};

const CLERK: &str = r#"{"user_id": "u-7", "username": "ann", "role": "clerk"}"#;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A project that was served for some calls, and the ids of these.
fn served(keys: &str) -> (Project, Vec<String>) {
    let project = trail::project("", "");
    trail::user_file(&project, keys);
    let bundle = project.build();
    let mut ids = Vec::new();
    let server = trail::serve(&project, &bundle, &["--user-context", CLERK]);
    ask(&server, &mut ids);
    server.stop();
    let server = trail::serve(&project, &bundle, &[]);
    ask(&server, &mut ids);
    server.stop();
    (project, ids)
}

fn ask(server: &Server, ids: &mut Vec<String>) {
    let mut line = Line::open(server.address()).unwrap();
    for i in 0..5 {
        for ask in [
            tool(i, "point", &json!({"id": i})),
            tool(i, "guarded", &json!({"id": i})),
            tool(i, "point", &json!({"id": "x"})),
            message(i, "resources/read", &json!({"uri": format!("rows://{i}")})),
            message(i, "prompts/get", &json!({"name": "greet", "arguments": {"who": "Ada"}})),
        ] {
            let (_, answer) = line.ask(&ask).unwrap();
            ids.extend(call_id(&answer).map(str::to_owned));
        }
    }
    line.ask(&message(9, "tools/list", &json!({}))).unwrap();
}

fn log(project: &Project, options: &[&str]) -> Vec<Value> {
    let text = project.mxcp(&[&["log", "--json"], options].concat());
    json_of(&text).as_array().unwrap().clone()
}

#[test]
fn every_filter_finds_what_it_names() {
    let (project, ids) = served("");
    let count = |options: &[&str]| log(&project, options).len();
    assert_eq!(count(&["--limit", "1000"]), 2 * 26 + 4);
    assert_eq!(count(&[]), 56);
    assert_eq!(count(&["--limit", "7"]), 7);
    assert_eq!(count(&["--tool", "point"]), 20);
    assert_eq!(count(&["--resource", "rows://{id}"]), 10);
    assert_eq!(count(&["--prompt", "greet"]), 10);
    assert_eq!(count(&["--type", "list"]), 2);
    assert_eq!(count(&["--type", "system"]), 4);
    assert_eq!(count(&["--policy", "warn"]), 5);
    assert_eq!(count(&["--policy", "deny"]), 5);
    assert_eq!(count(&["--policy", "allow"]), 0);
    assert_eq!(count(&["--policy", "n/a", "--type", "tool"]), 20);
    assert_eq!(count(&["--status", "error"]), 15);
    assert_eq!(count(&["--user", "u-7"]), 26);
    assert_eq!(count(&["--user", "ann", "--tool", "guarded"]), 5);
    assert_eq!(count(&["--session", "nobody's"]), 0);
    assert_eq!(count(&["--trace", "nothing's"]), 0);
    assert_eq!(count(&["--since", "1h"]), 56);
    assert_eq!(count(&["--until", "1h"]), 0);
    assert_eq!(count(&["--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z"]), 0);
    let newest = log(&project, &["--limit", "2", "--prompt", "greet"]);
    assert_eq!(newest[0]["record_id"], ids[ids.len() - 1].as_str());
    let table = project.mxcp(&["log", "--tool", "guarded", "--policy", "deny"]);
    assert!(table.contains("Staff only") && table.lines().count() == 7, "{table}");
    for (option, said) in [
        (["--type", "tols"], "`--type`: `tols` is no value of `type`; it is one of tool"),
        (["--since", "noon"], "`--since`: `noon` is not a point in time"),
    ] {
        let done = project.run(&[&["log"], &option[..]].concat());
        assert_eq!(done.status.code(), Some(2));
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn numbers_exports_and_events_hold_what_is_asked_for() {
    let (project, _) = served("");
    let stats = json_of(&project.mxcp(&["log", "--stats", "--json"]));
    let of = |name: &str| {
        let all = stats["endpoints"].as_array().unwrap();
        all.iter().find(|endpoint| endpoint["name"] == name).unwrap().clone()
    };
    assert_eq!((&of("point")["calls"], &of("point")["errors"]), (&json!(20), &json!(10)));
    assert_eq!(of("guarded")["denials"], 5);
    assert!(of("point")["p99_ms"].as_f64() >= of("point")["p50_ms"].as_f64());
    assert!(stats["users"].as_array().unwrap().iter().any(|user| user["user"] == "u-7"));

    project.mxcp(&["log", "--tool", "point", "--export-csv", "out.csv"]);
    assert_eq!(project.read("out.csv").lines().count(), 21);
    project.mxcp(&["log", "--tool", "point", "--limit", "4", "--export-parquet", "out.parquet"]);
    project.mxcp(&["log", "--export-duckdb", "out.duckdb"]);
    let again = project.run(&["log", "--export-csv", "out.csv"]);
    assert_eq!(again.status.code(), Some(2));
    // Before the operator's own statements are on record too.
    let events = project.mxcp(&["log", "--format", "ocsf"]);
    assert_eq!(events.lines().count(), 56);
    fs::create_dir_all(project.path("data")).unwrap();
    for (file, sql, expected) in [
        ("out.parquet", "SELECT count(*) AS n FROM 'data/out.parquet'", 4),
        ("out.duckdb", "ATTACH 'data/out.duckdb' AS o (READ_ONLY)", 0),
    ] {
        fs::copy(project.path(file), project.path("data").join(file)).unwrap();
        if expected > 0 {
            let rows = json_of(&project.mxcp(&["query", "--json", sql]));
            assert_eq!(rows[0]["n"], expected, "{file}");
        }
    }
    let done = Command::new(mxcp_tests::binaries::path("mxcp"))
        .args(["query", "--json", "SELECT count(*) AS n FROM logs"])
        .current_dir(project.path(""))
        .env("MXCP_DUCKDB_PATH", "out.duckdb")
        .env("MXCP_READONLY", "1")
        .output()
        .unwrap();
    assert_eq!(json_of(&String::from_utf8_lossy(&done.stdout))[0]["n"], 56);

    project.write("events.jsonl", &events);
    // The schema itself judges them.
    let mut judge = clients::python("ocsf.py");
    let verdict = workspace::output(judge.arg(project.path("events.jsonl")));
    assert_eq!(verdict.trim(), "56 events are as their classes say", "{verdict}");
}

/// Events of what is rare: authentication, and a trail that speaks about itself.
#[test]
fn events_of_authentication_and_of_the_trail_itself_are_as_their_classes_say() {
    let project = trail::project("", "");
    trail::user_file(&project, &format!("signing_key: '{}'", "07".repeat(32)));
    let bundle = project.build();
    let serve = || {
        let server = trail::serve(&project, &bundle, &[]);
        let mut strangers = Connection::open(server.address());
        let foreign = [("Origin", "https://evil.example")];
        assert_eq!(strangers.rpc(&foreign, &json!({})).status, 403);
        server.stop();
    };
    for _ in 0..3 {
        serve();
    }
    for (segment, days) in trail::segments(&project).iter().zip([200, 100]) {
        age(segment, days);
    }
    fs::remove_file(project.path("audit/logs-dev.head")).unwrap();
    serve();
    let mut events = String::new();
    for kind in ["auth", "system"] {
        events += &project.mxcp(&["log", "--format", "ocsf", "--type", kind, "--limit", "1000"]);
    }
    let records = log(&project, &["--type", "system", "--limit", "1000"]);
    for kind in ["gap", "tombstone", "checkpoint"] {
        assert!(records.iter().any(|record| record["operation_name"] == kind), "{records:#?}");
    }
    let count = events.lines().count();
    assert!(count > records.len(), "refusals as well");
    project.write("events.jsonl", &events);
    let verdict = workspace::output(clients::python("ocsf.py").arg(project.path("events.jsonl")));
    assert_eq!(verdict.trim(), format!("{count} events are as their classes say"));
}

#[test]
fn a_trail_is_followed_while_it_is_written() {
    let project = trail::project("max_file_size: 5000", "");
    let bundle = project.build();
    let server = trail::serve(&project, &bundle, &[]);
    let mut line = Line::open(server.address()).unwrap();
    let mut call = |i: u64| {
        let (_, answer) = line.ask(&tool(i, "point", &json!({"id": i}))).unwrap();
        call_id(&answer).unwrap().to_owned()
    };
    let mut expected: Vec<String> = (0..5).map(&mut call).collect();
    let mut follower = project
        .command(&["log", "--follow", "--json", "--tool", "point"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    let mut next = |seen: &mut Vec<String>| {
        let record = json_of(&lines.next().unwrap().unwrap());
        seen.push(record["record_id"].as_str().unwrap().to_owned());
    };
    next(&mut seen);
    // Segments end in between.
    expected.extend((5..40).map(&mut call));
    while seen.len() < expected.len() {
        next(&mut seen);
    }
    assert_eq!(seen, expected);
    assert!(trail::segments(&project).len() > 3);
    follower.kill().unwrap();
    follower.wait().unwrap();
}

/// The public key of a signing key.
fn public(key: &str) -> String {
    Signer::parse(key).unwrap().public().to_string()
}

/// Writes public keys and the new key, the latter closed to others, and says how a configuration refers
/// to it.
fn write_keys(project: &Project, old: &str, new: &str) -> String {
    project.write("old.pub", &public(old));
    project.write("new.pub", &public(new));
    project.write("new.key", new);
    fs::set_permissions(project.path("new.key"), Permissions::from_mode(0o600)).unwrap();
    format!("file://{}", project.path("new.key").display())
}

/// A proof from a checkpoint of the old key to one of the new is believed by whoever trusts both.
fn leads_across_keys(elsewhere: &Project, old: &str) {
    let check = ["log", "verify", "--proof", "growth.json", "--public-key", "old.pub"];
    let shown = elsewhere.mxcp(&[&check[..], &["--public-key", "new.pub"]].concat());
    assert!(shown.contains("authentic by the keys") && shown.contains(old), "{shown}");
    assert_eq!(elsewhere.run(&check).status.code(), Some(1), "the old key alone");
}

#[test]
fn keys_sign_hand_over_and_prove() {
    let (old, new) = ("07".repeat(32), "08".repeat(32));
    let (project, ids) =
        served(&format!("signing_key: '{old}', checkpoint_sink: kept/first.jsonl"));
    // The folder of the sink was not there: that is told, and does not stop the server.
    assert!(!project.path("kept").exists());
    fs::create_dir(project.path("kept")).unwrap();
    let reference = write_keys(&project, &old, &new);
    trail::user_file(
        &project,
        &format!("signing_key: ['{reference}', '{old}'], checkpoint_sink: kept/all.jsonl"),
    );
    let bundle = project.path("bundle.mx");
    let server = trail::serve(&project, &bundle, &[]);
    let mut more = Vec::new();
    ask(&server, &mut more);
    server.stop();
    let last = trail::records(&project).len() as u64;
    for key in ["old.pub", "new.pub"] {
        let report =
            trail::verify(&project, &["--public-key", key, "--checkpoint", "kept/all.jsonl"]);
        assert_eq!(
            (&report["consistent"], &report["authentic_through"]),
            (&json!(true), &json!(last)),
            "{report:#}"
        );
        assert_eq!(report["public_key"], public(&new).as_str());
    }
    assert_eq!(trail::consistent(&project)["verdict"], "consistent, not authenticated");
    let kinds = log(&project, &["--type", "system", "--limit", "1000"]);
    let count = |kind: &str| kinds.iter().filter(|r| r["operation_name"] == kind).count();
    assert_eq!((count("key_rotation"), count("checkpoint")), (1, 3));

    // A proof needs neither the trail nor the other records.
    project.mxcp(&[
        "log",
        "prove",
        "--record",
        &more[3],
        "--checkpoint",
        "kept/all.jsonl",
        "-o",
        "proof.json",
    ]);
    project.mxcp(&["log", "prove", "--consistency", "-o", "growth.json"]);
    let elsewhere = Project::empty();
    for file in ["proof.json", "growth.json", "new.pub", "old.pub"] {
        elsewhere.write(file, &project.read(file));
    }
    let shown =
        elsewhere.mxcp(&["log", "verify", "--proof", "proof.json", "--public-key", "new.pub"]);
    assert!(shown.contains("is in the trail") && shown.contains("authentic by the key"), "{shown}");
    let shown = elsewhere.mxcp(&["log", "verify", "--proof", "growth.json"]);
    assert!(
        shown.contains("speaks of everything") && shown.contains("not authenticated"),
        "{shown}"
    );
    leads_across_keys(&elsewhere, &public(&old));
    let both = ["log", "verify", "--public-key", "old.pub", "--public-key", "new.pub"];
    assert_eq!(project.run(&both).status.code(), Some(2));
    let wrong =
        elsewhere.run(&["log", "verify", "--proof", "proof.json", "--public-key", "old.pub"]);
    assert_eq!(wrong.status.code(), Some(1));
    elsewhere.write("proof.json", &project.read("proof.json").replace("rows://", "cows://"));
    let wrong = elsewhere.run(&["log", "verify", "--json", "--proof", "proof.json"]);
    assert_eq!(json_of(&String::from_utf8_lossy(&wrong.stdout))["holds"], false);
    assert!(!ids.is_empty());
}

#[test]
fn keys_that_nobody_handed_over_to_are_told_apart() {
    let (project, _) = served(&format!("signing_key: '{}'", "07".repeat(32)));
    let public = Signer::parse(&"07".repeat(32)).unwrap().public().to_string();
    project.write("old.pub", &public);
    let bundle = project.path("bundle.mx");
    trail::user_file(&project, &format!("signing_key: '{}'", "09".repeat(32)));
    trail::serve(&project, &bundle, &[]).stop();
    let report = trail::verify(&project, &["--public-key", "old.pub"]);
    assert_eq!(report["consistent"], false);
    assert!(report["verdict"].as_str().unwrap().contains("did not hand over"), "{report:#}");
    trail::user_file(&project, "signing_key: 'not a key'");
    let port = mxcp_tests::server::free_port();
    let done = trail::serving(&project, &bundle, &[], port).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(2) && said.contains("`audit.signing_key`"), "{said}");
}

/// Lets a segment look as if it had been begun that many days ago.
fn age(segment: &std::path::Path, days: u64) {
    let name = segment.file_name().unwrap().to_string_lossy().into_owned();
    let (stem, rest) = name.split_once('.').unwrap();
    let (_, seq) = rest.split_once('-').unwrap();
    let then = jiff(days);
    fs::rename(segment, segment.with_file_name(format!("{stem}.{then}-{seq}"))).unwrap();
}

/// A day so many days ago, as segments are named.
fn jiff(days: u64) -> String {
    let then = SystemTime::now() - Duration::from_hours(24 * days);
    let seconds = then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let out = workspace::output(Command::new("date").args([
        "-u",
        "-d",
        &format!("@{seconds}"),
        "+%Y%m%dT%H%M%SZ",
    ]));
    out.trim().to_owned()
}

#[test]
fn a_clean_up_deletes_what_is_old_and_leaves_a_trail_that_verifies() {
    let (project, _) = served(&format!("signing_key: '{}'", "07".repeat(32)));
    let bundle = project.path("bundle.mx");
    trail::serve(&project, &bundle, &[]).stop();
    let clean = |options: &[&str]| {
        let all = [&["log-cleanup", "--json", "--config", "user.yml"], options].concat();
        json_of(&project.mxcp(&all))
    };
    let nothing = clean(&[]);
    assert_eq!((&nothing["segments"], &nothing["deleted"]), (&json!([]), &json!(false)));
    let segments = trail::segments(&project);
    assert_eq!(segments.len(), 3);
    age(&segments[0], 200);
    age(&segments[1], 100);
    project.write("audit/logs-dev.jsonl", "{\"schema_name\": \"mxcp.endpoints\", \"record_id\": \"old\", \"timestamp\": \"2025-01-01T00:00:00+00:00\", \"operation_type\": \"tool\", \"operation_name\": \"old\", \"operation_status\": \"success\"}\n");
    assert_eq!(log(&project, &["--tool", "old"]).len(), 1);
    let old = SystemTime::now() - Duration::from_hours(24 * 120);
    File::options().write(true).open(trail::path(&project)).unwrap().set_modified(old).unwrap();
    // The server's sidecar names the last segment, which keeps its name.
    let planned = clean(&["--dry-run"]);
    assert_eq!(planned["segments"].as_array().unwrap().len(), 1);
    assert_eq!(trail::segments(&project).len(), 3);
    let server = trail::serve(&project, &bundle, &[]);
    server.stop();
    let report = trail::consistent(&project);
    assert!(report["unchained_records"] == 0 && !trail::path(&project).exists(), "{report:#}");
    assert_eq!(trail::segments(&project).len(), 3, "the server deleted one when it started");

    age(&trail::segments(&project)[1], 95);
    let keyless = project.run(&["log-cleanup"]);
    let said = String::from_utf8_lossy(&keyless.stderr).into_owned();
    assert_eq!(keyless.status.code(), Some(2), "{said}");
    assert!(said.contains("only who has that key may delete"), "{said}");
    let done = clean(&[]);
    assert_eq!(done["deleted"], true, "{done:#}");
    assert_eq!(log(&project, &["--tool", "point"]).len(), 0);
    project.write("key.pub", &Signer::parse(&"07".repeat(32)).unwrap().public().to_string());
    let report = trail::verify(&project, &["--public-key", "key.pub"]);
    assert_eq!(report["consistent"], true, "{report:#}");
    assert!(report["authentic_through"].is_number());
    let tombs = log(&project, &["--type", "system"]);
    assert!(tombs.iter().filter(|r| r["operation_name"] == "tombstone").count() >= 1);

    // While a server writes, it is left to that.
    let server = trail::serve(&project, &bundle, &[]);
    let all = trail::segments(&project);
    age(&all[1], 95);
    let left = clean(&[]);
    assert_eq!(
        (&left["deleted"], &left["left_to_server"]),
        (&json!(false), &json!(true)),
        "{left:#}"
    );
    server.stop();
}

#[test]
fn statements_of_the_operator_are_recorded_without_their_values() {
    let project = trail::project("", "");
    project
        .mxcp(&["query", "SELECT * FROM rows WHERE name = 'canary-text' OR id = 990099 -- canary"]);
    project.write("more.sql", "INSERT INTO tags VALUES ('canary-file'); SELECT 1;");
    project.mxcp(&["query", "--file", "more.sql"]);
    let failed = project.run(&["query", "SELECT CAST('canary-cast' AS INTEGER)"]);
    assert_eq!(failed.status.code(), Some(1));
    project.mxcp(&["query", "--readonly", "SELECT 1 AS n"]);
    // A column that nobody named is called by its value, and two of them have one name.
    let twice = project.run(&["query", "--readonly", "SELECT 'canary-column', 'canary-column'"]);
    assert_eq!(twice.status.code(), Some(1));
    trail::consistent(&project);
    let records = trail::records(&project);
    let seen: Vec<(&str, &Value, &Value)> = records
        .iter()
        .map(|r| (r["operation_name"].as_str().unwrap(), &r["input_data"]["sql"], &r["error"]))
        .collect();
    let (select, cast) = (
        json!("SELECT * FROM rows WHERE name = ? OR id = ?  "),
        json!("SELECT CAST(? AS INTEGER)"),
    );
    let file = json!("INSERT INTO tags VALUES (?); SELECT ?;");
    let none = Value::Null;
    let conversion = records[5]["error"].clone();
    let expected = [
        ("intent", &select, &none),
        ("execute_sql_query", &select, &none),
        ("intent", &file, &none),
        ("execute_sql_query", &file, &none),
        ("intent", &cast, &none),
        ("execute_sql_query", &cast, &conversion),
        ("execute_sql_query", &json!("SELECT ? AS n"), &none),
        ("execute_sql_query", &json!("SELECT ?, ?"), &json!("result")),
    ];
    assert_eq!(seen, expected);
    assert!(conversion.is_string() && records[3]["input_data"]["file"] == "more.sql");
    let text: String =
        trail::segments(&project).iter().map(|s| fs::read_to_string(s).unwrap()).collect();
    assert!(!text.contains("canary") && !text.contains("990099"));

    // A statement that cannot be recorded does not run.
    let server = trail::serve(&project, &project.build(), &[]);
    let done = project
        .command(&["query", "INSERT INTO tags VALUES ('unseen')"])
        .env("MXCP_DUCKDB_PATH", "other.duckdb")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && said.contains("being written by another process"), "{said}");
    server.stop();
}
