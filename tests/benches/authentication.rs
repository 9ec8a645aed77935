//! What authentication costs: a call with a warm token beside an anonymous one in the same run, a
//! token that was never seen before, and the memory of many live tokens, also where a thousand
//! endpoints have policies that depend on the caller.
//!
//! `cargo bench -p mxcp-tests --bench authentication [TOKENS]`

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed, not computed with")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mxcp_runtime::auth::clock::Clock;
use mxcp_runtime::auth::fetch::{Fetcher, Rules};
use mxcp_runtime::auth::provider::{Deployment, Settings, kind};
use mxcp_runtime::auth::verifier::{Demands, Verifier};
use mxcp_tests::http::Connection;
use mxcp_tests::identity::signer::Signer;
use mxcp_tests::identity::verifier::{AUDIENCE, VerifierServer};
use mxcp_tests::measure::{goal, resident_mib};
use mxcp_tests::project::Project;
use mxcp_tests::trail;
use serde_json::{Value, json};

const ROUNDS: usize = 40;
const CALLS_PER_ROUND: usize = 250;
const COLD_TOKENS: usize = 2_000;
/// Tokens with which a server warms up before its memory is looked at.
const FIRST_TOKENS: usize = 1_000;
const ENDPOINTS: usize = 1_000;

fn main() {
    let live = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        for algorithm in ["ES256", "EdDSA", "RS256"] {
            judging(algorithm).await;
        }
        for (what, tool) in [("answered from the database", "open"), ("refused", "t0")] {
            calls(what, tool).await;
        }
        let live = live.unwrap_or(100_000);
        for (policies, endpoints) in [(ROLES, 5), (ROLES, ENDPOINTS), (CLAIMS, ENDPOINTS)] {
            memory(policies, endpoints, live).await;
        }
    });
}

/// Conditions on roles and capabilities, and on raw claims, where `{i}` is the number of a tool.
const ROLES: &str = "user.role != 'role {i}' && !('capability {i}' in user.capabilities)";
const CLAIMS: &str = "user.claims.org.unit != 'unit {i}'";

/// A project of tools that are for few, each with a condition of its own, and one tool for all.
fn project(condition: &str, tools: usize) -> (Project, PathBuf) {
    let tool = |name: &str, policies: &str| {
        let text = format!(
            "mxcp: 1
tool:
  name: {name}
  description: Answers with a number.
  parameters: [{{ name: n, type: integer, default: 7, description: A number. }}]
  return: {{ type: integer }}
  source: {{ code: \"SELECT $n * 6 AS answer\" }}
{policies}"
        );
        (format!("tools/{name}.yml"), text)
    };
    let few = |i: usize| {
        let condition = condition.replace("{i}", &i.to_string());
        let policy = format!("{{ condition: \"{condition}\", action: deny, reason: For few }}");
        tool(&format!("t{i}"), &format!("  policies: {{ input: [{policy}] }}\n"))
    };
    let site = "mxcp: 1\nproject: clinic\nprofile: default\n";
    let mut files = vec![("mxcp-site.yml".to_owned(), site.to_owned()), tool("open", "")];
    files.extend((0..tools).map(few));
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let project = Project::new(&files);
    let bundle = project.build();
    (project, bundle)
}

async fn serving(condition: &str, tools: usize, options: &Value) -> VerifierServer {
    VerifierServer::serving(project(condition, tools), options, Signer::new("key-1", "ES256")).await
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
async fn calls(what: &str, tool: &str) {
    let anonymous = serving(ROLES, 5, &json!({ "anonymous": true })).await;
    let verifying = serving(ROLES, 5, &json!({})).await;
    let warm = bearer(&verifying.token(&json!({})));
    let cold: Vec<String> = (0..ROUNDS * 10)
        .map(|i| bearer(&verifying.token(&json!({ "jti": i.to_string() }))))
        .collect();
    let mut to_anonymous = Connection::open(anonymous.server.address());
    let mut to_verifying = Connection::open(verifying.server.address());
    let call = trail::tool(1, tool, &json!({}));
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
    println!("anonymous call, {what:<27} {without:>8.1?} median");
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!("  with a warm token {with:>8.1?} median, {ratio:.3} x the anonymous one");
    goal("a call with a warm token takes", ratio, "x the anonymous one", "at most", 1.05);
    let more = first.saturating_sub(with);
    println!("  with a new token  {first:>8.1?} median, {more:.1?} more than with a warm one");
    goal("a new token takes", more.as_secs_f64() * 1e6, "µs more", "at most", 150.0);
}

/// Many tokens, each used for a call or two and still good; then some that list all tools, for which
/// every condition is asked.
async fn memory(policies: &str, endpoints: usize, tokens: usize) {
    let server = serving(policies, endpoints, &json!({})).await;
    let mut connection = Connection::open(server.server.address());
    let (open, list) =
        (trail::tool(1, "open", &json!({})), trail::message(2, "tools/list", &json!({})));
    let one = |i: usize| {
        bearer(&server.token(&json!({
            "sub": format!("person-{i}"), "preferred_username": format!("person-{i}"),
            "email": format!("person-{i}@corp.example"), "name": format!("Person {i}"),
            "groups": ["everybody", "east"], "org": { "unit": format!("unit {}", i % 100), "site": "main" }, "jti": format!("{i:032x}"), "scope": "tools",
        })))
    };
    let call = |i: usize| trail::tool(1, &format!("t{}", i % endpoints), &json!({}));
    for i in 0..FIRST_TOKENS {
        time(&mut connection, Some(&one(i)), &call(i));
    }
    let before = resident_mib(server.server.id());
    for i in FIRST_TOKENS..FIRST_TOKENS + tokens {
        let token = one(i);
        time(&mut connection, Some(&token), &call(i));
        if i % 10 == 0 {
            time(&mut connection, Some(&token), &open);
        }
    }
    let grown = resident_mib(server.server.id()) - before;
    println!("{tokens} live tokens, {endpoints} tools with `{policies}`");
    println!("  {:.0} bytes each", grown * 1_048_576.0 / tokens as f64);
    goal("they take", grown * 1.048_576, "MB", "at most", 150.0);
    let asked = tokens / 50;
    let before = resident_mib(server.server.id());
    for i in FIRST_TOKENS..FIRST_TOKENS + asked {
        time(&mut connection, Some(&one(i + tokens)), &list);
    }
    let grown = resident_mib(server.server.id()) - before;
    println!(
        "  {:.0} bytes for each of {asked} that list all tools",
        grown * 1_048_576.0 / asked as f64
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
