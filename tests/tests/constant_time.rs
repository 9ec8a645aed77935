//! Secrets are compared in constant time, by type: nothing in the runtime takes the value out of
//! what conceals it in order to compare it, and the types that hold secrets compare as a whole.
//!
//! A stopwatch would tell the same less surely, and never on a machine that has other work.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use mxcp_tests::rust::{Comparison, Source};
use mxcp_tests::workspace;

/// What secrets are called where they are plain text for a moment.
const SECRETS: [&str; 12] = [
    "access_token",
    "client_secret",
    "code_verifier",
    "cookie",
    "nonce",
    "password",
    "refresh_token",
    "secret",
    "signature",
    "state",
    "ticket",
    "token",
];

/// Comparisons of what is called like a secret and is compared as a whole all the same, or is none:
/// file, operands, and why.
const EXPLAINED: &[(&str, &str, &str)] = &[
    ("runtime/src/auth/cache.rs", "key . token | * token", "two `Digest`"),
    (
        "runtime/src/auth/issuer/renew.rs",
        "row . provider . access_token | used",
        "two `Concealed<String>`",
    ),
    (
        "runtime/src/auth/issuer/renew.rs",
        "row . provider . refresh_token | used . refresh_token",
        "two `Option<Concealed<String>>`",
    ),
];

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![workspace::root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                // Folders of tests hold tests alone.
                if path.file_name().is_none_or(|name| name != "tests") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path.file_stem().is_none_or(|stem| stem != "tests")
            {
                found.push(source(&path));
            }
        }
    }
    assert!(found.len() > 20, "there are sources in `{folder}`");
    found
}

fn source(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).expect("a source is UTF-8");
    let path: PathBuf = path.strip_prefix(workspace::root()).expect("a source of ours").into();
    Source::parse(&path, text)
}

fn suspicious(source: &Source, is_suspicious: impl Fn(&Comparison) -> bool) -> Vec<String> {
    let found = source.comparisons().into_iter().filter(is_suspicious);
    let show = |found: Comparison| {
        format!("{}:{}: {}", source.path.display(), found.line, found.operands.join(" | "))
    };
    found.map(show).collect()
}

#[test]
fn what_is_concealed_is_not_taken_out_to_be_compared() {
    let exposed = |found: &Comparison| found.words.iter().any(|word| word == "expose");
    let found: Vec<String> =
        sources("runtime/src").iter().flat_map(|source| suspicious(source, exposed)).collect();
    assert!(found.is_empty(), "compared outside of `Concealed`:\n{}", found.join("\n"));
}

#[test]
fn what_is_called_a_secret_is_compared_as_a_whole() {
    let mut explained: Vec<_> = EXPLAINED.iter().collect();
    let mut found = Vec::new();
    for source in sources("runtime/src/auth") {
        let by_name =
            |found: &Comparison| found.names.iter().any(|name| SECRETS.contains(&name.as_str()));
        found.extend(suspicious(&source, |comparison| {
            let operands = comparison.operands.join(" | ");
            let file = source.path.to_string_lossy();
            by_name(comparison)
                && !EXPLAINED.iter().any(|(path, text, _)| *path == file && *text == operands)
        }));
        let there: Vec<String> =
            source.comparisons().iter().map(|found| found.operands.join(" | ")).collect();
        explained.retain(|(path, text, _)| {
            *path != source.path.to_string_lossy() || !there.iter().any(|known| known == text)
        });
    }
    assert!(found.is_empty(), "compared until the first difference:\n{}", found.join("\n"));
    assert!(explained.is_empty(), "explained and no longer there: {explained:?}");
}

#[test]
fn types_that_hold_secrets_compare_in_constant_time() {
    let root = workspace::root();
    for (path, name, how) in [
        ("runtime/src/config/concealed.rs", "Concealed", "is_equal ("),
        ("runtime/src/auth/secret.rs", "Digest", ". ct_eq ("),
    ] {
        let (derived, written) = source(&root.join(path)).traits_of(name);
        for forbidden in ["PartialEq", "Eq", "PartialOrd", "Ord", "Hash"] {
            assert!(!derived.iter().any(|one| one == forbidden), "`{name}` derives {forbidden}");
        }
        assert!(!written.iter().any(|(of, _)| of.ends_with("Ord")), "`{name}` has an order");
        let equal: Vec<_> = written.iter().filter(|(of, _)| of == "PartialEq").collect();
        assert!(!equal.is_empty(), "`{name}` is compared somewhere");
        for (_, body) in equal {
            assert!(body.contains(how) && !body.contains("=="), "`{name}`: {body}");
        }
    }
    let secrets = source(&root.join("runtime/src/auth/constant.rs"));
    assert!(secrets.text.contains("Digest::of(a) == Digest::of(b)"), "digests are compared");
}
