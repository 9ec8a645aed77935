//! The `strings` extension. Positions count code points.

use bumpalo::collections::{CollectIn as _, Vec as BumpVec};

use super::{Call, Function, cost, overloads};
use crate::ty::Sig::{Int, List, String, Var};
use crate::value::{self, FailureKind, Value};

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "charAt",
        doc: "The code point at a position, `''` right behind the end.",
        examples: &[("'tacocat'.charAt(3)", "\"o\"")],
        overloads: overloads! { member "string_char_at_int" [String, Int] String; },
        cost: cost::code_point,
        lowering: None,
        eval: char_at,
    },
    Function {
        name: "indexOf",
        doc: "The position of the first occurrence, from a position on, or -1.",
        examples: &[
            ("'hello mellow'.indexOf('ello')", "1"),
            ("'hello mellow'.indexOf('ello', 2)", "7"),
        ],
        overloads: overloads! {
            member "string_index_of_string" [String, String] Int;
            member "string_index_of_string_int" [String, String, Int] Int;
        },
        cost: cost::bytes,
        lowering: None,
        eval: index_of,
    },
    Function {
        name: "lastIndexOf",
        doc: "The position of the last occurrence, up to a position, or -1.",
        examples: &[("'hello mellow'.lastIndexOf('ello')", "7")],
        overloads: overloads! {
            member "string_last_index_of_string" [String, String] Int;
            member "string_last_index_of_string_int" [String, String, Int] Int;
        },
        cost: cost::bytes,
        lowering: None,
        eval: last_index_of,
    },
    Function {
        name: "join",
        doc: "Joins a list of strings, with a separator if one is given.",
        examples: &[("['a', 'b'].join('-')", "\"a-b\"")],
        overloads: overloads! {
            member "list_join" [List(&String)] String;
            member "list_join_string" [List(&String), String] String;
        },
        cost: cost::concatenated,
        lowering: None,
        eval: join,
    },
    Function {
        name: "lowerAscii",
        doc: "Makes ASCII letters lower case.",
        examples: &[("'TacoCat'.lowerAscii()", "\"tacocat\"")],
        overloads: overloads! { member "string_lower_ascii" [String] String; },
        cost: cost::text,
        lowering: None,
        eval: |call, args| {
            one(call, "lowerAscii", args, |text, made| {
                made.extend(text.chars().map(|c| c.to_ascii_lowercase()));
            })
        },
    },
    Function {
        name: "upperAscii",
        doc: "Makes ASCII letters upper case.",
        examples: &[("'TacoCat'.upperAscii()", "\"TACOCAT\"")],
        overloads: overloads! { member "string_upper_ascii" [String] String; },
        cost: cost::text,
        lowering: None,
        eval: |call, args| {
            one(call, "upperAscii", args, |text, made| {
                made.extend(text.chars().map(|c| c.to_ascii_uppercase()));
            })
        },
    },
    Function {
        name: "replace",
        doc: "Replaces occurrences, at most as many as given.",
        examples: &[
            ("'hello'.replace('l', 'w')", "\"hewwo\""),
            ("'hello'.replace('l', 'w', 1)", "\"hewlo\""),
        ],
        overloads: overloads! {
            member "string_replace_string_string" [String, String, String] String;
            member "string_replace_string_string_int" [String, String, String, Int] String;
        },
        cost: cost::replaced,
        lowering: None,
        eval: replace,
    },
    Function {
        name: "reverse",
        doc: "Reverses the code points of a string or the items of a list.",
        examples: &[("'gums'.reverse()", "\"smug\""), ("[1, 2].reverse()", "[2, 1]")],
        overloads: overloads! {
            member "string_reverse" [String] String;
            member "list_reverse" [List(&Var(0))] List(&Var(0));
        },
        cost: cost::copied,
        lowering: None,
        eval: reverse,
    },
    Function {
        name: "split",
        doc: "Splits at a separator, into at most as many parts as given.",
        examples: &[
            ("'a b c'.split(' ')", "[\"a\", \"b\", \"c\"]"),
            ("'a b c'.split(' ', 2)", "[\"a\", \"b c\"]"),
        ],
        overloads: overloads! {
            member "string_split_string" [String, String] List(&String);
            member "string_split_string_int" [String, String, Int] List(&String);
        },
        cost: cost::parts,
        lowering: None,
        eval: split,
    },
    Function {
        name: "substring",
        doc: "The part from a position on, up to a position.",
        examples: &[
            ("'tacocat'.substring(4)", "\"cat\""),
            ("'tacocat'.substring(0, 4)", "\"taco\""),
        ],
        overloads: overloads! {
            member "string_substring_int" [String, Int] String;
            member "string_substring_int_int" [String, Int, Int] String;
        },
        cost: cost::text,
        lowering: None,
        eval: substring,
    },
    Function {
        name: "trim",
        doc: "Removes white space (as Unicode defines it) at both ends.",
        examples: &[("'  taco '.trim()", "\"taco\"")],
        overloads: overloads! { member "string_trim" [String] String; },
        cost: cost::text,
        lowering: None,
        eval: |call, args| one(call, "trim", args, |text, made| made.push_str(text.trim())),
    },
    Function {
        name: "strings.quote",
        doc: "The text as a literal in double quotes.",
        examples: &[("strings.quote('a \"b\"')", r#""\"a \\\"b\\\"\"""#)],
        overloads: overloads! { global "strings_quote" [String] String; },
        cost: cost::doubled,
        lowering: None,
        eval: |call, args| one(call, "strings.quote", args, quote),
    },
];

/// A text under construction, in the arena.
type Made<'a> = bumpalo::collections::String<'a>;

fn one<'a>(
    call: &mut Call<'a>,
    name: &str,
    args: &[Value<'a>],
    make: fn(&str, &mut Made<'_>),
) -> Value<'a> {
    let [Value::String(text)] = args else { return call.no_overload(name, args) };
    match call.spend(text.text.len() as u64) {
        Ok(()) => {
            let mut made = Made::with_capacity_in(text.text.len(), call.arena);
            make(text.text, &mut made);
            Value::text(made.into_bump_str())
        }
        Err(error) => error,
    }
}

fn reverse<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::List(list)] = *args else {
        return one(call, "reverse", args, |text, made| made.extend(text.chars().rev()));
    };
    if let Err(error) = call.spend(list.len() as u64) {
        return error;
    }
    let mut items: BumpVec<'a, Value<'a>> = list.iter(call.arena).collect_in(call.arena);
    items.reverse();
    Value::List(value::List::Made(items.into_bump_slice()))
}

fn quote(text: &str, quoted: &mut Made<'_>) {
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
}

/// The byte offset of a position in code points; the end counts as one.
fn offset(text: &str, position: i64) -> Option<usize> {
    let position = usize::try_from(position).ok()?;
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(position)
}

fn position(text: &str, offset: usize) -> i64 {
    let count = text.get(..offset).unwrap_or("").chars().count();
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn out_of_range<'a>(call: &Call<'a>, name: &str) -> Value<'a> {
    call.fail(FailureKind::OutOfRange, format!("`{name}`: the position is outside the string"))
}

fn char_at<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::String(text), Value::Int(at)] = *args else {
        return call.no_overload("charAt", args);
    };
    if let Err(error) = call.spend(text.text.len() as u64) {
        return error;
    }
    let Some(start) = offset(text.text, at) else { return out_of_range(call, "charAt") };
    let rest = text.text.get(start..).unwrap_or("");
    let length = rest.chars().next().map_or(0, char::len_utf8);
    Value::text(rest.get(..length).unwrap_or(""))
}

fn index_of<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (text, part, from) = match *args {
        [Value::String(text), Value::String(part)] => (text.text, part.text, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => {
            (text.text, part.text, from)
        }
        _ => return call.no_overload("indexOf", args),
    };
    if let Err(error) = call.spend(text.len() as u64) {
        return error;
    }
    let Some(start) = offset(text, from) else { return out_of_range(call, "indexOf") };
    let found = text.get(start..).and_then(|rest| rest.find(part));
    Value::Int(found.map_or(-1, |at| position(text, start + at)))
}

fn last_index_of<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (text, part, last) = match *args {
        [Value::String(text), Value::String(part)] => (text.text, part.text, None),
        [Value::String(text), Value::String(part), Value::Int(last)] => {
            (text.text, part.text, Some(last))
        }
        _ => return call.no_overload("lastIndexOf", args),
    };
    if let Err(error) = call.spend(text.len() as u64) {
        return error;
    }
    let end = match last {
        None => text.len(),
        Some(last) => match offset(text, last) {
            Some(at) => at.saturating_add(part.len()).min(text.len()),
            None => return out_of_range(call, "lastIndexOf"),
        },
    };
    // What begins at the position may be shorter than the part, which then is not there.
    let mut end = end;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let found = text.get(..end).and_then(|head| head.rfind(part));
    Value::Int(found.map_or(-1, |at| position(text, at)))
}

fn join<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (list, separator) = match *args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, separator.text),
        _ => return call.no_overload("join", args),
    };
    let mut joined = Made::new_in(call.arena);
    for (i, item) in list.iter(call.arena).enumerate() {
        let Value::String(text) = item else { return call.no_overload("join", args) };
        if let Err(error) = call.spend((text.text.len() + separator.len() + 1) as u64) {
            return error;
        }
        if i > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text.text);
    }
    Value::text(joined.into_bump_str())
}

fn replace<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (text, from, to, most) = match *args {
        [Value::String(text), Value::String(from), Value::String(to)] => {
            (text.text, from.text, to.text, -1)
        }
        [Value::String(text), Value::String(from), Value::String(to), Value::Int(most)] => {
            (text.text, from.text, to.text, most)
        }
        _ => return call.no_overload("replace", args),
    };
    let grown = (text.len() as u64 + 1).saturating_mul(to.len() as u64 + 1);
    if let Err(error) = call.spend(grown) {
        return error;
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (mut made, mut done) = (Made::with_capacity_in(text.len(), call.arena), 0);
    for (at, found) in text.match_indices(from).take(most) {
        made.push_str(text.get(done..at).unwrap_or(""));
        made.push_str(to);
        done = at + found.len();
    }
    made.push_str(text.get(done..).unwrap_or(""));
    Value::text(made.into_bump_str())
}

fn split<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (text, separator, most) = match *args {
        [Value::String(text), Value::String(separator)] => (text.text, separator.text, -1),
        [Value::String(text), Value::String(separator), Value::Int(most)] => {
            (text.text, separator.text, most)
        }
        _ => return call.no_overload("split", args),
    };
    if let Err(error) = call.spend(text.len() as u64 + 1) {
        return error;
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut parts = BumpVec::new_in(call.arena);
    if most == 0 {
        // No part at all.
    } else if separator.is_empty() {
        characters(text, most, &mut parts);
    } else {
        parts.extend(text.splitn(most, separator).map(Value::text));
    }
    Value::List(value::List::Made(parts.into_bump_slice()))
}

/// Single code points, the last part holding what remains.
fn characters<'a>(text: &'a str, most: usize, parts: &mut BumpVec<'a, Value<'a>>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if parts.len() + 1 == most {
            break;
        }
        let (head, tail) = rest.split_at(first.len_utf8());
        parts.push(Value::text(head));
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Value::text(rest));
    }
}

fn substring<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (text, from, to) = match *args {
        [Value::String(text), Value::Int(from)] => (text.text, from, None),
        [Value::String(text), Value::Int(from), Value::Int(to)] => (text.text, from, Some(to)),
        _ => return call.no_overload("substring", args),
    };
    if let Err(error) = call.spend(text.len() as u64) {
        return error;
    }
    let start = offset(text, from);
    let end = to.map_or(Some(text.len()), |to| offset(text, to));
    match (start, end) {
        (Some(start), Some(end)) if start <= end => Value::text(text.get(start..end).unwrap_or("")),
        _ => out_of_range(call, "substring"),
    }
}
