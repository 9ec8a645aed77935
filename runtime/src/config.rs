//! The configuration of a deployment: the user file, the environment, references to secrets.
//!
//! What this release cannot honour stops the start rather than being ignored, wherever ignoring it
//! would leave the server more open than its configuration says.

mod concealed;
pub mod private;
mod reference;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mxcp_schemas::diagnostic::{Diagnostic, Severity};
use mxcp_schemas::document::user::{self, Profile, Provider, Transport, User};
use mxcp_schemas::yaml::{self, Kind, Node};
use serde_json::Value;

use crate::auth::config::AuthConfig;
use crate::transport::network::{Network, private_networks};

pub use concealed::Concealed;
pub use reference::{ReferenceError, resolve, resolve_key};

/// Host to listen on unless said otherwise.
pub const DEFAULT_HOST: &str = "localhost";
/// Port to listen on unless said otherwise.
pub const DEFAULT_PORT: u16 = 8_000;

/// Where configuration comes from: the environment and the file system of a process.
pub trait Surroundings {
    /// The value of an environment variable; empty counts as unset.
    fn variable(&self, name: &str) -> Option<String>;
    /// The content of a file.
    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// The permissions of a file, where there are such.
    fn mode(&self, path: &Path) -> Option<u32>;
}

/// The process that this is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Surroundings for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        private::mode_of(path)
    }
}

/// What a variable of the environment says, if it is set. A word that is neither yes nor no is refused:
/// read as a no, a misspelt yes would leave calls unrecorded or the database writable.
///
/// # Errors
/// When it is such a word.
pub fn switch(name: &'static str, around: &dyn Surroundings) -> Result<Option<bool>, ConfigError> {
    let Some(value) = around.variable(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(Some(true)),
        "0" | "false" | "no" | "off" => Ok(Some(false)),
        _ => Err(ConfigError::Switch { name, value }),
    }
}

/// What a deployment sets, references resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// how clients reach the server
    pub transport: Transport,
    /// whose forwarding headers count: nobody's unless configured
    pub trusted_proxies: Vec<Network>,
    /// how callers are authenticated; without it nobody is
    pub auth: Option<AuthConfig>,
    /// keys of the audit trail
    pub audit: AuditKeys,
    /// named secrets of the project
    pub secrets: Vec<Secret>,
    /// what the operator should know
    pub notes: Vec<String>,
}

/// Keys of the audit trail; each is the key itself, as the file or variable has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditKeys {
    /// signs checkpoints
    pub signing_key: Option<Concealed<String>>,
    /// signed them before, and hands over
    pub previous_signing_key: Option<Concealed<String>>,
    /// makes redacted values comparable
    pub hmac_key: Option<Concealed<String>>,
    /// where checkpoints are also written
    pub checkpoint_sink: Option<String>,
}

/// A named secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// its name
    pub name: String,
    /// its type: DuckDB's or another
    pub kind: String,
    /// its parameters
    pub parameters: Concealed<Value>,
}

/// Why a deployment's configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration `{}` cannot be read: {source}", path.display())]
    Read {
        /// the file
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// The file says something that it may not.
    #[error("the configuration `{}` has errors:\n{}", path.display(), problems.join("\n"))]
    Invalid {
        /// the file
        path: PathBuf,
        /// what is wrong, each with its place
        problems: Vec<String>,
    },
    /// The file holds secrets and others can read it.
    #[error(transparent)]
    Exposed(#[from] private::Exposed),
    /// A reference cannot be resolved.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A value that is none of its kind.
    #[error("`{place}`: {problem}")]
    Value {
        /// where it is set
        place: String,
        /// what is wrong
        problem: String,
    },
    /// A variable of the environment says neither yes nor no.
    #[error("the environment variable `{name}` is `{value}`; it can be `true` or `false`")]
    Switch {
        /// the variable
        name: &'static str,
        /// what it holds
        value: String,
    },
    /// A secret that the project needs is not there.
    #[error(
        "the project needs the secret `{secret}`; define it under `projects.{project}.profiles.{profile}.secrets`"
    )]
    NoSecret {
        /// its name
        secret: String,
        /// project
        project: String,
        /// profile
        profile: String,
    },
    /// Something is configured that this release cannot do, and doing without would be unsafe.
    #[error("`{place}` is set, and {problem}")]
    Unsupported {
        /// where it is set
        place: String,
        /// what is missing, and what to do
        problem: &'static str,
    },
    /// A bundle of another profile.
    #[error(
        "the profile `{asked}` is asked for and the bundle holds `{held}`; build it with `--profile {asked}`"
    )]
    Profile {
        /// in the environment
        asked: String,
        /// in the bundle
        held: String,
    },
}

/// Of which part of a user file a bundle needs.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'b> {
    /// project
    pub project: &'b str,
    /// profile
    pub profile: &'b str,
    /// names of secrets
    pub secrets: &'b [String],
}

/// Reads the configuration for a bundle: from `path`, else `$MXCP_CONFIG`, else
/// `~/.mxcp/config.yml`, which alone may be missing.
///
/// # Errors
/// See [`ConfigError`].
pub fn load(
    path: Option<&Path>,
    around: &dyn Surroundings,
    wanted: Wanted<'_>,
) -> Result<Config, ConfigError> {
    if let Some(asked) = around.variable("MXCP_PROFILE").filter(|asked| asked != wanted.profile) {
        return Err(ConfigError::Profile { asked, held: wanted.profile.to_owned() });
    }
    let named = path.map(Path::to_owned).or_else(|| around.variable("MXCP_CONFIG").map(Into::into));
    let home = || around.variable("HOME").map(|home| Path::new(&home).join(".mxcp/config.yml"));
    let (path, may_be_missing) = match named {
        Some(path) => (path, false),
        None => match home() {
            Some(path) => (path, true),
            None => return understand(&User::default(), around, wanted),
        },
    };
    match around.file(&path) {
        Ok(bytes) => {
            let user = parse(&path, &bytes)?;
            if private::holds_secrets(&user) {
                private::check(&path, around.mode(&path))?;
            }
            understand(&user, around, wanted)
        }
        Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => {
            understand(&User::default(), around, wanted)
        }
        Err(source) => Err(ConfigError::Read { path, source }),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<User, ConfigError> {
    let file: Arc<str> = path.to_string_lossy().into();
    let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
    let text = yaml::decode(&file, bytes).map_err(|found| invalid(vec![found.message.clone()]))?;
    let (user, found) = user::read(&file, &text);
    let errors: Vec<String> = found
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| describe(diagnostic, &text))
        .collect();
    match user {
        Some(user) if errors.is_empty() => Ok(user),
        _ => Err(invalid(errors)),
    }
}

/// A diagnostic on one line, with the place where it belongs.
fn describe(diagnostic: &Diagnostic, text: &str) -> String {
    let line = diagnostic.span.map_or(1, |span| {
        let before = text.as_bytes().get(..span.start as usize).unwrap_or_default();
        memchr::memchr_iter(b'\n', before).count() + 1
    });
    let help = diagnostic.help.iter().fold(String::new(), |all, help| all + "; " + help);
    format!("  line {line}: {} [{}]{help}", diagnostic.message, diagnostic.code.id)
}

fn understand(
    user: &User,
    around: &dyn Surroundings,
    wanted: Wanted<'_>,
) -> Result<Config, ConfigError> {
    let mut notes = Vec::new();
    let transport = transport(&user.transport, around, &mut notes)?;
    let trusted_proxies = trusted_proxies(&user.transport)?;
    let place = format!("projects.{}.profiles.{}", wanted.project, wanted.profile);
    let profile = user.profile(wanted.project, wanted.profile);
    let mut config = Config {
        transport,
        trusted_proxies,
        auth: None,
        audit: AuditKeys::default(),
        secrets: Vec::new(),
        notes,
    };
    if let Some(profile) = profile {
        if let Some(auth) = &profile.auth {
            config.auth = AuthConfig::resolve(auth, around, &format!("{place}.auth"))?;
        }
        if let Some(audit) = &profile.audit {
            config.audit = audit_keys(audit, around, &format!("{place}.audit"))?;
        }
        config.secrets = secrets(profile, around, &place)?;
        let telemetry = profile.telemetry.as_ref().and_then(|node| node.get("enabled"));
        if telemetry.is_some_and(|node| node.kind == Kind::Bool(true)) {
            config.notes.push(format!("`{place}.telemetry` is set and not supported: ignored"));
        }
    }
    for name in wanted.secrets {
        if !config.secrets.iter().any(|secret| secret.name == *name) {
            return Err(ConfigError::NoSecret {
                secret: name.clone(),
                project: wanted.project.to_owned(),
                profile: wanted.profile.to_owned(),
            });
        }
    }
    Ok(config)
}

fn transport(
    written: &Transport,
    around: &dyn Surroundings,
    notes: &mut Vec<String>,
) -> Result<Transport, ConfigError> {
    if written.provider == Some(Provider::Sse) {
        notes.push(
            "`transport.provider: sse` is deprecated; streamable HTTP is served instead".into(),
        );
    }
    let text = |value: &Option<String>, key: &str| {
        let place = format!("transport.http.{key}");
        value.as_ref().map(|value| resolve(value, &place, around)).transpose()
    };
    let tls = written.tls.as_ref().map(|(cert, key)| {
        Ok::<_, ReferenceError>((
            resolve(cert, "transport.http.tls.cert", around)?,
            resolve(key, "transport.http.tls.key", around)?,
        ))
    });
    Ok(Transport {
        tls: tls.transpose()?,
        host: text(&written.host, "host")?,
        scheme: text(&written.scheme, "scheme")?,
        base_url: text(&written.base_url, "base_url")?,
        ..written.clone()
    })
}

/// The networks whose forwarding headers count.
fn trusted_proxies(written: &Transport) -> Result<Vec<Network>, ConfigError> {
    if !written.trust_proxy {
        return Ok(Vec::new());
    }
    let Some(networks) = &written.trusted_proxies else { return Ok(private_networks()) };
    let network = |text: &String| {
        Network::parse(text).ok_or_else(|| ConfigError::Value {
            place: "transport.http.trusted_proxies".into(),
            problem: format!("`{text}` is no network such as `10.0.0.0/8` or `::1`"),
        })
    };
    networks.iter().map(network).collect()
}

/// A path below the home folder, when it begins with `~/`.
pub fn expand_home(path: &str, around: &dyn Surroundings) -> PathBuf {
    match (path.strip_prefix("~/"), around.variable("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}

fn audit_keys(
    node: &Node,
    around: &dyn Surroundings,
    place: &str,
) -> Result<AuditKeys, ConfigError> {
    let text = |key: &str, node: &Node| {
        let place = format!("{place}.{key}");
        match node.as_str() {
            Some(text) if key.ends_with("_key") => Ok(resolve_key(text, &place, around)?),
            Some(text) => Ok(resolve(text, &place, around)?),
            None => Err(ConfigError::Unsupported { place, problem: "it must be a text" }),
        }
    };
    let one = |key: &str| {
        let node = node.get(key).filter(|node| node.kind != Kind::Null);
        node.map(|node| text(key, node)).transpose()
    };
    // One key, or two: the one that signs and the one that did before.
    let keys: &[Node] = match node.get("signing_key") {
        None => &[],
        Some(Node { kind: Kind::Null, .. }) => &[],
        Some(Node { kind: Kind::Seq(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
    };
    if keys.len() > 2 {
        return Err(ConfigError::Unsupported {
            place: format!("{place}.signing_key"),
            problem: "it may hold two keys at most: the one that signs, and the one before it",
        });
    }
    let mut keys = keys.iter().map(|node| text("signing_key", node).map(Concealed::new));
    Ok(AuditKeys {
        signing_key: keys.next().transpose()?,
        previous_signing_key: keys.next().transpose()?,
        hmac_key: one("hmac_key")?.map(Concealed::new),
        checkpoint_sink: one("checkpoint_sink")?,
    })
}

fn secrets(
    profile: &Profile,
    around: &dyn Surroundings,
    place: &str,
) -> Result<Vec<Secret>, ConfigError> {
    let secret = |secret: &user::Secret| {
        let name = secret.name.value.clone();
        let place = format!("{place}.secrets.{name}.parameters");
        let mut parameters = secret
            .parameters
            .as_ref()
            .map_or_else(|| Value::Object(serde_json::Map::new()), Node::to_json);
        resolve_all(&mut parameters, &place, around)?;
        let kind = secret.kind.value.clone();
        Ok(Secret { name, kind, parameters: Concealed::new(parameters) })
    };
    profile.secrets.iter().map(secret).collect()
}

/// Resolves the references in every text of a value.
fn resolve_all(
    value: &mut Value,
    place: &str,
    around: &dyn Surroundings,
) -> Result<(), ReferenceError> {
    match value {
        Value::String(text) => *text = resolve(text, place, around)?,
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                resolve_all(item, &format!("{place}[{i}]"), around)?;
            }
        }
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                resolve_all(member, &format!("{place}.{key}"), around)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
