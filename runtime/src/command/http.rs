//! Serving over HTTP: where to listen, who is let in, what to refuse at the start.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Reach;
use crate::auth::clock::Clock;
use crate::auth::config::AuthConfig;
use crate::auth::start;
use crate::config::{Config, DEFAULT_HOST, DEFAULT_PORT};
use crate::mcp::server::Server;
use crate::principal::Principal;
use crate::transport::doors::Doors;
use crate::transport::http::{self, Callers, ENDPOINT, Http};
use crate::transport::tls::Tls;
use crate::transport::visitor::Reached;

/// Who calls where nobody is authenticated.
#[derive(Debug)]
pub(super) struct Everybody {
    /// that person
    pub(super) principal: Arc<Principal>,
    /// whether they operate the server
    pub(super) operator: bool,
}

/// Serves until `stop` is cancelled.
pub(super) async fn serve(
    server: Arc<Server>,
    everybody: Everybody,
    config: &Config,
    reach: &Reach,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let host = reach.host.as_deref().or(config.transport.host.as_deref()).unwrap_or(DEFAULT_HOST);
    let port = reach.port.or(config.transport.port).unwrap_or(DEFAULT_PORT);
    let address = resolve(host, port).await?;
    let tls = match &config.transport.tls {
        Some((certificate, key)) => Some(Tls::new(Path::new(certificate), Path::new(key))?),
        None => None,
    };
    match &config.auth {
        Some(auth) => check_known(auth, address, config, reach)?,
        None => check_everybody(host, address, reach)?,
    }
    let base_url = config.transport.base_url.as_deref();
    let doors = Doors::new(address.ip(), base_url)
        .context("`transport.http.base_url` is no http or https URL")?;
    let scheme = match config.transport.scheme.as_deref() {
        Some(scheme @ ("http" | "https")) => scheme,
        Some(_) => bail!("`transport.http.scheme` must be `http` or `https`"),
        None if tls.is_some() => "https",
        None => "http",
    };
    let reached = Reached {
        scheme: scheme.to_owned(),
        trusted: config.trusted_proxies.clone(),
        ..Reached::directly(base_url)
    };
    let callers = match &config.auth {
        Some(auth) => known(&server, auth, base_url, &stop).await?,
        None => {
            let Everybody { principal, operator } = everybody;
            Callers::Everybody { principal, operator }
        }
    };
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    let own = if tls.is_some() { "https" } else { "http" };
    eprintln!("serving {} on {own}://{bound}{ENDPOINT}", server.runtime.project());
    http::run(listener, Http { server, doors, reached, callers, tls }, stop).await;
    Ok(())
}

/// Starts authentication.
async fn known(
    server: &Arc<Server>,
    auth: &AuthConfig,
    base_url: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<Callers> {
    let clock = Clock::default();
    let started = start::start(&server.runtime, auth, base_url, clock).await?;
    for note in &started.notes {
        tracing::warn!("{note}");
    }
    tokio::spawn(Arc::clone(&started.admission).keep_clean(stop.clone()));
    Ok(Callers::Known(started.admission))
}

/// What must be so where callers are authenticated.
fn check_known(
    auth: &AuthConfig,
    address: SocketAddr,
    config: &Config,
    reach: &Reach,
) -> anyhow::Result<()> {
    if reach.user_context.is_some() {
        bail!(
            "`--user-context` says who calls, and so does `{}`; leave one of them out",
            auth.place
        );
    }
    if let Some(base_url) = config.transport.base_url.as_deref().filter(|url| is_plain(url)) {
        bail!(
            "`transport.http.base_url` is `{base_url}`: tokens and logins would cross the network for \
             everybody to read (RFC 6749 section 3.1, RFC 8414 section 2); clients have to reach this \
             server by `https`, which it or a proxy in front of it speaks"
        );
    }
    let has_name = config.transport.base_url.is_some() || !config.trusted_proxies.is_empty();
    if !address.ip().is_loopback() && !has_name {
        bail!(
            "clients are sent to this server's own address to log in; say in \
             `transport.http.base_url` which one they use"
        );
    }
    Ok(())
}

/// Whether a URL leads out of this machine without TLS.
fn is_plain(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| {
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        url.scheme() == "http" && !local
    })
}

/// What must be so where nobody is authenticated.
fn check_everybody(host: &str, address: SocketAddr, reach: &Reach) -> anyhow::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    if reach.user_context.is_some() {
        bail!(
            "`--user-context` makes everybody who connects that person, so it is taken only on this machine; listen on `localhost`"
        );
    }
    if !reach.allow_anonymous {
        bail!(
            "`{host}` is reached from outside, and nobody is authenticated; listen on `localhost`, or say `--allow-anonymous`"
        );
    }
    tracing::warn!("everybody who reaches `{host}` is served, and nobody is authenticated");
    Ok(())
}

async fn resolve(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .with_context(|| format!("the host `{host}` is not known"))?
        .collect();
    // Clients that are told `localhost` try the older protocol first or at once.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().with_context(|| format!("the host `{host}` has no address"))
}
