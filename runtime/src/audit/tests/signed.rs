//! What a key vouches for, and what retention leaves.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::chain::{self, Chain};
use crate::audit::verify::{Fault, Range, Witness};

pub(super) fn signer(seed: &str) -> Signer {
    Signer::parse(&seed.repeat(32)).unwrap()
}

pub(super) fn signed(path: &Path, key: &Signer) -> Config {
    let signing = Signing { key: key.clone(), previous: None, sink: None };
    Config { signing: Some(signing), ..Config::new(path) }
}

/// Writes records into a trail and closes it.
pub(super) fn write(config: &Config, count: usize) {
    let trail = Trail::open(config).unwrap();
    trail.set_bundle("blake3:aa");
    for i in 0..count {
        append(&trail, &format!("tool_{i}")).unwrap();
    }
    assert!(trail.close());
}

fn with_key(key: &Signer) -> Options {
    Options { public_key: Some(key.public()), ..Options::default() }
}

pub(super) fn lines(path: &Path) -> Vec<Vec<u8>> {
    let files = segments(path).into_iter().flat_map(|segment| std::fs::read(segment.path).unwrap());
    let bytes: Vec<u8> = files.collect();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn checkpoints_make_a_trail_authentic() {
    let (place, key) = (place(), signer("07"));
    write(&signed(&place.path, &key), 5);
    write(&signed(&place.path, &key), 2);
    assert_eq!(names(&place.path).iter().filter(|name| *name == "checkpoint").count(), 2);
    let last = records(&place.path).pop().unwrap();
    assert_eq!(last["event"]["bundle"], "blake3:aa");
    assert_eq!((&last["event"]["seq"], &last["event"]["tree_size"]), (&8.into(), &8.into()));
    let report = verify(&place.path, &with_key(&key)).unwrap();
    assert_eq!((report.authentic_through, report.problems.len()), (Some(9), 0));
    assert!(report.verdict().starts_with("authentic up to record 9"), "{}", report.verdict());
    assert_eq!(consistent(&place.path).verdict(), "consistent, not authenticated");
    let other = verify(&place.path, &with_key(&signer("08"))).unwrap();
    assert_eq!((other.authentic_through, other.is_consistent()), (None, true));
    assert!(other.verdict().contains("no checkpoint of the given key"), "{}", other.verdict());

    write(&Config::new(&place.path), 3);
    let report = verify(&place.path, &with_key(&key)).unwrap();
    assert_eq!(report.authentic_through, Some(9));
    assert!(report.verdict().contains("3 later records"), "{}", report.verdict());
}

#[test]
fn checkpoints_come_while_records_come() {
    let (place, key) = (place(), signer("07"));
    let trail = Trail::open(&Config { durability: Durability::Batch, ..signed(&place.path, &key) });
    let trail = trail.unwrap();
    for _ in 0..3 * CHECKPOINT_RECORDS {
        append(&trail, "t").unwrap();
    }
    assert!(trail.close());
    assert!(names(&place.path).iter().filter(|name| *name == "checkpoint").count() >= 2);
    let report = verify(&place.path, &with_key(&key)).unwrap();
    assert_eq!((report.authentic_through, report.problems.len()), (Some(report.records), 0));
}

/// Whoever has no key can rewrite the whole trail so that it is consistent, and no more than that.
/// Waits until something is so; whether it became so.
fn becomes(so: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        so()
    })
}

#[test]
fn a_checkpoint_comes_by_itself_after_a_while_and_not_without_records() {
    let (place, key) = (place(), signer("07"));
    let config = signed(&place.path, &key);
    assert_eq!(config.checkpoint_every, Duration::from_mins(1));
    let trail =
        Trail::open(&Config { checkpoint_every: Duration::from_millis(20), ..config }).unwrap();
    let checkpoints = || {
        let records = records(&place.path);
        records.iter().filter(|record| record["operation_name"] == "checkpoint").count()
    };
    append(&trail, "a").unwrap();
    assert!(becomes(|| checkpoints() == 1));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(checkpoints(), 1);
    append(&trail, "b").unwrap();
    assert!(becomes(|| checkpoints() == 2));
    trail.close();
    assert_eq!(checkpoints(), 2);
}

#[test]
fn a_rewritten_trail_is_not_authentic() {
    for keeps_signature in [true, false] {
        let (place, key) = (place(), signer("07"));
        write(&signed(&place.path, &key), 5);
        let mut forged = Vec::new();
        let mut chain: Option<Chain> = None;
        for line in lines(&place.path) {
            let record = chain::open(line.trim_ascii_end()).unwrap();
            if record.signature.is_some() && !keeps_signature {
                continue;
            }
            let chain = chain.get_or_insert_with(|| Chain::new(record.trail_id.to_owned()));
            let body = String::from_utf8(record.body.to_vec()).unwrap().replace("tool_3", "tool_x");
            let start = forged.len();
            forged.extend_from_slice(body.as_bytes());
            let signer = record.signature.map(|_| signer("09"));
            chain.seal(&mut forged, start, signer.as_ref());
        }
        std::fs::write(&segments(&place.path)[0].path, forged).unwrap();
        std::fs::remove_file(Layout::new(&place.path).unwrap().head()).unwrap();
        consistent(&place.path);
        let report = verify(&place.path, &with_key(&key)).unwrap();
        assert_eq!(report.authentic_through, None);
        if keeps_signature {
            assert!(matches!(report.problems[0].fault, Fault::Unsigned(_)));
            assert_eq!(report.problems[0].seq, 6);
        }
    }
}

#[test]
fn a_cut_tail_is_found_by_a_checkpoint_kept_elsewhere() {
    let (place, key) = (place(), signer("07"));
    let kept = place.path.with_file_name("checkpoints");
    let mut config = signed(&place.path, &key);
    let signing = config.signing.as_mut().unwrap();
    signing.sink = Some(Arc::new(FileSink(kept.clone())));
    write(&config, 5);
    let options = Options { checkpoints: std::fs::read(&kept).unwrap(), ..with_key(&key) };
    assert!(verify(&place.path, &options).unwrap().is_consistent());

    let all = lines(&place.path);
    let segment = &segments(&place.path)[0].path;
    std::fs::write(segment, all[..3].concat()).unwrap();
    std::fs::remove_file(Layout::new(&place.path).unwrap().head()).unwrap();
    assert!(verify(&place.path, &with_key(&key)).unwrap().is_consistent(), "nothing left to tell");
    let problem = verify(&place.path, &options).unwrap().problems.remove(0);
    assert_eq!((problem.seq, problem.fault), (4, Fault::Cut(6, Witness::Checkpoint)));

    // Other records in place of those that were cut.
    write(&Config::new(&place.path), 9);
    let problem = verify(&place.path, &options).unwrap().problems.remove(0);
    assert_eq!((problem.seq, problem.fault), (6, Fault::Contradicted(Witness::Checkpoint)));

    let torn = Options { checkpoints: b"{}\n".to_vec(), ..Options::default() };
    let error = verify(&place.path, &torn).unwrap_err();
    assert!(error.to_string().starts_with("line 1 of the checkpoints"), "{error}");
}

#[test]
fn a_key_hands_over_to_the_next() {
    let (place, old, new) = (place(), signer("07"), signer("08"));
    write(&signed(&place.path, &old), 2);
    let mut config = signed(&place.path, &new);
    config.signing.as_mut().unwrap().previous = Some(old.clone());
    write(&config, 2);
    assert!(names(&place.path).contains(&"key_rotation".to_owned()));
    let total = records(&place.path).len() as u64;
    for key in [&old, &new] {
        let report = verify(&place.path, &with_key(key)).unwrap();
        assert_eq!(report.problems, []);
        assert_eq!(
            (report.authentic_through, report.public_key),
            (Some(total), Some(new.public()))
        );
    }
    let stranger = signer("09");
    write(&signed(&place.path, &stranger), 1);
    for key in [&old, &new] {
        let problem = verify(&place.path, &with_key(key)).unwrap().problems.remove(0);
        assert_eq!(problem.seq, total + 1);
        assert!(problem.to_string().contains("did not hand over"), "{problem}");
    }
    assert_eq!(verify(&place.path, &with_key(&stranger)).unwrap().problems, []);
}

/// Somebody without the key writes in between, and then the sidecar is lost: the next key still knows
/// from whom it takes over.
#[test]
fn a_key_is_not_forgotten_by_who_has_none() {
    for loses_head in [None, Some(1), Some(2)] {
        let (place, old, new) = (place(), signer("07"), signer("08"));
        write(&signed(&place.path, &old), 2);
        let lose = |when| {
            if loses_head == Some(when) {
                std::fs::remove_file(Layout::new(&place.path).unwrap().head()).unwrap();
            }
        };
        lose(1);
        let expired = Config { retention_days: Some(0), ..Config::new(&place.path) };
        write(&expired, 2);
        assert!(!names(&place.path).contains(&"tombstone".to_owned()));
        lose(2);
        let mut config = signed(&place.path, &new);
        config.signing.as_mut().unwrap().previous = Some(old.clone());
        write(&config, 2);
        let report = verify(&place.path, &with_key(&old)).unwrap();
        assert!(
            !report.problems.iter().any(|problem| matches!(problem.fault, Fault::Unsigned(_))),
            "{:?}",
            report.problems
        );
        assert_eq!(report.public_key, Some(new.public()), "lost: {loses_head:?}");
    }
}

#[test]
fn checkpoints_kept_across_a_change_of_keys_are_all_believed() {
    let (place, old, new) = (place(), signer("07"), signer("08"));
    let kept = place.path.with_file_name("checkpoints");
    let sink: Arc<dyn CheckpointSink> = Arc::new(FileSink(kept.clone()));
    let mut first = signed(&place.path, &old);
    first.signing.as_mut().unwrap().sink = Some(Arc::clone(&sink));
    write(&first, 2);
    let mut second = signed(&place.path, &new);
    let signing = second.signing.as_mut().unwrap();
    (signing.previous, signing.sink) = (Some(old.clone()), Some(sink));
    write(&second, 2);
    let checkpoints = std::fs::read(&kept).unwrap();
    assert!(checkpoints.split(|byte| *byte == b'\n').count() > 2);
    for key in [&old, &new] {
        let options = Options { checkpoints: checkpoints.clone(), ..with_key(key) };
        assert_eq!(verify(&place.path, &options).unwrap().problems, []);
    }
}

#[test]
fn who_has_no_key_deletes_nothing_from_a_signed_trail() {
    let (place, key) = (place(), signer("07"));
    for _ in 0..3 {
        write(&signed(&place.path, &key), 2);
    }
    for (segment, days) in segments(&place.path).iter().zip([200, 150]) {
        age(&place.path, segment, days);
    }
    let layout = Layout::new(&place.path).unwrap();
    assert_eq!(retention::expired(&layout, 90, Timestamp::now()).unwrap().segments.len(), 1);
    write(&Config { retention_days: Some(90), ..Config::new(&place.path) }, 1);
    assert_eq!(retention::expired(&layout, 90, Timestamp::now()).unwrap().segments.len(), 1);
    assert_eq!(verify(&place.path, &with_key(&key)).unwrap().problems, []);
    write(&Config { retention_days: Some(90), ..signed(&place.path, &key) }, 1);
    assert!(names(&place.path).contains(&"tombstone".to_owned()));
    assert_eq!(verify(&place.path, &with_key(&key)).unwrap().problems, []);
}

/// Lets a segment look as if it had been begun that many days ago.
pub(super) fn age(path: &Path, segment: &Segment, days: i64) -> Segment {
    let started = Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
    let aged = Layout::new(path).unwrap().segment(started, segment.first_seq);
    std::fs::rename(&segment.path, &aged.path).unwrap();
    aged
}

#[test]
fn what_expires_while_a_server_runs_is_deleted_then() {
    let (place, key) = (place(), signer("07"));
    for _ in 0..2 {
        write(&signed(&place.path, &key), 2);
    }
    let config = Config { retention_days: Some(90), ..signed(&place.path, &key) };
    assert_eq!(config.retention_every, Duration::from_hours(1));
    let trail =
        Trail::open(&Config { retention_every: Duration::from_millis(20), ..config }).unwrap();
    append(&trail, "a").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let before = segments(&place.path);
    assert_eq!(before.len(), 3);
    for (segment, days) in before.iter().zip([200, 95]) {
        age(&place.path, segment, days);
    }
    assert!(becomes(|| segments(&place.path).len() == 2));
    trail.close();
    assert_eq!(verify(&place.path, &with_key(&key)).unwrap().problems, []);
}

#[test]
fn a_batch_is_written_by_itself() {
    let place = place();
    let config = Config { durability: Durability::Batch, ..Config::new(&place.path) };
    let trail = Trail::open(&config).unwrap();
    append(&trail, "a").unwrap();
    assert!(becomes(|| names(&place.path).iter().any(|name| name == "a")));
    trail.close();
}

#[test]
fn what_retention_leaves_stays_verifiable() {
    let (place, key) = (place(), signer("07"));
    for _ in 0..4 {
        write(&signed(&place.path, &key), 2);
    }
    for (segment, days) in segments(&place.path).iter().zip([200, 150, 120, 80]) {
        age(&place.path, segment, days);
    }
    let layout = Layout::new(&place.path).unwrap();
    // The sidecar names the segment by its former name.
    std::fs::remove_file(layout.head()).unwrap();
    std::fs::write(&place.path, "{}\n").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_hours(24 * 100);
    std::fs::File::options().write(true).open(&place.path).unwrap().set_modified(old).unwrap();

    let expired = retention::expired(&layout, 90, Timestamp::now()).unwrap();
    assert_eq!((expired.segments.len(), expired.kept_from_seq), (2, 7));
    assert_eq!(expired.legacy.as_deref(), Some(place.path.as_path()));
    let config = Config { retention_days: Some(90), ..signed(&place.path, &key) };
    write(&config, 2);
    assert_eq!(segments(&place.path)[0].first_seq, 7);
    assert!(!place.path.exists());
    let report = verify(&place.path, &with_key(&key)).unwrap();
    assert_eq!(report.problems, []);
    let last = report.head.unwrap().0;
    assert_eq!(report.authentic_through, Some(last));

    // Once more, from where the first tombstone left off.
    age(&place.path, &segments(&place.path)[1], 95);
    std::fs::remove_file(layout.head()).unwrap();
    write(&config, 1);
    assert_eq!(segments(&place.path)[0].first_seq, 10);
    let report = verify(&place.path, &with_key(&key)).unwrap();
    assert_eq!(report.problems, []);
    let tomb = records(&place.path);
    let tomb = tomb.iter().rfind(|r| r["operation_name"] == "tombstone").unwrap();
    assert_eq!(
        (&tomb["event"]["through_seq"], &tomb["event"]["tree"]["size"]),
        (&9.into(), &9.into())
    );

    // The copy of the tombstone is a help, not a proof.
    std::fs::remove_file(layout.tombstone()).unwrap();
    assert_eq!(verify(&place.path, &with_key(&key)).unwrap().problems, []);
    std::fs::remove_file(&segments(&place.path)[0].path).unwrap();
    let first = segments(&place.path)[0].first_seq;
    let problem = verify(&place.path, &with_key(&key)).unwrap().problems.remove(0);
    assert_eq!(problem.fault, Fault::Missing(Range { first: 1, last: first - 1 }));
}
