//! Files that hold secrets, and who may read them.

use std::path::Path;

use mxcp_schemas::document::user::User;
use mxcp_schemas::yaml::{Kind, Node};

use crate::audit::redact::Words;

/// The permissions that nobody but the owner may have on a file with secrets.
const OF_OTHERS: u32 = 0o066;

/// A file with secrets that others can read or write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{path}` holds secrets, and others than its owner can read or write it (mode {mode:03o}); \
     run `chmod 600 {path}`"
)]
pub struct Exposed {
    /// the file
    pub path: String,
    /// its permissions
    pub mode: u32,
}

/// Checks the permissions of a file that holds secrets. Where there are none, or no file, there is
/// nothing to check.
///
/// # Errors
/// When others than its owner can read or write it.
pub fn check(path: &Path, mode: Option<u32>) -> Result<(), Exposed> {
    match mode.map(|mode| mode & 0o777) {
        Some(mode) if mode & OF_OTHERS != 0 => {
            Err(Exposed { path: path.display().to_string(), mode })
        }
        _ => Ok(()),
    }
}

/// The permissions of a file, if it is there and has any.
#[cfg(unix)]
pub fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).ok().map(|found| found.permissions().mode())
}

/// The permissions of a file, if it is there and has any.
#[cfg(not(unix))]
pub fn mode_of(_: &Path) -> Option<u32> {
    None
}

/// Whether a user file holds secrets itself, instead of references to where they are.
pub(super) fn holds_secrets(user: &User) -> bool {
    let words = Words::default();
    let below =
        |node: &Option<Node>, all| node.as_ref().is_some_and(|node| has_secret(node, &words, all));
    below(&user.models, false)
        || user.profiles.iter().any(|profile| {
            let keys = ["signing_key", "hmac_key"];
            let audit = profile.audit.as_ref().is_some_and(|node| {
                keys.iter().any(|key| node.get(key).and_then(Node::as_str).is_some_and(is_literal))
            });
            let auth = profile.auth.as_ref().is_some_and(|auth| {
                let own = auth.settings.text("client_secret").into_iter();
                let clients =
                    auth.clients.iter().filter_map(|client| client.client_secret.as_deref());
                let sent = auth.settings.extra_authorize_params.iter();
                let sent = sent.filter(|(name, _)| words.stand_in(name));
                own.chain(clients)
                    .chain(sent.map(|(_, value)| value.as_str()))
                    .chain(auth.persistence.auth_encryption_key.as_deref())
                    .chain(auth.persistence.url.as_deref())
                    .any(is_literal)
            });
            // What a collector is sent in the head of a request is who may write there.
            let headers = profile.telemetry.as_ref().and_then(|node| node.get("headers")).cloned();
            audit
                || auth
                || below(&headers, true)
                || below(&profile.plugin, false)
                || profile.secrets.iter().any(|secret| below(&secret.parameters, false))
        })
}

/// Whether a tree has a literal text under a name that speaks of a secret.
fn has_secret(node: &Node, words: &Words, named: bool) -> bool {
    match &node.kind {
        Kind::Map(entries) => entries
            .iter()
            .any(|entry| has_secret(&entry.value, words, named || words.stand_in(&entry.key))),
        Kind::Seq(items) => items.iter().any(|item| has_secret(item, words, named)),
        Kind::String(text) => named && is_literal(&text.text),
        _ => false,
    }
}

/// Whether a text is what it says, and no reference.
fn is_literal(text: &str) -> bool {
    let elsewhere = ["file://", "vault://", "op://"];
    !text.is_empty()
        && !text.contains("${")
        && !elsewhere.iter().any(|scheme| text.starts_with(scheme))
}
