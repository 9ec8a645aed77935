//! What was accepted before: the highest build number per project and profile, on disk, so that an
//! old bundle cannot come back unnoticed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mxcp_schemas::bundle::container::Header;
use serde::{Deserialize, Serialize};

/// Build number zero means that none was given; such a bundle is accepted as long as no numbered
/// one was, and is not remembered.
pub(super) const UNNUMBERED: u64 = 0;

/// The memory of accepted bundles, one small JSON file.
#[derive(Debug)]
pub struct Accepted {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    bundles: BTreeMap<String, Entry>,
}

impl Memory {
    fn name(project: &str, profile: &str) -> String {
        format!("{project}/{profile}")
    }

    fn of(&self, project: &str, profile: &str) -> Option<&Entry> {
        self.bundles.get(&Self::name(project, profile))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    build_number: u64,
    digest: String,
}

/// Why a valid bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// It is older than one that was accepted.
    #[error(
        "the bundle has build number {found} and {highest} was accepted before; build it with a higher `--build-number`, or pass `--allow-rollback` to accept it"
    )]
    Older {
        /// its number
        found: u64,
        /// the highest number accepted
        highest: u64,
    },
    /// Two different bundles have the same number.
    #[error(
        "the bundle has build number {0}, which another bundle had before; give every build its own `--build-number`, or pass `--allow-rollback` to accept it"
    )]
    SameNumber(u64),
    /// The memory cannot be read or written.
    #[error("`{}`, which remembers accepted bundles, cannot be used: {source}", path.display())]
    Memory {
        /// the file
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

impl Accepted {
    /// The memory kept in the folder `state`.
    pub fn new(state: &Path) -> Self {
        Self { path: state.join("accepted-bundles.json") }
    }

    /// Says whether a bundle may be put to work. Nothing is remembered yet: a bundle that cannot
    /// start must not keep the one before it from coming back.
    ///
    /// # Errors
    /// When it is older than one that was accepted, or has its number and another digest, unless
    /// rollbacks are allowed.
    pub fn check(
        &self,
        project: &str,
        profile: &str,
        header: &Header,
        allow_rollback: bool,
    ) -> Result<(), RollbackError> {
        let memory = self.read()?;
        if allow_rollback {
            return Ok(());
        }
        judge(memory.of(project, profile), header)
    }

    /// Remembers a bundle that was put to work. One that is older than the highest is not: whoever
    /// allowed it allowed it for this start.
    ///
    /// # Errors
    /// When the memory cannot be read or written.
    pub fn remember(
        &self,
        project: &str,
        profile: &str,
        header: &Header,
    ) -> Result<(), RollbackError> {
        // Two servers of one folder may start at the same time, and neither may forget the other.
        let _lock = self.lock()?;
        let mut memory = self.read()?;
        let known = memory.of(project, profile);
        let highest = known.map_or(UNNUMBERED, |known| known.build_number);
        if header.build_number <= highest {
            return Ok(());
        }
        let entry = Entry { build_number: header.build_number, digest: header.digest_hex() };
        memory.bundles.insert(Memory::name(project, profile), entry);
        self.write(&memory)
    }

    fn lock(&self) -> Result<File, RollbackError> {
        let lock = || -> io::Result<File> {
            std::fs::create_dir_all(self.folder())?;
            let file = File::create(self.path.with_extension("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|e| self.error(e))
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn read(&self) -> Result<Memory, RollbackError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| self.error(io::Error::new(io::ErrorKind::InvalidData, e))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
            Err(e) => Err(self.error(e)),
        }
    }

    /// Writes beside and renames, so that a crash leaves the old memory or the new one.
    fn write(&self, memory: &Memory) -> Result<(), RollbackError> {
        let write = || -> io::Result<()> {
            let beside = self.path.with_extension("json.new");
            let mut file = File::create(&beside)?;
            serde_json::to_writer_pretty(&mut file, memory)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            File::open(self.folder())?.sync_all()
        };
        write().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> RollbackError {
        RollbackError::Memory { path: self.path.clone(), source }
    }
}

/// Whether a bundle may follow what was accepted before.
fn judge(known: Option<&Entry>, header: &Header) -> Result<(), RollbackError> {
    let found = header.build_number;
    match known {
        Some(known) if found < known.build_number => {
            Err(RollbackError::Older { found, highest: known.build_number })
        }
        Some(known) if found == known.build_number && known.digest != header.digest_hex() => {
            Err(RollbackError::SameNumber(found))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(build_number: u64, digest: u8) -> Header {
        Header { build_number, digest: [digest; 32], signer: None }
    }

    fn start(
        accepted: &Accepted,
        profile: &str,
        header: &Header,
        allow: bool,
    ) -> Result<(), RollbackError> {
        accepted.check("p", profile, header, allow)?;
        accepted.remember("p", profile, header)
    }

    #[test]
    fn older_bundles_and_twins_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(&folder.path().join("state"));
        let accept = |number, digest| start(&accepted, "q", &header(number, digest), false);
        accept(0, 1).unwrap();
        accept(0, 2).unwrap();
        accept(5, 1).unwrap();
        accept(5, 1).unwrap();
        assert!(matches!(accept(5, 2), Err(RollbackError::SameNumber(5))));
        assert!(matches!(accept(4, 2), Err(RollbackError::Older { found: 4, highest: 5 })));
        assert!(matches!(accept(0, 2), Err(RollbackError::Older { .. })));
        start(&accepted, "other", &header(1, 3), false).unwrap();
    }

    #[test]
    fn a_rollback_is_allowed_for_one_start() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(folder.path());
        start(&accepted, "q", &header(5, 1), false).unwrap();
        for (number, digest) in [(4, 2), (5, 2), (0, 3)] {
            start(&accepted, "q", &header(number, digest), true).unwrap();
            assert!(start(&accepted, "q", &header(number, digest), false).is_err());
        }
        start(&accepted, "q", &header(5, 1), false).unwrap();
    }

    #[test]
    fn what_was_only_looked_at_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(folder.path());
        accepted.check("p", "q", &header(6, 1), false).unwrap();
        start(&accepted, "q", &header(5, 1), false).unwrap();
    }

    #[test]
    fn servers_that_start_together_forget_none() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for server in 0..16 {
                let accepted = Accepted::new(folder.path());
                let profile = format!("q{server}");
                scope.spawn(move || start(&accepted, &profile, &header(5, 1), false).unwrap());
            }
        });
        for server in 0..16 {
            let accepted = Accepted::new(folder.path());
            let older = start(&accepted, &format!("q{server}"), &header(4, 1), false);
            assert!(matches!(older, Err(RollbackError::Older { .. })), "{server}");
        }
    }

    #[test]
    fn a_damaged_memory_refuses() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("accepted-bundles.json"), b"{").unwrap();
        let accepted = Accepted::new(folder.path());
        for allow in [false, true] {
            let refused = accepted.check("p", "q", &header(1, 1), allow);
            assert!(matches!(refused, Err(RollbackError::Memory { .. })));
        }
    }
}
