//! Jumps, loops, and what is remembered.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder as _, Value, types};
use mxcp_schemas::bundle::code::{Op, Operand, PartId, Reg, Target};

use super::super::context::{self, LENGTH, SIZE, tag};
use super::super::shape::{self, Shape, Shapes, State};
use super::{Held, MEMORY, Writer};
use crate::predicate::Predicate;

/// The instructions that the interpreter does, because they have no code of their own.
pub(super) fn stepped<'p>(
    predicate: &'p Predicate,
    shapes: &'p Shapes,
) -> impl Iterator<Item = Op> + 'p {
    let mut state = vec![
        (Shape::None, mxcp_schemas::bundle::code::Kind::Any);
        usize::from(predicate.registers)
    ];
    predicate.code.iter().enumerate().filter_map(move |(at, op)| {
        if let Some(entry) = shapes.entries.get(&at) {
            state.clone_from(entry);
        }
        let in_memory = |operand| shape::of(predicate, &state, operand).0 != Shape::Data;
        let steps = match *op {
            Op::Select { src, .. } | Op::Has { src, .. } | Op::Index { src, .. } => in_memory(src),
            Op::Call { count, .. } => usize::from(count) > super::MAX_ARGUMENTS,
            Op::SelectOptional { .. }
            | Op::IndexOptional { .. }
            | Op::NewList { .. }
            | Op::NewMap { .. }
            | Op::Append { .. }
            | Op::AppendOptional { .. }
            | Op::Insert { .. }
            | Op::InsertOptional { .. }
            | Op::InsertAll { .. }
            | Op::Finish { .. } => true,
            Op::Iterate { iter, .. } => {
                let mut after = state.clone();
                shape::after(predicate, at, *op, &mut after);
                is_work(&after, iter)
            }
            _ => false,
        };
        shape::after(predicate, at, *op, &mut state);
        steps.then_some(*op)
    })
}

impl Writer<'_, '_, '_> {
    pub(super) fn block(&mut self, at: usize) -> Block {
        match self.blocks.get(&at) {
            Some(block) => *block,
            None => {
                let block = self.b.create_block();
                self.blocks.insert(at, block);
                block
            }
        }
    }

    /// Instructions that move control, and all that the interpreter does.
    pub(super) fn control(&mut self, at: usize, op: Op) {
        match op {
            Op::Jump { to } => self.jump(to),
            Op::Repeat { head } => self.repeat(head),
            Op::JumpIfTrue { cond, to } => self.jump_if(cond, 1, to),
            Op::JumpIfFalse { cond, to } => self.jump_if(cond, 0, to),
            Op::JumpIfError { dst, src, to } => {
                let truth = self.truth(src);
                let failed = self.b.ins().icmp_imm_u(IntCC::Equal, truth, 2);
                self.branch(failed, to, Some((dst, truth)));
            }
            Op::Recall { dst, part, end } => self.recall(dst, part, end),
            Op::Remember { src, part } => self.remember(src, part),
            Op::Iterate { iter, src, end } => self.iterate(at, iter, src, end),
            Op::Next { iter, key, value, pair, end } => {
                if self.state[usize::from(iter.0)].0 == Shape::Walk {
                    self.next(at, iter, [key, value], pair, end);
                } else {
                    let told = self.step(at);
                    self.branch(told, end, None);
                }
            }
            _ => {
                self.step(at);
            }
        }
    }

    fn jump(&mut self, to: Target) {
        let to = to.0 as usize;
        if let Some(entry) = self.shapes.entries.get(&to) {
            self.agree(entry);
        }
        let block = self.block(to);
        self.b.ins().jump(block, &[]);
    }

    fn jump_if(&mut self, cond: Operand, wanted: i64, to: Target) {
        let truth = self.truth(cond);
        if self.never.get(&truth) == Some(&wanted) {
            return;
        }
        let holds = self.b.ins().icmp_imm_u(IntCC::Equal, truth, wanted);
        self.branch(holds, to, None);
        self.never.insert(truth, wanted);
    }

    /// Jumps if a condition holds, after keeping a truth value in a register on that way only.
    pub(super) fn branch(&mut self, condition: Value, to: Target, kept: Option<(Reg, Value)>) {
        let next = self.b.create_block();
        let before = self.state.clone();
        let Some(entry) = self.shapes.entries.get(&(to.0 as usize)) else {
            return self.leave();
        };
        if kept.is_none() && self.disagreeing(entry).is_empty() {
            let target = self.block(to.0 as usize);
            self.b.ins().brif(condition, target, &[], next, &[]);
        } else {
            let edge = self.b.create_block();
            self.b.ins().brif(condition, edge, &[], next, &[]);
            self.enter(edge);
            self.keep(kept);
            self.agree(entry);
            let target = self.block(to.0 as usize);
            self.b.ins().jump(target, &[]);
        }
        self.enter(next);
        self.state = before;
    }

    fn keep(&mut self, kept: Option<(Reg, Value)>) {
        if let Some((register, truth)) = kept {
            self.put(register, Held::Truth(truth));
            let held = (shape::TRUTH, mxcp_schemas::bundle::code::Kind::Bool);
            shape::set(&mut self.state, register, held);
        }
    }

    fn recall(&mut self, dst: Reg, part: PartId, end: Target) {
        let (some, absent) = (self.b.create_block(), self.b.create_block());
        let memory = self.b.ins().load(types::I64, MEMORY, self.context, context::MEMORY);
        self.b.ins().brif(memory, some, &[], absent, &[]);
        self.enter(some);
        let byte = self.b.ins().load(types::I8, MEMORY, memory, i32::from(part.0));
        let one = self.b.ins().iconst(types::I8, 1);
        let truth = self.b.ins().isub(byte, one);
        let known = self.b.ins().icmp_imm_u(IntCC::NotEqual, byte, 0);
        self.branch(known, end, Some((dst, truth)));
        self.b.ins().jump(absent, &[]);
        self.enter(absent);
    }

    fn remember(&mut self, src: Reg, part: PartId) {
        let truth = self.truth(Operand::Reg(src));
        self.put(src, Held::Truth(truth));
        let (some, next) = (self.b.create_block(), self.b.create_block());
        let memory = self.b.ins().load(types::I64, MEMORY, self.context, context::MEMORY);
        self.b.ins().brif(memory, some, &[], next, &[]);
        self.enter(some);
        let one = self.b.ins().iconst(types::I8, 1);
        let byte = self.b.ins().iadd(truth, one);
        self.b.ins().store(MEMORY, byte, memory, i32::from(part.0));
        self.b.ins().jump(next, &[]);
        self.enter(next);
    }

    fn iterate(&mut self, at: usize, iter: Reg, src: Operand, end: Target) {
        let op = Op::Iterate { iter, src, end };
        let mut after = self.state.clone();
        shape::after(self.predicate, at, op, &mut after);
        if is_work(&after, iter) {
            let told = self.step(at);
            // The error is in the iterator's home already.
            let before = self.state.clone();
            shape::set(&mut self.state, iter, (Shape::Home, mxcp_schemas::bundle::code::Kind::Any));
            self.branch(told, end, None);
            self.state = before;
            return;
        }
        let Held::Data(list) = self.get(src) else { return self.leave() };
        self.expect(&[Held::Data(list)], tag::LIST);
        let items = self.payload(list);
        let flags = self.flags(list);
        let length = self.b.ins().load(types::I64, flags, list, LENGTH);
        self.pay_for_walk(iter, length);
        let size = self.b.ins().iconst(types::I64, i64::from(SIZE));
        let bytes = self.b.ins().imul(length, size);
        let finish = self.b.ins().iadd(items, bytes);
        let register = usize::from(iter.0);
        self.b.def_var(self.words[register], items);
        self.b.def_var(self.ends[register], finish);
        self.b.def_var(self.firsts[register], items);
    }

    /// Pays the steps of all rounds of a loop before the first. That is more than the interpreter takes
    /// where a loop ends early, so it never lets pass what the interpreter would stop.
    fn pay_for_walk(&mut self, iter: Reg, length: Value) {
        let heads = (0_usize..).zip(&self.predicate.code).filter_map(|(at, op)| match op {
            Op::Next { iter: walked, .. } if *walked == iter => Some(self.predicate.weight(at)),
            _ => None,
        });
        let dearest = heads.max().unwrap_or(0).cast_signed();
        let weight = self.b.ins().iconst(types::I64, dearest);
        let steps = self.b.ins().imul(length, weight);
        self.spend(steps);
    }

    /// Back to the head of a loop. One that walks a list is left from here, or goes on with its body.
    fn repeat(&mut self, head: Target) {
        let at = head.0 as usize;
        if let Some(Op::Next { iter, end, .. }) = self.predicate.code.get(at)
            && let Some(entry) = self.shapes.entries.get(&at)
            && entry[usize::from(iter.0)].0 == Shape::Walk
        {
            self.agree(entry);
            self.state.clone_from(entry);
            self.leave_walk(*iter, *end);
            let body = self.body(at);
            self.b.ins().jump(body, &[]);
        } else {
            self.jump(head);
        }
    }

    /// Leaves a loop that has walked its list.
    fn leave_walk(&mut self, iter: Reg, end: Target) {
        let register = usize::from(iter.0);
        let here = self.b.use_var(self.words[register]);
        let finish = self.b.use_var(self.ends[register]);
        let done = self.b.ins().icmp(IntCC::Equal, here, finish);
        self.branch(done, end, None);
    }

    /// Where the body of the loop begins that has its head at an instruction.
    fn body(&mut self, head: usize) -> Block {
        let made = self.bodies.get(&head).copied();
        made.unwrap_or_else(|| {
            let block = self.b.create_block();
            self.bodies.insert(head, block);
            block
        })
    }

    /// The next element of a list of an input.
    fn next(&mut self, at: usize, iter: Reg, [key, value]: [Reg; 2], pair: bool, end: Target) {
        self.leave_walk(iter, end);
        let body = self.body(at);
        self.b.ins().jump(body, &[]);
        // Control comes back here.
        self.b.switch_to_block(body);
        let register = usize::from(iter.0);
        let here = self.b.use_var(self.words[register]);
        let following = self.offset(here, i64::from(SIZE));
        self.b.def_var(self.words[register], following);
        if pair {
            // Its place, whoever took those before it.
            let first = self.b.use_var(self.firsts[register]);
            let passed = self.b.ins().isub(here, first);
            let shift = self.b.ins().iconst(types::I64, i64::from(SIZE.ilog2()));
            let place = self.b.ins().ushr(passed, shift);
            self.put(key, Held::Int(place));
        }
        self.put(value, Held::Data(here));
    }
}

const _: () = assert!(SIZE.cast_unsigned().is_power_of_two());

fn is_work(state: &State, register: Reg) -> bool {
    state.get(usize::from(register.0)).is_some_and(|(shape, _)| *shape == Shape::Work)
}
