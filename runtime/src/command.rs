//! The commands of `mxcp-runtime`, and what `mxcp serve` shares with them.

mod http;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::audit::AppendError;
use crate::bundle::{Bundle, BundleError};
use crate::config::{Config, Process, Surroundings, switch};
use crate::launch::{Launch, launch};
use crate::mcp::server::Server;
use crate::principal::Principal;
use crate::serve::{Linked, Runtime};
use crate::transport::admin::{Admin, DEFAULT_SOCKET};
use crate::transport::stdio::{self, Speaker};
use http::Everybody;

/// Serve a bundle of MCP endpoints
#[derive(Debug, clap::Parser)]
#[command(name = "mxcp-runtime", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// The bundle, made by `mxcp build`
    bundle: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve MCP clients
    Serve(Serve),
    /// Check the bundle and say who signed it
    Verify(Verify),
    /// Say what is in the bundle
    Inspect,
}

/// How clients reach the server.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Reach {
    /// How clients reach the server
    #[arg(long, value_enum)]
    pub transport: Option<Transport>,
    /// Host to listen on
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on; 0 takes a free one
    #[arg(long)]
    pub port: Option<u16>,
    /// Who calls, as a JSON object or `@file`: over standard input, or on this machine alone
    #[arg(long, value_name = "JSON|@FILE")]
    pub user_context: Option<String>,
    /// Serve everybody over the network although nobody is authenticated
    #[arg(long)]
    pub allow_anonymous: bool,
}

/// The transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// over HTTP
    #[value(alias = "sse", alias = "http")]
    StreamableHttp,
    /// over standard input and output
    Stdio,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    reach: Reach,
    /// The user file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Refuse a bundle that this Ed25519 public key did not sign: 32 bytes, raw or in hexadecimal
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Folder that relative paths of the bundle are below
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Accept a bundle that is older than the last
    #[arg(long)]
    allow_rollback: bool,
    /// Interpret conditions instead of compiling them to machine code
    #[arg(long)]
    no_jit: bool,
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// The key that has to have signed it: 32 bytes, raw or in hexadecimal
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong, for people, and the exit code that says so.
    pub fn run(self) -> Result<(), Failed> {
        match self.command {
            Command::Serve(serve) => serve.run(&self.bundle).map_err(Failed::usage),
            Command::Verify(verify) => {
                let trusted =
                    verify.public_key.as_deref().map(key).transpose().map_err(Failed::usage)?;
                examine(&self.bundle, trusted).map(drop)
            }
            Command::Inspect => {
                let bundle = examine(&self.bundle, None)?;
                list(&bundle).map_err(Failed::checked)
            }
        }
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub struct Failed {
    /// 1: what was checked has errors; 2: the command was used or configured wrongly
    pub exit: u8,
    /// what was wrong
    pub error: anyhow::Error,
}

impl Failed {
    fn checked(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: 1, error: error.into() }
    }

    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: 2, error: error.into() }
    }
}

impl Serve {
    fn run(mut self, bundle: &Path) -> anyhow::Result<()> {
        let trusted = self.public_key.as_deref().map(key).transpose()?;
        let bundle = Bundle::open(bundle, trusted)?;
        // What was named on the way here is relative to where that was.
        self.reach.user_context =
            self.reach.user_context.as_deref().map(context_text).transpose()?;
        let given = self.config.or_else(|| Process.variable("MXCP_CONFIG").map(PathBuf::from));
        let config = given.map(std::path::absolute).transpose()?;
        // DuckDB finds the files that SQL names from where the process is, and nowhere else.
        std::env::set_current_dir(&self.root).with_context(|| {
            format!("the folder `{}` of `--root` cannot be entered", self.root.display())
        })?;
        let (runtime, config) = launch(
            &bundle,
            &Launch {
                root: std::env::current_dir()?,
                config,
                allow_rollback: self.allow_rollback,
                remember: true,
                jit: !self.no_jit,
                ..Launch::default()
            },
        )?;
        drop(bundle);
        run(&runtime, &config, &self.reach, false)
    }
}

/// Checks all of a bundle that a server would, now or at the first call of an endpoint, and says whose it
/// is.
fn examine(path: &Path, trusted: Option<[u8; 32]>) -> Result<Bundle, Failed> {
    let bundle = Bundle::open(path, trusted).map_err(|error| match error {
        BundleError::Open(_) => Failed::checked(error),
        BundleError::Read { .. } | BundleError::Memory(_) => Failed::usage(error),
    })?;
    let opened = bundle.contents().map_err(Failed::checked)?;
    let linked = Linked::of(&opened).map_err(Failed::checked)?;
    linked.verify().map_err(|error| Failed::checked(anyhow::anyhow!("{error}")))?;
    describe(&bundle).map_err(Failed::checked)?;
    Ok(bundle)
}

fn list(bundle: &Bundle) -> anyhow::Result<()> {
    for endpoint in bundle.contents()?.endpoints.entries.iter() {
        let kind: mxcp_schemas::bundle::definition::Kind =
            rkyv::deserialize::<_, rkyv::rancor::Error>(&endpoint.kind)?;
        println!("{:<9} {}", kind.as_str(), endpoint.identity);
    }
    Ok(())
}

/// Logs to standard error from here on: what `MXCP_LOG` asks for, else what `unless` says. People read
/// lines, programs read JSON.
pub fn start_log(unless: &str) {
    let filter = EnvFilter::try_from_env("MXCP_LOG").unwrap_or_else(|_| EnvFilter::new(unless));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever has begun already goes on.
    let _ = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().try_init() };
}

fn describe(bundle: &Bundle) -> anyhow::Result<()> {
    let contents = bundle.contents()?;
    let header = bundle.header();
    println!(
        "project {}, profile {}, build {}, {} endpoints",
        contents.manifest.project,
        contents.manifest.profile,
        header.build_number,
        contents.endpoints.entries.len()
    );
    println!("digest {}", header.digest_hex());
    match header.signer {
        Some(key) => println!("signed by {}", key.map(|b| format!("{b:02x}")).concat()),
        None => println!("not signed"),
    }
    Ok(())
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// When the server cannot listen, or would answer to people it does not know.
pub fn run(
    runtime: &Arc<Runtime>,
    config: &Config,
    reach: &Reach,
    operator: bool,
) -> anyhow::Result<()> {
    for note in &config.notes {
        tracing::warn!("{note}");
    }
    let principal = Arc::new(principal(runtime, reach.user_context.as_deref())?);
    let asked = reach.transport.or(match config.transport.provider {
        Some(mxcp_schemas::document::user::Provider::Stdio) => Some(Transport::Stdio),
        _ => None,
    });
    let admin = admin_socket(&Process)?;
    announce(runtime, "start", asked)?;
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let stop = CancellationToken::new();
    let done = threads.block_on(async {
        // Whoever can reach the server can also stop it.
        tokio::spawn(stop_on(Signals::new()?, stop.clone()));
        if let Some(path) = admin {
            let admin = Admin::bind(&path)?;
            let answers = admin.run(Arc::clone(runtime), stop.clone());
            tokio::spawn(async {
                if let Err(error) = answers.await {
                    tracing::error!(%error, "administrators are not answered any more");
                }
            });
        }
        let server = Arc::new(Server::new(Arc::clone(runtime), config.transport.stateless));
        if asked == Some(Transport::Stdio) {
            let speaker = Speaker { principal, operator };
            let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
            return Ok(stdio::run(server, speaker, input, output, stop.clone()).await?);
        }
        http::serve(server, Everybody { principal, operator }, config, reach, stop.clone()).await
    });
    // A read of standard input cannot be cancelled; the process does not wait for it.
    threads.shutdown_background();
    if let Err(error) = announce(runtime, "stop", asked) {
        tracing::error!(%error, "the end of the server could not be recorded");
    }
    runtime.trail().close();
    done
}

/// Where administrators ask, if they are to.
fn admin_socket(around: &dyn Surroundings) -> anyhow::Result<Option<PathBuf>> {
    let is_on = switch("MXCP_ADMIN_ENABLED", around)?.unwrap_or(false);
    let path = around.variable("MXCP_ADMIN_SOCKET").filter(|path| !path.is_empty());
    Ok(is_on.then(|| path.unwrap_or_else(|| DEFAULT_SOCKET.to_owned()).into()))
}

/// Records that the server begins or ends.
fn announce(
    runtime: &Runtime,
    kind: &str,
    transport: Option<Transport>,
) -> Result<(), AppendError> {
    let transport = match transport {
        Some(Transport::Stdio) => "stdio",
        Some(Transport::StreamableHttp) | None => "http",
    };
    let manifest = runtime.manifest();
    let event = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "project": manifest.project,
        "profile": manifest.profile,
        "bundle": runtime.digest(),
        "transport": transport,
        "process": std::process::id(),
    });
    runtime.trail().system_blocking(kind, &event).map(drop)
}

/// Who calls: as described, or nobody known.
///
/// # Errors
/// When the description is none.
pub fn principal(runtime: &Runtime, context: Option<&str>) -> anyhow::Result<Principal> {
    match context {
        Some(context) => Ok(runtime.principal(&context_text(context)?)?),
        None => Ok(runtime.anonymous()),
    }
}

/// A description of a caller: what was given, or what the file holds that it names.
fn context_text(given: &str) -> anyhow::Result<String> {
    match given.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("`{path}` of `--user-context` cannot be read")),
        None => Ok(given.to_owned()),
    }
}

/// The signals that ask the process to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them from now on.
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

async fn stop_on(mut signals: Signals, stop: CancellationToken) {
    tokio::select! {
        _ = signals.interrupt.recv() => {}
        _ = signals.terminate.recv() => {}
    }
    stop.cancel();
}

/// Reads a key: 32 raw bytes, or 64 hexadecimal digits and white space.
fn key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("the key `{}` cannot be read", path.display()))?;
    let hex = || {
        let text = std::str::from_utf8(&bytes).ok()?.trim();
        let digits = text.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let raw: Vec<u8> = digits.iter().map(byte).collect::<Option<_>>()?;
        <[u8; 32]>::try_from(raw).ok().filter(|_| text.len() == 64)
    };
    <[u8; 32]>::try_from(bytes.as_slice()).ok().or_else(hex).with_context(|| {
        format!("`{}` is no key: expected 32 bytes, or 64 hexadecimal digits", path.display())
    })
}
