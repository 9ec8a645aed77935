//! Whoever is turned away is in the trail: strangers in sums, those who are known one by one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stub::Mood;
use super::world::{Plan, World};
use crate::auth::store::LOGINS_PER_ADDRESS_MAX;

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A request, how it is answered, and why: method, path, headers, body, status, reason.
type Case<'c> = (&'c str, &'c str, &'c [(&'c str, &'c str)], &'c str, u16, &'c str);

/// The sums of refusals by their reason.
fn sums(world: &World) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for record in world.records() {
        if let Some(count) = record["event"]["count"].as_u64() {
            assert_eq!(
                (&record["user_id"], &record["client"]["ip"]),
                (&Value::Null, &json!("127.0.0.1"))
            );
            *sums.entry(record["error"].as_str().unwrap().to_owned()).or_insert(0) += count;
        }
    }
    sums
}

/// Individual refusals: reason, user, client.
fn refused(world: &World) -> Vec<(String, Value, Value)> {
    let of = |record: &Value| {
        let reason = record["error"].as_str().unwrap().to_owned();
        (reason, record["user_id"].clone(), record["client"]["id"].clone())
    };
    let all = world.records();
    let single = all.iter().filter(|record| record["event"]["count"].is_null());
    single.filter(|record| record["operation_name"] == "refused").map(of).collect()
}

#[tokio::test]
async fn every_refusal_of_a_stranger_is_in_the_sums() {
    let world = World::with(Plan { required_scopes: vec!["read".into()], ..Plan::default() }).await;
    let client = world.register().await;
    let large = "x".repeat(100_000);
    let ask = |other: &[(&str, &str)]| world.authorize_path(&client, other);
    let plain = ask(&[("code_challenge_method", "plain")]);
    let without = ask(&[("code_challenge", "")]);
    let scope = ask(&[("scope", "everything")]);
    let target = ask(&[("resource", "https://other.example/mcp")]);
    let implicit = ask(&[("response_type", "token")]);
    let request = ask(&[("request", "x")]);
    let stranger = world.authorize_path("nobody", &[]);
    let evil = ("origin", "https://evil.example");
    let (none, bad) = ([JSON], [JSON, ("authorization", "Bearer nonsense")]);
    let cases: &[Case<'_>] = &[
        ("POST", "/token", &[JSON], "{}", 400, "media_type"),
        ("POST", "/revoke", &[JSON], "{}", 400, "media_type"),
        ("POST", "/consent", &[JSON], "{}", 400, "media_type"),
        ("POST", "/token", &[FORM], &large, 413, "body_size"),
        ("POST", "/revoke", &[FORM], &large, 413, "body_size"),
        ("POST", "/consent", &[FORM], &large, 413, "body_size"),
        ("POST", "/register", &[JSON], &large, 413, "body_size"),
        ("POST", "/register", &[JSON], "{}", 400, "invalid_redirect_uri"),
        ("POST", "/token", &[FORM], "client_id=nobody", 401, "invalid_client"),
        ("POST", "/consent", &[FORM], "ticket=x", 403, "access_denied"),
        ("GET", &plain, &[], "", 400, "invalid_request"),
        ("GET", &without, &[], "", 400, "invalid_request"),
        ("GET", &scope, &[], "", 400, "invalid_scope"),
        ("GET", &target, &[], "", 400, "invalid_target"),
        ("GET", &implicit, &[], "", 400, "unsupported_response_type"),
        ("GET", &request, &[], "", 400, "request_not_supported"),
        ("GET", &stranger, &[], "", 400, "invalid_client"),
        ("GET", "/token", &[], "", 405, "method"),
        ("GET", "/consent", &[], "", 405, "method"),
        ("DELETE", "/register", &[], "", 405, "method"),
        ("POST", "/authorize", &[FORM], "x=y", 405, "method"),
        ("POST", "/healthz", &[], "", 405, "method"),
        ("PUT", "/readyz", &[], "", 405, "method"),
        ("POST", "/.well-known/oauth-authorization-server", &[], "", 405, "method"),
        ("POST", "/.well-known/oauth-protected-resource", &[], "", 405, "method"),
        ("GET", "/.well-known/oauth-protected-resource/other", &[], "", 404, "path"),
        ("GET", "/nothing", &[], "", 404, "path"),
        ("GET", "/.well-known/oauth-authorization-server", &[evil], "", 403, "origin"),
        ("POST", "/token", &[FORM, evil], "", 403, "origin"),
        ("GET", "/authorize", &[("host", "evil.example")], "", 403, "host"),
        ("POST", "/mcp", &none, "{}", 401, "no_token"),
        ("POST", "/mcp", &bad, "{}", 401, "invalid_token"),
        ("POST", "/mcp?access_token=x", &[JSON], "{}", 400, "token_in_query"),
    ];
    let mut expected = BTreeMap::new();
    for (method, path, headers, body, status, reason) in cases {
        let reply = world.send(method, path, headers, body).await;
        assert_eq!(reply.status, *status, "{method} {path:.40}: {}", reply.body);
        if *status == 405 {
            assert!(reply.header("allow").is_some_and(|allow| !allow.is_empty()), "{path}");
        }
        *expected.entry((*reason).to_owned()).or_insert(0) += 1;
    }
    world.close_trail();
    assert_eq!(sums(&world), expected);
    assert_eq!(refused(&world), []);
}

#[tokio::test]
async fn a_login_that_cannot_begin_is_recorded_with_its_client() {
    let world = World::new().await;
    let client = world.register().await;
    world.stub.is(Mood::Down);
    let put_off = world.open(&client).await.answer("allow").await;
    assert_eq!(put_off.parameter("error").as_deref(), Some("temporarily_unavailable"));
    world.stub.is(Mood::Well);
    for _ in 0..LOGINS_PER_ADDRESS_MAX {
        world.open(&client).await.allow().await;
    }
    let put_off = world.open(&client).await.answer("allow").await;
    assert_eq!(put_off.parameter("error").as_deref(), Some("temporarily_unavailable"));
    let of_client = |reason: &str| (reason.to_owned(), Value::Null, json!(client));
    assert_eq!(refused(&world), ["provider: unreachable", "too_many_logins"].map(of_client));
}

#[tokio::test]
async fn who_is_known_is_named_in_a_record_of_its_own() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let bearer = format!("Bearer {}", tokens.access);
    let known = ("authorization", bearer.as_str());
    let large = "x".repeat(3_000);
    let cases: &[Case<'_>] = &[
        ("POST", "/mcp", &[known, ("content-type", "text/plain")], "{}", 415, "media_type"),
        ("POST", "/mcp", &[known, JSON, ("accept", "text/html")], "{}", 406, "not_acceptable"),
        ("POST", "/mcp", &[known, JSON], &large, 413, "body_size"),
        ("PUT", "/mcp", &[known], "", 405, "method"),
        ("DELETE", "/mcp", &[known], "", 405, "method"),
    ];
    for (method, path, headers, body, status, _) in cases {
        let reply = world.send(method, path, headers, body).await;
        assert_eq!(reply.status, *status, "{method} {headers:?}: {}", reply.body);
    }
    let expected =
        cases.iter().map(|(.., reason)| ((*reason).to_owned(), json!("ada"), json!(tokens.client)));
    assert_eq!(refused(&world), expected.collect::<Vec<_>>());
    world.close_trail();
    assert_eq!(sums(&world), BTreeMap::new());
}

/// What a client calls itself is said by anybody; the client of a login is the one that was let in.
#[tokio::test]
async fn calls_are_joined_with_the_login_by_the_client() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {
        "name": "secret", "arguments": {"name": "ada"}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "somebody else", "version": "1"},
        },
    }});
    let authorization = format!("Bearer {}", tokens.access);
    let headers = [
        JSON,
        ("authorization", &*authorization),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "prompts/get"),
        ("mcp-name", "secret"),
    ];
    let reply = world.send("POST", "/mcp", &headers, &body.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    world.close_trail();
    let all = world.all_records();
    let of = |name: &str| all.iter().find(|record| record["operation_name"] == name).unwrap();
    assert_eq!(of("secret")["client"]["id"], json!(tokens.client));
    assert_eq!(of("secret")["client"], of("issued")["client"]);
    assert_eq!(of("secret")["user_id"], of("issued")["user_id"]);
}
