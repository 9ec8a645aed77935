//! The `encoders` extension.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Cost, Function, overloads};
use crate::ty::Sig::{Bytes, String};
use crate::value::{FailureKind, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "base64.encode",
        doc: "Bytes as base64 text.",
        examples: &[("base64.encode(b'hello')", "\"aGVsbG8=\"")],
        overloads: overloads! { global "base64_encode_bytes" [Bytes] String; },
        cost: Cost::Linear,
        eval: |call, args| {
            let [Value::Bytes(bytes)] = args else {
                return call.no_overload("base64.encode", args);
            };
            match call.spend(bytes.len() as u64) {
                Ok(()) => Value::text(call.arena.alloc_str(&STANDARD.encode(bytes))),
                Err(error) => error,
            }
        },
    },
    Function {
        name: "base64.decode",
        doc: "The bytes of base64 text, with or without padding.",
        examples: &[("base64.decode('aGVsbG8=')", "b\"hello\"")],
        overloads: overloads! { global "base64_decode_string" [String] Bytes; },
        cost: Cost::Linear,
        eval: |call, args| {
            let [Value::String(text)] = args else {
                return call.no_overload("base64.decode", args);
            };
            if let Err(error) = call.spend(text.text.len() as u64) {
                return error;
            }
            let decoded = STANDARD.decode(text.text).or_else(|_| STANDARD_NO_PAD.decode(text.text));
            match decoded {
                Ok(bytes) => Value::Bytes(call.arena.alloc_slice_copy(&bytes)),
                Err(_) => call.fail(FailureKind::InvalidArgument, "the text is not base64"),
            }
        },
    },
];
