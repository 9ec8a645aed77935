//! State, codes and refresh tokens: used again, by others, for something else; mixed-up providers.

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, VERIFIER, json_of, parameter};
use serde_json::json;
use url::Url;

/// A URL with one parameter changed; an empty value removes it.
fn with(url: &Url, name: &str, value: &str) -> String {
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(kept);
    if !value.is_empty() {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_is_good_once_and_with_its_own_state() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let callback = issuer.until_callback(&mut browser, &issuer.authorize(&client, &[])).await;
    for changed in [
        with(&callback, "state", ""),
        with(&callback, "state", "guessed"),
        with(&callback, "state", "client-state"),
        format!("{callback}&state=another"),
    ] {
        let page = browser.get(&changed).await;
        assert!(page.status >= 400 && page.location().is_none(), "{changed}: {}", page.status);
    }
    let page = browser.get(callback.as_str()).await;
    let to = page.location().expect("the login goes on");
    assert!(parameter(&to, "code").is_some(), "{to}");
    assert_eq!(parameter(&to, "iss").as_deref(), Some(&*issuer.base));
    let again = browser.get(callback.as_str()).await;
    assert_eq!(again.status, 403, "the state was used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_another_login_is_not_injected() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let (mut victim, mut mallory) = (Browser::default(), Browser::default());
    let url = issuer.authorize(&client, &[]);
    let hers = issuer.until_callback(&mut mallory, &url).await;
    let stolen = issuer.until_callback(&mut victim, &url).await;
    // The victim's code under Mallory's state: our PKCE and nonce at the provider are another's.
    let injected = with(&hers, "code", &parameter(&stolen, "code").unwrap());
    let to = mallory.get(&injected).await.location().expect("an error for the client");
    assert!(parameter(&to, "code").is_none(), "{to}");
    assert_eq!(parameter(&to, "error").as_deref(), Some("server_error"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_issuer_is_refused() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    for iss in ["https://evil.example", ""] {
        let mut browser = Browser::default();
        let callback = issuer.until_callback(&mut browser, &issuer.authorize(&client, &[])).await;
        assert_eq!(parameter(&callback, "iss").as_deref(), Some(issuer.idp()));
        let to = browser.get(&with(&callback, "iss", iss)).await.location().unwrap();
        assert!(parameter(&to, "code").is_none(), "{iss}: {to}");
        assert!(parameter(&to, "error").is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_once_and_its_tokens_end_when_it_comes_again() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let code = issuer.code(&mut Browser::default(), &client).await;
    let answer = json_of(&issuer.exchange(&client, &code).await);
    let access = answer["access_token"].as_str().unwrap();
    let refresh = answer["refresh_token"].as_str().unwrap();
    assert_eq!(issuer.call(access).await.status, 200);
    let again = issuer.exchange(&client, &code).await;
    assert_eq!((again.status, json_of(&again)["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(issuer.call(access).await.status, 401, "the code was stolen");
    let page = refreshed(&issuer, &client, refresh).await;
    assert_eq!(page.status, 400);
}

async fn refreshed(
    issuer: &Issuer,
    client: &str,
    token: &str,
) -> mxcp_tests::identity::browser::Page {
    issuer
        .token(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)])
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_for_one_client_verifier_and_redirect() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let other = issuer.register(&[REDIRECT]).await;
    for (name, value) in [
        ("client_id", other.as_str()),
        ("client_id", "nobody"),
        ("client_id", ""),
        ("code_verifier", "another-verifier-of-some-forty-three-characters"),
        ("code_verifier", ""),
        ("code_verifier", "short"),
        ("redirect_uri", "http://127.0.0.1:9/other"),
        ("redirect_uri", "http://127.0.0.1:10/callback"),
        ("redirect_uri", ""),
        ("code", "mxcp_code_guessed"),
        ("code", ""),
        ("resource", "https://evil.example/mcp"),
        ("grant_type", "password"),
        ("grant_type", "client_credentials"),
        ("client_secret", "guessed"),
    ] {
        let code = issuer.code(&mut Browser::default(), &client).await;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", REDIRECT),
        ];
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        let page = issuer.token(&fields).await;
        assert!((400..500).contains(&page.status), "{name}={value}: {} {}", page.status, page.body);
        assert!(json_of(&page)["access_token"].is_null());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_rotates_and_its_reuse_ends_the_session() {
    let issuer = Issuer::start("ada", &json!({}));
    let (client, _, first) = issuer.tokens().await;
    let (other, _, _) = issuer.tokens().await;
    assert_eq!(refreshed(&issuer, &other, &first).await.status, 400, "another client's");
    let second = json_of(&refreshed(&issuer, &client, &first).await);
    let third = second["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(third, first);
    // The reply may have been lost: the same again, as long as nobody used the successor.
    let replayed = json_of(&refreshed(&issuer, &client, &first).await);
    assert_eq!(replayed["refresh_token"], third);
    let access = json_of(&refreshed(&issuer, &client, &third).await)["access_token"].clone();
    let access = access.as_str().unwrap();
    assert_eq!(issuer.call(access).await.status, 200);
    // Now the first is a stolen one.
    assert_eq!(refreshed(&issuer, &client, &first).await.status, 400);
    assert_eq!(issuer.call(access).await.status, 401, "the session is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_redeem_a_code_once() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let code = issuer.code(&mut Browser::default(), &client).await;
    let all = (0..20).map(|_| issuer.exchange(&client, &code));
    let pages = futures_util::future::join_all(all).await;
    assert_eq!(pages.iter().filter(|page| page.status == 200).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_ends_the_session() {
    let issuer = Issuer::start("ada", &json!({}));
    let (client, access, refresh) = issuer.tokens().await;
    let (other, hers, _) = issuer.tokens().await;
    let revoke = async |client: &str, token: &str| {
        let fields = [("client_id", client), ("token", token)];
        Browser::default().post(&issuer.url("/revoke"), &fields).await.status
    };
    // Another client's token stays; the answer does not say whether there is one.
    revoke(&other, &access).await;
    assert_eq!(issuer.call(&access).await.status, 200);
    assert_eq!(revoke(&client, "mxcp_at_nonsense").await, 200);
    assert_eq!(revoke(&client, &refresh).await, 200);
    assert_eq!(issuer.call(&access).await.status, 401);
    assert_eq!(issuer.call(&hers).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_a_client_was_told_of_is_lost_by_a_kill() {
    let issuer = Issuer::start("ada", &json!({}));
    // During a login: the callback after the restart goes on.
    let client = issuer.register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let callback = issuer.until_callback(&mut browser, &issuer.authorize(&client, &[])).await;
    let issuer = issuer.kill_and_restart();
    let to = browser.get(callback.as_str()).await.location().expect("the login goes on");
    let code = parameter(&to, "code").unwrap();
    // Between code and token.
    let issuer = issuer.kill_and_restart();
    let answer = json_of(&issuer.exchange(&client, &code).await);
    let (access, refresh) =
        (answer["access_token"].as_str().unwrap(), answer["refresh_token"].as_str().unwrap());
    // A used code stays used, and a session stays.
    let issuer = issuer.kill_and_restart();
    assert_eq!(issuer.call(access).await.status, 200);
    // During a refresh, whose reply was lost: the same successor again.
    let lost = json_of(&refreshed(&issuer, &client, refresh).await);
    let issuer = issuer.kill_and_restart();
    let again = json_of(&refreshed(&issuer, &client, refresh).await);
    assert_eq!(again["refresh_token"], lost["refresh_token"]);
    assert_eq!(issuer.call(again["access_token"].as_str().unwrap()).await.status, 200);
    assert_eq!(issuer.exchange(&client, &code).await.status, 400, "no code is good twice");
}
