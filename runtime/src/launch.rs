//! From a bundle and its surroundings to a runtime at work: configuration, database, audit trail.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mxcp_policy::jit::{self, Compiled};
use mxcp_schemas::bundle::container::OpenError;

use crate::audit::redact::Redactor;
use crate::audit::{SettingsError, Trail, settings};
use crate::bundle::{Accepted, Bundle, BundleError, RollbackError};
use crate::config::{
    self, Config, ConfigError, Process, ReferenceError, Surroundings, Wanted, switch,
};
use crate::duckdb::secret::{self, SecretError};
use crate::duckdb::{DuckError, Pool, Settings};
use crate::limits::{Limits, UnknownLimit};
use crate::serve::{Around, Linked, Runtime, StartError};

/// How long after the start conditions begin to be compiled, in milliseconds: the first calls have the
/// processors for themselves, and a server that ends before has compiled nothing in vain.
pub const COMPILE_DELAY_MS: u64 = 1_000;

/// How a runtime is started.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// folder that relative paths are below
    pub root: PathBuf,
    /// the user file; otherwise `$MXCP_CONFIG` or `~/.mxcp/config.yml`
    pub config: Option<PathBuf>,
    /// whether an older bundle than the last is accepted
    pub allow_rollback: bool,
    /// whether accepted bundles are remembered
    pub remember: bool,
    /// whether calls are recorded; `None` is as the bundle says
    pub audit: Option<bool>,
    /// whether conditions become machine code, in the background; until then, and where that cannot be
    /// had, they are interpreted
    pub jit: bool,
    /// whether the database is opened without write access, whatever the bundle says
    pub read_only: bool,
}

/// Why a runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle breaks a rule.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The bundle is older than the last.
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A limit is not known.
    #[error(transparent)]
    Limit(#[from] UnknownLimit),
    /// A reference in the project's own configuration leads nowhere.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// DuckDB does not take a secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database cannot be opened.
    #[error("the database `{path}` cannot be opened: {error}")]
    Database {
        /// as configured
        path: String,
        /// why
        error: DuckError,
    },
    /// The folder of the database cannot be made.
    #[error("the folder `{}` cannot be made: {source}", path.display())]
    Folder {
        /// the folder
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// The audit trail cannot be kept as configured.
    #[error(transparent)]
    Audit(#[from] SettingsError),
    /// The audit trail cannot be opened.
    #[error(transparent)]
    Trail(#[from] crate::audit::OpenError),
    /// The bundle cannot be put to work.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Puts a bundle to work with what surrounds it.
///
/// # Errors
/// The first thing that is missing or wrong.
pub fn launch(bundle: &Bundle, launch: &Launch) -> Result<(Arc<Runtime>, Config), LaunchError> {
    let opened = bundle.contents()?;
    let manifest: mxcp_schemas::bundle::manifest::Manifest =
        rkyv::deserialize::<_, rkyv::rancor::Error>(opened.manifest)
            .map_err(|_| StartError::Section("manifest"))?;
    let (project, profile) = (manifest.project.as_str(), manifest.profile.as_str());
    let accepted = launch.remember.then(|| Accepted::new(&launch.root.join(".mxcp")));
    if let Some(accepted) = &accepted {
        accepted.check(project, profile, bundle.header(), launch.allow_rollback)?;
    }
    let process = Process;
    let wanted = Wanted { project, profile, secrets: &manifest.secrets };
    let config = config::load(launch.config.as_deref(), &process, wanted)?;
    let open = || open_database(&manifest, &config, launch);
    // Either takes some milliseconds, and neither needs the other.
    let (pool, linked) = meanwhile(open, || Linked::of(&opened));
    let (pool, linked) = (pool?, linked?);
    let (trail, redactor) = open_trail(&manifest.audit, &config, &launch.root, launch.audit)?;
    trail.set_bundle(&bundle.header().digest_hex());
    let around = Around { trail, redactor, pool: Some(pool) };
    if let Some(accepted) = &accepted {
        accepted.remember(project, profile, bundle.header())?;
    }
    let runtime = Runtime::new(linked, around);
    if launch.jit {
        compile_in_background(&runtime);
    }
    Ok((Arc::new(runtime), config))
}

/// Does one thing while another is done, in turn where there is no second thread.
fn meanwhile<A: Send, B>(other: impl Fn() -> A + Sync, this: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let begun = std::thread::Builder::new().spawn_scoped(scope, &other);
        let this = this();
        let other = match begun.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(other)) => other,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => other(),
        };
        (other, this)
    })
}

fn open_database(
    manifest: &mxcp_schemas::bundle::manifest::Manifest,
    config: &Config,
    launch: &Launch,
) -> Result<Pool, LaunchError> {
    let settings = database_settings(manifest, launch, &Process)?;
    let failed = |error| LaunchError::Database {
        path: settings.path.as_deref().map_or_else(String::new, |path| {
            path.strip_prefix(&launch.root).unwrap_or(path).display().to_string()
        }),
        error,
    };
    let database = settings.prepare().map_err(failed)?;
    secret::create(&database, &config.secrets)?;
    settings.lock(&database).map_err(failed)?;
    let workers = match Limits::new(&manifest.limits)?.sql_workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        workers => usize::try_from(workers).unwrap_or(1),
    };
    Pool::start(&database, workers).map_err(failed)
}

/// How the database of a bundle is opened here: references resolved, the environment asked.
fn database_settings(
    manifest: &mxcp_schemas::bundle::manifest::Manifest,
    launch: &Launch,
    around: &dyn Surroundings,
) -> Result<Settings, LaunchError> {
    let duckdb = &manifest.duckdb;
    let place = |key: &str| format!("profiles.{}.duckdb.{key}", manifest.profile);
    let resolved = |text: &str, key: &str| config::resolve(text, &place(key), around);
    let path = match around.variable("MXCP_DUCKDB_PATH") {
        Some(path) => path,
        None => resolved(&duckdb.path, "path")?,
    };
    let path = launch.root.join(path);
    let read_only =
        launch.read_only || duckdb.read_only || switch("MXCP_READONLY", around)?.unwrap_or(false);
    if !read_only {
        make_folder(&path)?;
    }
    let memory_limit = duckdb.memory_limit.as_deref();
    let mut allowed_directories = Vec::with_capacity(duckdb.allowed_directories.len());
    for folder in &duckdb.allowed_directories {
        allowed_directories.push(launch.root.join(resolved(folder, "allowed_directories")?));
    }
    Ok(Settings {
        path: Some(path),
        read_only,
        memory_limit: memory_limit.map(|text| resolved(text, "memory_limit")).transpose()?,
        threads: duckdb.threads,
        max_temp_directory_size: None,
        external_access: duckdb.external_access,
        allowed_directories,
        extensions: manifest.extensions.iter().map(|(name, _)| name.clone()).collect(),
        community_extensions: manifest
            .extensions
            .iter()
            .any(|(_, repository)| repository.as_deref() == Some("community")),
    })
}

/// Opens the audit trail of a project below `root`, unless it is to be left alone: as `asked`, else
/// as `MXCP_AUDIT_ENABLED` says, else as the project does.
///
/// # Errors
/// When it cannot be kept as configured, or another process writes it.
pub fn open_trail(
    audit: &mxcp_schemas::bundle::manifest::Audit,
    config: &Config,
    root: &Path,
    asked: Option<bool>,
) -> Result<(Trail, Redactor), LaunchError> {
    let said = switch("MXCP_AUDIT_ENABLED", &Process)?;
    let wanted = settings(audit, &config.audit, root, &Process)?;
    let trail = if asked.or(said).unwrap_or(audit.enabled) {
        Trail::open(&wanted.config)?
    } else {
        Trail::disabled()
    };
    Ok((trail, wanted.redactor))
}

fn make_folder(file: &Path) -> Result<(), LaunchError> {
    let Some(folder) = file.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .map_err(|source| LaunchError::Folder { path: folder.to_owned(), source })
}

/// Compiles the conditions on a thread of its own, a while after the start. Whatever goes wrong with
/// that, they are interpreted.
fn compile_in_background(runtime: &Runtime) {
    let predicates = runtime.machinery().predicates();
    if predicates.is_empty() {
        return;
    }
    let compile = move || {
        std::thread::sleep(Duration::from_millis(COMPILE_DELAY_MS));
        match jit::compile(&*predicates) {
            Ok(Compiled { compiled, interpreted }) => {
                tracing::debug!(compiled, interpreted, "conditions are machine code");
            }
            Err(error) => tracing::info!(%error, "conditions are interpreted"),
        }
    };
    let thread = std::thread::Builder::new().name("mxcp-compile".to_owned()).spawn(compile);
    if let Err(error) = thread {
        tracing::info!(%error, "conditions are interpreted");
    }
}
