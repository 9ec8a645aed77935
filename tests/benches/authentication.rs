//! What authentication costs: a call with a warm token beside an anonymous one in the same run, a
//! token that was never seen before, and the memory of many live tokens.
//!
//! `cargo bench -p mxcp-tests --bench authentication [TOKENS]`

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed, not computed with")]

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mxcp_runtime::auth::clock::Clock;
use mxcp_runtime::auth::fetch::{Fetcher, Rules};
use mxcp_runtime::auth::provider::{Deployment, Settings, kind};
use mxcp_runtime::auth::verifier::{Demands, Verifier};
use mxcp_tests::http::Connection;
use mxcp_tests::identity::signer::Signer;
use mxcp_tests::identity::verifier::{AUDIENCE, VerifierServer};
use mxcp_tests::trail;
use serde_json::{Value, json};

const ROUNDS: usize = 40;
const CALLS_PER_ROUND: usize = 250;
const COLD_TOKENS: usize = 2_000;

fn main() {
    let live = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for algorithm in ["ES256", "EdDSA", "RS256"] {
            judging(algorithm).await;
        }
        calls().await;
        memory(live.unwrap_or(100_000)).await;
    });
}

/// Judging a token in process, keys known, beside the signature alone.
async fn judging(algorithm: &'static str) {
    let server = VerifierServer::with_key(&json!({}), Signer::new("key-1", algorithm)).await;
    let deployment =
        Deployment { fetcher: Fetcher::new(Rules::default()).unwrap(), clock: Clock::default() };
    let config_url = format!("{}/.well-known/openid-configuration", server.provider.base);
    let settings = Settings {
        client_id: "mxcp".into(),
        values: vec![("config_url".into(), config_url)],
        ..Settings::default()
    };
    let provider = (kind("oidc").unwrap().build)(&settings, &deployment).unwrap();
    let demands = Demands {
        audiences: vec![AUDIENCE.into()],
        client_id: "mxcp".into(),
        ..Demands::default()
    };
    let verifier = Verifier::new(Arc::clone(&provider), &deployment, demands);
    let tokens: Vec<String> =
        (0..COLD_TOKENS).map(|i| server.token(&json!({ "jti": i.to_string() }))).collect();
    verifier.verify(tokens.first().unwrap()).await.unwrap();
    let mut whole = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let start = Instant::now();
        black_box(verifier.verify(token).await.unwrap());
        whole.push(start.elapsed());
    }
    let text = json!({ "keys": [server.signer.jwk()] }).to_string();
    let json = mxcp_runtime::json::parse(text.as_bytes()).unwrap();
    let keys = mxcp_runtime::auth::jose::jwk::KeySet::parse(&json).unwrap();
    let mut signature = Vec::with_capacity(tokens.len());
    for token in &tokens {
        let compact = mxcp_runtime::auth::jose::Compact::parse(token).unwrap();
        let start = Instant::now();
        black_box(compact.verified(&keys).unwrap());
        signature.push(start.elapsed());
    }
    println!(
        "{algorithm:<6} judging a token   {:>8.1?} median, of which the signature {:>8.1?}",
        median(&mut whole),
        median(&mut signature)
    );
}

/// Calls of one client on one connection each, in turns.
async fn calls() {
    let anonymous = VerifierServer::start(&json!({ "anonymous": true })).await;
    let verifying = VerifierServer::start(&json!({})).await;
    let warm = bearer(&verifying.token(&json!({})));
    let cold: Vec<String> = (0..ROUNDS * 10)
        .map(|i| bearer(&verifying.token(&json!({ "jti": i.to_string() }))))
        .collect();
    let mut to_anonymous = Connection::open(anonymous.server.address());
    let mut to_verifying = Connection::open(verifying.server.address());
    let call = trail::tool(1, "care", &json!({}));
    for _ in 0..CALLS_PER_ROUND {
        time(&mut to_anonymous, None, &call);
        time(&mut to_verifying, Some(&warm), &call);
    }
    let (mut without, mut with, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        without.extend((0..CALLS_PER_ROUND).map(|_| time(&mut to_anonymous, None, &call)));
        with.extend((0..CALLS_PER_ROUND).map(|_| time(&mut to_verifying, Some(&warm), &call)));
        let new = cold.iter().skip(round * 10).take(10);
        first.extend(new.map(|token| time(&mut to_verifying, Some(token), &call)));
    }
    let (without, with, first) = (median(&mut without), median(&mut with), median(&mut first));
    println!("anonymous call          {without:>8.1?} median");
    println!(
        "call with a warm token  {with:>8.1?} median, {:.3} x the anonymous one",
        with.as_secs_f64() / without.as_secs_f64()
    );
    println!(
        "call with a new token   {first:>8.1?} median, {:.1?} more than with a warm one",
        first.saturating_sub(with)
    );
}

/// Many tokens, each used once and still good.
async fn memory(tokens: usize) {
    let server = VerifierServer::start(&json!({})).await;
    let mut connection = Connection::open(server.server.address());
    let call = trail::tool(1, "care", &json!({}));
    let one = |i: usize| {
        bearer(&server.token(
            &json!({ "sub": format!("person-{i}"), "preferred_username": format!("person-{i}") }),
        ))
    };
    for i in 0..1_000 {
        time(&mut connection, Some(&one(i)), &call);
    }
    let before = resident_kib(server.server.id());
    for i in 1_000..1_000 + tokens {
        time(&mut connection, Some(&one(i)), &call);
    }
    let after = resident_kib(server.server.id());
    let grown = after.saturating_sub(before);
    println!(
        "{tokens} live tokens     {:.1} MiB more, {:.0} bytes each (resident {:.1} MiB in all)",
        grown as f64 / 1024.0,
        grown as f64 * 1024.0 / tokens as f64,
        after as f64 / 1024.0
    );
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn time(connection: &mut Connection, token: Option<&String>, call: &Value) -> Duration {
    let headers: Vec<(&str, &str)> =
        token.map(|token| ("Authorization", token.as_str())).into_iter().collect();
    let start = Instant::now();
    let reply = connection.rpc(&headers, call);
    let took = start.elapsed();
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    took
}

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
