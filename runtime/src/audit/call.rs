//! The identifier of an operation and of its record.

use std::fmt;

/// Identifies a call from its beginning: a UUIDv7, so that ids sort by the time they were made.
/// The client reads it in error texts and `_meta`, the trail has it as `record_id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId {
    text: [u8; 36],
}

impl CallId {
    /// An id for a call that begins now.
    pub fn begin() -> Self {
        let mut text = [0; 36];
        uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text);
        Self { text }
    }

    /// The id as text, 36 bytes of hexadecimal digits and hyphens.
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII by construction.
        str::from_utf8(&self.text).unwrap_or_default()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_7_and_sort_by_age() {
        let ids: Vec<CallId> = (0..1_000).map(|_| CallId::begin()).collect();
        for pair in ids.windows(2) {
            assert!(pair[0].as_str() < pair[1].as_str());
        }
        let parsed = uuid::Uuid::parse_str(ids[0].as_str()).unwrap();
        assert_eq!(parsed.get_version_num(), 7);
    }
}
