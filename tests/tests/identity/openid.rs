//! Our side as a client of OpenID Connect: the login, its callback, refresh, identity.

use mxcp_runtime::auth::claims::Mappings;
use mxcp_runtime::auth::provider::{Callback, Grant, Login, ProviderError, kind};
use mxcp_runtime::config::Concealed;
use mxcp_tests::identity::signer::{Signer, encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::world::{CLIENT, World, settings, world};

const REDIRECT: &str = "https://mcp.example/auth/oidc/callback";

fn login() -> Login {
    Login::new(REDIRECT.into())
}

fn callback(iss: Option<&str>) -> Callback {
    Callback { code: Concealed::new("the-code".into()), iss: iss.map(str::to_owned) }
}

fn id_token(world: &World, login: &Login, changes: &Value) -> String {
    let mut all = json!({ "aud": CLIENT, "nonce": login.nonce });
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    let header = json!({ "alg": "ES256", "kid": "key-1", "typ": "JWT" }).to_string();
    world.signer.sign(&header, &world.claims_with(&all).to_string())
}

fn answers(world: &World, id_token: &str) {
    world.set(|says| {
        says.token = json!({
            "access_token": "access-1",
            "refresh_token": "refresh-1",
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "openid email",
            "id_token": id_token,
        });
        says.userinfo = json!({ "sub": "person-1", "email": "p@example.com" });
    });
}

async fn exchanged(world: &World, login: &Login, changes: &Value) -> Result<Grant, ProviderError> {
    answers(world, &id_token(world, login, changes));
    world.provider.exchange(login, &callback(None)).await
}

fn query(url: &str) -> std::collections::HashMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_login_has_its_own_pkce_state_and_nonce() {
    let world = world().await;
    let (one, two) = (login(), login());
    let asked = query(&world.provider.authorization_url(&one).await.unwrap());
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["client_id"], CLIENT);
    assert_eq!(asked["redirect_uri"], REDIRECT);
    assert_eq!(asked["scope"], "openid profile email");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert_eq!(asked["code_challenge"], encode(&Sha256::digest(&one.code_verifier)));
    assert_eq!((&asked["state"], &asked["nonce"]), (&one.state, &one.nonce));
    for (a, b) in [
        (&one.state, &two.state),
        (&one.nonce, &two.nonce),
        (&one.code_verifier, &two.code_verifier),
        (&one.state, &one.nonce),
    ] {
        assert_ne!(a, b);
        assert!(a.len() >= 43, "256 bits");
    }
    let shown = format!("{one:?}");
    assert!(!shown.contains(&one.state) && !shown.contains(&one.code_verifier));
}

#[tokio::test]
async fn a_code_becomes_a_grant() {
    let world = world().await;
    let login = login();
    let grant = exchanged(&world, &login, &json!({})).await.unwrap();
    let sent = world.server.last("/token").form();
    assert_eq!(sent["grant_type"], "authorization_code");
    assert_eq!(sent["code"], "the-code");
    assert_eq!(sent["code_verifier"], login.code_verifier);
    assert_eq!(sent["redirect_uri"], REDIRECT);
    assert!(!sent.contains_key("client_secret"), "the secret is in the header");
    assert_eq!(grant.access_token.expose(), "access-1");
    assert_eq!(grant.scopes, ["openid", "email"]);
    assert_eq!(grant.expires_at, Some(world.clock.now_s() + 300));
    let text = grant.to_text();
    assert_eq!(Grant::from_text(text.expose()).unwrap(), grant);
    let shown = format!("{grant:?} {text:?}");
    assert!(!shown.contains("access-1") && !shown.contains("refresh-1"), "{shown}");

    let person = world.provider.identity(&grant).await.unwrap();
    assert_eq!(person.user_id, "person-1");
    let claims: Value = serde_json::from_str(person.claims.text()).unwrap();
    assert_eq!(claims["email"], "p@example.com");
    assert_eq!(claims["role"], "nurse", "from the ID token");
    assert_eq!(world.server.last("/userinfo").authorization(), "Bearer access-1");
}

#[tokio::test]
async fn claims_of_the_access_token_then_the_id_token_then_userinfo() {
    let world = world().await;
    let login = login();
    answers(&world, &id_token(&world, &login, &json!({ "a": null, "b": "id", "c": "id" })));
    let access = world.signer.token(&world.claims_with(
        &json!({ "a": "access", "b": "access", "c": "access", "aud": "account", "realm_access": { "roles": ["nurse"] } }),
    ));
    world.set(|says| {
        says.token["access_token"] = json!(access);
        says.userinfo = json!({ "sub": "person-1", "c": "userinfo" });
    });
    let grant = world.provider.exchange(&login, &callback(None)).await.unwrap();
    let person = world.provider.identity(&grant).await.unwrap();
    let claims: Value = serde_json::from_str(person.claims.text()).unwrap();
    assert_eq!(
        (&claims["a"], &claims["b"], &claims["c"]),
        (&json!("access"), &json!("id"), &json!("userinfo"))
    );
    let mappings = Mappings {
        entries: vec![("realm_access.roles".into(), "nurse".into(), vec!["care".into()])],
    };
    assert_eq!(mappings.capabilities(&person.claims), ["care"]);

    // Signed by nobody we know: its claims are not looked at.
    let forged = Signer::new("key-1", "ES256").token(&world.claims_with(&json!({ "a": "forged" })));
    let grant = Grant { access_token: Concealed::new(forged), ..grant };
    let person = world.provider.identity(&grant).await.unwrap();
    assert!(!person.claims.text().contains("forged"));
    // About another person: nothing fits together any more.
    let other = world.signer.token(&world.claims_with(&json!({ "sub": "person-2" })));
    let grant = Grant { access_token: Concealed::new(other), ..grant };
    world.provider.identity(&grant).await.unwrap_err();
}

#[tokio::test]
async fn id_tokens_that_are_refused() {
    for (changes, words) in [
        (json!({ "nonce": "another" }), "nonce"),
        (json!({ "nonce": null }), "nonce"),
        (json!({ "nonce": 1 }), "nonce"),
        (json!({ "aud": "another-client" }), "not for this server"),
        (json!({ "aud": [CLIENT, "another"] }), "azp"),
        (json!({ "azp": "another" }), "not for this server"),
        (json!({ "iss": "https://evil.example" }), "another issuer"),
        (json!({ "exp": 1 }), "expired"),
        (json!({ "exp": null }), "exp"),
        (json!({ "sub": null }), "sub"),
        (json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }), "at_hash"),
        (json!({ "at_hash": 1 }), "at_hash"),
    ] {
        let world = world().await;
        match exchanged(&world, &login(), &changes).await {
            Err(ProviderError::IdToken(problem)) => assert!(problem.contains(words), "{problem}"),
            other => panic!("{changes}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_id_token_by_others_or_none_is_refused() {
    let world = world().await;
    let login = login();
    let claims = world.claims_with(&json!({ "aud": CLIENT, "nonce": login.nonce }));
    let forged = Signer::new("key-1", "ES256").token(&claims);
    answers(&world, &forged);
    let error = world.provider.exchange(&login, &callback(None)).await.unwrap_err();
    assert!(matches!(error, ProviderError::IdToken(_)), "{error:?}");
    answers(&world, &forged);
    world.set(|says| drop(says.token.as_object_mut().unwrap().remove("id_token")));
    world.provider.exchange(&login, &callback(None)).await.unwrap_err();
}

#[tokio::test]
async fn a_right_hash_of_the_access_token_is_accepted() {
    let world = world().await;
    let digest = Sha256::digest("access-1");
    exchanged(&world, &login(), &json!({ "at_hash": encode(&digest[..16]) })).await.unwrap();
}

#[tokio::test]
async fn mixed_up_issuers_never_see_the_code() {
    let world = world().await;
    let login = login();
    answers(&world, &id_token(&world, &login, &json!({})));
    for iss in ["https://evil.example", "", &format!("{}/", world.server.base)] {
        let error = world.provider.exchange(&login, &callback(Some(iss))).await.unwrap_err();
        assert_eq!(error, ProviderError::MixedUp);
    }
    assert_eq!(world.server.count("/token"), 0);
    world.provider.exchange(&login, &callback(Some(&world.server.base))).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_always_names_itself_must_do_so() {
    let world = world().await;
    world.set(|says| {
        says.discovery = json!({ "authorization_response_iss_parameter_supported": true });
    });
    let error = world.provider.exchange(&login(), &callback(None)).await.unwrap_err();
    assert_eq!(error, ProviderError::MixedUp);
}

#[tokio::test]
async fn refresh_tells_the_end_from_a_bad_moment() {
    let world = world().await;
    let login = login();
    let grant = exchanged(&world, &login, &json!({})).await.unwrap();
    let said = |body: Value, status: u16| json!({ "status": status, "body": body });
    world.set(|says| says.token = said(json!({ "error": "invalid_grant" }), 400));
    assert_eq!(world.provider.refresh(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    for (body, status) in [
        (json!({ "error": "invalid_client" }), 401),
        (json!({ "error": "temporarily_unavailable" }), 503),
        (json!({ "error": "invalid_grant" }), 500),
        (json!({}), 429),
        (json!("<html>"), 502),
        (json!({ "error": ["invalid_grant"] }), 400),
        (json!({ "access_token": 1, "token_type": "Bearer" }), 200),
        (json!({ "access_token": "", "token_type": "Bearer" }), 200),
        (json!({ "access_token": "a", "token_type": "DPoP" }), 200),
        (json!({ "access_token": "a" }), 200),
    ] {
        world.set(|says| says.token = said(body.clone(), status));
        let error = world.provider.refresh(&grant).await.unwrap_err();
        assert_ne!(error, ProviderError::InvalidGrant, "{status} {body}");
        assert_eq!(error.is_temporary(), status >= 429, "{status} {body}: {error:?}");
    }
    let none = Grant { refresh_token: None, ..grant };
    assert_eq!(world.provider.refresh(&none).await.unwrap_err(), ProviderError::InvalidGrant);
}

#[tokio::test]
async fn refresh_keeps_the_person_and_the_old_token_where_there_is_no_new_one() {
    let world = world().await;
    let grant = exchanged(&world, &login(), &json!({})).await.unwrap();
    world.set(|says| {
        says.token =
            json!({ "access_token": "access-2", "token_type": "bearer", "expires_in": 60 });
    });
    let new = world.provider.refresh(&grant).await.unwrap();
    assert_eq!(world.server.last("/token").form()["refresh_token"], "refresh-1");
    assert_eq!(new.access_token.expose(), "access-2");
    assert_eq!(new.refresh_token, grant.refresh_token);
    assert_eq!(new.id_claims, grant.id_claims);
    // A new ID token must be about the same person.
    let header = json!({ "alg": "ES256", "kid": "key-1" }).to_string();
    let claims = world.claims_with(&json!({ "aud": CLIENT, "sub": "person-2" }));
    let other = world.signer.sign(&header, &claims.to_string());
    world.set(|says| says.token["id_token"] = json!(other));
    let error = world.provider.refresh(&grant).await.unwrap_err();
    assert!(matches!(error, ProviderError::IdToken(_)), "{error:?}");
}

#[tokio::test]
async fn userinfo_about_somebody_else_is_refused() {
    let world = world().await;
    let grant = exchanged(&world, &login(), &json!({})).await.unwrap();
    for userinfo in [json!({ "sub": "person-2" }), json!({ "email": "x" }), json!({ "sub": 1 })] {
        world.set(|says| says.userinfo = userinfo.clone());
        world.provider.identity(&grant).await.unwrap_err();
    }
    world.set(|says| says.userinfo = Value::Null);
    assert_eq!(world.provider.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
    world.set(|says| says.down = vec!["/userinfo"]);
    assert!(world.provider.identity(&grant).await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn revocation_gives_the_refresh_token_back() {
    let world = world().await;
    let grant = exchanged(&world, &login(), &json!({})).await.unwrap();
    world.provider.revoke(&grant).await.unwrap();
    let sent = world.server.last("/revoke").form();
    assert_eq!((&*sent["token"], &*sent["token_type_hint"]), ("refresh-1", "refresh_token"));
}

#[tokio::test]
async fn discovery_of_another_issuer_is_refused() {
    for discovery in [
        json!({ "issuer": "https://evil.example" }),
        json!({ "issuer": null }),
        json!({ "issuer": 1 }),
        json!({ "token_endpoint": "http://idp.example/token" }),
        json!({ "token_endpoint": "file:///etc/passwd" }),
        json!({ "jwks_uri": null }),
        json!({ "authorization_endpoint": ["https://a.example"] }),
        json!({ "authorization_response_iss_parameter_supported": "true" }),
    ] {
        let world = world().await;
        world.set(|says| says.discovery = discovery.clone());
        let error = world.provider.authorization_url(&login()).await;
        assert!(error.is_err(), "{discovery}: {error:?}");
    }
}

#[tokio::test]
async fn the_last_good_discovery_serves_while_the_provider_is_down() {
    let world = world().await;
    world.provider.metadata().await.unwrap();
    world.set(|says| says.down = vec!["/.well-known/openid-configuration"]);
    world.clock.advance(4_000);
    world.provider.metadata().await.unwrap();
    world.provider.metadata().await.unwrap();
    assert_eq!(world.server.count("/.well-known/openid-configuration"), 2, "not by every call");
}

#[tokio::test]
async fn secrets_go_where_the_provider_wants_them() {
    let world = world().await;
    world.set(|says| {
        says.discovery = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
    });
    exchanged(&world, &login(), &json!({})).await.unwrap();
    let seen = world.server.last("/token");
    assert_eq!(seen.form()["client_secret"], super::world::SECRET);
    assert_eq!(seen.authorization(), "");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_start() {
    let deployment = super::world::deployment();
    let build = kind("oidc").unwrap().build;
    let config = ("config_url", "https://idp.example/.well-known/openid-configuration");
    let mut without_openid = settings(&[config]);
    without_openid.scope = Some("profile".into());
    let mut without_client = settings(&[config]);
    without_client.client_id.clear();
    for (settings, key) in [
        (settings(&[]), "config_url"),
        (settings(&[("config_url", "http://idp.example/")]), "config_url"),
        (settings(&[("config_url", "nonsense")]), "config_url"),
        (without_openid, "scope"),
        (without_client, "client_id"),
    ] {
        assert_eq!(build(&settings, &deployment).unwrap_err().key, key);
    }
    let mut more = settings(&[config]);
    more.extra_authorize_params = vec![("prompt".into(), "login".into())];
    build(&more, &deployment).unwrap();
}
