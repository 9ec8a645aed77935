//! The official MCP clients against the shipped programs, over HTTP and standard input.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mxcp_tests::binaries;
use mxcp_tests::clients::{Client, Target, inspector};
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use serde_json::{Value, json};

const NURSE: &str = r#"{"role": "nurse", "ward": "south", "email": "n@clinic.example"}"#;

/// The clinic with its database and its bundle.
fn clinic() -> (Project, std::path::PathBuf) {
    let project = Project::copy("examples/clinic");
    project.mxcp(&["query", "--file", "sql/seed.sql"]);
    let bundle = project.build();
    (project, bundle)
}

fn steps() -> Value {
    json!([
        ["tools"],
        ["call", "find_patients", {"ward": "south", "limit": 2}],
        ["call", "prescribe", {"visit_id": 1, "drug": "ibuprofen", "per_day": 2}],
        ["call", "count_visits", {"ward": "nowhere"}],
        ["templates"],
        ["read", "clinic://insurers/2"],
        ["prompts"],
        ["prompt", "handover", {"ward": "south"}],
    ])
}

/// What every client has to see as a nurse of the south ward.
fn judge(steps: &[Value]) {
    let names: Vec<&str> = steps[0]["tools"]
        .as_array()
        .expect("tools")
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert!(names.contains(&"find_patients"), "{names:?}");
    // Who may never call a tool does not see it.
    assert!(!names.contains(&"prescribe"), "{names:?}");
    let rows = &steps[1]["structuredContent"]["result"];
    assert_eq!(rows[0]["address"], json!({"city": "Elmsford"}), "{rows}");
    assert!(rows[0].get("ssn").is_none(), "{rows}");
    assert_eq!(steps[2]["isError"], json!(true));
    let refused = steps[2]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(refused.starts_with("Only physicians prescribe (call "), "{refused}");
    assert_eq!(steps[3]["isError"], json!(true));
    assert!(steps[4].to_string().contains("clinic://insurers/{insurer_id}"), "{}", steps[4]);
    assert!(steps[5].to_string().contains("Harbour Health"), "{}", steps[5]);
    assert!(steps[6].to_string().contains("handover"), "{}", steps[6]);
    assert!(steps[7].to_string().contains("SOUTH ward"), "{}", steps[7]);
}

#[test]
fn the_python_client_over_http_in_both_eras() {
    let (project, bundle) = clinic();
    let server = Server::start(&project, &bundle, &["--user-context", NURSE]);
    for mode in ["legacy", "2026-07-28"] {
        let report = Client::Python.run(&Target::Url(server.url()), mode, &steps());
        judge(&report.steps);
    }
}

#[test]
fn the_python_client_over_standard_input() {
    let (project, bundle) = clinic();
    judge(&Client::Python.run(&stdio(&project, &bundle), "legacy", &steps()).steps);
}

#[test]
fn the_typescript_sdk_over_http_and_standard_input() {
    let (project, bundle) = clinic();
    judge(&Client::Sdk.run(&stdio(&project, &bundle), "legacy", &steps()).steps);
    let server = Server::start(&project, &bundle, &["--user-context", NURSE]);
    judge(&Client::Sdk.run(&Target::Url(server.url()), "legacy", &steps()).steps);
}

#[test]
fn the_inspector_over_http_and_standard_input() {
    let (project, bundle) = clinic();
    let arguments =
        ["--method", "tools/call", "--tool-name", "count_visits", "--tool-arg", "ward=north"];
    let called = |target: &Target| {
        let result = inspector(target, "legacy", &arguments);
        assert_eq!(result["structuredContent"], json!({"result": 664}), "{result}");
    };
    called(&stdio(&project, &bundle));
    let server = Server::start(&project, &bundle, &["--user-context", NURSE]);
    called(&Target::Url(server.url()));
}

fn stdio(project: &Project, bundle: &std::path::Path) -> Target {
    let command = [
        binaries::path("mxcp-runtime").display().to_string(),
        bundle.display().to_string(),
        "serve".to_owned(),
        "--transport".to_owned(),
        "stdio".to_owned(),
        "--user-context".to_owned(),
        NURSE.to_owned(),
    ];
    Target::Stdio { command: command.into(), folder: project.path("") }
}
