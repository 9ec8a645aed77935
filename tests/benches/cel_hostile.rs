//! What conditions that were made to be expensive cost the compiler: time and memory, beside the
//! length of their text. Each is compiled in a process of its own, so that memory is told apart. One that
//! takes longer than it may ends the benchmark: it is the time of the processor that counts, which is the
//! same on a machine that has other things to do.
//!
//! `cargo bench -p mxcp-tests --bench cel_hostile`
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use mxcp_compiler::cel;
use mxcp_tests::cel::hostile;

/// Compilations of which the fastest counts.
const RUNS: usize = 5;
/// Longest that a condition may take.
const MAX_TIME_MS: f64 = 100.0;

fn main() {
    let which = std::env::var("MXCP_HOSTILE").ok().and_then(|index| index.parse::<usize>().ok());
    let all = hostile::conditions();
    if let Some(one) = which.and_then(|index| all.get(index)) {
        measure(one);
        return;
    }
    println!("{:<28} {:>7} {:>9} {:>9}  said", "made of", "bytes", "ms", "MiB");
    for index in 0..all.len() {
        let program = std::env::current_exe().expect("a program has a path");
        let done = Command::new(program).env("MXCP_HOSTILE", index.to_string()).output();
        let done = done.expect("the program runs itself");
        print!("{}", String::from_utf8_lossy(&done.stdout));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

fn measure(one: &hostile::Hostile) {
    let environment = hostile::environment();
    // Tables that are built once are not the condition's.
    let _ = cel::condition("user.role.matches('a')", &environment);
    let before = peak_kib();
    let mut fastest = f64::MAX;
    let mut said = String::new();
    for _ in 0..RUNS {
        let start = worked();
        let (compiled, found) = cel::condition(&one.text, &environment);
        fastest = fastest.min(worked().saturating_sub(start).as_secs_f64() * 1e3);
        let first = found.iter().find(|finding| finding.is_error());
        said = first.map_or_else(String::new, |finding| finding.message.chars().take(60).collect());
        assert!(compiled.is_some() == first.is_none());
    }
    let grown = peak_kib().saturating_sub(before) as f64 / 1_024.0;
    println!("{:<28} {:>7} {fastest:>9.2} {grown:>9.1}  {said}", one.name, one.text.len());
    assert!(fastest <= MAX_TIME_MS, "{}: {fastest:.1} ms, at most {MAX_TIME_MS}", one.name);
}

/// How long the processor has worked for this thread, where the system says so; else how long ago it began.
fn worked() -> Duration {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // The count is brought up to date when somebody else could run.
    std::thread::yield_now();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}

/// The most memory that the process ever had, where the system says so.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
