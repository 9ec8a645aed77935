//! The shipped program as an authorization server, in front of a real identity provider.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use mxcp_runtime::auth::jose;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use url::Url;

use super::browser::{Browser, Page};
use super::oidc_provider::IdentityProvider;
use crate::project::Project;
use crate::server::{Server, free_port};
use crate::trail;

/// A PKCE verifier.
pub const VERIFIER: &str = "a-verifier-of-some-forty-three-characters-or-more";
/// Where clients of the tests are sent back to.
pub const REDIRECT: &str = "http://127.0.0.1:9/callback";

/// Its trail is where [`trail::records`] looks for it.
const SITE: &str = "mxcp: 1
project: clinic
profile: default
profiles: { default: { audit: { enabled: true, path: audit/logs-dev.jsonl } } }
";

const TOOLS: [(&str, &str); 5] = [
    (
        "tools/who.yml",
        "mxcp: 1
tool:
  name: who
  description: Who calls, as SQL sees it.
  return: { type: string }
  source:
    code: |
      SELECT concat_ws(' ', get_username(), get_user_email(), get_user_provider(),
             CASE WHEN length(get_user_external_token()) > 20 THEN 'provider-token' END,
             CASE WHEN get_request_header('authorization') IS NULL
                   AND get_request_headers_json() NOT LIKE '%earer%' THEN 'hidden' END)
",
    ),
    (
        "tools/am_i.yml",
        "mxcp: 1
tool:
  name: am_i
  description: Whether the caller has this login name.
  parameters: [{ name: name, type: string, description: A login name. }]
  return: { type: string }
  source: { code: \"SELECT $name\" }
  policies:
    input:
      - { condition: \"user.username == null || user.username != name\", action: deny, reason: Somebody else }
",
    ),
    (
        "tools/mail.yml",
        "mxcp: 1
tool:
  name: mail
  description: For those whose address is known.
  return: { type: string }
  source: { code: \"SELECT 'mailed'\" }
  policies:
    input:
      - { condition: \"user.email == null\", action: deny, reason: No address }
",
    ),
    (
        "tools/prescribe.yml",
        "mxcp: 1
tool:
  name: prescribe
  description: For physicians alone.
  return: { type: string }
  source: { code: \"SELECT 'prescribed'\" }
  policies:
    input:
      - { condition: \"user.role != 'physician'\", action: deny, reason: Only physicians prescribe }
",
    ),
    (
        "tools/care.yml",
        "mxcp: 1
tool:
  name: care
  description: For those whom the configuration lets.
  return: { type: string }
  source: { code: \"SELECT 'cared'\" }
  policies:
    input:
      - { condition: \"!('care' in user.capabilities)\", action: deny, reason: Not yours }
",
    ),
];

/// An authorization server, running, with its identity provider.
pub struct Issuer {
    /// its URL
    pub base: String,
    idp: Option<IdentityProvider>,
    /// the program
    pub server: Server,
    project: Project,
    bundle: PathBuf,
    port: u16,
}

/// Two people.
pub fn people() -> Value {
    json!({
        "ada": { "name": "Ada", "preferred_username": "ada", "email": "ada@acme.example",
                 "email_verified": true, "role": "physician", "groups": ["east"] },
        "bob": { "name": "Bob", "preferred_username": "bob", "email": "bob@acme.example",
                 "email_verified": false, "role": "nurse" },
    })
}

/// The project that is served, built.
pub fn project() -> (Project, PathBuf) {
    let mut files = vec![("mxcp-site.yml", SITE)];
    files.extend(TOOLS);
    let project = Project::new(&files);
    let bundle = project.build();
    (project, bundle)
}

/// Writes a user file that its owner alone may read.
pub fn user_file(project: &Project, auth: &Value, http: &Value) {
    let user = json!({
        "mxcp": 1,
        "transport": { "http": http },
        "projects": { "clinic": { "profiles": { "default": { "auth": auth } } } },
    });
    project.write("user.yml", &user.to_string());
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(project.path("user.yml"), mode).expect("a mode for the user file");
}

impl Issuer {
    /// Starts both; `more` is merged into `auth`. People without `login_hint` are the first of
    /// [`people`].
    pub fn start(hint: &str, more: &Value) -> Self {
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let clients = json!([{
            "client_id": "mxcp", "client_secret": "mxcp secret",
            "redirect_uris": [format!("{base}/auth/oidc/callback")],
            "grant_types": ["authorization_code", "refresh_token"],
        }]);
        let idp = IdentityProvider::start(&clients, &people(), 300);
        let mut auth = json!({
            "provider": "oidc",
            "oidc": {
                "config_url": idp.config_url(), "client_id": "mxcp", "client_secret": "mxcp secret",
                "scope": "openid profile email", "extra_authorize_params": { "login_hint": hint },
                "claim_mappings": { "role": { "nurse": ["care"] } },
            },
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            auth[name] = value.clone();
        }
        Self { idp: Some(idp), ..Self::on(port, auth) }
    }

    /// Starts one before another provider: `auth` names it and has its section.
    pub fn before(auth: Value) -> Self {
        Self::on(free_port(), auth)
    }

    /// Starts one of several that are reached by one address: this one listens on a port of its own,
    /// and `auth` says where all of them keep logins.
    pub fn replica(base: &str, port: u16, auth: &Value) -> Self {
        let (project, bundle) = project();
        Self::serving(project, bundle, base.to_owned(), port, auth.clone())
    }

    fn on(port: u16, mut auth: Value) -> Self {
        let (project, bundle) = project();
        auth["persistence"] = json!({ "type": "sqlite", "path": project.path("sessions.db") });
        Self::serving(project, bundle, format!("http://127.0.0.1:{port}"), port, auth)
    }

    fn serving(
        project: Project,
        bundle: PathBuf,
        base: String,
        port: u16,
        mut auth: Value,
    ) -> Self {
        auth["mode"] = json!("issuer");
        user_file(&project, &auth, &json!({ "base_url": base, "stateless": true }));
        let server = Server::spawn(trail::serving(&project, &bundle, &[], port), port);
        Self { base, idp: None, server, project, bundle, port }
    }

    /// The records of its trail so far that are of one step of authentication.
    pub fn records_of(&self, step: &str) -> Vec<Value> {
        let mut records = trail::records_of_torn(&self.project);
        records.retain(|record| {
            record["operation_type"] == "auth" && record["operation_name"] == step
        });
        records
    }

    /// The issuer of the identity provider.
    pub fn idp(&self) -> &str {
        &self.idp.as_ref().expect("a real identity provider").issuer
    }

    /// Ends the program without warning and starts it again on the same port and files.
    #[must_use]
    pub fn kill_and_restart(self) -> Self {
        let Self { base, idp, server, project, bundle, port } = self;
        server.kill();
        let server = Server::spawn(trail::serving(&project, &bundle, &[], port), port);
        Self { base, idp, server, project, bundle, port }
    }

    /// A URL below it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Registers a client and returns its id.
    pub async fn register(&self, redirect_uris: &[&str]) -> String {
        let body = json!({
            "client_name": "An <b>assistant</b>",
            "redirect_uris": redirect_uris,
            "grant_types": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_method": "none",
        });
        let page = self.try_register(&body).await;
        let answer: Value = serde_json::from_str(&page.body).expect("JSON");
        answer["client_id"].as_str().unwrap_or_else(|| panic!("{}", page.body)).to_owned()
    }

    /// Sends a registration.
    pub async fn try_register(&self, body: &Value) -> Page {
        let headers = [("content-type", "application/json")];
        let (method, body) = (axum::http::Method::POST, body.to_string().into_bytes());
        Browser::default().send(method, &self.url("/register"), &headers, body).await
    }

    /// The address at which a client asks for a person's consent.
    pub fn authorize(&self, client: &str, changes: &[(&str, &str)]) -> String {
        let challenge = jose::encode(digest(&SHA256, VERIFIER.as_bytes()).as_ref());
        let resource = self.url("/mcp");
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("state", "client-state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &resource),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        let mut url = Url::parse(&self.url("/authorize")).expect("a URL");
        url.query_pairs_mut().extend_pairs(fields);
        url.into()
    }

    /// Agrees on a consent page; where that leads.
    pub async fn agree(&self, browser: &mut Browser, page: &Page) -> Page {
        let ticket = page.field("ticket");
        let fields = [("ticket", ticket.as_str()), ("decision", "allow")];
        browser.post(&self.url("/consent"), &fields).await
    }

    /// Goes from the request of a client to our callback, which is not asked yet.
    pub async fn until_callback(&self, browser: &mut Browser, url: &str) -> Url {
        let page = browser.get(url).await;
        let to = self.agree(browser, &page).await;
        let to = to.location().unwrap_or_else(|| panic!("consent: {} {}", to.status, to.body));
        browser.follow(to.as_str(), &self.url("/auth/")).await
    }

    /// Goes all the way; the code that the client gets.
    pub async fn code(&self, browser: &mut Browser, client: &str) -> String {
        let callback = self.until_callback(browser, &self.authorize(client, &[])).await;
        let page = browser.get(callback.as_str()).await;
        let to =
            page.location().unwrap_or_else(|| panic!("callback: {} {}", page.status, page.body));
        parameter(&to, "code").unwrap_or_else(|| panic!("no code: {to}"))
    }

    /// Asks the token endpoint; fields with an empty value are left out.
    pub async fn token(&self, fields: &[(&str, &str)]) -> Page {
        let fields: Vec<(&str, &str)> =
            fields.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        Browser::default().post(&self.url("/token"), &fields).await
    }

    /// Exchanges a code.
    pub async fn exchange(&self, client: &str, code: &str) -> Page {
        self.exchange_for(client, code, REDIRECT).await
    }

    /// Exchanges a code that was sent to a place.
    pub async fn exchange_for(&self, client: &str, code: &str, redirect: &str) -> Page {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", redirect),
        ])
        .await
    }

    /// A new client with the tokens of whoever logs in: `(client, access token, refresh token)`.
    pub async fn tokens(&self) -> (String, String, String) {
        let client = self.register(&[REDIRECT]).await;
        let code = self.code(&mut Browser::default(), &client).await;
        let answer = json_of(&self.exchange(&client, &code).await);
        let text = |name: &str| {
            answer[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {answer}")).to_owned()
        };
        (client, text("access_token"), text("refresh_token"))
    }

    /// Calls the tool that anybody may call who is somebody.
    pub async fn call(&self, token: &str) -> Page {
        call(&self.url("/mcp"), token, "am_i", &json!({ "name": "nobody" })).await
    }

    /// Calls a tool; its text, or the reason why not.
    pub async fn text(&self, token: &str, tool: &str, arguments: &Value) -> String {
        text_of(&call(&self.url("/mcp"), token, tool, arguments).await)
    }
}

/// Calls a tool at an endpoint with a token, or none.
pub async fn call(url: &str, token: &str, tool: &str, arguments: &Value) -> Page {
    post(url, token, &trail::tool(1, tool, arguments)).await
}

/// Asks for the list of tools at an endpoint with a token, or none.
pub async fn list(url: &str, token: &str) -> Page {
    post(url, token, &trail::message(1, "tools/list", &json!({}))).await
}

async fn post(url: &str, token: &str, message: &Value) -> Page {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    let body = message.to_string().into_bytes();
    Browser::default().send(axum::http::Method::POST, url, &headers, body).await
}

/// The text of a tool's result; of a refusal without the id of the call, which is another one each
/// time.
pub fn text_of(page: &Page) -> String {
    let answer = json_of(page);
    let text = answer["result"]["content"][0]["text"].as_str();
    let text = text.unwrap_or_else(|| panic!("no text: {answer}"));
    let text = text.split(" (call ").next().unwrap_or_default();
    text.trim_matches('"').to_owned()
}

/// What a page says, as JSON.
pub fn json_of(page: &Page) -> Value {
    serde_json::from_str(&page.body)
        .unwrap_or_else(|_| panic!("{} {} {}", page.url, page.status, page.body))
}

/// A parameter of a URL.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
