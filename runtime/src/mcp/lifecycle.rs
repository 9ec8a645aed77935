//! Beginning a conversation: `initialize`, `server/discover`, and the level of log messages.

use std::sync::Arc;

use super::dispatch::{Cache, Context, Success};
use super::era::{LOG_LEVELS, Revision};
use super::fault::Fault;
use super::jsonrpc::Code;
use super::list::Object;
use crate::json::{get, quoted};

/// How long a client may keep what `server/discover` says, in milliseconds.
const DISCOVER_TTL_MS: u64 = 3_600_000;
/// Length of a client's name, at most.
const CLIENT_NAME_MAX_CHARS: usize = 128;

/// Agrees on a legacy revision and opens a session, unless the server is stateless.
pub(super) fn initialize(context: &Context<'_>) -> Result<Success, Fault> {
    let asked = context.text("protocolVersion")?;
    let known = Revision::parse(asked).filter(|revision| !revision.is_modern());
    let revision = known.unwrap_or(Revision::NEWEST_LEGACY);
    let client = get(context.params, "clientInfo").and_then(|info| info.get("name")?.as_str());
    let client = client.map(|name| name.chars().take(CLIENT_NAME_MAX_CHARS).collect::<String>());
    let principal = Arc::clone(&context.caller.principal);
    let opened = match &context.server.sessions {
        None => None,
        Some(sessions) => Some(
            sessions
                .open(revision, client, principal)
                .map_err(|error| Fault::new(Code::Refused, error.to_string()).with_status(503))?,
        ),
    };
    let mut members = String::new();
    let mut object = Object::begun(&mut members);
    object.text("protocolVersion", revision.as_str());
    object.raw("capabilities", &capabilities(true));
    object.raw("serverInfo", &context.server.info);
    Ok(Success { members, opened, ..Success::default() })
}

/// Says what the server speaks and offers.
pub(super) fn discover(context: &Context<'_>) -> Result<Success, Fault> {
    let modern = context.revision.is_modern();
    let mut members = String::new();
    let mut object = Object::begun(&mut members);
    object.raw("supportedVersions", &Revision::supported());
    object.raw("capabilities", &capabilities(!modern));
    let cache = Some(Cache { ttl_ms: DISCOVER_TTL_MS, is_private: false });
    Ok(Success { members, cache, ..Success::default() })
}

/// Accepts a level of log messages. No endpoint sends any yet that a level could hold back, so
/// there is nothing to remember.
pub(super) fn set_level(context: &Context<'_>) -> Result<Success, Fault> {
    let level = context.text("level")?;
    if LOG_LEVELS.contains(&level) {
        return Ok(Success::default());
    }
    let known: Vec<String> = LOG_LEVELS.iter().map(|level| quoted(level)).collect();
    let message = format!("`params.level` must be one of {}", known.join(", "));
    Err(Fault::new(Code::InvalidParams, message))
}

fn capabilities(legacy: bool) -> String {
    let mut text = String::new();
    let mut object = Object::new(&mut text);
    object.raw("completions", "{}");
    if legacy {
        object.raw("logging", "{}");
    }
    object.raw("prompts", r#"{"listChanged":false}"#);
    object.raw("resources", r#"{"subscribe":false,"listChanged":false}"#);
    object.raw("tools", r#"{"listChanged":false}"#);
    object.end();
    text
}
