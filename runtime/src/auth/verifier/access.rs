//! What makes a signed token an access token (RFC 9068, RFC 8725 section 3.11).
//!
//! One issuer signs tokens of many kinds with the same keys. An ID token proves that somebody logged
//! in somewhere, not that anything may be accessed; a logout token and a security event even less.

use crate::auth::claims::Claims;
use crate::auth::jose::Header;
use crate::auth::jose::registered::{ClaimFault, Registered};
use crate::json::{Json, get};

/// The type of JWT access tokens.
const ACCESS_TOKEN: &str = "at+jwt";
/// What Keycloak says in a claim `typ` of tokens that are not access tokens.
const OTHER_KINDS: [&str; 5] = ["ID", "Refresh", "Offline", "Logout", "Initial"];
/// Claims that only other kinds of tokens have: hashes of ID tokens, events of RFC 8417.
const OTHER_CLAIMS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// Checks `typ` of the header: absent, or one that access tokens have.
pub(super) fn check_type(header: &Header) -> Result<(), ClaimFault> {
    match header.typ.as_deref() {
        None | Some("jwt" | ACCESS_TOKEN) => Ok(()),
        Some(_) => Err(ClaimFault::Kind("of a type that is no access token")),
    }
}

/// Checks that a token is an access token, and one that a bearer may use.
pub(super) fn check_kind(
    header: &Header,
    claims: &Claims,
    registered: &Registered,
    client_id: &str,
) -> Result<(), ClaimFault> {
    check_binding(claims)?;
    if header.typ.as_deref() == Some(ACCESS_TOKEN) {
        return Ok(());
    }
    if registered.audience.iter().any(|audience| audience == client_id) {
        return Err(ClaimFault::Kind("an ID token: it is for our own client"));
    }
    let members = claims.members();
    if OTHER_CLAIMS.iter().any(|name| get(&members, name).is_some()) {
        return Err(ClaimFault::Kind("no access token by its claims"));
    }
    match get(&members, "typ") {
        Some(Json::String(kind)) if OTHER_KINDS.contains(&&**kind) => {
            Err(ClaimFault::Kind("no access token, says its claim `typ`"))
        }
        _ => Ok(()),
    }
}

/// Refuses a token that is bound to a key (RFC 7800): whoever only bears it has not shown that key.
pub(super) fn check_binding(claims: &Claims) -> Result<(), ClaimFault> {
    match get(&claims.members(), "cnf") {
        None => Ok(()),
        Some(_) => Err(ClaimFault::Kind("bound to a key that a bearer does not show")),
    }
}

/// The client that a token was issued to.
pub(super) fn client(claims: &Claims) -> Result<Option<String>, ClaimFault> {
    let members = claims.members();
    for name in ["client_id", "azp"] {
        match get(&members, name) {
            None => {}
            Some(Json::String(text)) => return Ok(Some(text.to_string())),
            Some(_) => return Err(ClaimFault::Type(name)),
        }
    }
    Ok(None)
}

/// What a token allows: `scope` as RFC 8693 has it, or `scp` as some providers do.
pub(super) fn scopes(claims: &Claims) -> Result<Vec<String>, ClaimFault> {
    let members = claims.members();
    let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
    match (get(&members, "scope"), get(&members, "scp")) {
        (Some(Json::String(text)), _) => Ok(words(text)),
        (Some(_), _) => Err(ClaimFault::Type("scope")),
        (None, Some(Json::String(text))) => Ok(words(text)),
        (None, Some(Json::Array(items))) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(ClaimFault::Type("scp")),
        (None, Some(_)) => Err(ClaimFault::Type("scp")),
        (None, None) => Ok(Vec::new()),
    }
}
