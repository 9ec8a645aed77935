//! The JSON Schemas that editors use and the readers judge documents alike.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use mxcp_schemas::diagnostic::Diagnostic;
use mxcp_schemas::document::{ENDPOINT_SCHEMA, SITE_SCHEMA, USER_SCHEMA, endpoint, site, user};
use mxcp_schemas::yaml;

/// Documents with the same shape and one thing wrong, and documents with nothing wrong.
const ENDPOINTS: &[(&str, bool)] = &[
    ("tool: {name: a, source: {code: SELECT 1}}", true),
    ("mxcp: 1.0\ntool: {name: a, source: {file: a.sql}, tags: [x], enabled: false}", true),
    ("mxcp: '1.2'\nprompt: {name: a, messages: [{prompt: hi, role: user, type: text}]}", true),
    ("resource: {uri: 'a://x', source: {code: SELECT 1}, mime_type: text/plain}", true),
    (
        "tool: {name: a, source: {code: x}, return: {type: array, items: {type: object, properties: {b: {type: string, format: date}}, required: [b]}}}",
        true,
    ),
    (
        "tool: {name: a, source: {code: x}, policies: {input: [{condition: a, action: deny, reason: b}]}}",
        true,
    ),
    (
        "tool: {name: a, source: {code: x}}\npolicies: {output: [{condition: a, action: mask_fields, fields: [b]}]}",
        true,
    ),
    (
        "tool: {name: a, source: {code: x}, tests: [{name: t, arguments: [{key: k, value: 1}], expect_denied: true}]}",
        true,
    ),
    (
        "tool: {name: a, source: {code: x}, parameters: [{name: p, type: integer, minimum: 1, default: 3}]}",
        true,
    ),
    ("mxcp: 2\ntool: {name: a, source: {code: x}}", false),
    ("tool: {name: a}", false),
    ("tool: {source: {code: x}}", false),
    ("tool: {name: a, source: {code: x, file: y}}", false),
    ("tool: {name: a, source: {}}", false),
    ("tool: {name: a b, source: {code: x}}", false),
    ("tool: {name: a, source: {code: x}, retrun: {type: string}}", false),
    ("tool: {name: a, source: {code: x}, enabled: 'yes'}", false),
    ("tool: {name: a, source: {code: x}, return: {type: str}}", false),
    ("tool: {name: a, source: {code: x}, return: {type: integer, minLength: 1}}", false),
    ("tool: {name: a, source: {code: x}, return: {type: string, $ref: x}}", false),
    ("tool: {name: a, source: {code: x}, return: {type: string, format: ipv4}}", false),
    ("tool: {name: a, source: {code: x}, parameters: [{name: 1p, type: string}]}", false),
    ("tool: {name: a, source: {code: x}, parameters: [{type: string}]}", false),
    ("tool: {name: a, source: {code: x}, policies: {input: [{action: deny}]}}", false),
    ("tool: {name: a, source: {code: x}, policies: {inputs: []}}", false),
    ("tool: {name: a, source: {code: x}, tests: [{arguments: []}]}", false),
    ("prompt: {name: a, messages: [{role: user}]}", false),
    ("metadata: {}", false),
];
const SITES: &[(&str, bool)] = &[
    ("project: a\nprofile: b", true),
    (
        "mxcp: 1\nproject: a\nprofile: b\nextensions: [json, {name: h3, repo: community}]\nprofiles: {b: {duckdb: {readonly: true, threads: 2}, audit: {enabled: true, durability: batch}, limits: {max_result_rows: 5}}}",
        true,
    ),
    ("project: a\nprofile: b\npolicy: {user_attributes: {ward: {type: string, claim: w}}}", true),
    ("project: a", false),
    ("project: a\nprofile: b\nprofilse: {}", false),
    ("project: a\nprofile: b\nprofiles: {b: {audit: {durability: maybe}}}", false),
    ("project: a\nprofile: b\nprofiles: {b: {limits: {max_rows: 1}}}", false),
    ("project: a\nprofile: b\nextensions: [{repo: core}]", false),
    ("project: a\nprofile: b\npaths: {tool: x}", false),
];
const USERS: &[(&str, bool)] = &[
    ("mxcp: 1", true),
    ("transport: {provider: stdio}", true),
    (
        "projects: {a: {profiles: {b: {secrets: [{name: x, type: python, parameters: {k: v}}], auth: {provider: none}}}}}",
        true,
    ),
    (
        "projects: {a: {profiles: {b: {auth: {mode: verifier, provider: oidc, oidc: {client_id: c, config_url: 'https://i/x', audience: [a], extra_authorize_params: {p: v}, claim_mappings: {a.b: {c: [d]}}}, authorization: {required_scopes: [s]}}}}}}",
        true,
    ),
    (
        "projects: {a: {profiles: {b: {auth: {provider: github, github: {client_id: c, callback_path: /x}, clients: [{client_id: c, redirect_uris: ['https://c/x'], grant_types: [refresh_token]}], persistence: {type: sqlite, path: p}}}}}}",
        true,
    ),
    ("projects: {a: {profiles: {b: {auth: {provider: gihub}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {provider: github}}}}}", false),
    (
        "projects: {a: {profiles: {b: {auth: {provider: keycloak, keycloak: {client_id: c}}}}}}",
        false,
    ),
    ("projects: {a: {profiles: {b: {auth: {github: {client_id: c, config_url: x}}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {github: {client_id: c, callback_path: x}}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {mode: both}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {clients: [{client_id: c}]}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {persistence: {type: redis}}}}}}", false),
    ("projects: {a: {profiles: {b: {auth: {authorization: {scopes: []}}}}}}", false),
    ("transport: {http: {trust_proxy: true, trusted_proxies: [10.0.0.0/8]}}", true),
    ("transport: {provider: carrier-pigeon}", false),
    ("transport: {http: {port: 70000}}", false),
    ("projects: {a: {profiles: {b: {secrets: [{name: x}]}}}}", false),
    ("trnasport: {}", false),
];

type Read = fn(&str) -> Vec<Diagnostic>;
type Case = (&'static str, &'static str, &'static [(&'static str, bool)], Read);

#[test]
fn schemas_and_readers_agree() {
    let cases: [Case; 3] = [
        ("endpoint", ENDPOINT_SCHEMA, ENDPOINTS, |text| endpoint::read(&"f.yml".into(), text).1),
        ("site", SITE_SCHEMA, SITES, |text| site::read(&"f.yml".into(), text).1),
        ("user", USER_SCHEMA, USERS, |text| user::read(&"f.yml".into(), text).1),
    ];
    for (name, schema, documents, read) in cases {
        let schema = serde_json::from_str(schema).expect("a schema is JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema is a schema");
        for (text, good) in documents {
            let (document, _) = yaml::read(&"f.yml".into(), text);
            let value = document.expect("the cases are YAML").root.to_json();
            let schema_says = validator.is_valid(&value);
            let found = read(text);
            let reader_says = !found.iter().any(Diagnostic::is_error);
            assert_eq!((schema_says, reader_says), (*good, *good), "{name}: {text}\n{found:?}");
        }
    }
}

#[test]
fn the_examples_satisfy_the_schemas() {
    let schema = serde_json::from_str(ENDPOINT_SCHEMA).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema is a schema");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for example in ["quickstart", "clinic"] {
        for folder in ["tools", "resources", "prompts"] {
            let Ok(files) = fs::read_dir(examples.join(example).join(folder)) else { continue };
            for file in files.map(|f| f.expect("an entry").path()) {
                let text = fs::read_to_string(&file).expect("a text");
                let (document, _) = yaml::read(&"f.yml".into(), &text);
                let value = document.expect("YAML").root.to_json();
                let problem = validator.validate(&value).err().map(|e| e.to_string());
                assert_eq!(problem, None, "{}", file.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 8, "{seen}");
}
