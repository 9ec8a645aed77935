//! The `encoders` extension.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{
    GeneralPurpose, GeneralPurposeConfig, NO_PAD, PAD, STANDARD,
};

use super::{Function, cost, overloads};
use crate::ty::Sig::{Bytes, String};
use crate::value::{FailureKind, Value};

/// What is read: bits that are left over at the end of a text may be any, as in `cel-go`.
const fn reader(padding: GeneralPurposeConfig) -> GeneralPurpose {
    GeneralPurpose::new(&alphabet::STANDARD, padding.with_decode_allow_trailing_bits(true))
}
static PADDED: GeneralPurpose = reader(PAD);
static UNPADDED: GeneralPurpose = reader(NO_PAD);

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "base64.encode",
        doc: "Bytes as base64 text.",
        examples: &[("base64.encode(b'hello')", "\"aGVsbG8=\"")],
        overloads: overloads! { global "base64_encode_bytes" [Bytes] String; },
        cost: cost::doubled,
        lowering: None,
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
        cost: cost::text,
        lowering: None,
        eval: |call, args| {
            let [Value::String(text)] = args else {
                return call.no_overload("base64.decode", args);
            };
            if let Err(error) = call.spend(text.text.len() as u64) {
                return error;
            }
            let decoded = PADDED.decode(text.text).or_else(|_| UNPADDED.decode(text.text));
            match decoded {
                Ok(bytes) => Value::Bytes(call.arena.alloc_slice_copy(&bytes)),
                Err(_) => call.fail(FailureKind::InvalidArgument, "the text is not base64"),
            }
        },
    },
];

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::super::{Call, find};
    use super::*;

    #[test]
    fn texts_are_read_with_and_without_padding_and_with_bits_left_over() {
        let arena = Bump::new();
        let function = find("base64.decode").unwrap();
        for (text, bytes) in [
            ("YWI=", Some(&b"ab"[..])),
            ("YWI", Some(b"ab")),
            ("YQ==", Some(b"a")),
            ("YW==", Some(b"a")),
            ("YW", Some(b"a")),
            ("", Some(b"")),
            ("Y", None),
            ("YQ=", None),
            ("YWI==", None),
            ("_-8=", None),
        ] {
            let mut call = Call { arena: &arena, budget: 1_000, patterns: &[] };
            let read = match (function.eval)(&mut call, &[Value::text(text)]) {
                Value::Bytes(bytes) => Some(bytes),
                _ => None,
            };
            assert_eq!(read, bytes, "{text}");
        }
    }
}
