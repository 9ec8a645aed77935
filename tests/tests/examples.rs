//! The examples: they check without a word, their tests pass, and MXCP's security quick start does
//! what its page says.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mxcp_tests::project::Project;
use serde_json::{Value, json};

#[test]
fn the_examples_check_and_pass_their_tests() {
    for example in ["examples/quickstart", "examples/clinic"] {
        let project = Project::copy(example);
        if project.path("sql/seed.sql").is_file() {
            project.mxcp(&["query", "--file", "sql/seed.sql"]);
        }
        let checked: Value = json_of(&project.mxcp(&["check", "--strict", "--json"]));
        assert_eq!(checked["diagnostics"], json!([]), "{example}");
        let tested: Value = json_of(&project.mxcp(&["test", "--json"]));
        assert_eq!(tested["failed"], json!(0), "{example}: {tested:#}");
        assert!(tested["passed"].as_u64() > Some(2), "{example}");
        assert_eq!(tested["machine_code"], json!(0), "{example}");
        let compiled: Value = json_of(&project.mxcp(&["test", "--json", "--jit"]));
        for what in ["passed", "failed"] {
            assert_eq!(compiled[what], tested[what], "{example}: {compiled:#}");
        }
        assert!(compiled["machine_code"].as_u64() > Some(1), "{example}: {compiled:#}");
    }
}

#[test]
fn the_security_quick_start_denies_filters_and_records() {
    let project = Project::copy("examples/quickstart");
    let call = |user: &str| {
        let arguments = [
            "run",
            "tool",
            "sensitive_data",
            "--param",
            "employee_id=e1",
            "--json",
            "--user-context",
            user,
        ];
        let done = project.run(&arguments);
        (done.status.code(), json_of(&String::from_utf8_lossy(&done.stdout)))
    };
    let (code, denied) = call(r#"{"role": "user"}"#);
    assert_eq!((code, &denied["status"]), (Some(1), &json!("denied")));
    assert!(denied["error"].as_str().unwrap_or("").contains("Admin access required"), "{denied}");
    let (code, seen) = call(r#"{"role": "admin"}"#);
    assert_eq!(code, Some(0));
    assert_eq!(seen["result"], json!({"id": "e1", "name": "Ada Example"}));
    // An attribute that the identity provider sent with the wrong type closes.
    let (code, _) = call(r#"{"role": ["admin"]}"#);
    assert_eq!(code, Some(1));
    let log: Value =
        json_of(&project.mxcp(&["log", "--policy", "deny", "--since", "24h", "--json"]));
    let records = log.as_array().expect("records");
    assert_eq!(records.len(), 2, "{log:#}");
    assert!(records.iter().all(|r| r["policy_decision"] == json!("deny")));
    assert!(
        records.iter().any(|r| r["policy_reason"] == json!("Admin access required")),
        "{log:#}"
    );
    project.mxcp(&["log", "verify"]);
}

#[test]
fn a_build_is_reproducible_and_writes_nothing_on_error() {
    let project = Project::copy("examples/clinic");
    project.mxcp(&["build", "-o", "a.mx"]);
    project.mxcp(&["build", "-o", "b.mx"]);
    let read = |name: &str| std::fs::read(project.path(name)).expect("a bundle");
    assert_eq!(read("a.mx"), read("b.mx"));
    let good = read("a.mx");
    project.write("tools/broken.yml", "mxcp: 1\ntool:\n  name: broken\n  source: {code: SELECT 1}\n  policies: {input: [{condition: usr.role, action: deny}]}\n");
    let done = project.run(&["build", "-o", "a.mx"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("MX0303"));
    assert_eq!(read("a.mx"), good);
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}
