//! Two replicas over one database: whatever one of them does holds at the other.

use mxcp_tests::identity::browser::{Browser, Page};
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, json_of, parameter};
use mxcp_tests::identity::replicas::Replicas;
use mxcp_tests::identity::server::Server;
use serde_json::json;

use crate::rotation::{Rotating, becomes, section};

/// Two replicas before a provider that gives short-lived tokens and takes each refresh token once.
async fn replicas() -> (Server, Replicas) {
    let provider = Rotating::start(false, false).await;
    let replicas = Replicas::start(&section(&provider));
    (provider, replicas)
}

async fn refresh(issuer: &Issuer, client: &str, token: &str) -> Page {
    let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    issuer.token(&fields).await
}

fn text(page: &Page, name: &str) -> String {
    let answer = json_of(page);
    answer[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_goes_on_at_whichever_is_asked() {
    let (provider, both) = replicas().await;
    let client = both.choose(0).register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let page = both.choose(1).authorize(&client, &[]);
    let page = browser.get(&page).await;
    let sent = both.choose(0).agree(&mut browser, &page).await.location().expect("to the provider");
    let callback = browser.follow(sent.as_str(), &both.issuer.url("/auth/")).await;
    both.choose(1);
    let back = browser.get(callback.as_str()).await.location().expect("to the client");
    let code = parameter(&back, "code").expect("a code");
    let page = both.choose(0).exchange(&client, &code).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let (access, token) = (text(&page, "access_token"), text(&page, "refresh_token"));
    // The first token of the provider's is due at once: one refresh, whoever is called.
    let calls = (0..20).map(|i| {
        both.choose(i % 2);
        let (url, token) = (both.issuer.url("/mcp"), access.clone());
        tokio::spawn(async move {
            let arguments = json!({ "name": "nobody" });
            mxcp_tests::identity::issuer::call(&url, &token, "am_i", &arguments).await.status
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    for replica in [0, 1, 0, 1] {
        assert_eq!(both.choose(replica).call(&access).await.status, 200);
    }
    assert_eq!(provider.count("/token"), 2, "the code, and one refresh");
    // The state and the code were used, here as there.
    assert_eq!(browser.get(callback.as_str()).await.status, 403);
    assert_eq!(both.choose(0).exchange(&client, &code).await.status, 400);
    for replica in [0, 1] {
        becomes(both.choose(replica), &access, 401).await;
        assert_eq!(refresh(both.choose(replica), &client, &token).await.status, 400);
    }
    assert_eq!(both.issuer.records_of("reused").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_at_one_kills_the_predecessor_at_the_other() {
    let (_provider, both) = replicas().await;
    let (client, access, first) = both.choose(0).tokens().await;
    assert_eq!(both.choose(0).call(&access).await.status, 200);
    assert_eq!(both.choose(1).call(&access).await.status, 200);
    let second = refresh(both.choose(0), &client, &first).await;
    let again = refresh(both.choose(1), &client, &first).await;
    assert_eq!(text(&second, "refresh_token"), text(&again, "refresh_token"), "replies get lost");
    let third = refresh(both.choose(1), &client, &text(&second, "refresh_token")).await;
    assert_eq!(third.status, 200, "{}", third.body);
    let newest = text(&third, "access_token");
    assert_eq!(both.choose(0).call(&newest).await.status, 200);
    // The first one is a stolen one from now on, and the whole login ends, at both.
    assert_eq!(refresh(both.choose(0), &client, &first).await.status, 400);
    for replica in [0, 1] {
        becomes(both.choose(replica), &newest, 401).await;
        becomes(both.choose(replica), &access, 401).await;
        let token = text(&third, "refresh_token");
        assert_eq!(refresh(both.choose(replica), &client, &token).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_back_at_one_is_void_at_the_other() {
    let (_provider, both) = replicas().await;
    let (client, access, refresh_token) = both.choose(0).tokens().await;
    let warm = both.choose(1).call(&access).await;
    assert_eq!(warm.status, 200);
    let fields = [("token", access.as_str()), ("client_id", &client)];
    let revoked = Browser::default().post(&both.choose(0).url("/revoke"), &fields).await;
    assert_eq!(revoked.status, 200);
    becomes(both.choose(1), &access, 401).await;
    let page = refresh(both.choose(1), &client, &refresh_token).await;
    let access = text(&page, "access_token");
    assert_eq!(both.choose(0).call(&access).await.status, 200);
    let bearer = format!("Bearer {access}");
    let headers = [("authorization", bearer.as_str())];
    let url = both.choose(1).url("/logout");
    let post = axum::http::Method::POST;
    assert_eq!(Browser::default().send(post, &url, &headers, Vec::new()).await.status, 200);
    becomes(both.choose(0), &access, 401).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_nothing_opens_and_with_it_everything_goes_on() {
    let (_provider, mut both) = replicas().await;
    let (client, access, refresh_token) = both.choose(0).tokens().await;
    for replica in [0, 1] {
        assert_eq!(both.choose(replica).call(&access).await.status, 200);
    }
    both.database.stop();
    for replica in [0, 1] {
        // Nobody would hear of an end now.
        becomes(both.choose(replica), &access, 503).await;
        let page = refresh(both.choose(replica), &client, &refresh_token).await;
        assert_eq!(
            (page.status, &json_of(&page)["error"]),
            (503, &json!("temporarily_unavailable"))
        );
        let unknown = both.choose(replica).call("mxcp_at_nobody").await;
        assert_eq!(unknown.status, 503, "{}", unknown.body);
        let body = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
        assert_eq!(both.issuer.try_register(&body).await.status, 503);
    }
    let log = both.issuer.server.log();
    assert!(log.contains("the session database cannot be reached"), "{log}");
    assert!(!log.contains(mxcp_tests::postgres::PASSWORD), "{log}");
    both.database.run();
    for replica in [0, 1] {
        becomes(both.choose(replica), &access, 200).await;
    }
    assert_eq!(refresh(both.choose(1), &client, &refresh_token).await.status, 200);
}
