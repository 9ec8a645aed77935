//! How long `mxcp check` and `mxcp build` take for a project of a thousand endpoints, beside reading
//! its files alone and, where one is given, MXCP's own `mxcp validate`.
//!
//! `cargo bench -p mxcp-tests --bench project`; `MXCP_OTHER=/path/to/mxcp` names MXCP's program.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark")]

use std::process::Command;
use std::time::Instant;

use mxcp_tests::generate;
use mxcp_tests::measure::{Sample, goal, rounds, row};
use mxcp_tests::project::Project;

const ENDPOINTS: usize = 1_000;

fn main() {
    let project = Project::new(&generate::project(ENDPOINTS));
    let other = std::env::var_os("MXCP_OTHER");
    let (mut reads, mut checks, mut builds, mut others) =
        (Sample::default(), Sample::default(), Sample::default(), Sample::default());
    for _ in 0..rounds(11) {
        reads.add_ms(timed(|| {
            let files = generate::project(ENDPOINTS);
            let bytes: usize = files.iter().map(|(path, _)| project.read(path).len()).sum();
            assert!(bytes > ENDPOINTS);
        }));
        checks.add_ms(timed(|| drop(project.mxcp(&["check", "--quiet"]))));
        builds.add_ms(timed(|| drop(project.mxcp(&["build", "--quiet"]))));
    }
    if let Some(program) = &other {
        let mut validate = Command::new(program);
        validate.arg("validate").current_dir(project.path("")).env("MXCP_DISABLE_ANALYTICS", "1");
        for _ in 0..rounds(3).min(3) {
            others.add_ms(timed(|| drop(validate.output().expect("MXCP's program starts"))));
        }
    }
    println!("{ENDPOINTS} endpoints with six policies each, whole processes:");
    row("reading (and generating) the files", &reads, "ms");
    row("mxcp check", &checks, "ms");
    row("mxcp build", &builds, "ms");
    if other.is_some() {
        row("MXCP's `mxcp validate`", &others, "ms");
        println!(
            "  ratio: MXCP's validate takes {:.0} times as long as check",
            others.median() / checks.median()
        );
    }
    goal("mxcp check", checks.median(), "ms", "at most", 300.0);
    goal("mxcp build", builds.median(), "ms", "at most", 1_000.0);
}

fn timed(work: impl FnOnce()) -> std::time::Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
