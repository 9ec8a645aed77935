//! Constant parts that have no value.

use mxcp_policy::value::{FailureKind, Value};

use super::super::Finding;
use super::super::ast::{ExprId, Kind};
use super::super::check::Typed;
use super::super::code::ALWAYS_ERRS;
use super::Reach;
use super::fold::{ATTEMPT_NODES, MAX_FOLDED_NODES, evaluate};

/// The first and smallest part that depends on nothing and errs.
pub(in super::super) fn failing(typed: &Typed) -> Option<Finding> {
    let reach = Reach::new(typed);
    let mut left = MAX_FOLDED_NODES;
    // What a node is made of stands before it.
    for (at, node) in (0_u32..).zip(&typed.tree.nodes) {
        let id = ExprId(at);
        let may_err = matches!(
            node.kind,
            Kind::Call { .. }
                | Kind::Binary { .. }
                | Kind::Unary(..)
                | Kind::Index { .. }
                | Kind::Select { .. }
        );
        if !may_err || !reach.is_closed(id) {
            continue;
        }
        left = left.checked_sub(reach.of(id).nodes + ATTEMPT_NODES)?;
        let fault = evaluate(typed, &reach, id, |value, _| match value {
            Value::Error(fault) if fault.kind != FailureKind::Budget => {
                Some(fault.message.to_owned())
            }
            _ => None,
        });
        if let Some(fault) = fault.flatten() {
            let source = typed.tree.source(id);
            let message = format!("`{source}` always errs: {fault}");
            let finding = Finding::new(&ALWAYS_ERRS, node.range.clone(), message);
            return Some(match source.split('(').next() {
                Some("duration") => finding.help("write for instance `duration('72h')`"),
                Some("timestamp") => {
                    finding.help("write for instance `timestamp('2024-01-31T08:00:00Z')`")
                }
                _ => finding,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::super::{Environment, condition};

    fn told(text: &str) -> Vec<String> {
        let (_, found) = condition(text, &Environment::default());
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_smallest_constant_part_that_errs_is_told() {
        for (text, part) in [
            ("1 / 0 == 1", "1 / 0"),
            ("duration('3 days') > duration('1h')", "duration('3 days')"),
            ("int('x') == 1 || true", "int('x')"),
            ("[1, 2][5] == 1", "[1, 2][5]"),
            ("{'a': 1}['b'] == 1", "{'a': 1}['b']"),
        ] {
            let told = told(text);
            assert!(
                told.len() == 1 && told[0].starts_with(&format!("`{part}` always errs: ")),
                "{told:?}"
            );
        }
        assert_eq!(told("int('7') == 7 && [1, 2][1] == 2"), [""; 0]);
    }
}
