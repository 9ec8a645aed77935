//! What an audited call costs: one `fdatasync` measured beside the trail in the same run, then the
//! throughput of many callers, the encoding of a record, verification and questions.
//!
//! `cargo bench -p mxcp-runtime --bench audit [FOLDER] [RECORDS]`; give a folder on the disk that
//! counts. Ten million records need some 10 GB there.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are printed, not computed with"
)]

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mxcp_runtime::audit::query::{Filter, Log};
use mxcp_runtime::audit::verify::{Options, verify};
use mxcp_runtime::audit::{CallId, Config, Durability, Trail};
use mxcp_schemas::audit::{CallerType, OperationStatus, OperationType, PolicyDecision, Record};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SAMPLES: usize = 2_000;
const CALLERS: usize = 64;
const CALLS_EACH: usize = 500;

fn main() {
    let mut given = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let folder = given.next();
    let records = given.next().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let folder = folder.unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let folder = tempfile::tempdir_in(folder).unwrap();
    let input = json!({"patient_id": 4711, "from": "2026-01-01", "note": "[REDACTED]"});
    let (syncs, calls) = latencies(folder.path(), &input);
    print("write + fdatasync", &syncs);
    print("strict, one caller", &calls);
    let ratio = median(&calls).as_secs_f64() / median(&syncs).as_secs_f64();
    println!("{:<28} {ratio:.2} x one fdatasync (median)", "");
    for durability in [Durability::Strict, Durability::Batch] {
        throughput(folder.path(), durability, &input);
    }
    encoding(&input);
    verification(folder.path(), records);
}

fn record<'a>(id: &'a CallId, input: &'a Value) -> Record<'a> {
    let (kind, status) = (OperationType::Tool, OperationStatus::Success);
    let now = Timestamp::now();
    let mut record =
        Record::new(id.as_str(), now, CallerType::Http, kind, "get_patient_history", status);
    record.input_data = Some(input);
    record.user_id = Some("ann@example.org");
    record.policies_evaluated = &["input[0]", "own_department", "output[1]"];
    record.policies_fired = &["output[1]"];
    record.masked_fields = &["insurance.number", "diagnoses[].note"];
    record.policy_decision = Some(PolicyDecision::Warn);
    record.bundle = Some("blake3:6b3f8d7a5a0e1c2b3d4e5f60718293a4b5c6d7e8f9000102030405060708090a");
    record.took(Duration::from_micros(1_234))
}

/// Alternates between a bare write with sync and a record, so that both see the same disk.
fn latencies(folder: &Path, input: &Value) -> (Vec<Duration>, Vec<Duration>) {
    let trail = Trail::open(&Config::new(folder.join("one/logs.jsonl"))).unwrap();
    let file = std::fs::File::create(folder.join("bare")).unwrap();
    let line = vec![b'x'; 1_100];
    let (mut syncs, mut calls) = (Vec::new(), Vec::new());
    for i in 0..SAMPLES as u64 {
        let began = Instant::now();
        file.write_all_at(&line, i * line.len() as u64).unwrap();
        file.sync_data().unwrap();
        syncs.push(began.elapsed());
        let began = Instant::now();
        let id = CallId::begin();
        let _receipt = trail.append_blocking(&record(&id, input)).unwrap();
        calls.push(began.elapsed());
    }
    (syncs, calls)
}

/// Callers that do nothing but report: no operation runs meanwhile, so each commit takes what came during
/// the one before.
fn throughput(folder: &Path, durability: Durability, input: &Value) {
    let mut config = Config::new(folder.join(format!("{durability:?}/l.jsonl")));
    config.durability = durability;
    let trail = Trail::open(&config).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let began = Instant::now();
    let mut latencies: Vec<Duration> = runtime.block_on(async {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (trail, input) = (trail.clone(), input.clone());
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    for _ in 0..CALLS_EACH {
                        let began = Instant::now();
                        let id = CallId::begin();
                        let _receipt = trail.append(&record(&id, &input)).await.unwrap();
                        latencies.push(began.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        let mut all = Vec::new();
        for caller in callers {
            all.extend(caller.await.unwrap());
        }
        all
    });
    assert!(trail.close());
    let rate = (CALLERS * CALLS_EACH) as f64 / began.elapsed().as_secs_f64();
    latencies.sort();
    print(&format!("{durability:?}, {CALLERS} callers"), &latencies);
    let commits = trail.health().commits;
    println!("{:<28} {rate:.0} records/s in {commits} commits", "");
}

fn encoding(input: &Value) {
    let id = CallId::begin();
    let record = record(&id, input);
    let mut out = Vec::new();
    let began = Instant::now();
    const TIMES: u32 = 100_000;
    for _ in 0..TIMES {
        out.clear();
        std::hint::black_box(&record).encode(&mut out);
    }
    println!("{:<28} {:?} for {} bytes", "encoding", began.elapsed() / TIMES, out.len());
}

/// Verifies and questions a trail of many segments, made by a batch trail as fast as it goes.
fn verification(folder: &Path, records: usize) {
    let path = folder.join("many/logs.jsonl");
    let mut config = Config::new(&path);
    config.durability = Durability::Batch;
    let trail = Trail::open(&config).unwrap();
    let input = json!({"id": 1});
    for _ in 0..records {
        let id = CallId::begin();
        let _receipt = trail.append_blocking(&record(&id, &input)).unwrap();
    }
    assert!(trail.close());
    let began = Instant::now();
    let report = verify(&path, &Options::default()).unwrap();
    assert!(report.is_consistent() && report.records == records as u64);
    let rate = records as f64 / began.elapsed().as_secs_f64();
    println!("{:<28} {rate:.0} records/s", "verification");
    hashing();
    println!("{:<28} {} MiB before the first question", "peak memory", peak_mib());
    let mut log = Log::open(&path, None).unwrap();
    let nobody = Filter { user: Some("nobody".to_owned()), ..Filter::default() };
    for (name, filter) in [("the newest 100", Filter::default()), ("nobody's records", nobody)] {
        let began = Instant::now();
        let mut found = 0;
        log.select(&filter, Some(100), |_| found += 1).unwrap();
        println!("{name:<28} {:?} for {found} of {records}", began.elapsed());
    }
    let began = Instant::now();
    log.stats(&Filter::default()).unwrap();
    println!("{:<28} {:?} for {records}", "numbers", began.elapsed());
    println!("{:<28} {} MiB after the last one", "peak memory", peak_mib());
}

/// What verification cannot be quicker than: SHA-256 of as many bytes, on one thread.
fn hashing() {
    const ROUNDS: usize = 200_000;
    let line = [b'x'; 852];
    let began = Instant::now();
    for _ in 0..ROUNDS {
        std::hint::black_box(Sha256::digest(std::hint::black_box(line)));
    }
    let rate = ROUNDS as f64 / began.elapsed().as_secs_f64();
    println!("{:<28} {rate:.0} records/s on one thread", "SHA-256 alone");
}

/// The most memory that this process has had, in mebibytes.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}

fn median(samples: &[Duration]) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn print(name: &str, samples: &[Duration]) {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let at =
        |part: f64| sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!("{name:<28} p50 {:?}  p95 {:?}  p99 {:?}", at(0.5), at(0.95), at(0.99));
}
