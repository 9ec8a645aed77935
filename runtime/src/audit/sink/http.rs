//! Checkpoints to a server that keeps them: each is posted as one JSON document.

use std::io;

use http::header::CONTENT_TYPE;
use http::{Method, Request};

use super::CheckpointSink;
use crate::auth::fetch::{FetchError, Fetcher, Rules};
use crate::config::Concealed;

/// Milliseconds until a checkpoint is taken.
const ANSWER_TIMEOUT_MS: u64 = 5_000;

/// An address that takes checkpoints: HTTPS, or HTTP on this machine. What its answer says besides
/// its status does not matter.
#[derive(Debug, Clone)]
pub struct HttpSink {
    /// Its query may hold a token.
    url: Concealed<String>,
}

impl HttpSink {
    /// The sink at a URL.
    ///
    /// # Errors
    /// When that may not be asked.
    pub fn new(url: &str) -> Result<Self, FetchError> {
        fetcher()?.check(url)?;
        Ok(Self { url: Concealed::new(url.to_owned()) })
    }

    async fn post(&self, line: &[u8]) -> io::Result<()> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.expose())
            .header(CONTENT_TYPE, "application/json")
            .body(line.to_vec())
            .map_err(io::Error::other)?;
        // A checkpoint comes once a minute: a connection of its own outlives nothing.
        let answer = fetcher().map_err(io::Error::other)?.send(request).await;
        let status = answer.map_err(io::Error::other)?.status();
        if status.is_success() {
            return Ok(());
        }
        Err(io::Error::other(format!("the checkpoint sink answers {status}")))
    }
}

fn fetcher() -> Result<Fetcher, FetchError> {
    Fetcher::new(Rules { answer_timeout_ms: ANSWER_TIMEOUT_MS, ..Rules::default() })
}

impl CheckpointSink for HttpSink {
    fn put(&self, line: &[u8]) -> io::Result<()> {
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        threads.block_on(self.post(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each of these statuses once. Returns its address, and what it was sent
    /// when it is done.
    fn server(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keep?token=hunter2", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let answer = |status: &u16| {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(text) = line.to_lowercase().strip_prefix("content-length:") {
                        length = text.trim().parse().unwrap();
                    }
                    head += &line;
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let text = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                reader.get_mut().write_all(text.as_bytes()).unwrap();
                assert!(head.starts_with("POST /keep?token=hunter2 HTTP/1.1"), "{head}");
                assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
                String::from_utf8(body).unwrap()
            };
            statuses.iter().map(answer).collect()
        });
        (url, thread)
    }

    #[test]
    fn checkpoints_are_posted_and_a_refusal_is_an_error() {
        let (url, seen) = server(&[204, 500]);
        let sink = HttpSink::new(&url).unwrap();
        sink.put(b"{\"a\":1}\n").unwrap();
        let error = sink.put(b"{\"a\":2}\n").unwrap_err().to_string();
        assert!(error.contains("500") && !error.contains("hunter2"), "{error}");
        assert_eq!(seen.join().unwrap(), ["{\"a\":1}\n", "{\"a\":2}\n"]);
        let error = sink.put(b"{}\n").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !format!("{sink:?}").contains("hunter2"), "{error}");
    }

    #[test]
    fn nothing_leaves_this_machine_in_the_clear() {
        for url in ["http://example.org/keep", "ftp://example.org", "https://user:pw@example.org"] {
            assert!(HttpSink::new(url).is_err(), "{url}");
        }
        assert!(HttpSink::new("https://example.org/keep").is_ok());
    }
}
