//! The shipped program in verifier mode, before a provider whose keys the tests hold.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::Method;
use serde_json::{Value, json};

use super::browser::Browser;
use super::issuer::{project, user_file};
use super::server::{Answer, Seen, Server as Provider};
use super::signer::Signer;
use crate::project::Project;
use crate::server::{Server, free_port};
use crate::trail;

/// The audience of good tokens.
pub const AUDIENCE: &str = "https://mcp.example/mcp";

/// The program, its provider, and a key that signs.
pub struct VerifierServer {
    /// the program
    pub server: Server,
    /// the provider
    pub provider: Provider,
    /// its key
    pub signer: Signer,
    /// what it serves
    pub project: Project,
}

impl VerifierServer {
    /// Starts both. `options`: `sessions` for a server with MCP sessions, `anonymous` for one that
    /// asks nobody who they are.
    pub async fn start(options: &Value) -> Self {
        Self::with_key(options, Signer::new("key-1", "ES256")).await
    }

    /// Starts both, with a key for tokens.
    pub async fn with_key(options: &Value, signer: Signer) -> Self {
        Self::serving(project(), options, signer).await
    }

    /// Starts both, to serve a project of the name `clinic`.
    pub async fn serving(
        (project, bundle): (Project, PathBuf),
        options: &Value,
        signer: Signer,
    ) -> Self {
        let keys = json!({ "keys": [signer.jwk()] }).to_string();
        let provider =
            Provider::start(move |base: &str, seen: &Seen| answer(base, seen, &keys)).await;
        let config_url = format!("{}/.well-known/openid-configuration", provider.base);
        let auth = if options["anonymous"] == true {
            json!({ "provider": "none" })
        } else {
            json!({
                "mode": "verifier",
                "provider": "oidc",
                "oidc": { "config_url": config_url, "client_id": "mxcp", "client_secret": "s", "audience": AUDIENCE,
                          "claim_mappings": { "role": { "nurse": ["care"] } } },
            })
        };
        let stateless = options["sessions"] != true;
        user_file(&project, &auth, &json!({ "stateless": stateless }));
        let port = free_port();
        let command = trail::serving(&project, &bundle, &[], port);
        let server = tokio::task::spawn_blocking(move || Server::spawn(command, port));
        let server = server.await.expect("the program starts");
        Self { server, provider, signer, project }
    }

    /// The MCP endpoint.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Seconds since 1970.
    pub fn now_s(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// A good token with changes.
    pub fn token(&self, changes: &Value) -> String {
        let now = self.now_s();
        let mut claims = json!({
            "iss": self.provider.base, "sub": "ada", "aud": AUDIENCE, "exp": now + 3_600, "iat": now,
            "client_id": "agent", "preferred_username": "ada", "role": "physician",
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        self.signer.token(&claims)
    }

    /// Opens an MCP session.
    pub async fn open_session(&self, token: &str) -> String {
        let parameters = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        let body = trail::message(1, "initialize", &parameters).to_string();
        let page = self.post(token, &[], body).await;
        let session = page
            .headers
            .get("mcp-session-id")
            .unwrap_or_else(|| panic!("no session: {} {}", page.status, page.body));
        session.to_str().expect("text").to_owned()
    }

    /// Calls a tool in a session; the status.
    pub async fn in_session(&self, token: &str, session: &str) -> u16 {
        let body = trail::tool(2, "am_i", &json!({ "name": "ada" })).to_string();
        let headers = [("mcp-session-id", session), ("mcp-protocol-version", "2025-11-25")];
        self.post(token, &headers, body).await.status
    }

    async fn post(
        &self,
        token: &str,
        more: &[(&'static str, &str)],
        body: String,
    ) -> super::browser::Page {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        headers.extend_from_slice(more);
        Browser::default().send(Method::POST, &self.url(), &headers, body.into_bytes()).await
    }
}

fn answer(base: &str, seen: &Seen, keys: &str) -> Answer {
    match seen.path.as_str() {
        "/.well-known/openid-configuration" => Answer::json(&json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
            "introspection_endpoint": format!("{base}/introspect"),
        })),
        // Long enough for a crowd to be there before it comes.
        "/introspect" => Answer::json(&introspected(base, &seen.form()["token"])).after_ms(300),
        "/jwks" => Answer::text(200, keys),
        _ => Answer::text(404, "{}"),
    }
}

/// What the provider says of an opaque token: good ones say whose they are, `opaque-NAME`.
fn introspected(base: &str, token: &str) -> Value {
    let Some(name) = token.strip_prefix("opaque-") else { return json!({ "active": false }) };
    json!({
        "active": true, "iss": base, "sub": name, "aud": AUDIENCE, "exp": 9_999_999_999_u64,
        "client_id": "agent", "preferred_username": name, "role": "physician",
    })
}
