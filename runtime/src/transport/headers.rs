//! Headers that repeat what the body says, in the modern revision.
//!
//! Machines between client and server route by these headers. If they could say another thing than
//! the body, such a machine and this one would act on different requests.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::json::{self, Member};
use crate::mcp::fault::Fault;

/// The revision that a request speaks.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The session of a legacy request.
pub const SESSION_ID: &str = "mcp-session-id";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";

/// The one value of a header, if it has one and that is plain text.
///
/// # Errors
/// When the header stands there twice, or with characters that no plain text has.
pub fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Fault> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Fault::mismatch(format!("the header `{name}` appears twice")));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => {
            Err(Fault::mismatch(format!("the header `{name}` has characters that are not ASCII")))
        }
    }
}

/// Checks that the headers of a modern request repeat its method and what it is about.
///
/// # Errors
/// When a header is missing, malformed, or says another thing than the body.
pub fn repeat(headers: &HeaderMap, method: &str, params: &[Member<'_>]) -> Result<(), Fault> {
    match single(headers, METHOD)? {
        None => return Err(Fault::mismatch("the header `Mcp-Method` is missing")),
        Some(header) if header != method => {
            return Err(Fault::mismatch("the header `Mcp-Method` is not the method of the body"));
        }
        Some(_) => {}
    }
    let key = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(()),
    };
    let body = json::get(params, key).and_then(|value| value.as_str());
    match (single(headers, NAME)?, body) {
        (None, _) => Err(Fault::mismatch("the header `Mcp-Name` is missing")),
        (Some(header), Some(body)) if decode(header)? == body.as_bytes() => Ok(()),
        _ => Err(Fault::mismatch(format!("the header `Mcp-Name` is not `params.{key}`"))),
    }
}

/// What a header value says: itself, or what is encoded between `=?base64?` and `?=`.
fn decode(value: &str) -> Result<Vec<u8>, Fault> {
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        None => Ok(value.as_bytes().to_vec()),
        Some(encoded) => STANDARD
            .decode(encoded)
            .map_err(|_| Fault::mismatch("the header `Mcp-Name` is not valid base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use axum::http::HeaderValue;

    fn check(pairs: &[(&'static str, &str)], method: &str, params: &str) -> Result<(), i32> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let Ok(Json::Object(params)) = json::parse(params.as_bytes()) else { panic!("{params}") };
        repeat(&headers, method, &params).map_err(|fault| {
            assert_eq!(fault.status, 400);
            fault.code.number()
        })
    }

    const MISMATCH: Result<(), i32> = Err(-32020);

    #[test]
    fn the_method_is_repeated() {
        assert_eq!(check(&[("mcp-method", "tools/list")], "tools/list", "{}"), Ok(()));
        assert_eq!(check(&[("mcp-method", "Tools/List")], "tools/list", "{}"), MISMATCH);
        assert_eq!(check(&[], "tools/list", "{}"), MISMATCH);
        let twice = [("mcp-method", "tools/list"), ("mcp-method", "tools/list")];
        assert_eq!(check(&twice, "tools/list", "{}"), MISMATCH);
    }

    #[test]
    fn the_name_is_repeated_plain_or_encoded() {
        let call = |name: &str, body: &str| {
            check(&[("mcp-method", "tools/call"), ("mcp-name", name)], "tools/call", body)
        };
        let body = r#"{"name":"x"}"#;
        assert_eq!(call("x", body), Ok(()));
        assert_eq!(call("=?base64?eA==?=", body), Ok(()));
        assert_eq!(call("=?base64?w6k=?=", r#"{"name":"é"}"#), Ok(()));
        assert_eq!(call("y", body), MISMATCH);
        assert_eq!(call("=?base64?!?=", body), MISMATCH);
        assert_eq!(call("é", r#"{"name":"é"}"#), MISMATCH);
        assert_eq!(call("x", "{}"), MISMATCH);
        assert_eq!(check(&[("mcp-method", "tools/call")], "tools/call", body), MISMATCH);
        let read = [("mcp-method", "resources/read"), ("mcp-name", "a://b")];
        assert_eq!(check(&read, "resources/read", r#"{"uri":"a://b"}"#), Ok(()));
        assert_eq!(check(&read, "resources/read", r#"{"uri":"a://c"}"#), MISMATCH);
    }
}
