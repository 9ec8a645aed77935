//! Functions of the standard library on strings.

use regex::{Regex, RegexBuilder};

use super::{Call, Function, Lowering, TextTest, cost, overloads};
use crate::ty::Sig::{Bool, String};
use crate::value::{FailureKind, Value};

/// Steps for each byte of a pattern that is compiled during an evaluation.
const COMPILE_STEPS: u64 = 64;
/// Largest compiled regular expression.
const MAX_PATTERN_BYTES: usize = 1 << 18;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "contains",
        doc: "Whether a string holds another.",
        examples: &[("'policy'.contains('lic')", "true")],
        overloads: overloads! { member "contains_string" [String, String] Bool; },
        cost: cost::scan,
        lowering: Some(Lowering::Text(TextTest::Contains)),
        eval: |call, args| two(call, "contains", args, |text, part| text.contains(part)),
    },
    Function {
        name: "startsWith",
        doc: "Whether a string begins with another.",
        examples: &[("'policy'.startsWith('pol')", "true")],
        overloads: overloads! { member "starts_with_string" [String, String] Bool; },
        cost: cost::scan,
        lowering: Some(Lowering::Text(TextTest::StartsWith)),
        eval: |call, args| two(call, "startsWith", args, |text, part| text.starts_with(part)),
    },
    Function {
        name: "endsWith",
        doc: "Whether a string ends with another.",
        examples: &[("'a@corp.example'.endsWith('@corp.example')", "true")],
        overloads: overloads! { member "ends_with_string" [String, String] Bool; },
        cost: cost::scan,
        lowering: Some(Lowering::Text(TextTest::EndsWith)),
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
        cost: |args| cost::pattern(args, COMPILE_STEPS),
        lowering: Some(Lowering::Text(TextTest::Matches)),
        eval: matches,
    },
];

fn two<'a>(
    call: &mut Call<'a>,
    name: &str,
    args: &[Value<'a>],
    test: impl Fn(&str, &str) -> bool,
) -> Value<'a> {
    let [Value::String(text), Value::String(part)] = args else {
        return call.no_overload(name, args);
    };
    match call.spend(cost::scan_steps(text.text)) {
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
    if let Err(error) = call.spend(pattern.text.len() as u64 * COMPILE_STEPS) {
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
    RegexBuilder::new(&re2(pattern)).size_limit(MAX_PATTERN_BYTES).build()
}

/// The pattern with the meaning that RE2 gives it: `\d`, `\s`, `\w` and `\b` speak of ASCII alone, and
/// in brackets `[`, `&` and `~` are themselves, and so is `-` at the end of a range.
fn re2(pattern: &str) -> std::string::String {
    let mut out = std::string::String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut bracket = false;
    // Whether the next character is the first of a bracket, where `]` is itself.
    let mut first = false;
    while let Some(c) = rest.next() {
        let was_first = std::mem::replace(&mut first, false);
        match c {
            '\\' => match rest.next() {
                Some(kind) => class(kind, bracket, &mut out),
                None => out.push(c),
            },
            '[' if !bracket => {
                bracket = true;
                first = true;
                out.push(c);
                if rest.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            '[' if rest.peek() == Some(&':') => {
                // A class by name, up to its own bracket.
                out.push(c);
                for c in rest.by_ref() {
                    out.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            ']' if bracket && was_first => out.push_str("\\]"),
            ']' if bracket => {
                bracket = false;
                out.push(c);
            }
            '-' if bracket && rest.peek() == Some(&'-') => {
                // Two of them would be the difference of two classes here. They are the end of a range, or
                // the begin of one where nothing stands before them.
                out.push_str(if was_first { "\\-" } else { "-\\" });
            }
            '[' | '&' | '~' if bracket => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// What stands behind a backslash.
fn class(kind: char, bracket: bool, out: &mut std::string::String) {
    let (members, negated) = match kind {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        's' => ("\\t\\n\\f\\r ", false),
        'S' => ("\\t\\n\\f\\r ", true),
        'w' => ("0-9A-Za-z_", false),
        'W' => ("0-9A-Za-z_", true),
        'b' if !bracket => return out.push_str("(?-u:\\b)"),
        other => {
            out.push('\\');
            return out.push(other);
        }
    };
    match (bracket, negated) {
        (true, false) => out.push_str(members),
        (_, true) => {
            out.push_str("[^");
            out.push_str(members);
            out.push(']');
        }
        (false, false) => {
            out.push('[');
            out.push_str(members);
            out.push(']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_re2_makes_of_them() {
        for (pattern, text, matches) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^\w+$", "é", false),
            (r"^\W$", "é", true),
            (r"^[\w.+-]+@[\w-]+$", "a.b@c", true),
            (r"^[^\s]+$", "a b", false),
            (r"^[\S]+$", "ab", true),
            (r"^[\D]$", "1", false),
            (r"\bword\b", "a word.", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[+--]+$", "+,-", true),
            (r"^[+--]+$", "*", false),
            (r"^[--a]+$", "-9Za", true),
            (r"^[--a]+$", "b", false),
            (r"^[---]+$", "-", true),
            (r"^[a[]+$", "a[", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]+$", "b", true),
            (r"^[[:alpha:]~]+$", "a~", true),
            (r"^\[\]$", "[]", true),
            ("^.$", "é", true),
            ("(?i)^STRASSE$", "strasse", true),
        ] {
            let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(regex.is_match(text), matches, "{pattern} on {text}");
        }
        for pattern in ["(", r"(?=a)", r"(a)\1", r"\w{100000}", r"[a"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
