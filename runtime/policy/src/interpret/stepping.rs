//! The interpreter as a helper of compiled code: one instruction at a time, on registers that are
//! somebody else's.

use std::sync::atomic::AtomicU8;

use bumpalo::Bump;

use super::{Inputs, Machine, Next, Work};
use crate::function::Call;
use crate::predicate::Predicate;
use crate::value::Value;

/// Where control goes after an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// to the next one
    On,
    /// to where the instruction says
    Jump,
    /// nowhere: the evaluation has ended
    Done,
}

impl<'a> Machine<'a> {
    /// An interpreter that works on given registers.
    pub(crate) fn over(
        predicate: &'a Predicate,
        inputs: &Inputs<'a>,
        memory: &'a [AtomicU8],
        arena: &'a Bump,
        registers: &'a mut [Value<'a>],
    ) -> Self {
        Self {
            predicate,
            inputs: *inputs,
            memory,
            call: Call { arena, budget: 0, patterns: &predicate.patterns },
            registers,
            result: Value::Null,
            works: arena.alloc_slice_fill_with(predicate.works, |_| Work::None),
        }
    }

    /// Does one instruction, with so many steps left; returns how many are left then.
    pub(crate) fn step_at(&mut self, at: usize, budget: u64) -> (Stepped, u64) {
        let Some(op) = self.predicate.code.get(at) else { return (Stepped::Done, 0) };
        self.call.budget = budget;
        let stepped = match self.step(*op, at) {
            Next::Following => Stepped::On,
            Next::To(_) => Stepped::Jump,
            Next::Done(_) => Stepped::Done,
        };
        (stepped, self.call.budget)
    }
}
