//! Clients: configured ones, those that registered, those that describe themselves under a URL.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url, form_urlencoded};

use super::form::Form;
use super::reply::OAuthError;
use crate::auth::config::StaticClient;
use crate::auth::secret::Digest;
use crate::auth::store::Registered;

/// Bytes of a redirect URI, at most.
pub(super) const REDIRECT_URI_MAX_BYTES: usize = 2_048;
/// The grant type that a code is exchanged under.
pub(super) const AUTHORIZATION_CODE: &str = "authorization_code";
/// The grant type that a refresh token is exchanged under.
pub(super) const REFRESH_TOKEN: &str = "refresh_token";

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// its id
    pub(super) id: String,
    /// what it calls itself
    pub(super) name: String,
    /// who vouches for that
    pub(super) source: Source,
    /// the digest of its secret; a public client has none
    pub(super) secret: Option<Digest>,
    /// where people may be sent back
    pub(super) redirect_uris: Vec<String>,
    /// whether it may have refresh tokens
    pub(super) may_refresh: bool,
    /// scopes that it may ask for; empty is any
    pub(super) scopes: Vec<String>,
}

/// Where a client comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// configuration
    Configured,
    /// it registered itself
    Registered,
    /// its id is the URL of its description
    Document,
}

/// How a client says who it is at the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    /// its id
    pub(super) id: String,
    /// the digest of the secret that it presents
    pub(super) secret: Option<Digest>,
}

impl From<&StaticClient> for Client {
    fn from(client: &StaticClient) -> Self {
        Self {
            id: client.client_id.clone(),
            name: client.name.clone(),
            source: Source::Configured,
            secret: client.client_secret.as_ref().map(|secret| Digest::of(secret.expose())),
            redirect_uris: client.redirect_uris.clone(),
            may_refresh: client.grant_types.iter().any(|grant| grant == REFRESH_TOKEN),
            scopes: client.scopes.clone(),
        }
    }
}

impl From<Registered> for Client {
    fn from(client: Registered) -> Self {
        Self {
            id: client.client_id,
            name: client.name,
            source: Source::Registered,
            secret: client.secret,
            redirect_uris: client.redirect_uris,
            may_refresh: client.grant_types.iter().any(|grant| grant == REFRESH_TOKEN),
            scopes: client.scopes,
        }
    }
}

impl Client {
    /// Whether people may be sent to a URI: it is one of the registered ones, character by
    /// character, except that a program on the same machine listens on whatever port is free
    /// (RFC 8252 §7.3).
    pub(super) fn allows_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| {
            known == uri
                || match (without_loopback_port(known), without_loopback_port(uri)) {
                    (Some(known), Some(uri)) => known == uri,
                    _ => false,
                }
        })
    }

    /// Checks who a client says it is.
    ///
    /// # Errors
    /// When its secret is not right, or one that has none presents one.
    pub(super) fn authenticate(&self, given: &Credentials) -> Result<(), OAuthError> {
        match (&self.secret, &given.secret) {
            (Some(known), Some(given)) if known == given => Ok(()),
            (None, None) => Ok(()),
            _ => Err(OAuthError::invalid_client("the client could not be authenticated")),
        }
    }
}

impl Credentials {
    /// Reads them from a request to the token endpoint: HTTP Basic, or form parameters, not both
    /// (RFC 6749 §2.3).
    ///
    /// # Errors
    /// When there are none, or two.
    pub(super) fn read(headers: &HeaderMap, form: &Form) -> Result<Self, OAuthError> {
        let basic = basic(headers)?;
        let (id, secret) = (form.get("client_id"), form.get("client_secret"));
        match (basic, id) {
            (Some(_), _) if secret.is_some() => {
                Err(OAuthError::invalid_request("the client authenticates in two ways at once"))
            }
            (Some(basic), Some(id)) if basic.id != id => {
                Err(OAuthError::invalid_request("two clients are named"))
            }
            (Some(basic), _) => Ok(basic),
            (None, Some(id)) => Ok(Self { id: id.to_owned(), secret: secret.map(Digest::of) }),
            (None, None) => Err(OAuthError::invalid_client("`client_id` is missing")),
        }
    }
}

fn basic(headers: &HeaderMap) -> Result<Option<Credentials>, OAuthError> {
    let wrong = || OAuthError::invalid_client("the `Authorization` header cannot be read");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_| wrong())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(wrong)?;
    // Both are form-encoded first (RFC 6749 §2.3.1).
    let decode = |text: &str| {
        let pair = format!("x={text}");
        let mut pairs = form_urlencoded::parse(pair.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned()).ok_or_else(wrong)
    };
    Ok(Some(Credentials { id: decode(id)?, secret: Some(Digest::of(&decode(secret)?)) }))
}

/// Checks a redirect URI before it is registered: https, or http to this machine; nothing else.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_redirect(uri: &str) -> Result<(), &'static str> {
    if uri.len() > REDIRECT_URI_MAX_BYTES {
        return Err("a redirect URI is too long");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a redirect URI has characters that must be encoded");
    }
    let url = Url::parse(uri).map_err(|_| "a redirect URI is no absolute URI")?;
    if url.fragment().is_some() {
        return Err("a redirect URI has a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a redirect URI has a user name in it");
    }
    match url.scheme() {
        "https" if url.host().is_some() => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        _ => {
            Err("a redirect URI must be `https`, or `http` to `localhost`, `127.0.0.1` or `[::1]`")
        }
    }
}

/// Checks a redirect URI that the operator configured. Beside what can be registered that may be the
/// scheme of a program (RFC 8252 §7.1), but none that a browser runs or reads by itself.
///
/// # Errors
/// What is wrong with it.
pub fn check_configured_redirect(uri: &str) -> Result<(), &'static str> {
    const NO_PROGRAMS: &[&str] = &[
        "about",
        "blob",
        "data",
        "file",
        "filesystem",
        "ftp",
        "http",
        "https",
        "javascript",
        "vbscript",
        "view-source",
        "ws",
        "wss",
    ];
    let url = Url::parse(uri).map_err(|_| "a redirect URI is no absolute URI")?;
    if NO_PROGRAMS.contains(&url.scheme()) {
        return check_redirect(uri);
    }
    if uri.len() > REDIRECT_URI_MAX_BYTES || url.fragment().is_some() {
        return Err("a redirect URI is too long or has a fragment");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a redirect URI has characters that must be encoded");
    }
    Ok(())
}

/// Whether a URI leads to this machine.
pub(super) fn is_loopback_uri(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| is_loopback(&url))
}

/// The host of a URI, with its port if that is unusual.
pub(super) fn host_of(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    // A program that has a scheme of its own is named by that.
    let Some(host) = url.host_str() else { return format!("{}:", url.scheme()) };
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.octets() == [127, 0, 0, 1],
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A URI to this machine over http, without its port. What is compared is what was written, apart
/// from that: no normalisation lets one URI pass for another.
fn without_loopback_port(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let host = ["localhost", "127.0.0.1", "[::1]"].into_iter().find(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            let digits = port.strip_prefix(':');
            port.is_empty()
                || digits.is_some_and(|digits| digits.parse::<u16>().is_ok_and(|p| p > 0))
                    && digits.is_some_and(|d| d.bytes().all(|byte| byte.is_ascii_digit()))
        })
    })?;
    Some(format!("{host} {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(redirect_uris: &[&str]) -> Client {
        Client {
            id: "c".into(),
            name: "c".into(),
            source: Source::Registered,
            secret: None,
            redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
            may_refresh: true,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn redirect_uris_match_exactly() {
        let client = client(&["https://c.example/cb", "https://c.example/x?y=z"]);
        assert!(client.allows_redirect("https://c.example/cb"));
        assert!(client.allows_redirect("https://c.example/x?y=z"));
        for near in [
            "https://c.example/cb/",
            "https://c.example/cb?x=1",
            "https://c.example/CB",
            "https://c.example:443/cb",
            "https://C.example/cb",
            "https://c.example/a/../cb",
            "https://c.example/%63b",
            "https://c.example/cb#x",
            "https://c.example.evil.example/cb",
            "https://evil.example/?https://c.example/cb",
            "https://c.example@evil.example/cb",
            "https://c.example\\@evil.example/cb",
            "http://c.example/cb",
            "https://c.example/cb ",
            "https://c.example/c",
            "//c.example/cb",
            "",
        ] {
            assert!(!client.allows_redirect(near), "{near}");
        }
    }

    #[test]
    fn the_port_of_this_machine_may_vary_and_nothing_else() {
        let client = client(&["http://127.0.0.1/cb", "http://localhost:3000/cb?a=b"]);
        for good in [
            "http://127.0.0.1:50123/cb",
            "http://127.0.0.1/cb",
            "http://localhost:1/cb?a=b",
            "http://localhost/cb?a=b",
        ] {
            assert!(client.allows_redirect(good), "{good}");
        }
        for near in [
            "http://localhost:50123/cb",
            "http://127.0.0.1:50123/cb/",
            "http://127.0.0.2:50123/cb",
            "http://127.0.0.1.evil.example:80/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:+80/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:80a/cb",
            "https://127.0.0.1:443/cb",
            "http://[::1]:80/cb",
            "http://localhost:1/cb?a=c",
        ] {
            assert!(!client.allows_redirect(near), "{near}");
        }
    }

    #[test]
    fn https_and_this_machine_can_be_registered() {
        for good in [
            "https://c.example/cb?x=y",
            "http://localhost/cb",
            "http://127.0.0.1:80/",
            "http://[::1]:9/cb",
        ] {
            assert_eq!(check_redirect(good), Ok(()), "{good}");
        }
        for bad in [
            "http://c.example/cb",
            "https://c.example/cb#f",
            "https://u:p@c.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "cursor://callback",
            "/cb",
            "https://c.example/a b",
            "https://c.example/\u{202e}",
            "http://localhost.evil.example/",
            "http://127.0.0.2/",
            "",
        ] {
            assert!(check_redirect(bad).is_err(), "{bad}");
        }
        assert!(check_redirect(&format!("https://c.example/{}", "a".repeat(3_000))).is_err());
    }

    #[test]
    fn the_operator_may_name_a_program_and_nothing_that_runs_in_a_browser() {
        for good in ["https://c.example/cb", "http://127.0.0.1/cb", "cursor://cb", "com.c.app:/cb"]
        {
            assert_eq!(check_configured_redirect(good), Ok(()), "{good}");
        }
        for bad in [
            "http://c.example/cb",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "view-source:https://c.example/",
            "cursor://cb#f",
            "cursor://c\nb",
            "/cb",
            "",
        ] {
            assert!(check_configured_redirect(bad).is_err(), "{bad}");
        }
    }

    fn read(authorization: Option<&str>, form: &str) -> Result<Credentials, &'static str> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let form = Form::parse(form.as_bytes()).unwrap();
        Credentials::read(&headers, &form).map_err(|error| error.code)
    }

    #[test]
    fn a_client_says_who_it_is_in_one_way() {
        let of = |id: &str, secret: Option<&str>| {
            Ok(Credentials { id: id.into(), secret: secret.map(Digest::of) })
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(read(None, "client_id=a"), of("a", None));
        assert_eq!(read(None, "client_id=a&client_secret=b"), of("a", Some("b")));
        assert_eq!(read(Some(&basic("a%3A1:b%20c")), ""), of("a:1", Some("b c")));
        assert_eq!(read(Some(&basic("a:b")), "client_id=a"), of("a", Some("b")));
        assert_eq!(read(Some(&basic("a:b")), "client_id=c"), Err("invalid_request"));
        let both = read(Some(&basic("a:b")), "client_id=a&client_secret=b");
        assert_eq!(both, Err("invalid_request"));
        assert_eq!(read(None, ""), Err("invalid_client"));
        for odd in ["Bearer x", "Basic", "Basic !", "Basic YQ=="] {
            assert_eq!(read(Some(odd), ""), Err("invalid_client"), "{odd}");
        }
    }

    #[test]
    fn a_secret_is_needed_where_there_is_one_and_nowhere_else() {
        let given =
            |secret: Option<&str>| Credentials { id: "c".into(), secret: secret.map(Digest::of) };
        let public = client(&[]);
        let confidential = Client { secret: Some(Digest::of("s")), ..client(&[]) };
        assert!(public.authenticate(&given(None)).is_ok());
        assert!(confidential.authenticate(&given(Some("s"))).is_ok());
        assert!(public.authenticate(&given(Some("s"))).is_err());
        for wrong in [None, Some("t"), Some("")] {
            assert!(confidential.authenticate(&given(wrong)).is_err());
        }
    }
}
