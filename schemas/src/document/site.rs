//! `mxcp-site.yml`: the project's own configuration.

use std::sync::Arc;

use super::Spanned;
use super::code::{INVALID_VALUE, USER_ATTRIBUTE};
use super::endpoint::check_version_value;
use super::lift::Lift;
use super::ty::{self, Type};
use crate::bundle::code::USER_ATTRIBUTES;
use crate::diagnostic::{Diagnostic, Span};
use crate::yaml::{self, Entry, Node};

/// What the site file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// project name
    pub project: Spanned<String>,
    /// the profile that is active unless another one is asked for
    pub profile: Spanned<String>,
    /// names of secrets that the user file must define
    pub secrets: Vec<Spanned<String>>,
    /// Python plugins
    pub plugins: Vec<Plugin>,
    /// DuckDB extensions with their repository
    pub extensions: Vec<(Spanned<String>, Option<String>)>,
    /// enabled SQL tools with their descriptions
    pub sql_tools: Vec<(Spanned<String>, Option<String>)>,
    /// folders
    pub paths: Paths,
    /// declared attributes of `user`
    pub user_attributes: Vec<UserAttribute>,
    /// words that exist, by attribute of `user` (`role`, `permissions`, `capabilities`, `groups`), as far
    /// as they are declared
    pub words: Vec<(&'static str, Vec<String>)>,
    /// profiles by name
    pub profiles: Vec<(Spanned<String>, Profile)>,
}

/// A Python plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// its name
    pub name: Spanned<String>,
    /// its module
    pub module: Option<String>,
    /// name of its configuration in the user file
    pub config: Option<String>,
}

/// A declared attribute of `user`.
#[derive(Debug, Clone, PartialEq)]
pub struct UserAttribute {
    /// its name in conditions
    pub name: Spanned<String>,
    /// the claim it is read from
    pub claim: String,
    /// its type
    pub ty: Type,
}

/// The folders of a project, relative to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// endpoint files of tools
    pub tools: String,
    /// endpoint files of resources
    pub resources: String,
    /// endpoint files of prompts
    pub prompts: String,
    /// evaluations
    pub evals: String,
    /// Python modules
    pub python: String,
    /// Python plugins
    pub plugins: String,
    /// SQL files
    pub sql: String,
    /// drift snapshots
    pub drift: String,
    /// audit trails
    pub audit: String,
    /// data files
    pub data: String,
}

impl Default for Paths {
    fn default() -> Self {
        let own = str::to_owned;
        Self {
            tools: own("tools"),
            resources: own("resources"),
            prompts: own("prompts"),
            evals: own("evals"),
            python: own("python"),
            plugins: own("plugins"),
            sql: own("sql"),
            drift: own("drift"),
            audit: own("audit"),
            data: own("data"),
        }
    }
}

/// One profile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// its database
    pub duckdb: DuckDb,
    /// drift snapshot
    pub drift_path: Option<String>,
    /// its audit trail
    pub audit: Audit,
    /// limits by name
    pub limits: Vec<(Spanned<String>, u64)>,
}

/// The database of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuckDb {
    /// database file
    pub path: Option<String>,
    /// opened without write access
    pub read_only: bool,
    /// as DuckDB reads it
    pub memory_limit: Option<String>,
    /// threads of a query
    pub threads: Option<u64>,
    /// whether SQL may reach files and networks
    pub external_access: bool,
    /// folders that SQL may reach all the same
    pub allowed_directories: Vec<String>,
    /// statement timeout
    pub query_timeout_ms: Option<u64>,
}

/// The audit trail of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// whether calls are recorded
    pub enabled: bool,
    /// the trail
    pub path: Option<String>,
    /// size of a segment
    pub max_file_size: Option<u64>,
    /// whether replies wait for their record; `None` is the default
    pub strict: Option<bool>,
    /// how long segments are kept
    pub retention_days: Option<u64>,
    /// words that redact a key's value
    pub redact_keys: Vec<String>,
    /// whether results are recorded
    pub output_data: bool,
}

/// The limits that a profile may set, sorted.
pub const LIMITS: [&str; 18] = [
    "max_argument_bytes",
    "max_body_bytes",
    "max_calls_per_principal",
    "max_calls_per_second",
    "max_concurrent_calls",
    "max_header_bytes",
    "max_json_depth",
    "max_open_sessions",
    "max_python_workers",
    "max_result_bytes",
    "max_result_rows",
    "max_template_output_bytes",
    "python_timeout_ms",
    "query_timeout_ms",
    "session_idle_ms",
    "shutdown_timeout_ms",
    "slow_request_timeout_ms",
    "sql_workers",
];

/// Reads the site file.
pub fn read(file: &Arc<str>, text: &str) -> (Option<Site>, Vec<Diagnostic>) {
    let (document, found) = yaml::read(file, text);
    let mut lift = Lift::new(file, text, found);
    let site = document.and_then(|document| read_root(&mut lift, &document.root));
    (site, lift.finish())
}

fn read_root(lift: &mut Lift<'_>, root: &Node) -> Option<Site> {
    let known = [
        "mxcp",
        "project",
        "profile",
        "secrets",
        "plugin",
        "extensions",
        "dbt",
        "sql_tools",
        "paths",
        "profiles",
        "policy",
    ];
    lift.map(root, "the site file", &known)?;
    if let Some(version) = root.get("mxcp") {
        check_version_value(lift, version);
    }
    if let Some(dbt) = root.get("dbt") {
        lift.entries(dbt, "`dbt`");
    }
    let mut required = |key: &str| match root.get(key) {
        Some(node) => lift.text(node, &format!("`{key}`")),
        None => {
            lift.missing(root, Span::new(0, 0), "the site file", key);
            None
        }
    };
    let (project, profile) = (required("project"), required("profile"));
    let site = Site {
        project: project?,
        profile: profile?,
        secrets: root.get("secrets").map_or_else(Vec::new, |n| lift.texts(n, "`secrets`")),
        plugins: root.get("plugin").map_or_else(Vec::new, |n| plugins(lift, n)),
        extensions: root.get("extensions").map_or_else(Vec::new, |n| extensions(lift, n)),
        sql_tools: root.get("sql_tools").map_or_else(Vec::new, |n| sql_tools(lift, n)),
        paths: root.get("paths").map_or_else(Paths::default, |n| paths(lift, n)),
        user_attributes: root.get("policy").map_or_else(Vec::new, |n| user_attributes(lift, n)),
        words: root.get("policy").map_or_else(Vec::new, |n| words(lift, n)),
        profiles: root.get("profiles").map_or_else(Vec::new, |n| profiles(lift, n)),
    };
    Some(site)
}

fn plugins(lift: &mut Lift<'_>, node: &Node) -> Vec<Plugin> {
    let mut plugins = Vec::new();
    for item in lift.list(node, "`plugin`") {
        lift.map(item, "a plugin", &["name", "module", "config"]);
        let mut text = |key: &str| item.get(key).and_then(|n| lift.text(n, &format!("`{key}`")));
        let (name, module, config) = (text("name"), text("module"), text("config"));
        match name {
            Some(name) => plugins.push(Plugin {
                name,
                module: module.map(|t| t.value),
                config: config.map(|t| t.value),
            }),
            None if item.get("name").is_none() => {
                lift.missing(item, item.span, "a plugin", "name");
            }
            None => {}
        }
    }
    plugins
}

fn extensions(lift: &mut Lift<'_>, node: &Node) -> Vec<(Spanned<String>, Option<String>)> {
    let mut extensions = Vec::new();
    for item in lift.list(node, "`extensions`") {
        if item.entries().is_none() {
            extensions.extend(lift.text(item, "an extension").map(|name| (name, None)));
            continue;
        }
        lift.map(item, "an extension", &["name", "repo"]);
        let repositories =
            [("community", "community"), ("core", "core"), ("core_nightly", "core_nightly")];
        let repo = item.get("repo").and_then(|n| lift.choice(n, "`repo`", &repositories));
        match item.get("name") {
            Some(name) => {
                let name = lift.text(name, "`name`");
                extensions.extend(name.map(|name| (name, repo.map(str::to_owned))));
            }
            None => {
                lift.missing(item, item.span, "an extension", "name");
            }
        }
    }
    extensions
}

fn sql_tools(lift: &mut Lift<'_>, node: &Node) -> Vec<(Spanned<String>, Option<String>)> {
    const TOOLS: [&str; 3] = ["execute_sql_query", "list_tables", "get_table_schema"];
    let known = ["enabled", "execute_sql_query", "list_tables", "get_table_schema"];
    let entries = lift.map(node, "`sql_tools`", &known).unwrap_or(&[]);
    let on = node
        .get("enabled")
        .is_some_and(|n| lift.boolean(n, "`sql_tools.enabled`").unwrap_or(false));
    let mut tools: Vec<(Spanned<String>, Option<String>)> = Vec::new();
    for name in TOOLS {
        let stated = entries.iter().find(|e| e.key == name);
        let description = stated.and_then(|entry| {
            lift.map(&entry.value, &format!("`{name}`"), &["description", "policies"]);
            let text = entry.value.get("description")?;
            lift.text(text, "`description`").map(|t| t.value)
        });
        if on {
            let span = stated.map_or(node.span, |e| e.key_span);
            tools.push((Spanned::new(name.to_owned(), span), description));
        }
    }
    tools
}

fn paths(lift: &mut Lift<'_>, node: &Node) -> Paths {
    let mut paths = Paths::default();
    let mut slots: [(&str, &mut String); 10] = [
        ("tools", &mut paths.tools),
        ("resources", &mut paths.resources),
        ("prompts", &mut paths.prompts),
        ("evals", &mut paths.evals),
        ("python", &mut paths.python),
        ("plugins", &mut paths.plugins),
        ("sql", &mut paths.sql),
        ("drift", &mut paths.drift),
        ("audit", &mut paths.audit),
        ("data", &mut paths.data),
    ];
    let known: Vec<&str> = slots.iter().map(|(key, _)| *key).collect();
    lift.map(node, "`paths`", &known);
    for (key, slot) in &mut slots {
        let text = node.get(key).and_then(|n| lift.text(n, &format!("`paths.{key}`")));
        if let Some(text) = text {
            let folder = text.value.trim_start_matches("./").trim_end_matches('/');
            // These may hold what is not the project's alone; all others are read with the project.
            let elsewhere = ["audit", "data", "drift"].contains(key);
            if folder.is_empty() || !(elsewhere || is_inside(folder)) {
                let shown = match text.value.as_str() {
                    "" => "empty".to_owned(),
                    path => format!("`{path}`"),
                };
                let message =
                    format!("`paths.{key}` must be a folder inside the project, not {shown}");
                lift.report(&INVALID_VALUE, text.span, message);
            } else {
                folder.clone_into(slot);
            }
        }
    }
    paths
}

/// Whether a relative path stays below the folder that it starts from.
fn is_inside(path: &str) -> bool {
    !path.starts_with('/')
        && !path.contains(['\\', ':'])
        && path.split('/').all(|part| part != "..")
}

fn user_attributes(lift: &mut Lift<'_>, node: &Node) -> Vec<UserAttribute> {
    let known = ["user_attributes", "roles", "permissions", "capabilities", "groups"];
    lift.map(node, "`policy`", &known);
    let Some(attributes) = node.get("user_attributes") else { return Vec::new() };
    let entries = lift.entries(attributes, "`user_attributes`").unwrap_or(&[]);
    let mut declared = Vec::with_capacity(entries.len());
    for entry in entries {
        let what = format!("the attribute `{}`", entry.key);
        let mut own = entry.value.clone();
        let claim = own
            .get("claim")
            .cloned()
            .and_then(|n| lift.text(&n, "`claim`"))
            .map_or_else(|| entry.key.clone(), |t| t.value);
        if let yaml::Kind::Map(entries) = &mut own.kind {
            entries.retain(|e| e.key != "claim");
        }
        check_attribute(lift, entry);
        let ty = ty::read(lift, &own, &what);
        let name = Spanned::new(entry.key.clone(), entry.key_span);
        declared.push(UserAttribute { name, claim, ty });
    }
    declared
}

fn words(lift: &mut Lift<'_>, node: &Node) -> Vec<(&'static str, Vec<String>)> {
    let keys = [
        ("roles", "role"),
        ("permissions", "permissions"),
        ("capabilities", "capabilities"),
        ("groups", "groups"),
    ];
    let mut words = Vec::new();
    for (key, attribute) in keys {
        if let Some(list) = node.get(key) {
            let texts = lift.texts(list, &format!("`policy.{key}`"));
            words.push((attribute, texts.into_iter().map(|text| text.value).collect()));
        }
    }
    words
}

/// Conditions use the name as it stands, and what is there already keeps its meaning.
fn check_attribute(lift: &mut Lift<'_>, entry: &Entry) {
    let name = entry.key.as_str();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name == "id" || USER_ATTRIBUTES.contains(&name) {
        let message = format!("`user.{name}` is there already");
        lift.report(&USER_ATTRIBUTE, entry.key_span, message).help.push(
            "give the attribute another name and say which `claim` it is read from".to_owned(),
        );
    } else if !name.chars().all(word) || name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!("`{name}` cannot be the name of an attribute");
        lift.report(&USER_ATTRIBUTE, entry.key_span, message)
            .help
            .push("names begin with a letter or `_`, then letters, digits and `_`".to_owned());
    }
}

fn profiles(lift: &mut Lift<'_>, node: &Node) -> Vec<(Spanned<String>, Profile)> {
    let entries = lift.entries(node, "`profiles`").unwrap_or(&[]);
    let mut profiles = Vec::with_capacity(entries.len());
    for entry in entries {
        let what = format!("the profile `{}`", entry.key);
        lift.map(&entry.value, &what, &["duckdb", "drift", "audit", "limits"]);
        let profile = Profile {
            duckdb: entry.value.get("duckdb").map_or_else(DuckDb::default, |n| duckdb(lift, n)),
            drift_path: entry.value.get("drift").and_then(|n| {
                lift.map(n, "`drift`", &["path"]);
                n.get("path").and_then(|n| lift.text(n, "`drift.path`")).map(|t| t.value)
            }),
            audit: entry.value.get("audit").map_or_else(Audit::default, |n| audit(lift, n)),
            limits: entry.value.get("limits").map_or_else(Vec::new, |n| limits(lift, n)),
        };
        profiles.push((Spanned::new(entry.key.clone(), entry.key_span), profile));
    }
    profiles
}

fn duckdb(lift: &mut Lift<'_>, node: &Node) -> DuckDb {
    let known = [
        "path",
        "readonly",
        "memory_limit",
        "threads",
        "external_access",
        "allowed_directories",
        "query_timeout_ms",
    ];
    lift.map(node, "`duckdb`", &known);
    let mut flag = |key: &str| {
        node.get(key).is_some_and(|n| lift.boolean(n, &format!("`{key}`")).unwrap_or(false))
    };
    let (read_only, external_access) = (flag("readonly"), flag("external_access"));
    let mut text =
        |key: &str| node.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|t| t.value);
    let (path, memory_limit) = (text("path"), text("memory_limit"));
    let mut number = |key: &str| node.get(key).and_then(|n| lift.positive(n, &format!("`{key}`")));
    let (threads, query_timeout_ms) = (number("threads"), number("query_timeout_ms"));
    let allowed = node.get("allowed_directories");
    DuckDb {
        path,
        read_only,
        memory_limit,
        threads,
        external_access,
        allowed_directories: allowed.map_or_else(Vec::new, |n| {
            lift.texts(n, "`allowed_directories`").into_iter().map(|t| t.value).collect()
        }),
        query_timeout_ms,
    }
}

fn audit(lift: &mut Lift<'_>, node: &Node) -> Audit {
    let known = [
        "enabled",
        "path",
        "max_file_size",
        "durability",
        "retention_days",
        "redact_keys",
        "output_data",
    ];
    lift.map(node, "`audit`", &known);
    let mut flag = |key: &str| {
        node.get(key).is_some_and(|n| lift.boolean(n, &format!("`{key}`")).unwrap_or(false))
    };
    let (enabled, output_data) = (flag("enabled"), flag("output_data"));
    let mut number = |key: &str| node.get(key).and_then(|n| lift.positive(n, &format!("`{key}`")));
    let (max_file_size, retention_days) = (number("max_file_size"), number("retention_days"));
    Audit {
        enabled,
        path: node.get("path").and_then(|n| lift.text(n, "`path`")).map(|t| t.value),
        max_file_size,
        strict: node
            .get("durability")
            .and_then(|n| lift.choice(n, "`durability`", &[("batch", false), ("strict", true)])),
        retention_days,
        redact_keys: node.get("redact_keys").map_or_else(Vec::new, |n| {
            lift.texts(n, "`redact_keys`").into_iter().map(|t| t.value).collect()
        }),
        output_data,
    }
}

fn limits(lift: &mut Lift<'_>, node: &Node) -> Vec<(Spanned<String>, u64)> {
    let entries = lift.map(node, "`limits`", &LIMITS).unwrap_or(&[]);
    let mut limits = Vec::with_capacity(entries.len());
    for entry in entries {
        if let Some(value) = lift.positive(&entry.value, &format!("`{}`", entry.key)) {
            limits.push((Spanned::new(entry.key.clone(), entry.key_span), value));
        }
    }
    limits
}
