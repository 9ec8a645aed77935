//! Opening the file and its key.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OpenFlags};

use super::super::seal::{KEY_BYTES, Sealer};
use super::super::secret::{NoRandom, hex, identifier, random};
use super::schema;
use crate::config::private::{self, Exposed};

/// Bytes at the beginning of a SQLite file in which it says what it is.
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Why the session database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read or made.
    #[error("the session database `{}` cannot be opened: {source}", path.display())]
    Io {
        /// the file
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// SQLite cannot use it.
    #[error("the session database `{}` cannot be opened: {source}", path.display())]
    Sqlite {
        /// the file
        path: PathBuf,
        /// why
        source: rusqlite::Error,
    },
    /// Neither the file nor the one beside it is ours.
    #[error(
        "neither `{}` nor `{}` is a session database of this program; set `persistence.path`",
        path.display(), beside.display()
    )]
    Foreign {
        /// the configured file
        path: PathBuf,
        /// the one beside it
        beside: PathBuf,
    },
    /// A newer release made it.
    #[error(
        "the session database `{}` has version {found}; this release knows {known}",
        path.display(), known = schema::VERSION
    )]
    Version {
        /// the file
        path: PathBuf,
        /// its version
        found: i32,
    },
    /// Its address is none.
    #[error(
        "`persistence.url` is no address of a PostgreSQL database: \
         `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`"
    )]
    Address,
    /// PostgreSQL cannot be used.
    #[error("the session database cannot be used: {0}")]
    Postgres(String),
    /// No secure connection can be made.
    #[error("no secure connection to the session database can be made: {0}")]
    Tls(String),
    /// There is no key.
    #[error(
        "`persistence.auth_encryption_key` is missing: with PostgreSQL all replicas need the same \
         one; `openssl rand -hex 32` makes one"
    )]
    KeyMissing,
    /// The rows are encrypted under another key.
    #[error(
        "the sessions of `{realm}` are encrypted under another key than \
         `persistence.auth_encryption_key`; give the key that they were encrypted under, or end them \
         all: DELETE FROM mxcp_sessions.realm WHERE realm = '{realm}'"
    )]
    OtherKey {
        /// project and profile
        realm: String,
    },
    /// A newer release made the tables.
    #[error(
        "the session database has version {found}; this release knows {known}",
        known = schema::VERSION
    )]
    SchemaVersion {
        /// their version
        found: i32,
    },
    /// Others can read it, or its key.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// Its key is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There are no random numbers.
    #[error(transparent)]
    NoRandom(#[from] NoRandom),
    /// No thread can be started.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

/// A key that is none. Says nothing of what it is.
#[derive(Debug, thiserror::Error)]
#[error("{0} is no key of 32 bytes in hexadecimal or base64; `openssl rand -hex 32` makes one")]
pub struct KeyError(pub(super) String);

/// What was opened.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) sealer: Sealer,
    pub(super) path: PathBuf,
    pub(super) notes: Vec<String>,
}

/// Opens the file, or makes it, and its key.
pub(super) fn open(configured: &Path, key: Option<&str>) -> Result<Opened, OpenError> {
    let mut notes = Vec::new();
    let path = choose(configured, &mut notes)?;
    let failed = |source| OpenError::Sqlite { path: path.clone(), source };
    if of(&path)? == Whose::Nobody {
        create(&path)?;
    }
    for suffix in ["", "-wal", "-shm"] {
        let file = with_suffix(&path, suffix);
        private::check(&file, private::mode_of(&file))?;
    }
    let sealer = match key {
        Some(text) => Sealer::new(
            &read_key(text).ok_or_else(|| KeyError("`persistence.auth_encryption_key`".into()))?,
        ),
        None => Sealer::new(&key_file(&with_suffix(&path, ".key"))?),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    schema::prepare(&connection).map_err(failed)?;
    let found: i32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found != schema::VERSION {
        return Err(OpenError::Version { path, found });
    }
    Ok(Opened { connection, sealer, path, notes })
}

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// it is not there, or empty
    Nobody,
    Ours,
    /// MXCP's own, or something else
    Others,
}

/// Looks into a file without opening it as a database, which could change it.
fn of(path: &Path) -> Result<Whose, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    match File::open(path) {
        Ok(file) => {
            file.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(io)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Whose::Nobody),
        Err(error) => return Err(io(error)),
    }
    if header.is_empty() {
        return Ok(Whose::Nobody);
    }
    let id = header.get(68..72);
    let is_ours =
        header.starts_with(MAGIC) && id == Some(&schema::APPLICATION_ID.to_be_bytes()[..]);
    Ok(if is_ours { Whose::Ours } else { Whose::Others })
}

/// The configured file, or the one beside it when that is somebody else's.
fn choose(configured: &Path, notes: &mut Vec<String>) -> Result<PathBuf, OpenError> {
    if of(configured)? != Whose::Others {
        return Ok(configured.to_owned());
    }
    let beside = configured.with_extension("mxcp-runtime.db");
    if of(&beside)? == Whose::Others {
        return Err(OpenError::Foreign { path: configured.to_owned(), beside });
    }
    notes.push(format!(
        "`{}` is the session database of another program and is left alone; sessions are kept in \
         `{}`",
        configured.display(),
        beside.display()
    ));
    Ok(beside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the file under another name and puts it in its place when it is whole.
fn create(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
    let folder = folder_of(path);
    make_folder(folder).map_err(io)?;
    let beside = with_suffix(path, &format!(".new-{}", identifier()?));
    let file = new_file(&beside).map_err(io)?;
    let made = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&beside, flags).map_err(failed)?;
        schema::create(&connection).map_err(failed)?;
        connection.close().map_err(|(_, source)| failed(source))?;
        file.sync_all().map_err(io)?;
        place(&beside, path).map_err(io)
    })();
    // When it was put in its place, this is the second name of the same file.
    let _ = std::fs::remove_file(&beside);
    made
}

/// Gives a whole file its name, unless another process was faster; an empty file is nobody's.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::metadata(to).is_ok_and(|found| found.len() == 0) {
        std::fs::rename(from, to)?;
    } else if let Err(error) = std::fs::hard_link(from, to)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    File::open(folder_of(to))?.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The key in a file, which is made when it is not there.
fn key_file(path: &Path) -> Result<[u8; KEY_BYTES], OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    let read = |text: String| {
        read_key(&text).ok_or_else(|| KeyError(format!("the content of `{}`", path.display())))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            private::check(path, private::mode_of(path))?;
            return Ok(read(text)?);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    let key: [u8; KEY_BYTES] = random()?;
    let beside = with_suffix(path, &format!(".new-{}", identifier()?));
    let mut file = new_file(&beside).map_err(io)?;
    let made = file
        .write_all(format!("{}\n", hex(&key)).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| place(&beside, path));
    let _ = std::fs::remove_file(&beside);
    made.map_err(io)?;
    // Another process may have been faster; what is there now is the key.
    let text = std::fs::read_to_string(path).map_err(io)?;
    Ok(read(text)?)
}

/// 32 bytes in hexadecimal or base64.
pub(super) fn read_key(text: &str) -> Option<[u8; KEY_BYTES]> {
    let text = text.trim();
    if text.len() == KEY_BYTES * 2 {
        let mut key = [0; KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        return text.bytes().all(|b| b.is_ascii_hexdigit()).then_some(key);
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// A new file that nobody else can read.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A folder for such files.
fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
