//! The administrators' interface: how the server is doing, over a Unix socket that only its owner can
//! open.
//!
//! `GET /health` says whether calls can be answered, `GET /metrics` has the numbers as Prometheus
//! reads them, `GET /status` says what is served. Nobody is authenticated here: whoever may open the
//! socket may ask.

use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use rustix::fs::Mode;
use serde_json::json;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::audit::{Health, METRICS};
use crate::serve::Runtime;

/// Where the socket is unless it is said.
pub const DEFAULT_SOCKET: &str = "/run/mxcp/mxcp.sock";

/// A socket that administrators can ask at. It is removed when this is dropped.
#[derive(Debug)]
pub struct Admin {
    listener: Option<UnixListener>,
    path: PathBuf,
}

/// Why there is no such socket.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process listens there.
    #[error("another server listens on `{}`; say another `MXCP_ADMIN_SOCKET`", .0.display())]
    Taken(PathBuf),
    /// Something else is in its place.
    #[error("`{}` is no socket and is left as it is; say another `MXCP_ADMIN_SOCKET`", .0.display())]
    Occupied(PathBuf),
    /// It cannot be made.
    #[error("the socket `{}` cannot be made: {source}", path.display())]
    Io {
        /// where
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

impl Admin {
    /// Listens at a path. A socket that a process left behind there is replaced.
    ///
    /// # Errors
    /// When the place is taken or the socket cannot be made.
    pub fn bind(path: &Path) -> Result<Self, AdminError> {
        let fail = |source| AdminError::Io { path: path.to_owned(), source };
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
            Ok(there) if !there.file_type().is_socket() => {
                return Err(AdminError::Occupied(path.to_owned()));
            }
            Ok(_) => match UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::fs::remove_file(path).map_err(fail)?;
                }
                _ => return Err(AdminError::Taken(path.to_owned())),
            },
        }
        // The socket has its mode from the moment it exists.
        let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let listener = UnixListener::bind(path);
        rustix::process::umask(before);
        Ok(Self { listener: Some(listener.map_err(fail)?), path: path.to_owned() })
    }

    /// Answers until `stop` is cancelled.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(mut self, runtime: Arc<Runtime>, stop: CancellationToken) -> io::Result<()> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        let served = axum::serve(listener, router(runtime));
        served.with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        // The next start replaces what stays behind.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn router(runtime: Arc<Runtime>) -> Router {
    let begun = Instant::now();
    let status = move |State(runtime): State<Arc<Runtime>>| async move { status(&runtime, begun) };
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(runtime)
}

async fn health(State(runtime): State<Arc<Runtime>>) -> Response {
    let health = runtime.trail().health();
    let (code, word) = match health.trouble {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "degraded"),
    };
    let Health { enabled, trouble, expected, waiting, written, commits, failed, refused } = health;
    let audit = json!({
        "enabled": enabled,
        "trouble": trouble,
        "expected": expected,
        "waiting": waiting,
        "written": written,
        "commits": commits,
        "failed": failed,
        "refused": refused,
    });
    reply(code, "application/json", json!({"status": word, "audit": audit}).to_string())
}

async fn metrics(State(runtime): State<Arc<Runtime>>) -> Response {
    reply(StatusCode::OK, "text/plain; version=0.0.4", exposition(&runtime.trail().health()))
}

fn status(runtime: &Runtime, begun: Instant) -> Response {
    let manifest = runtime.manifest();
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "project": manifest.project,
        "profile": manifest.profile,
        "bundle": runtime.digest(),
        "process": std::process::id(),
        "uptime_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    reply(StatusCode::OK, "application/json", status.to_string())
}

fn reply(code: StatusCode, kind: &'static str, mut body: String) -> Response {
    if !body.ends_with('\n') {
        body.push('\n');
    }
    (code, [(CONTENT_TYPE, kind)], body).into_response()
}

/// The numbers of a trail in the text format of Prometheus (0.0.4).
fn exposition(health: &Health) -> String {
    let mut text = String::new();
    for metric in METRICS {
        let name = metric.name.replace('.', "_");
        let (kind, ending) = if metric.is_counter { ("counter", "_total") } else { ("gauge", "") };
        for line in [
            format!("# HELP {name}{ending} {}\n", metric.meaning),
            format!("# TYPE {name}{ending} {kind}\n"),
            format!("{name}{ending} {}\n", (metric.read)(health)),
        ] {
            text.push_str(&line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn counters_and_gauges_are_told_apart() {
        let health = Health { written: 5, waiting: 3, ..Health::default() };
        let text = exposition(&health);
        assert!(
            text.contains("# TYPE mxcp_audit_written_total counter\nmxcp_audit_written_total 5\n")
        );
        assert!(text.contains("# TYPE mxcp_audit_waiting gauge\nmxcp_audit_waiting 3\n"));
        assert_eq!(text.lines().count(), 3 * METRICS.len());
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_is_made_where_none_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let first = Admin::bind(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(Admin::bind(&path), Err(AdminError::Taken(_))));
        // As a process that was killed leaves it.
        drop(UnixListener::bind(folder.path().join("left.sock")).unwrap());
        Admin::bind(&folder.path().join("left.sock")).unwrap();
        drop(first);
        assert!(!path.exists());
        std::fs::write(&path, "notes").unwrap();
        assert!(matches!(Admin::bind(&path), Err(AdminError::Occupied(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
    }
}
