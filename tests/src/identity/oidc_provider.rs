//! A real identity provider: npm `oidc-provider`, started by the tests.

use axum::http::Request;
use mxcp_runtime::auth::fetch::Fetcher;
use serde_json::{Value, json};

use crate::server::{Server, free_port};
use crate::{clients, workspace};

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
