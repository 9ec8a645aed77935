//! What each register holds where, as far as it can be told before the code runs.
//!
//! A register that is a truth value, a number or the address of an input lives in the processor's
//! registers; everything else has a home on the stack, as the interpreter would keep it. Where paths
//! meet that disagree about a register that is read later, it goes home.

use std::collections::BTreeMap;

use mxcp_schemas::bundle::code::{Kind, Op, Operand, Reg, Target};

use crate::function::{Arithmetic, Lowering};
use crate::predicate::Predicate;

/// How a register is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// nothing that is read
    None,
    /// 0 false, 1 true, 2 error, and which of the first two it is seen not to be
    Truth(Option<bool>),
    /// a whole number
    Int,
    /// a double
    Double,
    /// the address of a datum of the inputs or of a constant
    Data,
    /// a value on the stack
    Home,
    /// the rest of a list of an input that is being walked
    Walk,
    /// something that the interpreter builds or walks
    Work,
}

/// A register's shape and what it is expected to be.
pub(super) type Held = (Shape, Kind);

/// What is known of all registers.
pub(super) type State = Vec<Held>;

/// What is known where control can arrive by a jump.
#[derive(Debug)]
pub(super) struct Shapes {
    pub(super) entries: BTreeMap<usize, State>,
    live: Live,
}

impl Shapes {
    pub(super) fn new(predicate: &Predicate) -> Self {
        let live = Live::new(predicate);
        let mut entries = BTreeMap::new();
        // Each round may send registers home at the heads of loops, and never back.
        loop {
            let mut pass = Pass { predicate, live: &live, entries: entries.clone() };
            pass.run();
            if pass.entries == entries {
                return Self { entries, live };
            }
            entries = pass.entries;
        }
    }

    /// Whether a register is read at an instruction or later.
    pub(super) fn is_live(&self, at: usize, register: Reg) -> bool {
        self.live.is_live(at, usize::from(register.0))
    }
}

struct Pass<'p> {
    predicate: &'p Predicate,
    live: &'p Live,
    entries: BTreeMap<usize, State>,
}

impl Pass<'_> {
    fn run(&mut self) {
        let empty = vec![(Shape::None, Kind::Any); usize::from(self.predicate.registers)];
        let mut state = Some(empty);
        for (at, op) in self.predicate.code.iter().enumerate() {
            if targets_contain(self.predicate, at) {
                if let Some(state) = &state {
                    self.arrive(at, state);
                }
                state = self.entries.get(&at).cloned();
            }
            let Some(known) = &mut state else { continue };
            let before = known.clone();
            let goes_on = after(self.predicate, at, *op, known);
            for (target, jumped) in edges(*op, &before, known) {
                self.arrive(target.0 as usize, &jumped);
            }
            if !goes_on {
                state = None;
            }
        }
    }

    fn arrive(&mut self, at: usize, state: &State) {
        let live = |register: usize| self.live.is_live(at, register);
        let mut arriving = state.clone();
        for (register, held) in arriving.iter_mut().enumerate() {
            if !live(register) {
                *held = (Shape::None, Kind::Any);
            }
        }
        match self.entries.get_mut(&at) {
            None => {
                self.entries.insert(at, arriving);
            }
            Some(known) => {
                for (known, held) in known.iter_mut().zip(arriving) {
                    *known = join(*known, held);
                }
            }
        }
    }
}

fn join(known: Held, other: Held) -> Held {
    match (known, other) {
        // What is not written on one way is not read afterwards: that was verified.
        ((Shape::None, _), _) | (_, (Shape::None, _)) => (Shape::None, Kind::Any),
        ((a, x), (b, y)) => {
            let shape = match (a, b) {
                (a, b) if a == b => a,
                (Shape::Truth(_), Shape::Truth(_)) => TRUTH,
                _ => Shape::Home,
            };
            (shape, if x == y { x } else { Kind::Any })
        }
    }
}

/// A truth value of which nothing is known.
pub(super) const TRUTH: Shape = Shape::Truth(None);

/// Whether control can arrive at an instruction by a jump.
pub(super) fn targets_contain(predicate: &Predicate, at: usize) -> bool {
    predicate.targets.binary_search_by_key(&at, |target| *target as usize).is_ok()
}

/// The state on the edges that leave an instruction by a jump.
pub(super) fn edges(op: Op, before: &State, after: &State) -> Vec<(Target, State)> {
    let with = |register: Reg, held: Held| {
        let mut state = before.clone();
        set(&mut state, register, held);
        state
    };
    match op {
        Op::Jump { to } | Op::Repeat { head: to } => vec![(to, after.clone())],
        Op::JumpIfTrue { to, .. } | Op::JumpIfFalse { to, .. } => vec![(to, before.clone())],
        Op::JumpIfError { dst, to, .. } | Op::Recall { dst, end: to, .. } => {
            vec![(to, with(dst, (TRUTH, Kind::Bool)))]
        }
        // What cannot be walked leaves the code where it is walked here.
        Op::Iterate { iter, end, .. } if is(after, iter, Shape::Work) => {
            vec![(end, with(iter, (Shape::Home, Kind::Any)))]
        }
        Op::Next { end, .. } => vec![(end, before.clone())],
        _ => Vec::new(),
    }
}

/// Applies an instruction; returns whether control can go on to the next one.
pub(super) fn after(predicate: &Predicate, at: usize, op: Op, state: &mut State) -> bool {
    let kind = predicate.kinds.get(at).copied().unwrap_or(Kind::Any);
    let truth = (TRUTH, Kind::Bool);
    match op {
        Op::Jump { .. } | Op::Repeat { .. } | Op::Return { .. } => return false,
        // Who goes on was not what the jump is for.
        Op::JumpIfTrue { cond: Operand::Reg(tested), .. } => never(state, tested, true),
        Op::JumpIfFalse { cond: Operand::Reg(tested), .. } => never(state, tested, false),
        Op::Move { dst, src } => {
            let held = of(predicate, state, src);
            set(state, dst, held);
        }
        Op::Not { dst, .. }
        | Op::Equal { dst, .. }
        | Op::NotEqual { dst, .. }
        | Op::In { dst, .. }
        | Op::Overlaps { dst, .. }
        | Op::Within { dst, .. }
        | Op::And { dst, .. }
        | Op::Or { dst, .. }
        | Op::IsPresent { dst, .. }
        | Op::Remember { src: dst, .. } => set(state, dst, truth),
        Op::Has { dst, src, .. } => {
            let native = of(predicate, state, src).0 == Shape::Data;
            set(state, dst, if native { truth } else { (Shape::Home, Kind::Bool) });
        }
        Op::Select { dst, src, .. } | Op::Index { dst, src, .. } => {
            let native = of(predicate, state, src).0 == Shape::Data;
            set(state, dst, (if native { Shape::Data } else { Shape::Home }, kind));
        }
        Op::SelectOptional { dst, .. } | Op::IndexOptional { dst, .. } | Op::Finish { dst } => {
            set(state, dst, (Shape::Home, kind));
        }
        Op::Call { dst, function, first, count } => {
            let args = predicate.argument_slice(first, count);
            let function = predicate.functions.get(usize::from(function.0));
            let lowering = function.and_then(|function| function.lowering);
            let held = called(predicate, state, lowering, args, kind);
            set(state, dst, held);
        }
        Op::NewList { dst } | Op::NewMap { dst } => set(state, dst, (Shape::Work, Kind::Any)),
        Op::Iterate { iter, src, .. } => {
            let walk = matches!(of(predicate, state, src), (Shape::Data, k) if k != Kind::Map);
            set(state, iter, (if walk { Shape::Walk } else { Shape::Work }, Kind::Any));
        }
        Op::Next { iter, key, value, pair, .. } => {
            let walk = is(state, iter, Shape::Walk);
            let element = if walk { Shape::Data } else { Shape::Home };
            if pair {
                // What is counted here is a whole number, whatever it is compared with.
                let counted = (Shape::Int, Kind::Int);
                set(state, key, if walk { counted } else { (Shape::Home, Kind::Any) });
            }
            // Where both are the same register, it holds the value.
            set(state, value, (element, if walk { kind } else { Kind::Any }));
        }
        _ => {}
    }
    true
}

/// How the result of a call is kept.
fn called(
    predicate: &Predicate,
    state: &State,
    lowering: Option<Lowering>,
    args: &[Operand],
    kind: Kind,
) -> Held {
    let numeric = |wanted: Kind, shape: Shape| {
        args.iter().all(|arg| match of(predicate, state, *arg) {
            (found, _) if found == shape => true,
            (Shape::Data | Shape::Home, kind) => kind == wanted || kind == Kind::Any,
            _ => false,
        })
    };
    match (lowering, kind) {
        (Some(Lowering::Arithmetic(_)), Kind::Int) if numeric(Kind::Int, Shape::Int) => {
            (Shape::Int, Kind::Int)
        }
        // There is no remainder of doubles.
        (Some(Lowering::Arithmetic(of)), Kind::Double)
            if of != Arithmetic::Remainder && numeric(Kind::Double, Shape::Double) =>
        {
            (Shape::Double, Kind::Double)
        }
        (Some(Lowering::Size), Kind::Int) if args.len() == 1 && texts(predicate, state, args) => {
            (Shape::Int, Kind::Int)
        }
        (_, Kind::Bool) => (TRUTH, Kind::Bool),
        _ => (Shape::Home, kind),
    }
}

/// Whether operands are expected to be texts in memory.
fn texts(predicate: &Predicate, state: &State, args: &[Operand]) -> bool {
    args.iter()
        .all(|arg| matches!(of(predicate, state, *arg), (Shape::Data | Shape::Home, Kind::String)))
}

/// How an operand is kept.
pub(super) fn of(predicate: &Predicate, state: &State, operand: Operand) -> Held {
    use crate::datum::Datum;
    match operand {
        Operand::Reg(register) => {
            state.get(usize::from(register.0)).copied().unwrap_or((Shape::None, Kind::Any))
        }
        Operand::Const(id) => match predicate.datum(id) {
            Some(Datum::Bool(value)) => (Shape::Truth(Some(!value)), Kind::Bool),
            Some(Datum::Int(_)) => (Shape::Int, Kind::Int),
            Some(Datum::Double(_)) => (Shape::Double, Kind::Double),
            Some(Datum::String(_)) => (Shape::Data, Kind::String),
            Some(Datum::Timestamp(_)) => (Shape::Data, Kind::Timestamp),
            Some(Datum::Duration(_)) => (Shape::Data, Kind::Duration),
            Some(Datum::Null) => (Shape::Data, Kind::Null),
            Some(_) => (Shape::Data, Kind::Any),
            // The name of a type is no datum.
            None => (Shape::Home, Kind::Type),
        },
        Operand::Input(id) => {
            let input = predicate.inputs().get(usize::from(id.0));
            let is_value = input.is_some_and(|input| is_request(input.slot));
            let kind = input.map_or(Kind::Any, |input| input.kind);
            (if is_value { Shape::Home } else { Shape::Data }, kind)
        }
    }
}

/// Whether an input is a property of the request, which is a value and no datum.
pub(super) const fn is_request(slot: mxcp_schemas::bundle::code::Slot) -> bool {
    matches!(slot, mxcp_schemas::bundle::code::Slot::Request(_))
}

fn is(state: &State, register: Reg, shape: Shape) -> bool {
    state.get(usize::from(register.0)).is_some_and(|(held, _)| *held == shape)
}

/// Notes what a truth value is seen not to be.
fn never(state: &mut State, register: Reg, value: bool) {
    if let Some((Shape::Truth(never), _)) = state.get_mut(usize::from(register.0)) {
        *never = Some(value);
    }
}

pub(super) fn set(state: &mut State, register: Reg, held: Held) {
    if let Some(slot) = state.get_mut(usize::from(register.0)) {
        *slot = held;
    }
}

/// Which registers are read later, for each instruction.
#[derive(Debug)]
struct Live {
    words: usize,
    sets: Vec<u64>,
}

impl Live {
    fn new(predicate: &Predicate) -> Self {
        let words = usize::from(predicate.registers).div_ceil(64);
        let mut live = Self { words, sets: vec![0; words * predicate.code.len()] };
        // Once more for each level of loops, until nothing changes.
        while live.pass(predicate) {}
        live
    }

    fn pass(&mut self, predicate: &Predicate) -> bool {
        let mut changed = false;
        for (at, op) in predicate.code.iter().enumerate().rev() {
            let mut set = vec![0; self.words];
            let goes_on = !matches!(op, Op::Jump { .. } | Op::Repeat { .. } | Op::Return { .. });
            if goes_on {
                self.add(&mut set, at + 1);
            }
            if let Some(register) = overwritten(*op) {
                mark(&mut set, register, false);
            }
            if let Some(target) = op.target() {
                let mut there = vec![0; self.words];
                self.add(&mut there, target.0 as usize);
                if let Op::JumpIfError { dst, .. } | Op::Recall { dst, .. } = *op {
                    mark(&mut there, dst, false);
                }
                for (word, there) in set.iter_mut().zip(there) {
                    *word |= there;
                }
            }
            read(predicate, *op, |register| mark(&mut set, register, true));
            if let Some(known) = self.sets.get_mut(at * self.words..(at + 1) * self.words)
                && *known != *set
            {
                known.copy_from_slice(&set);
                changed = true;
            }
        }
        changed
    }

    fn add(&self, set: &mut [u64], at: usize) {
        let other = self.sets.get(at * self.words..(at + 1) * self.words).unwrap_or(&[]);
        for (word, other) in set.iter_mut().zip(other) {
            *word |= other;
        }
    }

    fn is_live(&self, at: usize, register: usize) -> bool {
        self.sets
            .get(at * self.words + register / 64)
            .is_some_and(|word| word >> (register % 64) & 1 == 1)
    }
}

fn mark(set: &mut [u64], register: Reg, live: bool) {
    if let Some(word) = set.get_mut(usize::from(register.0) / 64) {
        let bit = 1 << (register.0 % 64);
        *word = if live { *word | bit } else { *word & !bit };
    }
}

/// The register that is overwritten where control goes on.
fn overwritten(op: Op) -> Option<Reg> {
    match op {
        Op::NewList { dst } | Op::NewMap { dst } | Op::Iterate { iter: dst, .. } => Some(dst),
        Op::Next { value, .. } => Some(value),
        Op::Finish { .. } | Op::Remember { .. } => None,
        op => crate::verify::destination(op),
    }
}

/// Calls a function for each register that an instruction reads.
pub(super) fn read(predicate: &Predicate, op: Op, mut found: impl FnMut(Reg)) {
    let mut operand = |operand: Operand| {
        if let Operand::Reg(register) = operand {
            found(register);
        }
    };
    match op {
        Op::Move { src, .. }
        | Op::Select { src, .. }
        | Op::SelectOptional { src, .. }
        | Op::Has { src, .. }
        | Op::IsPresent { src, .. }
        | Op::Not { src, .. }
        | Op::Overlaps { src, .. }
        | Op::Within { src, .. }
        | Op::JumpIfTrue { cond: src, .. }
        | Op::JumpIfFalse { cond: src, .. }
        | Op::JumpIfError { src, .. }
        | Op::Iterate { src, .. }
        | Op::Return { src } => operand(src),
        Op::Index { src: a, key: b, .. }
        | Op::IndexOptional { src: a, key: b, .. }
        | Op::Equal { a, b, .. }
        | Op::NotEqual { a, b, .. }
        | Op::In { a, b, .. }
        | Op::And { a, b, .. }
        | Op::Or { a, b, .. } => {
            operand(a);
            operand(b);
        }
        Op::Call { first, count, .. } => {
            predicate.argument_slice(first, count).iter().for_each(|arg| operand(*arg));
        }
        Op::Append { list, value } | Op::AppendOptional { list, value } => {
            operand(Operand::Reg(list));
            operand(value);
        }
        Op::Insert { map, key, value } | Op::InsertOptional { map, key, value } => {
            operand(Operand::Reg(map));
            operand(key);
            operand(value);
        }
        Op::InsertAll { map, entries } => {
            operand(Operand::Reg(map));
            operand(entries);
        }
        Op::Remember { src: register, .. }
        | Op::Finish { dst: register }
        | Op::Next { iter: register, .. } => operand(Operand::Reg(register)),
        Op::Jump { .. }
        | Op::Repeat { .. }
        | Op::Recall { .. }
        | Op::NewList { .. }
        | Op::NewMap { .. } => {}
    }
}
