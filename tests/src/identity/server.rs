//! Servers of the loopback interface that answer as providers do, and remember what they were asked.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A request, as a server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// its method
    pub method: Method,
    /// the path, without the query
    pub path: String,
    /// the query
    pub query: String,
    /// its header fields
    pub headers: HeaderMap,
    /// its body
    pub body: String,
}

/// What a server answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// the status
    pub status: u16,
    /// further header fields
    pub headers: Vec<(&'static str, String)>,
    /// the body
    pub body: String,
    /// milliseconds after which it comes
    pub after_ms: u64,
}

/// A server.
#[derive(Debug)]
pub struct Server {
    /// its address, `http://127.0.0.1:PORT`
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Answer {
    /// A JSON document.
    pub fn json(body: &Value) -> Self {
        Self::text(200, &body.to_string())
    }

    /// A JSON document with a status.
    pub fn status(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string())
    }

    /// A body that says it is JSON, whether it is or not.
    pub fn text(status: u16, body: &str) -> Self {
        let kind = ("content-type", "application/json; charset=utf-8".to_owned());
        Self { status, headers: vec![kind], body: body.to_owned(), after_ms: 0 }
    }

    /// The same, later.
    #[must_use]
    pub fn after_ms(self, after_ms: u64) -> Self {
        Self { after_ms, ..self }
    }

    /// The way to another place.
    pub fn redirect(to: String) -> Self {
        Self { status: 302, headers: vec![("location", to)], body: String::new(), after_ms: 0 }
    }
}

impl Seen {
    /// The fields of a form in the body.
    pub fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The value of `Authorization`.
    pub fn authorization(&self) -> &str {
        self.headers.get("authorization").map_or("", |value| value.to_str().unwrap_or("?"))
    }
}

impl Server {
    /// Starts a server; `answer` gets its own address too.
    pub async fn start(answer: impl Fn(&str, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (answer, place, log) = (Arc::new(answer), base.clone(), Arc::clone(&seen));
        let handler = move |request: Request| {
            let (answer, place, log) = (Arc::clone(&answer), place.clone(), Arc::clone(&log));
            async move {
                let seen = read(request).await;
                lock(&log).push(seen.clone());
                let answer = answer(&place, &seen);
                tokio::time::sleep(Duration::from_millis(answer.after_ms)).await;
                respond(answer)
            }
        };
        let router = Router::new().fallback(handler);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { base, seen, task }
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// How often a path was asked.
    pub fn count(&self, path: &str) -> usize {
        lock(&self.seen).iter().filter(|seen| seen.path == path).count()
    }

    /// The last request for a path.
    pub fn last(&self, path: &str) -> Seen {
        let seen = self.seen().into_iter().rfind(|seen| seen.path == path);
        seen.unwrap_or_else(|| panic!("`{path}` was not asked"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(request: Request) -> Seen {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    Seen {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).expect("a status");
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().expect("a header value"));
    }
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
