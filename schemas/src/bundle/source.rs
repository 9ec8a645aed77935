//! Sources that a bundle carries so that diagnostics and `inspect` can show them.

use rkyv::{Archive, Deserialize, Serialize};

/// Bytes of all sources of a bundle, at most.
pub const MAX_SOURCE_BYTES: usize = 256 << 20;
/// The fastest level of DEFLATE: sources repeat themselves, and a build is waited for.
const LEVEL: u8 = 1;

/// The texts of the project that a reader of the bundle may want to see. They are compressed: a server
/// carries them and never looks at them.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// JSON, pairs of a path relative to the project root and the text, sorted by path, in the ZLIB
    /// format (RFC 1950)
    pub packed: Vec<u8>,
}

/// Sources that cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sources of the bundle cannot be read")]
pub struct Unreadable;

impl Sources {
    /// Packs texts by their paths.
    pub fn pack<'t>(files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let files: Vec<(&str, &str)> = files.into_iter().collect();
        // Texts are always JSON; there is nothing that could fail.
        let text = serde_json::to_vec(&files).unwrap_or_default();
        Self { packed: miniz_oxide::deflate::compress_to_vec_zlib(&text, LEVEL) }
    }
}

impl ArchivedSources {
    /// The texts with their paths.
    ///
    /// # Errors
    /// When they are damaged, or more than [`MAX_SOURCE_BYTES`].
    pub fn files(&self) -> Result<Vec<(String, String)>, Unreadable> {
        if self.packed.is_empty() {
            return Ok(Vec::new());
        }
        let text =
            miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&self.packed, MAX_SOURCE_BYTES);
        serde_json::from_slice(&text.map_err(|_| Unreadable)?).map_err(|_| Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(packed: Vec<u8>) -> Result<Vec<(String, String)>, Unreadable> {
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&Sources { packed }).unwrap();
        rkyv::access::<ArchivedSources, rkyv::rancor::Error>(&bytes).unwrap().files()
    }

    #[test]
    fn what_is_packed_comes_out_again_and_is_small() {
        let text = "tool:\n  name: a\n".repeat(1_000);
        let packed = Sources::pack([("a.yml", text.as_str()), ("b.yml", "")]).packed;
        assert!(packed.len() < text.len() / 20, "{}", packed.len());
        let expected = vec![("a.yml".to_owned(), text), ("b.yml".to_owned(), String::new())];
        assert_eq!(files(packed), Ok(expected));
        assert_eq!(files(Vec::new()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_damaged_or_explodes_is_refused() {
        let packed = Sources::pack([("a.yml", "tool:")]).packed;
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 1;
            let read = files(damaged);
            assert!(read.is_err() || read == files(packed.clone()), "byte {at}");
        }
        let much = vec![b' '; MAX_SOURCE_BYTES + 1];
        assert_eq!(files(miniz_oxide::deflate::compress_to_vec_zlib(&much, 1)), Err(Unreadable));
    }
}
