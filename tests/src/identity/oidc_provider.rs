//! A real identity provider: npm `oidc-provider`, started by the tests.

use std::collections::HashMap;

use axum::http::{HeaderValue, Method, Request, header};
use mxcp_runtime::auth::fetch::Fetcher;
use serde_json::{Value, json};
use url::Url;

use crate::server::{Server, free_port};
use crate::{clients, workspace};

/// Steps of a browser from a login to its end.
const MAX_STEPS: usize = 16;

/// The identity provider, running.
pub struct IdentityProvider {
    /// its issuer
    pub issuer: String,
    _server: Server,
}

impl IdentityProvider {
    /// Starts it with these clients and people; `ttl_s` is how long access tokens live.
    pub fn start(clients: &Value, people: &Value, ttl_s: u64) -> Self {
        Self::on(free_port(), clients, people, ttl_s)
    }

    /// Starts it on a port.
    pub fn on(port: u16, clients: &Value, people: &Value, ttl_s: u64) -> Self {
        let configuration = json!({ "clients": clients, "people": people, "ttl": ttl_s });
        let mut command = clients::node(&workspace::root().join("tests/identity/provider.mjs"));
        command.arg(port.to_string()).arg(configuration.to_string());
        let server = Server::spawn(command, port);
        Self { issuer: format!("http://127.0.0.1:{port}"), _server: server }
    }

    /// Its discovery document.
    pub fn config_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer)
    }

    /// Puts a new signing key before the others.
    pub async fn rotate(&self, fetcher: &Fetcher) {
        self.tell(fetcher, "rotate").await;
    }

    /// Leaves only the newest signing key.
    pub async fn withdraw(&self, fetcher: &Fetcher) {
        self.tell(fetcher, "withdraw").await;
    }

    async fn tell(&self, fetcher: &Fetcher, what: &str) {
        let request = Request::post(format!("{}/test/{what}", self.issuer)).body(Vec::new());
        fetcher.send(request.expect("a request")).await.expect("an answer");
    }
}

/// A browser without a window: follows redirects with its cookies until a place that begins with
/// `until`, and returns that place.
pub async fn browse(fetcher: &Fetcher, from: &str, until: &str) -> Url {
    let mut cookies: HashMap<String, String> = HashMap::new();
    let mut place = Url::parse(from).expect("a URL");
    for _ in 0..MAX_STEPS {
        if place.as_str().starts_with(until) {
            return place;
        }
        let mut request = Request::new(Vec::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = place.as_str().parse().expect("a URI");
        let sent: Vec<String> =
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let sent = HeaderValue::try_from(sent.join("; ")).expect("cookies");
        request.headers_mut().insert(header::COOKIE, sent);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        let answer = fetcher.send(request).await.expect("an answer");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie");
            let pair = cookie.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie has a value");
            cookies.insert(name.to_owned(), value.to_owned());
        }
        let next = answer.headers().get(header::LOCATION).unwrap_or_else(|| {
            panic!("{place}: {}\n{}", answer.status(), String::from_utf8_lossy(answer.body()))
        });
        place = place.join(next.to_str().expect("a place")).expect("a place");
    }
    panic!("no end of redirects at {place}");
}
