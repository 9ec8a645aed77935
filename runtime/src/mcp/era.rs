//! Which revision of the protocol a message speaks.
//!
//! Two eras share one endpoint. A request of the modern era says everything about itself in its
//! `_meta`; the legacy era begins with `initialize`. What a message claims is believed only if it
//! is consistent: a modern request whose headers say another thing than its body is refused.

use std::borrow::Cow;

use super::fault::Fault;
use super::jsonrpc::Code;
use crate::json::{self, Json, Member};

/// Revisions of the protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// the first with streamable HTTP; the only one with batches
    V2025_03_26,
    /// structured results, no batches
    V2025_06_18,
    /// the last with `initialize`
    V2025_11_25,
    /// stateless
    V2026_07_28,
}

impl Revision {
    /// All revisions, newest first, as a server advertises them.
    pub const ALL: [Self; 4] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];
    /// The newest that begins with `initialize`.
    pub const NEWEST_LEGACY: Self = Self::V2025_11_25;
    /// What a legacy request without any sign of its revision speaks.
    pub const UNSAID: Self = Self::V2025_03_26;

    /// The date that messages carry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision of that date.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// Whether each request describes itself.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// Whether several messages may come in one array.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// Whether tools have titles, output schemas and structured results.
    pub const fn has_structured_results(self) -> bool {
        !matches!(self, Self::V2025_03_26)
    }

    /// The dates of all revisions as a JSON array.
    pub fn supported() -> String {
        let dates: Vec<String> = Self::ALL.iter().map(|r| json::quoted(r.as_str())).collect();
        format!("[{}]", dates.join(","))
    }
}

/// What a request says about itself beside its method and parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meta<'a> {
    /// name of the client program
    pub client: Option<Cow<'a, str>>,
    /// trace that the request belongs to (W3C Trace Context, 32 hexadecimal digits)
    pub trace_id: Option<Cow<'a, str>>,
}

/// The revision of a request, and what it says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Era<'a> {
    /// the revision
    pub revision: Revision,
    /// what the request says about itself
    pub meta: Meta<'a>,
}

/// Where a message came from, as far as the revision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// whether there are HTTP headers
    pub http: bool,
    /// the header `MCP-Protocol-Version`
    pub version_header: Option<&'a str>,
    /// what the session negotiated
    pub negotiated: Option<Revision>,
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// The levels of log messages (RFC 5424).
pub const LOG_LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Finds out which revision a request speaks.
///
/// # Errors
/// When it contradicts itself, lacks what its revision requires, or is of no known revision.
pub fn select<'p>(
    origin: Origin<'_>,
    method: &str,
    params: &'p [Member<'_>],
) -> Result<Era<'p>, Fault> {
    let meta = match json::get(params, "_meta") {
        None => &[][..],
        Some(Json::Object(members)) => members,
        Some(other) => {
            let message = format!("`_meta` must be an object, not {}", other.kind());
            return Err(Fault::bad(Code::InvalidParams, message));
        }
    };
    let speaks = |key| json::get(meta, key).is_some();
    let describes_itself = speaks(VERSION) || speaks(CLIENT_INFO) || speaks(CAPABILITIES);
    let newest = Revision::V2026_07_28.as_str();
    if describes_itself || method == "server/discover" {
        return modern(origin, meta);
    }
    if method == "initialize" {
        return Ok(Era { revision: Revision::NEWEST_LEGACY, meta: described(meta) });
    }
    match origin.version_header {
        Some(version) if version == newest => modern(origin, meta),
        Some(version) => match Revision::parse(version) {
            Some(revision) => legacy(origin, revision, meta),
            None => Err(unsupported(version)),
        },
        None => legacy(origin, origin.negotiated.unwrap_or(Revision::UNSAID), meta),
    }
}

fn legacy<'p>(
    origin: Origin<'_>,
    revision: Revision,
    meta: &'p [Member<'_>],
) -> Result<Era<'p>, Fault> {
    match origin.negotiated {
        Some(negotiated) if negotiated != revision => Err(Fault::bad(
            Code::InvalidRequest,
            format!(
                "the session speaks {} and the header `MCP-Protocol-Version` says {}",
                negotiated.as_str(),
                revision.as_str()
            ),
        )),
        _ => Ok(Era { revision, meta: described(meta) }),
    }
}

fn modern<'p>(origin: Origin<'_>, meta: &'p [Member<'_>]) -> Result<Era<'p>, Fault> {
    let invalid = |message: String| Err(Fault::bad(Code::InvalidParams, message));
    let version = match json::get(meta, VERSION) {
        Some(Json::String(version)) => &**version,
        Some(other) => {
            return invalid(format!("`_meta.{VERSION}` must be a string, not {}", other.kind()));
        }
        None => return invalid(format!("`_meta.{VERSION}` is missing")),
    };
    match origin.version_header {
        None if origin.http => {
            return Err(Fault::mismatch("the header `MCP-Protocol-Version` is missing"));
        }
        Some(header) if header != version => {
            return Err(Fault::mismatch(
                "the header `MCP-Protocol-Version` is not the version in `_meta`",
            ));
        }
        _ => {}
    }
    let revision = Revision::parse(version).filter(|revision| revision.is_modern());
    let Some(revision) = revision else { return Err(unsupported(version)) };
    match json::get(meta, CAPABILITIES) {
        Some(Json::Object(_)) => {}
        Some(other) => {
            return invalid(format!(
                "`_meta.{CAPABILITIES}` must be an object, not {}",
                other.kind()
            ));
        }
        None => return invalid(format!("`_meta.{CAPABILITIES}` is missing")),
    }
    if let Some(info) = json::get(meta, CLIENT_INFO)
        && !matches!(info, Json::Object(_))
    {
        return invalid(format!("`_meta.{CLIENT_INFO}` must be an object, not {}", info.kind()));
    }
    if let Some(level) = json::get(meta, LOG_LEVEL)
        && !level.as_str().is_some_and(|level| LOG_LEVELS.contains(&level))
    {
        return invalid(format!("`_meta.{LOG_LEVEL}` must be one of {}", LOG_LEVELS.join(", ")));
    }
    Ok(Era { revision, meta: described(meta) })
}

fn unsupported(version: &str) -> Fault {
    const SHOWN_MAX_CHARS: usize = 64;
    let shown: String = version.chars().take(SHOWN_MAX_CHARS).collect();
    let supported = Revision::supported();
    Fault::bad(Code::UnsupportedVersion, "this revision of the protocol is not spoken here")
        .with_data(format!(r#"{{"supported":{supported},"requested":{}}}"#, json::quoted(&shown)))
}

/// What every era may say about a request.
fn described<'p>(meta: &'p [Member<'_>]) -> Meta<'p> {
    let client = json::get(meta, CLIENT_INFO).and_then(|info| info.get("name")?.as_str());
    let trace_id = json::get(meta, "traceparent").and_then(|value| trace_id(value.as_str()?));
    Meta { client: client.map(Cow::Borrowed), trace_id: trace_id.map(Cow::Borrowed) }
}

/// The trace id of a `traceparent` (W3C Trace Context, version 00 and later).
pub fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let fits = hex(version, 2) && version != "ff" && hex(trace, 32) && trace.contains(|c| c != '0');
    fits.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Origin<'static> = Origin { http: true, version_header: None, negotiated: None };

    fn http(version: &'static str) -> Origin<'static> {
        Origin { version_header: Some(version), ..HTTP }
    }

    fn selected(origin: Origin<'_>, method: &str, params: &str) -> Result<Revision, (i32, u16)> {
        let Ok(Json::Object(params)) = json::parse(params.as_bytes()) else { panic!("{params}") };
        match select(origin, method, &params) {
            Ok(era) => Ok(era.revision),
            Err(fault) => Err((fault.code.number(), fault.status)),
        }
    }

    fn meta(version: &str) -> String {
        format!(r#"{{"_meta":{{"{VERSION}":"{version}","{CAPABILITIES}":{{}}}}}}"#)
    }

    #[test]
    fn a_modern_request_describes_itself() {
        let modern = Ok(Revision::V2026_07_28);
        let params = meta("2026-07-28");
        assert_eq!(selected(http("2026-07-28"), "tools/list", &params), modern);
        assert_eq!(selected(http("2026-07-28"), "initialize", &params), modern);
        let stdio = Origin { http: false, ..HTTP };
        assert_eq!(selected(stdio, "tools/list", &params), modern);
    }

    #[test]
    fn what_a_modern_request_lacks_is_named() {
        let none = "{}";
        assert_eq!(selected(http("2026-07-28"), "tools/list", none), Err((-32602, 400)));
        assert_eq!(selected(HTTP, "server/discover", none), Err((-32602, 400)));
        let no_version = format!(r#"{{"_meta":{{"{CAPABILITIES}":{{}}}}}}"#);
        assert_eq!(selected(http("2026-07-28"), "tools/list", &no_version), Err((-32602, 400)));
        let no_capabilities = format!(r#"{{"_meta":{{"{VERSION}":"2026-07-28"}}}}"#);
        assert_eq!(selected(http("2026-07-28"), "ping", &no_capabilities), Err((-32602, 400)));
        assert_eq!(selected(HTTP, "tools/list", r#"{"_meta":3}"#), Err((-32602, 400)));
        let level = format!(
            r#"{{"_meta":{{"{VERSION}":"2026-07-28","{CAPABILITIES}":{{}},"{LOG_LEVEL}":"loud"}}}}"#
        );
        assert_eq!(selected(http("2026-07-28"), "ping", &level), Err((-32602, 400)));
    }

    #[test]
    fn headers_and_body_must_agree() {
        assert_eq!(selected(HTTP, "tools/list", &meta("2026-07-28")), Err((-32020, 400)));
        let params = meta("v999");
        assert_eq!(selected(http("2026-07-28"), "ping", &params), Err((-32020, 400)));
        assert_eq!(selected(http("v999"), "ping", &params), Err((-32022, 400)));
        assert_eq!(selected(http("v999"), "ping", "{}"), Err((-32022, 400)));
        let params = meta("2025-11-25");
        assert_eq!(selected(http("2025-11-25"), "ping", &params), Err((-32022, 400)));
    }

    #[test]
    fn unsupported_versions_are_answered_with_the_supported_ones() {
        let fault = unsupported("v999");
        assert_eq!(
            fault.data.as_deref(),
            Some(
                r#"{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"v999"}"#
            )
        );
    }

    #[test]
    fn the_legacy_era_goes_by_session_then_header_then_default() {
        let initialize = selected(http("2026-07-28"), "initialize", "{}");
        assert_eq!(initialize, Ok(Revision::NEWEST_LEGACY));
        assert_eq!(selected(HTTP, "ping", "{}"), Ok(Revision::V2025_03_26));
        assert_eq!(selected(http("2025-06-18"), "ping", "{}"), Ok(Revision::V2025_06_18));
        let session = Origin { negotiated: Some(Revision::V2025_11_25), ..HTTP };
        assert_eq!(selected(session, "ping", "{}"), Ok(Revision::V2025_11_25));
        let other = Origin { version_header: Some("2025-06-18"), ..session };
        assert_eq!(selected(other, "ping", "{}"), Err((-32600, 400)));
    }

    #[test]
    fn traces_are_read() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{trace}-b7ad6b7169203331-01")), Some(trace));
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-x-01",
            "00-00000000000000000000000000000000-x-01",
            "00-0AF7651916CD43DD8448EB211C80319C-x-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
    }
}
