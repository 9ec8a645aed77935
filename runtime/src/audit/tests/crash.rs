//! Crashes: whatever was acknowledged is there afterwards, and nothing torn is read as data.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::audit::chain::{self, Chain};
use crate::audit::head::{Loaded, Sidecar, load};
use crate::audit::storage::Disk;
use crate::audit::verify::{Fault, Range};

const FOLDER: &str = "MXCP_TEST_CRASH_FOLDER";

/// Not a test by itself: the process that [`killed_at_any_moment`] kills.
#[test]
#[ignore = "run by another test in a process of its own"]
fn child() {
    let Ok(path) = std::env::var(FOLDER) else { return };
    let config = Config { max_file_size_bytes: 20_000, ..Config::new(path) };
    let trail = Trail::open(&config).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let id = CallId::begin();
                    let _receipt = trail.append_blocking(&record(&id, "t")).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {id}").unwrap();
                    out.flush().unwrap();
                }
            });
        }
    });
}

#[test]
fn killed_at_any_moment() {
    const ROUNDS: u64 = 12;
    let place = place();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["audit::tests::crash::child", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, &place.path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let ids = out.lines().map_while(Result::ok).filter_map(|line| {
                line.strip_prefix("acknowledged ").filter(|id| id.len() == 36).map(str::to_owned)
            });
            ids.collect::<Vec<String>>()
        });
        std::thread::sleep(Duration::from_millis(60 + 37 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(reader.join().unwrap());
        let report = verify(&place.path, &Options::default()).unwrap();
        let torn_end = report.problems.iter().all(|p| p.fault == Fault::Unterminated);
        assert!(torn_end, "round {round}: {:?}", report.problems);
    }
    drop(Trail::open(&Config::new(&place.path)).unwrap());
    consistent(&place.path);
    assert!(acknowledged.len() > 100, "{} records in all rounds", acknowledged.len());
    let there: std::collections::HashSet<String> =
        records(&place.path).iter().map(|r| r["record_id"].as_str().unwrap().to_owned()).collect();
    for id in &acknowledged {
        assert!(there.contains(id), "{id} was acknowledged and is lost");
    }
}

/// Where each line of a segment ends, and the chain there.
fn ends(segment: &Segment) -> Vec<(u64, Chain)> {
    let bytes = std::fs::read(&segment.path).unwrap();
    let (mut end, mut chain) = (0, None);
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            end += line.len() as u64;
            let record = chain::open(line.trim_ascii_end()).unwrap();
            let chain = chain.get_or_insert_with(|| Chain::new(record.trail_id.to_owned()));
            chain.advance(&record);
            (end, chain.clone())
        })
        .collect()
}

/// Sets the sidecar as if it had been written when the trail ended at that place.
fn set_head(path: &Path, segment: &Segment, end: &(u64, Chain)) {
    let head = Layout::new(path).unwrap().head();
    std::fs::remove_file(&head).unwrap();
    let mut sidecar = Sidecar::open(&Disk, &head, &Loaded::Missing).unwrap();
    sidecar.write(&end.1, Some(&segment.name), end.0).unwrap();
}

fn cut(segment: &Segment, length: u64) {
    OpenOptions::new().write(true).open(&segment.path).unwrap().set_len(length).unwrap();
}

const RECORDS: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The sidecar knows record `known`, records up to `kept` were acknowledged, and what reached
    /// the disk after that is any part of the rest, with or without garbage behind it.
    #[test]
    fn any_torn_end_is_put_aside(
        known in 0..RECORDS,
        more in 0..RECORDS,
        part in 0.0..1.0_f64,
        garbage in prop_oneof![
            Just(Vec::new()),
            Just(vec![0_u8; 512]),
            prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'}'), any::<u8>()], 0..40),
        ],
    ) {
        let place = place();
        let segment = written(&place.path, RECORDS);
        let ends = ends(&segment);
        let kept = (known + more).min(RECORDS - 1);
        let (from, to) = (ends[kept].0, ends[RECORDS - 1].0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "any place in the range will do")]
        let length = from + ((to - from) as f64 * part) as u64;
        cut(&segment, length);
        OpenOptions::new().append(true).open(&segment.path).unwrap().write_all(&garbage).unwrap();
        set_head(&place.path, &segment, &ends[known]);
        // Garbage that begins with the very end that was cut off makes that line whole again.
        let mended = garbage.first() == Some(&b'\n') && ends.iter().any(|(end, _)| *end == length + 1);
        let (length, garbage) =
            if mended { (length + 1, &garbage[1..]) } else { (length, &garbage[..]) };

        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        append(&trail, "next").unwrap();
        drop(trail);
        let report = consistent(&place.path);
        let whole = ends.iter().filter(|(end, _)| *end <= length).count();
        prop_assert!(whole > kept);
        let mut expected: Vec<String> = (0..whole).map(|i| format!("tool_{i}")).collect();
        let torn = length > ends[whole - 1].0 || !garbage.is_empty();
        if torn {
            expected.push("torn".to_owned());
        }
        expected.push("next".to_owned());
        prop_assert_eq!(names(&place.path), expected);
        prop_assert_eq!(report.records, records(&place.path).len() as u64);
        let aside = Layout::new(&place.path).unwrap().torn(&segment.name, ends[whole - 1].0);
        prop_assert_eq!(aside.exists(), torn);
    }

    /// A trail that is shorter than its sidecar knows says so.
    #[test]
    fn a_lost_end_is_reported(known in 1..RECORDS, part in 0.0..1.0_f64) {
        let place = place();
        let segment = written(&place.path, RECORDS);
        let ends = ends(&segment);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
            reason = "any place in the range will do")]
        let length = (ends[known].0 as f64 * part) as u64;
        cut(&segment, length);
        set_head(&place.path, &segment, &ends[known]);
        let whole = ends.iter().filter(|(end, _)| *end <= length).count() as u64;
        let torn = ends.iter().all(|(end, _)| *end != length) && length > 0;
        let report = verify(&place.path, &Options::default()).unwrap();
        prop_assert_eq!(report.problems.len(), 1);
        prop_assert_eq!(report.problems[0].seq, whole + 1);

        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        append(&trail, "next").unwrap();
        drop(trail);
        let report = verify(&place.path, &Options::default()).unwrap();
        let lost = Range { first: whole + 1, last: known as u64 + 1 };
        prop_assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        match &report.problems[0].fault {
            Fault::Lost(range, reason) => {
                prop_assert_eq!((*range, reason.as_str()), (lost, "tail_lost"));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let there = names(&place.path);
        prop_assert_eq!(there.contains(&"torn".to_owned()), torn);
    }
}

#[test]
fn what_was_changed_behind_the_sidecar_is_a_gap() {
    let place = place();
    let segment = written(&place.path, 4);
    let ends = ends(&segment);
    set_head(&place.path, &segment, &ends[1]);
    let mut bytes = std::fs::read(&segment.path).unwrap();
    let at = usize::try_from(ends[1].0).unwrap() + 30;
    bytes[at] ^= 1;
    std::fs::write(&segment.path, bytes).unwrap();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    assert_eq!(append(&trail, "next"), Ok(6), "no number is used again");
    drop(trail);
    let all = records(&place.path);
    let gap = all.iter().find(|r| r["operation_name"] == "gap").unwrap();
    assert_eq!(
        (&gap["event"]["reason"], &gap["event"]["first_seq"]),
        (&"broken".into(), &3.into())
    );
    assert_eq!(verify(&place.path, &Options::default()).unwrap().problems[0].seq, 3);
}

#[test]
fn a_missing_or_damaged_sidecar_is_a_gap_in_which_nothing_need_be_missing() {
    for damage in [true, false] {
        let place = place();
        written(&place.path, 3);
        let head = Layout::new(&place.path).unwrap().head();
        if damage {
            std::fs::write(&head, "{}").unwrap();
        } else {
            std::fs::remove_file(&head).unwrap();
        }
        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        append(&trail, "next").unwrap();
        drop(trail);
        assert_eq!(names(&place.path)[3..], ["gap", "next"]);
        let reason = if damage { "head_damaged" } else { "head_missing" };
        assert_eq!(records(&place.path)[3]["event"]["reason"], reason);
        assert_eq!(consistent(&place.path).records, 5);
    }
}

/// A process may die after it has created a segment, whatever the sidecar knows.
#[test]
fn an_empty_last_segment_does_not_hide_what_came_before() {
    let heads: [fn(&Path, &Segment); 3] = [
        |path, _| std::fs::remove_file(Layout::new(path).unwrap().head()).unwrap(),
        |path, segment| set_head(path, segment, &ends(segment)[0]),
        |path, segment| {
            let trail_id = ends(segment).remove(0).1.trail_id;
            let head = Layout::new(path).unwrap().head();
            std::fs::remove_file(&head).unwrap();
            let mut sidecar = Sidecar::open(&Disk, &head, &Loaded::Missing).unwrap();
            sidecar.write(&Chain::new(trail_id), None, 0).unwrap();
        },
    ];
    for (i, set) in heads.iter().enumerate() {
        let place = place();
        let segment = written(&place.path, 4);
        let empty = Layout::new(&place.path).unwrap().segment(Timestamp::now(), 5);
        std::fs::write(&empty.path, "").unwrap();
        set(&place.path, &segment);
        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        let seq = append(&trail, "next").unwrap();
        drop(trail);
        assert_eq!(seq, if i == 0 { 6 } else { 5 });
        assert_eq!(consistent(&place.path).records, seq);
    }
}

#[test]
fn a_missing_segment_is_a_gap() {
    let place = place();
    written(&place.path, 3);
    let last = written(&place.path, 2);
    std::fs::remove_file(last.path).unwrap();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    assert_eq!(append(&trail, "next"), Ok(7));
    drop(trail);
    let report = verify(&place.path, &Options::default()).unwrap();
    let lost = Range { first: 4, last: 5 };
    assert_eq!(report.problems[0].fault, Fault::Lost(lost, "segment_missing".to_owned()));
    assert!(matches!(load(&Layout::new(&place.path).unwrap().head()).unwrap(), Loaded::Found(_)));
}
