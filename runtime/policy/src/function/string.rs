//! Functions of the standard library on strings.

use regex::{Regex, RegexBuilder};

use super::{BYTES_PER_SCAN_STEP, Call, Cost, Function, overloads};
use crate::ty::Sig::{Bool, String};
use crate::value::{FailureKind, Value};

/// Largest compiled regular expression.
const MAX_PATTERN_BYTES: usize = 1 << 20;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "contains",
        doc: "Whether a string holds another.",
        examples: &[("'policy'.contains('lic')", "true")],
        overloads: overloads! { member "contains_string" [String, String] Bool; },
        cost: Cost::Scan,
        eval: |call, args| two(call, "contains", args, |text, part| text.contains(part)),
    },
    Function {
        name: "startsWith",
        doc: "Whether a string begins with another.",
        examples: &[("'policy'.startsWith('pol')", "true")],
        overloads: overloads! { member "starts_with_string" [String, String] Bool; },
        cost: Cost::Scan,
        eval: |call, args| two(call, "startsWith", args, |text, part| text.starts_with(part)),
    },
    Function {
        name: "endsWith",
        doc: "Whether a string ends with another.",
        examples: &[("'a@corp.example'.endsWith('@corp.example')", "true")],
        overloads: overloads! { member "ends_with_string" [String, String] Bool; },
        cost: Cost::Scan,
        eval: |call, args| two(call, "endsWith", args, |text, part| text.ends_with(part)),
    },
    Function {
        name: "matches",
        doc: "Whether a regular expression (RE2 syntax) matches somewhere in a string.",
        examples: &[("'ab12'.matches('^[a-z]+[0-9]+$')", "true")],
        overloads: overloads! {
            global "matches" [String, String] Bool;
            member "matches_string" [String, String] Bool;
        },
        cost: Cost::Product,
        eval: matches,
    },
];

fn two<'a>(
    call: &mut Call<'a>,
    name: &str,
    args: &[Value<'a>],
    test: fn(&str, &str) -> bool,
) -> Value<'a> {
    let [Value::String(text), Value::String(part)] = args else {
        return call.no_overload(name, args);
    };
    match call.spend((text.text.len() / BYTES_PER_SCAN_STEP) as u64) {
        Ok(()) => Value::Bool(test(text.text, part.text)),
        Err(error) => error,
    }
}

fn matches<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::String(text), Value::String(pattern)] = args else {
        return call.no_overload("matches", args);
    };
    if let Err(error) = call.spend(text.text.len() as u64) {
        return error;
    }
    let known = call.patterns.iter().find(|(known, _)| **known == *pattern.text);
    if let Some((_, regex)) = known {
        return Value::Bool(regex.is_match(text.text));
    }
    if let Err(error) = call.spend(pattern.text.len() as u64 * 64) {
        return error;
    }
    match compile(pattern.text) {
        Ok(regex) => Value::Bool(regex.is_match(text.text)),
        Err(_) => call.fail(FailureKind::InvalidArgument, "the pattern is no regular expression"),
    }
}

/// Compiles a pattern with the limits that patterns have everywhere.
///
/// # Errors
/// When it is no regular expression of linear time, or too large.
pub fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build()
}
