//! Bearer tokens in requests (RFC 6750), and what is answered to those that are no good.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue, Uri};
use url::form_urlencoded;

/// Bytes of a token, at most.
pub const TOKEN_MAX_BYTES: usize = 16 << 10;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no token.
    #[error("authentication is required")]
    Missing,
    /// Its token is not, or no longer, good.
    #[error("the token is not (or no longer) good")]
    Invalid,
    /// What should be its token cannot be read.
    #[error("the `Authorization` header must be `Bearer` and one token")]
    Malformed,
    /// It has a token in its query, where logs and histories would keep it.
    #[error("a token in the query of a URL is not accepted; send it as `Authorization: Bearer`")]
    InQuery,
    /// Its token is good and does not allow this.
    #[error("the token does not have the scopes that this server requires")]
    Scope,
    /// Whether its token is good cannot be found out now.
    #[error("authentication does not work now; try again later")]
    Unavailable,
}

impl Refusal {
    /// HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Missing | Self::Invalid => 401,
            Self::Malformed | Self::InQuery => 400,
            Self::Scope => 403,
            Self::Unavailable => 503,
        }
    }

    /// The word that records use.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::Invalid => "invalid_token",
            Self::Malformed => "malformed_token",
            Self::InQuery => "token_in_query",
            Self::Scope => "insufficient_scope",
            Self::Unavailable => "authentication_unavailable",
        }
    }

    /// The error code of RFC 6750 §3.1; none for a request that did not try.
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::Unavailable => None,
            Self::Invalid => Some("invalid_token"),
            Self::Malformed | Self::InQuery => Some("invalid_request"),
            Self::Scope => Some("insufficient_scope"),
        }
    }

    /// The value of `WWW-Authenticate`: where a client learns how to get a token, and which scopes
    /// it should ask for. `metadata` is a URL; `scopes` are those that configuration names.
    pub fn challenge(self, metadata: &str, scopes: &[String]) -> Option<HeaderValue> {
        if self == Self::Unavailable {
            return None;
        }
        let mut text = String::from("Bearer ");
        if let Some(code) = self.code() {
            text.push_str(&format!(
                "error=\"{code}\", error_description=\"{}\", ",
                quoted(&self.to_string())
            ));
        }
        text.push_str(&format!("resource_metadata=\"{}\"", quoted(metadata)));
        if !scopes.is_empty() {
            text.push_str(&format!(", scope=\"{}\"", quoted(&scopes.join(" "))));
        }
        HeaderValue::try_from(text).ok()
    }
}

/// Text that may stand between quotes.
fn quoted(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c) && !matches!(c, '"' | '\\')).collect()
}

/// The token of a request.
///
/// # Errors
/// When it has none, or something else in its place.
pub fn read(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let text = value.as_bytes();
    let space = text.iter().position(|byte| *byte == b' ').ok_or(Refusal::Malformed)?;
    let (scheme, token) = text.split_at(space);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        // Somebody else's scheme is no attempt to present a token.
        return Err(Refusal::Missing);
    }
    // No byte outside of ASCII is among those of a token.
    let token = std::str::from_utf8(token).map_err(|_| Refusal::Malformed)?.trim_matches(' ');
    if token.is_empty() || token.len() > TOKEN_MAX_BYTES || !is_token(token) {
        return Err(Refusal::Malformed);
    }
    Ok(token)
}

/// The bytes of RFC 6750 section 2.1, and one more that Salesforce has in its tokens. A table, since
/// every byte of every request's token is looked at.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which checks it")]
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=' | b'!');
        byte += 1;
    }
    table
};

/// Whether all bytes of a text may be in a bearer token.
pub(super) fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| TOKEN_BYTES.get(usize::from(byte)) == Some(&true))
}

/// Whether a URL has a token in its query.
pub fn is_in_query(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| name.eq_ignore_ascii_case("access_token"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<String, Refusal> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        read(&headers).map(str::to_owned)
    }

    #[test]
    fn one_token_is_read() {
        assert_eq!(of(&["Bearer abc.d-e_f~+/="]), Ok("abc.d-e_f~+/=".into()));
        assert_eq!(of(&["bearer abc"]), Ok("abc".into()));
        assert_eq!(of(&["Bearer 00D50000000IZ3Z!AQ0A.Q_"]), Ok("00D50000000IZ3Z!AQ0A.Q_".into()));
        assert_eq!(of(&[]), Err(Refusal::Missing));
        assert_eq!(of(&["Basic abc"]), Err(Refusal::Missing));
        let long = format!("Bearer {}", "a".repeat(TOKEN_MAX_BYTES + 1));
        for odd in ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer é", &long] {
            assert_eq!(of(&[odd]), Err(Refusal::Malformed), "{odd}");
        }
        assert_eq!(of(&["Bearer a", "Bearer b"]), Err(Refusal::Malformed));
    }

    #[test]
    fn a_token_in_a_query_is_seen() {
        for query in ["/mcp?access_token=x", "/mcp?a=b&access%5Ftoken=x", "/mcp?ACCESS_TOKEN"] {
            assert!(is_in_query(&query.parse().unwrap()), "{query}");
        }
        assert!(!is_in_query(&Uri::from_static("/mcp?token=x")));
    }

    #[test]
    fn challenges_say_where_to_go_and_what_to_ask_for() {
        let scopes = ["a".to_owned(), "b\"\r\n".to_owned()];
        let challenge = |refusal: Refusal| refusal.challenge("https://s/m", &scopes);
        assert_eq!(
            challenge(Refusal::Missing).unwrap(),
            "Bearer resource_metadata=\"https://s/m\", scope=\"a b\""
        );
        let invalid = challenge(Refusal::Invalid).unwrap();
        assert!(invalid.to_str().unwrap().starts_with("Bearer error=\"invalid_token\", "));
        let scope = challenge(Refusal::Scope).unwrap();
        assert!(scope.to_str().unwrap().contains("error=\"insufficient_scope\""));
        assert_eq!(challenge(Refusal::Unavailable), None);
    }
}
