//! Keys that sign tokens, good ones and bad ones.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

/// An RSA key for tests, since making one takes long. It protects nothing.
const RSA_TEST_KEY: &str = include_str!("../../identity/rsa-test-key.pem");

/// A key with a name and an algorithm.
#[derive(Debug)]
pub struct Signer {
    kid: String,
    algorithm: &'static str,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Curve(&'static str, EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl Signer {
    /// A key for an algorithm of RFC 7518 or RFC 8037; a new one unless it is RSA.
    pub fn new(kid: &str, algorithm: &'static str) -> Self {
        let random = SystemRandom::new();
        let curve = |name, kind| {
            let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a new key");
            let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random);
            Pair::Curve(name, pair.expect("the key that was made"))
        };
        let pair = match algorithm {
            "ES256" => curve("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => curve("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let made = Ed25519KeyPair::generate_pkcs8(&random).expect("a new key");
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(made.as_ref()).expect("that key"))
            }
            _ => {
                let body: String = RSA_TEST_KEY.lines().filter(|l| !l.starts_with('-')).collect();
                let bytes = STANDARD.decode(body).expect("a key in PEM");
                Pair::Rsa(RsaKeyPair::from_pkcs8(&bytes).expect("an RSA key"))
            }
        };
        Self { kid: kid.to_owned(), algorithm, pair }
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The public key as a provider publishes it.
    pub fn jwk(&self) -> Value {
        let mut jwk = json!({ "kid": self.kid, "use": "sig", "alg": self.algorithm });
        match &self.pair {
            Pair::Curve(name, pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                jwk["kty"] = json!("EC");
                jwk["crv"] = json!(name);
                jwk["x"] = json!(encode(x));
                jwk["y"] = json!(encode(y));
            }
            Pair::Ed25519(pair) => {
                jwk["kty"] = json!("OKP");
                jwk["crv"] = json!("Ed25519");
                jwk["x"] = json!(encode(pair.public_key().as_ref()));
            }
            Pair::Rsa(pair) => {
                jwk["kty"] = json!("RSA");
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                jwk["n"] = json!(encode(&key.n));
                jwk["e"] = json!(encode(&key.e));
            }
        }
        jwk
    }

    /// A token with these claims and an honest header.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// The header of an access token by this key.
    pub fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.kid, "typ": "at+jwt" })
    }

    /// A token with a header and a payload that may be anything.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", encode(&signature))
    }

    /// The signature of a message.
    pub fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Curve(_, pair) => {
                pair.sign(&random, message).expect("a signature").as_ref().to_vec()
            }
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match self.algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

/// base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
