//! Opening a bundle for serving: read once, sealed, mapped, checked, remembered.
//!
//! The file is read once into memory that nobody can change afterwards, so nothing done to the
//! file later, truncation included, can reach what was checked.

mod accepted;
mod map;

use std::path::{Path, PathBuf};

use mxcp_schemas::bundle::container::{self, Header, MAX_BUNDLE_BYTES, OpenError, Opened};

pub use accepted::{Accepted, RollbackError};
use map::Sealed;

/// A bundle that was checked and stays as it was.
#[derive(Debug)]
pub struct Bundle {
    memory: Sealed,
    header: Header,
}

/// Why a bundle cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// the file
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// No memory to keep it in.
    #[error("no memory can be had to hold the bundle: {0}")]
    Memory(std::io::Error),
    /// It is not a valid bundle.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Bundle {
    /// Reads, seals and checks a file.
    ///
    /// # Errors
    /// When it cannot be read or breaks a rule of the format.
    pub fn open(path: &Path, trusted: Option<[u8; 32]>) -> Result<Self, BundleError> {
        let read = |source| BundleError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        Self::of(Sealed::copy(file, MAX_BUNDLE_BYTES + 1).map_err(read)?, trusted)
    }

    /// Seals and checks bytes that are already in memory.
    ///
    /// # Errors
    /// When they break a rule of the format.
    pub fn from_bytes(bytes: &[u8], trusted: Option<[u8; 32]>) -> Result<Self, BundleError> {
        Self::of(Sealed::new(bytes).map_err(BundleError::Memory)?, trusted)
    }

    fn of(memory: Sealed, trusted: Option<[u8; 32]>) -> Result<Self, BundleError> {
        let header = container::open(memory.bytes(), trusted.as_ref())?.header;
        Ok(Self { memory, header })
    }

    /// What the header says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What the bundle holds.
    ///
    /// Digest and signature were checked when the bundle was opened, and the bytes cannot have changed
    /// since; the archives are checked again, which costs about a millisecond per few megabytes, so
    /// callers keep what they need.
    ///
    /// # Errors
    /// Those of [`container::reopen`].
    pub fn contents(&self) -> Result<Opened<'_>, OpenError> {
        container::reopen(self.memory.bytes(), self.header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mxcp_schemas::bundle::container::{Bundle as Contents, seal};
    use mxcp_schemas::bundle::definition::{Endpoints, Predicates, Types};
    use mxcp_schemas::bundle::manifest::{Audit, DuckDb, Manifest};
    use mxcp_schemas::bundle::source::Sources;

    fn bytes() -> Vec<u8> {
        let manifest = Manifest {
            project: "clinic".into(),
            profile: "dev".into(),
            compiler: "0.1.0".into(),
            duckdb: DuckDb::default(),
            audit: Audit::default(),
            limits: Vec::new(),
            secrets: Vec::new(),
            extensions: Vec::new(),
            user_attributes: Vec::new(),
            sql_tools: Vec::new(),
            disabled: Vec::new(),
        };
        let contents = Contents {
            manifest,
            types: Types::default(),
            endpoints: Endpoints::default(),
            predicates: Predicates::default(),
            sources: Sources::default(),
        };
        seal(&contents, 1, None).unwrap()
    }

    #[test]
    fn truncating_and_rewriting_the_file_does_not_reach_an_open_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle.mx");
        std::fs::write(&path, bytes()).unwrap();
        let bundle = Bundle::open(&path, None).unwrap();
        std::fs::write(&path, b"rewritten").unwrap();
        assert_eq!(bundle.contents().unwrap().manifest.project, "clinic");
        std::fs::File::create(&path).unwrap();
        assert_eq!(bundle.contents().unwrap().manifest.project, "clinic");
        assert!(matches!(Bundle::open(&path, None), Err(BundleError::Open(OpenError::NotABundle))));
    }
}
