//! What is answered is on disk, whatever fails underneath.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::faulty::Faulty;
use super::*;

fn faulty(path: &Path, faults: &Faulty) -> Config {
    Config {
        storage: Arc::new(faults.clone()),
        retry_pause: Duration::from_millis(2),
        ..Config::new(path)
    }
}

#[test]
fn records_are_numbered_chained_and_on_disk_when_acknowledged() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    assert!(segments(&place.path).is_empty(), "nothing happened yet");
    for i in 1..=5 {
        assert_eq!(append(&trail, "t"), Ok(i));
        assert_eq!(records(&place.path).len(), usize::try_from(i).unwrap());
    }
    let health = trail.health();
    assert_eq!((health.written, health.failed, health.trouble), (5, 0, None));
    assert!(trail.close());
    assert_eq!(append(&trail, "late"), Err(AppendError::Closed));
    drop(trail);
    let report = consistent(&place.path);
    assert_eq!((report.records, report.segments), (5, 1));
    let again = Trail::open(&Config::new(&place.path)).unwrap();
    assert_eq!(append(&again, "t"), Ok(6));
    drop(again);
    let report = consistent(&place.path);
    assert_eq!((report.records, report.segments), (6, 2));
}

#[test]
fn many_threads_share_commits() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    let seqs: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| (0..50).map(|_| append(&trail, "t").unwrap()).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(seqs.iter().collect::<HashSet<_>>().len(), 800);
    let health = trail.health();
    assert_eq!(health.written, 800);
    assert!(health.commits < 800, "{} commits", health.commits);
    drop(trail);
    assert_eq!(consistent(&place.path).records, 800);
}

#[tokio::test]
async fn tasks_wait_and_dropped_calls_are_recorded_all_the_same() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    let id = CallId::begin();
    let first = trail.append(&record(&id, "kept"));
    drop(trail.append(&record(&id, "dropped")));
    assert_eq!(first.await.unwrap().seq(), Some(1));
    let _intent = trail.intend(&record(&id, "writes")).await.unwrap();
    assert!(trail.close());
    assert_eq!(names(&place.path), ["kept", "dropped", "intent"]);
    let intent = records(&place.path).pop().unwrap();
    assert_eq!(intent["operation_type"], "system");
    assert_eq!(intent["event"]["call_id"], id.as_str());
    assert_eq!(intent["event"]["operation_name"], "writes");
    assert_ne!(intent["record_id"], id.as_str());
}

/// What a caller is told of a record that is written on the caller's own thread, which has its name.
fn alone(trail: &Trail, name: &str) -> Option<Result<u64, AppendError>> {
    let id = CallId::begin();
    let threads = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    threads.block_on(async {
        let (lone, appended) = trail.append_alone(&record(&id, name))?;
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || lone.commit(2)).unwrap();
        let told = appended.await;
        if !matches!(told, Err(AppendError::Deadline(_))) {
            thread.join().unwrap();
        }
        Some(told.map(|receipt| receipt.seq().unwrap_or(0)))
    })
}

#[test]
fn a_record_written_alone_is_like_any_other() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    for i in [1, 3] {
        assert_eq!(alone(&trail, "alone"), Some(Ok(i)));
        assert_eq!(append(&trail, "t"), Ok(i + 1));
    }
    // The head follows although the thread that keeps it wrote nothing.
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(alone(&trail, "alone"), Some(Ok(5)));
    let head = || std::fs::read_to_string(Layout::new(&place.path).unwrap().head()).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !head().contains("\"seq\":5") {
        assert!(Instant::now() < until, "{}", head());
        std::thread::sleep(Duration::from_millis(5));
    }
    // And quickly: 50 ms, not the second after which the thread looks of its own accord. The first of
    // several may have come just before that; of the others the quickest counts, since a busy machine
    // may sleep through any of them.
    let took = (6..9).map(|seq| {
        assert_eq!(alone(&trail, "alone"), Some(Ok(seq)));
        let began = Instant::now();
        while !head().contains(&format!("\"seq\":{seq}")) {
            assert!(began.elapsed() < Duration::from_secs(20), "{}", head());
            std::thread::sleep(Duration::from_millis(5));
        }
        began.elapsed()
    });
    let took = took.skip(1).min().unwrap();
    assert!(took < Duration::from_millis(400), "the head follows after {took:?}");
    assert!(trail.close());
    assert_eq!(alone(&trail, "late"), Some(Err(AppendError::Closed)));
    assert_eq!(
        names(&place.path),
        ["alone", "t", "alone", "t", "alone", "alone", "alone", "alone"]
    );
    consistent(&place.path);
    assert!(alone(&Trail::disabled(), "t").is_none());
}

#[test]
fn a_thread_writes_its_record_itself_as_long_as_it_can_be_spared() {
    let (place, faults) = (place(), Faulty::default());
    let trail = Trail::open(&Config { processors: 2, ..faulty(&place.path, &faults) }).unwrap();
    // The trail's own thread may be at work just then.
    let writes_itself = |name: &str| {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until && !faults.has_seen(name) {
            assert!(matches!(alone(&trail, name), Some(Ok(_))));
        }
        faults.has_seen(name)
    };
    assert!(writes_itself("first"));
    let one = trail.expect();
    assert!(writes_itself("beside one"));
    let two = trail.expect();
    assert_eq!(trail.health().expected, 2);
    assert!(matches!(alone(&trail, "beside two"), Some(Ok(_))));
    assert!(!faults.has_seen("beside two"));
    drop((one, two));
    assert_eq!(trail.health().expected, 0);
    assert!(writes_itself("last"));
    drop(trail);
    let batch = Config { durability: Durability::Batch, ..faulty(&place.path, &faults) };
    let trail = Trail::open(&batch).unwrap();
    assert!(alone(&trail, "in batches").is_none(), "nobody waits for the disk");
}

#[test]
fn a_record_written_alone_is_refused_by_a_disk_that_fails_or_hangs() {
    let (place, faults) = (place(), Faulty::default());
    let config =
        Config { commit_deadline: Duration::from_millis(50), ..faulty(&place.path, &faults) };
    let trail = Trail::open(&config).unwrap();
    assert_eq!(alone(&trail, "first"), Some(Ok(1)));
    faults.hang(true);
    let late = AppendError::Deadline(config.commit_deadline);
    assert_eq!(alone(&trail, "hangs"), Some(Err(late)));
    assert!(append(&trail, "behind").is_err());
    let (waiting, late) = (trail.health().waiting, AppendError::Deadline(config.commit_deadline));
    assert_eq!(alone(&trail, "behind"), Some(Err(late)));
    assert_eq!(trail.health().waiting, waiting, "it is refused at once");
    faults.hang(false);
    let until = Instant::now() + Duration::from_secs(20);
    while append(&trail, "well again").is_err() {
        assert!(Instant::now() < until, "it does not recover");
    }
    // One failure is one caller's: the next one waits until writing is tried again.
    for name in ["after one", "after another"] {
        faults.fail(faults.operations(), 1, false);
        assert!(matches!(alone(&trail, "fails"), Some(Err(AppendError::Failed(_)))));
        assert!(matches!(alone(&trail, name), Some(Ok(_))));
    }
    assert!(trail.close());
    let report = verify(&place.path, &Options::default()).unwrap();
    assert!(report.is_consistent(), "{:?}", report.problems);
    let there = names(&place.path);
    for name in ["first", "well again", "after one", "after another"] {
        assert!(there.iter().any(|found| found == name), "{there:?}");
    }
}

#[test]
fn segments_end_at_their_size() {
    let place = place();
    let config = Config { max_file_size_bytes: 3_000, ..Config::new(&place.path) };
    let trail = Trail::open(&config).unwrap();
    for _ in 0..20 {
        append(&trail, "t").unwrap();
    }
    let long = "x".repeat(5_000);
    append(&trail, &long).unwrap();
    append(&trail, "t").unwrap();
    drop(trail);
    let report = consistent(&place.path);
    assert_eq!(report.records, 22);
    let found = segments(&place.path);
    assert!(found.len() > 5);
    let sizes = found.iter().map(|s| std::fs::metadata(&s.path).unwrap().len());
    assert_eq!(sizes.filter(|size| *size > 3_000).count(), 1, "the long record stands alone");
}

#[test]
fn a_second_writer_is_refused_and_told_by_whom() {
    let place = place();
    let first = Trail::open(&Config::new(&place.path)).unwrap();
    assert!(is_being_written(&place.path).unwrap());
    let error = Trail::open(&Config::new(&place.path)).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let waiting = Config { lock_wait: Duration::from_secs(20), ..Config::new(&place.path) };
    let second = std::thread::spawn(move || Trail::open(&waiting).map(|trail| append(&trail, "t")));
    append(&first, "t").unwrap();
    drop(first);
    assert_eq!(second.join().unwrap().unwrap(), Ok(2));
    assert!(!is_being_written(&place.path).unwrap());
}

/// Lets every single operation of a run fail, alone and with those after it, whole and torn:
/// whatever was acknowledged is there, nothing else is claimed, and the trail verifies.
#[test]
fn every_operation_may_fail() {
    let total = {
        let (place, faults) = (place(), Faulty::default());
        let trail = Trail::open(&faulty(&place.path, &faults)).unwrap();
        (0..12).for_each(|_| assert!(append(&trail, "t").is_ok()));
        drop(trail);
        faults.operations()
    };
    assert!(total > 24);
    for (count, torn) in [(1, false), (1, true), (4, true), (7, false)] {
        for from in 0..total {
            let (place, faults) = (place(), Faulty::default());
            faults.fail(from, count, torn);
            let Ok(trail) = Trail::open(&faulty(&place.path, &faults)) else { continue };
            let mut acknowledged = Vec::new();
            for i in 0..12 {
                let name = format!("call_{i}");
                if append(&trail, &name).is_ok() {
                    acknowledged.push(name);
                } else {
                    std::thread::sleep(Duration::from_millis(3));
                }
            }
            drop(trail);
            let case = format!("{count} operations from {from} on, torn: {torn}");
            let there = names(&place.path);
            assert!(acknowledged.iter().all(|name| there.contains(name)), "{case}: {there:?}");
            assert!(!acknowledged.is_empty(), "{case}");
            // A failure that lasts to the end is reported by the next start.
            drop(Trail::open(&Config::new(&place.path)).unwrap());
            let report = verify(&place.path, &Options::default()).unwrap();
            assert!(report.is_consistent(), "{case}: {:?}", report.problems);
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let (place, faults) = (place(), Faulty::default());
    let trail = Trail::open(&faulty(&place.path, &faults)).unwrap();
    append(&trail, "before").unwrap();
    faults.fail_now(true);
    for _ in 0..5 {
        assert!(matches!(append(&trail, "refused"), Err(AppendError::Failed(_))));
        std::thread::sleep(Duration::from_millis(3));
    }
    assert!(trail.health().trouble.is_some_and(|trouble| trouble.contains("storage")));
    assert_eq!(trail.health().failed, 5);
    faults.fail_now(false);
    std::thread::sleep(Duration::from_millis(5));
    append(&trail, "after").unwrap();
    assert_eq!(trail.health().trouble, None);
    drop(trail);
    let report = consistent(&place.path);
    assert_eq!(names(&place.path), ["before", "gap", "after"]);
    assert_eq!(report.gaps.len(), 1);
}

/// Nobody knows what a sync that failed left on disk, of the sidecar as little as of a segment.
#[test]
fn a_sidecar_that_could_not_be_synced_is_written_again() {
    let (place, faults) = (place(), Faulty::default());
    let trail = Trail::open(&faulty(&place.path, &faults)).unwrap();
    append(&trail, "t").unwrap();
    let head = || std::fs::read(Layout::new(&place.path).unwrap().head()).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while memchr::memmem::find(&head(), b"\"seq\":1,").is_none() {
        assert!(Instant::now() < until, "the head does not follow");
        std::thread::sleep(Duration::from_millis(1));
    }
    // The next operation, within a second, is its sync.
    let (before, next) = (head(), faults.operations());
    faults.fail(next, 1, false);
    while head() == before {
        assert!(Instant::now() < until, "{} operations later", faults.operations() - next);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(faults.operations() > next + 1);
    drop(trail);
    consistent(&place.path);
}

/// What somebody was refused while nothing could be written is said when it can.
#[test]
fn refusals_outlive_a_disk_that_fails() {
    let (place, faults) = (place(), Faulty::default());
    let trail = Trail::open(&faulty(&place.path, &faults)).unwrap();
    let address = Some([192, 0, 2, 1].into());
    let refuse = |reason| trail.refuse(&Refusal { caller: CallerType::Http, address, reason });
    append(&trail, "before").unwrap();
    let _receipt = refuse("before");
    faults.fail_now(true);
    append(&trail, "refused").unwrap_err();
    // Longer than sums are kept apart.
    let until = Instant::now() + Duration::from_millis(1_500);
    let mut during = 0;
    while Instant::now() < until {
        let _receipt = refuse("during");
        during += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    faults.fail_now(false);
    while trail.health().trouble.is_some() {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(trail);
    let count = |reason: &str| -> u64 {
        let of = records(&place.path).into_iter().filter(|record| record["error"] == reason);
        of.filter_map(|record| record["event"]["count"].as_u64()).sum()
    };
    assert_eq!((count("before"), count("during")), (1, during));
    consistent(&place.path);
}

/// Whoever watches the health of a trail sees it recover although nobody calls.
#[test]
fn a_trail_recovers_by_itself() {
    for first in [true, false] {
        let (place, faults) = (place(), Faulty::default());
        let trail = Trail::open(&faulty(&place.path, &faults)).unwrap();
        if first {
            append(&trail, "before").unwrap();
        }
        faults.fail_now(true);
        append(&trail, "refused").unwrap_err();
        while trail.health().trouble.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let tried = faults.operations();
        while faults.operations() < tried + 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(trail.health().trouble.is_some(), "only a record on disk counts");
        faults.fail_now(false);
        while trail.health().trouble.is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        append(&trail, "after").unwrap();
        drop(trail);
        consistent(&place.path);
        let expected: &[&str] =
            if first { &["before", "gap", "after"] } else { &["resumed", "after"] };
        assert_eq!(names(&place.path), expected);
    }
}

#[test]
fn a_disk_that_hangs_refuses_in_time() {
    let (place, faults) = (place(), Faulty::default());
    let config =
        Config { commit_deadline: Duration::from_millis(50), ..faulty(&place.path, &faults) };
    let trail = Trail::open(&config).unwrap();
    append(&trail, "before").unwrap();
    faults.hang(true);
    let began = Instant::now();
    assert!(matches!(append(&trail, "hangs"), Err(AppendError::Deadline(_))));
    assert!(began.elapsed() < Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    assert!(matches!(append(&trail, "refused"), Err(AppendError::Deadline(_))));
    assert!(began.elapsed() < Duration::from_millis(50), "refused without waiting");
    assert_eq!(trail.health().trouble.as_deref(), Some("the disk does not answer"));
    assert_eq!((trail.health().refused, trail.health().failed), (2, 0));
    faults.hang(false);
    while trail.health().trouble.is_some() {
        std::thread::sleep(Duration::from_millis(1));
    }
    append(&trail, "after").unwrap();
    drop(trail);
    consistent(&place.path);
    assert_eq!(names(&place.path), ["before", "hangs", "after"]);
}

#[test]
fn batches_are_acknowledged_at_once_and_survive_failures() {
    let (place, faults) = (place(), Faulty::default());
    let config = Config { durability: Durability::Batch, ..faulty(&place.path, &faults) };
    let trail = Trail::open(&config).unwrap();
    assert_eq!(append(&trail, "first"), Ok(0));
    faults.fail_now(true);
    for i in 0..100 {
        assert_eq!(append(&trail, &format!("call_{i}")), Ok(0));
    }
    while trail.health().trouble.is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    faults.fail_now(false);
    assert!(trail.close());
    let there = names(&place.path);
    assert!((0..100).all(|i| there.contains(&format!("call_{i}"))), "{there:?}");
    consistent(&place.path);
}

#[test]
fn a_full_queue_slows_down_and_then_refuses() {
    let (place, faults) = (place(), Faulty::default());
    let config = Config {
        durability: Durability::Batch,
        commit_deadline: Duration::from_millis(20),
        ..faulty(&place.path, &faults)
    };
    let trail = Trail::open(&config).unwrap();
    faults.hang(true);
    let refused = (0..QUEUE_RECORDS_MAX * 3).find_map(|_| append(&trail, "t").err());
    assert!(matches!(refused, Some(AppendError::Deadline(_))), "{refused:?}");
    assert!(trail.health().waiting <= QUEUE_RECORDS_MAX * 2);
    faults.hang(false);
    assert!(trail.close());
    consistent(&place.path);
}

#[test]
fn refusals_are_recorded_when_the_trail_closes() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    let address = Some("192.0.2.7".parse().unwrap());
    let refusal = Refusal { caller: CallerType::Http, address, reason: "invalid_token" };
    for _ in 0..100 {
        let _receipt = trail.refuse(&refusal);
    }
    drop(trail);
    let all = records(&place.path);
    assert_eq!(all.iter().map(|r| r["event"]["count"].as_u64().unwrap()).sum::<u64>(), 100);
    consistent(&place.path);
}

#[test]
fn without_audit_nothing_is_kept() {
    let trail = Trail::disabled();
    assert_eq!(append(&trail, "t"), Ok(0));
    assert!(!trail.health().enabled && !trail.is_strict() && trail.close());
}
