//! The provider gives a new refresh token and voids the old one, and the program is killed before the
//! answer comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use mxcp_tests::identity::issuer::{Issuer, json_of};
use mxcp_tests::identity::server::{Answer, Seen, Server};
use serde_json::{Value, json};

/// A provider that rotates refresh tokens, in the manner of GitHub.
#[derive(Debug)]
pub(crate) struct Rotating {
    /// the number of the refresh token that is good
    current: AtomicUsize,
    /// whether the one before it is accepted too
    lenient: bool,
    /// whether the answer to the next rotation takes for ever
    held: AtomicBool,
}

impl Rotating {
    pub(crate) async fn start(lenient: bool, held: bool) -> Server {
        let (current, held) = (AtomicUsize::new(0), AtomicBool::new(held));
        let provider = Arc::new(Self { current, lenient, held });
        Server::start(move |_: &str, seen: &Seen| provider.answer(seen)).await
    }

    fn answer(&self, seen: &Seen) -> Answer {
        let bearer = seen.authorization().strip_prefix("Bearer ").unwrap_or_default();
        match seen.path.as_str() {
            "/authorize" => {
                let fields: std::collections::HashMap<_, _> =
                    url::form_urlencoded::parse(seen.query.as_bytes()).into_owned().collect();
                let (back, state) = (&fields["redirect_uri"], &fields["state"]);
                Answer::redirect(format!("{back}?code=good&state={state}"))
            }
            "/token" => self.tokens(seen.form().get("refresh_token")),
            "/user" if bearer.starts_with("access-") => {
                Answer::json(&json!({ "id": 7, "login": "ada", "email": "ada@acme.example" }))
            }
            "/user" => Answer::status(401, &json!({ "message": "Bad credentials" })),
            _ => Answer::status(404, &json!({})),
        }
    }

    fn tokens(&self, refresh: Option<&String>) -> Answer {
        if let Some(refresh) = refresh {
            let known: usize = refresh.strip_prefix("refresh-").unwrap().parse().unwrap();
            let current = self.current.load(Ordering::SeqCst);
            if known != current && !(self.lenient && known + 1 == current) {
                return Answer::json(&json!({ "error": "bad_refresh_token" }));
            }
            self.current.store(current + 1, Ordering::SeqCst);
        }
        let current = self.current.load(Ordering::SeqCst);
        let answer = Answer::json(&json!({
            "access_token": format!("access-{current}"), "token_type": "bearer",
            "refresh_token": format!("refresh-{current}"),
            // The first one is due at once, all others live long.
            "expires_in": if refresh.is_none() { 30 } else { 3_600 },
        }));
        let is_held = refresh.is_some() && self.held.swap(false, Ordering::SeqCst);
        if is_held { answer.after_ms(600_000) } else { answer }
    }
}

/// What an issuer in front of it is told.
pub(crate) fn section(provider: &Server) -> Value {
    json!({
        "provider": "github",
        "github": {
            "client_id": "mxcp", "client_secret": "secret",
            "auth_url": format!("{}/authorize", provider.base),
            "token_url": format!("{}/token", provider.base), "api_url": provider.base,
        },
    })
}

/// A login whose refresh was killed while the provider had exchanged its token already.
async fn killed_in_between(provider: &Server) -> (Issuer, [String; 3]) {
    let issuer = Issuer::before(section(provider));
    let (client, access, refresh) = issuer.tokens().await;
    assert_eq!(provider.count("/token"), 1);
    assert_eq!(issuer.call(&access).await.status, 200);
    asked(provider, 2).await;
    (issuer.kill_and_restart(), [client, access, refresh])
}

/// Waits until the provider was asked for tokens so often.
async fn asked(provider: &Server, times: usize) {
    for _ in 0..1_200 {
        if provider.count("/token") >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the provider was asked {} times", provider.count("/token"));
}

/// Calls until the answer has this status.
pub(crate) async fn becomes(issuer: &Issuer, token: &str, status: u16) -> Value {
    for _ in 0..600 {
        let page = issuer.call(token).await;
        if page.status == status {
            return serde_json::from_str(&page.body).unwrap_or_default();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no call was answered with {status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_accepts_the_old_token_for_a_while_is_asked_again() {
    let provider = Rotating::start(true, true).await;
    let (issuer, [_, access, _]) = killed_in_between(&provider).await;
    // Nobody has to call for that.
    asked(&provider, 3).await;
    assert_eq!(provider.last("/token").form()["refresh_token"], "refresh-0");
    becomes(&issuer, &access, 200).await;
    assert_eq!(provider.count("/token"), 3, "what was given the second time is kept");
    let issuer = issuer.kill_and_restart();
    becomes(&issuer, &access, 200).await;
    assert_eq!(provider.count("/token"), 3, "and nothing is left to be done");
    assert_eq!(issuer.records_of("revoked"), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_that_does_not_the_person_is_asked_to_log_in_again() {
    let provider = Rotating::start(false, true).await;
    let (issuer, [client, access, refresh]) = killed_in_between(&provider).await;
    asked(&provider, 3).await;
    becomes(&issuer, &access, 401).await;
    let revoked = issuer.records_of("revoked");
    let [record] = revoked.as_slice() else { panic!("{revoked:?}") };
    assert_eq!(record["event"]["what"], "refresh_interrupted");
    assert_eq!(record["user_id"], "7");
    assert_eq!(record["client"]["id"], client.as_str());
    let fields =
        [("grant_type", "refresh_token"), ("client_id", &*client), ("refresh_token", &*refresh)];
    let page = issuer.token(&fields).await;
    let answer = json_of(&page);
    assert_eq!((page.status, &answer["error"]), (400, &json!("invalid_grant")));
    let text = answer["error_description"].as_str().unwrap();
    assert!(text.ends_with("log in again"), "{text}");
    let log = issuer.server.log();
    assert!(log.contains("the person has to log in again"), "{log}");
    assert!(!log.contains("refresh-") && !log.contains("access-"), "{log}");
    let (_, access, _) = issuer.tokens().await;
    assert_eq!(issuer.call(&access).await.status, 200);
}
