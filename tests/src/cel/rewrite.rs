//! The same expression in other words: what a rule says about an oracle is believed when the words that
//! go around it make both say the same.

use std::fmt::Write as _;
use std::ops::Range;

use mxcp_compiler::cel::ast::{ExprId, Kind, Literal, Tree, Unary};
use mxcp_compiler::cel::parser;

/// What stands in place of a node, or nothing where it stays. It is given what stands for its parts.
type Change<'c> = &'c dyn Fn(&Tree, ExprId, &dyn Fn(ExprId) -> String) -> Option<String>;

fn rewrite(text: &str, change: Change<'_>) -> String {
    let (Some(tree), _) = parser::parse(text) else { return text.to_owned() };
    let root = tree.get(tree.root).range.clone();
    let around = |range: Range<usize>| text.get(range).unwrap_or("");
    let inner = written(&tree, tree.root, change);
    format!("{}{inner}{}", around(0..root.start), around(root.end..text.len()))
}

fn written(tree: &Tree, id: ExprId, change: Change<'_>) -> String {
    if let Some(changed) = change(tree, id, &|part| written(tree, part, change)) {
        return changed;
    }
    let range = tree.get(id).range.clone();
    let mut parts = Vec::new();
    written_parts(tree, id, &range, &mut parts);
    parts.sort_by_key(|part| tree.get(*part).range.start);
    let (mut out, mut done) = (String::new(), range.start);
    for part in parts {
        let of = tree.get(part).range.clone();
        out.push_str(tree.text.get(done..of.start).unwrap_or(""));
        out.push_str(&written(tree, part, change));
        done = of.end;
    }
    out.push_str(tree.text.get(done..range.end).unwrap_or(""));
    out
}

/// The parts of a node as they are written: the parser makes nodes of its own, which have the text of
/// the macro that they come from.
fn written_parts(tree: &Tree, id: ExprId, whole: &Range<usize>, parts: &mut Vec<ExprId>) {
    for part in children(&tree.get(id).kind) {
        if tree.get(part).range == *whole {
            written_parts(tree, part, whole, parts);
        } else {
            parts.push(part);
        }
    }
}

fn children(kind: &Kind) -> Vec<ExprId> {
    match kind {
        Kind::Literal(_) | Kind::Ident(_) | Kind::Invalid => Vec::new(),
        Kind::Select { operand, .. } | Kind::Has { operand, .. } | Kind::Unary(_, operand) => {
            vec![*operand]
        }
        Kind::Index { operand: a, index: b, .. }
        | Kind::Binary { left: a, right: b, .. }
        | Kind::Bind { value: a, body: b, .. } => vec![*a, *b],
        Kind::Call { target, args, .. } => target.iter().chain(args).copied().collect(),
        Kind::Ternary { condition, yes, no } => vec![*condition, *yes, *no],
        Kind::List(items) => items.iter().map(|(item, _)| *item).collect(),
        Kind::Map(entries) => entries.iter().flat_map(|(key, value, _)| [*key, *value]).collect(),
        Kind::Comprehension { over, filter, body, .. } => {
            [Some(*over), *filter, Some(*body)].into_iter().flatten().collect()
        }
    }
}

/// Whether a node of the tree is such.
pub fn any(tree: &Tree, such: impl Fn(&Kind) -> bool) -> bool {
    tree.nodes.iter().any(|node| such(&node.kind))
}

/// Calls of global functions of one argument, in other words.
fn of_one(text: &str, names: &[&str], words: impl Fn(&str, &str) -> String) -> String {
    rewrite(text, &|tree, id, part| match &tree.get(id).kind {
        Kind::Call { target: None, name, args, .. } if names.contains(&name.as_str()) => {
            let [arg] = args.as_slice() else { return None };
            Some(words(name, &part(*arg)))
        }
        _ => None,
    })
}

/// Calls on something, in other words.
fn on_some(text: &str, words: impl Fn(&str, &str, &[String]) -> Option<String>) -> String {
    rewrite(text, &|tree, id, part| match &tree.get(id).kind {
        Kind::Call { target: Some(target), name, args, .. } => {
            let args: Vec<String> = args.iter().map(|arg| part(*arg)).collect();
            words(name, &part(*target), &args)
        }
        _ => None,
    })
}

/// `or` and `orValue` ask for their argument where it is needed.
pub fn defaults_where_needed(text: &str) -> String {
    on_some(text, |name, of, args| match (name, args) {
        ("orValue", [other]) => Some(format!("(({of}).hasValue() ? ({of}).value() : ({other}))")),
        ("or", [other]) => Some(format!("(({of}).hasValue() ? ({of}) : ({other}))")),
        _ => None,
    })
}

/// An empty text that is split by nothing has one part.
pub fn nothing_split_is_one(text: &str) -> String {
    on_some(text, |name, of, args| {
        let most = match (name, args) {
            ("split", [_]) => "",
            ("split", [_, most]) => &format!(" && dyn({most}) != 0"),
            _ => return None,
        };
        let (by, all) = (args.first()?, args.join(", "));
        let empty = format!("dyn({of}) == '' && dyn({by}) == ''{most}");
        Some(format!("({empty} ? [''] : ({of}).split({all}))"))
    })
}

/// Fractions of a second have three digits. No value of the cases needs more, or two.
pub fn three_digits_of_seconds(text: &str) -> String {
    let strings = of_one(text, &["string"], |name, of| {
        format!("{name}({of}).replace('.5Z', '.500Z').replace('.5s', '.500s')")
    });
    on_some(&strings, |name, of, args| match (name, args) {
        // Times of day are written as here.
        ("format", [list]) => Some(format!("({of}).format({list}).replace('.5s', '.500s')")),
        _ => None,
    })
}

/// Infinity and numbers that are none, as C++ writes them; it tells whether the latter have a sign.
pub fn numbers_as_in_cpp(text: &str) -> [String; 2] {
    ["nan", "-nan"].map(|nan| {
        of_one(text, &["string"], |name, of| {
            let written =
                format!("{name}({of}).replace('Infinity', 'inf').replace('NaN', '{nan}')");
            format!("(type({of}) == double ? {written} : {name}({of}))")
        })
    })
}

/// Spaces around a number do not count.
pub fn numbers_without_spaces(text: &str) -> String {
    of_one(text, &["int", "uint", "double"], |name, of| {
        format!("(type({of}) == string ? {name}(dyn({of}).trim()) : {name}({of}))")
    })
}

/// `%d` writes six decimals of a number that may have some, and `%s` writes a double as `string` does.
pub fn doubles_in_format(text: &str) -> String {
    rewrite(text, &|tree, id, part| {
        let Kind::Call { target: Some(target), name, args, .. } = &tree.get(id).kind else {
            return None;
        };
        let ("format", Kind::Literal(Literal::String(_)), [list]) =
            (name.as_str(), &tree.get(*target).kind, args.as_slice())
        else {
            return None;
        };
        let Kind::List(items) = &tree.get(*list).kind else { return None };
        let mut values: Vec<String> = items.iter().map(|(item, _)| part(*item)).collect();
        let (mut pattern, mut rest, mut next) = (String::new(), tree.source(*target), 0);
        while let Some((plain, behind)) = rest.split_once('%') {
            pattern.push_str(plain);
            let value = values.get_mut(next);
            rest = match (behind.chars().next(), value) {
                (Some('%'), _) => {
                    pattern.push_str("%%");
                    behind.strip_prefix('%').unwrap_or(behind)
                }
                (Some('d'), Some(of)) => {
                    let _ = write!(pattern, "' + (type({of}) == double ? '%f' : '%d') + '");
                    next += 1;
                    behind.strip_prefix('d').unwrap_or(behind)
                }
                (first, value) => {
                    if let (Some('s'), Some(of)) = (first, value) {
                        let finite = format!("type({of}) == double && math.isFinite(dyn({of}))");
                        *of = format!("({finite} ? dyn(string(dyn({of}))) : dyn({of}))");
                    }
                    pattern.push('%');
                    next += 1;
                    behind
                }
            };
        }
        Some(format!("({pattern}{rest}).format([{}])", values.join(", ")))
    })
}

/// A part up to the end is asked for without its end.
pub fn substrings_without_end(text: &str) -> String {
    on_some(text, |name, of, args| match (name, args) {
        ("substring", [from, to]) => {
            let whole = format!("dyn({to}) == dyn(size({of})) && dyn({from}) <= dyn({to})");
            let (rest, part) = (format!("({of}).substring({from})"), args.join(", "));
            Some(format!("({whole} ? {rest} : ({of}).substring({part}))"))
        }
        _ => None,
    })
}

/// Spaces in base64 do not count.
pub fn base64_without_spaces(text: &str) -> String {
    on_some(text, |name, of, args| match (name, of, args) {
        ("decode", "base64", [text]) => Some(format!("base64.decode(({text}).replace(' ', ''))")),
        _ => None,
    })
}

/// An optional index is an int.
pub fn optional_indices_that_are_ints(text: &str) -> String {
    rewrite(text, &|tree, id, part| match &tree.get(id).kind {
        Kind::Index { operand, index, optional: true } => {
            let (of, at) = (part(*operand), part(*index));
            let number = format!("type({at}) == double || type({at}) == uint");
            Some(format!("({of})[?({number} ? dyn(int(dyn({at}))) : dyn({at}))]"))
        }
        _ => None,
    })
}

/// Nothing that is written as a value stands where `greatest` and `least` look for numbers.
pub fn values_that_may_be_numbers(text: &str) -> String {
    rewrite(text, &|tree, id, part| {
        let Kind::Call { target: Some(target), name, args, .. } = &tree.get(id).kind else {
            return None;
        };
        if !matches!(name.as_str(), "greatest" | "least") || tree.source(*target) != "math" {
            return None;
        }
        let mut values: Vec<ExprId> = args.clone();
        let mut around = ("", "");
        if let [list] = args.as_slice()
            && let Kind::List(items) = &tree.get(*list).kind
        {
            values = items.iter().map(|(item, _)| *item).collect();
            // What is written as a list has a list of its own in the text.
            if tree.get(*list).range != tree.get(id).range {
                around = ("[", "]");
            }
        }
        if values.is_empty() {
            return Some(format!("math.{name}(dyn([]))"));
        }
        let values: Vec<String> =
            values.into_iter().map(|value| format!("dyn({})", part(value))).collect();
        Some(format!("math.{name}({}{}{})", around.0, values.join(", "), around.1))
    })
}

/// Truth values are whole numbers.
pub fn truth_in_numbers(text: &str) -> String {
    of_one(text, &["int"], |name, of| {
        format!("(type({of}) == bool ? (dyn({of}) ? 1 : 0) : {name}(dyn({of})))")
    })
}

/// The calendar repeats after 400 years, and so do the rules of time zones.
pub fn years_that_go_on(text: &str) -> String {
    on_some(text, |name, of, args| {
        let [zone] = args else { return None };
        let more = if name == "getFullYear" { " + 400" } else { "" };
        // A duration has no room for all of them at once.
        let earlier =
            format!("(({of}) - duration('1753164h') - duration('1753164h')).{name}({zone}){more}");
        let late = format!("({of}) > timestamp('9999-12-30T00:00:00Z')");
        name.starts_with("get").then(|| format!("({late} ? {earlier} : ({of}).{name}({zone}))"))
    })
}

/// Values in place of the names that they are bound to.
pub fn without_bindings(text: &str) -> String {
    rewrite(text, &|tree, id, part| match &tree.get(id).kind {
        Kind::Bind { name, value, body } if !name.starts_with('@') => {
            let value = part(*value);
            let body = part(*body);
            // Names of one expression differ where one is known inside of the other.
            let bound = |kind: &Kind| matches!(kind, Kind::Ident(of) if of == name);
            Some(rewrite(&format!("({body})"), &|tree, id, _| {
                bound(&tree.get(id).kind).then(|| format!("({value})"))
            }))
        }
        _ => None,
    })
}

/// A key that stands twice in a map is an error like any other.
pub fn keys_are_compared(text: &str) -> String {
    rewrite(text, &|tree, id, part| {
        let Kind::Map(entries) = &tree.get(id).kind else { return None };
        let keys: Vec<String> = entries.iter().map(|(key, ..)| part(*key)).collect();
        let mut pairs = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            pairs.extend(keys.iter().take(at).map(|other| format!("dyn({key}) == dyn({other})")));
        }
        let entry = |(key, value, optional): &(ExprId, ExprId, bool)| {
            format!("{}{}: {}", if *optional { "?" } else { "" }, part(*key), part(*value))
        };
        let written = entries.iter().map(entry).collect::<Vec<_>>().join(", ");
        let twice = pairs.join(" || ");
        (!pairs.is_empty()).then(|| format!("({twice} ? [{{}}][1] : {{{written}}})"))
    })
}

/// Signs in parentheses of their own.
pub fn signs_apart(text: &str) -> String {
    rewrite(text, &|tree, id, part| match tree.get(id).kind {
        Kind::Unary(Unary::Minus, of) => Some(format!("(-({}))", part(of))),
        _ => None,
    })
}
