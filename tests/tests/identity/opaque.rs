//! Tokens that only the provider can read: introspection and userinfo.

use mxcp_runtime::auth::provider::Introspected;
use mxcp_runtime::auth::verifier::{Demands, MAX_OPAQUE_FRESH_S, Refused};
use mxcp_runtime::config::Concealed;
use serde_json::{Value, json};

use super::world::{AUDIENCE, SECRET, World, demands, with, world};

fn active(world: &World, changes: &Value) -> Value {
    let mut answer = world.claims_with(changes);
    if changes.get("active").is_none() {
        answer["active"] = json!(true);
    }
    if changes.get("token_type").is_none() {
        answer["token_type"] = json!("Bearer");
    }
    answer
}

async fn asked(
    world: &World,
    changes: Value,
) -> Result<mxcp_runtime::auth::verifier::Verified, Refused> {
    world.set(|says| says.introspection = active(world, &changes));
    world.verify("opaque-token").await
}

#[tokio::test]
async fn an_active_token_is_accepted_for_a_minute() {
    let world = world().await;
    let verified = asked(&world, json!({})).await.unwrap();
    assert_eq!(verified.person.user_id, "person-1");
    assert_eq!(verified.scopes, ["read", "write"]);
    let now = world.clock.now_s();
    assert!(verified.expires_at <= now + MAX_OPAQUE_FRESH_S && verified.expires_at > now);
    let seen = world.server.last("/introspect");
    assert_eq!(seen.form()["token"], "opaque-token");
    assert!(seen.query.is_empty(), "no token in a URL");
    // RFC 6749 section 2.3.1: name and secret are encoded before they are joined.
    let pair = "client-1:a+secret%2Fwith%2Bodd+characters";
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    assert_eq!(seen.authorization(), format!("Basic {basic}"));
    assert!(!SECRET.is_empty());
}

#[tokio::test]
async fn an_end_before_the_minute_counts() {
    let world = world().await;
    let end = world.clock.now_s() - 50;
    // Within the skew of clocks; the answer counts no longer than that.
    let verified = asked(&world, json!({ "exp": end })).await.unwrap();
    assert!(verified.expires_at <= end + 60);
}

#[tokio::test]
async fn what_introspection_says_no_to() {
    for (changes, reason) in [
        (json!({ "active": false }), "not active"),
        (json!({ "active": "true" }), "`active`"),
        (json!({ "active": 1 }), "`active`"),
        (json!({ "aud": "https://other.example" }), "not for this server"),
        (json!({ "aud": null }), "not for this server"),
        (json!({ "aud": {} }), "`aud`"),
        (json!({ "exp": null }), "`exp`"),
        (json!({ "exp": "9999999999" }), "`exp`"),
        (json!({ "exp": 1 }), "expired"),
        (json!({ "sub": null }), "`sub`"),
        (json!({ "sub": 7 }), "`sub`"),
        (json!({ "iss": "https://evil.example" }), "another issuer"),
        (json!({ "token_type": "DPoP" }), "no bearer token"),
        (json!({ "token_type": "refresh_token" }), "no bearer token"),
        (json!({ "typ": "Refresh" }), "no access token"),
        (json!({ "typ": "ID" }), "no access token"),
        (json!({ "scope": ["read"] }), "`scope`"),
        (json!({ "client_id": 5 }), "`client_id`"),
        (json!({ "cnf": { "x5t#S256": "x" } }), "bound to a key"),
    ] {
        let world = world().await;
        let outcome = asked(&world, changes).await;
        world.refused(outcome, reason);
    }
}

#[tokio::test]
async fn a_missing_active_is_no() {
    let world = world().await;
    world.set(|says| says.introspection = json!({ "sub": "a" }));
    let outcome = world.verify("opaque").await;
    world.refused(outcome, "`active`");
}

#[tokio::test]
async fn answers_that_are_none_close() {
    for body in ["", "[]", "true", r#"{"active": false, "active": true}"#, "<html>"] {
        let world = world().await;
        world.set(|says| says.introspection = json!(body));
        world.verify("opaque").await.unwrap_err();
    }
    // Our own name or secret is wrong: nobody's token is bad because of it.
    let world = world().await;
    world.set(|says| says.introspection = json!({ "status": 401, "body": {} }));
    let outcome = world.verify("opaque").await;
    assert!(matches!(outcome, Err(Refused::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_refresh_token_is_not_an_access_token_even_without_audience() {
    let world = with(Demands { allow_unaudienced: true, ..demands() }).await;
    let outcome = {
        world.set(|says| {
            says.introspection = json!({ "active": true, "sub": "a", "exp": 9_999_999_999_u64 });
        });
        world.verify("refresh-token").await
    };
    world.refused(outcome, "neither the type nor the audience");
}

#[tokio::test]
async fn without_audience_only_where_the_operator_says_so() {
    let world = with(Demands { allow_unaudienced: true, ..demands() }).await;
    asked(&world, json!({ "aud": null })).await.unwrap();
    let outcome = asked(&world, json!({ "aud": "https://other.example" })).await;
    world.refused(outcome, "not for this server");
}

#[tokio::test]
async fn userinfo_alone_proves_no_audience() {
    let strict = world().await;
    strict.set(|says| {
        says.discovery = json!({ "introspection_endpoint": null });
        says.userinfo = json!({ "sub": "person-1", "role": "admin" });
    });
    let outcome = strict.verify("opaque").await;
    strict.refused(outcome, "not for this server");
    assert_eq!(strict.server.count("/userinfo"), 0);

    let loose = with(Demands { allow_unaudienced: true, ..demands() }).await;
    loose.set(|says| {
        says.discovery = json!({ "introspection_endpoint": null });
        says.userinfo = json!({ "sub": "person-1", "role": "nurse" });
    });
    let verified = loose.verify("opaque").await.unwrap();
    assert_eq!(verified.person.user_id, "person-1");
    assert!(verified.scopes.is_empty());
    let seen = loose.server.last("/userinfo");
    assert_eq!(seen.authorization(), "Bearer opaque");
    assert!(seen.query.is_empty());
    loose.set(|says| says.userinfo = Value::Null);
    let outcome = loose.verify("opaque").await;
    loose.refused(outcome, "no longer valid");
}

#[tokio::test]
async fn a_bad_signed_token_is_never_asked_about() {
    let world = with(Demands { allow_unaudienced: true, ask_userinfo: true, ..demands() }).await;
    world.set(|says| {
        says.introspection = active(&world, &json!({}));
        says.userinfo = json!({ "sub": "person-1" });
    });
    let mut token = world.signer.token(&world.claims());
    token.truncate(token.len() - 10);
    let outcome = world.verify(&token).await;
    world.refused(outcome, "");
    assert_eq!(world.server.count("/introspect") + world.server.count("/userinfo"), 0);
}

#[tokio::test]
async fn userinfo_adds_and_never_replaces() {
    let world = with(Demands { ask_userinfo: true, ..demands() }).await;
    world.set(|says| {
        says.userinfo = json!({ "sub": "person-1", "role": "admin", "aud": AUDIENCE, "email": "p@example.com" });
    });
    let token = world.signer.token(&world.claims());
    let verified = world.verify(&token).await.unwrap();
    let claims: Value = serde_json::from_str(verified.person.claims.text()).unwrap();
    assert_eq!(claims["role"], "nurse", "what is signed stays");
    assert_eq!(claims["email"], "p@example.com");
    world.set(|says| says.userinfo = json!({ "sub": "person-2", "email": "q@example.com" }));
    let outcome = world.verify(&token).await;
    world.refused(outcome, "somebody else");
    world.set(|says| says.userinfo = json!({ "email": "q@example.com" }));
    world.verify(&token).await.unwrap_err();
}

#[tokio::test]
async fn a_provider_without_introspection_says_so() {
    let world = world().await;
    world.set(|says| says.discovery = json!({ "introspection_endpoint": null }));
    let token = Concealed::new("opaque".to_owned());
    let answer = world.provider.introspect(&token).await.unwrap();
    assert!(matches!(answer, Introspected::Unsupported));
}
