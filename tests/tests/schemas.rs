//! The JSON Schemas that editors use and the readers agree about every document of the cases and the
//! examples, but for rules that are named here.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use jsonschema::Validator;
use mxcp_schemas::diagnostic::Diagnostic;
use mxcp_schemas::document::{ENDPOINT_SCHEMA, SITE_SCHEMA, USER_SCHEMA, endpoint, site, user};
use mxcp_schemas::yaml;
use mxcp_tests::{case, workspace};

/// Rules of the readers that the schemas do not state: they relate one part of a document to another, or
/// read what a text says.
const BEYOND: [&str; 4] =
    ["default-violates-type", "enum-violates-type", "policies-twice", "uri-template"];

/// The one rule of a schema that is not the readers': which actions there are, the compiler knows.
const ACTIONS: &str = "is not one of \"deny\"";

struct Kind {
    validator: Validator,
    read: fn(&str) -> Vec<Diagnostic>,
}

impl Kind {
    fn new(schema: &str, read: fn(&str) -> Vec<Diagnostic>) -> Self {
        let schema = serde_json::from_str(schema).expect("a schema is JSON");
        Self { validator: jsonschema::validator_for(&schema).expect("a schema is a schema"), read }
    }
}

/// All documents: where they stand, which kind they are, and their text.
fn documents() -> Vec<(String, &'static str, String)> {
    let mut all = Vec::new();
    let mut add = |place: String, path: &str, bytes: Vec<u8>| {
        let Ok(text) = String::from_utf8(bytes) else { return };
        let folder = path.split('/').next().unwrap_or_default();
        let kind = match (path, folder) {
            ("mxcp-site.yml", _) => "site",
            ("user.yml" | "config.yml", _) => "user",
            (_, "tools" | "resources" | "prompts") => "endpoint",
            _ => return,
        };
        all.push((place, kind, text));
    };
    for case in case::all() {
        for (path, bytes) in case.files() {
            add(format!("{}: {path}", case.name), &path, bytes);
        }
    }
    for path in workspace::files() {
        let Ok(inside) = path.strip_prefix("examples") else { continue };
        let mut parts = inside.components();
        parts.next();
        let inside = parts.as_path().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "yml") {
            add(path.display().to_string(), &inside, workspace::read(&path).into_bytes());
        }
    }
    all
}

#[test]
fn schemas_and_readers_agree_about_the_corpus() {
    let endpoint = Kind::new(ENDPOINT_SCHEMA, |text| endpoint::read(&"f.yml".into(), text).1);
    let site = Kind::new(SITE_SCHEMA, |text| site::read(&"f.yml".into(), text).1);
    let user = Kind::new(USER_SCHEMA, |text| user::read(&"f.yml".into(), text).1);
    let (mut seen, mut problems, mut used) = (0, Vec::new(), BTreeSet::new());
    for (place, name, text) in documents() {
        let kind = match name {
            "site" => &site,
            "user" => &user,
            _ => &endpoint,
        };
        let (document, found) = yaml::read(&"f.yml".into(), &text);
        // What is no YAML, no editor judges either.
        let Some(document) = document.filter(|_| !found.iter().any(Diagnostic::is_error)) else {
            continue;
        };
        seen += 1;
        let value = document.root.to_json();
        let refused = kind.validator.validate(&value).err().map(|problem| problem.to_string());
        let errors: BTreeSet<&str> =
            (kind.read)(&text).iter().filter(|d| d.is_error()).map(|d| d.code.slug).collect();
        match refused {
            None => {
                used.extend(errors.iter().copied());
                let unnamed: Vec<&&str> =
                    errors.iter().filter(|slug| !BEYOND.contains(slug)).collect();
                if !unnamed.is_empty() {
                    problems.push(format!("{place}: the schema takes what is {unnamed:?}"));
                }
            }
            Some(problem) if errors.is_empty() && !problem.contains(ACTIONS) => {
                problems.push(format!("{place}: the schema alone refuses it: {problem}"));
            }
            Some(_) => {}
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    let idle: Vec<&&str> = BEYOND.iter().filter(|slug| !used.contains(*slug)).collect();
    assert!(idle.is_empty(), "no document needs these exceptions: {idle:?}");
    assert!(seen > 150, "{seen}");
}
