//! The shipped server under load, killed without warning at random moments: every call that was
//! answered has its record, every write that reached the database has its intent, and the chain
//! verifies across all restarts.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use mxcp_tests::trail::{self, Line, call_id, is_result, tool};
use serde_json::{Value, json};

/// Clients at the same time.
const CLIENTS: usize = 6;
/// The server lives so long under load, at most, in milliseconds.
const LIFE_MAX_MS: u64 = 300;

/// An answered call.
struct Answered {
    id: String,
    tag: Option<String>,
}

#[test]
fn a_killed_server_has_recorded_what_it_answered() {
    rounds(25);
}

#[test]
#[ignore = "takes some minutes; run it with `--ignored`"]
fn a_server_that_is_killed_for_minutes_has_recorded_what_it_answered() {
    rounds(220);
}

fn rounds(count: u64) {
    // Segments end often, so that kills also hit their beginnings.
    let project = trail::project("max_file_size: 60000", "");
    trail::user_file(&project, &format!("signing_key: '{}'", "07".repeat(32)));
    let bundle = project.build();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = now.as_secs() ^ u64::from(now.subsec_nanos()) << 20;
    eprintln!("seed {seed}");
    let (mut random, mut answered) = (seed | 1, Vec::new());
    for round in 0..count {
        let server = start(&project, &bundle, round % 2 == 1);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        answered.extend(load_and_kill(
            server,
            round,
            Duration::from_micros(random % (LIFE_MAX_MS * 1_000)),
        ));
        if round % 20 == 19 {
            let server = trail::serve(&project, &bundle, &[]);
            server.stop();
            trail::consistent(&project);
        }
    }
    let (status, log) = trail::serve(&project, &bundle, &[]).stop();
    assert!(status.success(), "{status}: {log}");
    judge(&project, &answered);
    eprintln!("{count} kills, {} answered calls", answered.len());
}

/// Starts the server, on a disk on which every second half of a write takes its time if that is
/// wanted: then kills tear lines.
fn start(project: &Project, bundle: &Path, slow: bool) -> Server {
    let port = free_port();
    let mut command = trail::serving(project, bundle, &[], port);
    if slow {
        trail::on_obedient_disk(&mut command, project);
    }
    let server = Server::spawn(command, port);
    if slow {
        trail::order(project, "slow");
    }
    server
}

/// Lets clients call until the server is killed. Returns what was answered.
fn load_and_kill(server: Server, round: u64, life: Duration) -> Vec<Answered> {
    let (answered, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let address = server.address();
    let client = &|client: usize| {
        let Ok(mut line) = Line::open(address) else { return };
        for i in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let tag = (i % 3 == 2).then(|| format!("{round}-{client}-{i}"));
            let message = match &tag {
                Some(tag) => tool(i, "keep", &json!({"tag": tag})),
                None => tool(i, "point", &json!({"id": i % 1_000})),
            };
            let Ok((status, answer)) = line.ask(&message) else { return };
            assert_eq!(status, 200, "{answer}");
            let id = call_id(&answer).expect("an answer names its call").to_owned();
            assert!(is_result(&answer), "{answer}");
            answered.lock().unwrap().push(Answered { id, tag });
        }
    };
    thread::scope(|scope| {
        for i in 0..CLIENTS {
            scope.spawn(move || client(i));
        }
        thread::sleep(life);
        server.kill();
        stop.store(true, Ordering::Relaxed);
    });
    answered.into_inner().unwrap()
}

fn judge(project: &Project, answered: &[Answered]) {
    assert_eq!(trail::consistent(project)["gaps"], json!([]));
    let records = trail::records(project);
    let by_id: HashMap<&str, &Value> =
        records.iter().map(|record| (record["record_id"].as_str().unwrap(), record)).collect();
    assert_eq!(by_id.len(), records.len(), "an id stands twice");
    let mut intents = HashSet::new();
    for record in records.iter().filter(|record| record["operation_name"] == "intent") {
        intents.insert(record["input_data"]["tag"].as_str().unwrap().to_owned());
    }
    for Answered { id, tag } in answered {
        let record = by_id.get(id.as_str()).unwrap_or_else(|| panic!("{id} has no record"));
        assert_eq!(record["operation_status"], "success", "{record}");
        if let Some(tag) = tag {
            assert_eq!(record["input_data"]["tag"], tag.as_str());
            assert!(intents.contains(tag), "{tag} ran without an intent");
        }
    }
    // Torn ends were put aside and reported; none is read as data, by `jq` or by `mxcp log`.
    let torn = records.iter().filter(|record| record["operation_name"] == "torn").count();
    let aside = std::fs::read_dir(project.path("audit")).unwrap();
    let aside =
        aside.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains(".torn-"));
    assert_eq!(aside.count(), torn);
    assert!(torn > 0, "no kill tore a line");
    let log: Value = serde_json::from_str(
        &project.mxcp(&["log", "--json", "--type", "tool", "--limit", "10000000"]),
    )
    .unwrap();
    let calls = records.iter().filter(|record| record["operation_type"] == "tool").count();
    assert_eq!(log.as_array().unwrap().len(), calls);
    // What the crash left in the database without an answer was announced all the same.
    let rows: Value =
        serde_json::from_str(&project.mxcp(&["query", "--json", "SELECT tag FROM tags"])).unwrap();
    let kept: HashSet<&str> =
        rows.as_array().unwrap().iter().map(|r| r["tag"].as_str().unwrap()).collect();
    for tag in &kept {
        assert!(intents.contains(*tag), "{tag} is in the database without an intent");
    }
    for tag in answered.iter().filter_map(|call| call.tag.as_deref()) {
        assert!(kept.contains(tag), "{tag} was answered and is not in the database");
    }
    eprintln!("{} records, {torn} torn ends", records.len());
}
