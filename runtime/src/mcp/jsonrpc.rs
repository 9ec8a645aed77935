//! JSON-RPC 2.0 as MCP uses it: requests, notifications, responses and (2025-03-26) batches.
//!
//! Reading is a pure function of the bytes. What is wrong with a message is said with the id of
//! the message where that could be read, so that a client can tell which of its requests failed.

use std::borrow::Cow;
use std::fmt;

use crate::json::{self, Json, JsonError, Member};

/// Messages of a batch, at most.
pub const BATCH_MAX_MESSAGES: usize = 50;
/// Length of an id's text, at most.
pub const ID_MAX_BYTES: usize = 256;
/// Length of a method's name, at most.
pub const METHOD_MAX_BYTES: usize = 128;

/// What a body holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload<'a> {
    /// one message
    Single(Message<'a>),
    /// an array of messages, each read for itself
    Batch(Vec<Result<Message<'a>, Malformed>>),
}

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message<'a> {
    /// wants an answer
    Request(Request<'a>),
    /// wants none
    Notification(Notification<'a>),
    /// answers a request that we never send; its id
    Response(Id),
}

/// A call that wants an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// what the answer is to carry
    pub id: Id,
    /// what to do
    pub method: Cow<'a, str>,
    /// with what; empty when absent
    pub params: Vec<Member<'a>>,
}

/// A message that wants no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification<'a> {
    /// what happened
    pub method: Cow<'a, str>,
    /// with what; empty when absent
    pub params: Vec<Member<'a>>,
}

/// The id of a request: a string, or a whole number exactly as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// its digits
    Number(Box<str>),
    /// its characters
    String(Box<str>),
}

impl fmt::Display for Id {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => f.write_str(digits),
            Self::String(text) => f.write_str(&json::quoted(text)),
        }
    }
}

/// A message that cannot be dispatched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// JSON-RPC error code
    pub code: Code,
    /// what is wrong, for the client: no part of the message
    pub message: String,
    /// the message's id, if it has one that could be read
    pub id: Option<Id>,
}

/// Error codes of JSON-RPC and of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// not JSON
    Parse = -32700,
    /// not a request
    InvalidRequest = -32600,
    /// unknown or not available
    MethodNotFound = -32601,
    /// unknown name, wrong argument, invalid cursor
    InvalidParams = -32602,
    /// a fault on this side
    Internal = -32603,
    /// a call that was refused or failed, where the protocol has no result for it
    Refused = -32000,
    /// resource not found, in legacy revisions
    ResourceNotFound = -32002,
    /// headers contradict the body
    HeaderMismatch = -32020,
    /// the revision is not spoken here
    UnsupportedVersion = -32022,
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl Malformed {
    fn invalid(id: Option<Id>, message: impl Into<String>) -> Self {
        Self { code: Code::InvalidRequest, message: message.into(), id }
    }
}

impl From<JsonError> for Malformed {
    fn from(error: JsonError) -> Self {
        let code = match error.fault {
            fault if fault.is_limit() => Code::InvalidRequest,
            _ => Code::Parse,
        };
        Self { code, message: format!("the message is not acceptable JSON: {error}"), id: None }
    }
}

/// Reads the body of a request or a line of standard input.
///
/// # Errors
/// When the body as a whole is no message: too large, not JSON, not an object, an empty batch.
pub fn read(body: &[u8], max_bytes: usize, max_depth: usize) -> Result<Payload<'_>, Malformed> {
    if body.len() > max_bytes {
        return Err(Malformed::invalid(
            None,
            format!("the message has {} bytes; at most {max_bytes} are read", body.len()),
        ));
    }
    match json::parse_within(body, max_depth)? {
        Json::Array(items) if items.is_empty() => {
            Err(Malformed::invalid(None, "the batch is empty"))
        }
        Json::Array(items) if items.len() > BATCH_MAX_MESSAGES => Err(Malformed::invalid(
            None,
            format!(
                "the batch has {} messages; at most {BATCH_MAX_MESSAGES} are read",
                items.len()
            ),
        )),
        Json::Array(items) => Ok(Payload::Batch(items.into_iter().map(message).collect())),
        single => message(single).map(Payload::Single),
    }
}

fn message(value: Json<'_>) -> Result<Message<'_>, Malformed> {
    let kind = value.kind();
    let Json::Object(members) = value else {
        return Err(Malformed::invalid(None, format!("a message is an object, not {kind}")));
    };
    let mut parts = Parts::default();
    for (name, value) in members {
        match &*name {
            "jsonrpc" => parts.version = Some(value),
            "id" => parts.id = Some(value),
            "method" => parts.method = Some(value),
            "params" => parts.params = Some(value),
            "result" | "error" => parts.answers = true,
            _ => {}
        }
    }
    parts.message()
}

/// The members of a message that mean something.
#[derive(Default)]
struct Parts<'a> {
    version: Option<Json<'a>>,
    id: Option<Json<'a>>,
    method: Option<Json<'a>>,
    params: Option<Json<'a>>,
    answers: bool,
}

impl<'a> Parts<'a> {
    fn message(self) -> Result<Message<'a>, Malformed> {
        let id = self.id.as_ref().map(read_id).transpose()?;
        let fail = |message: String| Err(Malformed::invalid(id.clone(), message));
        match &self.version {
            Some(Json::String(version)) if version == "2.0" => {}
            _ => return fail("`jsonrpc` must be \"2.0\"".into()),
        }
        let method = match self.method {
            None if self.answers => {
                return match id {
                    Some(id) => Ok(Message::Response(id)),
                    None => fail("a response must have an `id`".into()),
                };
            }
            Some(_) if self.answers => {
                return fail("a message has either a `method` or a `result` or `error`".into());
            }
            Some(Json::String(method)) if method.len() <= METHOD_MAX_BYTES => method,
            Some(Json::String(_)) => {
                return fail(format!("`method` is longer than {METHOD_MAX_BYTES} bytes"));
            }
            Some(other) => return fail(format!("`method` must be a string, not {}", other.kind())),
            None => return fail("`method` is missing".into()),
        };
        let params = match self.params {
            None => Vec::new(),
            Some(Json::Object(members)) => members,
            Some(other) => {
                return fail(format!("`params` must be an object, not {}", other.kind()));
            }
        };
        Ok(match id {
            Some(id) => Message::Request(Request { id, method, params }),
            None => Message::Notification(Notification { method, params }),
        })
    }
}

/// Reads an id.
///
/// # Errors
/// When it is anything but a string or a whole number (JSON-RPC 2.0 section 4, as MCP narrows it).
pub fn read_id(value: &Json<'_>) -> Result<Id, Malformed> {
    match value {
        Json::String(text) if text.len() <= ID_MAX_BYTES => Ok(Id::String((**text).into())),
        Json::Number(digits) if !digits.contains(['.', 'e', 'E']) => {
            Ok(Id::Number((*digits).into()))
        }
        Json::String(_) => {
            Err(Malformed::invalid(None, format!("`id` is longer than {ID_MAX_BYTES} bytes")))
        }
        Json::Number(_) => Err(Malformed::invalid(None, "`id` must be a whole number or a string")),
        other => Err(Malformed::invalid(
            None,
            format!("`id` must be a whole number or a string, not {}", other.kind()),
        )),
    }
}

/// The answer to a request that succeeded. `result` is JSON.
pub fn result(id: &Id, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// The answer to a request that failed; without an `id` where none could be read, as MCP has it
/// (JSON-RPC would write null there). `data` is JSON.
pub fn error(id: Option<&Id>, code: Code, message: &str, data: Option<&str>) -> String {
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    let message = json::quoted(message);
    let code = code.number();
    format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BODY_MAX_BYTES: usize = 4 << 20;

    fn single(body: &str) -> Result<Message<'_>, Malformed> {
        match read(body.as_bytes(), BODY_MAX_BYTES, json::DEPTH_MAX)? {
            Payload::Single(message) => Ok(message),
            Payload::Batch(_) => panic!("a batch"),
        }
    }

    fn refused(body: &str) -> (i32, String, Option<String>) {
        let error = single(body).unwrap_err();
        (error.code.number(), error.message, error.id.map(|id| id.to_string()))
    }

    #[test]
    fn requests_notifications_and_responses_are_told_apart() {
        let Message::Request(request) =
            single(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#)
                .unwrap()
        else {
            panic!("not a request")
        };
        assert_eq!(request.method, "tools/call");
        assert_eq!(json::get(&request.params, "name").unwrap().as_str(), Some("x"));
        let message = single(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
        assert!(matches!(message, Message::Notification(_)));
        let message = single(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#).unwrap();
        assert_eq!(message, Message::Response(Id::String("a".into())));
    }

    #[test]
    fn ids_come_back_as_they_came() {
        for id in ["1", "-5", "9007199254740993", "123456789012345678901234567890"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let Message::Request(request) = single(&body).unwrap() else { panic!("no request") };
            assert_eq!(
                result(&request.id, "{}"),
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
            );
        }
        let Message::Request(request) =
            single(r#"{"jsonrpc":"2.0","id":"\u0061\"é","method":"ping"}"#).unwrap()
        else {
            panic!("no request")
        };
        assert_eq!(request.id.to_string(), r#""a\"é""#);
    }

    #[test]
    fn malformed_messages_say_what_is_wrong() {
        let id = Some("7".to_owned());
        let cases: [(&str, i32, &str, Option<String>); 14] = [
            ("", -32700, "the text ends too early at byte 0", None),
            (r#"{"jsonrpc":"2.0","id":"\ud800","method":"x"}"#, -32700, "surrogate", None),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, -32600, "duplicate key", None),
            (r#"{"jsonrpc":"2.0","id":1e999,"method":"x"}"#, -32600, "too large", None),
            ("3", -32600, "an object, not a number", None),
            ("[]", -32600, "the batch is empty", None),
            (r#"{"jsonrpc":"1.0","id":7,"method":"x"}"#, -32600, "`jsonrpc`", id.clone()),
            (r#"{"jsonrpc":"2.0","id":7}"#, -32600, "`method` is missing", id.clone()),
            (r#"{"jsonrpc":"2.0","id":7,"method":3}"#, -32600, "not a number", id.clone()),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"x","params":[1]}"#,
                -32600,
                "not an array",
                id.clone(),
            ),
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","result":1}"#, -32600, "either", id),
            (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600, "not null", None),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, -32600, "whole number", None),
            (r#"{"jsonrpc":"2.0","result":{}}"#, -32600, "must have an `id`", None),
        ];
        for (body, code, text, id) in cases {
            let (found, message, found_id) = refused(body);
            assert_eq!((found, found_id), (code, id), "{body}");
            assert!(message.contains(text), "{body}: {message}");
        }
    }

    #[test]
    fn sizes_are_limited() {
        let method = "m".repeat(METHOD_MAX_BYTES + 1);
        assert!(
            refused(&format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}"}}"#))
                .1
                .contains("longer")
        );
        let id = "i".repeat(ID_MAX_BYTES + 1);
        assert!(
            refused(&format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"x"}}"#))
                .1
                .contains("longer")
        );
        assert!(read(b"{}  ", 3, json::DEPTH_MAX).unwrap_err().message.contains("4 bytes"));
        let batch = format!("[{}]", vec!["{}"; BATCH_MAX_MESSAGES + 1].join(","));
        assert!(
            read(batch.as_bytes(), BODY_MAX_BYTES, json::DEPTH_MAX)
                .unwrap_err()
                .message
                .contains("51 messages")
        );
    }

    #[test]
    fn a_batch_reads_each_message_for_itself() {
        let body = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"id":2},7]"#;
        let Ok(Payload::Batch(messages)) = read(body, BODY_MAX_BYTES, json::DEPTH_MAX) else {
            panic!("no batch")
        };
        assert!(matches!(&messages[0], Ok(Message::Request(_))));
        assert_eq!(messages[1].as_ref().unwrap_err().id, Some(Id::Number("2".into())));
        assert_eq!(messages[2].as_ref().unwrap_err().id, None);
    }

    #[test]
    fn errors_are_written() {
        assert_eq!(
            error(None, Code::Parse, "a \"b\"", None),
            r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"a \"b\""}}"#
        );
        let id = Id::Number("1".into());
        assert_eq!(
            error(Some(&id), Code::UnsupportedVersion, "no", Some("[]")),
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"no","data":[]}}"#
        );
    }

    proptest! {
        #[test]
        fn any_body_is_answered(body in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Err(error) = read(&body, 200, 8) {
                prop_assert!(!error.message.is_empty());
            }
        }

        #[test]
        fn any_members_are_answered(
            version in prop_oneof![Just("\"2.0\""), Just("2"), Just("null")],
            id in prop_oneof![Just("1"), Just("\"a\""), Just("null"), Just("{}"), Just("0.5")],
            method in prop_oneof![Just("\"ping\""), Just("1"), Just("[]")],
            params in prop_oneof![Just("{}"), Just("[]"), Just("\"x\"")],
        ) {
            let body = format!(
                r#"{{"jsonrpc":{version},"id":{id},"method":{method},"params":{params}}}"#
            );
            let good = version == "\"2.0\""
                && matches!(id, "1" | "\"a\"")
                && method == "\"ping\""
                && params == "{}";
            prop_assert_eq!(single(&body).is_ok(), good);
        }
    }
}
