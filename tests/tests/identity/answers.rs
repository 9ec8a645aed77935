//! Properties: whatever a client or a provider sends, there is an answer and no panic.

use mxcp_runtime::auth::claims::Claims;
use mxcp_runtime::auth::jose::jwk::KeySet;
use mxcp_runtime::auth::jose::registered::Registered;
use mxcp_runtime::auth::jose::{Compact, looks_like_jwt};
use mxcp_runtime::json;
use mxcp_tests::identity::signer::{Signer, encode};
use proptest::prelude::*;
use serde_json::{Value, json};

/// JSON values of all kinds.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(member(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Names that mean something somewhere.
fn member() -> impl Strategy<Value = String> {
    let known = [
        "alg", "kid", "typ", "crit", "jwk", "iss", "sub", "aud", "exp", "nbf", "iat", "kty", "crv",
        "x", "y", "n", "e", "use", "key_ops", "keys", "scope", "cnf", "d", "k",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), ".{0,6}"]
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        let _ = looks_like_jwt(&text);
        let _ = Compact::parse(&text);
        let _ = Claims::parse(&text).map(|claims| Registered::read(&claims).is_ok());
    }

    #[test]
    fn any_three_parts_are_read_or_refused(header in any_json(), payload in any_json(), signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let token = format!("{}.{}.{}", part(&header), part(&payload), encode(&signature));
        let signer = Signer::new("k", "ES256");
        let text = json!({ "keys": [signer.jwk()] }).to_string();
        let keys = KeySet::parse(&json::parse(text.as_bytes()).unwrap()).unwrap();
        // Nobody signed it.
        if let Ok(compact) = Compact::parse(&token) {
            prop_assert!(compact.verified(&keys).is_err());
        }
    }

    #[test]
    fn any_key_set_is_read_or_refused(keys in prop::collection::vec(any_json(), 0..4)) {
        let text = json!({ "keys": keys }).to_string();
        if let Ok(json) = json::parse(text.as_bytes())
            && let Ok(set) = KeySet::parse(&json)
        {
            prop_assert!(set.len() <= keys.len());
        }
    }

    #[test]
    fn any_claims_are_read_or_refused(claims in any_json()) {
        if let Ok(claims) = Claims::parse(&claims.to_string())
            && let Ok(registered) = Registered::read(&claims)
        {
            // What is judged good has an end, and it is not long ago.
            if let Ok(over_at) = registered.check_times(1_800_000_000) {
                prop_assert!(over_at > 1_800_000_000);
            }
        }
    }

    #[test]
    fn one_changed_bit_is_noticed(at in 0_usize..400, bit in 0_u8..8) {
        let signer = Signer::new("k", "EdDSA");
        let token = signer.token(&json!({ "sub": "a", "role": "nurse" }));
        let at = at % token.len();
        let mut bytes = token.clone().into_bytes();
        bytes[at] ^= 1 << bit;
        let text = json!({ "keys": [signer.jwk()] }).to_string();
        let keys = KeySet::parse(&json::parse(text.as_bytes()).unwrap()).unwrap();
        if let Ok(changed) = String::from_utf8(bytes) {
            let read = Compact::parse(&changed).and_then(|token| token.verified(&keys));
            prop_assert!(read.is_err(), "{changed}");
        }
    }
}
