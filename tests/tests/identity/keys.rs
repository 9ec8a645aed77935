//! Keys of a provider: rotation, floods, outages, malformed sets.

use mxcp_runtime::auth::jose::remote::{MAX_FRESH_S, MAX_STALE_S, MIN_REFETCH_S};
use mxcp_runtime::auth::verifier::Refused;
use mxcp_tests::identity::signer::Signer;
use serde_json::json;

use super::world::{World, world};

async fn good(world: &World, signer: &Signer) -> bool {
    world.verify(&signer.token(&world.claims())).await.is_ok()
}

#[tokio::test]
async fn keys_are_fetched_once() {
    let world = world().await;
    for _ in 0..20 {
        assert!(good(&world, &world.signer).await);
    }
    assert_eq!(world.server.count("/jwks"), 1);
    assert_eq!(world.server.count("/.well-known/openid-configuration"), 1);
}

#[tokio::test]
async fn a_new_key_is_found_by_its_name() {
    let world = world().await;
    assert!(good(&world, &world.signer).await);
    let new = Signer::new("key-2", "ES256");
    world.set(|says| says.keys.push(new.jwk()));
    world.clock.advance(MIN_REFETCH_S);
    assert!(good(&world, &new).await);
    assert!(good(&world, &world.signer).await);
    assert_eq!(world.server.count("/jwks"), 2);
}

#[tokio::test]
async fn a_withdrawn_key_is_no_longer_accepted() {
    let world = world().await;
    assert!(good(&world, &world.signer).await);
    let new = Signer::new("key-2", "ES256");
    world.set(|says| says.keys = vec![new.jwk()]);
    world.clock.advance(MAX_FRESH_S);
    assert!(!good(&world, &world.signer).await);
    assert!(good(&world, &new).await);
}

#[tokio::test]
async fn unknown_names_do_not_flood_the_provider() {
    let world = world().await;
    assert!(good(&world, &world.signer).await);
    for i in 0..200 {
        let stranger = Signer::new(&format!("stranger-{i}"), "EdDSA");
        assert!(!good(&world, &stranger).await);
    }
    assert_eq!(world.server.count("/jwks"), 1, "30 seconds have not passed");
    world.clock.advance(MIN_REFETCH_S);
    for i in 0..50 {
        assert!(!good(&world, &Signer::new(&format!("stranger-{i}"), "EdDSA")).await);
    }
    assert_eq!(world.server.count("/jwks"), 2);
    assert!(good(&world, &world.signer).await);
}

#[tokio::test]
async fn many_at_once_fetch_once() {
    let world = world().await;
    let tokens: Vec<String> =
        (0..50).map(|i| world.signer.token(&world.claims_with(&json!({ "n": i })))).collect();
    let all = tokens.iter().map(|token| world.verify(token));
    for outcome in futures_util::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(world.server.count("/jwks"), 1);
}

#[tokio::test]
async fn stale_keys_serve_an_hour_while_the_provider_is_down() {
    let world = world().await;
    let signer = &world.signer;
    assert!(good(&world, signer).await);
    world.set(|says| says.down = vec!["/jwks"]);
    world.clock.advance(MAX_FRESH_S + 1);
    assert!(good(&world, signer).await);
    world.clock.advance(MAX_STALE_S - MAX_FRESH_S - 10);
    // The discovery document may be old by then and is asked again; it is not what is down.
    assert!(good(&world, signer).await);
    world.clock.advance(20);
    let outcome = world.verify(&signer.token(&world.claims())).await;
    assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
    world.set(|says| says.down = Vec::new());
    world.clock.advance(MIN_REFETCH_S);
    assert!(good(&world, signer).await);
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_asked_by_every_token() {
    let world = world().await;
    world.set(|says| says.down = vec!["/jwks"]);
    for _ in 0..20 {
        let outcome = world.verify(&world.signer.token(&world.claims())).await;
        assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
    }
    assert_eq!(world.server.count("/jwks"), 1);
}

#[tokio::test]
async fn a_new_name_while_the_provider_is_down_is_not_called_bad() {
    let world = world().await;
    assert!(good(&world, &world.signer).await);
    world.set(|says| says.down = vec!["/jwks"]);
    world.clock.advance(MIN_REFETCH_S);
    let new = Signer::new("key-2", "ES256");
    let outcome = world.verify(&new.token(&world.claims())).await;
    assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn nobody_at_all_is_unavailable() {
    let world = world().await;
    world.set(|says| says.down = vec!["/.well-known/openid-configuration"]);
    for token in [world.signer.token(&world.claims()), "opaque".to_owned()] {
        let outcome = world.verify(&token).await;
        assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn malformed_keys_are_no_keys() {
    let good_key = Signer::new("key-1", "ES256");
    let change = |name: &str, value: serde_json::Value| {
        let mut jwk = good_key.jwk();
        jwk[name] = value;
        jwk
    };
    let x = good_key.jwk()["x"].as_str().unwrap().to_owned();
    for jwk in [
        change("use", json!("enc")),
        change("use", json!(1)),
        change("key_ops", json!(["sign"])),
        change("key_ops", json!("verify")),
        change("alg", json!("ES384")),
        change("alg", json!("HS256")),
        change("alg", json!(null)),
        change("kty", json!("RSA")),
        change("kty", json!(["EC"])),
        change("crv", json!("P-384")),
        change("crv", json!("secp256k1")),
        change("x", json!(format!("AA{x}"))),
        change("x", json!(format!("{x}="))),
        change("y", json!("")),
        change("y", json!(1)),
        change("d", json!("AAAA")),
        change("kid", json!(["key-1"])),
        json!("key-1"),
        json!(null),
    ] {
        let world = world().await;
        world.set(|says| says.keys = vec![jwk.clone()]);
        let outcome = world.verify(&good_key.token(&world.claims())).await;
        world.refused(outcome, "no key of the provider");
    }
}

#[tokio::test]
async fn a_point_off_the_curve_verifies_nothing() {
    let world = world().await;
    let mut jwk = world.signer.jwk();
    jwk["y"] = jwk["x"].clone();
    world.set(|says| says.keys = vec![jwk]);
    let outcome = world.verify(&world.signer.token(&world.claims())).await;
    world.refused(outcome, "signature");
}

#[tokio::test]
async fn weak_rsa_keys_are_no_keys() {
    let signer = Signer::new("rsa", "RS256");
    let strong = signer.jwk();
    let modulus = strong["n"].as_str().unwrap();
    for (n, e) in [
        (&modulus[..170], "AQAB"),
        (modulus, "AQ"),
        (modulus, "Ag"),
        (modulus, "AA"),
        (modulus, ""),
        ("", "AQAB"),
        (modulus, "AQABAQAB"),
    ] {
        let world = world().await;
        let mut jwk = strong.clone();
        jwk["n"] = json!(n);
        jwk["e"] = json!(e);
        world.set(|says| says.keys = vec![jwk]);
        let outcome = world.verify(&signer.token(&world.claims())).await;
        world.refused(outcome, "no key of the provider");
    }
}

#[tokio::test]
async fn sets_that_are_none_close() {
    for text in ["", "{}", "[]", "null", r#"{"keys": {}}"#, r#"{"keys": [], "keys": []}"#, "<html>"]
    {
        let world = world().await;
        world.set(|says| says.raw_keys = Some(text.to_owned()));
        let outcome = world.verify(&world.signer.token(&world.claims())).await;
        assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_set_that_is_too_large_closes() {
    let world = world().await;
    world.set(|says| {
        let filler = json!({ "kty": "EC", "kid": "x", "pad": "x".repeat(1 << 20) });
        says.keys.push(filler);
    });
    let outcome = world.verify(&world.signer.token(&world.claims())).await;
    assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
    let world = super::world::world().await;
    world.set(|says| says.keys = (0..65).map(|_| world.signer.jwk()).collect());
    let outcome = world.verify(&world.signer.token(&world.claims())).await;
    assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_token_without_a_name_is_tried_with_few_keys() {
    let world = world().await;
    let unnamed = |signer: &Signer| {
        let header = json!({ "alg": signer.algorithm(), "typ": "at+jwt" }).to_string();
        signer.sign(&header, &world.claims().to_string())
    };
    world.verify(&unnamed(&world.signer)).await.unwrap();
    let world2 = super::world::world().await;
    let more: Vec<Signer> = (0..5).map(|i| Signer::new(&format!("k{i}"), "ES256")).collect();
    world2.set(|says| says.keys = more.iter().map(Signer::jwk).collect());
    let header = json!({ "alg": "ES256", "typ": "at+jwt" }).to_string();
    let token = more[4].sign(&header, &world2.claims().to_string());
    let outcome = world2.verify(&token).await;
    world2.refused(outcome, "no key of the provider");
}

#[tokio::test]
async fn one_name_for_keys_of_two_types() {
    let world = world().await;
    let other = Signer::new("key-1", "EdDSA");
    world.set(|says| says.keys.push(other.jwk()));
    assert!(good(&world, &world.signer).await);
    assert!(good(&world, &other).await);
}
