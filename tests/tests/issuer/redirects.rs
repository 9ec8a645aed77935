//! Where people may be sent: open redirects and near-misses of redirect URIs.

use mxcp_tests::identity::browser::Browser;
use mxcp_tests::identity::issuer::{Issuer, parameter};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn near_misses_are_never_followed() {
    let issuer = Issuer::start("ada", &json!({}));
    let good = "https://client.example/cb?app=1";
    let client = issuer.register(&[good, "http://127.0.0.1:4711/cb"]).await;
    let mut browser = Browser::default();
    for near in [
        "https://client.example/cb",
        "https://client.example/cb?app=1&x=1",
        "https://client.example/cb?app=1#",
        "https://client.example/cb/?app=1",
        "https://client.example/cb/../cb?app=1",
        "https://client.example/%63b?app=1",
        "https://client.example/CB?app=1",
        "https://CLIENT.example/cb?app=1",
        "https://client.example:443/cb?app=1",
        "https://client.example:8443/cb?app=1",
        "http://client.example/cb?app=1",
        "https://client.example.evil.example/cb?app=1",
        "https://evil.example/cb?app=1",
        "https://client.example@evil.example/cb?app=1",
        "https://evil.example/https://client.example/cb?app=1",
        "https://client.example\\@evil.example/cb?app=1",
        "https://client.example%2eevil.example/cb?app=1",
        "https://sub.client.example/cb?app=1",
        " https://client.example/cb?app=1",
        "https://client.example/cb?app=1 ",
        "https://client.example/cb?app=1\n",
        "//client.example/cb?app=1",
        "/cb?app=1",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://127.0.0.1:4711/cb/",
        "http://127.0.0.1:4711/",
        "http://127.0.0.1:4711/cb?x=1",
        "http://localhost:4711/cb",
        "http://[::1]:4711/cb",
        "http://127.0.0.2:4711/cb",
        "https://127.0.0.1:4711/cb",
        "http://127.0.0.1.evil.example:4711/cb",
        "http://127.0.0.1:4711@evil.example/cb",
        "http://user@127.0.0.1:4711/cb",
        "http://127.0.0.1:4711x/cb",
        "http://2130706433:4711/cb",
    ] {
        let page = browser.get(&issuer.authorize(&client, &[("redirect_uri", near)])).await;
        assert_eq!(page.status, 400, "{near}: {}", page.body);
        assert!(page.location().is_none(), "{near}");
        assert!(!page.body.contains("name=\"ticket\""), "{near}");
    }
    for good in
        [good, "http://127.0.0.1:4711/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"]
    {
        let page = browser.get(&issuer.authorize(&client, &[("redirect_uri", good)])).await;
        assert_eq!(page.status, 200, "{good}: {}", page.body);
        page.field("ticket");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_nobody_knows_is_no_way_out() {
    let issuer = Issuer::start("ada", &json!({}));
    let mut browser = Browser::default();
    for client in [
        "nobody",
        "https://127.0.0.1/client",
        "http://localhost:1/client",
        "https://client.example:x",
    ] {
        let evil = [("redirect_uri", "https://evil.example/")];
        let page = browser.get(&issuer.authorize(client, &evil)).await;
        assert!((400..600).contains(&page.status), "{client}: {}", page.status);
        assert!(page.location().is_none(), "{client}");
        assert!(page.headers.contains_key("content-security-policy"));
    }
    // Two of a parameter: whoever reads the other one is deceived.
    let client = issuer.register(&["https://client.example/cb"]).await;
    let twice = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example%2F",
        issuer.authorize(&client, &[("redirect_uri", "https://client.example/cb")])
    );
    let page = browser.get(&twice).await;
    assert!(page.status >= 400 && page.location().is_none(), "{}", page.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirect_uris_that_may_not_be_registered() {
    let issuer = Issuer::start("ada", &json!({}));
    for uri in [
        "http://client.example/cb",
        "http://10.0.0.1/cb",
        "https://client.example/cb#fragment",
        "https://user@client.example/cb",
        "https://user:word@client.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "ftp://client.example/",
        "/cb",
        "",
        "https://",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        &format!("https://client.example/{}", "x".repeat(4_000)),
    ] {
        let page = issuer.try_register(&json!({ "redirect_uris": [uri] })).await;
        assert_eq!(page.status, 400, "{uri}: {}", page.body);
    }
    for body in [
        json!({}),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": "https://client.example/" }),
        json!({ "redirect_uris": [1] }),
        json!({ "redirect_uris": ["https://c.example/"], "client_name": ["x"] }),
        json!({ "redirect_uris": ["https://c.example/"], "grant_types": ["implicit"] }),
        json!({ "redirect_uris": ["https://c.example/"], "response_types": ["token"] }),
        json!({ "redirect_uris": ["https://c.example/"], "token_endpoint_auth_method": "private_key_jwt" }),
        json!([]),
    ] {
        let page = issuer.try_register(&body).await;
        assert_eq!(page.status, 400, "{body}: {}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_asks_wrongly_it_is_told_and_nobody_else() {
    let issuer = Issuer::start("ada", &json!({}));
    // To a program on their own machine people are sent at once; to a place that a stranger registered
    // there is a link, and they see where it leads (RFC 9700 §4.11.2).
    let (here, far) = ("http://127.0.0.1:7/cb", "https://client.example/cb");
    let client = issuer.register(&[here, far]).await;
    let mut browser = Browser::default();
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "code token", "unsupported_response_type"),
        ("response_mode", "fragment", "invalid_request"),
        ("request", "eyJ", "request_not_supported"),
        ("request_uri", "https://evil.example/", "request_uri_not_supported"),
        ("resource", "https://evil.example/mcp", "invalid_target"),
        ("resource", "not a url", "invalid_target"),
    ] {
        for back in [here, far] {
            let changes = [("redirect_uri", back), (name, value)];
            let page = browser.get(&issuer.authorize(&client, &changes)).await;
            let to = if back == here { page.location() } else { page.link() };
            let to = to.unwrap_or_else(|| panic!("{name}={value}: {}", page.status));
            assert_eq!(page.location().is_some(), back == here, "{name}={value}");
            assert!(to.as_str().starts_with(&format!("{back}?")), "{to}");
            assert_eq!(parameter(&to, "error").as_deref(), Some(error), "{name}={value}");
            assert_eq!(parameter(&to, "state").as_deref(), Some("client-state"));
            assert_eq!(parameter(&to, "iss").as_deref(), Some(&*issuer.base));
            assert!(parameter(&to, "code").is_none());
        }
    }
}
