//! A small HTTP/1.1 client: one kept connection, requests written as they are given.
//!
//! Tests use it where a real client would not send what they want to send, benchmarks because it
//! adds next to nothing to what they measure.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a reply may take.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to a server.
pub struct Connection {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    /// status code
    pub status: u16,
    /// header names in lower case, values trimmed
    pub headers: Vec<(String, String)>,
    /// the body, transfer encoding taken off
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot reach {address}: {error}"));
        stream.set_nodelay(true).expect("an option of the socket");
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).expect("an option of the socket");
        Self { stream: BufReader::new(stream), address }
    }

    /// Posts a body to `path` with these headers besides `Host` and `Content-Length`.
    pub fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(&request(self.address, path, headers, body))
    }

    /// Posts a JSON-RPC message to `/mcp` as a client does.
    pub fn rpc(&mut self, headers: &[(&str, &str)], message: &Value) -> Reply {
        let mut all = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        all.extend_from_slice(headers);
        self.post("/mcp", &all, message.to_string().as_bytes())
    }

    /// Sends the bytes of a whole request, such as [`request`] makes, and reads the reply.
    pub fn send(&mut self, request: &[u8]) -> Reply {
        self.stream.get_mut().write_all(request).expect("the server reads the request");
        self.reply()
    }

    fn reply(&mut self) -> Reply {
        let status_line = self.line();
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not an HTTP reply: `{status_line}`"));
        let mut reply = Reply { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            reply.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            self.chunks(&mut reply.body);
        } else if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().expect("a length in bytes")];
            self.stream.read_exact(&mut reply.body).expect("the whole body");
        }
        reply
    }

    fn chunks(&mut self, body: &mut Vec<u8>) {
        loop {
            let size = usize::from_str_radix(self.line().trim(), 16).expect("the size of a chunk");
            let mut chunk = vec![0; size];
            self.stream.read_exact(&mut chunk).expect("the whole chunk");
            body.append(&mut chunk);
            self.line();
            if size == 0 {
                return;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line of the reply");
        line.trim_end().to_owned()
    }
}

impl Reply {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body))
        })
    }
}

/// The bytes of a POST request.
pub fn request(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(name);
        bytes.push_str(": ");
        bytes.push_str(value);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
