//! The page of every code has an example, and the examples do what they say: what is marked `# wrong`
//! produces the code, what is marked `# right` does not and builds.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use mxcp_schemas::diagnostic::Code;
use mxcp_tests::case::{SITE, blocks};
use mxcp_tests::project::Project;
use serde_json::Value;

/// Codes whose mistake is no short text: a file that is too large, bytes that are no text, links, what
/// another file says.
const WITHOUT_EXAMPLE: [&str; 13] = [
    "bidirectional-control",
    "cel-cost",
    "cel-limit",
    "control-character",
    "field-paths-too-complex",
    "no-secret",
    "no-site-file",
    "not-utf-8",
    "python-not-run",
    "source-not-text",
    "too-many-files",
    "unreadable-file",
    "yaml-limit",
];

#[test]
fn the_page_of_every_code_has_an_example_that_does_what_it_says() {
    let mut problems = Vec::new();
    for code in mxcp_compiler::codes() {
        let examples = blocks(code.page);
        let of = |mark: &str| {
            examples.iter().filter_map(|b| b.text.strip_prefix(mark)).collect::<Vec<_>>()
        };
        let (wrong, right) = (of("# wrong\n"), of("# right\n"));
        if wrong.is_empty() && !WITHOUT_EXAMPLE.contains(&code.slug) {
            problems.push(format!("{} `{}` has no example", code.id, code.slug));
        }
        for text in wrong {
            let found = check(text);
            if !found.iter().any(|(id, _)| id == code.id) {
                problems.push(format!("{} is not reported for\n{text}\n{found:?}", code.id));
            }
        }
        for text in right {
            let found = check(text);
            if found.iter().any(|(id, severity)| id == code.id || severity == "error") {
                problems.push(format!(
                    "{} has a right example that is wrong\n{text}\n{found:?}",
                    code.id
                ));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn every_code_is_described() {
    let mut seen: Vec<&Code> = Vec::new();
    for code in mxcp_compiler::codes() {
        assert!(code.id.len() == 6 && code.id.starts_with("MX"), "{}", code.id);
        assert!(!code.title.is_empty() && code.page.len() > 40, "{} has no page", code.id);
        assert!(!seen.iter().any(|c| c.id == code.id || c.slug == code.slug), "{} twice", code.id);
        seen.push(code);
    }
    assert!(seen.len() > 70, "{}", seen.len());
}

/// The codes and severities that `mxcp check` reports for an example.
fn check(text: &str) -> Vec<(String, String)> {
    let mut files = files(text);
    if !files.iter().any(|(path, _)| path == "mxcp-site.yml") {
        files.push(("mxcp-site.yml".to_owned(), SITE.to_owned()));
    }
    let done = Project::new(&files).run(&["check", "--json"]);
    let document: Value = serde_json::from_slice(&done.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&done.stderr)));
    let found = document["diagnostics"].as_array().expect("a list");
    let word = |d: &Value, key: &str| d[key].as_str().unwrap_or("").to_owned();
    found.iter().map(|d| (word(d, "code"), word(d, "severity"))).collect()
}

/// The files of an example: those that comments name, else one endpoint, which the rest of a small one
/// is put around.
fn files(text: &str) -> Vec<(String, String)> {
    let named = |line: &str| {
        let path = line.strip_prefix("# ")?;
        let file = path == "mxcp-site.yml" || (path.contains('/') && !path.contains(' '));
        file.then(|| path.to_owned())
    };
    if text.lines().next().and_then(named).is_some() {
        let mut files: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match (named(line), files.last_mut()) {
                (Some(path), _) => files.push((path, String::new())),
                (None, Some((_, text))) => text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        return files;
    }
    let has = |key: &str| text.lines().any(|line| line.starts_with(&format!("{key}:")));
    for (key, folder) in [("tool", "tools"), ("resource", "resources"), ("prompt", "prompts")] {
        if has(key) {
            return vec![(format!("{folder}/example.yml"), text.to_owned())];
        }
    }
    let indented =
        |text: &str, by: &str| text.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    let mut tool = "mxcp: 1\ntool:\n  name: example\n".to_owned();
    if text.starts_with("- ") || text.starts_with("# mxcp") {
        tool.push_str(&format!("  policies:\n    input:\n{}", indented(text, "      ")));
    } else {
        tool.push_str(&indented(text, "  "));
    }
    for (key, default) in [
        (
            "parameters",
            "  parameters:\n    - {name: patient_id, type: integer}\n    - {name: start_date, type: string, format: date}\n",
        ),
        (
            "return",
            "  return:\n    type: object\n    properties: {salary: {type: number}}\n    required: [salary]\n",
        ),
        ("source", "  source: {code: SELECT 1 AS salary}\n"),
    ] {
        if !has(key) {
            tool.push_str(default);
        }
    }
    vec![("tools/example.yml".to_owned(), tool)]
}
