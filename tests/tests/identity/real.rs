//! A real identity provider, npm `oidc-provider`: logins, and its tokens in verifier mode.

use std::sync::Arc;

use mxcp_runtime::auth::claims::Claims;
use mxcp_runtime::auth::jose::registered::MAX_CLOCK_SKEW_S;
use mxcp_runtime::auth::jose::remote::{MAX_FRESH_S, MAX_STALE_S, MIN_REFETCH_S};
use mxcp_runtime::auth::provider::{
    Callback, Deployment, Grant, Login, Provider, ProviderError, Settings, kind,
};
use mxcp_runtime::auth::verifier::{Refused, Verifier};
use mxcp_runtime::config::Concealed;
use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::oidc_provider::IdentityProvider;
use mxcp_tests::server::free_port;
use serde_json::{Value, json};

use super::world::{AUDIENCE, demands, deployment};

const REDIRECT: &str = "http://127.0.0.1:9/callback";
const OPAQUE: &str = "https://mcp.example/opaque";

fn clients() -> Value {
    let client = |id: &str| {
        json!({
            "client_id": id, "client_secret": format!("{id} secret"), "redirect_uris": [REDIRECT],
            "grant_types": ["authorization_code", "refresh_token"],
        })
    };
    json!([client("mxcp"), client("agent")])
}

fn people() -> Value {
    json!({
        "ada": { "name": "Ada", "preferred_username": "ada", "email": "ada@acme.example",
                 "email_verified": true, "role": "physician", "groups": ["east"] },
        "bob": { "name": "Bob", "preferred_username": "bob", "email": "bob@acme.example",
                 "email_verified": false, "role": "nurse" },
    })
}

fn provider(
    idp: &IdentityProvider,
    deployment: &Deployment,
    client: &str,
    more: &[(&str, &str)],
) -> Arc<dyn Provider> {
    let settings = Settings {
        client_id: client.to_owned(),
        client_secret: Some(Concealed::new(format!("{client} secret"))),
        scope: Some("openid profile email read write".into()),
        values: vec![("config_url".into(), idp.config_url())],
        extra_authorize_params: more
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
    };
    (kind("oidc").unwrap().build)(&settings, deployment).unwrap()
}

/// Logs somebody in and returns the grant.
async fn log_in(provider: &Arc<dyn Provider>) -> Grant {
    log_in_by(provider).await.0
}

/// The same, with what led to it.
async fn log_in_by(provider: &Arc<dyn Provider>) -> (Grant, Login, Callback) {
    let login = Login::new(REDIRECT.into());
    let url = provider.authorization_url(&login).await.unwrap();
    let place = Browser::default().follow(&url, REDIRECT).await;
    let query: std::collections::HashMap<String, String> =
        place.query_pairs().into_owned().collect();
    assert_eq!(query["state"], login.state);
    let callback =
        Callback { code: Concealed::new(query["code"].clone()), iss: query.get("iss").cloned() };
    let grant = provider.exchange(&login, &callback).await.unwrap();
    (grant, login, callback)
}

/// The access token that an agent gets for a resource.
async fn agent_token(idp: &IdentityProvider, deployment: &Deployment, resource: &str) -> String {
    let more = [("resource", resource), ("login_hint", "ada")];
    let agent = provider(idp, deployment, "agent", &more);
    log_in(&agent).await.access_token.expose().clone()
}

fn claims(claims: &Claims) -> Value {
    serde_json::from_str(claims.text()).unwrap()
}

fn verifier(idp: &IdentityProvider, deployment: &Deployment) -> Verifier {
    let mut demands = demands();
    demands.audiences.push(OPAQUE.into());
    demands.client_id = "mxcp".into();
    Verifier::new(provider(idp, deployment, "mxcp", &[]), deployment, demands)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_identity_refresh_and_revocation() {
    let idp = IdentityProvider::start(&clients(), &people(), 300);
    let deployment = deployment();
    let mxcp = provider(&idp, &deployment, "mxcp", &[("login_hint", "bob")]);
    let grant = log_in(&mxcp).await;
    let person = mxcp.identity(&grant).await.unwrap();
    assert_eq!(person.user_id, "bob");
    let known = claims(&person.claims);
    assert_eq!(known["role"], "nurse");
    assert_eq!(known["email_verified"], false);
    let new = mxcp.refresh(&grant).await.unwrap();
    assert_ne!(new.access_token, grant.access_token);
    mxcp.identity(&new).await.unwrap();
    mxcp.revoke(&new).await.unwrap();
    assert_eq!(mxcp.refresh(&new).await.unwrap_err(), ProviderError::InvalidGrant);

    // A code is good once, and whoever shows it again ends what came of it.
    let (grant, login, callback) = log_in_by(&mxcp).await;
    mxcp.identity(&grant).await.unwrap();
    let again = mxcp.exchange(&login, &callback).await.unwrap_err();
    assert_eq!(again, ProviderError::InvalidGrant);
    assert_eq!(mxcp.identity(&grant).await.unwrap_err(), ProviderError::InvalidGrant);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_tokens_in_verifier_mode() {
    let idp = IdentityProvider::start(&clients(), &people(), 300);
    let deployment = deployment();
    let verifier = verifier(&idp, &deployment);
    let token = agent_token(&idp, &deployment, AUDIENCE).await;
    let verified = verifier.verify(&token).await.unwrap();
    assert_eq!(verified.person.user_id, "ada");
    assert_eq!(verified.client.as_deref(), Some("agent"));
    assert_eq!(*verified.issuer, *idp.issuer);
    assert!(verified.scopes.contains(&"read".to_owned()), "{:?}", verified.scopes);
    assert_eq!(claims(&verified.person.claims)["role"], "physician");

    // For another server.
    let other = agent_token(&idp, &deployment, "https://other.example/mcp").await;
    assert!(matches!(verifier.verify(&other).await, Err(Refused::Invalid(_))));
    // Clocks that differ a little, and too much.
    deployment.clock.advance(5 - MAX_CLOCK_SKEW_S);
    verifier.verify(&token).await.unwrap();
    deployment.clock.advance(-65);
    assert!(matches!(verifier.verify(&token).await, Err(Refused::Invalid(_))));
    deployment.clock.advance(60 + MAX_CLOCK_SKEW_S + 300);
    verifier.verify(&token).await.unwrap();
    deployment.clock.advance(MAX_CLOCK_SKEW_S);
    assert!(matches!(verifier.verify(&token).await, Err(Refused::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opaque_tokens_in_verifier_mode() {
    let idp = IdentityProvider::start(&clients(), &people(), 300);
    let deployment = deployment();
    let verifier = verifier(&idp, &deployment);
    let token = agent_token(&idp, &deployment, OPAQUE).await;
    assert!(!token.contains('.'), "it is opaque");
    let verified = verifier.verify(&token).await.unwrap();
    assert_eq!(verified.person.user_id, "ada");
    assert!(verified.expires_at <= deployment.clock.now_s() + 60);
    assert!(matches!(verifier.verify("nonsense").await, Err(Refused::Invalid(_))));

    // A refresh token introspects as active, and is no access token.
    let more = [("resource", OPAQUE), ("login_hint", "ada")];
    let agent = provider(&idp, &deployment, "agent", &more);
    let grant = log_in(&agent).await;
    let refresh = grant.refresh_token.clone().unwrap();
    assert!(matches!(verifier.verify(refresh.expose()).await, Err(Refused::Invalid(_))));
    // Nor is the ID token, signed though it is.
    agent.revoke(&grant).await.unwrap();
    let outcome = verifier.verify(grant.access_token.expose()).await;
    assert!(matches!(outcome, Err(Refused::Invalid(_))), "revoked: {outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate() {
    let idp = IdentityProvider::start(&clients(), &people(), 3_000);
    let deployment = deployment();
    let verifier = verifier(&idp, &deployment);
    let old = agent_token(&idp, &deployment, AUDIENCE).await;
    verifier.verify(&old).await.unwrap();
    idp.rotate(&deployment.fetcher).await;
    let new = agent_token(&idp, &deployment, AUDIENCE).await;
    assert_ne!(old.split('.').next(), new.split('.').next(), "another key");
    let too_soon = verifier.verify(&new).await;
    assert!(matches!(too_soon, Err(Refused::Invalid(_))), "{too_soon:?}");
    deployment.clock.advance(MIN_REFETCH_S);
    verifier.verify(&new).await.unwrap();
    verifier.verify(&old).await.unwrap();
    idp.withdraw(&deployment.fetcher).await;
    deployment.clock.advance(MAX_FRESH_S);
    assert!(matches!(verifier.verify(&old).await, Err(Refused::Invalid(_))));
    verifier.verify(&new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_goes_down() {
    let port = free_port();
    let idp = IdentityProvider::on(port, &clients(), &people(), 7_200);
    let deployment = deployment();
    let verifier = verifier(&idp, &deployment);
    let signed = agent_token(&idp, &deployment, AUDIENCE).await;
    let opaque = agent_token(&idp, &deployment, OPAQUE).await;
    verifier.verify(&signed).await.unwrap();
    verifier.verify(&opaque).await.unwrap();
    drop(idp);
    // Signed tokens are judged here for an hour; opaque ones cannot be.
    verifier.verify(&signed).await.unwrap();
    deployment.clock.advance(MAX_FRESH_S + 1);
    verifier.verify(&signed).await.unwrap();
    assert!(matches!(verifier.verify(&opaque).await, Err(Refused::Unavailable(_))));
    deployment.clock.advance(MAX_STALE_S - MAX_FRESH_S);
    assert!(matches!(verifier.verify(&signed).await, Err(Refused::Unavailable(_))));
}
