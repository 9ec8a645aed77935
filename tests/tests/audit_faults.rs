//! The shipped server on a disk that fills up, turns read-only, fails to sync, or hangs: nothing is
//! answered that is not recorded, the server says so and recovers by itself.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use mxcp_tests::trail::{self, Line, call_id, is_result, tool};
use mxcp_tests::workspace;
use serde_json::{Value, json};

/// How long a server may take to notice that its disk is well again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call may wait to be refused: the deadline of two seconds, and as much again for a busy
/// machine.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(4);

/// A server whose trail is on a disk that obeys.
struct Weather {
    project: Project,
    server: Server,
}

impl Weather {
    fn start(audit: &str) -> Self {
        let project = trail::project(audit, "");
        let bundle = project.build();
        let port = free_port();
        let mut command = trail::serving(&project, &bundle, &[], port);
        trail::on_obedient_disk(&mut command, &project);
        let socket = project.path("admin.sock");
        command.env("MXCP_ADMIN_ENABLED", "true").env("MXCP_ADMIN_SOCKET", socket);
        Self { server: Server::spawn(command, port), project }
    }

    fn order(&self, what: &str) {
        trail::order(&self.project, what);
    }

    fn ask(&self, i: u64) -> (u16, Value) {
        let mut line = Line::open(self.server.address()).unwrap();
        line.ask(&tool(i, "point", &json!({"id": i}))).unwrap()
    }

    fn is_ready(&self) -> bool {
        match trail::get(self.server.address(), "/readyz") {
            200 => true,
            503 => false,
            other => panic!("/readyz says {other}"),
        }
    }

    /// What administrators and their metrics are told about the trail.
    fn is_in_trouble(&self) -> bool {
        let socket = self.project.path("admin.sock");
        let (status, health) = trail::ask_admin(&socket, "/health");
        let health: Value = serde_json::from_str(&health).unwrap();
        let (_, metrics) = trail::ask_admin(&socket, "/metrics");
        let trouble = health["audit"]["trouble"].is_string();
        assert_eq!(health["status"], if trouble { "degraded" } else { "ok" }, "{health}");
        assert_eq!(status, if trouble { 503 } else { 200 }, "{health}");
        let gauge = format!("\nmxcp_audit_trouble {}\n", u8::from(trouble));
        assert!(metrics.contains(&gauge), "{health}\n{metrics}");
        trouble
    }

    fn wait_until_ready(&self, ready: bool) {
        let until = Instant::now() + RECOVERY_TIMEOUT;
        while self.is_ready() != ready {
            assert!(Instant::now() < until, "/readyz does not become {ready}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn answered(answer: &Value, answers: &mut Vec<String>) {
    assert!(is_result(answer), "{answer}");
    answers.push(call_id(answer).unwrap().to_owned());
}

/// A call that cannot be recorded has an error that says so, with its id, and no result.
fn is_refused((status, answer): &(u16, Value)) {
    assert_eq!(*status, 503, "{answer}");
    let text = answer["error"]["message"].as_str().unwrap();
    assert!(text.contains("could not be recorded"), "{answer}");
    assert!(call_id(answer).is_some() && answer.get("result").is_none(), "{answer}");
}

/// Calls until one is refused. Returns what that was told.
fn until_refused(weather: &Weather, answers: &mut Vec<String>) -> (u16, Value) {
    let refused = (0..2_000).map(|i| weather.ask(i % 1_000)).find(|(status, answer)| {
        let fine = *status == 200;
        if fine {
            answered(answer, answers);
        }
        !fine
    });
    refused.expect("a disk that fails refuses calls")
}

fn strict_under(fault: &str) {
    // Small segments, so that a folder that takes no new files is noticed.
    let weather = Weather::start("max_file_size: 4000");
    let mut answers = Vec::new();
    for i in 0..3 {
        answered(&weather.ask(i).1, &mut answers);
    }
    assert!(weather.is_ready());
    weather.order(fault);
    // Until a segment ends, a read-only folder harms nobody.
    is_refused(&until_refused(&weather, &mut answers));
    weather.wait_until_ready(false);
    let mut strangers = Connection::open(weather.server.address());
    for i in 50..53 {
        let began = Instant::now();
        is_refused(&weather.ask(i));
        assert!(began.elapsed() < REFUSAL_TIMEOUT, "refused after {:?}", began.elapsed());
        // Who is not let in is told so whatever the disk does, and is not forgotten.
        let foreign = [("Origin", "https://evil.example")];
        assert_eq!(strangers.rpc(&foreign, &json!({})).status, 403);
        thread::sleep(Duration::from_millis(700));
    }
    assert!(!weather.is_ready() && weather.is_in_trouble());
    weather.order("");
    // It recovers although nobody calls.
    weather.wait_until_ready(true);
    assert!(!weather.is_in_trouble());
    for i in 60..63 {
        answered(&weather.ask(i).1, &mut answers);
    }
    let Weather { project, server } = weather;
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    trail::consistent(&project);
    let records = trail::records_of_torn(&project);
    for id in &answers {
        trail::record_of(&records, id);
    }
    let sums = records.iter().filter(|record| record["operation_name"] == "refused");
    let refused: u64 = sums.filter_map(|record| record["event"]["count"].as_u64()).sum();
    assert_eq!(refused, 3, "{fault}");
}

#[test]
fn strict_refuses_on_a_full_disk_and_recovers() {
    strict_under("full");
}

#[test]
fn strict_refuses_in_a_read_only_folder_and_recovers() {
    strict_under("readonly");
}

#[test]
fn strict_refuses_when_syncing_fails_and_recovers() {
    strict_under("sync-error");
}

#[test]
fn strict_refuses_on_a_disk_that_hangs_and_recovers() {
    // The disk hangs until it is told otherwise, so an answer before that came by the deadline.
    strict_under("hang");
}

/// Batch answers until its queue is full, then refuses; and keeps what it answered.
fn batch_under(fault: &str) {
    let weather = Weather::start("durability: batch");
    weather.order(fault);
    let (answers, full) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let address = weather.server.address();
    let client = || {
        let mut line = Line::open(address).unwrap();
        for i in 0.. {
            if full.load(Ordering::Relaxed) {
                return;
            }
            let (status, answer) = line.ask(&tool(i, "point", &json!({"id": 1}))).unwrap();
            if status == 200 {
                answered(&answer, &mut answers.lock().unwrap());
            } else {
                is_refused(&(status, answer));
                full.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(client))));
    let count = answers.lock().unwrap().len();
    assert!(count >= mxcp_runtime::audit::QUEUE_RECORDS_MAX, "{count} answers before it refused");
    assert!(!weather.is_ready());
    weather.order("");
    weather.wait_until_ready(true);
    answered(&weather.ask(1).1, &mut answers.lock().unwrap());
    let Weather { project, server } = weather;
    server.stop();
    trail::consistent(&project);
    let there: std::collections::HashSet<String> = trail::records_of_torn(&project)
        .iter()
        .map(|record| record["record_id"].as_str().unwrap().to_owned())
        .collect();
    for id in answers.into_inner().unwrap() {
        assert!(there.contains(&id), "{id} was answered and is lost");
    }
}

#[test]
fn batch_refuses_once_its_bound_is_reached_on_a_disk_that_hangs_and_keeps_the_rest() {
    batch_under("hang");
}

#[test]
fn batch_refuses_once_its_bound_is_reached_on_a_full_disk_and_keeps_the_rest() {
    batch_under("full");
}

/// A file system of its own, in a file.
struct Image {
    folder: PathBuf,
}

impl Image {
    fn mount(project: &Project, mib: u32) -> Self {
        let (image, folder) = (project.path("image"), project.path("audit"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(u64::from(mib) << 20).unwrap();
        run("mkfs.ext4", &["-q", "-F", path(&image)]);
        run("mount", &["-o", "loop", path(&image), path(&folder)]);
        Self { folder }
    }

    /// Lets the folder take new files, or none.
    fn open(&self, opens: bool) {
        run("chattr", &[if opens { "-i" } else { "+i" }, path(&self.folder)]);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.folder).status();
    }
}

fn run(program: &str, arguments: &[&str]) {
    workspace::output(Command::new(program).args(arguments));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The same without a shim: a real file system that fills up, is emptied, and takes no new files.
#[test]
#[ignore = "needs leave to mount; run it as root with `--ignored`"]
fn strict_refuses_on_a_real_file_system_that_fills_up() {
    let project = trail::project("max_file_size: 200000", "");
    let bundle = project.build();
    let image = Image::mount(&project, 4);
    let server = trail::serve(&project, &bundle, &[]);
    let weather = Weather { project, server };
    let ballast = image.folder.join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    let mut answers = Vec::new();
    answered(&weather.ask(1).1, &mut answers);
    // Everything but some blocks.
    while std::io::Write::write_all(&mut file, &[7; 4_096]).is_ok() {}
    is_refused(&until_refused(&weather, &mut answers));
    weather.wait_until_ready(false);
    file.set_len(0).unwrap();
    weather.wait_until_ready(true);
    answered(&weather.ask(2).1, &mut answers);
    // A folder that takes no new files harms nobody until a segment ends.
    image.open(false);
    is_refused(&until_refused(&weather, &mut answers));
    assert!(!weather.is_ready());
    image.open(true);
    weather.wait_until_ready(true);
    answered(&weather.ask(4).1, &mut answers);
    let Weather { project, server } = weather;
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    trail::consistent(&project);
    let records = trail::records_of_torn(&project);
    for id in &answers {
        trail::record_of(&records, id);
    }
    eprintln!("{} calls were answered", answers.len());
    drop((file, image));
}
