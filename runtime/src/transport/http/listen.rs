//! Accepting connections: how many, how long they may dawdle, how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use crate::transport::tls::Tls;

/// Connections that are open at the same time, at most. Beyond that nothing is accepted, so that
/// further clients wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Pause after a connection could not be accepted, for instance for lack of file descriptors.
const ACCEPT_PAUSE_MS: u64 = 50;
/// The least that hyper can do with.
const HEADER_MIN_BYTES: usize = 8_192;

/// How connections are treated.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// size of the head of a request, at most
    pub max_header_bytes: usize,
    /// how long the head of a request may take, and how long a connection may be idle
    pub slow_request: Duration,
    /// how long requests in flight get to finish when the server stops
    pub stop_deadline: Duration,
}

/// Is told of requests whose head could not be read: from where, and why.
pub type Unread = Arc<dyn Fn(SocketAddr, &'static str) + Send + Sync>;

/// Serves connections until `stop` is cancelled; then finishes what is in flight, up to a deadline.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: Settings,
    unread: Unread,
    tls: Option<Tls>,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = Arc::clone(&room).acquire_owned() => permit,
        };
        // The semaphore is never closed.
        let Ok(permit) = permit else { break };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, address)) => {
                let peer = Peer { stream, address };
                let connection =
                    connection(peer, router.clone(), settings, tls.clone(), stop.clone());
                let unread = Arc::clone(&unread);
                connections.spawn(async move {
                    if let Some(reason) = connection.await {
                        unread(address, reason);
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
    drop(listener);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.stop_deadline, finish).await.is_err() {
        tracing::warn!("connections were still busy at the deadline and were cut");
        connections.abort_all();
    }
}

/// Somebody who connected.
struct Peer {
    stream: TcpStream,
    address: SocketAddr,
}

/// Serves a connection to its end. Returns why a request on it could not be read, if one could not.
async fn connection(
    peer: Peer,
    router: Router,
    settings: Settings,
    tls: Option<Tls>,
    stop: CancellationToken,
) -> Option<&'static str> {
    let Peer { stream, address } = peer;
    // Replies are written whole; waiting for more would only add latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let Some(tls) = tls else { return converse(stream, address, router, settings, stop).await };
    match tokio::time::timeout(settings.slow_request, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, address, router, settings, stop).await,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            Some("tls")
        }
        Err(_) => Some("slow_tls"),
    }
}

/// Serves what is said on a connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    router: Router,
    settings: Settings,
    stop: CancellationToken,
) -> Option<&'static str> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let mut router = router.clone();
        async move {
            let response: Result<Response<Body>, Infallible> =
                router.call(request.map(Body::new)).await;
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.slow_request)
        .max_buf_size(settings.max_header_bytes.max(HEADER_MIN_BYTES))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let error = ended.err()?;
    tracing::debug!(%error, "a connection ended badly");
    match error {
        error if error.is_parse_too_large() => Some("header_size"),
        error if error.is_parse() => Some("malformed"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn start(slow_ms: u64) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        start_watched(slow_ms, Arc::new(|_, _| {})).await
    }

    async fn start_watched(
        slow_ms: u64,
        unread: Unread,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let slow = || async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings {
            max_header_bytes: HEADER_MIN_BYTES,
            slow_request: Duration::from_millis(slow_ms),
            stop_deadline: Duration::from_secs(5),
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(serve(listener, router, settings, unread, None, stop.clone()));
        (address, stop, running)
    }

    async fn send(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    fn request(path: &str, header: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n")
    }

    #[tokio::test]
    async fn requests_are_answered_and_large_heads_are_not() {
        let seen: Arc<std::sync::Mutex<Vec<&str>>> = Arc::default();
        let watch = Arc::clone(&seen);
        let unread = Arc::new(move |_, reason| watch.lock().unwrap().push(reason));
        let (address, stop, running) = start_watched(1_000, unread).await;
        assert!(send(address, &request("/", "")).await.ends_with("hello"));
        let large = format!("x: {}\r\n", "y".repeat(HEADER_MIN_BYTES));
        assert!(send(address, &request("/", &large)).await.starts_with("HTTP/1.1 431"));
        send(address, "\u{16}\u{3}\u{1} no HTTP at all\r\n\r\n").await;
        stop.cancel();
        running.await.unwrap();
        assert_eq!(*seen.lock().unwrap(), ["header_size", "malformed"]);
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_head_that_dawdles_is_cut() {
        let (address, ..) = start(100).await;
        let begun = std::time::Instant::now();
        let answer = send(address, "GET / HTTP/1.1\r\nhost:").await;
        assert!(!answer.contains("hello"));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn what_is_in_flight_finishes_when_the_server_stops() {
        let (address, stop, running) = start(1_000).await;
        let slow = tokio::spawn(async move { send(address, &request("/slow", "")).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.cancel();
        running.await.unwrap();
        assert!(slow.await.unwrap().ends_with("done"));
    }
}
