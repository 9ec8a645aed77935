//! Optional values.

use super::{Function, cost, overloads};
use crate::ty::Sig::{Bool, Optional, Var};
use crate::value::{FailureKind, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "optional.of",
        doc: "An optional that holds the value.",
        examples: &[("optional.of(1).value()", "1")],
        overloads: overloads! { global "optional_of" [Var(0)] Optional(&Var(0)); },
        cost: cost::same,
        lowering: None,
        eval: |call, args| match *args {
            [value] => Value::Optional(Some(call.arena.alloc(value))),
            _ => call.no_overload("optional.of", args),
        },
    },
    Function {
        name: "optional.ofNonZeroValue",
        doc: "An optional that holds the value unless it is empty, zero, false or null.",
        examples: &[("optional.ofNonZeroValue('').hasValue()", "false")],
        overloads: overloads! { global "optional_ofNonZeroValue" [Var(0)] Optional(&Var(0)); },
        cost: cost::same,
        lowering: None,
        eval: |call, args| match *args {
            [value] if is_zero(&value) => Value::Optional(None),
            [value] => Value::Optional(Some(call.arena.alloc(value))),
            _ => call.no_overload("optional.ofNonZeroValue", args),
        },
    },
    Function {
        name: "optional.none",
        doc: "The optional that holds nothing.",
        examples: &[("optional.none().hasValue()", "false")],
        overloads: overloads! { global "optional_none" [] Optional(&Var(0)); },
        cost: cost::constant,
        lowering: None,
        eval: |_, _| Value::Optional(None),
    },
    Function {
        name: "hasValue",
        doc: "Whether an optional holds a value.",
        examples: &[("optional.of(1).hasValue()", "true")],
        overloads: overloads! { member "optional_hasValue" [Optional(&Var(0))] Bool; },
        cost: cost::constant,
        lowering: None,
        eval: |call, args| match args {
            [Value::Optional(held)] => Value::Bool(held.is_some()),
            _ => call.no_overload("hasValue", args),
        },
    },
    Function {
        name: "value",
        doc: "The value that an optional holds; an error when there is none.",
        examples: &[("optional.of('a').value()", "\"a\"")],
        overloads: overloads! { member "optional_value" [Optional(&Var(0))] Var(0); },
        cost: cost::same,
        lowering: None,
        eval: |call, args| match args {
            [Value::Optional(Some(held))] => **held,
            [Value::Optional(None)] => {
                call.fail(FailureKind::NoSuchKey, "the optional holds no value")
            }
            _ => call.no_overload("value", args),
        },
    },
    Function {
        name: "or",
        doc: "The optional, or another one if it holds nothing.",
        examples: &[("optional.none().or(optional.of(2)).value()", "2")],
        overloads: overloads! {
            member "optional_or_optional" [Optional(&Var(0)), Optional(&Var(0))] Optional(&Var(0));
        },
        cost: cost::either,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Optional(None), other @ Value::Optional(_)] => other,
            [held @ Value::Optional(Some(_)), Value::Optional(_)] => held,
            _ => call.no_overload("or", args),
        },
    },
    Function {
        name: "orValue",
        doc: "The value that an optional holds, or another.",
        examples: &[("optional.none().orValue(3)", "3")],
        overloads: overloads! {
            member "optional_orValue_value" [Optional(&Var(0)), Var(0)] Var(0);
        },
        cost: cost::either,
        lowering: None,
        eval: |call, args| match *args {
            [Value::Optional(Some(held)), _] => *held,
            [Value::Optional(None), other] => other,
            _ => call.no_overload("orValue", args),
        },
    },
];

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) => true,
        Value::Double(value) => *value == 0.0,
        Value::String(text) => text.text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Duration(span) => span.seconds == 0 && span.nanos == 0,
        // The beginning of the epoch is what a time is that was never set.
        Value::Timestamp(instant) => instant.seconds == 0 && instant.nanos == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::{Instant, Span};

    #[test]
    fn every_type_with_a_zero_has_it() {
        let time = |seconds, nanos| Value::Timestamp(Instant { seconds, nanos });
        let span = |seconds, nanos| Value::Duration(Span { seconds, nanos });
        for (value, zero) in [
            (Value::Null, true),
            (Value::Bool(false), true),
            (Value::Bool(true), false),
            (Value::Int(0), true),
            (Value::Uint(1), false),
            (Value::Double(-0.0), true),
            (Value::Double(f64::NAN), false),
            (Value::text(""), true),
            (Value::text(" "), false),
            (Value::Bytes(b""), true),
            (time(0, 0), true),
            (time(0, 1), false),
            (span(0, 0), true),
            (span(-1, 0), false),
            (Value::Type("int"), false),
            (Value::Optional(None), false),
        ] {
            assert_eq!(is_zero(&value), zero, "{value}");
        }
    }
}
