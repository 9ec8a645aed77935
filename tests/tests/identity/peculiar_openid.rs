//! What is peculiar about the providers that speak OpenID Connect.

use std::sync::Arc;

use mxcp_runtime::auth::claims::Mappings;
use mxcp_runtime::auth::provider::{Audience, Introspected, Login, Provider, Settings, kind};
use mxcp_runtime::auth::verifier::{Refused, Verifier};
use mxcp_tests::identity::server::Answer;
use mxcp_tests::identity::signer::Signer;
use serde_json::{Value, json};

use super::peculiar::{Stub, callback, claims, login, opaque};
use super::world::{CLIENT, demands, settings};

// Google: https://developers.google.com/identity/openid-connect/openid-connect

async fn google() -> (Stub, Arc<dyn Provider>, Signer) {
    let stub = Stub::start().await;
    let keys = [
        ("auth_url", "/o/oauth2/v2/auth"),
        ("token_url", "/token"),
        ("userinfo_url", "/v1/userinfo"),
        ("tokeninfo_url", "/tokeninfo"),
        ("jwks_url", "/oauth2/v3/certs"),
        ("revoke_url", "/revoke"),
    ];
    let provider = stub.provider("google", &keys);
    let signer = Signer::new("g1", "RS256");
    stub.on("GET /oauth2/v3/certs", Answer::json(&json!({ "keys": [signer.jwk()] })));
    let userinfo = json!({ "sub": "11022", "name": "Ada", "email": "ada@acme.example", "email_verified": true, "hd": "acme.example" });
    stub.on("GET /v1/userinfo", Answer::json(&userinfo));
    (stub, provider, signer)
}

fn google_id_token(stub: &Stub, signer: &Signer, login: &Login, iss: &str) -> Value {
    let now = stub.deployment.clock.now_s();
    let claims = json!({
        "iss": iss, "sub": "11022", "aud": CLIENT, "azp": CLIENT, "exp": now + 3600, "iat": now,
        "nonce": login.nonce, "hd": "acme.example",
    });
    let id_token = signer.sign(
        &json!({ "alg": "RS256", "kid": "g1", "typ": "JWT" }).to_string(),
        &claims.to_string(),
    );
    json!({
        "access_token": "ya29.token", "refresh_token": "1//r", "expires_in": 3599,
        "scope": "openid https://www.googleapis.com/auth/userinfo.email", "token_type": "Bearer",
        "id_token": id_token,
    })
}

#[tokio::test]
async fn google_gives_refresh_tokens_when_asked_so() {
    let (stub, google, signer) = google().await;
    let login = login();
    let url = google.authorization_url(&login).await.unwrap();
    assert!(url.contains("access_type=offline") && url.contains("prompt=consent"), "{url}");
    for iss in ["https://accounts.google.com", "accounts.google.com"] {
        let answer = google_id_token(&stub, &signer, &login, iss);
        stub.on("POST /token", Answer::json(&answer));
        let grant = google.exchange(&login, &callback()).await.unwrap();
        let person = google.identity(&grant).await.unwrap();
        assert_eq!(person.user_id, "11022");
        assert_eq!(claims(person.claims.text())["hd"], "acme.example");
    }
    let answer = google_id_token(&stub, &signer, &login, "https://accounts.evil.example");
    stub.on("POST /token", Answer::json(&answer));
    google.exchange(&login, &callback()).await.unwrap_err();
}

#[tokio::test]
async fn google_tokens_are_checked_at_tokeninfo() {
    let (stub, google, signer) = google().await;
    let exp = (stub.deployment.clock.now_s() + 600).to_string();
    let mut info = json!({
        "azp": CLIENT, "aud": CLIENT, "sub": "11022", "scope": "openid email", "exp": exp,
        "expires_in": "600", "email": "ada@acme.example", "email_verified": "true", "access_type": "offline",
    });
    stub.on("POST /tokeninfo", Answer::json(&info));
    let verifier = Verifier::new(Arc::clone(&google), &stub.deployment, demands());
    let verified = verifier.verify("ya29.token").await.unwrap();
    assert_eq!(verified.person.user_id, "11022");
    assert_eq!(verified.scopes, ["openid", "email"]);
    assert!(stub.server.last("/tokeninfo").query.is_empty(), "no token in a URL");
    // A token that somebody else's app got for the same person: the confused deputy.
    info["aud"] = json!("another-app");
    stub.on("POST /tokeninfo", Answer::json(&info));
    assert!(matches!(verifier.verify("ya29.token").await, Err(Refused::Invalid(_))));
    let answer = google.introspect(&opaque("ya29.token")).await.unwrap();
    assert!(matches!(answer, Introspected::Active { audience: Audience::Named(_), .. }));
    stub.on("POST /tokeninfo", Answer::status(400, &json!({ "error": "invalid_token" })));
    assert!(matches!(verifier.verify("ya29.token").await, Err(Refused::Invalid(_))));
    // An ID token is not an access token.
    let answer = google_id_token(&stub, &signer, &login(), "https://accounts.google.com");
    let outcome = verifier.verify(answer["id_token"].as_str().unwrap()).await;
    assert!(
        matches!(&outcome, Err(Refused::Invalid(text)) if text.contains("ID token")),
        "{outcome:?}"
    );
}

// Keycloak: https://www.keycloak.org/securing-apps/oidc-layers

async fn keycloak() -> (Stub, Arc<dyn Provider>, Signer) {
    let stub = Stub::start().await;
    let values =
        [("server_url".to_owned(), stub.url("/")), ("realm".to_owned(), "acme".to_owned())];
    let settings = Settings { values: values.to_vec(), ..settings(&[]) };
    let provider = (kind("keycloak").unwrap().build)(&settings, &stub.deployment).unwrap();
    let signer = Signer::new("kc", "RS256");
    let place = "/realms/acme/protocol/openid-connect";
    stub.on(&format!("GET {place}/certs"), Answer::json(&json!({ "keys": [signer.jwk()] })));
    let userinfo = json!({ "sub": "f:1", "preferred_username": "ada", "email": "ada@acme.example", "email_verified": false });
    stub.on(&format!("GET {place}/userinfo"), Answer::json(&userinfo));
    (stub, provider, signer)
}

fn keycloak_token(stub: &Stub, signer: &Signer, changes: &Value) -> String {
    let now = stub.deployment.clock.now_s();
    let mut claims = json!({
        "exp": now + 300, "iat": now, "jti": "j", "iss": stub.url("/realms/acme"), "aud": "account",
        "sub": "f:1", "typ": "Bearer", "azp": CLIENT, "scope": "openid email",
        "realm_access": { "roles": ["nurse", "offline_access"] },
        "resource_access": { CLIENT: { "roles": ["prescriber"] } },
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    signer.sign(
        &json!({ "alg": "RS256", "kid": "kc", "typ": "JWT" }).to_string(),
        &claims.to_string(),
    )
}

#[tokio::test]
async fn keycloak_roles_are_in_the_access_token() {
    let (stub, keycloak, signer) = keycloak().await;
    let login = login();
    let id_token = keycloak_token(
        &stub,
        &signer,
        &json!({ "aud": CLIENT, "typ": "ID", "nonce": login.nonce, "realm_access": null, "resource_access": null }),
    );
    let answer = json!({
        "access_token": keycloak_token(&stub, &signer, &json!({})), "expires_in": 300, "token_type": "Bearer",
        "refresh_expires_in": 1800, "refresh_token": "r", "id_token": id_token, "not-before-policy": 0, "scope": "openid",
    });
    stub.on("POST /realms/acme/protocol/openid-connect/token", Answer::json(&answer));
    let grant = keycloak.exchange(&login, &callback()).await.unwrap();
    let person = keycloak.identity(&grant).await.unwrap();
    let mappings = Mappings {
        entries: vec![
            ("realm_access.roles".into(), "nurse".into(), vec!["care".into()]),
            (
                format!("resource_access.{CLIENT}.roles"),
                "prescriber".into(),
                vec!["prescribe".into()],
            ),
            ("realm_access.roles".into(), "admin".into(), vec!["all".into()]),
        ],
    };
    let claims = claims(person.claims.text());
    assert_eq!(claims["resource_access"][CLIENT]["roles"], json!(["prescriber"]));
    assert_eq!(mappings.capabilities(&person.claims), ["care", "prescribe"]);
}

#[tokio::test]
async fn keycloak_tokens_in_verifier_mode() {
    let (stub, keycloak, signer) = keycloak().await;
    let verifier = Verifier::new(keycloak, &stub.deployment, demands());
    let ours = json!({ "aud": [super::world::AUDIENCE, "account"] });
    let verified = verifier.verify(&keycloak_token(&stub, &signer, &ours)).await.unwrap();
    assert_eq!(verified.client.as_deref(), Some(CLIENT));
    for changes in [
        json!({}),
        json!({ "aud": super::world::AUDIENCE, "typ": "ID" }),
        json!({ "aud": super::world::AUDIENCE, "typ": "Refresh" }),
        json!({ "aud": super::world::AUDIENCE, "iss": stub.url("/realms/other") }),
        json!({ "aud": CLIENT }),
    ] {
        let outcome = verifier.verify(&keycloak_token(&stub, &signer, &changes)).await;
        assert!(matches!(outcome, Err(Refused::Invalid(_))), "{changes}: {outcome:?}");
    }
}

#[tokio::test]
async fn keycloak_realms_are_names() {
    let stub = Stub::start().await;
    for realm in ["", "..", "a/b", "a?b", "a%2fb", "a b"] {
        let values =
            [("server_url".to_owned(), stub.url("")), ("realm".to_owned(), realm.to_owned())];
        let settings = Settings { values: values.to_vec(), ..settings(&[]) };
        let error = (kind("keycloak").unwrap().build)(&settings, &stub.deployment).unwrap_err();
        assert_eq!(error.key, "realm", "{realm}");
    }
}
