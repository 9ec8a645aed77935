//! Lists: which entries a client sees, in pages.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mxcp_schemas::bundle::definition::{self, Kind};

use super::dispatch::{Cache, Context, Success};
use super::era::Revision;
use super::fault::Fault;
use super::jsonrpc::Code;
use crate::endpoint::Endpoint;
use crate::json::{Json, Member, get, quoted};

/// Entries of a page, at most.
pub const LIST_PAGE_MAX_ENTRIES: usize = 1_000;
/// How long a client may keep a list, in milliseconds.
pub const LIST_TTL_MS: u64 = 60_000;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// tools
    Tools,
    /// resources with a fixed URI
    Resources,
    /// resources with variables in their URI
    Templates,
    /// prompts
    Prompts,
}

impl Subject {
    /// The kind of endpoint that the list holds.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Tools => Kind::Tool,
            Self::Resources | Self::Templates => Kind::Resource,
            Self::Prompts => Kind::Prompt,
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    fn holds(self, endpoint: &Endpoint) -> bool {
        match self {
            Self::Tools | Self::Prompts => true,
            Self::Resources => !endpoint.is_template(),
            Self::Templates => endpoint.is_template(),
        }
    }
}

/// Answers a list.
pub(super) fn answer(context: &Context<'_>, subject: Subject) -> Result<Success, Fault> {
    let runtime = &context.server.runtime;
    let principal = &context.caller.principal;
    let members = page(
        subject,
        runtime.catalog().of(subject.kind()),
        |endpoint| runtime.is_visible(endpoint, principal),
        context.params,
        runtime.digest(),
        context.revision,
    )?;
    let cache = Some(Cache::list(runtime.lists_depend_on_caller(subject.kind())));
    Ok(Success { members, cache, ..Success::default() })
}

/// One page of the entries that `is_visible`, after the one that the cursor in `params` names, as
/// members of a result.
///
/// `digest` is that of the bundle: a cursor of another bundle is not valid.
///
/// # Errors
/// When the cursor is not one that this list gave.
pub fn page<'e>(
    subject: Subject,
    endpoints: &'e [Endpoint],
    is_visible: impl Fn(&'e Endpoint) -> bool,
    params: &[Member<'_>],
    digest: &str,
    revision: Revision,
) -> Result<String, Fault> {
    let after = cursor(subject, params, digest)?;
    let mut entries = endpoints
        .iter()
        .filter(|entry| subject.holds(entry))
        .filter(|entry| after.as_ref().is_none_or(|after| entry.definition.identity > *after))
        .filter(|entry| is_visible(entry))
        .peekable();
    let mut members = format!("\"{}\":[", subject.key());
    let mut last = None;
    for (i, entry) in entries.by_ref().take(LIST_PAGE_MAX_ENTRIES).enumerate() {
        if i > 0 {
            members.push(',');
        }
        write_entry(&mut members, subject, &entry.definition, revision);
        last = Some(&entry.definition.identity);
    }
    members.push(']');
    if let (Some(last), Some(_)) = (last, entries.peek()) {
        let next = format!("{}\n{digest}\n{last}", subject.key());
        let _ = write!(members, ",\"nextCursor\":\"{}\"", URL_SAFE_NO_PAD.encode(next));
    }
    Ok(members)
}

/// The entry after which a page begins.
fn cursor(subject: Subject, params: &[Member<'_>], digest: &str) -> Result<Option<String>, Fault> {
    let invalid = || Fault::new(Code::InvalidParams, "the cursor is not valid for this list");
    let text = match get(params, "cursor") {
        None => return Ok(None),
        Some(Json::String(text)) => text,
        Some(_) => return Err(invalid()),
    };
    let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| invalid())?;
    let decoded = String::from_utf8(bytes).map_err(|_| invalid())?;
    let mut parts = decoded.splitn(3, '\n');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(list), Some(bundle), Some(last)) if list == subject.key() && bundle == digest => {
            Ok(Some(last.to_owned()))
        }
        _ => Err(invalid()),
    }
}

fn write_entry(
    out: &mut String,
    subject: Subject,
    endpoint: &definition::Endpoint,
    revision: Revision,
) {
    let mut object = Object::new(out);
    let titled = revision.has_structured_results();
    match subject {
        Subject::Tools => {
            object.text("name", &endpoint.identity);
            if titled {
                object.optional("title", endpoint.title.as_deref());
            }
            object.optional("description", endpoint.description.as_deref());
            object.raw("inputSchema", &endpoint.input_schema);
            if let Some(schema) = endpoint.output_schema.as_ref().filter(|_| titled) {
                object.raw("outputSchema", schema);
            }
            annotations(&mut object, endpoint);
        }
        Subject::Resources | Subject::Templates => {
            let is_template = subject == Subject::Templates;
            object.text(if is_template { "uriTemplate" } else { "uri" }, &endpoint.identity);
            object.text("name", endpoint.title.as_deref().unwrap_or(&endpoint.identity));
            object.optional("description", endpoint.description.as_deref());
            object.optional("mimeType", endpoint.mime_type.as_deref());
        }
        Subject::Prompts => {
            object.text("name", &endpoint.identity);
            if titled {
                object.optional("title", endpoint.title.as_deref());
            }
            object.optional("description", endpoint.description.as_deref());
            object.raw("arguments", &prompt_arguments(endpoint));
        }
    }
    if !endpoint.tags.is_empty() {
        let tags: Vec<String> = endpoint.tags.iter().map(|tag| quoted(tag)).collect();
        object.raw("_meta", &format!(r#"{{"mxcp/tags":[{}]}}"#, tags.join(",")));
    }
    object.end();
}

fn annotations(object: &mut Object<'_>, endpoint: &definition::Endpoint) {
    let hints = endpoint.annotations;
    let mut text = String::new();
    let mut inner = Object::new(&mut text);
    inner.optional("title", endpoint.title.as_deref());
    for (name, hint) in [
        ("readOnlyHint", hints.read_only),
        ("destructiveHint", hints.destructive),
        ("idempotentHint", hints.idempotent),
        ("openWorldHint", hints.open_world),
    ] {
        if let Some(hint) = hint {
            inner.raw(name, if hint { "true" } else { "false" });
        }
    }
    if inner.end() {
        object.raw("annotations", &text);
    }
}

fn prompt_arguments(endpoint: &definition::Endpoint) -> String {
    let arguments = endpoint.parameters.iter().map(|parameter| {
        let mut text = String::new();
        let mut object = Object::new(&mut text);
        object.text("name", &parameter.name);
        object.optional("description", parameter.description.as_deref());
        object.raw("required", if parameter.default.is_none() { "true" } else { "false" });
        object.end();
        text
    });
    format!("[{}]", arguments.collect::<Vec<_>>().join(","))
}

/// Writes a JSON object member by member.
pub(super) struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(super) fn new(out: &'o mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Members without braces: the object around them is another's.
    pub(super) const fn begun(out: &'o mut String) -> Self {
        Self { out, empty: true }
    }

    /// Members that are written already.
    pub(super) fn members(&mut self, members: &str) {
        if members.is_empty() {
            return;
        }
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        self.out.push_str(members);
    }

    /// A member whose value is JSON already.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        let _ = write!(self.out, "{}:{json}", quoted(name));
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.raw(name, &quoted(text));
    }

    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Ends the object and says whether it has members.
    pub(super) fn end(self) -> bool {
        self.out.push('}');
        !self.empty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Catalog;
    use crate::endpoint::tests::named;
    use mxcp_schemas::bundle::definition::{Annotations, Endpoints, Parameter, TypeId};
    use serde_json::{Value, json};

    fn list(
        subject: Subject,
        catalog: &Catalog,
        cursor: Option<&str>,
        revision: Revision,
    ) -> Result<Value, i32> {
        let params = cursor.map(|c| ("cursor".into(), Json::String(c.into())));
        let params: Vec<Member<'_>> = params.into_iter().collect();
        let visible = |entry: &Endpoint| !entry.definition.identity.starts_with("hidden");
        let endpoints = catalog.of(subject.kind());
        page(subject, endpoints, visible, &params, "d1", revision)
            .map(|members| serde_json::from_str(&format!("{{{members}}}")).unwrap())
            .map_err(|fault| fault.code.number())
    }

    const NEW: Revision = Revision::V2026_07_28;

    #[test]
    fn tools_say_all_that_is_known() {
        let mut tool = named(Kind::Tool, "t");
        tool.title = Some("T".into());
        tool.description = Some("does \"t\"".into());
        tool.annotations = Annotations { read_only: Some(true), ..Annotations::default() };
        tool.output_schema = Some(r#"{"type":"object"}"#.into());
        tool.tags = vec!["a".into()];
        let catalog = Catalog::new(Endpoints { entries: vec![tool, named(Kind::Tool, "hidden")] });
        let full = list(Subject::Tools, &catalog, None, NEW).unwrap();
        assert_eq!(
            full,
            json!({"tools": [{
                "name": "t", "title": "T", "description": "does \"t\"",
                "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"},
                "annotations": {"title": "T", "readOnlyHint": true},
                "_meta": {"mxcp/tags": ["a"]}
            }]})
        );
        let old = list(Subject::Tools, &catalog, None, Revision::V2025_03_26).unwrap();
        assert_eq!(old["tools"][0].get("outputSchema"), None);
        assert_eq!(old["tools"][0].get("title"), None);
    }

    #[test]
    fn resources_and_templates_are_apart() {
        let mut fixed = named(Kind::Resource, "a://x");
        fixed.mime_type = Some("text/plain".into());
        let mut template = named(Kind::Resource, "a://{id}");
        template.title = Some("things".into());
        let catalog = Catalog::new(Endpoints { entries: vec![fixed, template] });
        assert_eq!(
            list(Subject::Resources, &catalog, None, NEW).unwrap(),
            json!({"resources": [{"uri": "a://x", "name": "a://x", "mimeType": "text/plain"}]})
        );
        assert_eq!(
            list(Subject::Templates, &catalog, None, NEW).unwrap(),
            json!({"resourceTemplates": [{"uriTemplate": "a://{id}", "name": "things"}]})
        );
    }

    #[test]
    fn prompts_name_their_arguments() {
        let mut prompt = named(Kind::Prompt, "p");
        let parameter = |name: &str, default: Option<&str>| Parameter {
            name: name.into(),
            description: None,
            ty: TypeId(0),
            default: default.map(str::to_owned),
        };
        prompt.parameters = vec![parameter("a", None), parameter("b", Some("1"))];
        let catalog = Catalog::new(Endpoints { entries: vec![prompt] });
        assert_eq!(
            list(Subject::Prompts, &catalog, None, NEW).unwrap(),
            json!({"prompts": [{"name": "p", "arguments": [
                {"name": "a", "required": true}, {"name": "b", "required": false}
            ]}]})
        );
    }

    #[test]
    fn pages_follow_each_other_and_foreign_cursors_are_invalid() {
        let count = 2 * LIST_PAGE_MAX_ENTRIES + 1;
        let entries = (0..count).map(|i| named(Kind::Tool, &format!("t{i:05}"))).collect();
        let catalog = Catalog::new(Endpoints { entries });
        let (mut names, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let found = list(Subject::Tools, &catalog, cursor.as_deref(), NEW).unwrap();
            names.extend(found["tools"].as_array().unwrap().iter().map(|t| t["name"].clone()));
            pages += 1;
            match found.get("nextCursor") {
                Some(next) => cursor = next.as_str().map(str::to_owned),
                None => break,
            }
        }
        assert_eq!((pages, names.len()), (3, count));
        assert!(names.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
        let cursor = cursor.unwrap();
        assert_eq!(list(Subject::Prompts, &catalog, Some(&cursor), NEW), Err(-32602));
        for bad in ["", "!", "AAAA"] {
            assert_eq!(list(Subject::Tools, &catalog, Some(bad), NEW), Err(-32602), "{bad}");
        }
        let other = URL_SAFE_NO_PAD.encode("tools\nd2\nt00001");
        assert_eq!(list(Subject::Tools, &catalog, Some(&other), NEW), Err(-32602));
    }

    #[test]
    fn a_full_page_that_is_the_last_has_no_cursor() {
        let entries =
            (0..LIST_PAGE_MAX_ENTRIES).map(|i| named(Kind::Tool, &format!("t{i}"))).collect();
        let catalog = Catalog::new(Endpoints { entries });
        let found = list(Subject::Tools, &catalog, None, NEW).unwrap();
        assert_eq!(found.get("nextCursor"), None);
    }
}
