//! Guards: which paths a condition proves to be there, and guards that open instead of closing.

use std::collections::BTreeSet;

use super::super::Finding;
use super::super::ast::{Binary, ExprId, Kind, Literal, Tree, Unary};
use super::super::code::OPENING_GUARD;
use super::super::parser::children;
use super::Typed;

/// The paths that are neither null nor absent when the condition is `truth`.
pub(super) fn proves(tree: &Tree, id: ExprId, truth: bool) -> BTreeSet<String> {
    match &tree.get(id).kind {
        Kind::Unary(Unary::Not, operand) => proves(tree, *operand, !truth),
        Kind::Binary { op: Binary::And, left, right, .. } if truth => {
            both(tree, *left, *right, truth)
        }
        Kind::Binary { op: Binary::Or, left, right, .. } if !truth => {
            both(tree, *left, *right, truth)
        }
        Kind::Binary { op: Binary::NotEqual, left, right, .. } if truth => {
            null_test(tree, *left, *right)
        }
        Kind::Binary { op: Binary::Equal, left, right, .. } if !truth => {
            null_test(tree, *left, *right)
        }
        // Equal to a literal that is not null: it is there.
        Kind::Binary { op: Binary::Equal, left, right, .. } if truth => {
            literal_test(tree, *left, *right)
        }
        Kind::Binary { op: Binary::NotEqual, left, right, .. } if !truth => {
            literal_test(tree, *left, *right)
        }
        Kind::Has { operand, field, .. } if truth => {
            tree.path(*operand).map(|path| format!("{path}.{field}")).into_iter().collect()
        }
        _ => BTreeSet::new(),
    }
}

fn both(tree: &Tree, left: ExprId, right: ExprId, truth: bool) -> BTreeSet<String> {
    let mut all = proves(tree, left, truth);
    all.extend(proves(tree, right, truth));
    all
}

fn null_test(tree: &Tree, left: ExprId, right: ExprId) -> BTreeSet<String> {
    let tested = if is_null(tree, right) {
        Some(left)
    } else if is_null(tree, left) {
        Some(right)
    } else {
        None
    };
    tested.and_then(|id| tree.path(id)).into_iter().collect()
}

fn literal_test(tree: &Tree, left: ExprId, right: ExprId) -> BTreeSet<String> {
    let literal =
        |id| matches!(&tree.get(id).kind, Kind::Literal(literal) if *literal != Literal::Null);
    let tested = if literal(right) {
        Some(left)
    } else if literal(left) {
        Some(right)
    } else {
        None
    };
    tested.and_then(|id| tree.path(id)).into_iter().collect()
}

fn is_null(tree: &Tree, id: ExprId) -> bool {
    matches!(tree.get(id).kind, Kind::Literal(Literal::Null))
}

/// Warns of `x != null && !test(x)`: whoever lacks `x` makes the condition false, and the policy,
/// which every action makes a restriction, does not apply.
pub fn guards(typed: &Typed, found: &mut Vec<Finding>) {
    let tree = &typed.tree;
    let mut parts = Vec::new();
    conjuncts(tree, tree.root, &mut parts);
    for guard in &parts {
        if !is_guard(tree, *guard) {
            continue;
        }
        for path in proves(tree, *guard, true) {
            let slips = parts.iter().any(|part| {
                part != guard && is_allow_list(tree, *part) && mentions(tree, *part, &path)
            });
            if slips {
                let source = tree.source(*guard);
                found.push(
                    Finding::new(
                        &OPENING_GUARD,
                        tree.get(*guard).range.clone(),
                        format!("whoever has no `{path}` slips through: `{source}` makes the condition false"),
                    )
                    .help(format!("turn the guard around: `{path} == null || …`")),
                );
            }
        }
    }
}

fn conjuncts(tree: &Tree, id: ExprId, parts: &mut Vec<ExprId>) {
    match tree.get(id).kind {
        Kind::Binary { op: Binary::And, left, right, .. } => {
            conjuncts(tree, left, parts);
            conjuncts(tree, right, parts);
        }
        _ => parts.push(id),
    }
}

fn is_guard(tree: &Tree, id: ExprId) -> bool {
    match &tree.get(id).kind {
        Kind::Has { .. } => true,
        Kind::Binary { op: Binary::NotEqual, left, right, .. } => {
            is_null(tree, *left) || is_null(tree, *right)
        }
        Kind::Unary(Unary::Not, operand) => matches!(
            &tree.get(*operand).kind,
            Kind::Binary { op: Binary::Equal, left, right, .. }
                if is_null(tree, *left) || is_null(tree, *right)
        ),
        _ => false,
    }
}

/// A test that is true for all but a few values.
fn is_allow_list(tree: &Tree, id: ExprId) -> bool {
    match &tree.get(id).kind {
        Kind::Unary(Unary::Not, _) => !is_guard(tree, id),
        Kind::Binary { op: Binary::NotEqual, left, right, .. } => {
            !is_null(tree, *left) && !is_null(tree, *right)
        }
        _ => false,
    }
}

fn mentions(tree: &Tree, id: ExprId, path: &str) -> bool {
    tree.path(id).is_some_and(|found| found == path)
        || children(&tree.get(id).kind).into_iter().any(|child| mentions(tree, child, path))
}
