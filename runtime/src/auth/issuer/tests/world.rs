//! A server with authentication, a client of it, and a browser.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use url::{Url, form_urlencoded};

use super::stub::Stub;
use crate::audit::{Config as TrailConfig, Trail, redact::Redactor};
use crate::auth::admission::{Admission, Parts, Way};
use crate::auth::cache::Cache;
use crate::auth::claims::Mappings;
use crate::auth::clock::Clock;
use crate::auth::config::{AuthConfig, Kept, Mode, ProviderConfig, StaticClient};
use crate::auth::fetch::{Fetcher, Rules};
use crate::auth::provider::{Deployment, Provider};
use crate::auth::start::start_issuer;
use crate::auth::verifier::{Demands, Verifier};
use crate::config::Concealed;
use crate::mcp::server::Server;
use crate::serve::{Around, Linked, Runtime};
use crate::transport::doors::Doors;
use crate::transport::http::{Callers, Http, run, tests::contents};
use crate::transport::network::private_networks;
use crate::transport::visitor::Reached;

pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const REDIRECT: &str = "https://client.example/cb";
pub(super) const CALLBACK: &str = "/auth/stub/callback";

/// A reply as it came over the wire.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn location(&self) -> Url {
        Url::parse(self.header("location").unwrap_or_else(|| panic!("{self:?}"))).unwrap()
    }

    /// The link on a page that leads back to the client.
    pub(super) fn link(&self) -> Option<String> {
        let (_, link) = self.body.split_once("href=\"")?;
        let (link, _) = link.split_once('"')?;
        Some(link.replace("&amp;", "&").replace("&#39;", "'"))
    }

    /// A parameter of the URL that the person is sent to, or that the link on the page leads to.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let url = self.link().map_or_else(|| self.location(), |link| Url::parse(&link).unwrap());
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }

    pub(super) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// What a world is made with.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) required_scopes: Vec<String>,
    pub(super) clients: Vec<StaticClient>,
    pub(super) stateless: bool,
    pub(super) base_url: Option<String>,
}

impl Default for Plan {
    fn default() -> Self {
        let secret = StaticClient {
            client_id: "static".into(),
            name: "Configured client".into(),
            client_secret: Some(Concealed::new("st4tic".into())),
            redirect_uris: vec![REDIRECT.into()],
            grant_types: vec!["authorization_code".into(), "refresh_token".into()],
            scopes: Vec::new(),
        };
        Self {
            required_scopes: Vec::new(),
            clients: vec![secret],
            stateless: false,
            base_url: None,
        }
    }
}

/// A server with authentication.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) stub: Arc<Stub>,
    pub(super) clock: Clock,
    pub(super) admission: Arc<Admission>,
    runtime: Arc<Runtime>,
    folder: tempfile::TempDir,
    trail: Trail,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Plan::default()).await
    }

    pub(super) async fn with(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trail = Trail::open(&TrailConfig::new(folder.path().join("trail.jsonl"))).unwrap();
        let around = Around { trail: trail.clone(), redactor: Redactor::default(), pool: None };
        let runtime = Arc::new(Runtime::new(Linked::new(contents(), "d1".into()).unwrap(), around));
        let (clock, stub) = (Clock::default(), Arc::new(Stub::default()));
        let config = AuthConfig {
            place: "auth".into(),
            mode: Mode::Issuer,
            provider: ProviderConfig {
                name: "stub".into(),
                client_id: "us".into(),
                client_secret: None,
                scope: None,
                callback_path: CALLBACK.into(),
                values: Vec::new(),
                extra_authorize_params: Vec::new(),
                audience: Vec::new(),
                allow_unaudienced: false,
                ask_userinfo: false,
                claim_mappings: Vec::new(),
            },
            clients: plan.clients,
            required_scopes: plan.required_scopes,
            store: Kept::File(folder.path().join("oauth.db")),
            encryption_key: None,
        };
        let provider = Arc::clone(&stub) as _;
        let started = start_issuer(&runtime, &config, provider, clock.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = Http {
            server: Arc::new(Server::new(Arc::clone(&runtime), plan.stateless)),
            doors: Doors::new(address.ip(), None).unwrap(),
            reached: Reached {
                trusted: private_networks(),
                ..Reached::directly(plan.base_url.as_deref())
            },
            callers: Callers::Known(Arc::clone(&started.admission)),
            tls: None,
        };
        let stop = CancellationToken::new();
        tokio::spawn(run(listener, http, stop.clone()));
        Self { address, stub, clock, admission: started.admission, runtime, folder, trail, stop }
    }

    /// The same server as it would let in whoever brings a token of the provider's own, which userinfo
    /// vouches for.
    pub(super) fn verifying(&self) -> Admission {
        let fetcher = Fetcher::new(Rules::default()).unwrap();
        let deployment = Deployment { fetcher, clock: self.clock.clone() };
        let provider: Arc<dyn Provider> = Arc::clone(&self.stub) as _;
        let demands = Demands { allow_unaudienced: true, ..Demands::default() };
        let verifier = Arc::new(Verifier::new(Arc::clone(&provider), &deployment, demands));
        Admission::new(Parts {
            runtime: Arc::clone(&self.runtime),
            way: Way::Verifier { verifier, provider },
            mappings: Mappings::default(),
            required_scopes: Vec::new(),
            cache: Arc::new(Cache::new(100)),
            generation: 0,
            clock: self.clock.clone(),
        })
    }

    /// This server's URL.
    pub(super) fn base(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    pub(super) fn resource(&self) -> String {
        format!("{}/mcp", self.base())
    }

    /// All records of authentication so far.
    pub(super) fn records(&self) -> Vec<Value> {
        let mut found = self.all_records();
        found.retain(|record: &Value| record["operation_type"] == "auth");
        found
    }

    /// All records so far.
    pub(super) fn all_records(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let text = std::fs::read_to_string(path).unwrap();
                found.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
            }
        }
        found
    }

    /// The steps that were recorded, one by one, apart from the sums of refusals.
    pub(super) fn steps(&self) -> Vec<String> {
        let records = self.records();
        let single = records.iter().filter(|record| record["event"]["count"].is_null());
        single.map(|record| record["operation_name"].as_str().unwrap().to_owned()).collect()
    }

    /// How many grants the provider was given back, once it was so many or some seconds are over: that
    /// is done after the answer.
    pub(super) async fn given_back(&self, expected: usize) -> usize {
        let mut count = 0;
        for _ in 0..250 {
            count = self.stub.revocations.load(Ordering::SeqCst);
            if count == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        count
    }

    /// Everything in the folder of the server, as bytes.
    pub(super) fn files(&self) -> Vec<u8> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }

    pub(super) fn close_trail(&self) {
        self.trail.close();
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut lines = String::new();
        let mut host = format!("localhost:{}", self.address.port());
        for (name, value) in headers {
            if *name == "host" {
                host = (*value).to_owned();
            } else {
                lines += &format!("{name}: {value}\r\n");
            }
        }
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
             content-length: {length}\r\n{lines}\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub(super) async fn form(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        pairs: &[(&str, &str)],
    ) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend_from_slice(headers);
        self.send("POST", path, &all, &encode(pairs)).await
    }

    /// Registers a public client.
    pub(super) async fn register(&self) -> String {
        let metadata = json!({
            "client_name": "Test client",
            "redirect_uris": [REDIRECT, "http://127.0.0.1:1/cb"],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        let reply = self.register_as(&metadata).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.json()["client_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn register_as(&self, metadata: &Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.send("POST", "/register", &headers, &metadata.to_string()).await
    }

    /// What a client sends a browser to, with these parameters instead of the usual ones; an empty
    /// value leaves one out.
    pub(super) fn authorize_path(&self, client: &str, other: &[(&str, &str)]) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER.as_bytes()));
        let resource = self.resource();
        let usual = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("state", "client-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        let is_other = |name: &str| other.iter().any(|(known, _)| *known == name);
        let mut pairs: Vec<(&str, &str)> =
            usual.into_iter().filter(|(name, _)| !is_other(name)).collect();
        pairs.extend(other.iter().filter(|(_, value)| !value.is_empty()));
        format!("/authorize?{}", encode(&pairs))
    }

    /// Opens the consent page in a browser.
    pub(super) async fn open(&self, client: &str) -> Browser<'_> {
        let page = self.get(&self.authorize_path(client, &[])).await;
        assert_eq!(page.status, 200, "{}", page.body);
        Browser::new(self, &page)
    }

    /// A whole login: a code for a client.
    pub(super) async fn login(&self, client: &str) -> String {
        let browser = self.open(client).await;
        let state = browser.allow().await;
        let back = browser.come_back(&[("code", "good"), ("state", &state)]).await;
        back.parameter("code").unwrap_or_else(|| panic!("{back:?}"))
    }

    pub(super) async fn redeem(&self, client: &str, code: &str) -> Reply {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.form("/token", &[], &pairs).await
    }

    pub(super) async fn refresh(&self, client: &str, token: &str) -> Reply {
        let pairs =
            [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.form("/token", &[], &pairs).await
    }

    /// A whole login: tokens for a new client.
    pub(super) async fn tokens(&self) -> Tokens {
        let client = self.register().await;
        let code = self.login(&client).await;
        let reply = self.redeem(&client, &code).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        Tokens { client, ..Tokens::of(&reply) }
    }

    /// A request of the modern protocol with a token.
    pub(super) async fn rpc(&self, token: &str, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let name = params["name"].as_str().map(str::to_owned);
        let authorization = format!("Bearer {token}");
        let mut headers = vec![
            ("content-type", "application/json"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
            ("authorization", &*authorization),
        ];
        headers.extend(name.as_deref().map(|name| ("mcp-name", name)));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send("POST", "/mcp", &headers, &body.to_string()).await
    }

    /// The status of a harmless request with a token.
    pub(super) async fn knock(&self, token: &str) -> u16 {
        self.rpc(token, "prompts/list", json!({})).await.status
    }

    /// What the prompt for administrators says to the owner of a token.
    pub(super) async fn ask_secret(&self, token: &str) -> Value {
        let params = json!({"name": "secret", "arguments": {"name": "ada"}});
        let reply = self.rpc(token, "prompts/get", params).await.json();
        let said = reply["result"]["messages"][0]["content"]["text"].clone();
        if !said.is_null() {
            return said;
        }
        // Without the id of the call, which is another one each time.
        let refused = reply["error"]["message"].as_str().unwrap_or_default();
        refused.split(" (call ").next().unwrap_or_default().into()
    }
}

/// Tokens of a client.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    pub(super) client: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Tokens {
    pub(super) fn of(reply: &Reply) -> Self {
        let text = |name: &str| reply.json()[name].as_str().unwrap_or_default().to_owned();
        Self { client: String::new(), access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// A browser that was shown the consent page.
pub(super) struct Browser<'w> {
    world: &'w World,
    pub(super) cookie: String,
    pub(super) ticket: String,
}

impl<'w> Browser<'w> {
    pub(super) fn new(world: &'w World, page: &Reply) -> Self {
        let cookie = page.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let ticket = page.body.split("name=\"ticket\" value=\"").nth(1).unwrap();
        let ticket = ticket.split('"').next().unwrap().to_owned();
        Self { world, cookie, ticket }
    }

    pub(super) async fn answer(&self, decision: &str) -> Reply {
        let pairs = [("ticket", self.ticket.as_str()), ("decision", decision)];
        self.world.form("/consent", &[("cookie", &self.cookie)], &pairs).await
    }

    /// Allows, and gives the state that the provider is sent.
    pub(super) async fn allow(&self) -> String {
        let sent = self.answer("allow").await;
        assert_eq!(sent.status, 303, "{}", sent.body);
        assert_eq!(sent.location().host_str(), Some("idp.example"));
        sent.parameter("state").unwrap()
    }

    pub(super) async fn come_back(&self, pairs: &[(&str, &str)]) -> Reply {
        let path = format!("{CALLBACK}?{}", encode(pairs));
        self.world.send("GET", &path, &[("cookie", &self.cookie)], "").await
    }
}

pub(super) fn encode(pairs: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish()
}
