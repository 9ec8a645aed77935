//! Any bytes as what a provider publishes and answers: key sets, discovery documents, grants.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxcp_runtime::auth::claims::{Claims, Mappings};
use mxcp_runtime::auth::jose::jwk::KeySet;
use mxcp_runtime::auth::provider::{Grant, Metadata};
use mxcp_runtime::json;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(json) = json::parse(bytes) {
        let _ = KeySet::parse(&json);
        let _ = Metadata::read(&json);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Grant::from_text(text);
        if let Ok(claims) = Claims::parse(text) {
            let entry = ("a.b".to_owned(), "c".to_owned(), vec!["d".to_owned()]);
            let _ = Mappings { entries: vec![entry] }.capabilities(&claims);
            assert_eq!(claims.with(&claims), claims);
        }
    }
});
