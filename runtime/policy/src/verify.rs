//! The verifier of predicate code, which is untrusted input even from a signed bundle.
//!
//! It holds these:
//! 1. Sizes are within the named limits, and the table of places is as long as the code.
//! 2. Registers, constants, functions and inputs exist; names of fields are string constants.
//! 3. Lists and maps among the constants refer to earlier constants only.
//! 4. Jumps go forward, except `Repeat`, which goes back to a `Next`; the last instruction is
//!    `Return` or a jump back, so control never leaves the code.
//! 5. A register is written before it is read, on every path.
//! 6. A list or map under construction, and an iterator, is used only by the instructions that build
//!    or advance it, until it is finished.
//! 7. What a condition claims to depend on covers the inputs that it loads.

use mxcp_schemas::bundle::code::{Const, Op, Program, Reg, Slot, Target};

/// Most instructions of a program.
pub const MAX_INSTRUCTIONS: usize = 1 << 16;
/// Most registers of a program.
pub const MAX_REGISTERS: u16 = 4_096;
/// Most constants of a program.
pub const MAX_CONSTANTS: usize = 1 << 14;

/// Which inputs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// attributes of the caller
    pub user: usize,
    /// declared parameters
    pub params: usize,
    /// whether there is a result
    pub response: bool,
}

/// The first rule that code breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("predicate code is not valid at instruction {at}: {problem}")]
pub struct VerifyError {
    /// the instruction, or the number of them for the program as a whole
    pub at: usize,
    /// what is wrong
    pub problem: &'static str,
}

/// Checks a program.
///
/// # Errors
/// The first rule that it breaks.
pub fn verify(program: &Program, layout: &Layout) -> Result<(), VerifyError> {
    let whole = |problem| VerifyError { at: program.code.len(), problem };
    if program.code.is_empty() || program.code.len() > MAX_INSTRUCTIONS {
        return Err(whole("it has no instructions, or too many"));
    }
    if program.spans.len() != program.code.len() {
        return Err(whole("its table of places has another length"));
    }
    if program.registers > MAX_REGISTERS || program.constants.len() > MAX_CONSTANTS {
        return Err(whole("it has too many registers or constants"));
    }
    if !constants_refer_backward(program) {
        return Err(whole("a constant refers to a later one"));
    }
    let ends = matches!(program.code.last(), Some(Op::Return { .. }));
    if !ends {
        return Err(whole("it does not end with a result"));
    }
    Flow::new(program, layout).run()
}

fn constants_refer_backward(program: &Program) -> bool {
    program.constants.iter().enumerate().all(|(at, constant)| match constant {
        Const::List(items) => items.iter().all(|id| usize::from(id.0) < at),
        Const::Map(entries) => {
            entries.iter().all(|(k, v)| usize::from(k.0) < at && usize::from(v.0) < at)
        }
        _ => true,
    })
}

/// What is known of a register before an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// nothing, or different things on different paths
    Nothing,
    Value,
    List,
    Map,
    Iterator,
    /// an iterator, or the error that stands for it where the loop was left
    Left,
}

impl Held {
    const fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a as u8 == b as u8 => a,
            (Self::Iterator | Self::Left, Self::Value | Self::Left | Self::Iterator)
            | (Self::Value, Self::Iterator | Self::Left) => Self::Left,
            _ => Self::Nothing,
        }
    }
}

struct Flow<'p> {
    program: &'p Program,
    layout: &'p Layout,
    /// what is known before each instruction; `None` until it is reached
    before: Vec<Option<Vec<Held>>>,
}

impl<'p> Flow<'p> {
    fn new(program: &'p Program, layout: &'p Layout) -> Self {
        Self { program, layout, before: vec![None; program.code.len()] }
    }

    /// Jumps go forward but for loops, so one pass in order, with a check at each back edge that
    /// nothing new is known there, reaches every instruction.
    fn run(mut self) -> Result<(), VerifyError> {
        let first = vec![Held::Nothing; usize::from(self.program.registers)];
        if let Some(slot) = self.before.first_mut() {
            *slot = Some(first);
        }
        for (at, op) in self.program.code.iter().enumerate() {
            let Some(state) = self.before.get_mut(at).and_then(Option::take) else { continue };
            let kept = state.clone();
            self.instruction(at, *op, state).map_err(|problem| VerifyError { at, problem })?;
            if let Some(slot) = self.before.get_mut(at) {
                *slot = Some(kept);
            }
        }
        Ok(())
    }

    fn instruction(&mut self, at: usize, op: Op, mut state: Vec<Held>) -> Result<(), &'static str> {
        self.operands(op, &state)?;
        match op {
            Op::Return { .. } => return Ok(()),
            Op::Jump { to } => return self.flow(at, to, &state),
            Op::Repeat { head } => return self.back(at, head, &state),
            Op::JumpIfTrue { to, .. } | Op::JumpIfFalse { to, .. } => self.flow(at, to, &state)?,
            Op::JumpIfError { dst, to, .. } => {
                let mut jumped = state.clone();
                write(&mut jumped, dst, Held::Value)?;
                self.flow(at, to, &jumped)?;
            }
            Op::Iterate { iter, end, .. } => {
                let mut skipped = state.clone();
                write(&mut skipped, iter, Held::Value)?;
                self.flow(at, end, &skipped)?;
                write(&mut state, iter, Held::Iterator)?;
            }
            Op::Next { key, value, pair, end, .. } => {
                self.flow(at, end, &state)?;
                write(&mut state, value, Held::Value)?;
                if pair {
                    write(&mut state, key, Held::Value)?;
                }
            }
            Op::NewList { dst } => write(&mut state, dst, Held::List)?,
            Op::NewMap { dst } => write(&mut state, dst, Held::Map)?,
            Op::Finish { dst } => write(&mut state, dst, Held::Value)?,
            _ => {
                if let Some(dst) = destination(op) {
                    write(&mut state, dst, Held::Value)?;
                }
            }
        }
        let next = u32::try_from(at + 1).map_err(|_| "it is too long")?;
        self.flow(at, Target(next), &state)
    }

    /// Control goes forward.
    fn flow(&mut self, at: usize, to: Target, state: &[Held]) -> Result<(), &'static str> {
        let to = to.0 as usize;
        if to <= at {
            return Err("a jump goes back");
        }
        let Some(slot) = self.before.get_mut(to) else { return Err("a jump leaves the code") };
        match slot {
            Some(known) => {
                for (known, held) in known.iter_mut().zip(state) {
                    *known = known.join(*held);
                }
            }
            None => *slot = Some(state.to_vec()),
        }
        Ok(())
    }

    /// Control goes back to the head of a loop, where nothing may be missing that was there.
    fn back(&self, at: usize, head: Target, state: &[Held]) -> Result<(), &'static str> {
        let head = head.0 as usize;
        if head >= at || !matches!(self.program.code.get(head), Some(Op::Next { .. })) {
            return Err("a loop does not go back to its head");
        }
        let Some(Some(known)) = self.before.get(head) else { return Err("a loop has no head") };
        let lost = known
            .iter()
            .zip(state)
            .any(|(known, held)| *known != Held::Nothing && known.join(*held) != *known);
        if lost { Err("a loop loses what it needs") } else { Ok(()) }
    }

    fn operands(&self, op: Op, state: &[Held]) -> Result<(), &'static str> {
        let value = |register: Reg| is_value(state, register);
        let held = |register: Reg, wanted: &[Held]| holds(state, register, wanted);
        match op {
            Op::Const { value: id, .. } => {
                let exists = usize::from(id.0) < self.program.constants.len();
                if exists { Ok(()) } else { Err("a constant does not exist") }
            }
            Op::Load { slot, .. } => self.slot(slot),
            Op::Move { src, .. }
            | Op::IsPresent { src, .. }
            | Op::Not { src, .. }
            | Op::Return { src }
            | Op::JumpIfError { src, .. }
            | Op::Iterate { src, .. } => value(src),
            Op::Select { src, name, .. }
            | Op::SelectOptional { src, name, .. }
            | Op::Has { src, name, .. } => {
                value(src)?;
                match self.program.constants.get(usize::from(name.0)) {
                    Some(Const::String(_)) => Ok(()),
                    _ => Err("the name of a field is no string"),
                }
            }
            Op::Index { src, key, .. } | Op::IndexOptional { src, key, .. } => {
                value(src)?;
                value(key)
            }
            Op::Equal { a, b, .. }
            | Op::NotEqual { a, b, .. }
            | Op::In { a, b, .. }
            | Op::And { a, b, .. }
            | Op::Or { a, b, .. } => {
                value(a)?;
                value(b)
            }
            Op::Call { function, first, count, .. } => {
                if usize::from(function.0) >= self.program.functions.len() {
                    return Err("a function does not exist");
                }
                let last =
                    first.0.checked_add(u16::from(count)).ok_or("a register does not exist")?;
                (first.0..last).try_for_each(|register| value(Reg(register)))
            }
            Op::Jump { .. } | Op::NewList { .. } | Op::NewMap { .. } | Op::Repeat { .. } => Ok(()),
            Op::JumpIfTrue { cond, .. } | Op::JumpIfFalse { cond, .. } => value(cond),
            Op::Append { .. }
            | Op::AppendOptional { .. }
            | Op::Insert { .. }
            | Op::InsertOptional { .. }
            | Op::InsertAll { .. } => building(op, state),
            Op::Finish { dst } => held(dst, &[Held::List, Held::Map]),
            Op::Next { iter, .. } => held(iter, &[Held::Iterator]),
        }
    }

    fn slot(&self, slot: Slot) -> Result<(), &'static str> {
        let depends = self.program.depends;
        let (exists, said) = match slot {
            Slot::User(index) => (usize::from(index) < self.layout.user, depends.user),
            Slot::UserMap => (true, depends.user),
            Slot::Param(index) => (usize::from(index) < self.layout.params, depends.params),
            Slot::Response => (self.layout.response, depends.response),
            Slot::Request(_) => (true, depends.request),
        };
        match (exists, said) {
            (false, _) => Err("an input does not exist"),
            (_, false) => Err("an input is loaded that the program does not say it depends on"),
            _ => Ok(()),
        }
    }
}

/// The operands of instructions that build lists and maps.
fn building(op: Op, state: &[Held]) -> Result<(), &'static str> {
    let value = |register: Reg| is_value(state, register);
    let held = |register: Reg, wanted: &[Held]| holds(state, register, wanted);
    match op {
        Op::Append { list, value: item } | Op::AppendOptional { list, value: item } => {
            held(list, &[Held::List])?;
            value(item)
        }
        Op::Insert { map, key, value: item } | Op::InsertOptional { map, key, value: item } => {
            held(map, &[Held::Map])?;
            value(key)?;
            value(item)
        }
        Op::InsertAll { map, entries } => {
            held(map, &[Held::Map])?;
            value(entries)
        }
        _ => Ok(()),
    }
}

fn is_value(state: &[Held], register: Reg) -> Result<(), &'static str> {
    match read(state, register)? {
        Held::Value | Held::Left => Ok(()),
        Held::Nothing => Err("a register is read before it is written"),
        _ => Err("a register that is under construction is read"),
    }
}

fn holds(state: &[Held], register: Reg, wanted: &[Held]) -> Result<(), &'static str> {
    if wanted.contains(&read(state, register)?) {
        Ok(())
    } else {
        Err("a register does not hold what the instruction needs")
    }
}

fn read(state: &[Held], register: Reg) -> Result<Held, &'static str> {
    state.get(usize::from(register.0)).copied().ok_or("a register does not exist")
}

fn write(state: &mut [Held], register: Reg, held: Held) -> Result<(), &'static str> {
    let slot = state.get_mut(usize::from(register.0)).ok_or("a register does not exist")?;
    *slot = held;
    Ok(())
}

const fn destination(op: Op) -> Option<Reg> {
    match op {
        Op::Const { dst, .. }
        | Op::Load { dst, .. }
        | Op::Move { dst, .. }
        | Op::Select { dst, .. }
        | Op::SelectOptional { dst, .. }
        | Op::Has { dst, .. }
        | Op::IsPresent { dst, .. }
        | Op::Index { dst, .. }
        | Op::IndexOptional { dst, .. }
        | Op::Not { dst, .. }
        | Op::Equal { dst, .. }
        | Op::NotEqual { dst, .. }
        | Op::In { dst, .. }
        | Op::And { dst, .. }
        | Op::Or { dst, .. }
        | Op::Call { dst, .. } => Some(dst),
        _ => None,
    }
}
