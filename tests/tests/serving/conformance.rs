//! The official conformance suite against the shipped runtime, which serves an ordinary project.
//!
//! A scenario without checks shows as passed, and so may one that expects an error: checks are
//! counted, not ticks. What the suite wants of Python endpoints is not among these.

use std::collections::BTreeMap;

use mxcp_tests::clients;
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;

/// Scenarios of revision 2026-07-28, each with its number of checks.
const MODERN: &[(&str, usize)] = &[
    ("caching", 8),
    ("completion-complete", 2),
    ("dns-rebinding-protection", 2),
    ("http-header-validation", 14),
    ("input-required-result-unsupported-methods", 2),
    ("input-required-result-validate-input", 3),
    ("prompts-get-simple", 2),
    ("prompts-get-with-args", 2),
    ("prompts-list", 2),
    ("resources-list", 2),
    ("resources-read-binary", 2),
    ("resources-read-text", 2),
    ("resources-templates-read", 2),
    ("sep-2164-resource-not-found", 4),
    ("server-sse-multiple-streams", 1),
    ("tools-call-error", 2),
    ("tools-call-simple-text", 2),
    ("tools-list", 4),
];
/// Scenarios of revision 2025-11-25, each with its number of checks.
const LEGACY: &[(&str, usize)] = &[
    ("completion-complete", 2),
    ("dns-rebinding-protection", 2),
    ("logging-set-level", 2),
    ("ping", 2),
    ("prompts-get-simple", 2),
    ("prompts-get-with-args", 2),
    ("prompts-list", 2),
    ("resources-list", 2),
    ("resources-read-binary", 2),
    ("resources-read-text", 2),
    ("resources-templates-read", 2),
    ("server-initialize", 3),
    ("server-session-lifecycle", 3),
    ("server-sse-multiple-streams", 1),
    ("tools-call-error", 2),
    ("tools-call-simple-text", 2),
    ("tools-list", 3),
];

/// Checks passed and failed by scenario, read off lines such as `✓ ping: 2 passed, 0 failed`.
fn summary(printed: &str) -> BTreeMap<String, (usize, usize)> {
    let read = |line: &str| {
        let (_, rest) = line.split_once(' ')?;
        let (name, counts) = rest.split_once(": ")?;
        let (passed, rest) = counts.split_once(" passed, ")?;
        let failed = rest.strip_suffix(" failed")?;
        Some((name.to_owned(), (passed.parse().ok()?, failed.parse().ok()?)))
    };
    let lines = printed.lines().filter(|line| line.starts_with(['✓', '✗']));
    lines.filter_map(read).collect()
}

#[test]
fn both_eras_pass_what_they_are_asked() {
    let project = Project::copy("tests/projects/conformance");
    let server = Server::start(&project, &project.build(), &[]);
    for (revision, wanted) in [("2026-07-28", MODERN), ("2025-11-25", LEGACY)] {
        let url = server.url();
        let arguments = ["server", "--url", &url, "--requirements", revision];
        let printed = clients::conformance(&arguments);
        let seen = summary(&printed);
        for (scenario, checks) in wanted {
            assert_eq!(
                seen.get(*scenario),
                Some(&(*checks, 0)),
                "{revision} {scenario}\n{printed}"
            );
        }
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
}
