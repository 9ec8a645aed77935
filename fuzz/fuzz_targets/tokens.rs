//! Any text as a token: nobody signed it, so nothing comes of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_runtime::auth::claims::Claims;
use mxcp_runtime::auth::jose::jwk::KeySet;
use mxcp_runtime::auth::jose::registered::Registered;
use mxcp_runtime::auth::jose::{Compact, looks_like_jwt};
use mxcp_runtime::json;

/// A public key whose private half nobody kept.
const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

fuzz_target!(|text: &str| {
    let _ = looks_like_jwt(text);
    if let Ok(token) = Compact::parse(text) {
        let keys = json::parse(KEYS.as_bytes()).map(|json| KeySet::parse(&json));
        if let Ok(Ok(keys)) = keys {
            assert!(token.verified(&keys).is_err());
        }
    }
    if let Ok(claims) = Claims::parse(text) {
        let _ = Registered::read(&claims).map(|registered| registered.check_times(0));
    }
});
