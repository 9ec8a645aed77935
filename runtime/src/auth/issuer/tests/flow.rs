//! What goes well: from nothing to an answer, and back.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::world::{Browser, Plan, REDIRECT, Tokens, VERIFIER, World};

#[tokio::test]
async fn a_client_finds_its_way_from_a_refusal() {
    let world = World::with(Plan { required_scopes: vec!["read".into()], ..Plan::default() }).await;
    let refused = world.send("POST", "/mcp", &[("content-type", "application/json")], "{}").await;
    assert_eq!(refused.status, 401);
    let base = world.base();
    let metadata = format!("{base}/.well-known/oauth-protected-resource/mcp");
    let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"read\"");
    assert_eq!(refused.header("www-authenticate"), Some(&*challenge));
    for path in ["", "/mcp"] {
        let resource = world.get(&format!("/.well-known/oauth-protected-resource{path}")).await;
        let document = resource.json();
        assert_eq!(document["resource"], json!(world.resource()));
        assert_eq!(document["authorization_servers"], json!([base]));
        assert_eq!(document["scopes_supported"], json!(["read"]));
    }
    assert_eq!(world.get("/.well-known/oauth-protected-resource/other").await.status, 404);
    let server = world.get("/.well-known/oauth-authorization-server").await.json();
    assert_eq!(server["issuer"], json!(base));
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(server["client_id_metadata_document_supported"], true);
    for endpoint in ["authorization", "token", "registration", "revocation"] {
        let url = server[format!("{endpoint}_endpoint")].as_str().unwrap();
        assert!(url.starts_with(&base), "{url}");
    }
}

#[tokio::test]
async fn a_whole_login_ends_in_an_answer_under_policies() {
    let world = World::new().await;
    let client = world.register().await;
    let page = world.get(&world.authorize_path(&client, &[])).await;
    for part in ["Test client", "client.example", "nobody has checked", "clinic", "stub"] {
        assert!(page.body.contains(part), "{part}");
    }
    assert!(page.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    let browser = Browser::new(&world, &page);
    let state = browser.allow().await;
    let back = browser.come_back(&[("code", "good"), ("state", &state)]).await;
    assert!(back.location().as_str().starts_with(REDIRECT));
    assert_eq!(back.parameter("state").as_deref(), Some("client-state"));
    assert_eq!(back.parameter("iss"), Some(world.base()));
    let reply = world.redeem(&client, &back.parameter("code").unwrap()).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body = reply.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let tokens = Tokens::of(&reply);
    assert_eq!(world.ask_secret(&tokens.access).await, "psst ada");
    let record = world.records().into_iter().find(|r| r["operation_name"] == "issued").unwrap();
    assert_eq!(record["user_id"], "ada");
    assert_eq!(record["client"]["id"], json!(client));
    assert_eq!(world.steps(), ["registered", "consented", "issued"]);
}

#[tokio::test]
async fn policies_follow_the_claims_of_the_provider() {
    let world = World::new().await;
    world.stub.says(r#"{"sub":"bob","role":"nurse"}"#);
    let tokens = world.tokens().await;
    assert_eq!(world.ask_secret(&tokens.access).await, "Admin access required");
    world.stub.says(r#"{"sub":"bob","role":["admin"]}"#);
    let odd = world.tokens().await;
    assert_ne!(world.ask_secret(&odd.access).await, "psst ada");
}

#[tokio::test]
async fn configured_clients_authenticate_with_their_secret() {
    let world = World::new().await;
    let code = world.login("static").await;
    let with = |secret: &'static str, code: String| {
        let world = &world;
        async move {
            let pairs = [
                ("grant_type", "authorization_code"),
                ("client_id", "static"),
                ("client_secret", secret),
                ("code", &code),
                ("redirect_uri", REDIRECT),
                ("code_verifier", VERIFIER),
            ];
            world.form("/token", &[], &pairs).await
        }
    };
    let wrong = with("wrong", code.clone()).await;
    assert_eq!((wrong.status, &*wrong.error()), (401, "invalid_client"));
    assert_eq!(world.redeem("static", &code).await.error(), "invalid_client");
    assert_eq!(with("st4tic", code).await.status, 200);
    // Whoever guesses waits, and learns nothing from a right guess.
    for _ in 0..10 {
        with("guess", "x".into()).await;
    }
    let code = world.login("static").await;
    let told = with("st4tic", code.clone()).await;
    assert_eq!((told.status, told.header("retry-after")), (429, Some("60")));
    world.clock.advance(61);
    let code = world.login("static").await;
    assert_eq!(with("st4tic", code).await.status, 200);
}

#[tokio::test]
async fn confidential_clients_register_and_use_basic() {
    use base64::Engine as _;
    let world = World::new().await;
    let metadata = json!({"redirect_uris": [REDIRECT], "client_name": "B"});
    let registered = world.register_as(&metadata).await.json();
    assert_eq!(registered["token_endpoint_auth_method"], "client_secret_basic");
    let (id, secret) =
        (registered["client_id"].as_str().unwrap(), registered["client_secret"].as_str().unwrap());
    let code = world.login(id).await;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
    let basic = format!("Basic {encoded}");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
    ];
    let reply = world.form("/token", &[("authorization", &basic)], &pairs).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    // It did not ask for refresh tokens.
    assert!(reply.json()["refresh_token"].is_null());
    let files = world.files();
    assert_eq!(memchr::memmem::find(&files, secret.as_bytes()), None);
}

#[tokio::test]
async fn programs_on_this_machine_listen_where_they_can() {
    let world = World::new().await;
    let client = world.register().await;
    let here = [("redirect_uri", "http://127.0.0.1:50111/cb")];
    let page = world.get(&world.authorize_path(&client, &here)).await;
    assert!(page.body.contains("a program on your own computer"));
    assert!(page.body.contains("127.0.0.1:50111"));
    let browser = Browser::new(&world, &page);
    let state = browser.allow().await;
    let back = browser.come_back(&[("code", "good"), ("state", &state)]).await;
    assert!(back.location().as_str().starts_with("http://127.0.0.1:50111/cb?code="));
}

#[tokio::test]
async fn somebody_who_declines_goes_back_with_an_error() {
    let world = World::new().await;
    let client = world.register().await;
    let browser = world.open(&client).await;
    let back = browser.answer("deny").await;
    // The client registered itself: a person sees where the way back leads, and takes it or not.
    assert_eq!((back.status, back.header("location")), (200, None));
    assert!(back.link().unwrap().starts_with(REDIRECT), "{}", back.body);
    assert!(back.body.contains("go back to client.example"), "{}", back.body);
    assert_eq!(back.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(back.parameter("iss"), Some(world.base()));
    let browser = world.open(&client).await;
    let state = browser.allow().await;
    let back = browser.come_back(&[("error", "access_denied"), ("state", &state)]).await;
    assert_eq!(back.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(world.stub.exchanges.load(Ordering::SeqCst), 0);
    assert_eq!(world.steps(), ["registered", "refused", "consented", "refused"]);
}

#[tokio::test]
async fn scopes_are_those_that_exist_and_a_token_with_too_few_is_told_which() {
    let plan = Plan { required_scopes: vec!["read".into(), "write".into()], ..Plan::default() };
    let world = World::with(plan).await;
    let client = world.register().await;
    let narrow = [("scope", "read openid nonsense")];
    let page = world.get(&world.authorize_path(&client, &narrow)).await;
    assert!(page.body.contains("<strong>read</strong>") && !page.body.contains("openid"));
    let browser = Browser::new(&world, &page);
    let state = browser.allow().await;
    let back = browser.come_back(&[("code", "good"), ("state", &state)]).await;
    let reply = world.redeem(&client, &back.parameter("code").unwrap()).await;
    assert_eq!(reply.json()["scope"], "read");
    let refused = world.rpc(&Tokens::of(&reply).access, "prompts/list", json!({})).await;
    assert_eq!(refused.status, 403);
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"read write\""), "{challenge}");
    // Who is turned away is known, so that is a record of its own, of that login.
    let records = world.records();
    let of = |name: &str, error: Value| {
        let mut found =
            records.iter().filter(|r| r["operation_name"] == name && r["error"] == error);
        found.next().unwrap_or_else(|| panic!("{name} {error}: {records:?}")).clone()
    };
    let (issued, refused) = (of("issued", Value::Null), of("refused", "insufficient_scope".into()));
    assert!(refused["event"]["count"].is_null(), "{refused}");
    assert!(issued["session_id"].is_string(), "{issued}");
    for member in ["session_id", "user_id", "principal"] {
        assert_eq!(refused[member], issued[member], "{member}");
    }
    let code = world.login(&client).await;
    let wide = world.redeem(&client, &code).await;
    assert_eq!(wide.json()["scope"], "read write");
    assert_eq!(world.knock(&Tokens::of(&wide).access).await, 200);
    let none = world.get(&world.authorize_path(&client, &[("scope", "nonsense")])).await;
    assert_eq!(none.parameter("error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn tokens_are_given_back() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    assert_eq!(world.knock(&tokens.access).await, 200);
    let revoke = |token: String| {
        let (world, client) = (&world, tokens.client.clone());
        async move {
            let pairs = [("client_id", &*client), ("token", &*token)];
            world.form("/revoke", &[], &pairs).await.status
        }
    };
    assert_eq!(revoke("unknown".into()).await, 200);
    assert_eq!(revoke(tokens.access.clone()).await, 200);
    assert_eq!(world.knock(&tokens.access).await, 401);
    let fresh = Tokens::of(&world.refresh(&tokens.client, &tokens.refresh).await);
    assert_eq!(world.knock(&fresh.access).await, 200);
    assert_eq!(revoke(fresh.refresh.clone()).await, 200);
    assert_eq!(world.knock(&fresh.access).await, 401);
    assert_eq!(world.refresh(&tokens.client, &fresh.refresh).await.error(), "invalid_grant");
    let other = world.tokens().await;
    let authorization = format!("Bearer {}", other.access);
    let left = world.send("POST", "/logout", &[("authorization", &authorization)], "").await;
    assert_eq!(left.status, 200);
    assert_eq!(world.knock(&other.access).await, 401);
    let again = world.send("POST", "/logout", &[("authorization", &authorization)], "").await;
    assert_eq!(again.status, 401);
    let revoked = world.steps().iter().filter(|step| *step == "revoked").count();
    assert_eq!(revoked, 3);
    // The provider hears of the two grants that ended, and not of the token that ended alone.
    assert_eq!(world.given_back(2).await, 2);
}

#[tokio::test]
async fn a_server_below_a_path_is_found() {
    let base = "https://corp.example/data";
    let plan = Plan { base_url: Some(base.into()), ..Plan::default() };
    let world = World::with(plan).await;
    let server = "/.well-known/oauth-authorization-server";
    for path in [server.to_owned(), format!("{server}/data")] {
        let found = world.get(&path).await;
        assert_eq!(found.json()["issuer"], base, "{path}");
        assert_eq!(found.json()["token_endpoint"], format!("{base}/token"));
    }
    assert_eq!(world.get(&format!("{server}/other")).await.status, 404);
    let resource = world.get("/.well-known/oauth-protected-resource/data/mcp").await.json();
    assert_eq!(resource["resource"], format!("{base}/mcp"));
    assert_eq!(resource["authorization_servers"], json!([base]));
}

#[tokio::test]
async fn secrets_are_in_no_file() {
    let world = World::new().await;
    let client = world.register().await;
    let browser = world.open(&client).await;
    let state = browser.allow().await;
    let back = browser.come_back(&[("code", "good"), ("state", &state)]).await;
    let code = back.parameter("code").unwrap();
    let tokens = Tokens::of(&world.redeem(&client, &code).await);
    let fresh = Tokens::of(&world.refresh(&client, &tokens.refresh).await);
    world.knock(&fresh.access).await;
    world.refresh(&client, &tokens.refresh).await;
    world.close_trail();
    let files = world.files();
    let cookie = browser.cookie.split_once('=').unwrap().1.to_owned();
    for secret in [
        code,
        tokens.access,
        tokens.refresh,
        fresh.access,
        fresh.refresh,
        state,
        cookie,
        "PROVIDER-ACCESS".into(),
        "PROVIDER-REFRESH".into(),
        VERIFIER.into(),
    ] {
        assert_eq!(memchr::memmem::find(&files, secret.as_bytes()), None, "{secret}");
    }
}

#[tokio::test]
async fn tokens_of_one_leg_are_never_seen_on_the_other() {
    let world = World::new().await;
    *world.stub.expires.lock().unwrap() = Some(world.clock.now_s() + 30);
    let tokens = world.tokens().await;
    *world.stub.expires.lock().unwrap() = None;
    world.clock.advance(31);
    assert_eq!(world.knock(&tokens.access).await, 200);
    let refreshed = world.refresh(&tokens.client, &tokens.refresh).await;
    let authorization = format!("Bearer {}", Tokens::of(&refreshed).access);
    let left = world.send("POST", "/logout", &[("authorization", &authorization)], "").await;
    assert_eq!((left.status, world.given_back(1).await), (200, 1));
    let shown = world.stub.shown.lock().unwrap().clone();
    assert!(shown.len() > 4 && world.stub.refreshes.load(Ordering::SeqCst) > 0, "{shown:?}");
    let own = |token: &String| token == "good" || token.starts_with("PROVIDER-");
    assert!(shown.iter().all(own), "{shown:?}");
    assert!(!refreshed.body.contains("PROVIDER-") && !left.body.contains("PROVIDER-"));
}

#[tokio::test]
async fn an_address_that_nobody_verified_is_in_no_record() {
    let world = World::new().await;
    for (verified, recorded) in [(false, Value::Null), (true, json!("ada@acme.example"))] {
        world.stub.says(&format!(
            r#"{{"sub":"ada","email":"ada@acme.example","email_verified":{verified}}}"#
        ));
        let tokens = world.tokens().await;
        world.knock(&tokens.access).await;
        let records = world.all_records();
        for (member, value) in [("operation_name", "issued"), ("operation_type", "list")] {
            let last = records.iter().rfind(|record| record[member] == value).unwrap();
            assert_eq!(last["principal"]["email"], recorded, "{value}: {last}");
        }
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_cookies_are_of_this_host_alone() {
    let world = World::new().await;
    let client = world.register().await;
    let path = world.authorize_path(&client, &[("resource", "https://localhost/mcp")]);
    let headers = [("x-forwarded-proto", "https"), ("x-forwarded-host", "localhost")];
    let page = world.send("GET", &path, &headers, "").await;
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-mxcp-login=") && cookie.contains("; Secure"), "{cookie}");
    let browser = Browser::new(&world, &page);
    let pairs = [("ticket", browser.ticket.as_str()), ("decision", "allow")];
    let mut with_origin = headers.to_vec();
    with_origin.extend([("cookie", browser.cookie.as_str()), ("origin", "https://localhost")]);
    let sent = world.form("/consent", &with_origin, &pairs).await;
    assert_eq!(sent.location().host_str(), Some("idp.example"));
}
