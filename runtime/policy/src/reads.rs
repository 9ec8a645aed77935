//! How much of each attribute of a caller a condition reads: which fields of a map, or all of it.
//!
//! A caller is kept for as long as its token lives, and there may be a hundred thousand: what nobody
//! reads need not be kept. It is found out from the code itself, which the bundle cannot misstate,
//! and only for code that the verifier has let through. Where a value goes anywhere but into another
//! field access by a constant name, all of it counts as read.
//!
//! What remains is such that no instruction can tell it from the whole: a field that is looked for
//! is there if and only if it was, and a value that is no map stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mxcp_schemas::bundle::code::{Const, ConstId, Op, Operand, Program, Reg, Slot, Target};

use crate::datum::Datum;

/// Fields within fields that are told apart; what is deeper is read as a whole.
pub const MAX_DEPTH: usize = 8;
/// Values that are followed through one program, over all its instructions; a program with more reads
/// everything.
const MAX_WORK: usize = 1 << 20;

/// How much of a value is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// all of it
    whole: bool,
    /// of these fields so much
    fields: BTreeMap<Box<str>, Reads>,
}

impl Reads {
    /// All of a value.
    pub fn everything() -> Self {
        Self { whole: true, fields: BTreeMap::new() }
    }

    /// What either reads.
    pub fn add(&mut self, other: Self) {
        self.whole |= other.whole;
        if self.whole {
            self.fields.clear();
            return;
        }
        for (name, reads) in other.fields {
            self.fields.entry(name).or_default().add(reads);
        }
    }

    /// What remains of a value when nothing else is kept: of a map the fields that are read, of
    /// anything else all.
    #[must_use]
    pub fn keep(&self, datum: Datum) -> Datum {
        match datum {
            Datum::Map(entries) if !self.whole => {
                let kept = entries.into_iter().filter_map(|(name, value)| {
                    let reads = self.fields.get(&name.text)?;
                    Some((name, reads.keep(value)))
                });
                Datum::Map(kept.collect())
            }
            datum => datum,
        }
    }
}

/// `*` for all of it, or the fields in braces, each with how much of it.
impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole {
            return f.write_str("*");
        }
        f.write_str("{")?;
        for (i, (name, reads)) in self.fields.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}: {reads}")?;
        }
        f.write_str("}")
    }
}

/// How much a verified program reads of the attributes of a caller, by slot. An attribute that it does
/// not read at all is not among them. The caller as a whole is everybody's attributes as a whole, and
/// not among them either: see [`Slot::UserMap`].
pub fn reads(program: &Program) -> BTreeMap<u16, Reads> {
    let mut follower = Follower { program, nodes: Vec::new(), roots: BTreeMap::new(), work: 0 };
    if follower.run().is_none() {
        let slots = program.inputs.iter().filter_map(|input| match input.slot {
            Slot::User(slot) => Some((slot, Reads::everything())),
            _ => None,
        });
        return slots.collect();
    }
    let roots = follower.roots.iter();
    roots.map(|(slot, node)| (*slot, follower.reads_of(*node))).collect()
}

/// A value that is reached from an attribute by constant names.
#[derive(Default)]
struct Node<'p> {
    depth: usize,
    whole: bool,
    fields: BTreeMap<&'p str, usize>,
}

/// For each register the nodes that it may hold. What is in none holds something else.
type State = BTreeMap<u16, BTreeSet<usize>>;

/// Where control can go after an instruction, besides where it jumps.
enum Then {
    /// to the next one, of which this is known
    Next(State),
    /// nowhere else
    Elsewhere,
}

/// Follows values from attributes through registers, in one pass: jumps go forward but for loops, and
/// what goes around a loop is read as a whole.
struct Follower<'p> {
    program: &'p Program,
    nodes: Vec<Node<'p>>,
    roots: BTreeMap<u16, usize>,
    work: usize,
}

/// What is known where jumps arrive, and what was known at the heads of loops.
#[derive(Default)]
struct Known {
    arriving: BTreeMap<usize, State>,
    heads: BTreeMap<usize, State>,
}

impl<'p> Follower<'p> {
    /// `None` when it gives up.
    fn run(&mut self) -> Option<()> {
        let mut known = Known::default();
        let mut state = Some(State::new());
        for (at, op) in self.program.code.iter().enumerate() {
            if let Some(other) = known.arriving.remove(&at) {
                state = Some(match state {
                    Some(state) => joined(state, &other),
                    None => other,
                });
            }
            // No path leads to an instruction of which nothing is known.
            if let Some(before) = state.take() {
                state = match self.instruction(at, *op, before, &mut known)? {
                    Then::Next(after) => Some(after),
                    Then::Elsewhere => None,
                };
            }
        }
        Some(())
    }

    /// Where control goes after an instruction; `None` when it gives up.
    fn instruction(
        &mut self,
        at: usize,
        op: Op,
        mut state: State,
        known: &mut Known,
    ) -> Option<Then> {
        self.work += state.len() + 1;
        if self.work > MAX_WORK {
            return None;
        }
        match op {
            Op::Jump { to } => {
                self.flow(to, &state, known)?;
                return Some(Then::Elsewhere);
            }
            Op::Repeat { head } => {
                self.back(head, &state, known);
                return Some(Then::Elsewhere);
            }
            Op::Return { src } => {
                self.used(src, &state);
                return Some(Then::Elsewhere);
            }
            Op::JumpIfTrue { cond, to } | Op::JumpIfFalse { cond, to } => {
                self.used(cond, &state);
                self.flow(to, &state, known)?;
            }
            // On both ways the register has no more than the nodes that it has now: the error that it
            // gets on one of them is no part of an attribute that was not used just now.
            Op::JumpIfError { src, to, .. } => {
                self.used(src, &state);
                self.flow(to, &state, known)?;
            }
            Op::Recall { end, .. } => self.flow(end, &state, known)?,
            Op::Iterate { iter, src, end } => {
                self.used(src, &state);
                state.remove(&iter.0);
                self.flow(end, &state, known)?;
            }
            Op::Next { key, value, pair, end, .. } => {
                known.heads.insert(at, state.clone());
                self.flow(end, &state, known)?;
                state.remove(&value.0);
                if pair {
                    state.remove(&key.0);
                }
            }
            op => self.plain(op, &mut state),
        }
        Some(Then::Next(state))
    }

    /// Instructions after which control goes on to the next one.
    fn plain(&mut self, op: Op, state: &mut State) {
        match op {
            Op::Move { dst, src } => {
                let nodes = self.nodes_of(src, state);
                put(state, dst, nodes);
            }
            Op::Select { dst, src, name }
            | Op::SelectOptional { dst, src, name }
            | Op::Index { dst, src, key: Operand::Const(name) }
            | Op::IndexOptional { dst, src, key: Operand::Const(name) } => {
                let nodes = self.field(src, name, state);
                put(state, dst, nodes);
            }
            Op::Has { dst, src, name } | Op::In { dst, a: Operand::Const(name), b: src } => {
                self.field(src, name, state);
                state.remove(&dst.0);
            }
            // Whether something is null can be told of what is kept of it.
            Op::IsPresent { dst, src } => {
                self.nodes_of(src, state);
                state.remove(&dst.0);
            }
            Op::Call { dst, first, count, .. } => {
                let arguments = self.program.arguments.iter().skip(usize::from(first));
                for argument in arguments.take(usize::from(count)) {
                    self.used(*argument, state);
                }
                state.remove(&dst.0);
            }
            Op::Not { dst, src } | Op::Overlaps { dst, src, .. } | Op::Within { dst, src, .. } => {
                self.used(src, state);
                state.remove(&dst.0);
            }
            Op::Index { dst, src: a, key: b }
            | Op::IndexOptional { dst, src: a, key: b }
            | Op::Equal { dst, a, b }
            | Op::NotEqual { dst, a, b }
            | Op::In { dst, a, b }
            | Op::And { dst, a, b }
            | Op::Or { dst, a, b } => {
                self.used(a, state);
                self.used(b, state);
                state.remove(&dst.0);
            }
            Op::Remember { src, .. } => self.used(Operand::Reg(src), state),
            Op::NewList { dst } | Op::NewMap { dst } | Op::Finish { dst } => {
                state.remove(&dst.0);
            }
            Op::Append { value, .. }
            | Op::AppendOptional { value, .. }
            | Op::InsertAll { entries: value, .. } => self.used(value, state),
            Op::Insert { key, value, .. } | Op::InsertOptional { key, value, .. } => {
                self.used(key, state);
                self.used(value, state);
            }
            Op::Jump { .. }
            | Op::Repeat { .. }
            | Op::Return { .. }
            | Op::JumpIfTrue { .. }
            | Op::JumpIfFalse { .. }
            | Op::JumpIfError { .. }
            | Op::Recall { .. }
            | Op::Iterate { .. }
            | Op::Next { .. } => {}
        }
    }

    fn flow(&mut self, to: Target, state: &State, known: &mut Known) -> Option<()> {
        self.work += state.len();
        if self.work > MAX_WORK {
            return None;
        }
        let to = to.0 as usize;
        let joined = match known.arriving.remove(&to) {
            Some(other) => joined(other, state),
            None => state.clone(),
        };
        known.arriving.insert(to, joined);
        Some(())
    }

    /// Control goes back to the head of a loop. What was not known there is read as a whole, so that
    /// nothing has to be followed a second time.
    fn back(&mut self, head: Target, state: &State, known: &Known) {
        let before = known.heads.get(&(head.0 as usize));
        for (register, nodes) in state {
            let there = before.and_then(|state| state.get(register));
            for node in nodes {
                if !there.is_some_and(|there| there.contains(node)) {
                    self.whole(*node);
                }
            }
        }
    }

    /// The nodes that an operand may be.
    fn nodes_of(&mut self, operand: Operand, state: &State) -> BTreeSet<usize> {
        match operand {
            Operand::Reg(register) => state.get(&register.0).cloned().unwrap_or_default(),
            Operand::Const(_) => BTreeSet::new(),
            Operand::Input(id) => {
                let input = self.program.inputs.get(usize::from(id.0));
                match input.map(|input| input.slot) {
                    Some(Slot::User(slot)) => {
                        let nodes = &mut self.nodes;
                        let root = *self.roots.entry(slot).or_insert_with(|| {
                            nodes.push(Node::default());
                            nodes.len() - 1
                        });
                        BTreeSet::from([root])
                    }
                    _ => BTreeSet::new(),
                }
            }
        }
    }

    /// The nodes that a field of an operand may be, or an element by a constant key.
    fn field(&mut self, operand: Operand, name: ConstId, state: &State) -> BTreeSet<usize> {
        let program = self.program;
        let Some(Const::String(name)) = program.constants.get(usize::from(name.0)) else {
            self.used(operand, state);
            return BTreeSet::new();
        };
        let nodes = self.nodes_of(operand, state);
        nodes.into_iter().filter_map(|node| self.field_of(node, name)).collect()
    }

    /// The node of a field; `None` where that is read as a whole with what it is a field of.
    fn field_of(&mut self, node: usize, name: &'p str) -> Option<usize> {
        let next = self.nodes.len();
        let parent = self.nodes.get_mut(node)?;
        if parent.whole || parent.depth >= MAX_DEPTH {
            parent.whole = true;
            return None;
        }
        let depth = parent.depth + 1;
        let field = *parent.fields.entry(name).or_insert(next);
        if field == next {
            self.nodes.push(Node { depth, ..Node::default() });
        }
        Some(field)
    }

    /// An operand goes where it is not followed.
    fn used(&mut self, operand: Operand, state: &State) {
        for node in self.nodes_of(operand, state) {
            self.whole(node);
        }
    }

    fn whole(&mut self, node: usize) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.whole = true;
        }
    }

    fn reads_of(&self, node: usize) -> Reads {
        match self.nodes.get(node) {
            Some(node) if !node.whole => {
                let field =
                    |(name, field): (&&str, &usize)| ((*name).into(), self.reads_of(*field));
                Reads { whole: false, fields: node.fields.iter().map(field).collect() }
            }
            _ => Reads::everything(),
        }
    }
}

fn put(state: &mut State, register: Reg, nodes: BTreeSet<usize>) {
    if nodes.is_empty() {
        state.remove(&register.0);
    } else {
        state.insert(register.0, nodes);
    }
}

fn joined(mut state: State, other: &State) -> State {
    for (register, nodes) in other {
        state.entry(*register).or_default().extend(nodes);
    }
    state
}
