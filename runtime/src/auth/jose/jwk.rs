//! Public keys as providers publish them: JSON Web Key Sets (RFC 7517).

use ring::signature::{RsaPublicKeyComponents, UnparsedPublicKey};

use super::algorithm::{Algorithm, KeyType};
use super::{Header, MAX_KID_BYTES, decode};
use crate::json::Json;

/// Keys of a set; more are not looked at.
pub const MAX_KEYS: usize = 64;
/// Bytes of a modulus: 8192 bits.
const MAX_MODULUS_BYTES: usize = 1_024;
/// Bytes of a modulus: 2048 bits.
const MIN_MODULUS_BYTES: usize = 256;

/// A public key for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    kid: Option<String>,
    /// the only algorithm it is for, if it says so
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// P-256 and P-384: the uncompressed point
    Point(KeyType, Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The keys of a provider that can be used here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

/// A document that is no key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It has no `keys`.
    #[error("the key set has no list `keys`")]
    NoKeys,
    /// It has more keys than anyone needs.
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a key set. Keys of other types, for other uses, or malformed are not in it: providers
    /// publish keys that only others understand.
    ///
    /// # Errors
    /// When it is no key set at all, or has too many keys.
    pub fn parse(json: &Json<'_>) -> Result<Self, KeySetError> {
        let Some(Json::Array(keys)) = json.get("keys") else { return Err(KeySetError::NoKeys) };
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooMany);
        }
        Ok(Self { keys: keys.iter().filter_map(Jwk::parse).collect() })
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key has that name, of whatever type.
    pub fn has_name(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The keys that may have signed a token with this header: those that bear the name it gives,
    /// or all when it gives none, as far as their type suits the algorithm.
    pub fn fitting<'k>(&'k self, header: &'k Header) -> impl Iterator<Item = &'k Jwk> {
        self.keys.iter().filter(|key| {
            let named = header.kid.is_none() || key.kid == header.kid;
            named && key.suits(header.algorithm)
        })
    }
}

impl Jwk {
    fn parse(json: &Json<'_>) -> Option<Self> {
        // A set that holds a private or secret key is a mishap; nobody should trust that key now.
        if ["d", "p", "q", "k"].iter().any(|name| json.get(name).is_some()) {
            return None;
        }
        let text = |name: &str| match json.get(name) {
            None => Some(None),
            Some(Json::String(text)) => Some(Some(&**text)),
            Some(_) => None,
        };
        let bytes = |name: &str| decode(text(name)??);
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return None;
        }
        match json.get("key_ops") {
            None => {}
            Some(Json::Array(operations)) => {
                operations.iter().find(|operation| operation.as_str() == Some("verify"))?;
            }
            Some(_) => return None,
        }
        let algorithm = match text("alg")? {
            None => None,
            Some(name) => Some(Algorithm::named(name)?),
        };
        let kid = text("kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return None;
        }
        let material = match (text("kty")??, text("crv")?) {
            ("RSA", _) => Material::rsa(bytes("n")?, bytes("e")?)?,
            ("EC", Some("P-256")) => Material::point(KeyType::P256, 32, bytes("x")?, bytes("y")?)?,
            ("EC", Some("P-384")) => Material::point(KeyType::P384, 48, bytes("x")?, bytes("y")?)?,
            ("OKP", Some("Ed25519")) => {
                Material::Ed25519(bytes("x").filter(|key| key.len() == 32)?)
            }
            _ => return None,
        };
        let key = Self { kid, algorithm: None, material };
        if algorithm.is_some_and(|algorithm| !key.suits(algorithm)) {
            return None;
        }
        Some(Self { algorithm, ..key })
    }

    /// Whether it may be used with an algorithm.
    fn suits(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm)
            && self.material.key_type() == algorithm.key_type()
    }

    /// Whether a signature of a message is of this key.
    pub fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.suits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa { modulus, exponent } => algorithm.rsa().is_some_and(|parameters| {
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .verify(parameters, message, signature)
                    .is_ok()
            }),
            Material::Point(_, key) | Material::Ed25519(key) => {
                algorithm.curve().is_some_and(|curve| {
                    UnparsedPublicKey::new(curve, key).verify(message, signature).is_ok()
                })
            }
        }
    }
}

impl Material {
    fn rsa(mut modulus: Vec<u8>, mut exponent: Vec<u8>) -> Option<Self> {
        // Some publish a leading zero, as DER writes positive numbers; the number is the same.
        for number in [&mut modulus, &mut exponent] {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number.drain(..zeros);
        }
        let is_odd = exponent.last().is_some_and(|byte| byte & 1 == 1) && exponent != [1];
        let length = MIN_MODULUS_BYTES..=MAX_MODULUS_BYTES;
        (is_odd && exponent.len() <= 4 && length.contains(&modulus.len()))
            .then_some(Self::Rsa { modulus, exponent })
    }

    fn point(key_type: KeyType, length: usize, x: Vec<u8>, y: Vec<u8>) -> Option<Self> {
        // RFC 7518 section 6.2.1.2: coordinates have the full length of the curve.
        if x.len() != length || y.len() != length {
            return None;
        }
        let mut point = Vec::with_capacity(1 + 2 * length);
        point.push(4);
        point.extend(x);
        point.extend(y);
        Some(Self::Point(key_type, point))
    }

    const fn key_type(&self) -> KeyType {
        match self {
            Self::Rsa { .. } => KeyType::Rsa,
            Self::Point(key_type, _) => *key_type,
            Self::Ed25519(_) => KeyType::Ed25519,
        }
    }
}
