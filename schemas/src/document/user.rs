//! The user file: the configuration of a deployment. It may hold secrets, so nothing here prints
//! its values; references (`${VAR}`, `file://` …) stay as they are written until they are resolved.

pub mod auth;

use std::fmt;
use std::sync::Arc;

use super::Spanned;
use super::endpoint::check_version_value;
use super::lift::Lift;
use crate::diagnostic::Diagnostic;
use crate::yaml::{self, Node};

/// What the user file says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct User {
    /// how clients reach the server
    pub transport: Transport,
    /// HashiCorp Vault
    pub vault: Service,
    /// 1Password
    pub onepassword: Service,
    /// language models and their keys, of Python endpoints
    pub models: Option<Node>,
    /// logs of the process
    pub logging: Logging,
    /// Python interpreter
    pub python: Option<String>,
    /// per project and profile
    pub profiles: Vec<Profile>,
}

/// How clients reach the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// which transport
    pub provider: Option<Provider>,
    /// host to listen on
    pub host: Option<String>,
    /// port to listen on
    pub port: Option<u16>,
    /// scheme that clients see
    pub scheme: Option<String>,
    /// URL that clients see
    pub base_url: Option<String>,
    /// whether forwarding headers of a proxy count
    pub trust_proxy: bool,
    /// networks that such a proxy may be in; none is loopback and private ones
    pub trusted_proxies: Option<Vec<String>>,
    /// whether legacy clients get no session
    pub stateless: bool,
    /// certificate and key files
    pub tls: Option<(String, String)>,
}

/// The transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// streamable HTTP
    StreamableHttp,
    /// the old name, served as streamable HTTP
    Sse,
    /// standard input and output
    Stdio,
}

/// A service that secrets come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// whether it is used
    pub enabled: bool,
    /// where it is
    pub address: Option<String>,
    /// environment variable that holds its token
    pub token_env: Option<String>,
}

/// Logs of the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logging {
    /// whether there are any
    pub enabled: Option<bool>,
    /// file
    pub path: Option<String>,
    /// least severe level
    pub level: Option<String>,
    /// size at which a file ends
    pub max_bytes: Option<u64>,
    /// files kept
    pub backup_count: Option<u64>,
}

/// The part of one project and profile. Its values are kept as nodes, for they hold references to
/// resolve and secrets.
#[derive(Clone, PartialEq)]
pub struct Profile {
    /// project name
    pub project: Spanned<String>,
    /// profile name
    pub profile: Spanned<String>,
    /// named secrets
    pub secrets: Vec<Secret>,
    /// configuration of plugins
    pub plugin: Option<Node>,
    /// authentication
    pub auth: Option<auth::Auth>,
    /// keys of the audit trail
    pub audit: Option<Node>,
    /// telemetry
    pub telemetry: Option<Node>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("project", &self.project.value)
            .field("profile", &self.profile.value)
            .finish_non_exhaustive()
    }
}

/// A named secret. Does not print its parameters.
#[derive(Clone, PartialEq)]
pub struct Secret {
    /// its name
    pub name: Spanned<String>,
    /// its type, DuckDB's or `python`, `custom` …
    pub kind: Spanned<String>,
    /// its parameters, unresolved
    pub parameters: Option<Node>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name.value).finish_non_exhaustive()
    }
}

impl User {
    /// The part of a project and profile.
    pub fn profile(&self, project: &str, profile: &str) -> Option<&Profile> {
        self.profiles.iter().find(|p| p.project.value == project && p.profile.value == profile)
    }
}

/// Reads the user file.
pub fn read(file: &Arc<str>, text: &str) -> (Option<User>, Vec<Diagnostic>) {
    let (document, found) = yaml::read(file, text);
    let mut lift = Lift::new(file, text, found);
    let user = document.and_then(|document| read_root(&mut lift, &document.root));
    (user, lift.finish())
}

fn read_root(lift: &mut Lift<'_>, root: &Node) -> Option<User> {
    let known =
        ["mxcp", "transport", "vault", "onepassword", "models", "logging", "python", "projects"];
    lift.map(root, "the user file", &known)?;
    if let Some(version) = root.get("mxcp") {
        check_version_value(lift, version);
    }
    if let Some(models) = root.get("models") {
        lift.entries(models, "`models`");
    }
    Some(User {
        transport: root.get("transport").map_or_else(Transport::default, |n| transport(lift, n)),
        vault: root.get("vault").map_or_else(Service::default, |n| service(lift, n, "`vault`")),
        onepassword: root
            .get("onepassword")
            .map_or_else(Service::default, |n| service(lift, n, "`onepassword`")),
        models: root.get("models").cloned(),
        logging: root.get("logging").map_or_else(Logging::default, |n| logging(lift, n)),
        python: root.get("python").and_then(|n| lift.text(n, "`python`")).map(|t| t.value),
        profiles: root.get("projects").map_or_else(Vec::new, |n| projects(lift, n)),
    })
}

fn transport(lift: &mut Lift<'_>, node: &Node) -> Transport {
    lift.map(node, "`transport`", &["provider", "http"]);
    let providers = [
        ("streamable-http", Provider::StreamableHttp),
        ("sse", Provider::Sse),
        ("stdio", Provider::Stdio),
    ];
    let provider = node.get("provider").and_then(|n| lift.choice(n, "`provider`", &providers));
    let Some(http) = node.get("http") else {
        return Transport { provider, ..Transport::default() };
    };
    let known = [
        "host",
        "port",
        "scheme",
        "base_url",
        "trust_proxy",
        "trusted_proxies",
        "stateless",
        "tls",
    ];
    lift.map(http, "`http`", &known);
    let mut flag = |key: &str| {
        http.get(key).is_some_and(|n| lift.boolean(n, &format!("`{key}`")).unwrap_or(false))
    };
    let (trust_proxy, stateless) = (flag("trust_proxy"), flag("stateless"));
    let port = http.get("port").and_then(|n| {
        let port = lift.count(n, "`port`").and_then(|p| u16::try_from(p).ok());
        if port.is_none() {
            lift.wrong(n, "`port`", "a number from 0 to 65535");
        }
        port
    });
    let trusted_proxies = http
        .get("trusted_proxies")
        .map(|n| lift.texts(n, "`trusted_proxies`").into_iter().map(|text| text.value).collect());
    let mut text =
        |key: &str| http.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|t| t.value);
    Transport {
        provider,
        host: text("host"),
        port,
        scheme: text("scheme"),
        base_url: text("base_url"),
        trust_proxy,
        trusted_proxies,
        stateless,
        tls: http.get("tls").and_then(|n| tls(lift, n)),
    }
}

fn tls(lift: &mut Lift<'_>, node: &Node) -> Option<(String, String)> {
    lift.map(node, "`tls`", &["cert", "key"]);
    let mut part = |key: &str| match node.get(key) {
        Some(n) => lift.text(n, &format!("`{key}`")).map(|t| t.value),
        None => {
            lift.missing(node, node.span, "`tls`", key);
            None
        }
    };
    let (cert, key) = (part("cert"), part("key"));
    Some((cert?, key?))
}

fn service(lift: &mut Lift<'_>, node: &Node, what: &str) -> Service {
    lift.map(node, what, &["enabled", "address", "token_env"]);
    let enabled =
        node.get("enabled").is_some_and(|n| lift.boolean(n, "`enabled`").unwrap_or(false));
    let mut text =
        |key: &str| node.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|t| t.value);
    Service { enabled, address: text("address"), token_env: text("token_env") }
}

fn logging(lift: &mut Lift<'_>, node: &Node) -> Logging {
    lift.map(node, "`logging`", &["enabled", "path", "level", "max_bytes", "backup_count"]);
    let levels = ["debug", "info", "warning", "error", "critical", "trace", "warn"];
    let level = node.get("level").and_then(|n| lift.text(n, "`level`"));
    if let Some(level) =
        level.as_ref().filter(|l| !levels.contains(&l.value.to_lowercase().as_str()))
    {
        lift.not_a_choice(&super::code::INVALID_VALUE, &level.as_ref(), "`level`", &levels);
    }
    Logging {
        enabled: node.get("enabled").and_then(|n| lift.boolean(n, "`enabled`")),
        path: node.get("path").and_then(|n| lift.text(n, "`path`")).map(|t| t.value),
        level: level.map(|t| t.value),
        max_bytes: node.get("max_bytes").and_then(|n| lift.count(n, "`max_bytes`")),
        backup_count: node.get("backup_count").and_then(|n| lift.count(n, "`backup_count`")),
    }
}

fn projects(lift: &mut Lift<'_>, node: &Node) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for project in lift.entries(node, "`projects`").unwrap_or(&[]) {
        let what = format!("the project `{}`", project.key);
        lift.map(&project.value, &what, &["profiles"]);
        let Some(list) = project.value.get("profiles") else { continue };
        for entry in lift.entries(list, "`profiles`").unwrap_or(&[]) {
            let what = format!("the profile `{}`", entry.key);
            let known = ["secrets", "plugin", "auth", "audit", "telemetry"];
            lift.map(&entry.value, &what, &known);
            let part = |key: &str| entry.value.get(key).cloned();
            if let Some(audit) = entry.value.get("audit") {
                lift.map(audit, "`audit`", &["signing_key", "hmac_key", "checkpoint_sink"]);
            }
            if let Some(plugin) = entry.value.get("plugin") {
                lift.entries(plugin, "`plugin`");
            }
            if let Some(telemetry) = entry.value.get("telemetry") {
                telemetry_keys(lift, telemetry);
            }
            profiles.push(Profile {
                project: Spanned::new(project.key.clone(), project.key_span),
                profile: Spanned::new(entry.key.clone(), entry.key_span),
                secrets: entry.value.get("secrets").map_or_else(Vec::new, |n| secrets(lift, n)),
                plugin: part("plugin"),
                auth: entry.value.get("auth").map(|n| auth::read(lift, n)),
                audit: part("audit"),
                telemetry: part("telemetry"),
            });
        }
    }
    profiles
}

/// Telemetry is another release's, yet a misspelt key of it is an error already.
fn telemetry_keys(lift: &mut Lift<'_>, node: &Node) {
    const OWN: [&str; 9] = [
        "enabled",
        "endpoint",
        "headers",
        "service_name",
        "service_version",
        "environment",
        "resource_attributes",
        "tracing",
        "metrics",
    ];
    lift.map(node, "`telemetry`", &OWN);
    for (key, known) in
        [("tracing", ["enabled", "console_export"]), ("metrics", ["enabled", "export_interval"])]
    {
        if let Some(part) = node.get(key) {
            lift.map(part, &format!("`telemetry.{key}`"), &known);
        }
    }
}

fn secrets(lift: &mut Lift<'_>, node: &Node) -> Vec<Secret> {
    let mut secrets = Vec::new();
    for item in lift.list(node, "`secrets`") {
        lift.map(item, "a secret", &["name", "type", "parameters"]);
        let mut text = |key: &str| match item.get(key) {
            Some(n) => lift.text(n, &format!("`{key}`")),
            None => {
                lift.missing(item, item.span, "a secret", key);
                None
            }
        };
        let (name, kind) = (text("name"), text("type"));
        if let (Some(name), Some(kind)) = (name, kind) {
            secrets.push(Secret { name, kind, parameters: item.get("parameters").cloned() });
        }
    }
    secrets
}
