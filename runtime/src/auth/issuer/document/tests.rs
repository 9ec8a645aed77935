//! Tests of descriptions, by a server that has them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::Path as Named;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::transport::http::listen::{Settings, serve};
use crate::transport::tls::Tls;

#[test]
fn urls_are_https_with_a_path_in_normal_form() {
    for good in ["https://c.example/x.json", "https://c.example:8443/a/b?v=1"] {
        assert_eq!(check_url(good), Ok(()), "{good}");
    }
    for bad in [
        "http://c.example/x",
        "https://c.example",
        "https://c.example/",
        "https://c.example/x#f",
        "https://u@c.example/x",
        "https://C.example/x",
        "https://c.example:443/x",
        "https://c.example/a/../x",
        "https://c.example/./x",
        "https://",
    ] {
        assert_eq!(check_url(bad).unwrap_err().code, "invalid_client", "{bad}");
    }
    assert!(check_url(&format!("https://c.example/{}", "a".repeat(URL_MAX_BYTES))).is_err());
}

#[tokio::test]
async fn inner_addresses_are_never_asked_and_floods_are_stopped() {
    let documents = Documents::new(Fetcher::new(rules()).unwrap());
    for inner in [
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://10.0.0.1/x",
        "https://[::1]/x",
        "https://localhost/x",
    ] {
        let refused = documents.client(inner, "a", 0).await.unwrap_err();
        assert_eq!(refused.code, "invalid_client", "{inner}");
    }
    for _ in 0..FETCHES_PER_ADDRESS_AND_MINUTE_MAX {
        let _ = documents.client("https://127.0.0.1/x", "flood", 0).await;
    }
    let refused = documents.client("https://127.0.0.1/x", "flood", 0).await.unwrap_err();
    assert_eq!(refused.status, 429);
    let later = documents.client("https://127.0.0.1/x", "flood", MINUTE_S).await.unwrap_err();
    assert_eq!(later.status, 401);
}

/// A server on this machine that has descriptions, and counts how often it is asked.
struct Host {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Host {
    async fn start() -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/transport/tls"));
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), std::fs::read(folder.join("test-key.pem")).unwrap()).unwrap();
        let tls = Tls::new(&folder.join("test-cert.pem"), key.path()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let count = Arc::clone(&asked);
        let answer = move |Named(name): Named<String>| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { answer(address, &name).await }
        };
        let router = axum::Router::new().route("/{name}", axum::routing::get(answer));
        let settings = Settings {
            max_header_bytes: 8_192,
            slow_request: Duration::from_secs(5),
            stop_deadline: Duration::from_secs(5),
        };
        let unread = Arc::new(|_, _| {});
        tokio::spawn(serve(listener, router, settings, unread, Some(tls), stop.clone()));
        Self { address, asked, _stop: stop.drop_guard() }
    }

    fn url(&self, name: &str) -> String {
        format!("https://localhost:{}/{name}", self.address.port())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The description of a client that has this URL, changed.
fn description(url: &str, name: &str) -> Value {
    let mut description = json!({
        "client_id": url,
        "client_name": "An assistant",
        "redirect_uris": ["https://client.example/cb", "http://127.0.0.1/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "scope": "read write",
    });
    match name {
        "other-id" => description["client_id"] = json!(format!("{url}x")),
        "no-id" => description["client_id"] = Value::Null,
        "no-name" => description["client_name"] = Value::Null,
        "no-redirects" => description["redirect_uris"] = json!([]),
        "odd-redirects" => description["redirect_uris"] = json!("https://client.example/cb"),
        "plain-redirects" => description["redirect_uris"] = json!(["http://client.example/cb"]),
        "with-secret" => description["client_secret"] = json!("s"),
        "other-method" => description["token_endpoint_auth_method"] = json!("client_secret_post"),
        "odd-grants" => description["grant_types"] = json!([1]),
        "full" => {
            let room = DOCUMENT_MAX_BYTES - description.to_string().len() - r#","x":"""#.len();
            description["x"] = json!("x".repeat(room));
        }
        "too-large" => description["x"] = json!("x".repeat(DOCUMENT_MAX_BYTES)),
        _ => {}
    }
    description
}

async fn answer(address: SocketAddr, name: &str) -> Response {
    let url = format!("https://localhost:{}/{name}", address.port());
    let redirect = [("location", format!("https://localhost:{}/good", address.port()))];
    match name {
        "slow" => tokio::time::sleep(Duration::from_mins(1)).await,
        "redirect" => return (StatusCode::FOUND, redirect).into_response(),
        "missing" => return StatusCode::NOT_FOUND.into_response(),
        "broken" => return StatusCode::BAD_GATEWAY.into_response(),
        "html" => return "<html></html>".into_response(),
        "list" => return "[]".into_response(),
        "twice" => {
            return format!(r#"{{"client_id":"{url}","client_id":"{url}"}}"#).into_response();
        }
        _ => {}
    }
    let kept = match name {
        "kept-long" => "public, max-age=999999999",
        "kept-short" => "max-age=1",
        "not-kept" => "no-store",
        _ => "",
    };
    ([("cache-control", kept)], description(&url, name).to_string()).into_response()
}

fn documents(rules: Rules) -> Documents {
    Documents::new(Fetcher::of_test(rules))
}

#[test]
fn the_limits_are_those_that_are_promised() {
    let expected = Rules {
        max_answer_bytes: 5_120,
        answer_timeout_ms: 3_000,
        allow_plain: false,
        public_only: true,
    };
    assert_eq!(rules(), expected);
}

#[tokio::test]
async fn a_client_is_what_its_description_says() {
    let host = Host::start().await;
    let url = host.url("good");
    let client = documents(rules()).client(&url, "a", 0).await.unwrap();
    assert_eq!((&*client.id, &*client.name), (&*url, "An assistant"));
    assert!(client.secret.is_none() && client.may_refresh);
    assert_eq!(client.source, Source::Document);
    assert!(client.allows_redirect("https://client.example/cb"));
    assert!(client.allows_redirect("http://127.0.0.1:4711/cb"));
    assert!(!client.allows_redirect("https://client.example/cb2"));
    assert_eq!(client.scopes, ["read", "write"]);
    documents(rules()).client(&host.url("full"), "a", 0).await.unwrap();
}

#[tokio::test]
async fn descriptions_that_are_none_let_nobody_in() {
    let host = Host::start().await;
    let documents = documents(Rules { answer_timeout_ms: 300, ..rules() });
    for (i, (name, status)) in [
        ("other-id", 401),
        ("no-id", 401),
        ("no-name", 401),
        ("no-redirects", 401),
        ("odd-redirects", 401),
        ("plain-redirects", 401),
        ("with-secret", 401),
        ("other-method", 401),
        ("odd-grants", 401),
        ("too-large", 401),
        ("redirect", 401),
        ("missing", 401),
        ("html", 401),
        ("list", 401),
        ("twice", 401),
        ("broken", 503),
        ("slow", 503),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = documents.client(&host.url(name), &i.to_string(), 0).await.unwrap_err();
        assert_eq!((refused.code, refused.status), ("invalid_client", status), "{name}");
        assert_eq!(host.asked(), i + 1, "{name}: a redirect is not followed");
    }
    // Nothing of that is remembered as an answer.
    documents.client(&host.url("missing"), "again", 0).await.unwrap_err();
    assert_eq!(host.asked(), 18);
}

#[tokio::test]
async fn descriptions_are_kept_for_a_while_that_they_may_choose_within_limits() {
    let host = Host::start().await;
    let documents = documents(rules());
    for (name, seconds) in [
        ("good", KEPT_S),
        ("kept-long", KEPT_MAX_S),
        ("kept-short", KEPT_MIN_S),
        ("not-kept", KEPT_MIN_S),
    ] {
        let (url, before) = (host.url(name), host.asked());
        for moment in [0, 1, seconds - 1] {
            documents.client(&url, name, moment).await.unwrap();
            assert_eq!(host.asked(), before + 1, "{name} at {moment}");
        }
        documents.client(&url, name, seconds).await.unwrap();
        assert_eq!(host.asked(), before + 2, "{name}");
    }
}

/// Not so much as a connection is made: what somebody named may be a door of this machine. Of a fetcher
/// that may ask anybody there is one, so that the silence means something.
#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_connected_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/good", listener.local_addr().unwrap().port());
    let knocked = async |rules: Rules| {
        let documents = Documents::new(Fetcher::new(rules).unwrap());
        let (url, asking) = (url.clone(), CancellationToken::new());
        let stop = asking.clone();
        let task = tokio::spawn(async move {
            let client = documents.client(&url, "a", 0);
            let refused =
                tokio::select! { done = client => done.err(), () = stop.cancelled() => None };
            refused.map(|error| error.code)
        });
        let knock = tokio::time::timeout(Duration::from_secs(2), listener.accept()).await.is_ok();
        asking.cancel();
        (knock, task.await.unwrap())
    };
    assert_eq!(knocked(rules()).await, (false, Some("invalid_client")));
    assert!(knocked(Rules { public_only: false, ..rules() }).await.0);
}
