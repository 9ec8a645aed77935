//! A provider of OpenID Connect made for tests, and a verifier of its tokens.

use std::sync::{Arc, Mutex};

use mxcp_runtime::auth::clock::Clock;
use mxcp_runtime::auth::fetch::{Fetcher, Rules};
use mxcp_runtime::auth::provider::{Deployment, Provider, Settings, kind};
use mxcp_runtime::auth::verifier::{Demands, Refused, Verified, Verifier};
use mxcp_runtime::config::Concealed;
use mxcp_tests::identity::server::{Answer, Seen, Server};
use mxcp_tests::identity::signer::Signer;
use serde_json::{Value, json};

pub(crate) const AUDIENCE: &str = "https://mcp.example/mcp";
pub(crate) const CLIENT: &str = "client-1";
pub(crate) const SECRET: &str = "a secret/with+odd characters";

/// What the provider says; a test changes it as it likes.
#[derive(Debug, Default)]
pub(crate) struct Says {
    pub keys: Vec<Value>,
    /// the whole key set as text, whatever it is
    pub raw_keys: Option<String>,
    pub introspection: Value,
    pub userinfo: Value,
    pub token: Value,
    /// members of the discovery document to change; null removes
    pub discovery: Value,
    /// paths that answer 503
    pub down: Vec<&'static str>,
}

pub(crate) struct World {
    pub server: Server,
    pub says: Arc<Mutex<Says>>,
    pub signer: Signer,
    pub clock: Clock,
    pub provider: Arc<dyn Provider>,
    pub verifier: Verifier,
}

pub(crate) fn deployment() -> Deployment {
    let fetcher = Fetcher::new(Rules::default()).unwrap();
    Deployment { fetcher, clock: Clock::default() }
}

pub(crate) fn settings(values: &[(&str, &str)]) -> Settings {
    Settings {
        client_id: CLIENT.into(),
        client_secret: Some(Concealed::new(SECRET.into())),
        values: values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        ..Settings::default()
    }
}

pub(crate) fn demands() -> Demands {
    Demands {
        audiences: vec![AUDIENCE.into()],
        client_id: CLIENT.into(),
        allow_unaudienced: false,
        ask_userinfo: false,
    }
}

pub(crate) async fn world() -> World {
    with(demands()).await
}

pub(crate) async fn with(demands: Demands) -> World {
    let signer = Signer::new("key-1", "ES256");
    let says = Arc::new(Mutex::new(Says { keys: vec![signer.jwk()], ..Says::default() }));
    let heard = Arc::clone(&says);
    let server = Server::start(move |base, seen| answer(base, seen, &heard.lock().unwrap())).await;
    let deployment = deployment();
    let config_url = format!("{}/.well-known/openid-configuration", server.base);
    let settings = settings(&[("config_url", &config_url), ("provider_name", "acme")]);
    let provider = (kind("oidc").unwrap().build)(&settings, &deployment).unwrap();
    let verifier = Verifier::new(Arc::clone(&provider), &deployment, demands);
    let clock = deployment.clock.clone();
    World { server, says, signer, clock, provider, verifier }
}

fn answer(base: &str, seen: &Seen, says: &Says) -> Answer {
    if says.down.contains(&seen.path.as_str()) {
        return Answer::text(503, "down");
    }
    match seen.path.as_str() {
        "/.well-known/openid-configuration" => {
            let mut document = json!({
                "issuer": base,
                "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/jwks"),
                "introspection_endpoint": format!("{base}/introspect"),
                "userinfo_endpoint": format!("{base}/userinfo"),
                "revocation_endpoint": format!("{base}/revoke"),
            });
            for (name, value) in says.discovery.as_object().into_iter().flatten() {
                match value {
                    Value::Null => drop(document.as_object_mut().unwrap().remove(name)),
                    value => document[name] = value.clone(),
                }
            }
            Answer::json(&document)
        }
        "/jwks" => match &says.raw_keys {
            Some(text) => Answer::text(200, text),
            None => Answer::json(&json!({ "keys": says.keys })),
        },
        "/introspect" => given(&says.introspection),
        "/userinfo" => given(&says.userinfo),
        "/token" => given(&says.token),
        "/revoke" => Answer::json(&json!({})),
        _ => Answer::text(404, "{}"),
    }
}

/// A string is a body as it is, `{"status": …, "body": …}` one with a status, else JSON.
fn given(value: &Value) -> Answer {
    match (value, value.get("status").and_then(Value::as_u64)) {
        (Value::Null, _) => Answer::text(401, "{}"),
        (Value::String(text), _) => Answer::text(200, text),
        (value, Some(status)) => Answer::status(u16::try_from(status).unwrap(), &value["body"]),
        (value, None) => Answer::json(value),
    }
}

impl World {
    /// Claims that are good.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.now_s();
        json!({
            "iss": self.server.base,
            "sub": "person-1",
            "aud": AUDIENCE,
            "exp": now + 300,
            "iat": now,
            "client_id": "agent",
            "scope": "read write",
            "role": "nurse",
        })
    }

    /// Good claims with changes; null removes.
    pub(crate) fn claims_with(&self, changes: &Value) -> Value {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.says.lock().unwrap());
    }

    pub(crate) async fn verify(&self, token: &str) -> Result<Verified, Refused> {
        self.verifier.verify(token).await
    }

    /// Checks that a token is refused as bad, for a reason that says this.
    #[track_caller]
    pub(crate) fn refused(&self, outcome: Result<Verified, Refused>, reason: &str) {
        match outcome {
            Err(Refused::Invalid(text)) => assert!(text.contains(reason), "{text}"),
            other => panic!("{other:?} instead of a refusal that says `{reason}`"),
        }
    }
}
