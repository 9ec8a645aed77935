//! The verifier of predicate code, which is untrusted input even from a signed bundle.
//!
//! It holds these:
//! 1. Sizes are within the named limits, and the tables of places and kinds are as long as the code.
//! 2. Registers, constants, functions, arguments and inputs exist; names of fields are string
//!    constants, sets are lists.
//! 3. Lists and maps among the constants refer to earlier constants only.
//! 4. Jumps go forward, except `Repeat`, which goes back to a `Next`; the last instruction is
//!    `Return` or a jump back, so control never leaves the code.
//! 5. A register is written before it is read, on every path.
//! 6. A list or map under construction, and an iterator, is used only by the instructions that build
//!    or advance it, until it is finished.
//! 7. What a condition claims to depend on covers its inputs.
//! 8. A part that may be remembered for a caller is a stretch of code that control enters at its
//!    beginning and leaves at its end, that reads attributes of the caller and what it made itself,
//!    and of which nothing but its value is read afterwards. Parts do not contain one another.
//!
//! Kinds are hints. They are not verified, because nothing rests on them.

mod flow;

use crate::function::time;
use mxcp_schemas::bundle::code::{Const, ConstId, InputId, Op, Operand, Program, Reg, Slot};

use flow::Flow;

/// Most instructions of a program.
pub const MAX_INSTRUCTIONS: usize = 1 << 16;
/// Most registers of a program.
pub const MAX_REGISTERS: u16 = 1_024;
/// Most inputs of a program.
pub const MAX_INPUTS: usize = 4_096;
/// What the verifier may look at to follow one program, in registers and instructions.
const MAX_WORK: usize = 1 << 24;
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

impl Layout {
    /// Whether there is an input of this kind and number.
    pub fn has(&self, slot: Slot) -> bool {
        match slot {
            Slot::User(index) => usize::from(index) < self.user,
            Slot::UserMap | Slot::Request(_) => true,
            Slot::Param(index) => usize::from(index) < self.params,
            Slot::Response => self.response,
        }
    }
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
    if program.spans.len() != program.code.len() || program.kinds.len() != program.code.len() {
        return Err(whole("its table of places or of kinds has another length"));
    }
    if program.registers > MAX_REGISTERS
        || program.constants.len() > MAX_CONSTANTS
        || program.inputs.len() > MAX_INPUTS
        || program.arguments.len() > MAX_INSTRUCTIONS
    {
        return Err(whole("it has too many registers, constants, inputs or arguments"));
    }
    for input in &program.inputs {
        slot(program, layout, input.slot).map_err(whole)?;
    }
    if !constants_refer_backward(program) {
        return Err(whole("a constant refers to a later one"));
    }
    if !times_are_in_range(program) {
        return Err(whole("a time is out of range"));
    }
    let ends = matches!(program.code.last(), Some(Op::Return { .. }));
    if !ends {
        return Err(whole("it does not end with a result"));
    }
    for (at, op) in program.code.iter().enumerate() {
        jump(program, at, *op).map_err(|problem| VerifyError { at, problem })?;
    }
    Flow::new(program).run()
}

/// Where a jump goes, also one that control never comes to: whoever reads code may rely on it.
fn jump(program: &Program, at: usize, op: Op) -> Result<(), &'static str> {
    let Some(to) = op.target().map(|to| to.0 as usize) else { return Ok(()) };
    match (op, program.code.get(to)) {
        (Op::Repeat { .. }, Some(Op::Next { .. })) if to < at => Ok(()),
        (Op::Repeat { .. }, _) => Err("a loop does not go back to its head"),
        (Op::Recall { .. }, None) => Err("a part does not end"),
        (_, None) => Err("a jump leaves the code"),
        _ if to <= at => Err("a jump goes back"),
        _ => Ok(()),
    }
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

/// Whether times are within the years that timestamps have, and what is below a second is that.
fn times_are_in_range(program: &Program) -> bool {
    const NANOS: u32 = 1_000_000_000;
    program.constants.iter().all(|constant| match *constant {
        Const::Timestamp(seconds, nanos) => {
            (time::FIRST_SECOND..=time::LAST_SECOND).contains(&i128::from(seconds)) && nanos < NANOS
        }
        Const::Duration(seconds, nanos) => {
            let same_sign = i64::from(nanos).signum() * seconds.signum() >= 0;
            same_sign
                && nanos.unsigned_abs() < NANOS
                && seconds.unsigned_abs() <= i64::MAX.unsigned_abs() / u64::from(NANOS)
        }
        _ => true,
    })
}

fn slot(program: &Program, layout: &Layout, slot: Slot) -> Result<(), &'static str> {
    if !layout.has(slot) {
        return Err("an input does not exist");
    }
    if program.depends.or(slot.depends()) != program.depends {
        return Err("it has an input that it does not say it depends on");
    }
    Ok(())
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

/// The operands of an instruction, given what is known before it.
struct Operands<'s> {
    program: &'s Program,
    state: &'s [Held],
    /// whether the instruction belongs to a part that depends on the caller alone
    in_part: bool,
}

impl Operands<'_> {
    fn check(&self, op: Op) -> Result<(), &'static str> {
        match op {
            Op::Move { src, .. }
            | Op::IsPresent { src, .. }
            | Op::Not { src, .. }
            | Op::Return { src }
            | Op::JumpIfError { src, .. }
            | Op::Iterate { src, .. }
            | Op::JumpIfTrue { cond: src, .. }
            | Op::JumpIfFalse { cond: src, .. } => self.value(src),
            Op::Select { src, name, .. }
            | Op::SelectOptional { src, name, .. }
            | Op::Has { src, name, .. } => {
                self.value(src)?;
                match self.program.constants.get(usize::from(name.0)) {
                    Some(Const::String(_)) => Ok(()),
                    _ => Err("the name of a field is no string"),
                }
            }
            Op::Overlaps { src, set, .. } | Op::Within { src, set, .. } => {
                self.value(src)?;
                match self.program.constants.get(usize::from(set.0)) {
                    Some(Const::List(_)) => Ok(()),
                    _ => Err("a set is no list"),
                }
            }
            Op::Index { src: a, key: b, .. }
            | Op::IndexOptional { src: a, key: b, .. }
            | Op::Equal { a, b, .. }
            | Op::NotEqual { a, b, .. }
            | Op::In { a, b, .. }
            | Op::And { a, b, .. }
            | Op::Or { a, b, .. } => {
                self.value(a)?;
                self.value(b)
            }
            Op::Call { function, first, count, .. } => {
                if usize::from(function.0) >= self.program.functions.len() {
                    return Err("a function does not exist");
                }
                let first = usize::from(first);
                let arguments = self.program.arguments.get(first..first + usize::from(count));
                let arguments = arguments.ok_or("an argument does not exist")?;
                arguments.iter().try_for_each(|argument| self.value(*argument))
            }
            Op::Remember { src, .. } => self.value(Operand::Reg(src)),
            Op::Jump { .. }
            | Op::NewList { .. }
            | Op::NewMap { .. }
            | Op::Repeat { .. }
            | Op::Recall { .. } => Ok(()),
            Op::Append { .. }
            | Op::AppendOptional { .. }
            | Op::Insert { .. }
            | Op::InsertOptional { .. }
            | Op::InsertAll { .. } => self.building(op),
            Op::Finish { dst } => self.holds(dst, &[Held::List, Held::Map]),
            Op::Next { iter, .. } => self.holds(iter, &[Held::Iterator]),
        }
    }

    /// The operands of instructions that build lists and maps.
    fn building(&self, op: Op) -> Result<(), &'static str> {
        match op {
            Op::Append { list, value } | Op::AppendOptional { list, value } => {
                self.holds(list, &[Held::List])?;
                self.value(value)
            }
            Op::Insert { map, key, value } | Op::InsertOptional { map, key, value } => {
                self.holds(map, &[Held::Map])?;
                self.value(key)?;
                self.value(value)
            }
            Op::InsertAll { map, entries } => {
                self.holds(map, &[Held::Map])?;
                self.value(entries)
            }
            _ => Ok(()),
        }
    }

    fn value(&self, operand: Operand) -> Result<(), &'static str> {
        match operand {
            Operand::Reg(register) => match read(self.state, register)? {
                Held::Value | Held::Left => Ok(()),
                Held::Nothing => Err("a register is read before it is written"),
                _ => Err("a register that is under construction is read"),
            },
            Operand::Const(ConstId(id)) => {
                let exists = usize::from(id) < self.program.constants.len();
                if exists { Ok(()) } else { Err("a constant does not exist") }
            }
            Operand::Input(InputId(id)) => {
                let input = self.program.inputs.get(usize::from(id));
                let slot = input.ok_or("an input does not exist")?.slot;
                if self.in_part && !slot.depends().caller_only() {
                    return Err("a part that may be remembered reads more than the caller");
                }
                Ok(())
            }
        }
    }

    fn holds(&self, register: Reg, wanted: &[Held]) -> Result<(), &'static str> {
        if wanted.contains(&read(self.state, register)?) {
            Ok(())
        } else {
            Err("a register does not hold what the instruction needs")
        }
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

/// The register that an instruction makes a value of.
pub(crate) const fn destination(op: Op) -> Option<Reg> {
    match op {
        Op::Move { dst, .. }
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
        | Op::Overlaps { dst, .. }
        | Op::Within { dst, .. }
        | Op::And { dst, .. }
        | Op::Or { dst, .. }
        | Op::Call { dst, .. }
        | Op::Remember { src: dst, .. }
        | Op::Finish { dst } => Some(dst),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
