//! What findings offer is tried: over all cases, the edit of a finding leaves a file that YAML reads,
//! and the finding is gone.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Compiled, Options, compile};
use mxcp_schemas::diagnostic::{Diagnostic, Fix};
use mxcp_tests::case;

fn compiled(files: &MemoryFiles) -> Compiled {
    compile(files, &NoProbe, &Options::default())
}

/// How many findings say the same in the same file.
fn alike(all: &[Diagnostic], one: &Diagnostic) -> usize {
    all.iter()
        .filter(|d| d.code == one.code && d.file == one.file && d.message == one.message)
        .count()
}

fn unreadable(all: &[Diagnostic], file: &str) -> usize {
    let of_yaml =
        |d: &&Diagnostic| d.code.id.starts_with("MX010") && d.is_error() && &*d.file == file;
    all.iter().filter(of_yaml).count()
}

fn applied(text: &str, fix: &Fix) -> String {
    let mut out = text.to_owned();
    for edit in fix.edits.iter().rev() {
        out.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.replacement);
    }
    out
}

#[test]
fn what_is_offered_repairs_what_it_is_offered_for() {
    let mut tried = 0;
    for case in case::all() {
        let mut files = MemoryFiles(case.files().into_iter().collect());
        let site = files.0.entry("mxcp-site.yml".to_owned()).or_default();
        if site.is_empty() {
            *site = case::SITE.as_bytes().to_vec();
        }
        let before = compiled(&files);
        for finding in &before.diagnostics {
            let Some(fix) = &finding.fix else { continue };
            let text = before.texts.get(&finding.file).expect("a finding's file was read");
            let mut changed = files.clone();
            let after = applied(text, fix);
            changed.0.insert(finding.file.to_string(), after.clone().into_bytes());
            let found = compiled(&changed).diagnostics;
            let context = format!("{}: {}: {}\n{after}", case.name, finding.file, finding.message);
            let (was, is) = (&before.diagnostics, &found);
            assert!(
                unreadable(is, &finding.file) <= unreadable(was, &finding.file),
                "YAML no longer reads {context}\n{found:#?}"
            );
            assert!(alike(is, finding) < alike(was, finding), "nothing is repaired in {context}");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}
