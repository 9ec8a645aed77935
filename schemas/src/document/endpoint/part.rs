//! The parts of an endpoint: parameters, policies, body, annotations.

use super::super::Spanned;
use super::super::code::{DUPLICATE_PARAMETER, MISSING_KEY, PARAMETER_NAME, SOURCE_CHOICE};
use super::super::lift::Lift;
use super::super::ty::{self, Type};
use crate::bundle::definition::{Annotations, Kind};
use crate::diagnostic::Span;
use crate::yaml::Node;

/// A declared parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// its name
    pub name: Spanned<String>,
    /// its type, with description and default
    pub ty: Type,
}

/// The policies of an endpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policies {
    /// asked before execution
    pub input: Vec<Policy>,
    /// asked after it
    pub output: Vec<Policy>,
}

/// An access policy as it is written. Nothing in it was judged: an action may not exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// the list entry as a whole
    pub span: Span,
    /// the condition, a CEL expression, with the node to find places in
    pub condition: Option<(String, Node)>,
    /// the action's word
    pub action: Option<Spanned<String>>,
    /// what a refused client reads
    pub reason: Option<Spanned<String>>,
    /// field paths, if the key is there
    pub fields: Option<Vec<Spanned<String>>>,
    /// place of the key `fields`
    pub fields_span: Option<Span>,
    /// its name in the audit trail
    pub name: Option<Spanned<String>>,
}

/// What an endpoint executes.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// SQL or Python
    Source(Source),
    /// templates of a prompt
    Messages(Vec<Message>),
    /// nothing usable; why was reported
    Broken,
}

/// Where code is.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// the language
    pub language: Language,
    /// place of `source`
    pub span: Span,
    /// inline code, as a text node
    pub code: Option<Node>,
    /// path relative to the definition
    pub file: Option<Spanned<String>>,
}

/// The languages of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// DuckDB SQL
    Sql,
    /// Python
    Python,
}

/// A message of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// the template, a text node
    pub prompt: Node,
    /// `user` or `assistant`
    pub role: String,
    /// content type
    pub kind: String,
}

pub(super) fn parameters(lift: &mut Lift<'_>, node: &Node) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for item in lift.list(node, "`parameters`") {
        let Some(stated) = item.get("name") else {
            if lift.entries(item, "a parameter").is_some() {
                lift.missing(item, item.span, "a parameter", "name");
            }
            continue;
        };
        let Some(name) = lift.text(stated, "a parameter's `name`") else { continue };
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !name.value.chars().all(word) {
            let message = format!("`{}` cannot be the name of a parameter", name.value);
            lift.report(&PARAMETER_NAME, name.span, message)
                .help
                .push("names begin with a letter or `_`, then letters, digits and `_`".to_owned());
        }
        if let Some(earlier) =
            parameters.iter().find(|p| p.name.value.eq_ignore_ascii_case(&name.value))
        {
            let (known, earlier) = (earlier.name.value.clone(), earlier.name.span);
            let file = lift.file;
            let message = format!("there is a parameter `{known}` already");
            let finding = lift.report(&DUPLICATE_PARAMETER, name.span, message);
            *finding = finding.clone().related(file, earlier, "here");
            if known != name.value {
                finding.help.push("SQL does not tell upper case from lower case".to_owned());
            }
            continue;
        }
        let what = format!("the parameter `{}`", name.value);
        let ty = ty::read(lift, item, &what);
        parameters.push(Parameter { name, ty });
    }
    parameters
}

pub(in super::super) fn policies(lift: &mut Lift<'_>, node: &Node) -> Policies {
    lift.map(node, "`policies`", &["input", "output"]);
    let mut stage = |key: &str| {
        let list = node.get(key).map(|n| lift.list(n, &format!("`policies.{key}`")));
        list.unwrap_or(&[]).iter().filter_map(|item| policy(lift, item)).collect()
    };
    Policies { input: stage("input"), output: stage("output") }
}

fn policy(lift: &mut Lift<'_>, node: &Node) -> Option<Policy> {
    let known = ["condition", "action", "reason", "fields", "name"];
    let entries = lift.map(node, "a policy", &known)?;
    let condition = match node.get("condition") {
        Some(condition) => {
            lift.text(condition, "`condition`").map(|text| (text.value, condition.clone()))
        }
        None => {
            lift.missing(node, node.span, "a policy", "condition");
            None
        }
    };
    let action = match node.get("action") {
        Some(action) => lift.text(action, "`action`"),
        None => {
            lift.missing(node, node.span, "a policy", "action");
            None
        }
    };
    Some(Policy {
        span: node.span,
        condition,
        action,
        reason: node.get("reason").and_then(|n| lift.text(n, "`reason`")),
        fields: node.get("fields").map(|n| lift.texts(n, "`fields`")),
        fields_span: entries.iter().find(|e| e.key == "fields").map(|e| e.key_span),
        name: node.get("name").and_then(|n| lift.text(n, "`name`")),
    })
}

pub(super) fn annotations(
    lift: &mut Lift<'_>,
    node: &Node,
) -> (Option<String>, Annotations, Option<Span>) {
    let known = ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
    lift.map(node, "`annotations`", &known);
    let title = node.get("title").and_then(|n| lift.text(n, "`title`")).map(|t| t.value);
    let mut hint = |key: &str| node.get(key).and_then(|n| lift.boolean(n, &format!("`{key}`")));
    let annotations = Annotations {
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        idempotent: hint("idempotentHint"),
        open_world: hint("openWorldHint"),
    };
    (title, annotations, node.get("readOnlyHint").map(|n| n.span))
}

pub(super) fn body(lift: &mut Lift<'_>, node: &Node, kind: Kind, key: Span) -> Body {
    let word = format!("`{}`", kind.as_str());
    if kind == Kind::Prompt {
        let Some(list) = node.get("messages") else {
            lift.missing(node, key, &word, "messages");
            return Body::Broken;
        };
        let items = lift.list(list, "`messages`");
        if items.is_empty() {
            lift.report(&MISSING_KEY, list.span, "`messages` needs at least one message")
                .help
                .push("add an item, as in `- prompt: …`".to_owned());
        }
        return Body::Messages(items.iter().filter_map(|n| message(lift, n)).collect());
    }
    let Some(source) = node.get("source") else {
        lift.missing(node, key, &word, "source");
        return Body::Broken;
    };
    if lift.map(source, "`source`", &["code", "file", "language"]).is_none() {
        return Body::Broken;
    }
    let languages = [("sql", Language::Sql), ("python", Language::Python)];
    let stated = source.get("language").or_else(|| node.get("language"));
    let language = stated.and_then(|n| lift.choice(n, "`language`", &languages));
    let code = source.get("code").filter(|n| lift.text(n, "`code`").is_some()).cloned();
    let file = source.get("file").and_then(|n| lift.text(n, "`file`"));
    if source.get("code").is_some() == source.get("file").is_some() {
        let both = source.get("code").is_some();
        let message = if both {
            "`source` has `code` and `file`; it has exactly one of them"
        } else {
            "`source` has neither `code` nor `file`"
        };
        let at = if source.span.is_empty() { key } else { source.span };
        lift.report(&SOURCE_CHOICE, at, message);
        return Body::Broken;
    }
    if stated.is_some() && language.is_none() {
        return Body::Broken;
    }
    let language = language.unwrap_or(Language::Sql);
    Body::Source(Source { language, span: source.span, code, file })
}

fn message(lift: &mut Lift<'_>, node: &Node) -> Option<Message> {
    lift.map(node, "a message", &["prompt", "role", "type"])?;
    let Some(prompt) = node.get("prompt") else {
        lift.missing(node, node.span, "a message", "prompt");
        return None;
    };
    lift.text(prompt, "`prompt`")?;
    let roles = [("assistant", "assistant"), ("user", "user")];
    let role = node.get("role").and_then(|n| lift.choice(n, "`role`", &roles));
    let kind = node.get("type").and_then(|n| lift.choice(n, "`type`", &[("text", "text")]));
    Some(Message {
        prompt: prompt.clone(),
        role: role.unwrap_or("user").to_owned(),
        kind: kind.unwrap_or("text").to_owned(),
    })
}
