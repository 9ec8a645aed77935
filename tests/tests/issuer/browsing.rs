//! A real browser: headless Chromium, without JavaScript.

use std::path::Path;

use mxcp_tests::identity::issuer::{Issuer, json_of, parameter};
use mxcp_tests::identity::server::{Answer, Server};
use mxcp_tests::{browser, clients, workspace};
use serde_json::{Value, json};
use url::Url;

/// Walks through a login; what the browser saw.
fn walk(url: &str, until: &str, picture: &Path, more: &[&str]) -> Value {
    let mut command = clients::node(&workspace::root().join("tests/identity/browser.mjs"));
    command.arg(url).arg(until).arg(picture).args(more);
    command.env("MXCP_CHROMIUM", browser::chromium());
    let printed = workspace::output(&mut command);
    serde_json::from_str(&printed).expect("JSON")
}

/// A client that listens, and its redirect URI.
async fn home() -> (Server, String) {
    let answer = |_: &str, _: &_| Answer::text(200, "back at the client");
    let server = Server::start(answer).await;
    let back = format!("{}/callback", server.base);
    (server, back)
}

/// Where pictures stay for whoever wants to look at them.
fn picture(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join("mxcp-pictures");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    folder.join(name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_goes_through_a_login() {
    let issuer = Issuer::start("ada", &json!({}));
    let (home, back) = home().await;
    let client = issuer.register(&[&back]).await;
    let picture = picture("consent.png");
    let url = issuer.authorize(&client, &[("redirect_uri", &back)]);
    let seen = walk(&url, &back, &picture, &[]);
    assert_eq!(home.count("/callback"), 1);
    let text = seen["text"].as_str().unwrap();
    for words in ["An <b>assistant</b>", "clinic", "127.0.0.1", "Allow", "Cancel"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(seen["scripts"], 0);
    assert_eq!(seen["framed"], false, "the page was shown in a frame");
    let cookie = &seen["cookies"][0];
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&json!(true), &json!("Lax")));
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let end = Url::parse(seen["end"].as_str().unwrap()).unwrap();
    assert_eq!(parameter(&end, "state").as_deref(), Some("client-state"));
    let code = parameter(&end, "code").unwrap_or_else(|| panic!("no code: {end}"));
    let answer = json_of(&issuer.exchange_for(&client, &code, &back).await);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(issuer.text(token, "am_i", &json!({ "name": "ada" })).await, "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_cancels() {
    let issuer = Issuer::start("ada", &json!({}));
    let (_home, back) = home().await;
    let client = issuer.register(&[&back]).await;
    let url = issuer.authorize(&client, &[("redirect_uri", &back)]);
    let seen = walk(&url, &back, &picture("cancelled.png"), &["deny"]);
    let end = Url::parse(seen["end"].as_str().unwrap()).unwrap();
    assert_eq!(parameter(&end, "error").as_deref(), Some("access_denied"));
}
