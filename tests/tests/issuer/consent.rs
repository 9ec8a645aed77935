//! The consent page: the confused deputy, forged answers, fixed sessions, framed pages.

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, REDIRECT, parameter};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_sees_nothing_before_consent() {
    let issuer = Issuer::start("ada", &json!({}));
    let mut victim = Browser::default();
    let known = issuer.register(&[REDIRECT]).await;
    issuer.code(&mut victim, &known).await;
    // The victim is logged in at the provider, which would ask nothing. Another client of ours must
    // not get a code for that alone, and neither must the same one.
    let mallory = issuer.register(&["https://mallory.example/cb"]).await;
    for (client, redirect) in [(mallory, "https://mallory.example/cb"), (known, REDIRECT)] {
        let page = victim.get(&issuer.authorize(&client, &[("redirect_uri", redirect)])).await;
        assert_eq!(page.status, 200);
        assert!(page.location().is_none());
        page.field("ticket");
        assert!(!page.body.contains(issuer.idp()), "no link past consent");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_who_asks_and_is_plain_and_unframed() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&["https://client.example/cb"]).await;
    let redirect = [("redirect_uri", "https://client.example/cb")];
    let page = Browser::default().get(&issuer.authorize(&client, &redirect)).await;
    for words in
        ["An &lt;b&gt;assistant&lt;/b&gt;", "client.example", "clinic", "nobody has checked"]
    {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("<b>assistant"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"));
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_answers_are_refused() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let url = issuer.authorize(&client, &[]);
    let mut victim = Browser::default();
    let mut mallory = Browser::default();
    let page = victim.get(&url).await;
    let ticket = page.field("ticket");
    let hers = mallory.get(&url).await.field("ticket");
    let consent = issuer.url("/consent");
    let answer = |ticket: &'static str| [("ticket", ticket), ("decision", "allow")];

    // Without the cookie, with another browser's, with another browser's page.
    let fields = [("ticket", ticket.as_str()), ("decision", "allow")];
    assert_eq!(Browser::default().post(&consent, &fields).await.status, 403);
    assert_eq!(mallory.clone().post(&consent, &fields).await.status, 403);
    let fields_of_mallory = [("ticket", hers.as_str()), ("decision", "allow")];
    assert_eq!(victim.clone().post(&consent, &fields_of_mallory).await.status, 403);
    // From another site.
    for site in ["cross-site", "same-site", "none"] {
        let page = victim.clone().post_with(&consent, &fields, &[("sec-fetch-site", site)]).await;
        assert_eq!(page.status, 403, "{site}");
    }
    let page =
        victim.clone().post_with(&consent, &fields, &[("origin", "https://evil.example")]).await;
    assert_eq!(page.status, 403);
    // With a ticket that was altered, or none.
    let mut altered = ticket.clone().into_bytes();
    let middle = altered.len() / 2;
    altered[middle] = if altered[middle] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let fields_altered = [("ticket", altered.as_str()), ("decision", "allow")];
    assert_eq!(victim.clone().post(&consent, &fields_altered).await.status, 403);
    assert!(victim.clone().post(&consent, &answer("")).await.status >= 400);
    assert!(victim.clone().post(&consent, &[("ticket", &ticket)]).await.status >= 400);
    // By a link.
    let by_link = format!("{consent}?ticket={ticket}&decision=allow");
    assert_eq!(victim.clone().get(&by_link).await.status, 405);
    // None of these began anything; the right answer does.
    let page = victim.post(&consent, &fields).await;
    assert!(page.location().unwrap().as_str().starts_with(issuer.idp()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_may_decline() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let mut browser = Browser::default();
    let ticket = browser.get(&issuer.authorize(&client, &[])).await.field("ticket");
    let fields = [("ticket", ticket.as_str()), ("decision", "deny")];
    let to = browser.post(&issuer.url("/consent"), &fields).await.location().unwrap();
    assert_eq!(parameter(&to, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&to, "state").as_deref(), Some("client-state"));
    assert!(parameter(&to, "code").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_planted_is_of_no_use() {
    let issuer = Issuer::start("ada", &json!({}));
    let client = issuer.register(&[REDIRECT]).await;
    let mut mallory = Browser::default();
    // Mallory logs in up to the callback and lures the victim there: whose account would it be?
    let callback = issuer.until_callback(&mut mallory, &issuer.authorize(&client, &[])).await;
    let mut victim = Browser::default();
    assert_eq!(victim.get(callback.as_str()).await.status, 403, "no cookie");
    victim.get(&issuer.authorize(&client, &[])).await;
    assert_eq!(victim.get(callback.as_str()).await.status, 403, "another browser's cookie");
    // A cookie that she chose is not taken over.
    let mut planted = Browser::default();
    planted.cookies(&issuer.base).insert("mxcp-login".into(), "a".repeat(43));
    planted.cookies(&issuer.base).insert("__Host-mxcp-login".into(), "a".repeat(43));
    assert_eq!(planted.get(callback.as_str()).await.status, 403);
    // In her own browser it works.
    let page = mallory.get(callback.as_str()).await;
    assert!(page.location().is_some(), "{} {}", page.status, page.body);
}
