//! A server in this process, and what must hold of its answer to any bytes: the test of changed messages
//! and the fuzz target `mcp_dispatch` ask both.

use std::sync::Arc;
use std::time::Duration;

use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::{Analysis, SqlProbe};
use mxcp_compiler::{Options, compile};
use mxcp_runtime::audit::Trail;
use mxcp_runtime::audit::redact::Redactor;
use mxcp_runtime::duckdb::{Pool, Settings};
use mxcp_runtime::mcp::server::{Answer, Arrival, Connection, Server};
use mxcp_runtime::serve::{Around, Linked, Runtime};
use mxcp_schemas::audit::CallerType;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Far more than any of these messages takes; who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// What stands behind every policy that denies, and nowhere else.
pub const TREASURE: &str = "c1e3b7d05f2a4986";

const FILES: &[(&str, &str)] = &[
    ("mxcp-site.yml", "mxcp: 1\nproject: p\nprofile: default\n"),
    (
        "tools/closed.yml",
        "mxcp: 1
tool:
  name: closed
  description: For administrators
  parameters: [{name: text, type: string, default: a}]
  return: {type: string}
  source: {code: \"SELECT 'c1e3b7d05f2a4986' AS text WHERE $text <> ''\"}
  policies:
    input: [{condition: user.role != 'admin' && text != 'b' || text == 'b', action: deny, reason: r}]
",
    ),
    (
        "tools/open.yml",
        "mxcp: 1
tool:
  name: open
  description: For everybody
  parameters:
    - {name: text, type: string, description: a text, maxLength: 1000}
    - {name: count, type: integer, minimum: 0, maximum: 9, default: 1}
    - {name: share, type: number, default: 0.5}
    - {name: day, type: string, format: date, default: null}
    - {name: words, type: array, items: {type: string, enum: [a, b]}, default: []}
    - {name: more, type: object, properties: {deep: {type: boolean}}, default: {}}
  return:
    type: object
    properties: {size: {type: integer}, hidden: {type: string}}
    required: [size, hidden]
  source:
    code: |
      SELECT length($text) * $count + len($words) AS size, 'c1e3b7d05f2a4986' AS hidden
      WHERE $share < 1e9 AND ($day IS NULL OR $day < DATE '2999-01-01') AND $more IS NOT NULL
  policies:
    input: [{condition: \"text.contains('no') || words.exists(w, w == 'b')\", action: deny, reason: r}]
    output: [{condition: user.role != 'admin', action: mask_fields, fields: [hidden]}]
",
    ),
    (
        "resources/item.yml",
        "mxcp: 1
resource:
  uri: house://items/{id}
  name: Item
  description: One of many
  parameters: [{name: id, type: integer, minimum: 1, enum: [1, 2, 3]}]
  return: {type: object, properties: {id: {type: integer}}}
  source: {code: SELECT $id AS id}
",
    ),
    (
        "resources/closed.yml",
        "mxcp: 1
resource:
  uri: house://closed/{id}
  name: Closed
  description: For administrators
  parameters: [{name: id, type: string}]
  return: {type: string}
  source: {code: \"SELECT 'c1e3b7d05f2a4986' AS text WHERE $id <> ''\"}
  policies:
    input: [{condition: user.role != 'admin', action: deny, reason: r}]
",
    ),
    (
        "prompts/greet.yml",
        "mxcp: 1
prompt:
  name: greet
  description: Greets somebody
  parameters: [{name: who, type: string, enum: [ada, bob], description: whom}]
  messages: [{role: user, type: text, prompt: 'Greet {{ who }}.'}]
",
    ),
    (
        "prompts/closed.yml",
        "mxcp: 1
prompt:
  name: closed
  description: For administrators
  parameters: [{name: who, type: string, description: whom}]
  messages: [{role: user, type: text, prompt: 'c1e3b7d05f2a4986 {{ who }}'}]
  policies:
    input: [{condition: user.role != 'admin', action: deny, reason: r}]
",
    ),
];

/// Messages that mean something to the server, each with whether its answer is a result.
pub const MESSAGES: &[(&str, bool)] = &[
    (
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open","arguments":{"text":"h\u00e9","count":2,"share":1.5e-1,"day":"2024-02-29","words":["a","a"],"more":{"deep":true}}}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"open","arguments":{"text":"x"},"_meta":{"progressToken":3,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"closed","arguments":{"text":"a"}}}"#,
        true,
    ),
    (r#"{"jsonrpc":"2.0","id":-4,"method":"tools/list","params":{}}"#, true),
    (r#"{"jsonrpc":"2.0","id":19,"method":"tools/list","params":{"cursor":"a"}}"#, false),
    (
        r#"{"jsonrpc":"2.0","id":5,"method":"resources/read","params":{"uri":"house://items/2"}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":6,"method":"resources/read","params":{"uri":"house://closed/%41"}}"#,
        false,
    ),
    (r#"{"jsonrpc":"2.0","id":7,"method":"resources/list"}"#, true),
    (r#"{"jsonrpc":"2.0","id":8,"method":"resources/templates/list","params":{}}"#, true),
    (
        r#"{"jsonrpc":"2.0","id":9,"method":"prompts/get","params":{"name":"greet","arguments":{"who":"ada"}}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":10,"method":"prompts/get","params":{"name":"closed","arguments":{"who":"bob"}}}"#,
        false,
    ),
    (r#"{"jsonrpc":"2.0","id":11,"method":"prompts/list"}"#, true),
    (
        r#"{"jsonrpc":"2.0","id":12,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"argument":{"name":"who","value":"a"}}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":13,"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"house://items/{id}"},"argument":{"name":"id","value":""},"context":{"arguments":{}}}}"#,
        true,
    ),
    (
        r#"{"jsonrpc":"2.0","id":14,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"n","version":"1"}}}"#,
        true,
    ),
    (r#"{"jsonrpc":"2.0","id":15,"method":"ping"}"#, true),
    (r#"{"jsonrpc":"2.0","id":16,"method":"logging/setLevel","params":{"level":"debug"}}"#, true),
    (
        r#"{"jsonrpc":"2.0","id":17,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        true,
    ),
    (r#"{"jsonrpc":"2.0","id":18,"method":"no/such","params":{}}"#, false),
];

/// Messages that nobody answers, and several in one.
pub const OTHERS: &[&str] = &[
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"r"}}"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"closed"}},7]"#,
];

/// A probe for which every statement reads.
#[derive(Debug, Clone, Copy)]
pub struct Reads;

impl SqlProbe for Reads {
    fn analyse(&self, texts: &[&str]) -> Vec<Analysis> {
        texts.iter().map(|_| Analysis::Select).collect()
    }
}

/// A server of a small project, asked without HTTP.
#[derive(Debug)]
pub struct Dispatched {
    asked: tokio::runtime::Runtime,
    alone: Server,
    connected: Server,
}

impl Dispatched {
    /// Compiles the project and puts it to work, with a database in memory.
    pub fn new() -> Self {
        let compiled =
            compile(&MemoryFiles::new(FILES.iter().copied()), &Reads, &Options::default());
        let bundle = compiled.bundle.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics));
        let database = Settings::default().open().expect("a database in memory");
        let pool = Pool::start(&database, 1).expect("a thread for statements");
        let around =
            Around { trail: Trail::disabled(), redactor: Redactor::default(), pool: Some(pool) };
        let linked = Linked::new(bundle, "d".into()).expect("what was compiled is linked");
        let runtime = Arc::new(Runtime::new(linked, around));
        let asked = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self {
            asked: asked.expect("a runtime"),
            alone: Server::new(Arc::clone(&runtime), true),
            connected: Server::new(runtime, false),
        }
    }

    /// What a caller of this role is answered: alone, and on a connection that was begun.
    ///
    /// # Errors
    /// When there is no answer in time.
    pub fn answers(&self, bytes: &[u8], role: &str) -> Result<[Answer; 2], String> {
        let connection = Connection::default();
        let begin = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"n","version":"1"}}}"#;
        let context = format!(r#"{{"role":"{role}"}}"#);
        let principal = self.alone.runtime.principal(&context).map_err(|e| e.to_string())?;
        let arrival = Arrival {
            headers: None,
            principal: Arc::new(principal),
            via: CallerType::Stdio,
            client_ip: None,
            operator: false,
            vouched: None,
            cancel: CancellationToken::new(),
        };
        let asked = async {
            self.connected.receive(begin, &arrival, Some(&connection)).await;
            let alone = self.alone.receive(bytes, &arrival, None).await;
            [alone, self.connected.receive(bytes, &arrival, Some(&connection)).await]
        };
        let within = async { tokio::time::timeout(PATIENCE, asked).await };
        self.asked.block_on(within).map_err(|_| "there is no answer in time".to_owned())
    }

    /// Asks the server and looks at what it answers; says whether that was a result.
    ///
    /// # Errors
    /// With the rule that the answer breaks.
    pub fn survive(&self, bytes: &[u8]) -> Result<bool, String> {
        let said: Option<Value> = serde_json::from_slice(bytes).ok();
        let mut succeeded = false;
        for answer in self.answers(bytes, "nurse")? {
            let told = answer.body.clone().unwrap_or_default();
            judge(said.as_ref(), &answer).map_err(|rule| format!("{rule}: `{told}`"))?;
            let is_known = bytes.windows(TREASURE.len()).any(|part| part == TREASURE.as_bytes());
            if told.contains(TREASURE) && !is_known {
                return Err(format!("what a policy denies is in `{told}`"));
            }
            succeeded |= told.contains(r#""result":"#);
        }
        Ok(succeeded)
    }
}

impl Default for Dispatched {
    fn default() -> Self {
        Self::new()
    }
}

/// The id of a message that wants an answer.
fn id_of_request(message: &Value) -> Option<&Value> {
    message.get("method")?.as_str()?;
    message.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64())
}

/// Looks at an answer to what was said, where that is JSON.
fn judge(said: Option<&Value>, answer: &Answer) -> Result<(), &'static str> {
    let Some(body) = &answer.body else {
        let wanted = match said {
            Some(Value::Array(messages)) => messages.iter().any(|m| id_of_request(m).is_some()),
            Some(message) => id_of_request(message).is_some(),
            None => true,
        };
        let accepted = answer.status == 202;
        return if accepted && !wanted { Ok(()) } else { Err("there is no answer") };
    };
    let told: Value = serde_json::from_str(body).map_err(|_| "the answer is no JSON")?;
    match (said, &told) {
        (Some(Value::Array(messages)), Value::Array(answers)) => {
            let asked: Vec<&Value> = messages.iter().filter_map(id_of_request).collect();
            let some = answers.len() >= asked.len() && answers.len() <= messages.len();
            let rights = answers.iter().all(|answer| is_answer(answer, messages));
            if some && !answers.is_empty() && rights { Ok(()) } else { Err("no batch of answers") }
        }
        (_, Value::Array(_)) => Err("a batch answers one message"),
        (Some(Value::Array(messages)), answer) if is_answer(answer, messages) => Ok(()),
        (Some(message), answer) if is_answer(answer, std::slice::from_ref(message)) => Ok(()),
        (None, answer) if answer.get("error").is_some() && is_answer(answer, &[]) => Ok(()),
        _ => Err("it is no answer to this"),
    }
}

/// Whether it is a JSON-RPC answer to one of these: a result has the id of a request, an error has that,
/// or none.
fn is_answer(answer: &Value, said: &[Value]) -> bool {
    let (result, error) = (answer.get("result"), answer.get("error"));
    let id = answer.get("id");
    let named = said.iter().any(|message| id.is_some() && message.get("id") == id);
    let version = answer.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    version
        && match (result, error) {
            (Some(result), None) => {
                result.is_object()
                    && said.iter().any(|message| id.is_some() && id_of_request(message) == id)
            }
            (None, Some(error)) => {
                let told = error.get("code").is_some_and(Value::is_i64)
                    && error.get("message").is_some_and(Value::is_string);
                told && (named || id.is_none())
            }
            _ => false,
        }
}
