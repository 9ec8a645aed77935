//! Keyed hashes of redacted values: equal values can be joined without being readable.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of a key, at least.
pub const HMAC_KEY_MIN_BYTES: usize = 16;

/// A key that does not print.
#[derive(Clone)]
pub struct HmacKey {
    id: String,
    keyed: Hmac<Sha256>,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the audit `hmac_key` has {0} bytes; give it {HMAC_KEY_MIN_BYTES} or more random ones, for \
     instance from `openssl rand -hex 32`"
)]
pub struct HmacKeyError(usize);

impl HmacKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// When they are too few.
    pub fn new(bytes: &[u8]) -> Result<Self, HmacKeyError> {
        let short = HmacKeyError(bytes.len());
        if bytes.len() < HMAC_KEY_MIN_BYTES {
            return Err(short);
        }
        let keyed = Hmac::<Sha256>::new_from_slice(bytes).map_err(|_| short)?;
        let mut key = Self { id: String::new(), keyed };
        // The id tells keys apart after a rotation; it is derived, so it cannot be set wrongly.
        key.id = key.digest("id", &"mxcp-audit-hmac-key").chars().take(8).collect();
        Ok(key)
    }

    /// What is recorded for a text.
    pub(super) fn text(&self, text: &str) -> String {
        format!("hmac-sha256:{}:{}", self.id, self.digest("text", &text))
    }

    /// What is recorded for a number, as it is written in JSON.
    pub(super) fn number(&self, number: &dyn fmt::Display) -> String {
        format!("hmac-sha256:{}:{}", self.id, self.digest("number", number))
    }

    fn digest(&self, kind: &str, value: &dyn fmt::Display) -> String {
        let mut sink = Sink(self.keyed.clone());
        // Feeding a hash cannot fail.
        let _ = write!(sink, "{kind}\0{value}");
        sink.0.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKey").field("id", &self.id).finish_non_exhaustive()
    }
}

struct Sink(Hmac<Sha256>);

impl fmt::Write for Sink {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.update(s.as_bytes());
        Ok(())
    }
}
