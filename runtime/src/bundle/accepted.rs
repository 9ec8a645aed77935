//! What was accepted before: the highest build number per project and profile, on disk, so that an
//! old bundle cannot come back unnoticed.

use std::collections::BTreeMap;
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

    /// Accepts a bundle and remembers it, or refuses it.
    ///
    /// # Errors
    /// When it is older than one that was accepted, or has its number and another digest.
    pub fn accept(
        &self,
        project: &str,
        profile: &str,
        header: &Header,
        allow_rollback: bool,
    ) -> Result<(), RollbackError> {
        let mut memory = self.read()?;
        let name = format!("{project}/{profile}");
        let (found, digest) = (header.build_number, header.digest_hex());
        match memory.bundles.get(&name) {
            Some(known) if known.build_number == found && known.digest == digest => return Ok(()),
            Some(known) if !allow_rollback && found < known.build_number => {
                return Err(RollbackError::Older { found, highest: known.build_number });
            }
            Some(known) if !allow_rollback && found == known.build_number => {
                return Err(RollbackError::SameNumber(found));
            }
            None if found == UNNUMBERED => return Ok(()),
            _ => {}
        }
        memory.bundles.insert(name, Entry { build_number: found, digest });
        self.write(&memory)
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
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let beside = self.path.with_extension("json.new");
            let mut file = std::fs::File::create(&beside)?;
            serde_json::to_writer_pretty(&mut file, memory)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        write().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> RollbackError {
        RollbackError::Memory { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(build_number: u64, digest: u8) -> Header {
        Header { build_number, digest: [digest; 32], signer: None }
    }

    #[test]
    fn older_bundles_and_twins_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let accepted = Accepted::new(&folder.path().join("state"));
        let accept = |number, digest| accepted.accept("p", "q", &header(number, digest), false);
        accept(0, 1).unwrap();
        accept(0, 2).unwrap();
        accept(5, 1).unwrap();
        accept(5, 1).unwrap();
        assert!(matches!(accept(5, 2), Err(RollbackError::SameNumber(5))));
        assert!(matches!(accept(4, 2), Err(RollbackError::Older { found: 4, highest: 5 })));
        assert!(matches!(accept(0, 2), Err(RollbackError::Older { .. })));
        accepted.accept("p", "other", &header(1, 3), false).unwrap();
        accepted.accept("p", "q", &header(4, 2), true).unwrap();
        accept(4, 2).unwrap();
    }

    #[test]
    fn a_damaged_memory_refuses() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("accepted-bundles.json"), b"{").unwrap();
        let accepted = Accepted::new(folder.path());
        assert!(matches!(
            accepted.accept("p", "q", &header(1, 1), false),
            Err(RollbackError::Memory { .. })
        ));
    }
}
