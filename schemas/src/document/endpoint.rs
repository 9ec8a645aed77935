//! Endpoint files: one tool, resource or prompt each.

mod part;
mod test;

use std::sync::Arc;

use super::Spanned;
use super::code::{IDENTITY, NOT_ONE_ENDPOINT, POLICIES_TWICE, URI_TEMPLATE, VERSION};
use super::lift::Lift;
use super::ty::{self, Type};
use crate::bundle::definition::{Annotations, Kind};
use crate::diagnostic::{Code, Diagnostic, Severity, Span};
use crate::yaml::{self, Comment, Kind as NodeKind, Node};

pub use part::{Body, Language, Message, Parameter, Policies, Policy, Source};
pub use test::{Denied, Test};

/// Longest name of an endpoint, in characters.
pub const MAX_NAME_CHARS: usize = 128;

/// A file without a version.
pub static NO_VERSION: Code = Code {
    id: "MX0122",
    slug: "no-version",
    severity: Severity::Note,
    title: "the file does not say which version of the format it is",
    page: r"It is read as version 1. Write `mxcp: 1` at the top.

```yaml
# wrong
# tools/find.yml
tool:
  name: find
  source: {code: SELECT 1}
```

```yaml
# right
# tools/find.yml
mxcp: 1
tool:
  name: find
  source: {code: SELECT 1}
```
",
};

/// What an endpoint file says.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// the endpoint
    pub endpoint: Endpoint,
    /// all comments of the file; waivers are among them
    pub comments: Vec<Comment>,
}

/// A tool, a resource or a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// which of them
    pub kind: Kind,
    /// its definition as a whole
    pub span: Span,
    /// what clients call it by: the name, of a resource the URI template; empty if it has none, which
    /// was reported
    pub identity: Spanned<String>,
    /// name of a resource
    pub name: Option<Spanned<String>>,
    /// what it does
    pub description: Option<Spanned<String>>,
    /// free words
    pub tags: Vec<Spanned<String>>,
    /// whether it is served
    pub enabled: bool,
    /// title among the annotations
    pub title: Option<String>,
    /// tool hints
    pub annotations: Annotations,
    /// place of `readOnlyHint`
    pub read_only_span: Option<Span>,
    /// media type of a resource
    pub mime_type: Option<Spanned<String>>,
    /// parameters in order
    pub parameters: Vec<Parameter>,
    /// type of the result
    pub result: Option<Type>,
    /// access policies
    pub policies: Policies,
    /// tests in order
    pub tests: Vec<Test>,
    /// what is executed
    pub body: Body,
}

const ROOT_KEYS: [&str; 6] = ["mxcp", "tool", "resource", "prompt", "metadata", "policies"];
const COMMON: [&str; 7] =
    ["description", "tags", "enabled", "parameters", "return", "policies", "tests"];

/// Reads an endpoint file. `None` when the file is none, or nothing usable is in it; a file without
/// any of the three keys gives `None` and no error, see [`is_endpoint`].
pub fn read(file: &Arc<str>, text: &str) -> (Option<File>, Vec<Diagnostic>) {
    let (document, found) = yaml::read(file, text);
    let mut lift = Lift::new(file, text, found);
    let Some(document) = document else { return (None, lift.finish()) };
    let endpoint = read_root(&mut lift, &document.root);
    (endpoint.map(|endpoint| File { endpoint, comments: document.comments }), lift.finish())
}

/// Whether a document has one of the keys that make it an endpoint file.
pub fn is_endpoint(root: &Node) -> bool {
    ["tool", "resource", "prompt"].iter().any(|key| root.get(key).is_some())
}

fn read_root(lift: &mut Lift<'_>, root: &Node) -> Option<Endpoint> {
    let entries = lift.map(root, "an endpoint file", &ROOT_KEYS)?;
    check_version(lift, root);
    if let Some(metadata) = root.get("metadata") {
        lift.entries(metadata, "`metadata`");
    }
    let kinds = [("tool", Kind::Tool), ("resource", Kind::Resource), ("prompt", Kind::Prompt)];
    let mut present = entries
        .iter()
        .filter_map(|e| kinds.iter().find(|(k, _)| *k == e.key).map(|(_, kind)| (e, *kind)));
    let Some((entry, kind)) = present.next() else {
        let finding = lift.report(
            &NOT_ONE_ENDPOINT,
            root.span,
            "the file has none of `tool`, `resource` and `prompt`",
        );
        finding.help.push("begin with one of them, for instance `tool:`".to_owned());
        return None;
    };
    if let Some((second, _)) = present.next() {
        let message = format!("the file has `{}` and also `{}`", entry.key, second.key);
        lift.report(&NOT_ONE_ENDPOINT, second.key_span, message)
            .help
            .push("move one of them to a file of its own".to_owned());
    }
    read_endpoint(lift, root, &entry.value, kind, entry.key_span)
}

fn read_endpoint(
    lift: &mut Lift<'_>,
    root: &Node,
    node: &Node,
    kind: Kind,
    key: Span,
) -> Option<Endpoint> {
    let word = kind.as_str();
    let what = format!("`{word}`");
    let own: &[&str] = match kind {
        Kind::Tool => &["name", "annotations", "language", "source"],
        Kind::Resource => &["uri", "name", "mime_type", "language", "source"],
        Kind::Prompt => &["name", "messages"],
    };
    let known: Vec<&str> = own.iter().chain(&COMMON).copied().collect();
    lift.map(node, &what, &known)?;
    let identity = read_identity(lift, node, kind, key);
    let mut text = |key: &str| node.get(key).and_then(|n| lift.text(n, &format!("`{key}`")));
    let description = text("description");
    let mime_type = if kind == Kind::Resource { text("mime_type") } else { None };
    let name = if kind == Kind::Resource { text("name") } else { None };
    let (title, annotations, read_only_span) = match node.get("annotations") {
        Some(annotations) if kind == Kind::Tool => part::annotations(lift, annotations),
        _ => (None, Annotations::default(), None),
    };
    let parameters = node.get("parameters").map_or_else(Vec::new, |n| part::parameters(lift, n));
    let policies = read_policies(lift, root, node);
    let body = part::body(lift, node, kind, key);
    let tests = node.get("tests").map_or_else(Vec::new, |n| test::read(lift, n));
    let endpoint = Endpoint {
        kind,
        span: node.span,
        // What is wrong with the rest is told in the same run.
        identity: identity.unwrap_or_else(|| Spanned::new(String::new(), key)),
        name,
        description,
        tags: node.get("tags").map_or_else(Vec::new, |n| lift.texts(n, "`tags`")),
        enabled: node.get("enabled").is_none_or(|n| lift.boolean(n, "`enabled`").unwrap_or(true)),
        title,
        annotations,
        read_only_span,
        mime_type,
        parameters,
        result: node.get("return").map(|n| ty::read(lift, n, "`return`")),
        policies,
        tests,
        body,
    };
    if kind == Kind::Resource && !endpoint.identity.value.is_empty() {
        check_uri(lift, &endpoint);
    }
    Some(endpoint)
}

fn read_policies(lift: &mut Lift<'_>, root: &Node, node: &Node) -> Policies {
    let at_root = root.entries().and_then(|e| e.iter().find(|e| e.key == "policies"));
    match (node.get("policies"), at_root) {
        (Some(inside), Some(outside)) => {
            let finding = Diagnostic::new(
                &POLICIES_TWICE,
                lift.file,
                outside.key_span,
                "the file has policies here and under the endpoint",
            )
            .related(lift.file, inside.span, "also here")
            .help("move them all under the endpoint");
            lift.found.push(finding);
            part::policies(lift, inside)
        }
        (Some(policies), None) => part::policies(lift, policies),
        (None, Some(entry)) => part::policies(lift, &entry.value),
        (None, None) => Policies::default(),
    }
}

fn check_version(lift: &mut Lift<'_>, root: &Node) {
    let Some(version) = root.get("mxcp") else {
        lift.report(&NO_VERSION, Span::new(0, 0), "the file does not say `mxcp: 1`")
            .help
            .push("it is read as version 1".to_owned());
        return;
    };
    check_version_value(lift, version);
}

/// Accepts `1`, `1.0`, `"1"` and `1.x.y`-like texts whose major number is one.
pub(super) fn check_version_value(lift: &mut Lift<'_>, version: &Node) {
    let good = match &version.kind {
        NodeKind::Int(number) => *number == 1,
        NodeKind::Float(number) => (1.0..2.0).contains(number),
        NodeKind::String(text) => {
            let mut parts = text.text.split('.');
            parts.next() == Some("1")
                && parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
        }
        _ => false,
    };
    if !good {
        let message = match version.to_json() {
            serde_json::Value::String(text) => {
                format!("there is no version `{text}` of the format")
            }
            number @ serde_json::Value::Number(_) => {
                format!("version {number} of the format is not read, only version 1")
            }
            _ => "a version of the format is a number".to_owned(),
        };
        lift.report(&VERSION, version.span, message).help.push("write `mxcp: 1`".to_owned());
    }
}

fn read_identity(
    lift: &mut Lift<'_>,
    node: &Node,
    kind: Kind,
    at: Span,
) -> Option<Spanned<String>> {
    let key = if kind == Kind::Resource { "uri" } else { "name" };
    let Some(stated) = node.get(key) else {
        lift.missing(node, at, &format!("`{}`", kind.as_str()), key);
        return None;
    };
    let text = lift.text(stated, &format!("`{key}`"))?;
    if kind != Kind::Resource {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        let stranger = text.value.char_indices().find(|(_, c)| !allowed(*c));
        let length = text.value.chars().count();
        if let Some((_, stranger)) = stranger {
            let shown =
                if stranger == ' ' { "a space".to_owned() } else { format!("`{stranger}`") };
            let message = format!("the name `{}` holds {shown}", text.value);
            lift.report(&IDENTITY, text.span, message)
                .help
                .push("names have letters, digits, `_`, `-`, `.` and `/`".to_owned());
        } else if length == 0 || length > MAX_NAME_CHARS {
            let message =
                format!("the name has {length} characters; 1 to {MAX_NAME_CHARS} are allowed");
            lift.report(&IDENTITY, text.span, message);
        }
    }
    Some(text)
}

fn check_uri(lift: &mut Lift<'_>, endpoint: &Endpoint) {
    let uri = &endpoint.identity;
    let variables = match template_variables(&uri.value) {
        Ok(variables) => variables,
        Err(problem) => {
            lift.report(&URI_TEMPLATE, uri.span, problem);
            return;
        }
    };
    for (at, variable) in variables.iter().enumerate() {
        if variables.iter().take(at).any(|earlier| earlier == variable) {
            let message = format!("the variable `{variable}` stands twice in the URI");
            lift.report(&URI_TEMPLATE, uri.span, message);
        } else if !endpoint.parameters.iter().any(|p| p.name.value == *variable) {
            let known = endpoint.parameters.iter().map(|p| p.name.value.as_str());
            let near = crate::diagnostic::closest(variable, known).map(str::to_owned);
            let message = format!("the URI's variable `{variable}` is no parameter");
            let finding = lift.report(&URI_TEMPLATE, uri.span, message);
            finding.help.push(near.map_or_else(
                || "declare it under `parameters:`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ));
        }
    }
    for parameter in &endpoint.parameters {
        if !variables.contains(&parameter.name.value.as_str()) {
            let message =
                format!("the parameter `{}` is no variable of the URI", parameter.name.value);
            lift.report(&URI_TEMPLATE, parameter.name.span, message)
                .help
                .push("a resource is read by its URI alone, so nothing else can set it".to_owned());
        }
    }
}

/// The variables of an RFC 6570 level 1 template that is an absolute URI.
fn template_variables(uri: &str) -> Result<Vec<&str>, String> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !valid {
        return Err(format!(
            "`{uri}` is no absolute URI; it begins with a scheme, as in `clinic://…`"
        ));
    }
    let mut variables = Vec::new();
    let mut rest = uri;
    while let Some(at) = rest.find(['{', '}']) {
        let (_, tail) = rest.split_at(at);
        let Some((name, after)) = tail.strip_prefix('{').and_then(|t| t.split_once('}')) else {
            return Err(format!("`{uri}` has an unbalanced brace"));
        };
        let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !word {
            return Err(format!(
                "`{{{name}}}` is no variable; only `{{name}}` is supported (RFC 6570, level 1)"
            ));
        }
        variables.push(name);
        rest = after;
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<(&'static str, String)> {
        let (_, found) = read(&"tools/a.yml".into(), text);
        found
            .into_iter()
            .map(|d| (d.code.slug, d.span.map_or("", |s| s.of(text)).to_owned()))
            .collect()
    }

    const GOOD: &str = "mxcp: 1\ntool:\n  name: a\n  source: {code: SELECT 1}\n";

    #[test]
    fn a_tool_is_read() {
        let text = "mxcp: 1\ntool:\n  name: find\n  parameters:\n    - {name: id, type: integer, \
                    minimum: 1}\n  return:\n    type: array\n    items:\n      type: object\n      \
                    properties:\n        ssn: {type: string, sensitive: true}\n  source:\n    file: \
                    ../sql/a.sql\npolicies:\n  input:\n    - condition: user.role != 'admin'\n      \
                    action: deny\n      reason: no\u{20}\n";
        let (file, found) = read(&"tools/a.yml".into(), text);
        // `reason: no` is read as false.
        let slugs: Vec<_> = found.iter().map(|d| d.code.slug).collect();
        assert_eq!(slugs, ["wrong-kind"]);
        let endpoint = file.unwrap().endpoint;
        assert_eq!(endpoint.identity.value, "find");
        assert_eq!(endpoint.policies.input[0].action.as_ref().unwrap().value, "deny");
        assert!(endpoint.result.unwrap().items.unwrap().properties[0].ty.sensitive);
    }

    #[test]
    fn every_problem_is_named_once_with_its_place() {
        let with = |extra: &str| found(&format!("{GOOD}{extra}"));
        assert_eq!(found(GOOD), []);
        assert_eq!(with("  retrun: {type: string}\n"), [("unknown-key", "retrun".into())]);
        assert_eq!(with("  enabled: 'yes'\n"), [("wrong-kind", "'yes'".into())]);
        assert_eq!(
            with("  parameters:\n    - {name: 1a, type: string}\n    - {name: b, type: str}\n"),
            [("parameter-name", "1a".into()), ("unknown-type", "str".into())]
        );
        assert_eq!(
            with("  return: {type: integer, minLength: 1, $ref: x}\n"),
            [("foreign-constraint", "minLength".into()), ("unsupported-schema", "$ref".into())]
        );
        assert_eq!(
            with("  return: {type: integer, enum: [1, x], default: 5}\n"),
            [("enum-violates-type", "x".into()), ("default-violates-type", "5".into())]
        );
        assert_eq!(
            found("mxcp: 2\ntool: {name: a, source: {code: x}}")[0].0,
            "unsupported-version"
        );
        assert_eq!(found("mxcp: 1\nmetadata: {}\n")[0].0, "one-endpoint-per-file");
        assert_eq!(with("  source: {}\n")[0].0, "duplicate-key");
        assert_eq!(
            found("mxcp: 1\ntool: {name: a b, source: {code: x, file: y}}"),
            [("invalid-name", "a b".into()), ("one-source", "{code: x, file: y}".into())]
        );
    }

    #[test]
    fn a_resources_uri_and_its_parameters_agree() {
        let resource = |uri: &str, parameters: &str| {
            found(&format!(
                "mxcp: 1\nresource:\n  uri: {uri}\n  source: {{code: SELECT 1}}\n  parameters: {parameters}\n"
            ))
        };
        assert_eq!(resource("a://{id}", "[{name: id, type: string}]"), []);
        assert_eq!(resource("a://{id}", "[]")[0].0, "uri-template");
        assert_eq!(resource("a://x", "[{name: id, type: string}]")[0].1, "id");
        assert_eq!(resource("'a://{+id}'", "[]")[0].0, "uri-template");
        assert_eq!(resource("nothing", "[]")[0].0, "uri-template");
    }

    proptest! {
        #[test]
        fn any_map_of_known_words_is_read_or_reported(
            words in prop::collection::vec(
                ("(tool|prompt|name|type|policies|input|return|items|source|code|tests)",
                 "(1|x|\\[\\]|\\{\\}|null|\\[\\{name: a\\}\\]|\\{type: array, items: 3\\})"), 0..6),
        ) {
            let inner = words.iter().fold(String::new(), |all, (k, v)| format!("{all}  {k}: {v}\n"));
            let text = format!("tool:\n{inner}");
            let (file, found) = read(&"a.yml".into(), &text);
            prop_assert!(file.is_some() || found.iter().any(Diagnostic::is_error));
        }
    }
}
