//! Dependencies point one way, and the runtime holds no compiler: what it cannot do cannot be attacked.

#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use mxcp_tests::workspace::metadata;
use serde_json::Value;

/// What each crate of the workspace may depend on besides itself, tests included.
const LAYERS: &[(&str, &[&str])] = &[
    ("mxcp", &["mxcp-compiler", "mxcp-policy", "mxcp-runtime", "mxcp-schemas"]),
    ("mxcp-compiler", &["mxcp-policy", "mxcp-schemas"]),
    ("mxcp-policy", &["mxcp-schemas"]),
    ("mxcp-runtime", &["mxcp-policy", "mxcp-schemas"]),
    ("mxcp-schemas", &[]),
    ("mxcp-tests", &["mxcp-compiler", "mxcp-policy", "mxcp-runtime", "mxcp-schemas"]),
];

/// Crates that read CEL source, and the crates of ours that do.
const NOT_IN_RUNTIME: &[&str] =
    &["antlr4rust", "cel", "cel-interpreter", "cel-parser", "mxcp", "mxcp-compiler", "mxcp-tests"];

/// Crates that no program of ours links: two readers must never see the same file, and there is one
/// TLS stack.
const NOWHERE: &[&str] =
    &["native-tls", "openssl", "openssl-sys", "serde_yaml", "serde_yml", "yaml-rust"];

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let names: BTreeSet<_> = LAYERS.iter().map(|(name, _)| *name).collect();
    let mut seen = BTreeSet::new();
    for package in members(&metadata) {
        let name = text(&package["name"]);
        let (_, allowed) = LAYERS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| {
            panic!("`{name}` is new: say in LAYERS what it may depend on");
        });
        seen.insert(name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = text(&dependency["name"]);
            assert!(
                !names.contains(target) || allowed.contains(&target),
                "`{name}` may not depend on `{target}`: see ARCHITECTURE.md"
            );
        }
    }
    assert_eq!(seen, names);
}

#[test]
fn the_runtime_contains_no_compiler_and_no_cel_parser() {
    let graph = Graph::new(&metadata());
    let runtime = graph.reachable("mxcp-runtime");
    assert!(
        runtime.contains("libduckdb-sys") && runtime.contains("mxcp-policy"),
        "the graph is not complete"
    );
    for name in NOT_IN_RUNTIME {
        assert!(!runtime.contains(name), "`mxcp-runtime` reaches `{name}`");
    }
    // The same search finds them where they may be.
    assert!(graph.reachable("mxcp").contains("mxcp-compiler"));
}

#[test]
fn programs_link_one_yaml_reader_and_one_tls_stack() {
    let graph = Graph::new(&metadata());
    let linked = graph.reachable("mxcp");
    assert!(linked.contains("granit-parser"), "the graph is not complete");
    for name in NOWHERE {
        assert!(!linked.contains(name), "`mxcp` reaches `{name}`");
    }
}

/// Names of packages and what they link or run at build time; not what only their tests need.
struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn new(metadata: &Value) -> Self {
        let packages = metadata["packages"].as_array().unwrap();
        let names = packages
            .iter()
            .map(|p| (text(&p["id"]).to_owned(), text(&p["name"]).to_owned()))
            .collect();
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let edges = nodes.iter().map(|node| (text(&node["id"]).to_owned(), linked(node))).collect();
        Self { names, edges }
    }

    /// The names of all packages that the package of this name needs.
    fn reachable(&self, name: &str) -> BTreeSet<&str> {
        let start = self.names.iter().find(|(_, known)| *known == name).map(|(id, _)| id);
        let mut next = vec![start.unwrap_or_else(|| panic!("no package `{name}`"))];
        let mut seen = BTreeSet::new();
        while let Some(id) = next.pop() {
            if seen.insert(id) {
                next.extend(self.edges.get(id).into_iter().flatten());
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

/// The packages that a node depends on other than for its tests.
fn linked(node: &Value) -> Vec<String> {
    let dependencies = node["deps"].as_array().unwrap().iter();
    let used = dependencies
        .filter(|d| d["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"] != "dev"));
    used.map(|dependency| text(&dependency["pkg"]).to_owned()).collect()
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    let members: BTreeSet<_> =
        metadata["workspace_members"].as_array().unwrap().iter().map(text).collect();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(move |package| members.contains(text(&package["id"])))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
