//! The one way to identity providers: a bounded HTTP client.
//!
//! No redirects (a token must not follow one to another host), no proxies from the environment, no
//! cookies; TLS unless the host is this machine. Bodies and times have limits. Neither URLs with
//! their queries nor bodies appear in errors: both may hold tokens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Request, Response, StatusCode, Uri};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::json::{self, Json, JsonError};

/// Bytes of an answer.
pub const MAX_ANSWER_BYTES: usize = 512 << 10;
/// Milliseconds until an answer is there, all of it.
pub const ANSWER_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds until a connection is made.
pub const CONNECT_TIMEOUT_MS: u64 = 3_000;
/// Connections per host that are kept for later.
const MAX_IDLE_CONNECTIONS: usize = 8;
/// Containers within containers of an answer.
const MAX_ANSWER_DEPTH: usize = 32;

/// What a client may ask, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Bytes of an answer.
    pub max_answer_bytes: usize,
    /// Milliseconds until an answer is there, all of it.
    pub answer_timeout_ms: u64,
    /// Whether hosts other than this machine may be asked without TLS.
    pub allow_plain: bool,
    /// Whether only public addresses are connected to: for URLs that strangers name.
    pub public_only: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            max_answer_bytes: MAX_ANSWER_BYTES,
            answer_timeout_ms: ANSWER_TIMEOUT_MS,
            allow_plain: false,
            public_only: false,
        }
    }
}

/// A client that keeps to its rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    rules: Rules,
}

/// Why there is no answer that can be used. Says nothing of what was sent or received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The client cannot be made: most likely there are no root certificates.
    #[error("no TLS client can be made: {0}")]
    Client(String),
    /// The URL is not one that may be asked.
    #[error("`{url}` cannot be used: {problem}")]
    Url {
        /// the URL without its query
        url: String,
        /// what is wrong with it
        problem: &'static str,
    },
    /// There is nobody, or nobody who answers as HTTP says.
    #[error("`{host}` does not answer: {problem}")]
    Unreachable {
        /// the host asked
        host: String,
        /// the kind of failure
        problem: &'static str,
    },
    /// The answer is larger than it may be.
    #[error("the answer of `{host}` is larger than {max_bytes} bytes")]
    TooLarge {
        /// the host asked
        host: String,
        /// the limit
        max_bytes: usize,
    },
    /// The answer has a status that says no.
    #[error("`{host}` answers with status {status}")]
    Status {
        /// the host asked
        host: String,
        /// the status
        status: u16,
    },
    /// The answer is not JSON, or not strictly so.
    #[error("the answer of `{host}` is not acceptable JSON: {problem}")]
    Json {
        /// the host asked
        host: String,
        /// where and what
        problem: JsonError,
    },
}

impl FetchError {
    /// Whether asking again later may help.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            _ => false,
        }
    }

    /// Whether the answer was that whoever asked is not (or no longer) known.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Status { status: 401, .. })
    }
}

/// A JSON document as it came, checked: strict JSON, not nested deeply.
#[derive(Clone)]
pub struct Document {
    host: String,
    body: Vec<u8>,
    headers: HeaderMap,
}

/// What a request came to.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A document.
    Document(Document),
    /// The place where it is, as the answer has it.
    Redirect(String),
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a document of {} bytes from {}", self.body.len(), self.host)
    }
}

impl Document {
    /// The document, read.
    ///
    /// # Errors
    /// Never for a document that was fetched: it was read once already.
    pub fn json(&self) -> Result<Json<'_>, FetchError> {
        json::parse_within(&self.body, MAX_ANSWER_DEPTH)
            .map_err(|problem| FetchError::Json { host: self.host.clone(), problem })
    }

    /// Its text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The header fields it came with.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl Fetcher {
    /// A client with these rules.
    ///
    /// # Errors
    /// When there are no root certificates to trust.
    pub fn new(rules: Rules) -> Result<Self, FetchError> {
        // The provider is the same everywhere in the process; whoever comes second finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("mxcp/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
            .timeout(Duration::from_millis(rules.answer_timeout_ms))
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
        if rules.public_only {
            builder = builder.dns_resolver(Arc::new(PublicAddresses)).pool_max_idle_per_host(0);
        }
        let client = builder.build().map_err(|error| FetchError::Client(innermost(&error)))?;
        Ok(Self { client, rules })
    }

    /// A client for a server of a test, which listens on this machine and has the certificate of the
    /// tests: it is asked as `localhost`, whatever the rules say of addresses.
    #[cfg(test)]
    pub(crate) fn of_test(rules: Rules) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = include_bytes!("../transport/tls/test-cert.pem");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(rules.answer_timeout_ms))
            .tls_certs_only([reqwest::Certificate::from_pem(certificate).unwrap()])
            .resolve("localhost", SocketAddr::from(([127, 0, 0, 1], 0)));
        Self { client: client.build().unwrap(), rules }
    }

    /// Checks that a URL may be asked under these rules.
    ///
    /// # Errors
    /// When it is no URL, has credentials or a fragment, or would be asked without TLS.
    pub fn check(&self, url: &str) -> Result<Url, FetchError> {
        let wrong = |problem| FetchError::Url { url: without_query(url), problem };
        let parsed = Url::parse(url).map_err(|_| wrong("it is not a URL"))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(FetchError::Url {
                url: "…".into(),
                problem: "it has a user name or a password in it",
            });
        }
        if parsed.fragment().is_some() {
            return Err(wrong("it has a fragment"));
        }
        let Some(host) = parsed.host() else { return Err(wrong("it has no host")) };
        match parsed.scheme() {
            "https" => {}
            "http" if self.rules.allow_plain || (is_loopback(&host) && !self.rules.public_only) => {
            }
            "http" => return Err(wrong("without TLS only this machine may be asked")),
            _ => return Err(wrong("it is not `https`")),
        }
        // Hosts that are written as addresses never reach the resolver.
        let address = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        if self.rules.public_only && address.is_some_and(|address| !is_public(address)) {
            return Err(wrong("its address is not a public one"));
        }
        Ok(parsed)
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let (head, body) = request.into_parts();
        let url = self.check(&head.uri.to_string())?;
        let host = host_of(&url);
        let answer = self
            .client
            .request(head.method, url)
            .headers(head.headers)
            .body(body)
            .send()
            .await
            .map_err(|error| unreachable(&host, &error))?;
        let max_bytes = self.rules.max_answer_bytes;
        let mut answer = answer;
        let mut response = Response::new(Vec::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let body = response.body_mut();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&host, &error))? {
            if body.len() + chunk.len() > max_bytes {
                return Err(FetchError::TooLarge { host, max_bytes });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    /// Sends a request whose answer must be a JSON document with a status of success.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn document(&self, request: Request<Vec<u8>>) -> Result<Document, FetchError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        match self.answer(request).await? {
            Answer::Document(document) => Ok(document),
            Answer::Redirect(_) => {
                Err(FetchError::Status { host, status: StatusCode::FOUND.as_u16() })
            }
        }
    }

    /// Sends a request whose answer must be a JSON document or lead somewhere else.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn answer(&self, request: Request<Vec<u8>>) -> Result<Answer, FetchError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (head, body) = self.send(request).await?.into_parts();
        let location = head.headers.get(http::header::LOCATION);
        if head.status.is_redirection()
            && let Some(to) = location.and_then(|to| to.to_str().ok())
        {
            return Ok(Answer::Redirect(to.to_owned()));
        }
        if head.status != StatusCode::OK {
            return Err(FetchError::Status { host, status: head.status.as_u16() });
        }
        let document = Document { host, body, headers: head.headers };
        document.json()?;
        Ok(Answer::Document(document))
    }

    /// Gets a JSON document, as the owner of a token if there is one.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Document, FetchError> {
        let wrong = |problem| FetchError::Url { url: without_query(url), problem };
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
        if let Some(token) = bearer {
            headers.insert(http::header::AUTHORIZATION, bearer_value(token)?);
        }
        self.document(request).await
    }
}

/// A token as the value of `Authorization`, which no debug output shows.
fn bearer_value(token: &str) -> Result<http::HeaderValue, FetchError> {
    let mut value = http::HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        FetchError::Url { url: "…".into(), problem: "the token is no header value" }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A URL without its query and fragment, where tokens may be; and not without end.
fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect()
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// The kind of a failure, never its text, which may hold the URL.
fn unreachable(host: &str, error: &reqwest::Error) -> FetchError {
    let problem = if error.is_timeout() {
        "it takes too long"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    FetchError::Unreachable { host: host.to_owned(), problem }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Whether a host is this machine.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether an address belongs to the public Internet (the registries of RFC 6890).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_documentation()
                || address.is_broadcast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(address) => {
            if let Some(mapped) = address.to_ipv4_mapped() {
                return is_public(IpAddr::V4(mapped));
            }
            let [a, b, ..] = address.segments();
            // Global unicast is 2000::/3; what is carved out of it for translation, tunnels and
            // documentation may lead to private IPv4 addresses or nowhere.
            (a & 0xe000) == 0x2000
                && !(a == 0x2001 && b < 0x200)
                && !(a == 0x2001 && b == 0xdb8)
                && a != 0x2002
                && (a & 0xfff0) != 0x3ff0
        }
    }
}

/// Resolves names as the system does and keeps public addresses alone. The addresses found here are
/// those connected to, so a name cannot change its mind between check and use.
struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetcher(rules: Rules) -> Fetcher {
        Fetcher::new(rules).unwrap()
    }

    #[test]
    fn only_tls_or_this_machine() {
        let usual = fetcher(Rules::default());
        for good in [
            "https://idp.example/x?y=z",
            "http://localhost:1/",
            "http://[::1]/",
            "http://127.9.9.9/",
        ] {
            usual.check(good).unwrap();
        }
        for bad in [
            "http://idp.example/",
            "http://localhost.example/",
            "http://10.0.0.1/",
            "ftp://idp.example/",
            "file:///etc/passwd",
            "https://user@idp.example/",
            "https://user:secret@idp.example/",
            "https://idp.example/#f",
            "idp.example",
            "",
        ] {
            let error = usual.check(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        fetcher(Rules { allow_plain: true, ..Rules::default() })
            .check("http://idp.example/")
            .unwrap();
    }

    #[test]
    fn strangers_name_public_addresses_alone() {
        let strict = fetcher(Rules { public_only: true, ..Rules::default() });
        strict.check("https://client.example/metadata").unwrap();
        strict.check("https://93.184.216.34/metadata").unwrap();
        for bad in [
            "http://localhost/",
            "https://127.0.0.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[2002:a00:1::]/",
            "https://[64:ff9b::a00:1]/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
        ] {
            strict.check(bad).unwrap_err();
        }
    }

    #[test]
    fn errors_hold_no_query() {
        let error =
            fetcher(Rules::default()).check("http://idp.example/a?token=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert!(!format!("{error:?}").contains("secret"));
    }
}
