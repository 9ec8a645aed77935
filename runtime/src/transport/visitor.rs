//! Who sends a request, and under which address they know this server.
//!
//! A proxy that is trusted says both in forwarding headers; nobody else is believed.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};

use super::network::Network;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// Hops of a forwarding header that are looked at, at most.
const HOPS_MAX: usize = 32;

/// How this server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// the URL that clients know it by, if configured: no slash at its end
    pub base_url: Option<String>,
    /// the scheme that clients use, unless the URL or a proxy says another
    pub scheme: String,
    /// whose forwarding headers count
    pub trusted: Vec<Network>,
}

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// their address: behind trusted proxies, the one that the nearest of them saw
    pub address: IpAddr,
    /// this server's URL, as they know it: no slash at its end
    pub base_url: String,
    /// the host that they asked for
    pub host: Option<String>,
    /// whether a trusted proxy says for which host this was
    pub is_forwarded: bool,
}

impl Visitor {
    /// Their address as records have it.
    pub fn ip(&self) -> String {
        self.address.to_string()
    }

    /// Their address as limits count it: one host has a /64 of IPv6 to itself.
    pub fn network(&self) -> String {
        match self.address {
            IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).to_string(),
            IpAddr::V4(v4) => v4.to_string(),
        }
    }

    /// Whether they reach this server over TLS.
    pub fn is_secure(&self) -> bool {
        self.base_url.starts_with("https://")
    }

    /// The path of the base URL; empty where it has none.
    pub fn base_path(&self) -> &str {
        let path = self.base_url.splitn(4, '/').nth(3);
        path.and_then(|path| self.base_url.get(self.base_url.len() - path.len() - 1..))
            .unwrap_or("")
    }
}

impl Reached {
    /// Reached directly, by whatever name.
    pub fn directly(base_url: Option<&str>) -> Self {
        Self {
            base_url: base_url.map(|url| url.trim_end_matches('/').to_owned()),
            scheme: "http".into(),
            trusted: Vec::new(),
        }
    }

    /// Who sends a request.
    pub fn visitor(&self, peer: SocketAddr, uri: &Uri, headers: &HeaderMap) -> Visitor {
        let peer = peer.ip().to_canonical();
        let is_proxy = self.is_trusted(peer);
        let forwarded = |name: &str| single(headers, name).filter(|_| is_proxy);
        let host = forwarded(FORWARDED_HOST)
            .or_else(|| single(headers, HOST.as_str()))
            .or_else(|| uri.authority().map(|authority| authority.as_str().to_owned()));
        let scheme = match forwarded(FORWARDED_PROTO).as_deref() {
            Some("https") => "https",
            Some("http") => "http",
            _ => &self.scheme,
        };
        let base_url = self.base_url.clone().unwrap_or_else(|| {
            let host = host.as_deref().unwrap_or("localhost").to_ascii_lowercase();
            let default = if scheme == "https" { ":443" } else { ":80" };
            format!("{scheme}://{}", host.strip_suffix(default).unwrap_or(&host))
        });
        // Somebody in a trusted network who forwards nothing speaks for themselves.
        let is_forwarded = forwarded(FORWARDED_HOST).is_some();
        let address = if is_proxy { self.client(peer, headers) } else { peer };
        Visitor { address, base_url, host, is_forwarded }
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The rightmost hop that no trusted proxy is: what is left of it could be anybody's invention.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer;
        let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
        for hop in hops.iter().rev().take(HOPS_MAX) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return nearest };
            nearest = address.to_canonical();
            if !self.is_trusted(nearest) {
                return nearest;
            }
        }
        nearest
    }
}

/// The one value of a header that is plain text; what stands there twice says nothing.
fn single(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    (values.next().is_none() && !value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::network::private_networks;
    use super::*;
    use axum::http::HeaderValue;

    fn visit(reached: &Reached, peer: &str, headers: &[(&'static str, &'static str)]) -> Visitor {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        reached.visitor(format!("{peer}:1").parse().unwrap(), &Uri::from_static("/mcp"), &map)
    }

    fn behind_proxies() -> Reached {
        Reached { trusted: private_networks(), ..Reached::directly(None) }
    }

    const FORGED: &[(&str, &str)] = &[
        ("host", "localhost:8000"),
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
    ];

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        for (reached, peer) in
            [(Reached::directly(None), "10.0.0.1"), (behind_proxies(), "203.0.113.9")]
        {
            let visitor = visit(&reached, peer, FORGED);
            assert_eq!(visitor.address.to_string(), peer);
            assert_eq!(visitor.base_url, "http://localhost:8000");
            assert_eq!(visitor.host.as_deref(), Some("localhost:8000"));
        }
    }

    #[test]
    fn the_nearest_hop_that_is_no_proxy_is_the_client() {
        let address = |chain: &'static str| {
            visit(&behind_proxies(), "10.0.0.1", &[("x-forwarded-for", chain)]).address.to_string()
        };
        assert_eq!(address("203.0.113.9"), "203.0.113.9");
        assert_eq!(address("6.6.6.6, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(address("6.6.6.6, nonsense, 10.0.0.2"), "10.0.0.2");
        assert_eq!(address("192.168.1.5, 10.0.0.2"), "192.168.1.5");
        assert_eq!(address("nonsense"), "10.0.0.1");
        let two = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(visit(&behind_proxies(), "10.0.0.1", &two).ip(), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_says_the_address_and_a_configured_one_wins() {
        let proxied = [
            ("host", "inner:8000"),
            ("x-forwarded-host", "MCP.example"),
            ("x-forwarded-proto", "https"),
        ];
        let visitor = visit(&behind_proxies(), "10.0.0.1", &proxied);
        assert_eq!(visitor.base_url, "https://mcp.example");
        assert!(visitor.is_secure());
        let fixed = Reached { base_url: Some("https://corp.example/x".into()), ..behind_proxies() };
        assert_eq!(visit(&fixed, "10.0.0.1", &proxied).base_url, "https://corp.example/x");
        let default = [("host", "mcp.example:80")];
        assert_eq!(
            visit(&Reached::directly(None), "10.0.0.1", &default).base_url,
            "http://mcp.example"
        );
    }

    #[test]
    fn limits_count_networks() {
        let one = visit(&Reached::directly(None), "[2001:db8::1:2:3:4]", &[]);
        let two = visit(&Reached::directly(None), "[2001:db8::9:9:9:9]", &[]);
        assert_eq!(one.network(), two.network());
        assert_eq!(visit(&Reached::directly(None), "[::ffff:1.2.3.4]", &[]).ip(), "1.2.3.4");
    }
}
