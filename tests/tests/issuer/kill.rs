//! The program is killed without warning, at every point of a login where something was promised.

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, json_of, parameter};
use serde_json::{Value, json};

async fn refreshed(issuer: &Issuer, client: &str, token: &str) -> (u16, Value) {
    let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    let page = issuer.token(&fields).await;
    (page.status, json_of(&page))
}

fn text(answer: &Value, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_every_two_steps_of_a_login() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let issuer = issuer.kill_and_restart();
    let mut browser = Browser::default();
    let page = browser.get(&issuer.authorize(&client, &[])).await;
    let issuer = issuer.kill_and_restart();
    let sent = issuer.agree(&mut browser, &page).await.location().expect("to the provider");
    let issuer = issuer.kill_and_restart();
    let callback = browser.follow(sent.as_str(), &issuer.url("/auth/oidc/callback")).await;
    let back = browser.get(callback.as_str()).await.location().expect("to the client");
    let code = parameter(&back, "code").expect("a code");
    let issuer = issuer.kill_and_restart();
    let page = issuer.exchange(&client, &code).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let access = text(&json_of(&page), "access_token");
    let issuer = issuer.kill_and_restart();
    assert_eq!(issuer.call(&access).await.status, 200);
    // What was used stays used.
    assert_eq!(browser.get(callback.as_str()).await.status, 403);
    assert_eq!(issuer.exchange(&client, &code).await.status, 400);
    assert_eq!(issuer.call(&access).await.status, 401, "the code came again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_a_refresh_and_its_reply() {
    let mut issuer = Issuer::start("ada", &json!({}));
    let (client, _, mut refresh) = issuer.tokens().await;
    for _ in 0..3 {
        let (status, first) = refreshed(&issuer, &client, &refresh).await;
        assert_eq!(status, 200, "{first}");
        // The reply gets lost with the program; the client asks again.
        issuer = issuer.kill_and_restart();
        let (status, again) = refreshed(&issuer, &client, &refresh).await;
        assert_eq!(status, 200, "{again}");
        assert_eq!(text(&again, "refresh_token"), text(&first, "refresh_token"));
        assert_eq!(text(&again, "access_token"), text(&first, "access_token"));
        assert_eq!(issuer.call(&text(&again, "access_token")).await.status, 200);
        refresh = text(&again, "refresh_token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_many_exchanges() {
    for wait_ms in [0, 3, 11] {
        let issuer = Issuer::start("ada", &json!({}));
        let client = issuer.register(&[REDIRECT]).await;
        let mut codes = Vec::new();
        for _ in 0..4 {
            codes.push(issuer.code(&mut Browser::default(), &client).await);
        }
        // Clients that were told of a token before the program was killed, and those that were not.
        let address = issuer.base.clone();
        let tries: Vec<_> = codes
            .iter()
            .map(|code| tokio::spawn(try_exchange(address.clone(), client.clone(), code.clone())))
            .collect();
        tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
        let issuer = issuer.kill_and_restart();
        for (code, attempt) in codes.iter().zip(tries) {
            match attempt.await.expect("the attempt ends") {
                Some(token) => {
                    assert_eq!(issuer.call(&token).await.status, 200, "a client was told of it");
                    assert_eq!(issuer.exchange(&client, code).await.status, 400, "used twice");
                }
                None => {
                    // Nobody was told; whichever it is, the code is good at most once from here on.
                    let first = issuer.exchange(&client, code).await.status;
                    let second = issuer.exchange(&client, code).await.status;
                    assert!(matches!((first, second), (200 | 400, 400)), "{first} {second}");
                }
            }
        }
    }
}

/// Exchanges a code with a program that may be killed meanwhile; the token, if its reply came whole.
async fn try_exchange(base: String, client: String, code: String) -> Option<String> {
    use mxcp_tests::identity::issuer::VERIFIER;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = base.strip_prefix("http://")?.to_owned();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", client.as_str()),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("redirect_uri", REDIRECT),
    ];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = format!(
        "POST /token HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(&address).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.ok()?;
    let (_, body) = reply.split_once("\r\n\r\n")?;
    let answer: Value = serde_json::from_str(body).ok()?;
    answer["access_token"].as_str().map(str::to_owned)
}
