//! The examples: they check without a word, their tests pass, and MXCP's security quick start does
//! what its page says.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use mxcp_tests::project::Project;
use mxcp_tests::workspace;
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

/// The clinic with its database, what is switched off switched on.
fn clinic() -> Project {
    let project = Project::copy("examples/clinic");
    project.mxcp(&["query", "--file", "sql/seed.sql"]);
    let disabled = project.read("tools/export_patients.yml");
    assert!(disabled.contains("  enabled: false\n"));
    project.write("tools/export_patients.yml", &disabled.replace("  enabled: false\n", ""));
    project
}

#[test]
fn the_tests_of_the_clinic_see_every_policy_fire_and_every_branch() {
    let tested: Value = json_of(&clinic().mxcp(&["test", "--coverage", "--json"]));
    let coverage = &tested["coverage"];
    assert_eq!(coverage["policies_fired"], coverage["policies_total"], "{coverage:#}");
    assert_eq!(coverage["branches_seen"], coverage["branches_total"], "{coverage:#}");
    assert!(coverage["policies_total"].as_u64() > Some(25), "{coverage:#}");
}

/// An example is copied with its tests, so they have to notice when a policy, or one field of it, is gone.
#[test]
fn the_tests_of_the_clinic_fail_when_a_policy_or_a_field_of_one_goes() {
    let project = clinic();
    let (mut tried, mut unnoticed) = (0, Vec::new());
    for file in definitions() {
        let text = project.read(&file);
        for (at, line) in text.lines().enumerate() {
            for weaker in weakened(line) {
                let lines = text.lines().enumerate();
                let changed: Vec<&str> =
                    lines.map(|(i, line)| if i == at { weaker.as_str() } else { line }).collect();
                project.write(&file, &changed.join("\n"));
                let done = project.run(&["test"]);
                tried += 1;
                let noticed = String::from_utf8_lossy(&done.stdout).contains("FAILED");
                if done.status.code() != Some(1) || !noticed {
                    unnoticed.push(format!("{file}:{}: {}", at + 1, weaker.trim()));
                }
            }
        }
        project.write(&file, &text);
    }
    assert!(tried > 30, "{tried} policies and fields were found");
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// A line of a policy with a condition that never holds, or with one of its fields less.
fn weakened(line: &str) -> Vec<String> {
    if let Some((before, _)) = line.split_once("condition: ") {
        return vec![format!("{before}condition: \"false\"")];
    }
    let Some((before, fields)) = line.split_once("fields: [") else { return Vec::new() };
    let fields: Vec<&str> = fields.trim_end_matches(']').split(", ").collect();
    let without = |gone: usize| {
        let kept: Vec<&str> =
            fields.iter().enumerate().filter(|(i, _)| *i != gone).map(|(_, f)| *f).collect();
        format!("{before}fields: [{}]", kept.join(", "))
    };
    // A policy without fields does not build, and the condition's turn has come.
    if fields.len() == 1 { Vec::new() } else { (0..fields.len()).map(without).collect() }
}

/// The endpoint files of the clinic.
fn definitions() -> Vec<String> {
    let inside = workspace::files().into_iter().filter_map(|path| {
        let path = path.strip_prefix("examples/clinic").ok()?.to_str()?.to_owned();
        (path.contains('/') && path.strip_suffix(".yml").is_some()).then_some(path)
    });
    inside.collect()
}

/// `docs/definitions.md` says so.
#[test]
fn the_clinic_uses_every_key_of_definitions_but_python() {
    let schema: Value = json_of(&Project::copy("examples/clinic").mxcp(&["schema", "endpoint"]));
    let read = |file: &String| workspace::read(format!("examples/clinic/{file}"));
    let texts: String = definitions().iter().map(read).collect();
    let words: BTreeSet<&str> = texts
        .split(|c: char| !(c.is_alphanumeric() || "_-:".contains(c)))
        .flat_map(|word| [word, word.trim_end_matches(':')])
        .collect();
    let (mut keys, mut missing) = (0, Vec::new());
    let mut below = vec![&schema];
    while let Some(value) = below.pop() {
        for (name, property) in value["properties"].as_object().into_iter().flatten() {
            keys += 1;
            if !words.contains(format!("{name}:").as_str()) {
                missing.push(format!("{name}:"));
            }
            let choices = property["enum"].as_array().into_iter().flatten();
            let choices = choices.filter_map(Value::as_str).filter(|word| *word != "python");
            missing.extend(choices.filter(|word| !words.contains(word)).map(str::to_owned));
        }
        match value {
            Value::Object(fields) => below.extend(fields.values()),
            Value::Array(items) => below.extend(items),
            _ => {}
        }
    }
    assert!(keys > 60, "{keys} keys are in the schema");
    assert!(missing.is_empty(), "{missing:?}");
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
