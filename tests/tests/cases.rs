//! Every page of `tests/cases` is run; what it prints is recorded in `snapshots`.
//!
//! `INSTA_UPDATE=always cargo nextest run -p mxcp-tests --test cases` records anew; read the
//! difference as a user would.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mxcp_tests::case::{self, Ran};
use mxcp_tests::rust::Source;
use mxcp_tests::workspace;

#[test]
fn cases_print_what_was_recorded_and_produce_every_code() {
    let all = run();
    let mut changed = Vec::new();
    for ran in &all {
        let (folder, name) = case::record(&ran.name);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.set_input_file(Path::new("tests/cases").join(format!("{}.md", ran.name)));
        let same = settings
            .bind(|| catch_unwind(AssertUnwindSafe(|| insta::assert_snapshot!(name, ran.shown))));
        if same.is_err() {
            changed.push(ran.name.as_str());
        }
    }
    assert!(changed.is_empty(), "these cases print something else: {changed:#?}");
    let produced: BTreeSet<&str> = all.iter().flat_map(|r| &r.codes).map(String::as_str).collect();
    let missing: Vec<String> = mxcp_compiler::codes()
        .filter(|code| !produced.contains(code.id))
        .map(|code| format!("{} {}", code.id, code.slug))
        .collect();
    assert!(missing.is_empty(), "no case produces these codes: {missing:#?}");
}

#[test]
fn every_record_has_its_case() {
    let names: BTreeSet<String> = case::all().into_iter().map(|case| case.name).collect();
    let orphans: Vec<String> = workspace::files()
        .into_iter()
        .filter_map(|path| {
            let inside = path.strip_prefix("snapshots").ok()?;
            Some(inside.with_extension("").to_string_lossy().into_owned())
        })
        .filter(|name| !names.contains(name))
        .collect();
    assert!(orphans.is_empty(), "these records have no case: {orphans:#?}");
}

/// What the front end of conditions never says by way of a command, and why.
const UNSAID: &[(&str, &str)] = &[
    ("the condition is too large to be compiled", "the parser's limits are reached before"),
    ("there is no attribute `{field}`", "every command knows the attributes of a caller"),
    ("the time is not known here", "every command knows the time"),
    (
        "the types in this condition are too large to be compared",
        "the parser's limits are reached before",
    ),
    ("the escape has no end", "a text without an end is told before"),
    ("the escape is no byte", "two digits, or three that begin with 0 to 3, are one"),
];

#[test]
fn every_message_about_a_condition_is_recorded() {
    let read = |path: &Path| workspace::read(path);
    let is_source = |path: &&std::path::PathBuf| {
        let aside = [
            "code.rs",
            "reference.rs",
            "engines.rs",
            "engines/rows.rs",
            "closed.rs",
            "kept.rs",
            "tests.rs",
        ];
        path.starts_with("compiler/src/cel")
            && path.extension().is_some_and(|extension| extension == "rs")
            && !aside.iter().any(|name| path.ends_with(name))
    };
    let files = workspace::files();
    let recorded: String =
        files.iter().filter(|path| path.starts_with("snapshots")).map(|path| read(path)).collect();
    let lines: BTreeSet<&str> = recorded.lines().collect();
    let (mut said, mut missing) = (0, Vec::new());
    for path in files.iter().filter(is_source) {
        for message in Source::parse(path, read(path)).sentences() {
            if UNSAID.iter().any(|(unsaid, _)| *unsaid == message) {
                continue;
            }
            said += 1;
            let pieces = pieces(&message);
            if !lines.iter().any(|line| holds(line, &pieces)) {
                missing.push(format!("{}: {message}", path.display()));
            }
        }
    }
    assert!(said > 150, "{said} messages are looked for");
    assert!(missing.is_empty(), "no case makes the compiler say: {missing:#?}");
}

/// What of a message stands in the source: the text between what is filled in.
fn pieces(message: &str) -> Vec<String> {
    let (mut all, mut depth) = (vec![String::new()], 0);
    let mut rest = message.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if depth == 0 && rest.next_if_eq(&c).is_some() => {
                all.last_mut().expect("there is one").push(c);
            }
            '{' => {
                depth += 1;
                all.push(String::new());
            }
            '}' => depth -= 1,
            c if depth == 0 => all.last_mut().expect("there is one").push(c),
            _ => {}
        }
    }
    all
}

/// Whether a line has all pieces, one behind the other.
fn holds(line: &str, pieces: &[String]) -> bool {
    let mut rest = line;
    pieces.iter().all(|piece| match rest.split_once(piece.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Runs all cases, several at a time, in the order of their names.
fn run() -> Vec<Ran> {
    let cases = case::all();
    assert!(cases.len() > 50, "the cases are not where they should be: {}", cases.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ran = case.run();
                    done.lock().expect("no thread panics with the lock").push(ran);
                }
            });
        }
    });
    let mut all = done.into_inner().expect("no thread panics with the lock");
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
