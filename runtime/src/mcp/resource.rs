//! Resources: listing and reading them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mxcp_schemas::bundle::definition::Kind;

use super::dispatch::{Cache, Context, Handled, Success};
use super::fault::Fault;
use super::jsonrpc::Code;
use super::list::{self, Object, Subject};
use crate::enforce::{Answer, Call, Class, Given, Outcome, Value};
use crate::json::{self, Json, quoted};

pub(super) fn list(context: &Context<'_>) -> Result<Success, Fault> {
    list::answer(context, Subject::Resources)
}

pub(super) fn templates(context: &Context<'_>) -> Result<Success, Fault> {
    list::answer(context, Subject::Templates)
}

/// Reads a resource.
pub(super) async fn read(context: &Context<'_>) -> Handled {
    let uri = match context.text("uri") {
        Ok(uri) => uri,
        Err(fault) => return Handled::Plain(Err(fault)),
    };
    let call = Call {
        kind: Kind::Resource,
        target: uri,
        given: Given::Texts(&[]),
        caller: context.caller,
        cancel: context.cancel,
    };
    match context.server.runtime.call(call).await {
        Err(unrecorded) => Handled::Unrecorded(unrecorded),
        Ok(answer) => {
            let Answer { outcome, call_id, receipt } = answer;
            let result = match outcome {
                Outcome::Value(value) => Ok(contents(uri, mime_type(context, uri), &value)),
                Outcome::Messages(_) => {
                    Err(Fault::new(Code::Internal, "a resource has no messages"))
                }
                Outcome::Failed(failure) if failure.class == Class::Unknown => {
                    Err(not_found(uri, context.revision.is_modern()))
                }
                Outcome::Failed(failure) => Err(Fault::of_failure(&failure, call_id)),
            };
            let result = result.map(|members| Success {
                members,
                cache: Some(Cache { ttl_ms: 0, is_private: true }),
                call_id: Some(call_id),
                ..Success::default()
            });
            Handled::Recorded(result, receipt)
        }
    }
}

fn not_found(uri: &str, modern: bool) -> Fault {
    let code = if modern { Code::InvalidParams } else { Code::ResourceNotFound };
    Fault::new(code, "there is no such resource").with_data(format!(r#"{{"uri":{}}}"#, quoted(uri)))
}

fn mime_type<'c>(context: &Context<'c>, uri: &str) -> Option<&'c str> {
    let (endpoint, _) = context.server.runtime.catalog().locate(uri)?.ok()?;
    endpoint.definition.mime_type.as_deref()
}

/// The one content of a resource. Octets, and texts of which the media type says that they are none,
/// are base64; other texts are themselves; anything else is JSON.
fn contents(uri: &str, mime_type: Option<&str>, value: &Value) -> String {
    let text = match json::parse(value.json.as_bytes()) {
        Ok(Json::String(text)) => Some(text),
        _ => None,
    };
    let mut content = String::with_capacity(value.json.len() + 128);
    let mut object = Object::new(&mut content);
    object.text("uri", uri);
    match (text, mime_type) {
        (Some(octets), mime_type) if value.is_octets => {
            object.text("mimeType", mime_type.unwrap_or("application/octet-stream"));
            object.text("blob", &octets);
        }
        (Some(text), Some(mime_type)) if !is_text(mime_type) => {
            object.text("mimeType", mime_type);
            object.text("blob", &STANDARD.encode(text.as_bytes()));
        }
        (Some(text), mime_type) => {
            object.text("mimeType", mime_type.unwrap_or("text/plain"));
            object.text("text", &text);
        }
        (None, mime_type) => {
            object.text("mimeType", mime_type.unwrap_or("application/json"));
            object.text("text", &value.json);
        }
    }
    object.end();
    format!(r#""contents":[{content}]"#)
}

/// Whether a media type is one of texts (RFC 6838, RFC 6839).
fn is_text(mime_type: &str) -> bool {
    let essence = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let texts =
        ["application/json", "application/xml", "application/yaml", "application/javascript"];
    essence.starts_with("text/")
        || texts.contains(&&*essence)
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || essence.ends_with("+yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(mime_type: Option<&str>, json: &str) -> serde_json::Value {
        shown(mime_type, json, false)
    }

    fn shown(mime_type: Option<&str>, json: &str, is_octets: bool) -> serde_json::Value {
        let value = Value { json: json.into(), is_wrapped: true, is_octets };
        let members = format!("{{{}}}", contents("a://x", mime_type, &value));
        serde_json::from_str::<serde_json::Value>(&members).unwrap()["contents"][0].clone()
    }

    #[test]
    fn texts_octets_and_structures() {
        let text = content(None, r#""a\"b""#);
        assert_eq!((&text["mimeType"], &text["text"]), (&"text/plain".into(), &"a\"b".into()));
        let markdown = content(Some("text/markdown; charset=utf-8"), r##""# x""##);
        assert_eq!(markdown["text"], "# x");
        let octets = shown(None, r#""aGk=""#, true);
        assert_eq!(
            (&octets["mimeType"], &octets["blob"]),
            (&"application/octet-stream".into(), &"aGk=".into())
        );
        assert_eq!(shown(Some("text/plain"), r#""aGk=""#, true)["blob"], "aGk=");
        let image = content(Some("image/png"), r#""hi""#);
        assert_eq!((&image["blob"], image.get("text")), (&"aGk=".into(), None));
        let svg = content(Some("image/svg+xml"), r#""<svg/>""#);
        assert_eq!(svg["text"], "<svg/>");
        let rows = content(None, r#"[{"a":1}]"#);
        assert_eq!(
            (&rows["mimeType"], &rows["text"]),
            (&"application/json".into(), &r#"[{"a":1}]"#.into())
        );
    }
}
