//! Encryption of what is kept or given away: XChaCha20-Poly1305 under one key.
//!
//! What is sealed says where it belongs, and opens nowhere else: a value copied to another row or
//! column, or sealed under another key, is refused. Nonces are random; with 192 bits they do not
//! repeat, however often a provider's token is refreshed.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};

use super::secret::{NoRandom, hex, random};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Bytes of what says which key it is.
pub const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;

/// Seals and opens.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    key_id: [u8; KEY_ID_BYTES],
}

/// Where something sealed belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'p> {
    /// its table
    pub table: &'p str,
    /// its row
    pub row: &'p str,
    /// its column
    pub column: &'p str,
}

/// What was sealed cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Sealed {
    /// It was sealed under another key.
    #[error("it is encrypted under another key")]
    OtherKey,
    /// It was changed, or belongs somewhere else.
    #[error("it was changed, or belongs somewhere else")]
    Damaged,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", hex(&self.key_id))
    }
}

impl Sealer {
    /// Seals under a key.
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let digest: [u8; 32] =
            Sha256::new().chain_update(b"mxcp auth key id\n").chain_update(key).finalize().into();
        let mut key_id = [0; KEY_ID_BYTES];
        for (to, from) in key_id.iter_mut().zip(digest) {
            *to = from;
        }
        Self { cipher: XChaCha20Poly1305::new(&Key::from(*key)), key_id }
    }

    /// Says which key this is, and nothing about it.
    pub fn key_id(&self) -> String {
        hex(&self.key_id)
    }

    /// The same in bytes: everything that is sealed begins with them.
    pub const fn key_id_bytes(&self) -> &[u8; KEY_ID_BYTES] {
        &self.key_id
    }

    /// Encrypts.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, NoRandom> {
        let nonce: [u8; NONCE_BYTES] = random()?;
        let aad = self.associated(place);
        let payload = Payload { msg: plain, aad: &aad };
        // It fails only for messages beyond 2^38 bytes, which no memory holds.
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| NoRandom)?;
        Ok([&self.key_id[..], &nonce, &sealed].concat())
    }

    /// Decrypts.
    ///
    /// # Errors
    /// See [`Sealed`].
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, Sealed> {
        let (key_id, rest) = sealed.split_first_chunk::<KEY_ID_BYTES>().ok_or(Sealed::Damaged)?;
        if *key_id != self.key_id {
            return Err(Sealed::OtherKey);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Sealed::Damaged)?;
        let aad = self.associated(place);
        let payload = Payload { msg: sealed, aad: &aad };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| Sealed::Damaged)
    }

    /// The parts with their lengths, so that no two places read alike.
    fn associated(&self, place: Place<'_>) -> Vec<u8> {
        let key_id = self.key_id();
        let mut bytes = Vec::with_capacity(128);
        for part in [place.table, place.row, place.column, &key_id] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> = Place { table: "t", row: "r", column: "c" };

    #[test]
    fn what_is_sealed_opens_where_it_belongs_and_nowhere_else() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(HERE, b"secret").unwrap();
        assert_eq!(sealer.open(HERE, &sealed).unwrap(), b"secret");
        assert_ne!(sealer.seal(HERE, b"secret").unwrap(), sealed);
        for place in [
            Place { row: "s", ..HERE },
            Place { table: "u", ..HERE },
            Place { column: "d", ..HERE },
            Place { table: "tr", row: "", ..HERE },
        ] {
            assert_eq!(sealer.open(place, &sealed), Err(Sealed::Damaged));
        }
        let other = Sealer::new(&[8; 32]);
        assert_eq!(other.open(HERE, &sealed), Err(Sealed::OtherKey));
        let renamed = [&other.key_id[..], &sealed[KEY_ID_BYTES..]].concat();
        assert_eq!(other.open(HERE, &renamed), Err(Sealed::Damaged));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_opens() {
        let sealer = Sealer::new(&[7; 32]);
        let sealed = sealer.seal(HERE, b"secret").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.open(HERE, &changed).is_err(), "{bit}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(HERE, &sealed[..length]).is_err(), "{length}");
        }
        assert!(!format!("{sealer:?}").contains("0707"));
    }
}
