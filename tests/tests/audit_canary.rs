//! Canaries in every sensitive position, a server at its most talkative: they are found in no
//! file, no log, and no answer that policies closed.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use mxcp_tests::project::Project;
use mxcp_tests::server::{Server, free_port};
use mxcp_tests::trail::{self, Line, message, tool};
use serde_json::{Value, json};

const ENDPOINT: &str = "mxcp: 1
tool:
  name: vault
  description: What must not be known
  parameters:
    - { name: card, type: string, sensitive: true, description: A number }
    - { name: api_key, type: string, description: A key, default: '' }
    - { name: iban, type: string, description: 'A word of `redact_keys`', default: '' }
    - { name: count, type: integer, sensitive: true, description: A number, default: 1 }
    - name: person
      type: object
      description: Somebody
      default: {}
      properties:
        ssn: { type: string, sensitive: true }
        address: { type: object, properties: { doorCode: { type: string, sensitive: true }, city: { type: string } } }
        accessToken: { type: string }
        notes: { type: array, items: { type: string, sensitive: true } }
  return:
    type: object
    properties:
      number: { type: string, sensitive: true }
      hidden: { type: string }
      city: { type: string }
  source:
    code: |
      SELECT $card AS number, 'canary-hidden' AS hidden, 'Berlin' AS city
policies:
  input:
    - { name: nobody, condition: \"card == 'canary-denied'\", action: deny, reason: Not this one }
    - { name: ward, condition: \"user.ward == 'none' || user.door_key == 'none' || user.floor > 90\", action: deny, reason: Not there }
  output:
    - { name: fields, condition: 'true', action: filter_fields, fields: [hidden] }
";

const FAILING: &str = "mxcp: 1
tool:
  name: failing
  description: Fails with a value in DuckDB's message
  parameters:
    - { name: text, type: string, sensitive: true, description: What is no number }
  return: { type: object, properties: { n: { type: integer } } }
  source: { code: 'SELECT CAST($text AS INTEGER) AS n' }
policies:
  input:
    - { condition: \"text == 'x'\", action: deny }
";

const RESOURCE: &str = "mxcp: 1
resource:
  uri: 'cards://{card}/{part}'
  description: A card
  parameters:
    - { name: card, type: string, sensitive: true, description: A number }
    - { name: part, type: integer, description: A part }
  return: { type: object, properties: { city: { type: string } } }
  source: { code: \"SELECT 'Berlin' AS city WHERE $card IS NOT NULL AND $part > 0\" }
";

const PROMPT: &str = "mxcp: 1
prompt:
  name: tell
  description: Tells
  parameters:
    - { name: pin, type: string, sensitive: true, description: A number }
  messages:
    - { role: user, type: text, prompt: 'It is {{ pin }}.' }
";

/// Asks in every way in which a value may be sensitive. Returns the answers.
fn ask_everything(server: &Server) -> Vec<Value> {
    let mut line = Line::open(server.address()).unwrap();
    let person = json!({
        "ssn": "canary-nested", "accessToken": "canary-word",
        "address": {"doorCode": "canary-deep", "city": "Rome"}, "notes": ["canary-item"],
    });
    let vault = |id: u64, arguments: Value| tool(id, "vault", &arguments);
    let secret_headers = [
        ("Authorization", "Bearer canary-bearer"),
        ("Cookie", "session=canary-cookie"),
        ("Proxy-Authorization", "Basic canary-proxy"),
        ("X-Api-Key", "canary-header"),
    ];
    let read = |uri: &str| message(20, "resources/read", &json!({"uri": uri}));
    let complete = json!({"ref": {"type": "ref/prompt", "name": "tell"}, "argument": {"name": "pin", "value": "canary-completion"}});
    let asks = [
        vault(
            1,
            json!({"card": "canary-card", "api_key": "canary-key", "iban": "canary-iban", "count": 990_099, "person": person}),
        ),
        vault(2, json!({"card": "canary-denied"})),
        vault(
            3,
            json!({"card": 7, "undeclared": "canary-undeclared", "person": {"ssn": "canary-invalid", "other": "canary-stranger"}}),
        ),
        vault(4, json!({"card": ["canary-wrong-type"]})),
        tool(5, "failing", &json!({"text": "canary-sql"})),
        tool(
            6,
            "missing",
            &json!({"password": "canary-unknown-tool", "x": {"y": "canary-unknown-nested"}}),
        ),
        read("cards://canary-uri/1"),
        read("cards://canary-bad-uri/none"),
        read("cards://canary-escape%ZZ/1"),
        read("cards://canary-no-template"),
        read("strange://canary-strange"),
        message(7, "prompts/get", &json!({"name": "tell", "arguments": {"pin": "canary-prompt"}})),
        message(8, "completion/complete", &complete),
        message(9, "tools/list", &json!({"cursor": "canary-cursor"})),
        message(10, "no/such", &json!({"x": "canary-params"})),
        json!({"jsonrpc": "2.0", "id": "canary-id", "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 11, "method": "tools/call", "params": "canary-malformed"}),
    ];
    let mut answers: Vec<Value> = asks
        .iter()
        .map(|ask| line.post(ask.to_string().as_bytes(), &secret_headers).unwrap().1)
        .collect();
    let broken = b"{\"jsonrpc\": \"2.0\", \"x\": \"canary-broken\"";
    answers.push(line.post(broken, &secret_headers).unwrap().1);
    answers
}

fn project(keys: &str) -> Project {
    let project = trail::project("output_data: true, redact_keys: [iban]", "");
    for (path, text) in [
        ("tools/vault.yml", ENDPOINT),
        ("tools/failing.yml", FAILING),
        ("resources/card.yml", RESOURCE),
        ("prompts/tell.yml", PROMPT),
    ] {
        project.write(path, text);
    }
    let site = project.read("mxcp-site.yml");
    project.write("mxcp-site.yml", &format!("{site}{ATTRIBUTES}"));
    trail::user_file(&project, keys);
    project
}

/// What callers are, which policies read and records therefore have.
const ATTRIBUTES: &str = "policy:
  user_attributes:
    ward: { type: string, sensitive: true }
    door_key: { type: string }
    floor: { type: integer }
";

/// All files of a project, with what is in them.
fn files(project: &Project) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![project.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Every canary in some bytes. The one number among them is looked for by its digits.
fn note(place: &str, bytes: &[u8], found: &mut Vec<String>) {
    let text = String::from_utf8_lossy(bytes);
    for (at, _) in text.match_indices("canary").chain(text.match_indices("990099")) {
        let end = text[at..].find(['"', ' ', '\n', '\\']).map_or(text.len(), |length| at + length);
        found.push(format!("{place}: {}", &text[at..end]));
    }
}

#[test]
fn canaries_are_found_nowhere() {
    for keys in ["", "hmac_key: '0123456789abcdef0123456789abcdef'"] {
        let project = project(keys);
        let bundle = project.build();
        let port = free_port();
        let who = json!({
            "role": "clerk", "user_id": "u", "password": "canary-claim", "raw_token": "canary-claims-token",
            "ward": "canary-ward", "door_key": "canary-door", "floor": 3,
        });
        let options = ["--user-context", &who.to_string()];
        let mut command = trail::serving(&project, &bundle, &options, port);
        command.env("MXCP_LOG", "trace");
        let socket = project.path("admin.sock");
        command.env("MXCP_ADMIN_ENABLED", "true").env("MXCP_ADMIN_SOCKET", &socket);
        // The project itself names some of them: what people wrote is no leak.
        let before = files(&project);
        let server = Server::spawn(command, port);
        let answers = ask_everything(&server);
        let mut found = Vec::new();
        for path in ["/metrics", "/health", "/status"] {
            let (status, said) = trail::ask_admin(&socket, path);
            assert!(status == 200 && !said.is_empty(), "{path}: {status}");
            note(path, said.as_bytes(), &mut found);
            // Whatever a call came to, the trail waits for it no more.
            let is_idle = said.contains("\nmxcp_audit_expected 0\n");
            assert!(is_idle || path != "/metrics", "{said}");
        }
        let (status, log) = server.stop();
        assert!(status.success());
        for (path, bytes) in files(&project) {
            if before.get(&path) != Some(&bytes) {
                note(&path.display().to_string(), &bytes, &mut found);
            }
        }
        note("the log", log.as_bytes(), &mut found);
        // What policies remove from results, and what DuckDB says, reaches no client.
        let said: Vec<Value> = answers.clone();
        for (i, answer) in said.iter().enumerate() {
            let text = answer.to_string();
            for canary in ["canary-hidden", "canary-sql", "canary-bearer", "canary-cookie"] {
                if text.contains(canary) {
                    found.push(format!("answer {i}: {canary}"));
                }
            }
        }
        assert_eq!(found, Vec::<String>::new(), "{keys}");
        assert!(log.contains("a call failed") && answers.len() == 18, "{log}");

        // Canaries that are allowed to be seen are: the test looks in the right place.
        let records = trail::records(&project);
        let call = records.iter().find(|r| r["operation_name"] == "vault").unwrap();
        assert_eq!(call["input_data"]["person"]["address"]["city"], "Rome");
        assert_eq!(call["output_data"]["city"], "Berlin");
        let card = call["input_data"]["card"].as_str().unwrap();
        let caller = &call["user_attributes"];
        assert_eq!(caller["floor"], 3, "{caller}");
        if keys.is_empty() {
            assert_eq!(card, "[REDACTED]");
            assert_eq!((&caller["ward"], &caller["door_key"]), (&json!(card), &json!(card)));
        } else {
            // Equal values can be joined, across positions and without being readable.
            assert!(card.starts_with("hmac-sha256:"), "{card}");
            assert!(caller["ward"].as_str().unwrap().starts_with("hmac-sha256:"), "{caller}");
            assert_eq!(call["output_data"]["number"], card);
            assert!(call["input_data"]["count"].as_str().unwrap().starts_with("hmac-sha256:"));
        }
    }
}
