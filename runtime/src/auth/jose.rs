//! Signed tokens: JSON Web Signature in its compact form (RFC 7515), as RFC 8725 says to read it.
//!
//! There is one way to a payload: [`Compact::verified`], with a key that came from where the
//! configuration points, under an algorithm that suits the type of that key. What a token says about
//! keys (`jku`, `x5u`, `jwk`, `x5c`) is a reason to refuse it, and so is `crit`, since nothing that
//! could stand there is understood here. Shared secrets are no keys: no HMAC, and never `none`.

pub mod algorithm;
pub mod jwk;
pub mod registered;
pub mod remote;

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use self::algorithm::Algorithm;
use self::jwk::{Jwk, KeySet};
use super::claims::{Claims, ClaimsError};
use crate::json::{self, Json, JsonError};

/// Bytes of a token.
pub const MAX_TOKEN_BYTES: usize = 16 << 10;
/// Bytes of the name of a key.
pub const MAX_KID_BYTES: usize = 256;
/// Keys that are tried for a token that names none.
pub const MAX_KEYS_TRIED: usize = 4;
/// Containers within containers of a header.
const MAX_HEADER_DEPTH: usize = 4;

/// base64url as RFC 7515 section 2 has it: no padding, and one spelling for each value.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Decodes base64url without padding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// Encodes as base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

/// Why a token is refused. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// It is longer than any token should be.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// It does not consist of three parts in base64url.
    #[error("the token is not three parts in base64url")]
    Form,
    /// It is encrypted.
    #[error("the token is encrypted")]
    Encrypted,
    /// Its header is no JSON object.
    #[error("the token's header is not acceptable JSON: {0}")]
    Header(JsonError),
    /// A member of its header has the wrong type or is not there.
    #[error("`{0}` of the token's header is missing or has the wrong type")]
    Member(&'static str),
    /// Its header names something that must be understood and is not.
    #[error("the token's header has `crit`")]
    Critical,
    /// It brings its own key, or says where one is.
    #[error("the token's header has `{0}`: a token does not choose its key")]
    BringsKey(&'static str),
    /// It is not signed, signed with a shared secret, or in a way that is not known.
    #[error("the token's algorithm is not accepted")]
    Algorithm,
    /// No key has its name, or none is of a type that suits its algorithm.
    #[error("no key of the provider fits the token")]
    NoKey,
    /// The signature is not of any key that fits.
    #[error("the signature is wrong")]
    Signature,
    /// What is signed is no JSON object.
    #[error("the token's claims are {0}")]
    Claims(#[from] ClaimsError),
}

/// What a token's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// how it is signed
    pub algorithm: Algorithm,
    /// with which key
    pub kid: Option<String>,
    /// what kind of token it is, in lower case and without `application/`
    pub typ: Option<String>,
}

/// A token whose header was read and whose signature was not yet checked.
pub struct Compact<'t> {
    /// its header
    pub header: Header,
    signed: &'t str,
    payload: &'t str,
    signature: Vec<u8>,
}

/// Its parts put together are the token.
impl fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compact").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Whether a token is meant to be a JSON Web Token, good or bad: what begins with the header of one
/// is never asked about elsewhere.
pub fn looks_like_jwt(token: &str) -> bool {
    let Some((first, _)) = token.split_once('.') else { return false };
    // Sixteen characters are whole groups of base64 and enough for the white space of a joker.
    let start = first.get(..first.len().min(16)).unwrap_or_default();
    let start = start.get(..start.len() / 4 * 4).unwrap_or_default();
    decode(start).is_some_and(|bytes| bytes.trim_ascii_start().first() == Some(&b'{'))
}

impl<'t> Compact<'t> {
    /// Reads a token up to its payload.
    ///
    /// # Errors
    /// When it is not a signed token, or one that is refused whatever its signature.
    pub fn parse(token: &'t str) -> Result<Self, JoseError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JoseError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::Form);
        };
        match parts.count() {
            0 => {}
            2 => return Err(JoseError::Encrypted),
            _ => return Err(JoseError::Form),
        }
        let signed = token.get(..header.len() + 1 + payload.len()).ok_or(JoseError::Form)?;
        let signature = decode(signature).ok_or(JoseError::Form)?;
        let header = decode(header).ok_or(JoseError::Form)?;
        Ok(Self { header: Header::parse(&header)?, signed, payload, signature })
    }

    /// The claims, if one of the keys signed them.
    ///
    /// # Errors
    /// When no key fits, the signature is not of the key that fits, or what is signed is no JSON
    /// object with each name once.
    pub fn verified(&self, keys: &KeySet) -> Result<Claims, JoseError> {
        let fitting: Vec<&Jwk> = keys.fitting(&self.header).take(MAX_KEYS_TRIED + 1).collect();
        if fitting.is_empty() || fitting.len() > MAX_KEYS_TRIED {
            return Err(JoseError::NoKey);
        }
        let message = self.signed.as_bytes();
        let is_signed =
            |key: &&Jwk| key.has_signed(self.header.algorithm, message, &self.signature);
        if !fitting.iter().any(is_signed) {
            return Err(JoseError::Signature);
        }
        let payload = decode(self.payload).ok_or(JoseError::Form)?;
        let text = std::str::from_utf8(&payload).map_err(|_| JoseError::Form)?;
        Ok(Claims::parse(text)?)
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, JoseError> {
        let json = json::parse_within(bytes, MAX_HEADER_DEPTH).map_err(JoseError::Header)?;
        if !matches!(json, Json::Object(_)) {
            return Err(JoseError::Form);
        }
        if json.get("crit").is_some() || json.get("b64").is_some() {
            return Err(JoseError::Critical);
        }
        for name in ["jku", "jwk", "x5u", "x5c"] {
            if json.get(name).is_some() {
                return Err(JoseError::BringsKey(name));
            }
        }
        let text = |name: &'static str| match json.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(&**text)),
            Some(_) => Err(JoseError::Member(name)),
        };
        let name = text("alg")?.ok_or(JoseError::Member("alg"))?;
        let algorithm = Algorithm::named(name).ok_or(JoseError::Algorithm)?;
        let kid = text("kid")?.map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return Err(JoseError::Member("kid"));
        }
        let typ = text("typ")?.map(str::to_ascii_lowercase);
        let typ = typ.map(|typ| typ.strip_prefix("application/").unwrap_or(&typ).to_owned());
        Ok(Self { algorithm, kid, typ })
    }
}
