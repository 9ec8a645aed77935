//! What the value of each node depends on, and which variables it takes from around it.

use std::collections::BTreeSet;

use mxcp_schemas::bundle::code::Depends;

use super::super::ast::{ExprId, Kind, Tree};
use super::super::check::Typed;
use super::super::parser::children;

/// What a node reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Read {
    /// the inputs
    pub(super) depends: Depends,
    /// whether it uses a variable that is declared around it
    pub(super) is_open: bool,
    /// how many nodes it has
    pub(super) nodes: u32,
    /// whether it calls a function, looks into something or walks it
    pub(super) is_costly: bool,
}

/// What each node reads, by its number.
#[derive(Debug, Clone)]
pub(super) struct Reach(Vec<Read>);

impl Reach {
    pub(super) fn new(typed: &Typed) -> Self {
        let mut reads: Vec<Read> = Vec::with_capacity(typed.tree.nodes.len());
        // The variables that nodes use and do not declare. Most have none.
        let mut free: Vec<BTreeSet<&str>> = Vec::with_capacity(typed.tree.nodes.len());
        for (at, node) in (0_u32..).zip(&typed.tree.nodes) {
            let (read, names) = read(typed, ExprId(at), &node.kind, &reads, &free);
            reads.push(read);
            free.push(names);
        }
        Self(reads)
    }

    pub(super) fn of(&self, id: ExprId) -> Read {
        self.0.get(id.0 as usize).cloned().unwrap_or_default()
    }

    /// Whether the value of a node is the same always.
    pub(super) fn is_closed(&self, id: ExprId) -> bool {
        self.0
            .get(id.0 as usize)
            .is_some_and(|read| !read.is_open && read.depends == Depends::default())
    }

    /// Whether the value of a node depends on the caller, and on nothing else.
    pub(super) fn is_of_caller(&self, id: ExprId) -> bool {
        self.0
            .get(id.0 as usize)
            .is_some_and(|read| !read.is_open && read.depends.user && read.depends.caller_only())
    }
}

fn read<'t>(
    typed: &'t Typed,
    id: ExprId,
    kind: &'t Kind,
    reads: &[Read],
    free: &[BTreeSet<&'t str>],
) -> (Read, BTreeSet<&'t str>) {
    let slot = typed.inputs.get(&id).or_else(|| typed.presence.get(&id));
    if let Some(slot) = slot {
        let read = Read { depends: slot.depends(), nodes: 1, ..Read::default() };
        return (read, BTreeSet::new());
    }
    let mut read = Read { nodes: 1, is_costly: is_costly(&typed.tree, kind), ..Read::default() };
    let mut names = BTreeSet::new();
    if let Kind::Ident(name) = kind
        && !typed.type_names.contains_key(&id)
    {
        names.insert(name.as_str());
    }
    // The namespace of a function is no variable.
    let namespace = match kind {
        Kind::Call { target, .. } if typed.functions.get(&id).is_some_and(|f| f.contains('.')) => {
            *target
        }
        _ => None,
    };
    for child in children(kind) {
        if Some(child) == namespace {
            continue;
        }
        let Some(below) = reads.get(child.0 as usize) else { continue };
        read.depends = read.depends.or(below.depends);
        read.nodes = read.nodes.saturating_add(below.nodes);
        read.is_costly |= below.is_costly;
        names.extend(free.get(child.0 as usize).into_iter().flatten());
    }
    match kind {
        // What is declared inside is not taken from around. A name that is used both in the range and
        // as the variable counts as declared, so the range is looked at on its own.
        Kind::Comprehension { over, variables, .. } => {
            for name in variables {
                names.remove(name.as_str());
            }
            names.extend(free.get(over.0 as usize).into_iter().flatten());
        }
        Kind::Bind { name, value, .. } => {
            names.remove(name.as_str());
            names.extend(free.get(value.0 as usize).into_iter().flatten());
        }
        _ => {}
    }
    read.is_open = !names.is_empty();
    (read, names)
}

fn is_costly(tree: &Tree, kind: &Kind) -> bool {
    match kind {
        Kind::Call { .. } | Kind::Comprehension { .. } | Kind::Index { .. } => true,
        Kind::Binary { op, right, .. } => {
            op.function().is_some()
                || (*op == super::Binary::In && !matches!(tree.get(*right).kind, Kind::List(_)))
        }
        _ => false,
    }
}
