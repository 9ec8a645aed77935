//! The attack table: one test for each thing that must not work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::world::{Browser, CALLBACK, Plan, REDIRECT, Tokens, VERIFIER, World, encode};

const EVIL: &str = "https://evil.example/cb";

#[tokio::test]
async fn open_redirect() {
    let world = World::new().await;
    let client = world.register().await;
    for uri in
        [EVIL, "https://client.example/cb/", "https://client.example/cb?x=y", "javascript:alert(1)"]
    {
        let page = world.get(&world.authorize_path(&client, &[("redirect_uri", uri)])).await;
        assert_eq!((page.status, page.header("location")), (400, None), "{uri}");
    }
    // An error never leads anywhere that was not checked first.
    let both = [("redirect_uri", EVIL), ("response_type", "token")];
    let page = world.get(&world.authorize_path(&client, &both)).await;
    assert_eq!((page.status, page.header("location")), (400, None));
    let unknown = world.get(&world.authorize_path("unknown", &[])).await;
    assert_eq!((unknown.status, unknown.header("location")), (400, None));
    let twice = format!("{}&redirect_uri={EVIL}", world.authorize_path(&client, &[]));
    let page = world.get(&twice).await;
    assert_eq!((page.status, page.header("location")), (400, None));
    // Two are registered, so none is meant when none is named.
    let none = world.get(&world.authorize_path(&client, &[("redirect_uri", "")])).await;
    assert_eq!(none.status, 400);
}

#[tokio::test]
async fn requests_without_what_protects_them() {
    let world = World::new().await;
    let client = world.register().await;
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "x", "request_not_supported"),
        ("request_uri", "https://x", "request_uri_not_supported"),
        ("resource", "https://other.example/mcp", "invalid_target"),
        ("resource", "not a url", "invalid_target"),
    ] {
        let back = world.get(&world.authorize_path(&client, &[(name, value)])).await;
        assert_eq!(back.parameter("error").as_deref(), Some(error), "{name}={value}");
        assert_eq!(back.parameter("state").as_deref(), Some("client-state"));
        assert_eq!(back.parameter("iss"), Some(world.base()));
    }
    let twice = format!("{}&state=other", world.authorize_path(&client, &[]));
    assert_eq!(world.get(&twice).await.parameter("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn confused_deputy_without_consent() {
    let world = World::new().await;
    let client = world.register().await;
    let browser = world.open(&client).await;
    assert_eq!(world.stub.exchanges.load(Ordering::SeqCst), 0);
    // Nothing was asked of the provider, and no state exists that a callback could use.
    let back = browser.come_back(&[("code", "good"), ("state", "guessed")]).await;
    assert_eq!((back.status, back.header("location")), (403, None));
    // A second client is asked about anew.
    let other = world.register().await;
    world.login(&client).await;
    let page = world.get(&world.authorize_path(&other, &[])).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("name=\"decision\""));
}

#[tokio::test]
async fn consent_from_another_page_or_browser() {
    let world = World::new().await;
    let client = world.register().await;
    let (ada, eve) = (world.open(&client).await, world.open(&client).await);
    let send = |cookie: String, ticket: String, site: Option<&'static str>| {
        let world = &world;
        async move {
            let pairs = [("ticket", ticket.as_str()), ("decision", "allow")];
            let mut headers = Vec::new();
            if !cookie.is_empty() {
                headers.push(("cookie", cookie.as_str()));
            }
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            world.form("/consent", &headers, &pairs).await.status
        }
    };
    let (cookie, ticket) = (ada.cookie.clone(), ada.ticket.clone());
    assert_eq!(send(String::new(), ticket.clone(), None).await, 403);
    assert_eq!(send(cookie.clone(), eve.ticket.clone(), None).await, 403);
    assert_eq!(send(eve.cookie.clone(), ticket.clone(), None).await, 403);
    assert_eq!(send(cookie.clone(), ticket[1..].to_owned(), None).await, 403);
    assert_eq!(send(cookie.clone(), ticket.clone(), Some("cross-site")).await, 403);
    let pairs = [("ticket", ticket.as_str()), ("decision", "allow")];
    let evil = [("cookie", &*cookie), ("origin", "https://evil.example")];
    assert_eq!(world.form("/consent", &evil, &pairs).await.status, 403);
    assert_eq!(send(cookie.clone(), ticket.clone(), Some("same-origin")).await, 303);
    world.clock.advance(601);
    assert_eq!(send(cookie, ticket, None).await, 403);
    assert_eq!(world.get("/consent").await.status, 405);
}

#[tokio::test]
async fn session_fixation_and_callbacks_in_another_browser() {
    let world = World::new().await;
    let client = world.register().await;
    let (ada, eve) = (world.open(&client).await, world.open(&client).await);
    let state = eve.allow().await;
    // Eve sends Ada the URL that her own login would end with.
    let pairs = [("code", "good"), ("state", state.as_str())];
    assert_eq!(ada.come_back(&pairs).await.status, 403);
    let bare = world.get(&format!("{CALLBACK}?{}", encode(&pairs))).await;
    assert_eq!(bare.status, 403);
    assert_eq!(world.stub.exchanges.load(Ordering::SeqCst), 0);
    // It is still Eve's, once.
    assert_eq!(eve.come_back(&pairs).await.status, 303);
    assert_eq!(eve.come_back(&pairs).await.status, 403);
    assert_eq!(world.stub.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_state_expires() {
    let world = World::new().await;
    let client = world.register().await;
    let browser = world.open(&client).await;
    let state = browser.allow().await;
    world.clock.advance(601);
    let late = browser.come_back(&[("code", "good"), ("state", &state)]).await;
    assert_eq!(late.status, 403);
}

#[tokio::test]
async fn mix_up_and_injected_provider_codes() {
    let world = World::new().await;
    let client = world.register().await;
    let browser = world.open(&client).await;
    let state = browser.allow().await;
    let mixed = [("code", "good"), ("state", &*state), ("iss", "https://evil.example")];
    let back = browser.come_back(&mixed).await;
    assert_eq!(back.parameter("error").as_deref(), Some("server_error"));
    assert_eq!(back.parameter("code"), None);
    let browser = world.open(&client).await;
    let state = browser.allow().await;
    let back = browser.come_back(&[("code", "stolen"), ("state", &state)]).await;
    assert_eq!(back.parameter("error").as_deref(), Some("server_error"));
    let records = world.records();
    let reasons: Vec<_> = records.iter().filter_map(|record| record["error"].as_str()).collect();
    assert!(reasons.contains(&"provider: mix_up"), "{reasons:?}");
    assert!(reasons.contains(&"provider: invalid_grant"), "{reasons:?}");
}

#[tokio::test]
async fn codes_are_good_once_for_their_client_verifier_and_redirect_uri() {
    let world = World::new().await;
    let client = world.register().await;
    let other = world.register().await;
    let attempt = |client: String, verifier: &'static str, uri: &'static str, code: String| {
        let world = &world;
        async move {
            let pairs = [
                ("grant_type", "authorization_code"),
                ("client_id", &*client),
                ("code", &*code),
                ("redirect_uri", uri),
                ("code_verifier", verifier),
            ];
            world.form("/token", &[], &pairs).await
        }
    };
    const OTHER: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (id, verifier, uri) in [
        (&other, VERIFIER, REDIRECT),
        (&client, OTHER, REDIRECT),
        (&client, VERIFIER, EVIL),
        (&client, VERIFIER, ""),
    ] {
        let code = world.login(&client).await;
        let refused = attempt(id.clone(), verifier, uri, code.clone()).await;
        assert_eq!(refused.error(), "invalid_grant", "{verifier} {uri}");
        // Whoever has a code without the rest may have stolen it: it is void.
        assert_eq!(world.redeem(&client, &code).await.error(), "invalid_grant");
    }
    let code = world.login(&client).await;
    assert_eq!(
        attempt(client.clone(), "", REDIRECT, code.clone()).await.error(),
        "invalid_request"
    );
    let tokens = Tokens::of(&world.redeem(&client, &code).await);
    assert_eq!(world.knock(&tokens.access).await, 200);
    assert_eq!(world.redeem(&client, &code).await.error(), "invalid_grant");
    assert_eq!(world.knock(&tokens.access).await, 401);
    assert!(world.steps().contains(&"reused".to_owned()));
    let late = world.login(&client).await;
    world.clock.advance(61);
    assert_eq!(world.redeem(&client, &late).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_code_is_redeemed_once_by_many_at_the_same_time() {
    let world = Arc::new(World::new().await);
    let client = world.register().await;
    let code = world.login(&client).await;
    let tries = (0..20).map(|_| {
        let (world, client, code) = (Arc::clone(&world), client.clone(), code.clone());
        tokio::spawn(async move { world.redeem(&client, &code).await.status })
    });
    let mut good = 0;
    for attempt in tries.collect::<Vec<_>>() {
        good += usize::from(attempt.await.unwrap() == 200);
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn tokens_of_other_kinds_and_places() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    assert_eq!(world.knock(&tokens.refresh).await, 401);
    assert_eq!(world.knock("PROVIDER-ACCESS-1").await, 401);
    assert_eq!(world.knock(&tokens.access.to_uppercase()).await, 401);
    assert_eq!(world.knock(&format!("{}x", tokens.access)).await, 401);
    assert_eq!(world.refresh(&tokens.client, &tokens.access).await.error(), "invalid_grant");
    let path = format!("/mcp?access_token={}", tokens.access);
    let authorization = format!("Bearer {}", tokens.access);
    let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
    let query = world.send("POST", &path, &headers, "{}").await;
    assert_eq!(query.status, 400);
    assert!(query.header("www-authenticate").unwrap().contains("invalid_request"));
    let other = World::new().await;
    assert_eq!(other.knock(&tokens.access).await, 401);
    let elsewhere = [
        ("grant_type", "refresh_token"),
        ("client_id", &*tokens.client),
        ("refresh_token", &*tokens.refresh),
        ("resource", "https://other.example/mcp"),
    ];
    assert_eq!(world.form("/token", &[], &elsewhere).await.error(), "invalid_target");
}

#[tokio::test]
async fn a_session_belongs_to_one_account_through_one_client() {
    let world = World::new().await;
    let (ada, again) = (world.tokens().await, world.tokens().await);
    world.stub.says(r#"{"sub":"bob","role":"admin"}"#);
    *world.stub.subject.lock().unwrap() = "bob".into();
    let bob = world.tokens().await;
    let call = |token: String, session: Option<String>, body: serde_json::Value| {
        let world = &world;
        async move {
            let authorization = format!("Bearer {token}");
            let mut headers =
                vec![("content-type", "application/json"), ("authorization", &*authorization)];
            headers.extend(session.as_deref().map(|session| ("mcp-session-id", session)));
            world.send("POST", "/mcp", &headers, &body.to_string()).await
        }
    };
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    let open = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let opened = call(ada.access.clone(), None, open).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let knock = |token: &str| call(token.to_owned(), Some(session.clone()), ping.clone());
    assert_eq!(knock(&ada.access).await.status, 200);
    // The same person through another client, and somebody else, are not who opened it.
    assert_eq!(knock(&again.access).await.status, 404);
    assert_eq!(knock(&bob.access).await.status, 404);
    let fresh = Tokens::of(&world.refresh(&ada.client, &ada.refresh).await);
    assert_eq!(knock(&fresh.access).await.status, 200);
}

#[tokio::test]
async fn callers_are_never_mixed_up_under_load() {
    let world = Arc::new(World::new().await);
    let ada = world.tokens().await;
    world.stub.says(r#"{"sub":"bob","role":"nurse"}"#);
    *world.stub.subject.lock().unwrap() = "bob".into();
    let bob = world.tokens().await;
    let calls = (0..400).map(|i| {
        let (world, is_ada) = (Arc::clone(&world), i % 2 == 0);
        let token = if is_ada { ada.access.clone() } else { bob.access.clone() };
        tokio::spawn(async move { (is_ada, world.ask_secret(&token).await) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (is_ada, said) = call.await.unwrap();
        assert_eq!(said == "psst ada", is_ada, "{said}");
    }
    assert_eq!(world.admission.remembered(), 2);
}

#[tokio::test]
async fn registrations_that_are_not_acceptable_and_floods_of_them() {
    let world = World::new().await;
    for (metadata, error) in [
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["http://client.example/cb"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": [REDIRECT, "data:x"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": REDIRECT}), "invalid_client_metadata"),
        (
            json!({"redirect_uris": [REDIRECT], "grant_types": ["implicit"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [REDIRECT], "response_types": ["token"]}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt"}),
            "invalid_client_metadata",
        ),
        (
            json!({"redirect_uris": [REDIRECT], "client_name": "x".repeat(300)}),
            "invalid_client_metadata",
        ),
        (json!([]), "invalid_client_metadata"),
    ] {
        let reply = world.register_as(&metadata).await;
        assert_eq!((reply.status, &*reply.error()), (400, error), "{metadata}");
    }
    let mut last = 201;
    for _ in 0..40 {
        last = world.register_as(&json!({"redirect_uris": [REDIRECT]})).await.status;
        if last != 201 {
            break;
        }
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn names_of_clients_are_text_and_no_markup() {
    let world = World::new().await;
    let metadata = json!({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "client_name": "<script>alert(1)</script>\u{202e}\"'"});
    let client =
        world.register_as(&metadata).await.json()["client_id"].as_str().unwrap().to_owned();
    let page = world.get(&world.authorize_path(&client, &[])).await;
    assert!(!page.body.contains("<script") && !page.body.contains('\u{202e}'));
    assert!(page.body.contains("&lt;script&gt;"));
}

#[tokio::test]
async fn descriptions_of_clients_at_inner_addresses() {
    let world = World::new().await;
    for id in [
        "https://127.0.0.1/client.json",
        "https://169.254.169.254/latest/meta-data",
        "http://client.example/client.json",
        "https://localhost/client.json",
    ] {
        let page = world.get(&world.authorize_path(id, &[])).await;
        assert!(page.status >= 400 && page.header("location").is_none(), "{id}: {page:?}");
    }
}

#[tokio::test]
async fn other_hosts_and_pages() {
    let world = World::new().await;
    let paths = [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource",
        "/authorize?x=y",
    ];
    for path in paths {
        let host = world.send("GET", path, &[("host", "evil.example")], "").await;
        assert_eq!(host.status, 403, "{path}");
        let page = world.send("GET", path, &[("origin", "https://evil.example")], "").await;
        assert_eq!(page.status, 403, "{path}");
    }
    let evil = [("origin", "https://evil.example")];
    assert_eq!(world.form("/token", &evil, &[("grant_type", "x")]).await.status, 403);
}

#[tokio::test]
async fn odd_requests_are_answered() {
    let world = World::new().await;
    let client = world.register().await;
    let json = [("content-type", "application/json")];
    assert_eq!(world.send("POST", "/token", &json, "{}").await.error(), "invalid_request");
    assert_eq!(world.form("/token", &[], &[]).await.error(), "invalid_client");
    let odd = [("client_id", &*client), ("grant_type", "password")];
    assert_eq!(world.form("/token", &[], &odd).await.error(), "unsupported_grant_type");
    let large = "x".repeat(100_000);
    let much = world.form("/token", &[], &[("client_id", &*large)]).await;
    assert_eq!(much.status, 413);
    assert_eq!(world.get("/token").await.status, 405);
    let two = format!("grant_type=refresh_token&client_id={client}&client_id={client}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(world.send("POST", "/token", &form, &two).await.error(), "invalid_request");
    for value in ["Bearer", "Bearer a b", "Bearer \u{e9}"] {
        let reply = world.send("POST", "/mcp", &[("authorization", value)], "{}").await;
        assert_eq!(reply.status, 400, "{value}");
    }
    let basic = world.send("POST", "/mcp", &[("authorization", "Basic YTpi")], "{}").await;
    assert_eq!(basic.status, 401);
}

#[tokio::test]
async fn a_stateless_server_authenticates_every_request() {
    let world = World::with(Plan { stateless: true, ..Plan::default() }).await;
    let tokens = world.tokens().await;
    assert_eq!(world.knock(&tokens.access).await, 200);
    let bare = world.send("POST", "/mcp", &[("content-type", "application/json")], "{}").await;
    assert_eq!(bare.status, 401);
    let browser =
        Browser::new(&world, &world.get(&world.authorize_path(&tokens.client, &[])).await);
    assert_eq!(browser.answer("allow").await.status, 303);
}
