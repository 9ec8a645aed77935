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
