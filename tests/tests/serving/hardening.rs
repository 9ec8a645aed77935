//! What SQL cannot do in the shipped runtime, whoever wrote it: reach files, load code, change
//! settings.

use mxcp_tests::project::Project;
use serde_json::{Value, json};

use super::peer::Peer;

/// Statements that must not work, with the classes of error that stop them.
const REFUSED: &[(&str, &str, &[&str])] = &[
    ("read_text", "SELECT content FROM read_text($path)", &["permission"]),
    ("read_csv", "SELECT * FROM read_csv($path)", &["permission"]),
    ("read_json", "SELECT * FROM read_json($path)", &["permission"]),
    ("read_parquet", "SELECT * FROM read_parquet($path)", &["permission"]),
    ("read_blob", "SELECT content FROM read_blob($path)", &["permission"]),
    ("glob", "SELECT * FROM glob($path)", &["permission"]),
    ("sniff", "SELECT * FROM sniff_csv($path)", &["permission"]),
    ("scan", "SELECT * FROM query_table($path)", &["permission", "catalog"]),
    (
        "query",
        "SELECT * FROM query('SELECT content FROM read_text(''' || $path || ''')')",
        &["permission", "parser", "binder"],
    ),
    ("unlock", "SET lock_configuration = false", &["invalid input", "permission", "sql"]),
    ("access", "SET enable_external_access = true", &["invalid input", "permission", "sql"]),
    ("community", "SET allow_community_extensions = true", &["invalid input", "permission", "sql"]),
    ("autoload", "SET autoload_known_extensions = true", &["invalid input", "permission", "sql"]),
    ("unsigned", "SET allow_unsigned_extensions = true", &["invalid input", "permission", "sql"]),
    ("memory", "SET memory_limit = '100GB'", &["invalid input", "permission", "sql"]),
    ("threads", "SET threads = 64", &["invalid input", "permission", "sql"]),
    ("pragma", "PRAGMA threads = 64", &["invalid input", "permission", "sql"]),
    ("folder", "SET home_directory = '/tmp'", &["invalid input", "permission", "sql"]),
    ("reset", "RESET enable_external_access", &["invalid input", "permission", "sql"]),
    ("install", "INSTALL httpfs", &["permission"]),
    ("load", "LOAD httpfs", &["permission"]),
    ("export", "EXPORT DATABASE 'stolen'", &["permission"]),
    ("copy", "COPY (SELECT 1) TO 'stolen.csv'", &["permission"]),
    ("copy_from", "COPY notes FROM 'stolen.csv'", &["permission"]),
    ("attach", "ATTACH 'stolen.db'", &["permission"]),
    ("secret", "CREATE PERSISTENT SECRET s (TYPE http)", &["permission", "invalid input", "sql"]),
];

fn tool(name: &str, sql: &str) -> String {
    let parameters = if sql.contains("$path") {
        "\n  parameters:\n    - { name: path, type: string }"
    } else {
        ""
    };
    let sql = sql.replace('"', "\\\"");
    format!(
        "mxcp: 1\ntool:\n  name: {name}\n  description: Tries{parameters}\n  source: {{ code: \"{sql}\" }}\n"
    )
}

fn project() -> Project {
    let project = Project::new(&[(
        "mxcp-site.yml",
        "mxcp: 1\nproject: hardened\nprofile: default\nprofiles:\n  default:\n    audit: { enabled: true, durability: batch }\n",
    )]);
    project.mxcp(&["query", "CREATE TABLE notes (text VARCHAR)"]);
    project
}

#[test]
fn sql_reaches_no_file_no_code_and_no_setting() {
    let project = project();
    // What a literal shows is refused at build already; those that build are asked of the runtime.
    let mut served = Vec::new();
    for (name, sql, classes) in REFUSED {
        let path = format!("tools/{name}.yml");
        project.write(&path, &tool(name, sql));
        if project.run(&["check"]).status.success() {
            served.push((*name, *classes));
        } else {
            std::fs::remove_file(project.path(&path)).unwrap();
        }
    }
    let needed = ["read_text", "read_csv", "glob", "unlock", "access", "install", "attach"];
    let is_served = |name: &str| served.iter().any(|(served, _)| *served == name);
    assert!(needed.iter().any(|name| is_served(name)), "{served:?}");
    assert!(is_served("read_text") && is_served("glob"), "{served:?}");
    let mut peer = Peer::of(project, &[]);
    std::fs::write(peer.project.path("secret.txt"), "hunter2,1\n").unwrap();
    let target = peer.project.path("secret.txt").display().to_string();
    for (name, _) in &served {
        let is_told = REFUSED.iter().any(|(n, sql, _)| n == name && sql.contains("$path"));
        let arguments = if is_told { json!({"path": target}) } else { json!({}) };
        let answer = peer.raw_call(name, arguments);
        assert!(answer.contains("\"isError\":true"), "{name}: {answer}");
        assert!(!answer.contains("hunter2") && !answer.contains(&target), "{name}: {answer}");
    }
    let (records, project) = peer.stop();
    for (name, classes) in &served {
        let record = records
            .iter()
            .find(|r| r["operation_name"] == *name && r["operation_status"] == "error");
        let error = record.and_then(|r| r["error"].as_str()).unwrap_or("none").to_owned();
        assert!(classes.contains(&&*error), "{name}: {error}");
    }
    for stolen in ["stolen.csv", "stolen.db", "stolen"] {
        assert!(!project.path(stolen).exists(), "{stolen}");
    }
}

#[test]
fn a_database_opened_without_write_access_takes_no_writes() {
    let project = project();
    project.write("tools/write.yml", &tool("write", "INSERT INTO notes VALUES ('x')"));
    project.write("tools/count.yml", &tool("count", "SELECT count(*) AS n FROM notes"));
    let site = project.read("mxcp-site.yml");
    project.write("mxcp-site.yml", &format!("{site}    duckdb: {{ readonly: true }}\n"));
    // Known at build: nothing that writes is served from such a database.
    let done = project.run(&["build"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("MX0521"));
    std::fs::remove_file(project.path("tools/write.yml")).unwrap();
    let mut peer = Peer::of(project, &[]);
    assert_eq!(peer.call("count", json!({}))["structuredContent"], json!({"result": [{"n": 0}]}));
    // The file itself is not opened for writing: another process may hold it the same way.
    let project = peer.project.path("");
    let second = std::process::Command::new(mxcp_tests::binaries::path("mxcp"))
        .args(["query", "--readonly", "SELECT count(*) AS n FROM notes", "--json"])
        .current_dir(project)
        // The trail is the server's while it runs.
        .env("MXCP_AUDIT_ENABLED", "false")
        .output()
        .unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
}

#[test]
fn what_a_statement_leaves_behind_is_gone_for_the_next_caller() {
    let project = project();
    let site = project.read("mxcp-site.yml");
    project.write("mxcp-site.yml", &format!("{site}    limits: {{ sql_workers: 1 }}\n"));
    for (name, sql) in [
        ("make", "CREATE OR REPLACE TEMP TABLE mine AS SELECT 'hunter2' AS secret"),
        ("open", "BEGIN TRANSACTION"),
        ("seen", "SELECT table_name FROM duckdb_tables() WHERE temporary"),
        ("count", "SELECT count(*) AS n FROM notes"),
        ("write", "INSERT INTO notes VALUES ('x')"),
    ] {
        project.write(format!("tools/{name}.yml"), &tool(name, sql));
    }
    let mut peer = Peer::of(project, &[]);
    let value = |peer: &mut Peer, name: &str| -> Value {
        peer.call(name, json!({}))["structuredContent"]["result"].take()
    };
    assert_eq!(value(&mut peer, "seen"), json!([]));
    assert!(value(&mut peer, "make").is_array());
    assert_eq!(value(&mut peer, "seen"), json!([]));
    assert!(value(&mut peer, "open").is_array());
    assert!(value(&mut peer, "write").is_array());
    assert_eq!(value(&mut peer, "count"), json!([{"n": 1}]));
    // The write was no part of the transaction that was left open: it is there for others.
    let (_, project) = peer.stop();
    let seen = project.mxcp(&["query", "SELECT count(*) AS n FROM notes", "--json"]);
    assert!(seen.contains("\"n\":1"), "{seen}");
}
