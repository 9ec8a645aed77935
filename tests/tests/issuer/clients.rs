//! The official clients log in, as their own OAuth code does it, and call under policies.

use mxcp_tests::clients::{Client, Report, Target};
use mxcp_tests::identity::issuer::{Issuer, REDIRECT};
use serde_json::{Value, json};

/// Calls, with an access token that expires in between.
fn plan() -> Value {
    json!([
        ["call", "am_i", { "name": "ada" }],
        ["call", "prescribe", {}],
        ["call", "care", {}],
        ["expire"],
        ["call", "am_i", { "name": "bob" }],
    ])
}

async fn run(client: Client, mode: &'static str, issuer: &Issuer) -> Report {
    let target = Target::Login { url: issuer.url("/mcp"), redirect: REDIRECT.into() };
    let run = move || client.run(&target, mode, &plan());
    tokio::task::spawn_blocking(run).await.expect("the client ends")
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}"))
}

async fn log_in_and_call(client: Client, mode: &'static str) {
    let issuer =
        Issuer::start("ada", &json!({ "authorization": { "required_scopes": ["clinic"] } }));
    let report = run(client, mode, &issuer).await;
    let [first, second, third, _, fourth] = report.steps.as_slice() else {
        panic!("{:?}", report.steps)
    };
    assert!(text(first).contains("ada"), "{first}");
    assert!(text(second).contains("prescribed"), "{second}");
    assert!(text(third).contains("Not yours"), "{third}");
    assert!(text(fourth).contains("Somebody else"), "{fourth}");
    assert_eq!(report.logins, (1, 2), "one login, and one refresh");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client() {
    log_in_and_call(Client::Python, "legacy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_in_the_modern_revision() {
    log_in_and_call(Client::Python, "2026-07-28").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_client() {
    log_in_and_call(Client::TypeScript, "auto").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_sdk() {
    log_in_and_call(Client::Sdk, "legacy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_sees_the_person_and_the_providers_token() {
    let issuer = Issuer::start("ada", &json!({}));
    let (_, token, _) = issuer.tokens().await;
    let said = issuer.text(&token, "who", &json!({})).await;
    assert_eq!(said, "ada ada@acme.example oidc provider-token hidden");
}
