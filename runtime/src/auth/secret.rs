//! Random secrets, and the digests that stand for them wherever they are kept.

use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Concealed;

/// Random bytes of a secret: more than anybody can guess.
pub const SECRET_BYTES: usize = 32;
/// Length of such a secret as text.
pub const SECRET_CHARS: usize = 43;

/// The system has no random numbers. Nothing that needs secrets works then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

/// Random bytes from the system.
///
/// # Errors
/// When it has none.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A new secret: 256 random bits in base64url, after a prefix that says what it is.
///
/// # Errors
/// When the system has no random numbers.
pub fn fresh(prefix: &str) -> Result<Concealed<String>, NoRandom> {
    let bytes: [u8; SECRET_BYTES] = random()?;
    Ok(Concealed::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes))))
}

/// An identifier that opens nothing: 128 random bits in hexadecimal.
///
/// # Errors
/// When the system has no random numbers.
pub fn identifier() -> Result<String, NoRandom> {
    let bytes: [u8; 16] = random()?;
    Ok(hex(&bytes))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a secret. Whoever reads it cannot present the secret, and whoever presents a
/// secret learns nothing from how long a look-up takes: it goes by this. Two are compared in a time
/// that does not depend on where they differ, by `==` as well.
#[derive(Debug, Clone, Copy)]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Digest {
    /// The digest of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The digest that bytes are; `None` unless there are 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The digest that 64 hexadecimal digits are; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit =
                |at: u8| char::from(at).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let [high, low] = *pair;
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Self(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_do_not_print() {
        let (one, two) = (fresh("p_").unwrap(), fresh("p_").unwrap());
        assert_ne!(one, two);
        assert_eq!(one.expose().len(), 2 + SECRET_CHARS);
        assert!(!format!("{one:?}").contains(one.expose().as_str()));
        assert_eq!(identifier().unwrap().len(), 32);
    }

    #[test]
    fn digests_are_those_of_sha_256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of("abc").hex(), abc);
        assert_eq!(Digest::of("abc"), Digest::of("abc"));
        assert_ne!(Digest::of("abc"), Digest::of("abd"));
        assert_eq!(Digest::from_bytes(&[0; 31]), None);
        assert_eq!(Digest::from_hex(abc), Some(Digest::of("abc")));
        for odd in ["", "ba", &abc[1..], &abc.replace('b', "+"), &format!("{abc}00")] {
            assert_eq!(Digest::from_hex(odd), None, "{odd}");
        }
    }
}
