//! The tests that a definition holds.

use serde_json::{Map, Value as Json};

use super::super::Spanned;
use super::super::lift::Lift;
use crate::diagnostic::Span;
use crate::yaml::{Kind, Node};

/// A test of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// the list entry as a whole
    pub span: Span,
    /// its name
    pub name: Spanned<String>,
    /// what it shows
    pub description: Option<String>,
    /// arguments of the call
    pub arguments: Map<String, Json>,
    /// the caller; `None` is whoever the command line says, or nobody
    pub user_context: Option<Json>,
    /// headers of the request
    pub request_headers: Option<Json>,
    /// the result equals this
    pub result: Option<Json>,
    /// the result has at least this
    pub result_contains: Option<Json>,
    /// no (item of the) result has these fields
    pub result_not_contains: Vec<String>,
    /// some item has at least this
    pub result_contains_item: Option<Json>,
    /// for each of these some item has at least it
    pub result_contains_all: Option<Vec<Json>>,
    /// so many items
    pub result_length: Option<u64>,
    /// the result's text has this in it
    pub result_contains_text: Option<String>,
    /// the call is refused
    pub expect_denied: Option<Denied>,
    /// the call fails with an error that has this in it
    pub expect_error: Option<String>,
}

/// What a refusal is expected to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// refused for whatever reason
    Any,
    /// refused with this reason
    Reason(String),
}

const KEYS: [&str; 15] = [
    "name",
    "description",
    "arguments",
    "user_context",
    "request_headers",
    "result",
    "result_contains",
    "result_not_contains",
    "result_contains_item",
    "result_contains_all",
    "result_length",
    "result_contains_text",
    "expect_denied",
    "expect_error",
    "tags",
];

pub(super) fn read(lift: &mut Lift<'_>, node: &Node) -> Vec<Test> {
    let items = lift.list(node, "`tests`");
    items.iter().enumerate().filter_map(|(i, item)| test(lift, item, i)).collect()
}

fn test(lift: &mut Lift<'_>, node: &Node, index: usize) -> Option<Test> {
    lift.map(node, "a test", &KEYS)?;
    let name = match node.get("name") {
        Some(name) => lift.text(name, "a test's `name`"),
        None => {
            lift.missing(node, node.span, "a test", "name");
            None
        }
    };
    let json = |key: &str| node.get(key).map(Node::to_json);
    let object = |lift: &mut Lift<'_>, key: &str| {
        let value = node.get(key)?;
        lift.entries(value, &format!("`{key}`"))?;
        Some(value.to_json())
    };
    let mut text =
        |key: &str| node.get(key).and_then(|n| lift.text(n, &format!("`{key}`"))).map(|t| t.value);
    let (description, contains_text, error) =
        (text("description"), text("result_contains_text"), text("expect_error"));
    Some(Test {
        span: node.span,
        name: name.unwrap_or_else(|| Spanned::new(format!("test {}", index + 1), node.span)),
        description,
        arguments: node.get("arguments").map_or_else(Map::new, |n| arguments(lift, n)),
        user_context: object(lift, "user_context"),
        request_headers: object(lift, "request_headers"),
        result: json("result"),
        result_contains: json("result_contains"),
        result_not_contains: node.get("result_not_contains").map_or_else(Vec::new, |n| {
            lift.texts(n, "`result_not_contains`").into_iter().map(|t| t.value).collect()
        }),
        result_contains_item: json("result_contains_item"),
        result_contains_all: node
            .get("result_contains_all")
            .map(|n| lift.list(n, "`result_contains_all`").iter().map(Node::to_json).collect()),
        result_length: node.get("result_length").and_then(|n| lift.count(n, "`result_length`")),
        result_contains_text: contains_text,
        expect_denied: node.get("expect_denied").and_then(|n| denied(lift, n)),
        expect_error: error,
    })
}

/// A list of `{key, value}`.
fn arguments(lift: &mut Lift<'_>, node: &Node) -> Map<String, Json> {
    let mut arguments = Map::new();
    for item in lift.list(node, "`arguments`") {
        if lift.map(item, "an argument", &["key", "value"]).is_none() {
            continue;
        }
        let Some(key) = item.get("key") else {
            lift.missing(item, item.span, "an argument", "key");
            continue;
        };
        if let Some(key) = lift.text(key, "`key`") {
            arguments.insert(key.value, item.get("value").map_or(Json::Null, Node::to_json));
        }
    }
    arguments
}

fn denied(lift: &mut Lift<'_>, node: &Node) -> Option<Denied> {
    match &node.kind {
        Kind::Bool(true) => Some(Denied::Any),
        Kind::String(text) => Some(Denied::Reason(text.text.clone())),
        _ => {
            lift.wrong(node, "`expect_denied`", "`true` or the reason");
            None
        }
    }
}
