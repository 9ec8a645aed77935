//! What recording costs a server: the shipped runtime with its trail strict, in batches, and off,
//! side by side in one run.
//!
//! `cargo bench -p mxcp-tests --bench audit [-- FOLDER]`; give a folder on the disk that counts.

#![allow(
    missing_docs,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark"
)]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are printed, not computed with"
)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mxcp_tests::identity::signer::Signer;
use mxcp_tests::identity::verifier::VerifierServer;
use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use mxcp_tests::trail::{self, tool};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(3);
/// Calls of one connection in a round.
const SAMPLES: u64 = 500;
const FLOOD_PER_SECOND: u64 = 10_000;
const CALLERS_UNDER_FLOOD: usize = 8;
/// Kernel ticks of `/proc/PID/stat` in a second.
const TICKS: f64 = 100.0;

/// A server with one kind of trail.
struct Kind {
    name: &'static str,
    project: Project,
    server: Server,
}

fn main() {
    if let Some(folder) = std::env::args().skip(1).find(|arg| !arg.starts_with("--")) {
        // Projects are made in the system's folder for such things.
        let again = std::env::current_exe().unwrap();
        let status = std::process::Command::new(again).env("TMPDIR", folder).status().unwrap();
        std::process::exit(status.code().unwrap_or(1));
    }
    let kinds = [
        start("off", "enabled: false"),
        start("batch", "durability: batch"),
        start("strict", "durability: strict"),
    ];
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    threads.block_on(async {
        // First, before anything else keeps the disk busy afterwards.
        latency(&kinds).await;
        throughput(&kinds).await;
        floods(&kinds).await;
    });
}

fn start(name: &'static str, audit: &str) -> Kind {
    let project = trail::project("", "max_calls_per_second: 1000000");
    let site = project
        .read("mxcp-site.yml")
        .replace("enabled: true, ", &format!("enabled: true, {audit}, "));
    let site =
        site.replace("enabled: true, enabled: false", "enabled: false").replace(", , ", ", ");
    project.write("mxcp-site.yml", &site);
    let bundle = project.build();
    let port = free_port();
    let mut command = trail::serving(&project, &bundle, &[], port);
    command.env("MXCP_LOG", "warn");
    Kind { name, server: Server::spawn(command, port), project }
}

fn request(address: SocketAddr, token: Option<&str>) -> Vec<u8> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-03-26"),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let body = tool(1, "point", &json!({"id": 7})).to_string();
    mxcp_tests::http::request(address, "/mcp", &headers, body.as_bytes())
}

/// One kept connection.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Client {
    async fn open(address: SocketAddr, token: Option<&str>) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, request: request(address, token), buffer: vec![0; 16 * 1024] }
    }

    async fn call(&mut self) {
        self.stream.write_all(&self.request).await.unwrap();
        let mut filled = 0;
        loop {
            let count = self.stream.read(self.buffer.get_mut(filled..).unwrap()).await.unwrap();
            assert!(count > 0, "the server hung up");
            filled += count;
            let read = self.buffer.get(..filled).unwrap();
            let text = String::from_utf8_lossy(read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().trim().parse::<usize>().unwrap() {
                assert!(head.starts_with("HTTP/1.1 200"), "{text}");
                return;
            }
        }
    }
}

/// Calls per second of so many connections for a while.
async fn rate(address: SocketAddr, token: Option<&str>, connections: usize, time: Duration) -> f64 {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for _ in 0..connections {
        let (mut client, stop) = (Client::open(address, token).await, Arc::clone(&stop));
        clients.push(tokio::spawn(async move {
            let mut calls = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                client.call().await;
                calls += 1;
            }
            calls
        }));
    }
    let began = Instant::now();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for client in clients {
        calls += client.await.unwrap();
    }
    calls as f64 / began.elapsed().as_secs_f64()
}

/// Time of the processor that the writer's thread has had, in seconds.
fn writer_seconds(server: &Server) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let ticks = stats.filter_map(|stat| {
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        head.ends_with("(audit").then_some(ticks(11)? + ticks(12)?)
    });
    ticks.sum::<u64>() as f64 / TICKS
}

async fn throughput(kinds: &[Kind; 3]) {
    println!("{CONNECTIONS} connections, point query, {ROUNDS} rounds of {ROUND:?} each, in turn");
    for kind in kinds {
        rate(kind.server.address(), None, CONNECTIONS, ROUND / 3).await;
    }
    let mut rates = [const { Vec::new() }; 3];
    let mut shares = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        for i in 0..3 {
            let at = (i + round) % 3;
            let server = &kinds[at].server;
            let before = writer_seconds(server);
            rates[at].push(rate(server.address(), None, CONNECTIONS, ROUND).await);
            shares[at].push((writer_seconds(server) - before) / ROUND.as_secs_f64());
        }
    }
    for (at, kind) in kinds.iter().enumerate() {
        let ratios =
            rates[at].iter().zip(&rates[0]).map(|(own, off)| own / off).collect::<Vec<_>>();
        println!(
            "  {:<8} {:>9.0} calls/s  {:>6.1} % of off  writer {:>5.1} % of a core",
            kind.name,
            median(&rates[at]),
            100.0 * median(&ratios),
            100.0 * median(&shares[at]),
        );
        let spread: Vec<String> = rates[at].iter().map(|rate| format!("{rate:.0}")).collect();
        println!("           rounds: {}", spread.join(" "));
    }
}

/// One connection: a call without a trail, a bare write with sync, and a call with a strict trail, in
/// turn. In that order a call's time passes before each sync: one that follows another at once finds
/// the disk awake, and is quicker.
async fn latency(kinds: &[Kind; 3]) {
    let mut off = Client::open(kinds[0].server.address(), None).await;
    let mut strict = Client::open(kinds[2].server.address(), None).await;
    let file = fs::File::create(kinds[2].project.path("bare")).unwrap();
    let line = vec![b'x'; 1_200];
    let mut all = [const { Vec::new() }; 3];
    let mut ratios = Vec::new();
    for round in 0..ROUNDS as u64 {
        let mut times = [const { Vec::new() }; 3];
        for i in 0..SAMPLES {
            let began = Instant::now();
            off.call().await;
            times[0].push(began.elapsed().as_secs_f64());
            let began = Instant::now();
            file.write_all_at(&line, (round * SAMPLES + i) * line.len() as u64).unwrap();
            file.sync_data().unwrap();
            times[2].push(began.elapsed().as_secs_f64());
            let began = Instant::now();
            strict.call().await;
            times[1].push(began.elapsed().as_secs_f64());
        }
        let [off, strict, sync] = &times;
        ratios.push((median(strict) - median(off)) / median(sync));
        for (all, times) in all.iter_mut().zip(times) {
            all.extend(times);
        }
    }
    println!("one connection, {ROUNDS} rounds of {SAMPLES} calls of each, in turn");
    for (name, times) in ["off", "strict", "write + fdatasync"].iter().zip(&all) {
        println!(
            "  {name:<18} p50 {:>7.3} ms  p99 {:>7.3} ms",
            1e3 * median(times),
            1e3 * quantile(times, 0.99)
        );
    }
    let spread: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("  strict adds {:.2} x one write + fdatasync (medians)", median(&ratios));
    println!("           rounds: {}", spread.join(" "));
}

/// A server that is flooded, and how.
struct Flooded<'k> {
    name: &'static str,
    address: SocketAddr,
    project: &'k Project,
    /// what its callers present
    token: Option<&'k str>,
    /// a header of what is refused, and with which status
    refused: (&'static str, &'static str),
}

/// Refused requests, pipelined, at a steady rate. Counts how many were answered.
async fn pour(
    address: SocketAddr,
    (header, status): (&'static str, &'static str),
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
) {
    const AT_ONCE: u64 = 50;
    let one =
        format!("POST /mcp HTTP/1.1\r\nHost: {address}\r\n{header}\r\nContent-Length: 0\r\n\r\n");
    let many = one.repeat(AT_ONCE as usize);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut input, mut output) = stream.into_split();
    let reader = tokio::spawn(async move {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(count @ 1..) = input.read(&mut buffer).await {
            let read = buffer.get(..count).unwrap();
            let found = read.windows(12).filter(|bytes| *bytes == status.as_bytes()).count();
            answered.fetch_add(found as u64, Ordering::Relaxed);
        }
    });
    let began = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * FLOOD_PER_SECOND as f64) as u64;
        if sent >= due {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        output.write_all(many.as_bytes()).await.unwrap();
        sent += AT_ONCE;
    }
    drop(output);
    let _ = tokio::time::timeout(Duration::from_secs(5), reader).await;
}

async fn floods(kinds: &[Kind; 3]) {
    println!(
        "a flood of {FLOOD_PER_SECOND} refused requests a second, {CALLERS_UNDER_FLOOD} callers beside it"
    );
    let origin = ("Origin: https://evil.example", "HTTP/1.1 403");
    for kind in [&kinds[0], &kinds[2]] {
        let (address, project) = (kind.server.address(), &kind.project);
        flood(&Flooded { name: kind.name, address, project, token: None, refused: origin }).await;
    }
    // Callers with tokens beside requests without one.
    let project = trail::project("", "max_calls_per_second: 1000000");
    let site = project.read("mxcp-site.yml");
    let site = site.replace("project: trail", "project: clinic").replace("dev", "default");
    project.write("mxcp-site.yml", &format!("{site}    duckdb: {{ path: data/db-dev.duckdb }}\n"));
    let bundle = project.build();
    let verifying =
        VerifierServer::serving((project, bundle), &json!({}), Signer::new("key-1", "ES256")).await;
    let token = verifying.token(&json!({}));
    let nobody = ("Accept: application/json", "HTTP/1.1 401");
    flood(&Flooded {
        name: "strict, with tokens",
        address: verifying.server.address(),
        project: &verifying.project,
        token: Some(&token),
        refused: nobody,
    })
    .await;
}

async fn flood(flooded: &Flooded<'_>) {
    let Flooded { name, address, project, token, refused } = *flooded;
    let (mut calm, mut wet, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    let mut flood_rate = Vec::new();
    for _ in 0..ROUNDS {
        calm.push(rate(address, token, CALLERS_UNDER_FLOOD, ROUND).await);
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        // In a thread of its own, so that the callers are not slowed by whoever floods.
        let pouring = std::thread::spawn({
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            move || {
                let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
                threads.unwrap().block_on(pour(address, refused, stop, answered));
            }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (before, began, seen) =
            (refusals(project), Instant::now(), answered.load(Ordering::Relaxed));
        wet.push(rate(address, token, CALLERS_UNDER_FLOOD, ROUND).await);
        flood_rate
            .push((answered.load(Ordering::Relaxed) - seen) as f64 / began.elapsed().as_secs_f64());
        grown.push((refusals(project) - before) as f64 / began.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        pouring.join().unwrap();
    }
    let ratios = wet.iter().zip(&calm).map(|(wet, calm)| wet / calm).collect::<Vec<_>>();
    println!(
        "  {name:<8} {:>8.0} calls/s calm, {:>8.0} under {:.0} refusals/s: {:.1} %; refusals write {:.0} bytes/s",
        median(&calm),
        median(&wet),
        median(&flood_rate),
        100.0 * median(&ratios),
        median(&grown),
    );
}

/// Bytes of the records of refusals in a trail.
fn refusals(project: &Project) -> u64 {
    if !project.path("audit").is_dir() {
        return 0;
    }
    let needle = b"\"operation_name\":\"refused\"";
    let segments = trail::segments(project);
    let bytes = segments.iter().map(|segment| {
        let text = fs::read(Path::new(segment)).unwrap();
        let lines = text.split(|byte| *byte == b'\n');
        let of_refusals = lines.filter(|line| line.windows(needle.len()).any(|at| at == needle));
        of_refusals.map(|line| line.len() as u64 + 1).sum::<u64>()
    });
    bytes.sum()
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() as f64 * part) as usize).copied().unwrap_or_default()
}
