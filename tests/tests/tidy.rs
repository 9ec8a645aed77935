//! The habits of the house, held by a test: see `CONTRIBUTING.md`.
//!
//! Each test reads the whole tree and reports everything that it finds, as `file:line`.

#![forbid(unsafe_code)]
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mxcp_tests::rust::Source;
use mxcp_tests::workspace::{files, metadata, read, root, top_level};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// What may stand at the root; a new room of the house is a decision, not an accident.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".config",
    ".editorconfig",
    ".github",
    ".gitignore",
    ".pre-commit-hooks.yaml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "DESIGN.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "cli",
    "clippy.toml",
    "compiler",
    "deny.toml",
    "docs",
    "examples",
    "fuzz",
    "runtime",
    "rustfmt.toml",
    "schemas",
    "snapshots",
    "tests",
];

/// The modules that may hold `unsafe`: the map, DuckDB's C interface, the JIT; and their folders.
const UNSAFE: &[&str] =
    &["runtime/policy/src/jit", "runtime/src/bundle/map", "runtime/src/duckdb/ffi"];

/// Crates that do no I/O of their own, and what they therefore may not name.
const PURE: &[&str] = &["compiler/src", "schemas/src"];

#[test]
fn every_module_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.has_module_doc());
    report(
        "open with a `//!` comment that says what the module is",
        silent.map(|s| place(&s.path, 1)),
    );
}

#[test]
fn files_and_functions_are_short() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines >= FILE_LINES_MAX {
            found.push(format!("{}: {lines} lines", source.path.display()));
        }
        let long =
            source.functions().into_iter().filter(|function| function.lines >= FUNCTION_LINES_MAX);
        found.extend(long.map(|f| {
            format!("{}: `{}` has {} lines", place(&source.path, f.line), f.name, f.lines)
        }));
    }
    report(
        &format!(
            "keep files under {FILE_LINES_MAX} and functions under {FUNCTION_LINES_MAX} lines"
        ),
        found,
    );
}

#[test]
fn registries_are_sorted() {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for source in sources() {
        for registry in source.registries() {
            seen.insert(registry.name.clone());
            if !registry.entries.is_sorted() {
                found.push(format!("{}: `{}`", source.path.display(), registry.name));
            }
        }
    }
    assert!(seen.contains("ACTIONS"), "registries are no longer recognised: {seen:?}");
    report("sort the entries of registries", found);
}

#[test]
fn no_file_is_dead() {
    let sources = sources();
    let mut alive = BTreeSet::new();
    let mut next = roots();
    while let Some((path, is_root)) = next.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            continue;
        };
        if alive.insert(path) {
            next.extend(source.child_modules(is_root).into_iter().map(|path| (path, false)));
        }
    }
    let dead = sources.iter().filter(|source| !alive.contains(&source.path));
    report("delete the file, or declare it with `mod`", dead.map(|source| place(&source.path, 1)));
}

#[test]
fn folders_at_the_root_are_known() {
    let unknown = top_level().into_iter().filter(|name| !TOP_LEVEL.contains(&name.as_str()));
    report("put it into one of the rooms of `ARCHITECTURE.md`", unknown);
}

#[test]
fn unsafe_stays_in_its_rooms() {
    let mut found = Vec::new();
    for source in sources() {
        let path = source.path.with_extension("");
        if UNSAFE.iter().any(|room| path.starts_with(room)) {
            continue;
        }
        found.extend(
            source.lines_with_token("unsafe").into_iter().map(|line| place(&source.path, line)),
        );
    }
    report(&format!("keep unsafe code in {}", UNSAFE.join(", ")), found);
}

/// Modules of the standard library that reach out of the program.
const IMPURE: [&str; 4] = ["env", "fs", "net", "process"];

#[test]
fn what_must_be_pure_does_no_io() {
    let mut found = Vec::new();
    for source in sources() {
        if !PURE.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if IMPURE.iter().any(|name| code.contains(&format!("std::{name}"))) {
                found.push(format!("{}: {}", place(&source.path, number), line.trim()));
            }
        }
        for rest in source.text.split("std::{").skip(1) {
            let names = rest.split('}').next().unwrap_or_default().split(',').map(str::trim);
            let impure =
                names.filter(|name| IMPURE.contains(&name.split(':').next().unwrap_or(name)));
            found.extend(impure.map(|name| format!("{}: std::{{{name}}}", place(&source.path, 1))));
        }
    }
    report("let the caller do the I/O", found);
}

#[test]
fn crates_share_lints_and_forbid_unsafe() {
    let mut found = Vec::new();
    for package in packages() {
        let manifest = read(package.join("Cargo.toml"));
        if !manifest.contains("[lints]\nworkspace = true") {
            found.push(format!(
                "{}: no `[lints] workspace = true`",
                package.join("Cargo.toml").display()
            ));
        }
    }
    for source in sources() {
        let crate_root = source.path.file_name() == Some(OsStr::new("lib.rs"));
        if crate_root && !source.text.contains("(unsafe_code)]") {
            found.push(format!(
                "{}: neither forbids nor denies `unsafe_code`",
                source.path.display()
            ));
        }
        found.extend(
            unexplained(&source).map(|line| format!("{}: no reason", place(&source.path, line))),
        );
    }
    report("hold the same lints everywhere", found);
}

#[test]
fn nothing_is_left_over() {
    // Written in two halves, so that this file does not contain them.
    let words = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("FIX", "ME"),
        concat!("for ", "now"),
        concat!("not imple", "mented"),
        concat!("place", "holder"),
        concat!("simu", "lated"),
        concat!("hard-", "coded"),
        concat!("hard", "coded"),
    ];
    let mut found = Vec::new();
    for (path, text) in texts() {
        let code = ["rs", "py", "sh", "mjs"]
            .map(OsStr::new)
            .iter()
            .any(|suffix| path.extension() == Some(suffix));
        if code {
            find_words(&path, &text, &words, &mut found);
        }
    }
    report("finish it, or say what is missing where users read it", found);
}

#[test]
fn nothing_names_the_machine_it_was_made_on() {
    let home = std::env::home_dir()
        .filter(|home| home.parent().is_some())
        .unwrap_or_else(|| "/root".into());
    let mut folders = ["root", "Users", "work"].map(|name| format!("/{name}/")).to_vec();
    folders.push(format!("{}/", home.display()));
    let registries = [
        concat!("crates", ".io"),
        concat!("registry.", "npmjs"),
        concat!("pypi", ".org"),
        concat!("deb.", "debian"),
    ];
    let words: Vec<_> = folders.iter().map(String::as_str).chain(registries).collect();
    let mut found = Vec::new();
    for (path, text) in texts() {
        let locked = path.extension() == Some(OsStr::new("lock"));
        if !locked {
            find_words(&path, &text, &words, &mut found);
        }
    }
    report("name neither machines nor package hosts", found);
}

#[test]
fn text_files_are_clean() {
    let mut found = Vec::new();
    for (path, text) in texts() {
        if path.starts_with("snapshots") || path.starts_with("tests/cases") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            if line.ends_with([' ', '\t', '\r']) {
                found.push(format!("{}: white space at the end of the line", place(&path, number)));
            }
        }
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            found.push(format!("{}: end the file with one line break", path.display()));
        }
    }
    report("keep text files clean", found);
}

/// The lines where a lint is switched off and the attribute does not say why.
fn unexplained(source: &Source) -> impl Iterator<Item = usize> {
    let attributes = [concat!("[al", "low("), concat!("[ex", "pect(")].into_iter();
    let starts = attributes.flat_map(|start| source.text.match_indices(start));
    starts.filter_map(|(at, _)| {
        let (before, attribute) = source.text.split_at(at);
        let end = attribute.find(")]").unwrap_or(attribute.len());
        let explained = attribute.get(..end).is_some_and(|text| text.contains("reason = "));
        (!explained).then(|| before.lines().count())
    })
}

/// All Rust sources, parsed.
fn sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|path| path.extension() == Some(OsStr::new("rs")));
    let sources: Vec<_> = rust.map(|path| Source::parse(&path, read(&path))).collect();
    assert!(sources.len() > 50, "the tree is not where it should be: {} sources", sources.len());
    sources
}

/// All files that are text, with their texts.
fn texts() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(root().join(&path)).ok()?;
        Some((path, text))
    };
    files().into_iter().filter_map(read).collect()
}

/// The files that Cargo starts from: libraries, programs, tests, benchmarks, build scripts.
fn roots() -> Vec<(PathBuf, bool)> {
    let metadata = metadata();
    let targets = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|p| p["targets"].as_array());
    let paths = targets
        .flatten()
        .filter_map(|target| Path::new(target["src_path"].as_str()?).strip_prefix(root()).ok());
    let own = |path: &PathBuf| {
        path.parent() == Some(Path::new("fuzz/fuzz_targets"))
            || *path == Path::new("tests/peers/src/main.rs")
    };
    paths
        .map(Path::to_owned)
        .chain(files().into_iter().filter(own))
        .map(|path| (path, true))
        .collect()
}

/// The folders of the workspace's packages.
fn packages() -> Vec<PathBuf> {
    let manifests =
        files().into_iter().filter(|path| path.file_name() == Some(OsStr::new("Cargo.toml")));
    let folders = manifests.filter_map(|path| path.parent().map(Path::to_owned));
    // Workspaces of their own have no lints to inherit.
    let own = ["", "fuzz", "tests/peers"].map(Path::new);
    folders.filter(|folder| !own.contains(&folder.as_path())).collect()
}

fn find_words(path: &Path, text: &str, words: &[&str], found: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        let lower = line.to_lowercase();
        let word = words.iter().find(|word| lower.contains(&word.to_lowercase()));
        found.extend(word.map(|word| format!("{}: `{word}`", place(path, number))));
    }
}

fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", path.display())
}

/// Fails with everything that was found, and with what to do about it.
fn report(rule: &str, found: impl IntoIterator<Item = String>) {
    let found: Vec<_> = found.into_iter().collect();
    assert!(found.is_empty(), "{rule}:\n  {}\n", found.join("\n  "));
}
