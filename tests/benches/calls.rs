//! Calls of a tool with five policies over many connections, beside the same SQL behind bare axum
//! and DuckDB, in alternating rounds; then what strict audit adds, beside one `fdatasync`: to as many
//! calls as the server can take, and to half as many.
//!
//! Where all connections call again at once, what a call waits for is a processor, so there the time of a
//! call says how much work everything is. At half of that rate it says how long a caller waits.
//!
//! `cargo bench -p mxcp-tests --bench calls [FOLDER]`; give a folder on the disk that counts.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a benchmark")]

use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mxcp_tests::bare;
use mxcp_tests::http::{Connection, request};
use mxcp_tests::measure::{Sample, goal, rounds, row};
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 16;
const ROUND_MS: u64 = 1_000;
/// Between two syncs beside which calls run.
const SYNC_PAUSE: Duration = Duration::from_millis(5);
const CONTEXT: &str =
    r#"{"role": "nurse", "username": "freya", "ward": "south", "permissions": ["patients.read"]}"#;
const LOOKUP: &str = "SELECT patient_id, name, ward, born, ssn, phone, balance FROM patients WHERE patient_id = $patient_id";
const LIST: &str = "SELECT patient_id, name, ward, born, ssn, phone, balance FROM patients WHERE ward = $ward ORDER BY patient_id LIMIT $limit";
const STATEMENTS: bare::Statements = &[("lookup", LOOKUP), ("list", LIST)];

fn main() {
    bare::become_one(STATEMENTS);
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let (silent, strict, bare_project) = (project(false), project(true), project(false));
    let options = ["--user-context", CONTEXT];
    let ours = Server::start(&silent, &silent.build(), &options);
    let audited = Server::start(&strict, &strict.build(), &options);
    let theirs = bare::start(&bare_project.path("data/db-default.duckdb"));
    for (name, arguments) in
        [("lookup", json!({"patient_id": 4_711})), ("list", json!({"ward": "south", "limit": 20}))]
    {
        println!("{name}: five policies, {CONNECTIONS} connections, rounds of {ROUND_MS} ms");
        let folder = Path::new(&folder);
        let half = compare(name, &arguments, &ours, &theirs, &audited, folder);
        compare_at(half, name, &arguments, &ours, &audited, folder);
    }
}

/// A project of two tools with five policies each, and its database.
fn project(audit: bool) -> Project {
    let site = format!(
        "mxcp: 1\nproject: calls\nprofile: default\npolicy:\n  user_attributes: {{ ward: {{ type: string }} }}\nprofiles:\n  default:\n    audit: {{ enabled: {audit} }}\n"
    );
    let tool = |name: &str, parameters: &str, result: (&str, &str), sql: &str| {
        let (before, after) = result;
        format!(
            "mxcp: 1\ntool:\n  name: {name}\n  description: Patients\n  annotations: {{ readOnlyHint: true }}\n  parameters:\n{parameters}  return: {before}{{ type: object, properties: {{ patient_id: {{ type: integer }}, name: {{ type: string }}, ward: {{ type: string }}, born: {{ type: string, format: date }}, ssn: {{ type: string, sensitive: true }}, phone: {{ type: string }}, balance: {{ type: number }} }}, required: [patient_id, name] }}{after}\n  source: {{ code: \"{sql}\" }}\n{POLICIES}"
        )
    };
    let lookup = tool(
        "lookup",
        "    - { name: patient_id, type: integer, minimum: 1 }\n    - { name: ward, type: string, default: south }\n",
        ("", ""),
        &LOOKUP.replace("$patient_id", "$patient_id AND $ward IS NOT NULL"),
    );
    let list = tool(
        "list",
        "    - { name: ward, type: string, enum: [north, south] }\n    - { name: limit, type: integer, minimum: 1, maximum: 100, default: 10 }\n",
        ("{ type: array, items: ", " }"),
        LIST,
    );
    let project = Project::new(&[
        ("mxcp-site.yml", site),
        ("tools/lookup.yml", lookup),
        ("tools/list.yml", list),
    ]);
    project.mxcp(&["query", "CREATE TABLE patients AS SELECT i AS patient_id, 'Patient ' || i AS name, CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END AS ward, DATE '1950-01-01' + CAST(i % 20000 AS INTEGER) AS born, '078-05-' || i AS ssn, '+1 555 ' || i AS phone, (i * 1.25)::DECIMAL(12,2) AS balance FROM range(1, 10001) t(i)"]);
    project
}

const POLICIES: &str = "\
  policies:
    input:
      - { name: staff, condition: \"!(user.role in ['physician', 'nurse'])\", action: deny, reason: Staff only }
      - { name: permission, condition: \"!('patients.read' in user.permissions)\", action: deny, reason: No permission }
      - { name: ward, condition: \"user.role == 'nurse' && (user.ward == null || user.ward != ward)\", action: deny, reason: Not your ward }
    output:
      - { name: sensitive, condition: user.role != 'physician', action: filter_sensitive_fields }
      - { name: contact, condition: user.role == 'nurse', action: mask_fields, fields: [phone] }
";

fn compare(
    name: &str,
    arguments: &Value,
    ours: &Server,
    theirs: &Server,
    audited: &Server,
    folder: &Path,
) -> f64 {
    let mut figures: [(Sample, Sample); 3] = Default::default();
    let mut syncs = Sample::default();
    let disk = Disk::new(folder);
    for server in [ours, theirs, audited] {
        // Not counted: statements are prepared, caches fill.
        drive(server.address(), name, arguments, None, &mut (Sample::default(), Sample::default()));
    }
    for _ in 0..rounds(9) {
        for (server, figures) in [ours, theirs, audited].into_iter().zip(&mut figures) {
            drive(server.address(), name, arguments, None, figures);
        }
        disk.sync_beside(&mut syncs, || {
            drive(ours.address(), name, arguments, None, &mut <(Sample, Sample)>::default());
        });
    }
    let [ours, theirs, audited] = figures;
    row("bare axum + DuckDB", &theirs.0, "calls/s");
    row("mxcp-runtime, audit off", &ours.0, "calls/s");
    row("mxcp-runtime, strict audit", &audited.0, "calls/s");
    row("bare axum + DuckDB, one call", &theirs.1, "ms");
    row("mxcp-runtime, audit off, one call", &ours.1, "ms");
    row("mxcp-runtime, strict audit, one call", &audited.1, "ms");
    row("one append and fdatasync beside audit off", &syncs, "ms");
    let share = 100.0 * ours.0.median() / theirs.0.median();
    goal("share of the bare throughput", share, "%", "at least", 70.0);
    let added = (audited.1.median() - ours.1.median()) / syncs.median();
    println!("  strict audit adds to a call where the processors are busy: {added:.2} syncs");
    audited.0.median() / 2.0
}

/// The same at so many calls a second.
fn compare_at(
    rate: f64,
    name: &str,
    arguments: &Value,
    ours: &Server,
    audited: &Server,
    folder: &Path,
) {
    println!("{name}: {CONNECTIONS} connections, {rate:.0} calls a second");
    let pause = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
    let mut figures: [(Sample, Sample); 2] = Default::default();
    let mut syncs = Sample::default();
    let disk = Disk::new(folder);
    for _ in 0..rounds(9) {
        for (server, figures) in [ours, audited].into_iter().zip(&mut figures) {
            drive(server.address(), name, arguments, Some(pause), figures);
        }
        disk.sync_beside(&mut syncs, || {
            drive(ours.address(), name, arguments, Some(pause), &mut <(Sample, Sample)>::default());
        });
    }
    let [ours, audited] = figures;
    row("audit off, one call", &ours.1, "ms");
    row("strict audit, one call", &audited.1, "ms");
    row("one append and fdatasync beside audit off", &syncs, "ms");
    let added = (audited.1.median() - ours.1.median()) / syncs.median();
    goal("strict audit adds, in syncs,", added, "x", "at most", 1.25);
}

/// Calls for one round over all connections, each one at once or once in so long; adds the throughput
/// and the median latency.
fn drive(
    address: SocketAddr,
    name: &str,
    arguments: &Value,
    pause: Option<Duration>,
    figures: &mut (Sample, Sample),
) {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": name, "arguments": arguments, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", name),
    ];
    let bytes = Arc::new(request(address, "/mcp", &headers, message.to_string().as_bytes()));
    let over = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let callers: Vec<_> = (0..CONNECTIONS as u32)
        .map(|i| {
            // Not all in the same moment.
            let mut due = pause.map(|pause| begun + pause * i / CONNECTIONS as u32);
            let (bytes, over) = (Arc::clone(&bytes), Arc::clone(&over));
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                let mut times = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    if let Some((due, pause)) = due.as_mut().zip(pause) {
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        *due += pause;
                    }
                    let begun = Instant::now();
                    let reply = connection.send(&bytes);
                    times.push(begun.elapsed());
                    let has_failed = reply.body.windows(14).any(|w| w == b"\"isError\":true");
                    assert!(
                        reply.status == 200 && !has_failed,
                        "{}",
                        String::from_utf8_lossy(&reply.body)
                    );
                }
                times
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(ROUND_MS));
    over.store(true, Ordering::Relaxed);
    let mut latencies = Sample::default();
    let mut calls = 0_u32;
    for caller in callers {
        for time in caller.join().expect("a caller ends") {
            latencies.add_ms(time);
            calls += 1;
        }
    }
    figures.0.add(f64::from(calls) / begun.elapsed().as_secs_f64());
    figures.1.add(latencies.median());
}

/// A file to append to, as the audit trail does.
struct Disk {
    file: std::fs::File,
    bytes: AtomicU64,
    _folder: tempfile::TempDir,
}

impl Disk {
    fn new(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let file = std::fs::File::create(folder.path().join("bare")).expect("a file");
        Self { file, bytes: AtomicU64::new(0), _folder: folder }
    }

    /// Appends a record and waits for the disk, now and then while something else runs: what a commit
    /// takes where processors are as busy, and the disk as much asleep, as they are then.
    fn sync_beside(&self, syncs: &mut Sample, load: impl FnOnce()) {
        let line = vec![b'x'; 1_100];
        let over = AtomicBool::new(false);
        let loaded = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(SYNC_PAUSE);
                    let begun = Instant::now();
                    let at = self.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
                    self.file.write_all_at(&line, at).expect("a write");
                    self.file.sync_data().expect("a sync");
                    syncs.add_ms(begun.elapsed());
                }
            });
            let loaded = catch_unwind(AssertUnwindSafe(load));
            over.store(true, Ordering::Relaxed);
            loaded
        });
        if let Err(panic) = loaded {
            resume_unwind(panic);
        }
    }
}
