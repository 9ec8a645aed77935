//! Patterns that are computed from constants alone.

use std::collections::HashSet;

use super::super::Finding;
use super::super::ast::{ExprId, Kind};
use super::super::check::{Typed, wrong_pattern};
use super::Reach;
use super::fold::{ATTEMPT_NODES, MAX_FOLDED_BYTES, MAX_FOLDED_NODES, evaluate};

/// What is wrong with the patterns that come out of constants: each may be a branch of a condition, or
/// what a variable of `cel.bind` stands for.
pub(in super::super) fn patterns(typed: &Typed) -> Vec<Finding> {
    if typed.made_patterns.is_empty() {
        return Vec::new();
    }
    let reach = Reach::new(typed);
    let (mut left, mut known) = (MAX_FOLDED_NODES, typed.patterns.clone());
    let (mut seen, mut found) = (HashSet::new(), Vec::new());
    let mut open: Vec<ExprId> = typed.made_patterns.iter().rev().copied().collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = typed.tree.get(id);
        if reach.is_closed(id) {
            let Some(fewer) = left.checked_sub(reach.of(id).nodes + ATTEMPT_NODES) else { break };
            left = fewer;
            let text = evaluate(typed, &reach, id, |value, _| value.as_text().map(str::to_owned));
            let text = text.flatten().filter(|text| text.len() <= MAX_FOLDED_BYTES);
            let range = node.range.clone();
            found.extend(text.and_then(|text| wrong_pattern(&mut known, &text, range)));
            continue;
        }
        match &node.kind {
            Kind::Ternary { yes, no, .. } => open.extend([*no, *yes]),
            Kind::Bind { body, .. } => open.push(*body),
            Kind::Ident(_) => open.extend(typed.bound.get(&id)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use mxcp_policy::ty::Ty;

    use super::super::super::{Environment, condition};

    /// The places of bad patterns in a condition.
    fn told(text: &str) -> Vec<(String, String)> {
        let environment = Environment {
            params: vec![("x".to_owned(), Ty::String), ("b".to_owned(), Ty::Bool)],
            ..Environment::default()
        };
        let (compiled, found) = condition(text, &environment);
        assert_eq!(compiled.is_none(), !found.is_empty(), "{text}");
        let place = |at: std::ops::Range<usize>| text[at].to_owned();
        found.into_iter().map(|f| (place(f.range), f.message)).collect()
    }

    #[test]
    fn a_pattern_that_is_computed_from_constants_is_compiled() {
        for (text, place, pattern) in [
            ("x.matches('a' + '(')", "'a' + '('", "a("),
            ("matches(x, 'a' + '(')", "'a' + '('", "a("),
            ("'y'.matches('a' + '(')", "'a' + '('", "a("),
            ("x.matches(true ? '(' : 'a')", "true ? '(' : 'a'", "("),
            ("x.matches(b ? 'a' : '(')", "'('", "("),
            ("x.matches(b ? 'a' : b ? '[' + 'a' : 'c')", "'[' + 'a'", "[a"),
            ("cel.bind(p, '(', x.matches(p))", "'('", "("),
            ("cel.bind(p, b ? 'a' : '(', cel.bind(q, p, x.matches(q)))", "'('", "("),
            ("x.matches(cel.bind(p, '(', p + 'a'))", "cel.bind(p, '(', p + 'a')", "(a"),
            ("x.matches(cel.bind(p, '(' + x, b ? '(' : p))", "'('", "("),
            ("['a', 'b'].exists(c, x.matches('(' + 'a') || c == x)", "'(' + 'a'", "(a"),
        ] {
            let told = told(text);
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert_eq!(told[0].0, place, "{text}");
            let start = format!("`{pattern}` is no regular expression: ");
            assert!(told[0].1.starts_with(&start), "{text}: {told:?}");
        }
    }

    #[test]
    fn what_is_no_pattern_or_never_reached_is_left_alone() {
        for text in [
            "x.matches('a' + 'b')",
            "x.matches(false ? '(' : 'a')",
            "x.matches('(' + x)",
            "cel.bind(p, '(', x.matches('a' + x) && p == x)",
            "cel.bind(p, '(', ['a'].exists(p, x.matches(p)))",
        ] {
            assert_eq!(told(text), [], "{text}");
        }
    }

    #[test]
    fn patterns_that_are_made_count_and_are_looked_at_once() {
        let many: Vec<String> = (0..17).map(|n| format!("x.matches('a' + '{n}')")).collect();
        let told = told(&many.join(" || "));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1, "more than 16 patterns in one condition");
        let mut doubled = "x.matches(p30)".to_owned();
        for n in (1..=30).rev() {
            let before = n - 1;
            doubled = format!("cel.bind(p{n}, b ? p{before} : p{before}, {doubled})");
        }
        assert_eq!(self::told(&format!("cel.bind(p0, '(', {doubled})")).len(), 1);
    }
}
