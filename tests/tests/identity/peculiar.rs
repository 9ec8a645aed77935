//! What is peculiar about each provider, as its public documentation has it.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mxcp_runtime::auth::provider::{
    Callback, Deployment, Login, PROVIDERS, Provider, ProviderError, Settings, kind,
};
use mxcp_runtime::auth::verifier::{Refused, Verifier};
use mxcp_runtime::config::Concealed;
use mxcp_tests::identity::server::{Answer, Seen, Server};
use serde_json::{Value, json};

use super::world::{CLIENT, SECRET, demands, deployment, settings};

/// A server whose answers a test can change, by method and path.
pub(crate) struct Stub {
    pub(crate) server: Server,
    answers: Answers,
    pub(crate) deployment: Deployment,
}

type Answers = Arc<Mutex<Vec<(String, Answer)>>>;

impl Stub {
    pub(crate) async fn start() -> Self {
        let answers: Answers = Arc::default();
        let known = Arc::clone(&answers);
        let answer = move |_: &str, seen: &Seen| {
            let asked = format!("{} {}", seen.method, seen.path);
            let known = known.lock().unwrap();
            let found = known.iter().rfind(|(place, _)| *place == asked);
            found.map_or_else(|| Answer::text(404, "{}"), |(_, answer)| answer.clone())
        };
        Self { server: Server::start(answer).await, answers, deployment: deployment() }
    }

    pub(crate) fn on(&self, place: &str, answer: Answer) {
        self.answers.lock().unwrap().push((place.to_owned(), answer));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.base)
    }

    pub(crate) fn provider(&self, name: &str, keys: &[(&str, &str)]) -> Arc<dyn Provider> {
        let values: Vec<(String, String)> =
            keys.iter().map(|(key, path)| ((*key).to_owned(), self.url(path))).collect();
        let settings = Settings { values, ..settings(&[]) };
        (kind(name).unwrap().build)(&settings, &self.deployment).unwrap()
    }
}

pub(crate) fn login() -> Login {
    Login::new("https://mcp.example/auth/x/callback".into())
}

pub(crate) fn callback() -> Callback {
    Callback { code: Concealed::new("the-code".into()), iss: None }
}

pub(crate) fn claims(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn opaque(text: &str) -> Concealed<String> {
    Concealed::new(text.to_owned())
}

#[test]
fn every_kind_says_what_it_needs() {
    assert!(PROVIDERS.is_sorted_by_key(|kind| kind.name));
    for kind in PROVIDERS {
        for key in kind.keys {
            assert!(!key.meaning.is_empty(), "{} {}", kind.name, key.name);
        }
    }
}

// GitHub: https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps

async fn github() -> (Stub, Arc<dyn Provider>) {
    let stub = Stub::start().await;
    let keys = [
        ("auth_url", "/login/oauth/authorize"),
        ("token_url", "/login/oauth/access_token"),
        ("api_url", "/api"),
    ];
    let provider = stub.provider("github", &keys);
    let token =
        json!({ "access_token": "gho_1", "token_type": "bearer", "scope": "read:user,user:email" });
    stub.on("POST /login/oauth/access_token", Answer::json(&token));
    let user =
        json!({ "login": "octocat", "id": 583_231, "name": "Mona", "email": null, "type": "User" });
    stub.on("GET /api/user", Answer::json(&user));
    (stub, provider)
}

#[tokio::test]
async fn github_finds_a_private_address() {
    let (stub, github) = github().await;
    stub.on(
        "GET /api/user/emails",
        Answer::json(&json!([
            { "email": "old@example.com", "primary": false, "verified": true, "visibility": null },
            { "email": "new@example.com", "primary": true, "verified": true, "visibility": "private" },
        ])),
    );
    let grant = github.exchange(&login(), &callback()).await.unwrap();
    assert_eq!(grant.scopes, ["read:user", "user:email"]);
    assert_eq!(grant.expires_at, None);
    let sent = stub.server.last("/login/oauth/access_token");
    assert_eq!(sent.form()["client_secret"], SECRET);
    assert_eq!(sent.headers["accept"], "application/json");
    let person = github.identity(&grant).await.unwrap();
    assert_eq!(person.user_id, "583231", "the number, not the login, which others can take");
    assert_eq!(claims(person.claims.text())["email"], "new@example.com");
    let seen = stub.server.last("/api/user");
    assert_eq!(seen.authorization(), "Bearer gho_1");
    assert!(!seen.headers["user-agent"].is_empty(), "GitHub refuses requests without");
    assert_eq!(seen.headers["x-github-api-version"], "2022-11-28");
}

#[tokio::test]
async fn github_knows_no_address_without_a_verified_one() {
    let (stub, github) = github().await;
    let grant = github.exchange(&login(), &callback()).await.unwrap();
    let unverified = json!([{ "email": "x@example.com", "primary": true, "verified": false }]);
    for emails in [
        Answer::json(&unverified),
        Answer::json(&json!([])),
        Answer::status(404, &json!({ "message": "Not Found" })),
        Answer::status(403, &json!({ "message": "Resource not accessible" })),
    ] {
        stub.on("GET /api/user/emails", emails);
        let person = github.identity(&grant).await.unwrap();
        assert!(claims(person.claims.text()).get("email").is_none());
    }
    stub.on("GET /api/user/emails", Answer::status(502, &json!({})));
    assert!(github.identity(&grant).await.unwrap_err().is_temporary());
    let wrong = json!([{ "email": "x@example.com", "primary": "yes", "verified": true }]);
    stub.on("GET /api/user/emails", Answer::json(&wrong));
    github.identity(&grant).await.unwrap_err();
}

#[tokio::test]
async fn github_says_no_with_status_200() {
    let (stub, github) = github().await;
    for (code, is_end) in [
        ("bad_verification_code", true),
        ("incorrect_client_credentials", false),
        ("redirect_uri_mismatch", false),
    ] {
        let body =
            json!({ "error": code, "error_description": "secret words", "error_uri": "https://x" });
        stub.on("POST /login/oauth/access_token", Answer::json(&body));
        let error = github.exchange(&login(), &callback()).await.unwrap_err();
        if is_end {
            assert_eq!(error, ProviderError::InvalidGrant);
        } else {
            assert_eq!(error, ProviderError::Refused { code: code.into() });
        }
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn github_refresh_and_its_end() {
    let (stub, github) = github().await;
    let mut grant = github.exchange(&login(), &callback()).await.unwrap();
    assert_eq!(github.refresh(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    grant.refresh_token = Some(opaque("ghr_1"));
    let body = json!({ "error": "bad_refresh_token" });
    stub.on("POST /login/oauth/access_token", Answer::json(&body));
    assert_eq!(github.refresh(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    stub.on("GET /api/user", Answer::status(401, &json!({ "message": "Bad credentials" })));
    assert_eq!(github.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
}

#[tokio::test]
async fn github_names_itself_in_callbacks() {
    let (stub, github) = github().await;
    let named = |iss: String| Callback { iss: Some(iss), ..callback() };
    github.exchange(&login(), &named(stub.url("/login/oauth"))).await.unwrap();
    let error = github.exchange(&login(), &named("https://evil.example".into())).await;
    assert_eq!(error.unwrap_err(), ProviderError::MixedUp);
}

#[tokio::test]
async fn github_tells_whose_app_a_token_is_of() {
    let (stub, github) = github().await;
    let place = format!("/api/applications/{CLIENT}/token");
    let about = |client: &str| {
        json!({
            "app": { "client_id": client, "name": "x" }, "scopes": ["read:user"], "expires_at": null,
            "user": { "login": "octocat", "id": 583_231, "type": "User" },
        })
    };
    stub.on(&format!("POST {place}"), Answer::json(&about(CLIENT)));
    let verifier = Verifier::new(Arc::clone(&github), &stub.deployment, demands());
    let verified = verifier.verify("gho_1").await.unwrap();
    assert_eq!(verified.person.user_id, "583231");
    assert_eq!(verified.scopes, ["read:user"]);
    assert!(verified.expires_at <= stub.deployment.clock.now_s() + 60, "asked again in a minute");
    let seen = stub.server.last(&place);
    assert_eq!(claims(&seen.body)["access_token"], "gho_1");
    assert!(seen.authorization().starts_with("Basic "));
    // Another app's token opens nothing here.
    stub.on(&format!("POST {place}"), Answer::json(&about("another-app")));
    assert!(matches!(verifier.verify("gho_2").await, Err(Refused::Invalid(_))));
    stub.on(&format!("POST {place}"), Answer::status(404, &json!({ "message": "Not Found" })));
    assert!(matches!(verifier.verify("gho_3").await, Err(Refused::Invalid(_))));
    stub.on(&format!("POST {place}"), Answer::status(401, &json!({})));
    assert!(matches!(verifier.verify("gho_4").await, Err(Refused::Unavailable(_))));
    // Giving it back is at the same place.
    let grant = github.exchange(&login(), &callback()).await.unwrap();
    stub.on(
        &format!("DELETE {place}"),
        Answer { status: 204, headers: vec![], body: String::new(), after_ms: 0 },
    );
    github.revoke(&grant).await.unwrap();
}

#[tokio::test]
async fn github_accounts_are_numbers() {
    let (stub, github) = github().await;
    let grant = github.exchange(&login(), &callback()).await.unwrap();
    stub.on("GET /api/user/emails", Answer::json(&json!([])));
    for id in [json!(null), json!("583231"), json!(1.5), json!(-1), json!([1])] {
        stub.on("GET /api/user", Answer::json(&json!({ "login": "x", "id": id })));
        github.identity(&grant).await.unwrap_err();
    }
}

// Atlassian: https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/

async fn atlassian() -> (Stub, Arc<dyn Provider>) {
    let stub = Stub::start().await;
    let keys = [("auth_url", "/authorize"), ("token_url", "/oauth/token"), ("api_url", "/api")];
    let provider = stub.provider("atlassian", &keys);
    // As documented: without `token_type`.
    let token = json!({ "access_token": "eyJ.atlassian.token", "refresh_token": "r1", "expires_in": 3600, "scope": "read:me offline_access" });
    stub.on("POST /oauth/token", Answer::json(&token));
    let me = json!({
        "account_type": "atlassian", "account_id": "112233aa-bb11", "email": "mia@example.com",
        "name": "Mia Krystof", "account_status": "active", "nickname": "mkrystof",
    });
    stub.on("GET /api/me", Answer::json(&me));
    let sites = json!([{ "id": "1324a887", "name": "site", "url": "https://site.atlassian.net", "scopes": ["read:me"] }]);
    stub.on("GET /api/oauth/token/accessible-resources", Answer::json(&sites));
    (stub, provider)
}

#[tokio::test]
async fn atlassian_is_asked_for_its_audience_and_tells_the_sites() {
    let (_stub, atlassian) = atlassian().await;
    let url = atlassian.authorization_url(&login()).await.unwrap();
    assert!(url.contains("audience=api.atlassian.com") && url.contains("prompt=consent"), "{url}");
    let grant = atlassian.exchange(&login(), &callback()).await.unwrap();
    let person = atlassian.identity(&grant).await.unwrap();
    assert_eq!(person.user_id, "112233aa-bb11");
    let claims = claims(person.claims.text());
    assert_eq!(claims["accessible_resources"][0]["id"], "1324a887");
    assert_eq!(claims["email"], "mia@example.com");
}

#[tokio::test]
async fn atlassian_accounts_that_are_closed_are_nobody() {
    let (stub, atlassian) = atlassian().await;
    let grant = atlassian.exchange(&login(), &callback()).await.unwrap();
    for status in ["inactive", "closed"] {
        let me = json!({ "account_id": "a", "account_status": status });
        stub.on("GET /api/me", Answer::json(&me));
        assert_eq!(atlassian.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    }
}

#[tokio::test]
async fn atlassian_refresh_ends_with_403() {
    let (stub, atlassian) = atlassian().await;
    let grant = atlassian.exchange(&login(), &callback()).await.unwrap();
    let body = json!({ "error": "invalid_grant", "error_description": "Unknown or invalid refresh token." });
    stub.on("POST /oauth/token", Answer::status(403, &body));
    assert_eq!(atlassian.refresh(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
}

#[tokio::test]
async fn atlassian_tokens_prove_no_audience() {
    let (stub, atlassian) = atlassian().await;
    let strict = Verifier::new(Arc::clone(&atlassian), &stub.deployment, demands());
    assert!(matches!(strict.verify("eyJ.atlassian.token").await, Err(Refused::Invalid(_))));
    assert_eq!(stub.server.count("/api/me"), 0);
    let loose = mxcp_runtime::auth::verifier::Demands { allow_unaudienced: true, ..demands() };
    let loose = Verifier::new(atlassian, &stub.deployment, loose);
    let verified = loose.verify("eyJ.atlassian.token").await.unwrap();
    assert_eq!(verified.person.user_id, "112233aa-bb11");
}

#[tokio::test]
async fn atlassian_sites_that_it_does_not_tell_are_none() {
    let (stub, atlassian) = atlassian().await;
    let grant = atlassian.exchange(&login(), &callback()).await.unwrap();
    let me = json!({ "account_id": "a", "accessible_resources": [{ "id": "forged" }] });
    stub.on("GET /api/me", Answer::json(&me));
    stub.on("GET /api/oauth/token/accessible-resources", Answer::status(403, &json!({})));
    let person = atlassian.identity(&grant).await.unwrap();
    assert!(claims(person.claims.text()).get("accessible_resources").is_none());
    stub.on("GET /api/oauth/token/accessible-resources", Answer::json(&json!({})));
    atlassian.identity(&grant).await.unwrap_err();
}

// Salesforce: https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm

async fn salesforce() -> (Stub, Arc<dyn Provider>) {
    let stub = Stub::start().await;
    let keys =
        [("auth_url", "/services/oauth2/authorize"), ("token_url", "/services/oauth2/token")];
    let provider = stub.provider("salesforce", &keys);
    stub.on("POST /services/oauth2/token", Answer::json(&salesforce_token(&stub, SECRET)));
    stub.on("GET /id/00D/005A", Answer::json(&salesforce_identity(true)));
    (stub, provider)
}

fn salesforce_token(stub: &Stub, secret: &str) -> Value {
    let id = stub.url("/id/00D/005A");
    let issued_at = "1708050000000";
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&key, format!("{id}{issued_at}").as_bytes());
    json!({
        "access_token": "00D!token", "refresh_token": "r1", "signature": STANDARD.encode(signature),
        "scope": "id email refresh_token", "instance_url": stub.server.base, "id": id,
        "token_type": "Bearer", "issued_at": issued_at,
    })
}

fn salesforce_identity(active: bool) -> Value {
    json!({
        "user_id": "005A", "organization_id": "00D", "username": "ada@acme.example.sandbox",
        "display_name": "Ada", "email": "ada@acme.example", "email_verified": true, "active": active,
    })
}

#[tokio::test]
async fn salesforce_identity_is_at_the_id_url() {
    let (_stub, salesforce) = salesforce().await;
    let grant = salesforce.exchange(&login(), &callback()).await.unwrap();
    assert_eq!(grant.expires_at, None, "Salesforce does not say");
    let person = salesforce.identity(&grant).await.unwrap();
    assert_eq!(person.user_id, "005A");
    assert_eq!(person.naming.username[0], "username");
    assert_eq!(claims(person.claims.text())["organization_id"], "00D");
}

#[tokio::test]
async fn salesforce_may_lead_to_the_instance() {
    let (stub, salesforce) = salesforce().await;
    let grant = salesforce.exchange(&login(), &callback()).await.unwrap();
    stub.on("GET /id/00D/005A", Answer::redirect(stub.url("/instance/005A")));
    stub.on("GET /instance/005A", Answer::json(&salesforce_identity(true)));
    assert_eq!(salesforce.identity(&grant).await.unwrap().user_id, "005A");
    // Never away from Salesforce, and never on and on.
    stub.on("GET /id/00D/005A", Answer::redirect("http://127.0.0.1:1/steal".into()));
    let error = salesforce.identity(&grant).await.unwrap_err();
    assert!(matches!(error, ProviderError::Answer(_)), "{error:?}");
    stub.on("GET /id/00D/005A", Answer::redirect("/id/00D/005A".into()));
    salesforce.identity(&grant).await.unwrap_err();
}

#[tokio::test]
async fn salesforce_ids_that_are_not_its_own_are_refused() {
    let (stub, salesforce) = salesforce().await;
    let place = "POST /services/oauth2/token";
    for id in [
        "https://evil.example/id/00D/005A",
        "https://login.salesforce.com.evil.example/id/00D/005A",
        "https://evilsalesforce.com/id/00D/005A",
        "http://login.salesforce.com/id/00D/005A",
        "nonsense",
    ] {
        let mut token = salesforce_token(&stub, SECRET);
        token["id"] = json!(id);
        token.as_object_mut().unwrap().remove("signature");
        stub.on(place, Answer::json(&token));
        let error = salesforce.exchange(&login(), &callback()).await.unwrap_err();
        assert!(matches!(error, ProviderError::Answer(_)), "{id}: {error:?}");
    }
    stub.on(place, Answer::json(&salesforce_token(&stub, "another secret")));
    let error = salesforce.exchange(&login(), &callback()).await.unwrap_err();
    assert!(error.to_string().contains("signature"), "{error}");
}

#[tokio::test]
async fn salesforce_ends() {
    let (stub, salesforce) = salesforce().await;
    let grant = salesforce.exchange(&login(), &callback()).await.unwrap();
    stub.on("GET /id/00D/005A", Answer::json(&salesforce_identity(false)));
    assert_eq!(salesforce.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    stub.on("GET /id/00D/005A", Answer::text(403, "Bad_OAuth_Token"));
    assert_eq!(salesforce.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    let mut other = salesforce_token(&stub, SECRET);
    other["id"] = json!(stub.url("/id/00D/005B"));
    other.as_object_mut().unwrap().remove("signature");
    stub.on("POST /services/oauth2/token", Answer::json(&other));
    salesforce.refresh(&grant).await.unwrap_err();
    let end =
        json!({ "error": "invalid_grant", "error_description": "expired access/refresh token" });
    stub.on("POST /services/oauth2/token", Answer::status(400, &end));
    assert_eq!(salesforce.refresh(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
}

#[tokio::test]
async fn salesforce_introspection_names_the_app() {
    let (stub, salesforce) = salesforce().await;
    let now = stub.deployment.clock.now_s();
    let mut answer = json!({
        "active": true, "scope": "id", "client_id": CLIENT, "username": "ada@acme.example",
        "sub": "https://login.salesforce.com/id/00D/005A", "token_type": "access_token",
        "exp": now + 600, "iat": now, "nbf": now,
    });
    let place = "POST /services/oauth2/introspect";
    stub.on(place, Answer::json(&answer));
    let verifier = Verifier::new(salesforce, &stub.deployment, demands());
    let verified = verifier.verify("00D!token").await.unwrap();
    assert_eq!(verified.person.user_id, "005A");
    answer["client_id"] = json!("another");
    stub.on(place, Answer::json(&answer));
    assert!(matches!(verifier.verify("00D!token").await, Err(Refused::Invalid(_))));
    answer["client_id"] = json!(CLIENT);
    answer["token_type"] = json!("refresh_token");
    stub.on(place, Answer::json(&answer));
    assert!(matches!(verifier.verify("00D!token").await, Err(Refused::Invalid(_))));
    stub.on(place, Answer::json(&json!({ "active": false })));
    assert!(matches!(verifier.verify("00D!token").await, Err(Refused::Invalid(_))));
}
