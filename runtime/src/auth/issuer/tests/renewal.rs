//! Tokens over time: rotation, reuse, and asking the provider again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::stub::Mood;
use serde_json::json;

use super::world::{Plan, Tokens, World};
use crate::auth::login::{RECHECK_S, RECHECK_SOON_S, RETRY_S};
use crate::auth::store::GRANTS_PER_SUBJECT_MAX;

#[tokio::test]
async fn a_lost_reply_is_given_again_and_a_stolen_token_ends_the_login() {
    let world = World::new().await;
    let first = world.tokens().await;
    let second = world.refresh(&first.client, &first.refresh).await;
    let again = world.refresh(&first.client, &first.refresh).await;
    assert_eq!(Tokens::of(&second).refresh, Tokens::of(&again).refresh);
    assert_eq!(Tokens::of(&second).access, Tokens::of(&again).access);
    let second = Tokens::of(&second);
    let other = world.register().await;
    assert_eq!(world.refresh(&other, &first.refresh).await.error(), "invalid_grant");
    let third = Tokens::of(&world.refresh(&first.client, &second.refresh).await);
    assert_eq!(world.knock(&third.access).await, 200);
    let stolen = world.refresh(&first.client, &first.refresh).await;
    assert_eq!((stolen.status, &*stolen.error()), (400, "invalid_grant"));
    for token in [&first.access, &second.access, &third.access] {
        assert_eq!(world.knock(token).await, 401);
    }
    assert_eq!(world.refresh(&first.client, &third.refresh).await.error(), "invalid_grant");
    let reused = world.records().into_iter().find(|r| r["operation_name"] == "reused").unwrap();
    assert_eq!(reused["error"], "refresh_token");
    assert_eq!(reused["client"]["id"], serde_json::json!(first.client));
    // Whose login it was is on record, though it is gone.
    assert_eq!(reused["user_id"], "ada");
    assert_eq!(world.given_back(1).await, 1);
}

#[tokio::test]
async fn logins_that_give_way_and_codes_that_do_not_fit_end_on_record() {
    let world = World::new().await;
    let client = world.register().await;
    for _ in 0..=GRANTS_PER_SUBJECT_MAX {
        world.login(&client).await;
    }
    let other = world.register().await;
    let code = world.login(&client).await;
    assert_eq!(world.redeem(&other, &code).await.error(), "invalid_grant");
    let records = world.records();
    let revoked = records.iter().filter(|record| record["operation_name"] == "revoked");
    let revoked: Vec<_> = revoked.map(|r| (&r["event"]["what"], &r["user_id"])).collect();
    let (limit, mismatch, ada) = (json!("too_many_logins"), json!("code_mismatch"), json!("ada"));
    assert_eq!(revoked, [(&limit, &ada), (&limit, &ada), (&mismatch, &ada)]);
}

#[tokio::test]
async fn a_refresh_cannot_widen_what_was_granted() {
    let mut plan = Plan { required_scopes: vec!["read".into()], ..Plan::default() };
    plan.clients[0].scopes = vec!["read".into(), "write".into()];
    let world = World::with(plan).await;
    let tokens = world.tokens().await;
    let with = |scope: &'static str| {
        let (world, tokens) = (&world, &tokens);
        async move {
            let pairs = [
                ("grant_type", "refresh_token"),
                ("client_id", &*tokens.client),
                ("refresh_token", &*tokens.refresh),
                ("scope", scope),
            ];
            world.form("/token", &[], &pairs).await
        }
    };
    assert_eq!(with("read write").await.error(), "invalid_scope");
    assert_eq!(with("write").await.error(), "invalid_scope");
    assert_eq!(with("offline_access").await.error(), "invalid_scope");
    // The token is still good for what was granted.
    let fresh = with("read offline_access").await;
    assert_eq!((fresh.status, &fresh.json()["scope"]), (200, &json!("read")));
}

#[tokio::test]
async fn after_a_minute_the_predecessor_is_a_stolen_token() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let fresh = Tokens::of(&world.refresh(&tokens.client, &tokens.refresh).await);
    world.clock.advance(61);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.error(), "invalid_grant");
    assert_eq!(world.knock(&fresh.access).await, 401);
}

#[tokio::test]
async fn access_tokens_expire_and_refresh_tokens_bring_new_ones() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    assert_eq!(world.knock(&tokens.access).await, 200);
    world.clock.advance(3_601);
    assert_eq!(world.knock(&tokens.access).await, 401);
    let fresh = Tokens::of(&world.refresh(&tokens.client, &tokens.refresh).await);
    assert_eq!(world.knock(&fresh.access).await, 200);
}

#[tokio::test]
async fn a_hundred_calls_with_an_expired_provider_token_cause_one_refresh() {
    let world = Arc::new(World::new().await);
    let expires = world.clock.now_s() + 30;
    *world.stub.expires.lock().unwrap() = Some(expires);
    let tokens = world.tokens().await;
    *world.stub.expires.lock().unwrap() = Some(expires + 10_000);
    world.clock.advance(31);
    let before = world.stub.identities.load(Ordering::SeqCst);
    let calls = (0..100).map(|_| {
        let (world, token) = (Arc::clone(&world), tokens.access.clone());
        tokio::spawn(async move { world.knock(&token).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(world.stub.refreshes.load(Ordering::SeqCst), 1);
    assert_eq!(world.stub.identities.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn a_hundred_calls_ask_a_provider_that_is_down_once() {
    let world = Arc::new(World::new().await);
    let tokens = world.tokens().await;
    world.stub.is(Mood::Down);
    world.clock.advance(RECHECK_S);
    let before = world.stub.identities.load(Ordering::SeqCst);
    let calls = (0..100).map(|_| {
        let (world, token) = (Arc::clone(&world), tokens.access.clone());
        tokio::spawn(async move { world.knock(&token).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 503);
    }
    assert_eq!(world.stub.identities.load(Ordering::SeqCst), before + 1);
}

#[tokio::test]
async fn a_token_that_the_provider_alone_can_read_is_asked_about_again_and_not_refused() {
    let world = World::new().await;
    let admission = world.verifying();
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", "Bearer opaque".parse().unwrap());
    let uri = http::Uri::from_static("/mcp");
    let asked = || world.stub.identities.load(Ordering::SeqCst);
    for (after, questions) in [(0, 1), (59, 1), (2, 2), (61, 3)] {
        world.clock.advance(after);
        admission.recognise(&uri, &headers).await.unwrap();
        assert_eq!(asked(), questions, "after {after} s more");
    }
    world.stub.is(Mood::Revoked);
    world.clock.advance(61);
    assert!(admission.recognise(&uri, &headers).await.is_err());
}

#[tokio::test]
async fn whoever_has_many_clients_has_the_limits_of_one_caller() {
    let world = World::new().await;
    let (one, two) = (world.tokens().await, world.tokens().await);
    assert_ne!(one.client, two.client);
    *world.stub.subject.lock().unwrap() = "eve".into();
    let other = world.tokens().await;
    let meter = async |token: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        let uri = http::Uri::from_static("/mcp");
        Arc::clone(&world.admission.recognise(&uri, &headers).await.unwrap().principal.meter)
    };
    let ada = meter(&one.access).await;
    assert!(Arc::ptr_eq(&ada, &meter(&two.access).await));
    assert!(!Arc::ptr_eq(&ada, &meter(&other.access).await));
}

#[tokio::test]
async fn the_provider_is_asked_every_five_minutes_and_no_more() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    let asked = || world.stub.identities.load(Ordering::SeqCst);
    assert_eq!(asked(), 1);
    for _ in 0..10 {
        world.knock(&tokens.access).await;
    }
    assert_eq!(asked(), 1);
    world.clock.advance(RECHECK_S);
    world.knock(&tokens.access).await;
    world.knock(&tokens.access).await;
    assert_eq!(asked(), 2);
    world.clock.advance(RECHECK_SOON_S);
    world.knock(&tokens.access).await;
    for _ in 0..200 {
        if asked() == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(asked(), 3);
}

#[tokio::test]
async fn what_the_provider_says_anew_counts_from_then_on() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    assert_eq!(world.ask_secret(&tokens.access).await, "psst ada");
    world.stub.says(r#"{"sub":"ada","role":"nurse"}"#);
    world.clock.advance(RECHECK_S);
    assert_eq!(world.ask_secret(&tokens.access).await, "Admin access required");
    *world.stub.subject.lock().unwrap() = "eve".into();
    world.clock.advance(RECHECK_S);
    assert_eq!(world.knock(&tokens.access).await, 401);
    world.clock.advance(1);
    assert_eq!(world.knock(&tokens.access).await, 401);
}

#[tokio::test]
async fn a_provider_that_revokes_ends_the_login_and_one_that_is_down_does_not() {
    let world = World::new().await;
    let tokens = world.tokens().await;
    world.knock(&tokens.access).await;
    world.stub.is(Mood::Down);
    world.clock.advance(RECHECK_S);
    let down = world.rpc(&tokens.access, "prompts/list", serde_json::json!({})).await;
    assert_eq!((down.status, down.header("retry-after")), (503, Some("5")));
    world.stub.is(Mood::TokensRefused);
    // It is not asked again before clients were told to come again.
    assert_eq!(world.knock(&tokens.access).await, 503);
    world.clock.advance(RETRY_S);
    assert_eq!(world.knock(&tokens.access).await, 200);
    assert_eq!(world.stub.refreshes.load(Ordering::SeqCst), 1);
    world.stub.is(Mood::Revoked);
    world.clock.advance(RECHECK_S);
    assert_eq!(world.knock(&tokens.access).await, 401);
    world.stub.is(Mood::Well);
    assert_eq!(world.knock(&tokens.access).await, 401);
    assert_eq!(world.refresh(&tokens.client, &tokens.refresh).await.error(), "invalid_grant");
    let revoked = world.records().into_iter().find(|r| r["operation_name"] == "revoked").unwrap();
    assert_eq!(revoked["event"]["what"], "provider");
    assert_eq!(revoked["user_id"], "ada");
}
