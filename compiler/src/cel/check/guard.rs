//! Guards: which paths a condition proves to be there, and guards that open instead of closing.

use std::collections::HashSet;

use super::super::Finding;
use super::super::ast::{Binary, ExprId, Kind, Literal, PathId, Paths, Tree, Unary};
use super::super::code::OPENING_GUARD;
use super::super::parser::children;
use super::{MAX_FINDINGS, Typed};

/// The paths that are neither null nor absent when the condition is `truth`.
pub(super) fn proves(
    tree: &Tree,
    paths: &Paths,
    id: ExprId,
    truth: bool,
    proven: &mut Vec<PathId>,
) {
    match &tree.get(id).kind {
        Kind::Unary(Unary::Not, operand) => proves(tree, paths, *operand, !truth, proven),
        Kind::Binary { op, left, right, .. } => match op {
            Binary::And | Binary::Or if (*op == Binary::And) == truth => {
                proves(tree, paths, *left, truth, proven);
                proves(tree, paths, *right, truth, proven);
            }
            Binary::Equal | Binary::NotEqual => {
                // Unequal to null, or equal to a literal that is not null: it is there.
                let null = (*op == Binary::NotEqual) == truth;
                let tested = tested(tree, *left, *right, null);
                proven.extend(tested.and_then(|id| paths.of(id)));
            }
            _ => {}
        },
        Kind::Has { .. } if truth => proven.extend(paths.of(id)),
        _ => {}
    }
}

/// The side that is compared with null, or with another literal.
fn tested(tree: &Tree, left: ExprId, right: ExprId, null: bool) -> Option<ExprId> {
    let is_such = |id| match &tree.get(id).kind {
        Kind::Literal(literal) => (*literal == Literal::Null) == null,
        _ => false,
    };
    if is_such(right) {
        Some(left)
    } else if is_such(left) {
        Some(right)
    } else {
        None
    }
}

/// A part of a condition together with the value that lets the policy apply.
#[derive(Clone, Copy, PartialEq)]
struct Part {
    id: ExprId,
    wanted: bool,
}

/// Warns of `x != null && !test(x)`: whoever lacks `x` makes the condition false, and the policy,
/// which every action makes a restriction, does not apply. Negations are seen through:
/// `!(x == null || test(x))` says the same.
pub fn guards(typed: &Typed, found: &mut Vec<Finding>) {
    let tree = &typed.tree;
    let paths = Paths::new(tree);
    let mut told = Vec::new();
    let mut groups = vec![Part { id: tree.root, wanted: true }];
    while let Some(group) = groups.pop() {
        let mut parts = Vec::new();
        conjuncts(tree, group, &mut parts);
        if parts.len() > 1 {
            group_guards(tree, &paths, &parts, &mut told);
        }
        for part in parts {
            alternatives(tree, part, &mut groups);
        }
    }
    found.append(&mut told);
}

fn group_guards(tree: &Tree, paths: &Paths, parts: &[Part], found: &mut Vec<Finding>) {
    let excluding: Vec<(usize, HashSet<PathId>)> = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| excludes(tree, **part))
        .map(|(at, part)| (at, mentioned(tree, paths, part.id)))
        .collect();
    for (at, guard) in parts.iter().enumerate() {
        if !is_guard(tree, *guard) {
            continue;
        }
        let mut proven = Vec::new();
        proves(tree, paths, guard.id, guard.wanted, &mut proven);
        for path in proven {
            let slips = excluding.iter().find(|(i, mentions)| *i != at && mentions.contains(&path));
            if let Some((test, _)) = slips
                && found.len() < MAX_FINDINGS
            {
                found.push(slipping(tree, parts, at, *test));
            }
        }
    }
}

fn slipping(tree: &Tree, parts: &[Part], at: usize, test: usize) -> Finding {
    let guard = parts.get(at).map_or(tree.root, |part| part.id);
    let shown = tested_path(tree, guard);
    let (absent, asked) = (format!("{shown} == null"), format!("!has({shown})"));
    let absent = if mentions_has(tree, guard) { asked } else { absent };
    let source = tree.source(guard);
    let finding = Finding::new(
        &OPENING_GUARD,
        tree.get(guard).range.clone(),
        format!("whoever has no `{shown}` slips through: `{source}` makes the condition false"),
    )
    .help(format!("turn the guard around: `{absent} || …`"));
    // The edit is offered where guard and test stand side by side and nothing is negated around them.
    let plain = parts.get(at).is_some_and(|part| part.wanted)
        && parts.get(test).is_some_and(|part| part.wanted);
    if test != at + 1 || !plain {
        return finding;
    }
    let test = parts.get(test).map_or(guard, |part| part.id);
    let range = tree.get(guard).range.start..tree.get(test).range.end;
    if tree.text.get(range.clone()).is_none_or(|text| text.matches("&&").count() != 1) {
        return finding;
    }
    let turned = format!("{absent} || {}", tree.source(test));
    let around = tree.text.get(..range.start).zip(tree.text.get(range.end..));
    let enclosed = around.is_some_and(|(before, after)| {
        let (before, after) = (before.trim_end(), after.trim_start());
        before.ends_with('(') && after.starts_with(')') || (before.is_empty() && after.is_empty())
    });
    let text = if enclosed { turned } else { format!("({turned})") };
    finding.replace("turn the guard around", range, &text)
}

/// The path that a guard asks for, as it is written.
fn tested_path(tree: &Tree, id: ExprId) -> String {
    match &tree.get(id).kind {
        Kind::Unary(_, operand) => tested_path(tree, *operand),
        Kind::Binary { left, right, .. } => {
            let side = tested(tree, *left, *right, true).unwrap_or(*left);
            tree.source(side).to_owned()
        }
        Kind::Has { operand, field, .. } => format!("{}.{field}", tree.source(*operand)),
        _ => tree.source(id).to_owned(),
    }
}

fn mentions_has(tree: &Tree, id: ExprId) -> bool {
    match &tree.get(id).kind {
        Kind::Unary(_, operand) => mentions_has(tree, *operand),
        kind => matches!(kind, Kind::Has { .. }),
    }
}

/// The parts that must all have their wanted value.
fn conjuncts(tree: &Tree, part: Part, parts: &mut Vec<Part>) {
    match tree.get(part.id).kind {
        Kind::Unary(Unary::Not, operand) if joins(tree, operand) => {
            conjuncts(tree, Part { id: operand, wanted: !part.wanted }, parts);
        }
        Kind::Binary { op: op @ (Binary::And | Binary::Or), left, right, .. }
            if (op == Binary::And) == part.wanted =>
        {
            conjuncts(tree, Part { id: left, ..part }, parts);
            conjuncts(tree, Part { id: right, ..part }, parts);
        }
        Kind::Ternary { condition, yes, no } => match decided(tree, part, condition, yes, no) {
            Some((first, second)) => {
                conjuncts(tree, first, parts);
                conjuncts(tree, second, parts);
            }
            None => parts.push(part),
        },
        Kind::Bind { body, .. } => conjuncts(tree, Part { id: body, ..part }, parts),
        _ => parts.push(part),
    }
}

/// What must both be so where one way of a choice is a literal that is not wanted: `a ? b : false` is
/// `a && b`.
fn decided(
    tree: &Tree,
    part: Part,
    condition: ExprId,
    yes: ExprId,
    no: ExprId,
) -> Option<(Part, Part)> {
    let unwanted = |id| match tree.get(id).kind {
        Kind::Literal(Literal::Bool(value)) => value != part.wanted,
        _ => false,
    };
    let (other, taken) = match (unwanted(yes), unwanted(no)) {
        (false, true) => (yes, true),
        (true, false) => (no, false),
        _ => return None,
    };
    Some((Part { id: condition, wanted: taken }, Part { id: other, ..part }))
}

/// Whether a node joins conditions, or negates one that does.
fn joins(tree: &Tree, id: ExprId) -> bool {
    match tree.get(id).kind {
        Kind::Unary(Unary::Not, operand) => joins(tree, operand),
        Kind::Binary { op, .. } => matches!(op, Binary::And | Binary::Or),
        Kind::Ternary { .. } | Kind::Bind { .. } => true,
        _ => false,
    }
}

/// The parts of which one is enough.
fn alternatives(tree: &Tree, part: Part, groups: &mut Vec<Part>) {
    match tree.get(part.id).kind {
        Kind::Binary { op: Binary::And | Binary::Or, left, right, .. } => {
            groups.extend([Part { id: left, ..part }, Part { id: right, ..part }]);
        }
        Kind::Ternary { yes, no, .. } => {
            groups.extend([Part { id: yes, ..part }, Part { id: no, ..part }]);
        }
        _ => {}
    }
}

fn is_guard(tree: &Tree, part: Part) -> bool {
    match &tree.get(part.id).kind {
        Kind::Has { .. } => part.wanted,
        Kind::Unary(Unary::Not, operand) => {
            is_guard(tree, Part { id: *operand, wanted: !part.wanted })
        }
        Kind::Binary { op: op @ (Binary::Equal | Binary::NotEqual), left, right, .. } => {
            (*op == Binary::NotEqual) == part.wanted && tested(tree, *left, *right, true).is_some()
        }
        _ => false,
    }
}

/// A test that holds for all but a few values: the other side of an allow-list.
fn excludes(tree: &Tree, part: Part) -> bool {
    match &tree.get(part.id).kind {
        Kind::Unary(Unary::Not, operand) => {
            excludes(tree, Part { id: *operand, wanted: !part.wanted })
        }
        Kind::Binary { op: op @ (Binary::Equal | Binary::NotEqual), left, right, .. } => {
            (*op == Binary::NotEqual) == part.wanted && tested(tree, *left, *right, true).is_none()
        }
        // Who stays below a number is who does not reach it.
        Kind::Binary {
            op: op @ (Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual),
            left,
            right,
            ..
        } => {
            let is_number = |id: ExprId| {
                matches!(
                    tree.get(id).kind,
                    Kind::Literal(Literal::Int(_) | Literal::Uint(_) | Literal::Double(_))
                )
            };
            let less = matches!(op, Binary::Less | Binary::LessEqual);
            match (is_number(*left), is_number(*right)) {
                (false, true) => less == part.wanted,
                (true, false) => less != part.wanted,
                _ => false,
            }
        }
        Kind::Binary { op: Binary::In, .. } | Kind::Call { .. } | Kind::Comprehension { .. } => {
            !part.wanted
        }
        _ => false,
    }
}

fn mentioned(tree: &Tree, paths: &Paths, id: ExprId) -> HashSet<PathId> {
    let (mut all, mut next) = (HashSet::new(), vec![id]);
    while let Some(id) = next.pop() {
        all.extend(paths.of(id));
        next.extend(children(&tree.get(id).kind));
    }
    all
}
