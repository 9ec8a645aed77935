//! Signatures: the vectors of Project Wycheproof for every algorithm, and its cases for JSON Web
//! Signatures with keys of our own.

use mxcp_runtime::auth::jose::algorithm::Algorithm;
use mxcp_runtime::auth::jose::jwk::KeySet;
use mxcp_runtime::auth::jose::{Compact, Header, JoseError};
use mxcp_runtime::json;
use mxcp_tests::identity::signer::{Signer, encode};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

const ALL: [&str; 9] =
    ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

fn key_set(jwk: &Value) -> KeySet {
    let text = json!({ "keys": [jwk] }).to_string();
    KeySet::parse(&json::parse(text.as_bytes()).unwrap()).unwrap()
}

/// Whether the one key of a set signed a message.
fn has_signed(keys: &KeySet, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let header = Header { algorithm, kid: None, typ: None };
    keys.fitting(&header).any(|key| key.has_signed(algorithm, message, signature))
}

/// Runs vectors; returns how many said valid and how many invalid.
struct Tally {
    valid: usize,
    invalid: usize,
}

impl Tally {
    fn judge(&mut self, what: &str, expected: TestResult, accepted: bool) {
        match expected {
            TestResult::Valid => {
                assert!(accepted, "{what} is valid");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepted, "{what} is invalid");
                self.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
    }
}

#[test]
fn wycheproof_ecdsa() {
    for (name, curve, algorithm, size) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256", Algorithm::Es256, 32),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384", Algorithm::Es384, 48),
    ] {
        let mut tally = Tally { valid: 0, invalid: 0 };
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let (x, y) = group.key.key[1..].split_at(size);
            let jwk = json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) });
            let keys = key_set(&jwk);
            assert_eq!(keys.len(), 1);
            for test in group.tests {
                let accepted = has_signed(&keys, algorithm, &test.msg, &test.sig);
                tally.judge(
                    &format!("{curve} {}: {}", test.tc_id, test.comment),
                    test.result,
                    accepted,
                );
            }
        }
        assert!(tally.valid > 50 && tally.invalid > 50, "{} {}", tally.valid, tally.invalid);
    }
}

#[test]
fn wycheproof_ed25519() {
    let mut tally = Tally { valid: 0, invalid: 0 };
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let keys = key_set(&json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) }));
        for test in group.tests {
            let accepted = has_signed(&keys, Algorithm::EdDsa, &test.msg, &test.sig);
            tally.judge(&format!("{}: {}", test.tc_id, test.comment), test.result, accepted);
        }
    }
    assert!(tally.valid > 50 && tally.invalid > 30, "{} {}", tally.valid, tally.invalid);
}

#[test]
fn wycheproof_rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::{Rsa2048Sha256, Rsa2048Sha384, Rsa2048Sha512, Rsa4096Sha512};
    for (name, algorithm) in [
        (Rsa2048Sha256, Algorithm::Rs256),
        (Rsa2048Sha384, Algorithm::Rs384),
        (Rsa2048Sha512, Algorithm::Rs512),
        (Rsa4096Sha512, Algorithm::Rs512),
    ] {
        let mut tally = Tally { valid: 0, invalid: 0 };
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let jwk = json!({ "kty": "RSA", "n": encode(&group.key.n), "e": encode(&group.key.e) });
            let keys = key_set(&jwk);
            for test in group.tests {
                let accepted = has_signed(&keys, algorithm, &test.msg, &test.sig);
                // Small exponents are refused before any signature is looked at; 3 is allowed.
                tally.judge(&format!("{}: {}", test.tc_id, test.comment), test.result, accepted);
            }
        }
        assert!(tally.valid > 5 && tally.invalid > 100, "{} {}", tally.valid, tally.invalid);
    }
}

#[test]
fn wycheproof_rsa_pss() {
    use rsa_pss_verify::TestName as Name;
    for (name, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ] {
        let mut tally = Tally { valid: 0, invalid: 0 };
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let jwk = json!({ "kty": "RSA", "n": encode(&group.key.n), "e": encode(&group.key.e) });
            let keys = key_set(&jwk);
            for test in group.tests {
                let accepted = has_signed(&keys, algorithm, &test.msg, &test.sig);
                tally.judge(&format!("{}: {}", test.tc_id, test.comment), test.result, accepted);
            }
        }
        assert!(tally.valid > 20 && tally.invalid > 20, "{} {}", tally.valid, tally.invalid);
    }
    // Salts of another length than the digest's are not what RFC 7518 section 3.5 has.
    let set = rsa_pss_verify::TestSet::load(Name::RsaPss2048Sha256Mgf1SaltLen0).unwrap();
    for group in set.test_groups {
        let jwk = json!({ "kty": "RSA", "n": encode(&group.key.n), "e": encode(&group.key.e) });
        let keys = key_set(&jwk);
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            assert!(!has_signed(&keys, Algorithm::Ps256, &test.msg, &test.sig));
        }
    }
}

/// The cases of `json_web_signature`, for every algorithm.
#[test]
fn cases_of_json_web_signatures() {
    for name in ALL {
        let signer = Signer::new("kid-1", name);
        let keys = key_set(&signer.jwk());
        let good = signer.token(&json!({ "a": 1 }));
        let read = |token: &str| Compact::parse(token).and_then(|token| token.verified(&keys));
        read(&good).unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        let (header, payload, signature) = (parts[0], parts[1], parts[2]);
        let other_header = encode(br#"{"alg":"HS256","kid":"kid-1"}"#);
        let other_kid = encode(json!({ "alg": name, "kid": "kid-2" }).to_string().as_bytes());
        let none = encode(br#"{"alg":"none","kid":"kid-1"}"#);
        for bad in [
            format!("{header}.{payload}.{}", flipped(signature)),
            format!("{header}.{payload}."),
            format!("{header}.{payload}"),
            format!("{header}.{}.{signature}", flipped(payload)),
            format!("{header}..{signature}"),
            format!("{header}.{signature}"),
            format!("{other_header}.{payload}.{signature}"),
            format!("{other_kid}.{payload}.{signature}"),
            format!(".{payload}.{signature}"),
            format!("{payload}.{signature}"),
            format!(".{payload}."),
            payload.to_owned(),
            String::new(),
            format!("{good}."),
            format!("{good}.foo"),
            format!("{none}.{payload}."),
            format!("{none}.{payload}.{signature}"),
            json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] })
                .to_string(),
            json!({ "payload": payload, "protected": header, "signature": signature }).to_string(),
        ] {
            assert!(read(&bad).is_err(), "{name}: {bad}");
        }
    }
}

/// A key says what it is for; nothing else of its type is done with it.
#[test]
fn keys_and_primitives_do_not_mix() {
    for key_algorithm in ALL {
        let owner = Signer::new("kid-1", key_algorithm);
        let keys = key_set(&owner.jwk());
        for algorithm in ALL {
            let signer = Signer::new("kid-1", algorithm);
            let header = json!({ "alg": algorithm, "kid": "kid-1" }).to_string();
            // RSA keys are all one, so only what the key says can tell these apart.
            let token = signer.sign(&header, "{}");
            let accepted = Compact::parse(&token).and_then(|token| token.verified(&keys)).is_ok();
            let same_key = owner.jwk()["n"].is_string() && algorithm == key_algorithm;
            assert_eq!(accepted, same_key, "{algorithm} with a key for {key_algorithm}");
        }
    }
}

#[test]
fn a_key_that_says_nothing_is_for_all_of_its_type() {
    for algorithm in ALL {
        let signer = Signer::new("kid-1", algorithm);
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().remove("alg");
        let keys = key_set(&jwk);
        Compact::parse(&signer.token(&json!({}))).unwrap().verified(&keys).unwrap();
    }
}

/// With another first character.
fn flipped(part: &str) -> String {
    let first = if part.starts_with('A') { 'B' } else { 'A' };
    format!("{first}{}", &part[1..])
}

/// What Project Wycheproof says is valid and is refused here: shared secrets and P-521, which nothing
/// accepts, and a token whose algorithm is another one than its key says.
fn is_refused_on_purpose(key: &Value, token: &str) -> bool {
    let alg = |text: &str| {
        let header = mxcp_runtime::auth::jose::decode(text.split('.').next()?)?;
        let header: Value = serde_json::from_slice(&header).ok()?;
        Some(header["alg"].as_str()?.to_owned())
    };
    key["kty"] == "oct"
        || key["crv"] == "P-521"
        || alg(token).is_none_or(|alg| key["alg"].as_str().is_some_and(|only| only != alg))
}

#[test]
#[ignore = "MXCP_WYCHEPROOF names a clone of github.com/C2SP/wycheproof"]
fn wycheproof_json_web_signature() {
    let folder = std::env::var("MXCP_WYCHEPROOF").expect("the folder of the vectors");
    let file = std::path::Path::new(&folder).join("testvectors_v1/json_web_signature_test.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut tally = Tally { valid: 0, invalid: 0 };
    let mut refused = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        // Shared secrets have no public half, and a set that holds a secret holds no key.
        let key = group.get("public").unwrap_or(&group["private"]);
        let keys = key_set(key);
        for test in group["tests"].as_array().unwrap() {
            let token = test["jws"].as_str().unwrap();
            let what = format!("{} {}", test["tcId"], test["comment"]);
            let read = Compact::parse(token);
            let accepted = match read.as_ref().map(|token| token.verified(&keys)) {
                Err(_) | Ok(Err(JoseError::NoKey | JoseError::Signature)) => false,
                // What is signed is no claims, which is looked at when the signature is right.
                Ok(Ok(_) | Err(JoseError::Claims(_) | JoseError::Form)) => true,
                Ok(Err(other)) => panic!("{what}: {other}"),
            };
            if test["result"] == "valid" && is_refused_on_purpose(key, token) {
                assert!(!accepted, "{what} is not for us");
                refused += 1;
                continue;
            }
            let expected = match test["result"].as_str() {
                Some("valid") => TestResult::Valid,
                Some("invalid") => TestResult::Invalid,
                _ => TestResult::Acceptable,
            };
            tally.judge(&what, expected, accepted);
        }
    }
    // Those of the commit that the nightly job takes.
    assert_eq!((tally.valid, tally.invalid, refused), (32, 355, 14));
}
