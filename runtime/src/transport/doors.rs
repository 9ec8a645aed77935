//! Whom the HTTP endpoint opens to: checks of `Host` and `Origin` against DNS rebinding.
//!
//! A page from anywhere may make a browser talk to a server on this machine or this network, under
//! a name that its owner points here. Browsers say truthfully in `Origin` which page that is, and
//! in `Host` under which name. So an origin must be one of ours, and a server that listens on a
//! loopback address answers to loopback names alone.

use std::net::{IpAddr, Ipv6Addr};

/// Which hosts and origins are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doors {
    /// whether only names of this machine are answered to
    loopback: bool,
    /// host and port of the configured public URL
    public: Option<Authority>,
    /// scheme of the configured public URL
    public_scheme: Option<String>,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The page that sent it is none of ours.
    #[error(
        "requests from this origin are not accepted; set `transport.http.base_url` to the address that clients use"
    )]
    Origin,
    /// The name it was sent to is none of ours.
    #[error(
        "requests to this host are not accepted; set `transport.http.base_url` to the address that clients use"
    )]
    Host,
}

impl Refused {
    /// The word that records use.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Host => "host",
        }
    }
}

/// A host, in lower case, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    host: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port`; nothing else is an authority here.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (format!("[{address}]"), port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
                None => (text.to_ascii_lowercase(), None),
            },
        };
        let named = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
        if host.is_empty() || !host.chars().all(named) {
            return None;
        }
        let digits = |port: &&str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = match port {
            None => None,
            Some(port) => Some(Some(port).filter(digits)?.parse().ok()?),
        };
        Some(Self { host: host.trim_end_matches('.').to_owned(), port })
    }

    /// Whether the host is this machine, by name or address.
    fn is_loopback(&self) -> bool {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

impl Doors {
    /// The doors of a server that listens on an address, with the URL that clients know it by.
    ///
    /// `None` when the URL is not `http://HOST…` or `https://HOST…`.
    pub fn new(address: IpAddr, base_url: Option<&str>) -> Option<Self> {
        let loopback = address.is_loopback();
        let Some(url) = base_url else {
            return Some(Self { loopback, public: None, public_scheme: None });
        };
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let public = Authority::parse(authority)?;
        matches!(scheme, "http" | "https").then(|| Self {
            loopback,
            public: Some(public),
            public_scheme: Some(scheme.to_owned()),
        })
    }

    /// Whether a request with these headers is let in.
    ///
    /// # Errors
    /// When its host or its origin is none of ours.
    pub fn admit(&self, host: Option<&str>, origin: Option<&str>) -> Result<(), Refused> {
        if !self.knows_host(host) {
            return Err(Refused::Host);
        }
        match origin {
            Some(origin) if !self.knows_origin(origin) => Err(Refused::Origin),
            _ => Ok(()),
        }
    }

    fn knows_host(&self, host: Option<&str>) -> bool {
        let Some(host) = host.and_then(Authority::parse) else { return false };
        let public = self.public.as_ref();
        if host.is_loopback() || public.is_some_and(|public| public.host == host.host) {
            return true;
        }
        // Behind a name that we were not told of, nobody but a browser has an interest in lying,
        // and browsers send `Origin`.
        !self.loopback && public.is_none()
    }

    fn knows_origin(&self, origin: &str) -> bool {
        let Some((scheme, rest)) = origin.split_once("://") else { return false };
        let Some(authority) = Authority::parse(rest) else { return false };
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let port = |authority: &Authority| authority.port.unwrap_or(default);
        let is_public = self.public.as_ref().is_some_and(|public| {
            self.public_scheme.as_deref() == Some(scheme)
                && public.host == authority.host
                && port(public) == port(&authority)
        });
        is_public || authority.is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn local() -> Doors {
        Doors::new(IpAddr::from([127, 0, 0, 1]), None).unwrap()
    }

    #[test]
    fn a_local_server_answers_to_local_names() {
        for host in ["localhost", "localhost:8000", "LOCALHOST.", "127.0.0.1:1", "[::1]:8000"] {
            assert_eq!(local().admit(Some(host), None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "[::2]",
            "",
            "localhost:",
            "localhost:8000:1",
            "localhost@evil.example",
            "evil.example#localhost",
            "[::1",
            "localhost:+80",
        ] {
            assert_eq!(local().admit(Some(host), None), Err(Refused::Host), "{host}");
        }
        assert_eq!(local().admit(None, None), Err(Refused::Host));
    }

    #[test]
    fn pages_from_elsewhere_are_refused_everywhere() {
        let open = Doors::new(IpAddr::from([0, 0, 0, 0]), None).unwrap();
        for doors in [local(), open] {
            let admit = |origin| doors.admit(Some("localhost:8000"), Some(origin));
            for origin in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:9"] {
                assert_eq!(admit(origin), Ok(()), "{origin}");
            }
            for origin in [
                "http://evil.example",
                "null",
                "",
                "file://",
                "http://localhost.evil.example",
                "http://localhost@evil.example",
                "http://localhost/evil",
            ] {
                assert_eq!(admit(origin), Err(Refused::Origin), "{origin}");
            }
        }
    }

    #[test]
    fn a_public_url_names_host_and_origin() {
        let any = IpAddr::from([0, 0, 0, 0]);
        let doors = Doors::new(any, Some("https://mcp.corp.example/base")).unwrap();
        let host = Some("mcp.corp.example");
        assert_eq!(doors.admit(host, None), Ok(()));
        assert_eq!(doors.admit(host, Some("https://mcp.corp.example")), Ok(()));
        assert_eq!(doors.admit(host, Some("https://mcp.corp.example:443")), Ok(()));
        assert_eq!(doors.admit(host, Some("http://mcp.corp.example")), Err(Refused::Origin));
        assert_eq!(doors.admit(host, Some("https://mcp.corp.example:8")), Err(Refused::Origin));
        assert_eq!(doors.admit(Some("other.example"), None), Err(Refused::Host));
        for url in ["mcp.corp.example", "ftp://x", "https://", "https://a b"] {
            assert_eq!(Doors::new(any, Some(url)), None, "{url}");
        }
    }

    #[test]
    fn an_open_server_without_a_public_url_answers_to_any_host_but_not_any_page() {
        let doors = Doors::new(IpAddr::from([0, 0, 0, 0]), None).unwrap();
        assert_eq!(doors.admit(Some("mxcp:8000"), None), Ok(()));
        let rebound = doors.admit(Some("evil.example"), Some("http://evil.example"));
        assert_eq!(rebound, Err(Refused::Origin));
    }

    proptest! {
        #[test]
        fn any_headers_are_answered(host in any::<String>(), origin in any::<String>()) {
            let _ = local().admit(Some(&host), Some(&origin));
        }

        #[test]
        fn a_foreign_name_never_opens_a_local_server(name in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}") {
            prop_assert_eq!(local().admit(Some(&name), None), Err(Refused::Host));
        }
    }
}
