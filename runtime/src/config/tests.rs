//! Tests of configuration.

use std::collections::HashMap;
use std::io;

use super::*;
use crate::auth::config::Kept;

#[derive(Default)]
struct World {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, &'static str>,
    mode: Option<u32>,
}

impl World {
    fn with(file: &'static str) -> Self {
        let mut world = Self::default();
        world.variables.insert("HOME", "/home/ada");
        world.files.insert("/home/ada/.mxcp/config.yml", file);
        world
    }

    fn load(&self) -> Result<Config, ConfigError> {
        self.load_wanting(&[])
    }

    fn load_wanting(&self, secrets: &[&str]) -> Result<Config, ConfigError> {
        let secrets: Vec<String> = secrets.iter().map(|name| (*name).to_owned()).collect();
        load(None, self, Wanted { project: "clinic", profile: "dev", secrets: &secrets })
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

impl Surroundings for World {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = path.to_str().and_then(|path| self.files.get(path));
        content.map(|text| text.as_bytes().to_vec()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn mode(&self, _: &Path) -> Option<u32> {
        self.mode
    }
}

#[test]
fn without_a_file_there_are_defaults() {
    let config = World::default().load().unwrap();
    assert_eq!(config.transport, Transport::default());
    let mut world = World::default();
    world.variables.insert("HOME", "/home/ada");
    assert!(world.load().is_ok());
    world.variables.insert("MXCP_CONFIG", "/missing.yml");
    assert!(world.error().contains("`/missing.yml` cannot be read"));
}

#[test]
fn references_are_resolved_where_they_are_used() {
    let mut world = World::with(
        "mxcp: 1
transport: {http: {host: '${HOST}', port: 9000, base_url: 'https://${HOST}/x'}}
projects:
  clinic:
    profiles:
      dev:
        audit: {signing_key: 'file:///keys/sign', hmac_key: '${HMAC}'}
        secrets:
          - {name: api, type: http, parameters: {token: 'Bearer ${TOKEN}', nested: ['${TOKEN}', 1]}}
      other:
        secrets: [{name: x, type: http, parameters: {token: '${UNSET}'}}]
",
    );
    world.variables.extend([("HOST", "h.example"), ("HMAC", "k"), ("TOKEN", "t0k3n")]);
    world.files.insert("/keys/sign", "  s1gn\n");
    let config = world.load_wanting(&["api"]).unwrap();
    assert_eq!(config.transport.host.as_deref(), Some("h.example"));
    assert_eq!(config.transport.base_url.as_deref(), Some("https://h.example/x"));
    assert_eq!(config.audit.signing_key.as_ref().unwrap().expose(), "s1gn");
    let expected = serde_json::json!({"token": "Bearer t0k3n", "nested": ["t0k3n", 1]});
    assert_eq!(config.secrets[0].parameters.expose(), &expected);
    let printed = format!("{config:?}");
    assert!(!printed.contains("t0k3n") && !printed.contains("s1gn"), "{printed}");
    let missing = world.load_wanting(&["db"]).unwrap_err().to_string();
    assert!(missing.contains("`db`") && missing.contains("projects.clinic.profiles.dev.secrets"));
}

#[test]
fn what_leads_nowhere_names_place_and_reference_and_no_value() {
    let world = World::default();
    let error = |text: &str| resolve(text, "a.b", &world).unwrap_err().to_string();
    assert_eq!(error("x${NOPE}"), "`a.b`: the environment variable `NOPE` is not set");
    assert!(error("${NOPE:-secret}").contains("no syntax for defaults"));
    assert!(error("${").contains("must be followed"));
    assert!(error("file:///nope").starts_with("`a.b`: the file `/nope` cannot be read"));
    assert!(error("vault://kv/secret#field").contains("`vault://` references"));
    assert!(error("op://v/i/f").contains("`op://` references"));
    assert_eq!(resolve("$5 {x} $", "a.b", &world).unwrap(), "$5 {x} $");
}

#[test]
fn authentication_is_resolved_with_its_place() {
    let file = "
projects:
  clinic:
    profiles:
      dev:
        auth:
          provider: keycloak
          keycloak: {client_id: app, client_secret: '${SECRET}', server_url: 'https://${HOST}', realm: r}
          clients: [{client_id: c, client_secret: '${SECRET}', redirect_uris: ['https://${HOST}/cb']}]
          authorization: {required_scopes: [read]}
";
    let mut world = World::with(file);
    let error = world.error();
    assert!(
        error.contains("`projects.clinic.profiles.dev.auth.keycloak.client_secret`"),
        "{error}"
    );
    world.variables.extend([("SECRET", "s3cr3t"), ("HOST", "h.example")]);
    let config = world.load().unwrap();
    let auth = config.auth.as_ref().unwrap();
    assert_eq!(auth.provider.values[0], ("server_url".into(), "https://h.example".into()));
    assert_eq!(auth.provider.callback_path, "/auth/keycloak/callback");
    assert_eq!(auth.store, Kept::File("/home/ada/.mxcp/oauth.db".into()));
    assert_eq!(auth.clients[0].redirect_uris, ["https://h.example/cb"]);
    assert_eq!(auth.required_scopes, ["read"]);
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn a_database_that_replicas_share_is_resolved_and_its_address_does_not_print() {
    let file = "
projects:
  clinic:
    profiles:
      dev:
        auth:
          provider: github
          github: {client_id: a}
          persistence:
            type: postgres
            url: 'postgresql://mxcp:${PASSWORD}@db.example/sessions'
            ca: '~/ca.pem'
            auth_encryption_key: '${KEY}'
";
    let mut world = World::with(file);
    world.variables.extend([("PASSWORD", "hunter2"), ("KEY", "k3y")]);
    let config = world.load().unwrap();
    let auth = config.auth.as_ref().unwrap();
    let url = Concealed::new("postgresql://mxcp:hunter2@db.example/sessions".to_owned());
    assert_eq!(auth.store, Kept::Database { url, ca: Some("/home/ada/ca.pem".into()) });
    let printed = format!("{config:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("k3y"), "{printed}");
}

#[test]
fn nothing_that_is_configured_wrongly_is_ignored() {
    let auth = |auth: &str| {
        let file = format!("projects: {{clinic: {{profiles: {{dev: {{auth: {auth}}}}}}}}}");
        World::with(file.leak())
    };
    assert_eq!(auth("{provider: none}").load().unwrap().auth, None);
    assert!(auth("{provider: [github]}").load().is_err());
    assert!(auth("{provider: gihub}").error().contains("did you mean `github`"));
    assert!(auth("{provider: github}").error().contains("needs `github`"));
    for (persistence, place, words) in [
        ("type: postgres", "url", "the address of the database"),
        ("type: postgres, url: 'postgresql://h/d'", "auth_encryption_key", "for all replicas"),
        ("type: postgres, url: 'postgresql://h/d', path: /p", "path", "is at `url`"),
        ("url: 'postgresql://h/d'", "url", "it is for `type: postgres`"),
        ("ca: a.pem", "ca", "it is for `type: postgres`"),
    ] {
        let file = format!(
            "{{provider: github, github: {{client_id: a}}, persistence: {{{persistence}}}}}"
        );
        let error = auth(&file).error();
        let place = format!("auth.persistence.{place}`");
        assert!(error.contains(&place) && error.contains(words), "{persistence}: {error}");
    }
    let tls = World::with("transport: {http: {tls: {cert: 'a', key: '${NOPE}'}}}");
    assert!(tls.error().contains("`transport.http.tls.key`"));
    let proxies = "transport: {http: {trust_proxy: true, trusted_proxies: [everywhere]}}";
    assert!(World::with(proxies).error().contains("`everywhere` is no network"));
    let mut profile = World::default();
    profile.variables.insert("MXCP_PROFILE", "prod");
    assert!(profile.error().contains("the bundle holds `dev`"));
    assert_eq!(World::with("transport: {provider: sse}").load().unwrap().notes.len(), 1);
}

#[test]
fn a_file_with_secrets_is_for_its_owner_alone() {
    let with = |profile: &str, mode| {
        let file = format!("projects: {{clinic: {{profiles: {{other: {{{profile}}}}}}}}}");
        World { mode: Some(mode), ..World::with(file.leak()) }
    };
    let secrets = [
        "auth: {provider: github, github: {client_id: a, client_secret: b}}",
        "auth: {clients: [{client_id: a, client_secret: b, redirect_uris: []}]}",
        "auth: {persistence: {auth_encryption_key: b}}",
        "auth: {persistence: {type: postgres, url: 'postgresql://u:p@h/d'}}",
        "audit: {hmac_key: b}",
        "secrets: [{name: a, type: s3, parameters: {SECRET: b}}]",
        "secrets: [{name: a, type: http, parameters: {extra: {token: [b]}}}]",
        "plugin: {config: {crm: {api_key: b}}}",
        "telemetry: {headers: {x-api: b}}",
        "auth: {provider: oidc, oidc: {config_url: 'https://a/', client_id: a, scope: openid, \
         extra_authorize_params: {access_key: b}}}",
    ];
    for secret in secrets {
        for mode in [0o100_644, 0o100_640, 0o100_602] {
            let error = with(secret, mode).error();
            assert!(error.contains("run `chmod 600 /home/ada/.mxcp/config.yml`"), "{secret}");
        }
        assert!(with(secret, 0o100_600).load().is_ok(), "{secret}");
    }
    let models = "models: {models: {claude: {type: claude, api_key: b}}}";
    let mut world = World { mode: Some(0o100_644), ..World::with(models) };
    assert!(world.error().contains("run `chmod 600"), "{}", world.error());
    world.mode = Some(0o100_600);
    assert!(world.load().is_ok());
    let file = "projects: {clinic: {profiles: {dev: {audit: {hmac_key: 'file:///k'}}}}}";
    let mut world = World { mode: Some(0o100_644), ..World::with(file) };
    world.files.insert("/k", "k");
    assert!(world.error().contains("run `chmod 600 /k`"), "{}", world.error());
    world.mode = Some(0o100_600);
    assert!(world.load().is_ok());
    for other in [
        "auth: {provider: github, github: {client_id: a, client_secret: '${B}'}}",
        "secrets: [{name: a, type: s3, parameters: {region: eu, SECRET: 'file:///b'}}]",
    ] {
        assert!(with(other, 0o100_644).load().is_ok(), "{other}");
    }
}

#[test]
fn mistakes_are_told_with_their_line() {
    let error = World::with("mxcp: 1\ntransport:\n  provder: stdio\n").error();
    assert!(error.contains("line 3") && error.contains("provder"), "{error}");
}

#[test]
fn a_switch_says_yes_or_no_or_is_refused() {
    let read = |text| {
        let mut world = World::default();
        world.variables.insert("MXCP_AUDIT_ENABLED", text);
        switch("MXCP_AUDIT_ENABLED", &world)
    };
    for (text, expected) in [
        ("", None),
        ("1", Some(true)),
        ("True", Some(true)),
        ("on", Some(true)),
        ("0", Some(false)),
        ("FALSE", Some(false)),
        ("no", Some(false)),
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
    for text in ["ture", "maybe", "2", " true"] {
        assert!(matches!(read(text), Err(ConfigError::Switch { .. })), "{text}");
    }
    assert_eq!(switch("MXCP_READONLY", &World::default()).unwrap(), None);
}
