//! Ed25519 keys as operators have them: the 32 bytes in hexadecimal or Base64, or the PEM that
//! `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use super::chain::Hash;

/// What DER has before the 32 bytes of a private key (RFC 8410).
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// What DER has before the 32 bytes of a public key (RFC 8410).
const PUBLIC_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What a signature in a record begins with.
const SCHEME: &str = "ed25519:";

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an Ed25519 {0} key: expected its 32 bytes in hexadecimal or Base64, or the PEM that \
     `openssl` writes"
)]
pub struct KeyError(&'static str);

/// Signs checkpoints and tombstones; does not print its key.
#[derive(Clone)]
pub struct Signer(SigningKey);

/// Verifies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl Signer {
    /// Reads a private key.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = key_bytes(text, &PRIVATE_PREFIX).ok_or(KeyError("private"))?;
        Ok(Self(SigningKey::from_bytes(&bytes)))
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of a statement, as records have it.
    pub(super) fn sign(&self, statement: &[u8]) -> String {
        format!("{SCHEME}{}", STANDARD.encode(self.0.sign(statement).to_bytes()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public())
    }
}

impl PublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = key_bytes(text, &PUBLIC_PREFIX).ok_or(KeyError("public"))?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError("public"))
    }

    /// Whether a signature as records have it is this key's, over this statement.
    pub(super) fn verifies(&self, statement: &[u8], signature: &str) -> bool {
        let decoded = signature.strip_prefix(SCHEME).and_then(|text| STANDARD.decode(text).ok());
        let signature = decoded.and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| self.0.verify_strict(statement, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    /// Hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hash(self.0.to_bytes()).fmt(f)
    }
}

fn key_bytes(text: &str, prefix: &[u8]) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Some(Hash(bytes)) = Hash::parse(text.to_ascii_lowercase().as_bytes()) {
        return Some(bytes);
    }
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let decoded = STANDARD.decode(body.trim()).ok()?;
    let bytes = if text.starts_with("-----") { decoded.strip_prefix(prefix)? } else { &decoded };
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`.
    const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIOrMPIMFwyfKIBJE4YmOWmOuRiRLbrKxo1taRkoMrzbS\n-----END PRIVATE KEY-----\n";
    const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAP+JduembMLFR+TvlKjn/VQ16OIlHjhZ6C/oGcAqXoJk=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        let signer = Signer::parse(PRIVATE_PEM).unwrap();
        assert_eq!(PublicKey::parse(PUBLIC_PEM).unwrap(), signer.public());
        let hex = signer.public().to_string();
        assert_eq!(PublicKey::parse(&hex.to_uppercase()).unwrap(), signer.public());
        let base64 = STANDARD.encode([7; 32]);
        let same = Signer::parse(&"07".repeat(32)).unwrap();
        assert_eq!(Signer::parse(&base64).unwrap().public(), same.public());
        for wrong in ["", "07", PUBLIC_PEM, "-----BEGIN PRIVATE KEY-----\n", &"zz".repeat(32)] {
            assert!(Signer::parse(wrong).is_err(), "{wrong}");
        }
        assert!(PublicKey::parse(PRIVATE_PEM).is_err());
    }

    #[test]
    fn signatures_hold_for_their_statement_alone() {
        let signer = Signer::parse(&"07".repeat(32)).unwrap();
        let signature = signer.sign(b"one");
        assert!(signer.public().verifies(b"one", &signature));
        assert!(!signer.public().verifies(b"two", &signature));
        assert!(!signer.public().verifies(b"one", signature.trim_start_matches("ed25519:")));
        let other = Signer::parse(&"08".repeat(32)).unwrap();
        assert!(!other.public().verifies(b"one", &signature));
        assert!(!format!("{signer:?}").contains(&"07".repeat(32)));
    }
}
