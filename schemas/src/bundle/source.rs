//! Sources that a bundle carries so that diagnostics and `inspect` can show them.

use rkyv::{Archive, Deserialize, Serialize};

/// The texts of the project that a reader of the bundle may want to see, sorted by path.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// path relative to the project root, and the text
    pub files: Vec<(String, String)>,
}
