//! A person logs in, a client gets tokens, and policies see who it is.

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, json_of, parameter};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_see_the_person_who_logged_in() {
    let ada = Issuer::start("ada", &json!({}));
    let (_, token, _) = ada.tokens().await;
    let none = json!({});
    assert_eq!(ada.text(&token, "am_i", &json!({ "name": "ada" })).await, "ada");
    assert_eq!(ada.text(&token, "am_i", &json!({ "name": "bob" })).await, "Somebody else");
    assert_eq!(ada.text(&token, "mail", &none).await, "mailed");
    assert_eq!(ada.text(&token, "prescribe", &none).await, "prescribed");
    assert_eq!(ada.text(&token, "care", &none).await, "Not yours");

    let bob = Issuer::start("bob", &json!({}));
    let (_, token, _) = bob.tokens().await;
    assert_eq!(bob.text(&token, "am_i", &json!({ "name": "bob" })).await, "bob");
    // The provider says that the address is not verified.
    assert_eq!(bob.text(&token, "mail", &none).await, "No address");
    assert_eq!(bob.text(&token, "prescribe", &none).await, "Only physicians prescribe");
    assert_eq!(bob.text(&token, "care", &none).await, "cared");
    // The other server's tokens are nothing here.
    let (_, foreign, _) = ada.tokens().await;
    assert_eq!(bob.call(&foreign).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_good_token_nothing_opens() {
    let issuer = Issuer::start("ada", &json!({}));
    let (client, access, refresh) = issuer.tokens().await;
    for token in
        ["", "nonsense", "mxcp_at_nonsense", &refresh, &client, &access[..access.len() - 1]]
    {
        let page = issuer.call(token).await;
        assert_eq!(page.status, 401, "{token}");
        let challenge = page.headers["www-authenticate"].to_str().unwrap();
        let metadata = issuer.url("/.well-known/oauth-protected-resource");
        assert!(challenge.contains(&format!("resource_metadata=\"{metadata}")), "{challenge}");
        assert!(!page.body.contains(&access));
    }
    assert_eq!(issuer.call(&access).await.status, 200);
    // The provider's own tokens are no tokens of ours.
    let log = issuer.server.log();
    for secret in [&access, &refresh, "mxcp secret"] {
        assert!(!log.contains(secret), "a secret in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_in_a_query_is_refused() {
    let issuer = Issuer::start("ada", &json!({}));
    let (_, token, _) = issuer.tokens().await;
    let body = mxcp_tests::trail::tool(1, "am_i", &json!({ "name": "ada" })).to_string();
    let url = issuer.url(&format!("/mcp?access_token={token}"));
    let bearer = format!("Bearer {token}");
    let plain: &[(&str, &str)] =
        &[("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    for more in [vec![], vec![("authorization", bearer.as_str())]] {
        let headers = [plain, &more].concat();
        let post = axum::http::Method::POST;
        let page = Browser::default().send(post, &url, &headers, body.clone().into_bytes()).await;
        assert_eq!(page.status, 400);
    }
    assert!(!issuer.server.log().contains(&token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_little_scope_is_said() {
    let issuer =
        Issuer::start("ada", &json!({ "authorization": { "required_scopes": ["tools"] } }));
    let client = issuer.register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let url = issuer.authorize(&client, &[("scope", "tools")]);
    let callback = issuer.until_callback(&mut browser, &url).await;
    let to = browser.get(callback.as_str()).await.location().unwrap();
    let code = parameter(&to, "code").unwrap();
    let answer = json_of(&issuer.exchange(&client, &code).await);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(issuer.call(token).await.status, 200);
    // A refresh may narrow; what is left opens nothing.
    let refresh = answer["refresh_token"].as_str().unwrap();
    let narrowed = issuer
        .token(&[
            ("grant_type", "refresh_token"),
            ("client_id", &client),
            ("refresh_token", refresh),
            ("scope", "other"),
        ])
        .await;
    if narrowed.status == 200 {
        let token = json_of(&narrowed)["access_token"].as_str().unwrap().to_owned();
        let page = issuer.call(&token).await;
        assert_eq!(page.status, 403);
        let challenge = page.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("insufficient_scope") && challenge.contains("scope=\"tools\""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_metadata_says_is_so() {
    let issuer = Issuer::start("ada", &json!({}));
    let mut browser = Browser::default();
    let server =
        json_of(&browser.get(&issuer.url("/.well-known/oauth-authorization-server")).await);
    assert_eq!(server["issuer"], issuer.base);
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
    assert_eq!(server["response_types_supported"], json!(["code"]));
    for path in
        ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"]
    {
        let resource = json_of(&browser.get(&issuer.url(path)).await);
        assert_eq!(resource["resource"], issuer.url("/mcp"));
        assert_eq!(resource["authorization_servers"], json!([issuer.base]));
        assert_eq!(resource["bearer_methods_supported"], json!(["header"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_tokens_are_not_kept_by_caches() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let code = issuer.code(&mut Browser::default(), &client).await;
    let page = issuer.exchange(&client, &code).await;
    assert_eq!(page.headers["cache-control"], "no-store");
    let answer: Value = json_of(&page);
    assert_eq!(answer["token_type"], "Bearer");
}
