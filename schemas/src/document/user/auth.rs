//! `auth` of a profile: which identity provider vouches for callers, and how.

use std::fmt;

use super::super::Spanned;
use super::super::lift::{Lift, list};
use crate::document::code::INVALID_VALUE;
use crate::yaml::{Kind, Node};

/// Where the provider sends people back unless said otherwise, followed by its name and
/// `/callback`.
pub const DEFAULT_CALLBACK_PREFIX: &str = "/auth";
/// Where sessions are kept unless said otherwise.
pub const DEFAULT_STORE: &str = "~/.mxcp/oauth.db";

/// How callers are authenticated. Values hold references to resolve and secrets, so they do not
/// print.
#[derive(Clone, PartialEq)]
pub struct Auth {
    /// whose tokens clients bring
    pub mode: Mode,
    /// name of the identity provider; none when everybody is anonymous
    pub provider: Option<Spanned<String>>,
    /// what is set for that provider
    pub settings: Settings,
    /// clients that are known beforehand
    pub clients: Vec<Client>,
    /// scopes that a token must have for anything at all
    pub required_scopes: Vec<String>,
    /// where sessions are kept
    pub persistence: Persistence,
}

/// Whose tokens clients bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// ours: the server is also the authorization server that clients talk to
    #[default]
    Issuer,
    /// the identity provider's own
    Verifier,
}

/// What is set for an identity provider.
#[derive(Clone, PartialEq, Default)]
pub struct Settings {
    /// keys with a text, unresolved
    pub texts: Vec<(String, String)>,
    /// audiences that tokens are for
    pub audience: Vec<String>,
    /// whether a token is accepted that nothing says is meant for this server
    pub allow_unaudienced: bool,
    /// whether userinfo is asked for claims that a token does not have
    pub ask_userinfo: bool,
    /// from claims to capabilities
    pub claim_mappings: Vec<ClaimMapping>,
    /// further parameters of the authorization request
    pub extra_authorize_params: Vec<(String, String)>,
}

/// Capabilities that the values of a claim give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimMapping {
    /// the claim: an exact key, else a path along dots
    pub claim: String,
    /// values, each with the capabilities that it gives
    pub values: Vec<(String, Vec<String>)>,
}

/// A client that is known beforehand.
#[derive(Clone, PartialEq, Eq)]
pub struct Client {
    /// its id
    pub client_id: String,
    /// what people are told it is called
    pub name: Option<String>,
    /// its secret, unresolved; a client without one is public
    pub client_secret: Option<String>,
    /// where people may be sent back
    pub redirect_uris: Vec<String>,
    /// what it may use
    pub grant_types: Vec<String>,
    /// scopes that it may ask for; empty is any
    pub scopes: Vec<String>,
}

/// Where sessions are kept.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Persistence {
    /// which kind of database
    pub kind: StoreKind,
    /// its file, unresolved
    pub path: Option<String>,
    /// its address, unresolved
    pub url: Option<String>,
    /// file of the certificates that vouch for it, unresolved
    pub ca: Option<String>,
    /// key under which provider tokens are encrypted, unresolved
    pub auth_encryption_key: Option<String>,
}

/// Kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreKind {
    /// a file
    #[default]
    Sqlite,
    /// a server that several replicas share
    Postgres,
}

/// The keys of an identity provider's section besides [`COMMON_KEYS`].
#[derive(Debug, Clone, Copy)]
pub struct ProviderKeys {
    /// name of the provider and of its section
    pub name: &'static str,
    /// keys that have to be there
    pub required: &'static [&'static str],
    /// keys that may be there
    pub optional: &'static [&'static str],
}

/// Keys of every provider's section.
pub const COMMON_KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "scope",
    "callback_path",
    "claim_mappings",
    "audience",
    "allow_unaudienced",
    "ask_userinfo",
];

/// The identity providers, sorted by name.
pub static PROVIDERS: &[ProviderKeys] = &[
    ProviderKeys {
        name: "atlassian",
        required: &[],
        optional: &["auth_url", "token_url", "api_url"],
    },
    ProviderKeys { name: "github", required: &[], optional: &["auth_url", "token_url", "api_url"] },
    ProviderKeys {
        name: "google",
        required: &[],
        optional: &[
            "auth_url",
            "token_url",
            "userinfo_url",
            "tokeninfo_url",
            "jwks_url",
            "issuer",
            "revoke_url",
        ],
    },
    ProviderKeys { name: "keycloak", required: &["server_url", "realm"], optional: &[] },
    ProviderKeys {
        name: "oidc",
        required: &["config_url"],
        optional: &["provider_name", "extra_authorize_params"],
    },
    ProviderKeys {
        name: "salesforce",
        required: &[],
        optional: &["auth_url", "token_url", "userinfo_url"],
    },
];

const GRANT_TYPES: &[&str] = &["authorization_code", "refresh_token"];

impl Settings {
    /// The text of a key, unresolved.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts.iter().find(|(name, _)| name == key).map(|(_, text)| text.as_str())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("mode", &self.mode)
            .field("provider", &self.provider.as_ref().map(|name| &name.value))
            .finish_non_exhaustive()
    }
}

/// Reads the section.
pub(super) fn read(lift: &mut Lift<'_>, node: &Node) -> Auth {
    let names = PROVIDERS.iter().map(|provider| provider.name);
    let fixed = ["mode", "provider", "clients", "authorization", "persistence"];
    let known: Vec<&str> = fixed.into_iter().chain(names).collect();
    lift.map(node, "`auth`", &known);
    let modes = [("issuer", Mode::Issuer), ("verifier", Mode::Verifier)];
    let mode = node.get("mode").and_then(|n| lift.choice(n, "`mode`", &modes)).unwrap_or_default();
    let mut sections = PROVIDERS.iter().filter_map(|keys| {
        let section = node.get(keys.name)?;
        Some((keys.name, settings(lift, section, keys)))
    });
    let sections: Vec<(&str, Settings)> = sections.by_ref().collect();
    let provider = node.get("provider").and_then(|n| provider(lift, n));
    let mut settings = Settings::default();
    if let Some(name) = &provider {
        match sections.into_iter().find(|(known, _)| *known == name.value) {
            Some((_, found)) => settings = found,
            None => {
                lift.missing(node, name.span, "`auth`", &name.value);
            }
        }
    }
    let required = node.get("authorization").map_or_else(Vec::new, |n| {
        lift.map(n, "`authorization`", &["required_scopes"]);
        n.get("required_scopes").map_or_else(Vec::new, |n| texts(lift, n, "`required_scopes`"))
    });
    Auth {
        mode,
        provider,
        settings,
        clients: node.get("clients").map_or_else(Vec::new, |n| clients(lift, n)),
        required_scopes: required,
        persistence: node
            .get("persistence")
            .map_or_else(Persistence::default, |n| persistence(lift, n)),
    }
}

/// The name of a provider; `none` and nothing are none.
fn provider(lift: &mut Lift<'_>, node: &Node) -> Option<Spanned<String>> {
    if node.kind == Kind::Null {
        return None;
    }
    let text = lift.text(node, "`provider`")?;
    if text.value == "none" {
        return None;
    }
    let words: Vec<&str> =
        std::iter::once("none").chain(PROVIDERS.iter().map(|provider| provider.name)).collect();
    if !words.contains(&text.value.as_str()) {
        lift.not_a_choice(&INVALID_VALUE, &text.as_ref(), "`provider`", &words);
        return None;
    }
    Some(text)
}

fn settings(lift: &mut Lift<'_>, node: &Node, keys: &ProviderKeys) -> Settings {
    let what = format!("`{}`", keys.name);
    let own = keys.required.iter().chain(keys.optional).copied();
    let known: Vec<&str> = COMMON_KEYS.iter().copied().chain(own).collect();
    lift.map(node, &what, &known);
    for key in std::iter::once(&"client_id").chain(keys.required) {
        if node.get(key).is_none() {
            lift.missing(node, node.span, &what, key);
        }
    }
    let mut settings = Settings::default();
    for key in known {
        let Some(value) = node.get(key) else { continue };
        let what = format!("`{key}`");
        match key {
            "claim_mappings" => settings.claim_mappings = claim_mappings(lift, value),
            "audience" => settings.audience = audience(lift, value),
            "allow_unaudienced" => {
                settings.allow_unaudienced = lift.boolean(value, &what).unwrap_or(false);
            }
            "ask_userinfo" => {
                settings.ask_userinfo = lift.boolean(value, &what).unwrap_or(false);
            }
            "extra_authorize_params" => settings.extra_authorize_params = pairs(lift, value, &what),
            _ => {
                let text = lift.text(value, &what).map(|text| (key.to_owned(), text.value));
                settings.texts.extend(text);
            }
        }
    }
    if settings.text("callback_path").is_some_and(|path| !path.starts_with('/')) {
        let span = node.get("callback_path").map_or(node.span, |n| n.span);
        lift.report(&INVALID_VALUE, span, "`callback_path` must begin with `/`");
    }
    settings
}

/// One audience, or several.
fn audience(lift: &mut Lift<'_>, node: &Node) -> Vec<String> {
    match node.kind {
        Kind::Seq(_) => texts(lift, node, "`audience`"),
        _ => lift.text(node, "`audience`").map(|text| text.value).into_iter().collect(),
    }
}

fn pairs(lift: &mut Lift<'_>, node: &Node, what: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for entry in lift.entries(node, what).unwrap_or(&[]) {
        if let Some(text) = lift.text(&entry.value, &format!("`{}`", entry.key)) {
            pairs.push((entry.key.clone(), text.value));
        }
    }
    pairs
}

fn claim_mappings(lift: &mut Lift<'_>, node: &Node) -> Vec<ClaimMapping> {
    let mut mappings = Vec::new();
    for claim in lift.entries(node, "`claim_mappings`").unwrap_or(&[]) {
        let what = format!("`{}`", claim.key);
        let mut values = Vec::new();
        for value in lift.entries(&claim.value, &what).unwrap_or(&[]) {
            let what = format!("`{}`", value.key);
            values.push((value.key.clone(), texts(lift, &value.value, &what)));
        }
        mappings.push(ClaimMapping { claim: claim.key.clone(), values });
    }
    mappings
}

fn clients(lift: &mut Lift<'_>, node: &Node) -> Vec<Client> {
    let mut clients = Vec::new();
    for item in lift.list(node, "`clients`") {
        let known =
            ["client_id", "name", "client_secret", "redirect_uris", "grant_types", "scopes"];
        lift.map(item, "a client", &known);
        for key in ["client_id", "redirect_uris"] {
            if item.get(key).is_none() {
                lift.missing(item, item.span, "a client", key);
            }
        }
        let mut text = |key: &str| {
            item.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|text| text.value)
        };
        let (client_id, name, client_secret) =
            (text("client_id"), text("name"), text("client_secret"));
        let mut many = |key: &str| {
            item.get(key).map_or_else(Vec::new, |n| texts(lift, n, &format!("`{key}`")))
        };
        let (redirect_uris, scopes) = (many("redirect_uris"), many("scopes"));
        let grant_types = item.get("grant_types").map_or_else(
            || GRANT_TYPES.iter().map(|&grant| grant.to_owned()).collect(),
            |n| grant_types(lift, n),
        );
        if let Some(client_id) = client_id {
            let client =
                Client { client_id, name, client_secret, redirect_uris, grant_types, scopes };
            clients.push(client);
        }
    }
    clients
}

fn grant_types(lift: &mut Lift<'_>, node: &Node) -> Vec<String> {
    let found = lift.texts(node, "`grant_types`");
    for text in &found {
        if !GRANT_TYPES.contains(&text.value.as_str()) {
            lift.not_a_choice(&INVALID_VALUE, &text.as_ref(), "a grant type", GRANT_TYPES);
        }
    }
    found.into_iter().map(|text| text.value).collect()
}

fn persistence(lift: &mut Lift<'_>, node: &Node) -> Persistence {
    lift.map(node, "`persistence`", &["type", "path", "url", "ca", "auth_encryption_key"]);
    let kinds = [("sqlite", StoreKind::Sqlite), ("postgres", StoreKind::Postgres)];
    let kind = node.get("type").and_then(|n| lift.choice(n, "`type`", &kinds)).unwrap_or_default();
    let mut text =
        |key: &str| node.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|t| t.value);
    Persistence {
        kind,
        path: text("path"),
        url: text("url"),
        ca: text("ca"),
        auth_encryption_key: text("auth_encryption_key"),
    }
}

fn texts(lift: &mut Lift<'_>, node: &Node, what: &str) -> Vec<String> {
    lift.texts(node, what).into_iter().map(|text| text.value).collect()
}

/// The names of all providers, for messages: `a`, `b` and `c`.
pub fn provider_names() -> String {
    list(&PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::document::USER_SCHEMA;

    #[test]
    fn the_schema_has_the_same_providers_with_the_same_keys() {
        let schema: Value = serde_json::from_str(USER_SCHEMA).unwrap();
        let auth = schema
            .pointer("/properties/projects/additionalProperties/properties/profiles")
            .and_then(|profiles| profiles.pointer("/additionalProperties/properties/auth"))
            .unwrap();
        let texts = |value: &Value| -> BTreeSet<String> {
            let items = value.as_array().into_iter().flatten();
            items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let mut names: BTreeSet<String> =
            PROVIDERS.iter().map(|provider| provider.name.to_owned()).collect();
        let described: BTreeSet<String> = auth["properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, section)| section["properties"].get("client_id").is_some())
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(described, names);
        names.insert("none".to_owned());
        assert_eq!(texts(&auth["properties"]["provider"]["enum"]), names);
        for provider in PROVIDERS {
            let section = &auth["properties"][provider.name];
            let own = provider.required.iter().chain(provider.optional).chain(COMMON_KEYS);
            let own: BTreeSet<String> = own.map(|key| (*key).to_owned()).collect();
            let known = section["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(own, known, "{}", provider.name);
            let required = provider.required.iter().chain(&["client_id"]);
            let required: BTreeSet<String> = required.map(|key| (*key).to_owned()).collect();
            assert_eq!(texts(&section["required"]), required, "{}", provider.name);
            assert_eq!(section["additionalProperties"], false, "{}", provider.name);
        }
    }

    #[test]
    fn providers_are_sorted_and_their_keys_are_their_own() {
        assert!(PROVIDERS.is_sorted_by_key(|provider| provider.name));
        for provider in PROVIDERS {
            for key in provider.required.iter().chain(provider.optional) {
                assert!(!COMMON_KEYS.contains(key), "{}: {key}", provider.name);
            }
        }
    }
}
