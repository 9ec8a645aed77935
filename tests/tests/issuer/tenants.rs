//! Many people at once: nobody ever sees another's answer.

use std::collections::HashMap;

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{call, json_of, list, text_of};
use mxcp_tests::identity::verifier::VerifierServer;
use serde_json::{Value, json};

const PEOPLE: usize = 40;
const ROUNDS: usize = 25;

fn anybody() -> Value {
    json!({ "name": "ada" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_themselves_under_load() {
    let server = VerifierServer::start(&json!({})).await;
    let tokens: HashMap<String, String> = (0..PEOPLE)
        .map(|i| {
            let name = format!("person-{i}");
            let role = if i % 2 == 0 { "physician" } else { "nurse" };
            let changes = json!({ "sub": name, "preferred_username": name, "role": role });
            (name, server.token(&changes))
        })
        .collect();
    for round in 0..ROUNDS {
        // All at once, warm and cold tokens mixed, in an order that changes.
        let all = tokens.iter().enumerate().map(|(i, (name, token))| {
            let url = server.url();
            async move {
                let asked = call(&url, token, "am_i", &json!({ "name": name })).await;
                assert_eq!(text_of(&asked), *name);
                if (i + round) % 3 == 0 {
                    let text = text_of(&call(&url, token, "prescribe", &json!({})).await);
                    let number: usize = name["person-".len()..].parse().unwrap();
                    assert_eq!(
                        text == "Only physicians prescribe",
                        number % 2 == 1,
                        "{name}: {text}"
                    );
                }
            }
        });
        futures_util::future::join_all(all).await;
        let bad = server.token(&json!({ "aud": "https://other.example" }));
        assert_eq!(call(&server.url(), &bad, "am_i", &anybody()).await.status, 401);
    }
}

/// The statuses of a hundred requests with a token, all at once.
async fn crowd(server: &VerifierServer, token: &str) -> Vec<u16> {
    let url = server.url();
    let knock = |_| async { list(&url, token).await.status };
    futures_util::future::join_all((0..100).map(knock)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_with_a_new_token_asks_the_provider_once() {
    let server = VerifierServer::start(&json!({})).await;
    let asked = || server.provider.count("/introspect");
    assert_eq!(crowd(&server, "opaque-ada").await, [200; 100]);
    assert_eq!(asked(), 1);
    // Another token is another question, and what is refused is asked anew by who comes later.
    assert_eq!(crowd(&server, "opaque-bob").await, [200; 100]);
    assert_eq!(asked(), 2);
    for _ in 0..2 {
        let before = asked();
        assert_eq!(crowd(&server, "unknown-token").await, [401; 100]);
        assert!((1..50).contains(&(asked() - before)), "{before} {}", asked());
    }
    for name in ["ada", "bob"] {
        let token = format!("opaque-{name}");
        let asked = call(&server.url(), &token, "am_i", &json!({ "name": name })).await;
        assert_eq!(text_of(&asked), name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_of_the_person_who_opened_it() {
    let server = VerifierServer::start(&json!({ "sessions": true })).await;
    let (ada, bob) =
        (server.token(&json!({ "sub": "ada" })), server.token(&json!({ "sub": "bob" })));
    let session = server.open_session(&ada).await;
    assert_eq!(server.in_session(&ada, &session).await, 200);
    // The same person with a new token goes on; another, or another client of hers, does not.
    let renewed = server.token(&json!({ "sub": "ada", "jti": "2" }));
    assert_eq!(server.in_session(&renewed, &session).await, 200);
    let other_client = server.token(&json!({ "sub": "ada", "client_id": "another" }));
    for stranger in [&bob, &other_client] {
        let status = server.in_session(stranger, &session).await;
        assert!(status == 404 || status == 403, "{status}");
    }
    assert_eq!(server.in_session("", &session).await, 401);
    assert_eq!(server.in_session(&ada, &session).await, 200, "nobody ended it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_learn_that_tokens_come_from_the_provider() {
    let server = VerifierServer::start(&json!({})).await;
    let base = server.url().trim_end_matches("/mcp").to_owned();
    for path in ["", "/mcp"] {
        let place = format!("{base}/.well-known/oauth-protected-resource{path}");
        let told = json_of(&Browser::default().get(&place).await);
        assert_eq!(told["resource"], server.url(), "{told}");
        assert_eq!(told["authorization_servers"], json!([server.provider.base]), "{told}");
    }
    // It issues none itself.
    let place = format!("{base}/.well-known/oauth-authorization-server");
    assert_eq!(Browser::default().get(&place).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_verifier_refuses_what_it_should() {
    let server = VerifierServer::start(&json!({})).await;
    let good = server.token(&json!({}));
    assert_eq!(call(&server.url(), &good, "am_i", &anybody()).await.status, 200);
    let now = server.now_s();
    for changes in [
        json!({ "aud": "https://other.example" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": now - 600 }),
        json!({ "exp": "9999999999" }),
        json!({ "nbf": now + 600 }),
        json!({ "sub": "" }),
        json!({ "cnf": {} }),
    ] {
        let page = call(&server.url(), &server.token(&changes), "am_i", &anybody()).await;
        assert_eq!(page.status, 401, "{changes}");
        let challenge = page.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("invalid_token"), "{challenge}");
    }
    let mut forged = good.clone();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    assert_eq!(call(&server.url(), &forged, "am_i", &anybody()).await.status, 401);
    // A role of the wrong type is an error of the policy, which closes.
    let odd = server.token(&json!({ "role": ["physician"] }));
    let answer = json_of(&call(&server.url(), &odd, "prescribe", &json!({})).await);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let log = server.server.log();
    assert!(!log.contains(&good) && !log.contains(&forged));
}
