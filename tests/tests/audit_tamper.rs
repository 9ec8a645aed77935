//! A trail of a hundred records, written by the shipped server: whatever is done to it is named at
//! its place.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use mxcp_runtime::audit::verify::{Fault, Options, Range, Report, Witness, verify};
use mxcp_tests::project::Project;
use mxcp_tests::trail::{self, Line, tool};
use serde_json::{Value, json};
use tempfile::TempDir;

const RECORDS: usize = 100;

/// A trail of exactly a hundred records, with a checkpoint as its last, and its lines.
struct Trail {
    project: Project,
    lines: Vec<Vec<u8>>,
}

fn written() -> Trail {
    let project = trail::project("", "");
    let sink = "checkpoint_sink: kept.jsonl";
    trail::user_file(&project, &format!("signing_key: '{}', {sink}", "07".repeat(32)));
    let bundle = project.build();
    let server = trail::serve(&project, &bundle, &[]);
    let mut line = Line::open(server.address()).unwrap();
    // Start, stop and the checkpoint are records as well.
    for i in 0..RECORDS as u64 - 3 {
        line.ask(&tool(i, "point", &json!({"id": i}))).unwrap();
    }
    assert!(server.stop().0.success());
    let segments = trail::segments(&project);
    assert_eq!(segments.len(), 1);
    let bytes = fs::read(&segments[0]).unwrap();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    assert_eq!(lines.len(), RECORDS);
    Trail { project, lines }
}

impl Trail {
    /// A copy in a folder of its own, in memory where there is such a place.
    fn copy(&self) -> Copy {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
        let folder = folder.unwrap();
        for entry in fs::read_dir(self.project.path("audit")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let segment = folder.path().join(trail::segments(&self.project)[0].file_name().unwrap());
        Copy { segment, path: folder.path().join("logs-dev.jsonl"), _folder: folder }
    }
}

struct Copy {
    _folder: TempDir,
    path: PathBuf,
    segment: PathBuf,
}

impl Copy {
    fn report(&self, lines: &[Vec<u8>], options: &Options) -> Report {
        fs::write(&self.segment, lines.concat()).unwrap();
        verify(&self.path, options).unwrap()
    }

    /// Where the first problem is, and what it is.
    fn problem(&self, lines: &[Vec<u8>]) -> (u64, u64, Fault) {
        let report = self.report(lines, &Options::default());
        let first = report.problems.into_iter().next().expect("a problem");
        (first.seq, first.line, first.fault)
    }
}

fn seq(at: usize) -> u64 {
    at as u64 + 1
}

/// Flips these bits of every byte, one at a time.
fn flip(bits: impl Fn(usize) -> std::ops::Range<u32> + Sync) {
    let trail = written();
    let next = AtomicUsize::new(0);
    let work = || {
        let copy = trail.copy();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(line) = trail.lines.get(at) else { return };
            let mut lines = trail.lines.clone();
            for byte in 0..line.len() {
                for bit in bits(byte) {
                    lines[at][byte] ^= 1 << bit;
                    let (found, on_line, _) = copy.problem(&lines);
                    assert_eq!((found, on_line), (seq(at), seq(at)), "byte {byte}, bit {bit}");
                    lines[at][byte] = line[byte];
                }
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn a_flipped_bit_of_every_byte_is_named() {
    // Each bit in turn, byte by byte; all eight of every byte take eight times as long.
    flip(|byte| {
        let bit = u32::try_from(byte % 8).unwrap();
        bit..bit + 1
    });
}

#[test]
#[ignore = "takes minutes; run it with `--ignored`"]
fn every_flipped_bit_is_named() {
    flip(|_| 0..8);
}

#[test]
fn every_record_that_is_removed_repeated_or_moved_is_named() {
    let trail = written();
    let copy = trail.copy();
    assert!(copy.report(&trail.lines, &Options::default()).is_consistent());
    for at in 0..RECORDS {
        let mut lines = trail.lines.clone();
        let line = lines.remove(at);
        let missing = Fault::Missing(Range { first: seq(at), last: seq(at) });
        let expected =
            if at + 1 == RECORDS { Fault::Cut(seq(at), Witness::Sidecar) } else { missing.clone() };
        assert_eq!(copy.problem(&lines), (seq(at), seq(at), expected), "removed {at}");
        for to in [0, at / 2, RECORDS - 1] {
            if to == at {
                continue;
            }
            let mut moved = lines.clone();
            moved.insert(to, line.clone());
            let first = at.min(to);
            let (found, on_line, _) = copy.problem(&moved);
            assert_eq!((found, on_line), (seq(first), seq(first)), "{at} moved to {to}");
        }
        let mut twice = trail.lines.clone();
        twice.insert(at, line.clone());
        let repeated = (seq(at) + 1, seq(at) + 1, Fault::Repeated(seq(at)));
        assert_eq!(copy.problem(&twice), repeated, "repeated {at}");
        if at + 1 < RECORDS {
            let mut swapped = trail.lines.clone();
            swapped.swap(at, at + 1);
            assert_eq!(copy.problem(&swapped), (seq(at), seq(at), missing), "swapped {at}");
        }
    }
}

#[test]
fn every_record_of_another_trail_is_named() {
    let (mine, theirs) = (written(), written());
    let copy = mine.copy();
    let other: Value = serde_json::from_slice(&theirs.lines[0]).unwrap();
    let other = other["trail_id"].as_str().unwrap().to_owned();
    for at in 0..RECORDS {
        let mut lines = mine.lines.clone();
        lines[at].clone_from(&theirs.lines[at]);
        let foreign = Fault::Foreign(other.clone());
        assert_eq!(copy.problem(&lines), (seq(at), seq(at), foreign), "replaced {at}");
        let mut lines = mine.lines.clone();
        lines.insert(at, theirs.lines[at].clone());
        assert_eq!(copy.problem(&lines).0, seq(at), "inserted {at}");
    }
}

#[test]
fn every_cut_is_known_to_a_checkpoint_that_was_kept() {
    let trail = written();
    let copy = trail.copy();
    // Whoever can cut the trail can remove what stands beside it, too.
    fs::remove_file(copy.path.with_file_name("logs-dev.head")).unwrap();
    let kept = fs::read(trail.project.path("kept.jsonl")).unwrap();
    let key = mxcp_runtime::audit::Signer::parse(&"07".repeat(32)).unwrap().public();
    let options = Options { public_key: Some(key), checkpoints: kept };
    let whole = copy.report(&trail.lines, &options);
    assert!(whole.is_consistent());
    assert_eq!(whole.authentic_through, Some(seq(RECORDS - 1)));
    let last = seq(RECORDS - 1);
    for length in 0..RECORDS {
        let report = copy.report(&trail.lines[..length], &options);
        let problem = report.problems.first().expect("a problem");
        let found = (problem.seq, &problem.fault);
        assert_eq!(found, (seq(length), &Fault::Cut(last, Witness::Checkpoint)), "{length} left");
        assert_eq!(report.authentic_through, None);
        // Without that checkpoint nothing is claimed that is not so.
        let alone = copy.report(
            &trail.lines[..length],
            &Options { public_key: Some(key), ..Options::default() },
        );
        assert_eq!((alone.is_consistent(), alone.authentic_through), (true, None));
    }
}

#[test]
fn the_command_names_what_the_library_finds() {
    let trail = written();
    let segment = trail::segments(&trail.project)[0].clone();
    trail.project.write(
        "key.pub",
        &mxcp_runtime::audit::Signer::parse(&"07".repeat(32)).unwrap().public().to_string(),
    );
    let options = ["--public-key", "key.pub", "--checkpoint", "kept.jsonl"];
    let report = trail::verify(&trail.project, &options);
    assert_eq!((&report["consistent"], &report["authentic_through"]), (&json!(true), &json!(100)));
    let mut lines = trail.lines.clone();
    let at = lines[41].windows(4).position(|bytes| bytes == b"tool").unwrap();
    lines[41][at] ^= 1;
    fs::write(&segment, lines.concat()).unwrap();
    let report = trail::verify(&trail.project, &options);
    assert_eq!((&report["consistent"], &report["problems"][0]["seq"]), (&json!(false), &json!(42)));
    assert_eq!(report["problems"][0]["line"], 42);
    let done = trail.project.run(&["log", "verify"]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("record 42") && said.contains("changed"), "{said}");
    fs::write(&segment, trail.lines[..60].concat()).unwrap();
    let report = trail::verify(&trail.project, &options);
    assert_eq!(report["problems"][0]["seq"], 61, "{report:#}");
}
