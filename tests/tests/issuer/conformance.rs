//! The official conformance suite of MCP against our authorization server, with a person who logs in
//! where the suite asks for one; then what the suite expects of clients, turned round on us: each
//! page and challenge that its own servers show to clients is one that ours shows too.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use mxcp_tests::clients;
use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, VERIFIER, call, json_of, parameter};
use mxcp_tests::server::free_port;
use serde_json::{Value, json};

/// Runs both scenarios of authorization servers with a public client: given a secret, the suite would
/// not use it with a server that has public clients too. What the suite says of each check.
async fn run(issuer: &Issuer, client: &str, port: u16) -> Vec<Value> {
    let results = tempfile::tempdir().expect("a temporary folder");
    let mut command = clients::suite();
    let resource = issuer.url("/mcp");
    command.args(["authorization", "--url", &issuer.base, "--client-id", client]);
    command.args(["--resource", &resource, "--port", &port.to_string(), "--output-dir"]);
    command.arg(results.path());
    let mut suite = command.stdout(Stdio::piped()).spawn().expect("the suite starts");
    let lines = BufReader::new(suite.stdout.take().expect("its output")).lines();
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::task::spawn_blocking(move || {
        let mut printed = String::new();
        for line in lines.map_while(Result::ok) {
            if line.starts_with("http") {
                let _ = sender.send(line.clone());
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        printed
    });
    // The person whom the suite asks to open a page and log in.
    let mut person = Browser::default();
    while let Some(url) = asked.recv().await {
        let callback = issuer.until_callback(&mut person, &url).await;
        let back = person.get(callback.as_str()).await.location().expect("back to the client");
        assert_eq!(person.get(back.as_str()).await.status, 200);
    }
    let printed = reading.await.expect("the suite prints");
    let status = suite.wait().expect("the suite ends");
    assert!(status.success(), "{printed}");
    checks(results.path())
}

/// The checks that are recorded below a folder.
fn checks(folder: &std::path::Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of results") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(checks(&path));
        } else if path.file_name().is_some_and(|name| name == "checks.json") {
            let text = std::fs::read_to_string(path).expect("results");
            let all: Vec<Value> = serde_json::from_str(&text).expect("checks");
            found.extend(all);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_accepts_our_authorization_server() {
    let port = free_port();
    let back = format!("http://127.0.0.1:{port}/callback");
    let issuer = Issuer::start(
        "ada",
        &json!({ "clients": [{
            "client_id": "known", "name": "Known",
            "redirect_uris": [back], "grant_types": ["authorization_code", "refresh_token"],
        }] }),
    );
    let registered = issuer.register(&[&back]).await;
    for client in ["known", &registered] {
        let checks = run(&issuer, client, port).await;
        let text = |check: &Value, name: &str| check[name].as_str().unwrap_or_default().to_owned();
        let mut seen: Vec<_> =
            checks.iter().map(|check| (text(check, "id"), text(check, "status"))).collect();
        seen.sort();
        println!("{client}: {} checks: {seen:?}", seen.len());
        let expected = [
            "authorization-code-grant",
            "authorization-server-metadata",
            "authorization-server-metadata-cimd",
        ];
        let expected = expected.map(|id| (id.to_owned(), "SUCCESS".to_owned()));
        assert_eq!(seen, expected, "{checks:#?}");
    }
}

/// A server that asks for a scope, with a client that it knows beforehand.
fn scoped() -> Issuer {
    Issuer::start(
        "ada",
        &json!({
            "authorization": { "required_scopes": ["tools"] },
            "clients": [{
                "client_id": "known", "client_secret": "a secret of the client",
                "redirect_uris": [REDIRECT], "grant_types": ["authorization_code", "refresh_token"],
                "scopes": ["tools", "more"],
            }],
        }),
    )
}

/// Our answers to what the suite's own servers show to a client.
struct Shown {
    issuer: Issuer,
    /// metadata of the authorization server
    server: Value,
    /// metadata of the resource, as the challenge names it
    resource: Value,
    /// the challenge to a request without a token
    challenge: String,
}

impl Shown {
    async fn by(issuer: Issuer) -> Self {
        let refused = call(&issuer.url("/mcp"), "", "am_i", &json!({})).await;
        assert_eq!(refused.status, 401);
        let challenge = refused.headers["www-authenticate"].to_str().expect("text").to_owned();
        let place = quoted(&challenge, "resource_metadata").expect("where the metadata is");
        let mut browser = Browser::default();
        let resource = json_of(&browser.get(&place).await);
        let named = resource["authorization_servers"][0].as_str().expect("an authorization server");
        let place = format!("{named}/.well-known/oauth-authorization-server");
        let server = json_of(&browser.get(&place).await);
        Self { issuer, server, resource, challenge }
    }

    /// Logs in as a client asks for it; what the client is sent back with.
    async fn login(&self, client: &str, changes: &[(&str, &str)]) -> url::Url {
        let mut person = Browser::default();
        let url = self.issuer.authorize(client, changes);
        let callback = self.issuer.until_callback(&mut person, &url).await;
        person.get(callback.as_str()).await.location().expect("back to the client")
    }

    /// Exchanges what a client was sent back with, as it authenticates.
    async fn tokens(&self, back: &url::Url, fields: &[(&str, &str)], basic: &str) -> Value {
        let code = parameter(back, "code").expect("a code");
        let own = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
        ];
        let headers: &[_] = if basic.is_empty() { &[] } else { &[("authorization", basic)] };
        let place = self.server["token_endpoint"].as_str().expect("a token endpoint");
        let page = Browser::default().post_with(place, &[&own, fields].concat(), headers).await;
        assert_eq!(page.status, 200, "{}", page.body);
        json_of(&page)
    }
}

/// A parameter of a challenge.
fn quoted(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    rest.split('"').next().map(str::to_owned)
}

fn has(value: &Value, item: &str) -> bool {
    value.as_array().is_some_and(|items| items.iter().any(|one| one == item))
}

/// Client scenarios of the suite that are of extensions which this server does not have.
const EXTENSIONS: [&str; 6] = [
    "auth/client-credentials-basic",
    "auth/client-credentials-jwt",
    "auth/dpop",
    "auth/dpop-nonce",
    "auth/enterprise-managed-authorization",
    "auth/wif-jwt-bearer",
];
/// Client scenarios of the suite, and the test here that holds the server's side of each.
const TURNED_ROUND: [(&str, &str); 27] = [
    ("auth/2025-03-26-oauth-endpoint-fallback", "where"),
    ("auth/2025-03-26-oauth-metadata-backcompat", "where"),
    ("auth/authorization-server-migration", "issuer"),
    ("auth/basic-cimd", "clients"),
    ("auth/iss-normalized", "issuer"),
    ("auth/iss-not-advertised", "issuer"),
    ("auth/iss-supported", "issuer"),
    ("auth/iss-supported-missing", "issuer"),
    ("auth/iss-unexpected", "issuer"),
    ("auth/iss-wrong-issuer", "issuer"),
    ("auth/metadata-default", "where"),
    ("auth/metadata-issuer-mismatch", "issuer"),
    ("auth/metadata-var1", "where"),
    ("auth/metadata-var2", "where"),
    ("auth/metadata-var3", "where"),
    ("auth/offline-access-not-supported", "scopes"),
    ("auth/offline-access-scope", "scopes"),
    ("auth/pre-registration", "clients"),
    ("auth/resource-mismatch", "where"),
    ("auth/scope-from-scopes-supported", "scopes"),
    ("auth/scope-from-www-authenticate", "scopes"),
    ("auth/scope-omitted-when-undefined", "scopes"),
    ("auth/scope-retry-limit", "scopes"),
    ("auth/scope-step-up", "scopes"),
    ("auth/token-endpoint-auth-basic", "clients"),
    ("auth/token-endpoint-auth-none", "clients"),
    ("auth/token-endpoint-auth-post", "clients"),
];

#[test]
fn no_scenario_of_clients_is_left_out() {
    let printed = clients::conformance(&["list", "--client"]);
    let named = printed.lines().filter_map(|line| line.trim().strip_prefix("- auth/"));
    let mut listed: Vec<String> =
        named.map(|rest| format!("auth/{}", rest.split(' ').next().expect("a name"))).collect();
    listed.sort();
    let known = TURNED_ROUND.iter().map(|(name, _)| *name).chain(EXTENSIONS);
    let mut known: Vec<String> = known.map(str::to_owned).collect();
    known.sort();
    assert_eq!(listed, known);
}

/// What [`TURNED_ROUND`] calls `where`: a client finds everything from the challenge, and from the
/// places where clients of the first revision look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_where_clients_look() {
    let shown = Shown::by(scoped()).await;
    let (base, mut browser) = (&shown.issuer.base, Browser::default());
    assert_eq!(shown.resource["resource"], shown.issuer.url("/mcp"));
    for path in ["", "/mcp"] {
        let place = shown.issuer.url(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(json_of(&browser.get(&place).await), shown.resource, "{place}");
    }
    for (name, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
    ] {
        assert_eq!(shown.server[name], format!("{base}{path}"));
    }
    // A client that finds no metadata sends no `resource` either.
    let client = shown.issuer.register(&[REDIRECT]).await;
    let back = shown.login(&client, &[("resource", ""), ("scope", "tools")]).await;
    let tokens = shown.tokens(&back, &[("client_id", &client)], "").await;
    let token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(shown.issuer.call(token).await.status, 200);
}

/// What [`TURNED_ROUND`] calls `issuer`: one name, the same to the letter wherever it stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_issuer_has_one_name() {
    let shown = Shown::by(scoped()).await;
    assert_eq!(shown.server["issuer"], shown.issuer.base);
    assert_eq!(shown.resource["authorization_servers"], json!([shown.issuer.base]));
    assert_eq!(shown.server["authorization_response_iss_parameter_supported"], true);
    let back = shown.login("known", &[("scope", "tools")]).await;
    assert_eq!(parameter(&back, "iss").as_deref(), Some(&*shown.issuer.base));
    assert!(parameter(&back, "code").is_some());
    // Errors say whose they are as well.
    let url = shown.issuer.authorize("known", &[("scope", "unheard-of")]);
    let refused = Browser::default().get(&url).await.location().expect("back to the client");
    assert_eq!(parameter(&refused, "error").as_deref(), Some("invalid_scope"));
    assert_eq!(parameter(&refused, "iss").as_deref(), Some(&*shown.issuer.base));
    // Another issuer's clients are nobody here.
    let other = Issuer::start("ada", &json!({}));
    let foreign = other.register(&[REDIRECT]).await;
    let page = Browser::default().get(&shown.issuer.authorize(&foreign, &[])).await;
    assert!(page.location().is_none() && page.status >= 400, "{} {}", page.status, page.body);
}

/// What [`TURNED_ROUND`] calls `clients`: known beforehand, registered, or described under a URL, and
/// authenticated in each way that metadata names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_client_is_served() {
    use base64::Engine as _;
    let shown = Shown::by(scoped()).await;
    assert_eq!(shown.server["client_id_metadata_document_supported"], true);
    let methods = &shown.server["token_endpoint_auth_methods_supported"];
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        assert!(has(methods, method), "{methods}");
    }
    let pair = "known:a+secret+of+the+client";
    let basic = base64::engine::general_purpose::STANDARD.encode(pair);
    let basic = format!("Basic {basic}");
    let client = shown.issuer.register(&[REDIRECT]).await;
    for (client, fields, header) in [
        ("known", vec![], basic.as_str()),
        ("known", vec![("client_id", "known"), ("client_secret", "a secret of the client")], ""),
        (&*client, vec![("client_id", &*client)], ""),
    ] {
        let back = shown.login(client, &[("scope", "tools")]).await;
        let tokens = shown.tokens(&back, &fields, header).await;
        assert_eq!(tokens["token_type"], "Bearer");
        let token = tokens["access_token"].as_str().expect("a token");
        assert_eq!(shown.issuer.call(token).await.status, 200);
    }
}

/// What [`TURNED_ROUND`] calls `scopes`: a client learns what to ask for from the challenge or from
/// metadata, and from a refusal what it lacks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scopes_are_named_where_clients_look() {
    let shown = Shown::by(scoped()).await;
    assert_eq!(quoted(&shown.challenge, "scope").as_deref(), Some("tools"));
    for metadata in [&shown.server, &shown.resource] {
        assert!(has(&metadata["scopes_supported"], "tools"), "{metadata}");
        // Refresh tokens need no scope of their own.
        assert!(!has(&metadata["scopes_supported"], "offline_access"), "{metadata}");
    }
    assert!(has(&shown.server["grant_types_supported"], "refresh_token"));
    let back = shown.login("known", &[("scope", "more")]).await;
    let secret = [("client_id", "known"), ("client_secret", "a secret of the client")];
    let tokens = shown.tokens(&back, &secret, "").await;
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    let token = tokens["access_token"].as_str().expect("a token");
    for _ in 0..3 {
        // However often it asks, it is told the same.
        let page = shown.issuer.call(token).await;
        assert_eq!(page.status, 403);
        let challenge = page.headers["www-authenticate"].to_str().expect("text");
        assert_eq!(quoted(challenge, "error").as_deref(), Some("insufficient_scope"));
        assert_eq!(quoted(challenge, "scope").as_deref(), Some("tools"));
    }
    let back = shown.login("known", &[("scope", "tools more")]).await;
    let tokens = shown.tokens(&back, &secret, "").await;
    let token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(shown.issuer.call(token).await.status, 200);

    let open = Shown::by(Issuer::start("ada", &json!({}))).await;
    assert_eq!(quoted(&open.challenge, "scope"), None);
    assert!(open.resource.get("scopes_supported").is_none(), "{}", open.resource);
    let client = open.issuer.register(&[REDIRECT]).await;
    let back = open.login(&client, &[("scope", "")]).await;
    let tokens = open.tokens(&back, &[("client_id", &client)], "").await;
    let token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(open.issuer.call(token).await.status, 200);
}
