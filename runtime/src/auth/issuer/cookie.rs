//! The cookie that ties a login to one browser, from the consent page to the callback.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;

use super::reply::OAuthError;
use crate::auth::secret::{Digest, SECRET_CHARS, fresh};
use crate::transport::visitor::Visitor;

/// The `__Host-` prefix makes browsers refuse it from anything but this very host over TLS. Without
/// TLS, which is for this machine alone, no browser would keep a cookie of that name.
const SECURE_NAME: &str = "__Host-mxcp-login";
const PLAIN_NAME: &str = "mxcp-login";
/// Seconds that a browser keeps it: as long as a login may take.
pub(super) const LOGIN_S: i64 = 600;

/// The browser that a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Browser {
    /// the digest of its cookie
    pub(super) digest: Digest,
    /// the header that sets the cookie again, for as long as a login may take
    set: HeaderValue,
}

impl Browser {
    /// The browser that sent a cookie of ours.
    pub(super) fn known(visitor: &Visitor, headers: &HeaderMap) -> Option<Self> {
        let name = name(visitor);
        let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut found = lines.flat_map(|line| line.split(';')).filter_map(|pair| {
            let (known, value) = pair.trim().split_once('=')?;
            (known == name).then_some(value)
        });
        let value = found.next()?;
        // Two of one name: one of them was planted.
        if found.next().is_some() || !is_secret(value) {
            return None;
        }
        Self::with(visitor, value)
    }

    /// The browser that sent a cookie of ours, or a new one.
    pub(super) fn known_or_new(visitor: &Visitor, headers: &HeaderMap) -> Result<Self, OAuthError> {
        if let Some(known) = Self::known(visitor, headers) {
            return Ok(known);
        }
        Self::with(visitor, fresh("")?.expose()).ok_or_else(OAuthError::unavailable)
    }

    fn with(visitor: &Visitor, value: &str) -> Option<Self> {
        let secure = if visitor.is_secure() { "; Secure" } else { "" };
        let text = format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={LOGIN_S}{secure}",
            name(visitor)
        );
        let mut set = HeaderValue::try_from(text).ok()?;
        set.set_sensitive(true);
        Some(Self { digest: Digest::of(value), set })
    }

    /// Sets the cookie with an answer.
    pub(super) fn set_on(&self, mut response: Response) -> Response {
        response.headers_mut().append(SET_COOKIE, self.set.clone());
        response
    }
}

fn name(visitor: &Visitor) -> &'static str {
    if visitor.is_secure() { SECURE_NAME } else { PLAIN_NAME }
}

fn is_secret(value: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    value.len() == SECRET_CHARS && value.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(base_url: &str) -> Visitor {
        Visitor {
            address: [127, 0, 0, 1].into(),
            base_url: base_url.into(),
            host: None,
            is_forwarded: false,
        }
    }

    fn cookies(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn the_cookie_is_of_this_host_and_not_for_scripts() {
        let made = Browser::known_or_new(&visitor("https://s.example"), &HeaderMap::new()).unwrap();
        let text = made.set.to_str().unwrap();
        assert!(text.starts_with("__Host-mxcp-login="), "{text}");
        for attribute in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=600"]
        {
            assert!(text.contains(attribute), "{attribute}");
        }
        assert!(!text.contains("Domain"));
        assert!(!format!("{made:?}").contains(&text[18..40]));
        let plain = Browser::known_or_new(&visitor("http://localhost"), &HeaderMap::new()).unwrap();
        assert!(plain.set.to_str().unwrap().starts_with("mxcp-login="));
    }

    #[test]
    fn a_browser_is_known_by_one_cookie_that_could_be_ours() {
        let here = visitor("https://s.example");
        let made = Browser::known_or_new(&here, &HeaderMap::new()).unwrap();
        let sent = made.set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let known = |lines: &[&str]| Browser::known(&here, &cookies(lines)).map(|b| b.digest);
        assert_eq!(known(&[&format!("a=b; {sent}; c=d")]), Some(made.digest));
        assert_eq!(known(&[&sent, &sent]), None);
        assert_eq!(known(&[&format!("{sent}; __Host-mxcp-login=planted")]), None);
        assert_eq!(known(&["__Host-mxcp-login=short"]), None);
        assert_eq!(known(&[&sent.replace("__Host-", "")]), None);
        assert_eq!(known(&[]), None);
    }
}
