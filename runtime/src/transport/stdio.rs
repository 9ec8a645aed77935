//! Standard input and output: one message a line, and nothing but messages on the output.

use std::io;
use std::sync::Arc;

use mxcp_schemas::audit::CallerType;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::limits::{Limits, size};
use crate::mcp::fault::Fault;
use crate::mcp::jsonrpc::Code;
use crate::mcp::server::{Answer, Arrival, Connection, Server};
use crate::principal::Principal;

/// Messages that are being answered at the same time, at most. Beyond that no line is read.
const MESSAGES_MAX: usize = 1_024;

/// Who speaks over standard input.
#[derive(Debug, Clone)]
pub struct Speaker {
    /// who it is
    pub principal: Arc<Principal>,
    /// whether it operates the server
    pub operator: bool,
}

/// Serves one connection until its input ends, its output breaks, or `stop` is cancelled.
///
/// # Errors
/// When the input cannot be read.
pub async fn run(
    server: Arc<Server>,
    speaker: Speaker,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    stop: CancellationToken,
) -> io::Result<()> {
    let limits = server.runtime.limits();
    let (max, deadline) =
        (size(limits.max_body_bytes), Limits::duration(limits.shutdown_timeout_ms));
    let broken = stop.child_token();
    let line = Line {
        server,
        speaker,
        connection: Connection::default(),
        output: Mutex::new(Box::new(output)),
        broken: broken.clone(),
        cancel: CancellationToken::new(),
    };
    let line = Arc::new(line);
    let (mut input, mut tasks) = (BufReader::new(input), JoinSet::new());
    let room = Arc::new(Semaphore::new(MESSAGES_MAX));
    loop {
        let read = tokio::select! {
            () = broken.cancelled() => break,
            read = next_line(&mut input, max) => read?,
        };
        let Some(read) = read else { break };
        while tasks.try_join_next().is_some() {}
        // What `initialize` settles, the next message may depend on.
        let is_first = matches!(&read, Read::Line(bytes) if memchr::memmem::find(bytes, b"\"initialize\"").is_some());
        if is_first {
            line.answer(read).await;
            continue;
        }
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let line = Arc::clone(&line);
        tasks.spawn(async move {
            line.answer(read).await;
            drop(permit);
        });
    }
    let finish = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(deadline, finish).await.is_err() {
        tracing::warn!("calls were still running at the deadline and were cancelled");
        line.cancel.cancel();
        // Cancelled calls are still recorded.
        let recorded = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(deadline, recorded).await;
    }
    Ok(())
}

/// A connection and what its messages share.
struct Line {
    server: Arc<Server>,
    speaker: Speaker,
    connection: Connection,
    output: Mutex<Box<dyn AsyncWrite + Unpin + Send>>,
    /// cancelled when nobody reads the output any more
    broken: CancellationToken,
    cancel: CancellationToken,
}

impl Line {
    async fn answer(&self, read: Read) {
        let arrival = Arrival {
            headers: None,
            principal: Arc::clone(&self.speaker.principal),
            via: CallerType::Stdio,
            client_ip: None,
            operator: self.speaker.operator,
            vouched: None,
            cancel: self.cancel.clone(),
        };
        let answer: Answer = match read {
            Read::Line(bytes) => {
                self.server.receive(&bytes, &arrival, Some(&self.connection)).await
            }
            Read::TooLong(max) => {
                let message = format!("a message has at most {max} bytes");
                let fault = Fault::bad(Code::InvalidRequest, message);
                self.server.reject(None, fault, &arrival).await
            }
        };
        let Some(mut body) = answer.body else { return };
        body.push('\n');
        let mut output = self.output.lock().await;
        let written = async {
            output.write_all(body.as_bytes()).await?;
            output.flush().await
        };
        if let Err(error) = written.await {
            tracing::debug!(%error, "the output is closed");
            self.broken.cancel();
        }
    }
}

/// What came in.
enum Read {
    Line(Vec<u8>),
    /// a line beyond so many bytes, which was skipped
    TooLong(usize),
}

/// The next line that is not empty; `None` at the end of the input.
async fn next_line(
    input: &mut (impl AsyncBufRead + Unpin),
    max: usize,
) -> io::Result<Option<Read>> {
    loop {
        let (mut line, mut too_long, mut ended) = (Vec::new(), false, false);
        loop {
            let chunk = input.fill_buf().await?;
            if chunk.is_empty() {
                ended = true;
                break;
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            too_long |= line.len() + taken.len() > max;
            if !too_long {
                line.extend_from_slice(taken);
            }
            let used = taken.len() + usize::from(end.is_some());
            input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if too_long {
            return Ok(Some(Read::TooLong(max)));
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(Read::Line(line)));
        }
        if ended {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8], max: usize) -> Vec<String> {
        let mut reader = BufReader::with_capacity(4, input);
        let mut found = Vec::new();
        while let Some(read) = next_line(&mut reader, max).await.unwrap() {
            found.push(match read {
                Read::Line(bytes) => String::from_utf8(bytes).unwrap(),
                Read::TooLong(_) => "too long".into(),
            });
        }
        found
    }

    #[tokio::test]
    async fn lines_are_read_within_their_limit() {
        assert_eq!(lines(b"one\n\r\n  \ntwo\r\nthree", 10).await, ["one", "two\r", "three"]);
        assert_eq!(lines(b"12345678901\nshort\n", 10).await, ["too long", "short"]);
        assert_eq!(lines(b"", 10).await, [""; 0]);
    }
}
