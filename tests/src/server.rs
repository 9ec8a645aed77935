//! A running `mxcp-runtime` (or any other server program), stopped when it is dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::{binaries, project::Project};

/// How long a server may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at whether something has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A server on a port of the loopback interface.
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: NamedTempFile,
}

impl Server {
    /// Serves the project's bundle over streamable HTTP with `mxcp-runtime`, in the project's folder.
    pub fn start(project: &Project, bundle: &Path, options: &[&str]) -> Self {
        let port = free_port();
        let mut command = binaries::runtime();
        command.arg(bundle).args([
            "serve",
            "--transport",
            "streamable-http",
            "--host",
            "127.0.0.1",
            "--port",
        ]);
        command.arg(port.to_string()).arg("--root").arg(project.path("")).args(options);
        command.current_dir(project.path(""));
        Self::spawn(command, port)
    }

    /// Starts a program that listens on `port`, and waits until it does.
    pub fn spawn(mut command: Command, port: u16) -> Self {
        let log = NamedTempFile::new().expect("a temporary file");
        let out = log.as_file().try_clone().expect("another handle of the log");
        let errors: File = log.as_file().try_clone().expect("another handle of the log");
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        let child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut server =
            Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), log };
        server.wait_until_ready();
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard output and error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log.path()).expect("the log is text")
    }

    /// Asks it to end (SIGTERM), waits, and returns how it ended and what it wrote.
    pub fn stop(mut self) -> (ExitStatus, String) {
        let status = self.terminate();
        (status, self.log())
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("a killed process ends");
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait().expect("a child's status") {
                panic!("the server ended with {status} before it listened:\n{}", self.log());
            }
            assert!(
                Instant::now() < deadline,
                "the server does not listen on {}:\n{}",
                self.address,
                self.log()
            );
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn terminate(&mut self) -> ExitStatus {
        if let Some(status) = self.child.try_wait().expect("a child's status") {
            return status;
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a child can be signalled");
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child's status") {
                return status;
            }
            if Instant::now() > deadline {
                self.child.kill().expect("the process can be killed");
                self.child.wait().expect("a killed process ends");
                panic!(
                    "the server did not end within {STOP_TIMEOUT:?} of SIGTERM:\n{}",
                    self.log()
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that already fails keeps its own message: nothing here may panic again.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            eprintln!(
                "--- log of the server ---\n{}",
                fs::read_to_string(self.log.path()).unwrap_or_default()
            );
        }
    }
}

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
