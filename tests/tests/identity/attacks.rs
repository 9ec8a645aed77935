//! What a verifier refuses: RFC 8725 and RFC 9700, one test each.

use mxcp_runtime::auth::jose::registered::MAX_CLOCK_SKEW_S;
use mxcp_runtime::auth::verifier::Refused;
use mxcp_tests::identity::signer::{Signer, encode};
use serde_json::{Value, json};

use super::world::{AUDIENCE, CLIENT, World, with, world};

/// One test for each line: the token that is made there is refused for a reason that says so, and
/// the provider is asked nothing about it.
macro_rules! refused {
    ($( $name:ident: |$world:ident| $token:expr => $reason:expr; )+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let $world = world().await;
                let token: String = $token;
                let outcome = $world.verify(&token).await;
                $world.refused(outcome, $reason);
                assert_eq!($world.server.count("/introspect"), 0, "no token that looks signed");
                assert_eq!($world.server.count("/userinfo"), 0);
            }
        )+
    };
}

fn changed(world: &World, changes: &Value) -> String {
    world.signer.token(&world.claims_with(changes))
}

/// A token with another header, signed rightly all the same.
fn headed(world: &World, changes: &Value) -> String {
    let mut header = world.signer.header();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value.clone(),
        }
    }
    world.signer.sign(&header.to_string(), &world.claims().to_string())
}

fn raw(world: &World, payload: &str) -> String {
    world.signer.sign(&world.signer.header().to_string(), payload)
}

/// The payload of good claims with more text within the object.
fn with_text(world: &World, text: &str) -> String {
    let claims = world.claims().to_string();
    raw(world, &format!("{},{text}}}", claims.trim_end_matches('}')))
}

/// A token signed with HMAC, as somebody who knows the public key alone can.
fn hmac(algorithm: &str, kid: &str, claims: &Value, secret: &[u8]) -> String {
    let header = json!({ "alg": algorithm, "kid": kid, "typ": "at+jwt" }).to_string();
    let message =
        format!("{}.{}", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let tag = ring::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encode(tag.as_ref()))
}

#[tokio::test]
async fn a_good_token_is_accepted() {
    let world = world().await;
    let verified = world.verify(&world.signer.token(&world.claims())).await.unwrap();
    assert_eq!(verified.person.user_id, "person-1");
    assert_eq!(verified.person.provider, "acme");
    assert_eq!(*verified.issuer, *world.server.base);
    assert_eq!(verified.client.as_deref(), Some("agent"));
    assert_eq!(verified.scopes, ["read", "write"]);
    assert!(verified.person.claims.text().contains("\"role\":\"nurse\""));
    assert_eq!(world.server.count("/introspect") + world.server.count("/userinfo"), 0);
}

#[tokio::test]
async fn types_of_access_tokens_are_accepted() {
    let world = world().await;
    for typ in
        [json!(null), json!("JWT"), json!("jwt"), json!("application/at+jwt"), json!("AT+JWT")]
    {
        world.verify(&headed(&world, &json!({ "typ": typ }))).await.unwrap();
    }
}

#[tokio::test]
async fn an_audience_among_others_is_enough() {
    let world = world().await;
    let token = changed(&world, &json!({ "aud": ["https://other.example", AUDIENCE] }));
    world.verify(&token).await.unwrap();
}

// RFC 8725 section 2.1, 3.1, 3.2: algorithms.
refused! {
    none: |w| format!("{}.{}.", encode(br#"{"alg":"none","typ":"at+jwt"}"#), encode(w.claims().to_string().as_bytes())) => "algorithm";
    none_in_other_letters: |w| format!("{}.{}.", encode(br#"{"alg":"nOnE"}"#), encode(w.claims().to_string().as_bytes())) => "algorithm";
    none_with_a_signature: |w| headed(&w, &json!({ "alg": "none" })) => "algorithm";
    empty_algorithm: |w| headed(&w, &json!({ "alg": "" })) => "algorithm";
    no_algorithm: |w| headed(&w, &json!({ "alg": null })) => "`alg`";
    algorithm_of_a_wrong_type: |w| headed(&w, &json!({ "alg": ["ES256"] })) => "`alg`";
    algorithm_in_lower_case: |w| headed(&w, &json!({ "alg": "es256" })) => "algorithm";
    hmac_with_the_coordinates: |w| {
        let jwk = w.signer.jwk();
        hmac("HS256", "key-1", &w.claims(), format!("{}{}", jwk["x"], jwk["y"]).as_bytes())
    } => "algorithm";
    hmac_with_the_whole_key: |w| hmac("HS256", "key-1", &w.claims(), w.signer.jwk().to_string().as_bytes()) => "algorithm";
    hmac_with_an_empty_secret: |w| hmac("HS256", "key-1", &w.claims(), b"") => "algorithm";
    hmac_with_our_secret: |w| hmac("HS256", "key-1", &w.claims(), super::world::SECRET.as_bytes()) => "algorithm";
    algorithm_of_another_key_type: |w| headed(&w, &json!({ "alg": "RS256" })) => "no key";
    algorithm_of_another_curve: |w| headed(&w, &json!({ "alg": "ES384" })) => "no key";
    algorithm_of_edwards: |w| headed(&w, &json!({ "alg": "EdDSA" })) => "no key";
    algorithm_of_a_weak_digest: |w| headed(&w, &json!({ "alg": "RS1" })) => "algorithm";
}

#[tokio::test]
async fn a_published_shared_secret_is_no_key() {
    let world = world().await;
    let secret = encode(b"0123456789abcdef0123456789abcdef");
    world.set(|says| {
        says.keys.push(json!({ "kty": "oct", "kid": "oct-1", "alg": "HS256", "k": secret }));
    });
    let token = hmac("HS256", "oct-1", &world.claims(), b"0123456789abcdef0123456789abcdef");
    let outcome = world.verify(&token).await;
    world.refused(outcome, "algorithm");
}

// RFC 8725 section 3.3, 3.10; RFC 7515 section 4.1: keys that a token brings or points at.
refused! {
    embedded_key: |w| {
        let mallory = Signer::new("key-1", "ES256");
        let mut header = mallory.header();
        header["jwk"] = mallory.jwk();
        mallory.sign(&header.to_string(), &w.claims().to_string())
    } => "`jwk`";
    embedded_key_beside_a_right_signature: |w| headed(&w, &json!({ "jwk": w.signer.jwk() })) => "`jwk`";
    key_set_url: |w| headed(&w, &json!({ "jku": format!("{}/evil", w.server.base) })) => "`jku`";
    certificate_url: |w| headed(&w, &json!({ "x5u": "https://evil.example/c.pem" })) => "`x5u`";
    certificate_chain: |w| headed(&w, &json!({ "x5c": ["MIIB"] })) => "`x5c`";
    unknown_critical: |w| headed(&w, &json!({ "crit": ["exp2"], "exp2": 1 })) => "`crit`";
    empty_critical: |w| headed(&w, &json!({ "crit": [] })) => "`crit`";
    critical_of_a_wrong_type: |w| headed(&w, &json!({ "crit": "b64" })) => "`crit`";
    unencoded_payload: |w| headed(&w, &json!({ "b64": false, "crit": ["b64"] })) => "`crit`";
    unencoded_payload_uncritical: |w| headed(&w, &json!({ "b64": false })) => "`crit`";
}

// Names of keys.
refused! {
    kid_of_nobody: |w| headed(&w, &json!({ "kid": "key-2" })) => "no key";
    kid_with_a_path: |w| headed(&w, &json!({ "kid": "../../../dev/null" })) => "no key";
    kid_with_sql: |w| headed(&w, &json!({ "kid": "x' UNION SELECT 'key-1" })) => "no key";
    kid_with_a_url: |w| headed(&w, &json!({ "kid": format!("{}/evil", w.server.base) })) => "no key";
    kid_with_a_zero: |w| headed(&w, &json!({ "kid": "key-1\u{0}" })) => "no key";
    kid_in_other_letters: |w| headed(&w, &json!({ "kid": "KEY-1" })) => "no key";
    kid_empty: |w| headed(&w, &json!({ "kid": "" })) => "no key";
    kid_of_a_wrong_type: |w| headed(&w, &json!({ "kid": 1 })) => "`kid`";
    kid_without_end: |w| headed(&w, &json!({ "kid": "k".repeat(257) })) => "`kid`";
    kid_of_us_signed_by_others: |w| Signer::new("key-1", "ES256").token(&w.claims()) => "signature";
}

// The form of tokens.
refused! {
    altered_claims: |w| {
        let token = w.signer.token(&w.claims());
        let (head, rest) = token.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let claims = w.claims_with(&json!({ "role": "admin" })).to_string();
        format!("{head}.{}.{signature}", encode(claims.as_bytes()))
    } => "signature";
    altered_header: |w| {
        let token = w.signer.token(&w.claims());
        let (_, rest) = token.split_once('.').unwrap();
        format!("{}.{rest}", encode(br#"{"alg":"ES256","kid":"key-1"}"#))
    } => "signature";
    no_signature: |w| {
        let token = w.signer.token(&w.claims());
        token[..=token.rfind('.').unwrap()].to_owned()
    } => "signature";
    zero_signature: |w| {
        let token = w.signer.token(&w.claims());
        format!("{}{}", &token[..=token.rfind('.').unwrap()], encode(&[0; 64]))
    } => "signature";
    signature_in_der: |w| {
        let token = w.signer.token(&w.claims());
        format!("{}{}", &token[..=token.rfind('.').unwrap()], encode(&[0x30, 6, 2, 1, 1, 2, 1, 1]))
    } => "signature";
    two_parts: |w| {
        let token = w.signer.token(&w.claims());
        token[..token.rfind('.').unwrap()].to_owned()
    } => "three parts";
    four_parts: |w| format!("{}.", w.signer.token(&w.claims())) => "three parts";
    five_parts: |w| format!("{}.AA.AA", w.signer.token(&w.claims())) => "encrypted";
    padded: |w| {
        let token = w.signer.token(&w.claims_with(&json!({ "pad": "" })));
        format!("{token}==")
    } => "three parts";
    trailing_bits: |w| {
        let token = w.signer.token(&w.claims());
        // 64 bytes end in a character with four bits that must be zero.
        let last = token.chars().last().unwrap();
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap() + 1;
        format!("{}{}", &token[..token.len() - 1], &alphabet[at..=at])
    } => "three parts";
    white_space_before_the_header: |w| w.signer.sign(&format!("\n {}", json!({ "alg": "none" })), "{}") => "algorithm";
    too_long: |w| changed(&w, &json!({ "pad": "x".repeat(16 << 10) })) => "bearer token";
    duplicate_claims: |w| with_text(&w, r#""role":"admin""#) => "claims";
    duplicate_claims_escaped: |w| with_text(&w, r#""\u0072ole":"admin""#) => "claims";
    duplicate_deep_within: |w| with_text(&w, r#""a":{"b":{"c":1,"c":2}}"#) => "claims";
    duplicate_header: |w| w.signer.sign(r#"{"alg":"ES256","kid":"key-2","kid":"key-1"}"#, &w.claims().to_string()) => "header";
    claims_nested_deeply: |w| with_text(&w, &format!(r#""a":{}{}"#, "[".repeat(40), "]".repeat(40))) => "claims";
    claims_that_are_a_list: |w| raw(&w, "[]") => "claims";
    claims_that_are_a_string: |w| raw(&w, "\"admin\"") => "claims";
    claims_that_are_nothing: |w| raw(&w, "") => "claims";
    claims_with_text_behind: |w| raw(&w, &format!("{}{{}}", w.claims())) => "claims";
    claims_with_half_a_pair: |w| with_text(&w, r#""a":"\ud800""#) => "claims";
}

// Registered claims.
refused! {
    issuer_of_others: |w| changed(&w, &json!({ "iss": "https://evil.example" })) => "another issuer";
    issuer_with_a_slash: |w| changed(&w, &json!({ "iss": format!("{}/", w.server.base) })) => "another issuer";
    issuer_in_capitals: |w| changed(&w, &json!({ "iss": w.server.base.to_uppercase() })) => "another issuer";
    issuer_absent: |w| changed(&w, &json!({ "iss": null })) => "`iss`";
    issuer_list: |w| changed(&w, &json!({ "iss": [w.server.base] })) => "`iss`";
    issuer_object: |w| changed(&w, &json!({ "iss": { "eq": w.server.base } })) => "`iss`";
    audience_absent: |w| changed(&w, &json!({ "aud": null })) => "`aud`";
    audience_of_others: |w| changed(&w, &json!({ "aud": "https://other.example" })) => "not for this server";
    audience_prefix: |w| changed(&w, &json!({ "aud": format!("{AUDIENCE}.evil.example") })) => "not for this server";
    audience_with_a_slash: |w| changed(&w, &json!({ "aud": format!("{AUDIENCE}/") })) => "not for this server";
    audience_words: |w| changed(&w, &json!({ "aud": format!("{AUDIENCE} x") })) => "not for this server";
    audience_empty_list: |w| changed(&w, &json!({ "aud": [] })) => "`aud`";
    audience_list_of_lists: |w| changed(&w, &json!({ "aud": [[AUDIENCE]] })) => "`aud`";
    audience_object: |w| changed(&w, &json!({ "aud": { AUDIENCE: true } })) => "`aud`";
    audience_number: |w| changed(&w, &json!({ "aud": 0 })) => "`aud`";
    audience_boolean: |w| changed(&w, &json!({ "aud": true })) => "`aud`";
    expiry_absent: |w| changed(&w, &json!({ "exp": null })) => "`exp`";
    expiry_string: |w| changed(&w, &json!({ "exp": "9999999999" })) => "`exp`";
    expiry_boolean: |w| changed(&w, &json!({ "exp": true })) => "`exp`";
    expiry_list: |w| changed(&w, &json!({ "exp": [9_999_999_999_u64] })) => "`exp`";
    expiry_never: |w| changed(&w, &json!({ "exp": 1e300 })) => "`exp`";
    expiry_negative: |w| changed(&w, &json!({ "exp": -1 })) => "`exp`";
    expired: |w| changed(&w, &json!({ "exp": w.clock.now_s() - MAX_CLOCK_SKEW_S - 1 })) => "expired";
    not_before: |w| changed(&w, &json!({ "nbf": w.clock.now_s() + MAX_CLOCK_SKEW_S + 30 })) => "not valid yet";
    not_before_string: |w| changed(&w, &json!({ "nbf": "0" })) => "`nbf`";
    issued_in_the_future: |w| changed(&w, &json!({ "iat": w.clock.now_s() + 3_600 })) => "not valid yet";
    subject_absent: |w| changed(&w, &json!({ "sub": null })) => "`sub`";
    subject_number: |w| changed(&w, &json!({ "sub": 1 })) => "`sub`";
    subject_empty: |w| changed(&w, &json!({ "sub": "" })) => "`sub`";
    subject_list: |w| changed(&w, &json!({ "sub": ["person-1"] })) => "`sub`";
    scope_list: |w| changed(&w, &json!({ "scope": ["read"] })) => "`scope`";
    scp_object: |w| changed(&w, &json!({ "scope": null, "scp": {} })) => "`scp`";
    client_number: |w| changed(&w, &json!({ "client_id": 1 })) => "`client_id`";
}

// RFC 8725 section 2.7, 2.8, 3.11, 3.12: tokens of other kinds by the same keys.
refused! {
    logout_token: |w| headed(&w, &json!({ "typ": "logout+jwt" })) => "no access token";
    security_event: |w| headed(&w, &json!({ "typ": "secevent+jwt" })) => "no access token";
    proof_of_possession: |w| headed(&w, &json!({ "typ": "dpop+jwt" })) => "no access token";
    type_of_a_wrong_type: |w| headed(&w, &json!({ "typ": ["at+jwt"] })) => "`typ`";
    id_token: |w| {
        let claims = w.claims_with(&json!({ "aud": CLIENT, "nonce": "n" }));
        w.signer.sign(&json!({ "alg": "ES256", "kid": "key-1" }).to_string(), &claims.to_string())
    } => "ID token";
    id_token_that_is_for_us_too: |w| {
        let claims = w.claims_with(&json!({ "aud": [CLIENT, AUDIENCE] }));
        w.signer.sign(&json!({ "alg": "ES256", "kid": "key-1" }).to_string(), &claims.to_string())
    } => "ID token";
    id_token_by_its_hash: |w| {
        let claims = w.claims_with(&json!({ "at_hash": "x" }));
        w.signer.sign(&json!({ "alg": "ES256", "kid": "key-1" }).to_string(), &claims.to_string())
    } => "no access token";
    events: |w| {
        let claims = w.claims_with(&json!({ "events": {} }));
        w.signer.sign(&json!({ "alg": "ES256", "kid": "key-1" }).to_string(), &claims.to_string())
    } => "no access token";
    refresh_token_of_keycloak: |w| {
        let claims = w.claims_with(&json!({ "typ": "Refresh" }));
        w.signer.sign(&json!({ "alg": "ES256", "kid": "key-1", "typ": "JWT" }).to_string(), &claims.to_string())
    } => "no access token";
    bound_to_a_key: |w| changed(&w, &json!({ "cnf": { "jkt": "x" } })) => "bound to a key";
}

#[tokio::test]
async fn for_our_client_and_an_access_token_all_the_same() {
    let mut demands = super::world::demands();
    demands.client_id = AUDIENCE.into();
    let world = with(demands).await;
    // `typ` is `at+jwt`, so it is no ID token though it is for our client.
    world.verify(&world.signer.token(&world.claims())).await.unwrap();
    let outcome = world.verify(&headed(&world, &json!({ "typ": "JWT" }))).await;
    world.refused(outcome, "ID token");
}

#[tokio::test]
async fn a_null_is_no_absence() {
    let world = world().await;
    for name in ["exp", "nbf", "iat", "aud", "iss", "sub", "scope"] {
        let mut claims = world.claims();
        claims[name] = Value::Null;
        let outcome = world.verify(&world.signer.token(&claims)).await;
        world.refused(outcome, &format!("`{name}`"));
    }
}

#[tokio::test]
async fn the_skew_of_clocks_has_a_limit() {
    let world = world().await;
    let token = world.signer.token(&world.claims());
    world.clock.advance(300 + MAX_CLOCK_SKEW_S - 5);
    let verified = world.verify(&token).await.unwrap();
    assert!(verified.expires_at > world.clock.now_s());
    world.clock.advance(10);
    let outcome = world.verify(&token).await;
    world.refused(outcome, "expired");

    let early = super::world::world().await;
    let token = early.signer.token(&early.claims());
    early.clock.advance(5 - MAX_CLOCK_SKEW_S);
    early.verify(&token).await.unwrap();
    early.clock.advance(-60);
    let outcome = early.verify(&token).await;
    early.refused(outcome, "not valid yet");
}

#[tokio::test]
async fn what_is_no_bearer_token() {
    let world = world().await;
    for token in ["", " ", "a b", "a\nb", "ä", "a,b", "\u{0}"] {
        let outcome = world.verify(token).await;
        world.refused(outcome, "bearer token");
    }
    assert!(world.server.seen().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn refusals_say_nothing_of_the_token() {
    let world = world().await;
    let token = changed(&world, &json!({ "iss": "https://secret.example", "role": "secret" }));
    let Err(Refused::Invalid(text)) = world.verify(&token).await else { panic!("accepted") };
    assert!(!text.contains("secret"), "{text}");
}
