//! Files that are generated from the sources stand in the repository as they would be generated now.
//! `UPDATE=1 cargo test -p mxcp-tests --test generated` writes them.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use mxcp_compiler::cel::reference;
use mxcp_tests::workspace::root;

#[test]
fn the_reference_of_functions_is_the_registry() {
    agrees("docs/functions.md", &reference::page());
}

#[test]
fn the_limits_that_a_project_may_set_are_those_of_the_server() {
    let of_server: Vec<&str> =
        mxcp_runtime::limits::LIMITS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(mxcp_schemas::document::site::LIMITS.as_slice(), of_server);
}

fn agrees(path: &str, generated: &str) {
    let full = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&full, generated).expect("the file can be written");
    }
    let written = fs::read_to_string(&full).unwrap_or_default();
    assert!(
        written == generated,
        "`{path}` is not what the sources say; run\n  UPDATE=1 cargo test -p mxcp-tests --test generated"
    );
}
