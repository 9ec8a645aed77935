//! `&&`, `||` and `!`.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use mxcp_schemas::bundle::code::{Op, Operand, Reg, Target};

use super::super::shape;
use super::{Held, Writer};

impl Writer<'_, '_, '_> {
    /// `&&` and `||`. The code for errors is the largest, so of two values that do not decide, the
    /// larger is the result.
    pub(super) fn logic(&mut self, at: usize, dst: Reg, [a, b]: [Operand; 2], decisive: i64) {
        let (a, b) = (self.truth(a), self.truth(b));
        let result = if let Some(to) = self.jump_that_follows(at, dst, decisive) {
            self.logic_and_jump(dst, [a, b], decisive, to)
        } else if self.never.get(&a) == Some(&decisive) && self.plain.contains(&a) {
            b
        } else if self.plain.contains(&a) && self.plain.contains(&b) {
            let both = if decisive == 0 { self.b.ins().band(a, b) } else { self.b.ins().bor(a, b) };
            self.plain.insert(both);
            both
        } else {
            let decides_a = self.b.ins().icmp_imm_u(IntCC::Equal, a, decisive);
            let decides_b = self.b.ins().icmp_imm_u(IntCC::Equal, b, decisive);
            let decided = self.b.ins().bor(decides_a, decides_b);
            let larger = self.b.ins().umax(a, b);
            let decisive = self.b.ins().iconst(types::I8, decisive);
            self.b.ins().select(decided, decisive, larger)
        };
        self.put(dst, Held::Truth(result));
    }

    /// Where the next instruction jumps to if what this one leaves is the truth value `wanted`.
    fn jump_that_follows(&self, at: usize, dst: Reg, wanted: i64) -> Option<Target> {
        let (cond, when, to) = match *self.predicate.code.get(at + 1)? {
            Op::JumpIfTrue { cond, to } => (cond, 1, to),
            Op::JumpIfFalse { cond, to } => (cond, 0, to),
            _ => return None,
        };
        let follows = cond == Operand::Reg(dst)
            && when == wanted
            && !shape::targets_contain(self.predicate, at + 1);
        follows.then_some(to)
    }

    /// `&&` and `||` whose decision is jumped at, as the body of `all` and `exists` does: what is left
    /// otherwise is one of the two as it is.
    fn logic_and_jump(&mut self, dst: Reg, [a, b]: [Value; 2], decisive: i64, to: Target) -> Value {
        let mut decides = self.b.ins().icmp_imm_u(IntCC::Equal, b, decisive);
        if self.never.get(&a) != Some(&decisive) {
            let first = self.b.ins().icmp_imm_u(IntCC::Equal, a, decisive);
            decides = self.b.ins().bor(first, decides);
        }
        let told = self.b.ins().iconst(types::I8, decisive);
        self.branch(decides, to, Some((dst, told)));
        let rest = match (self.plain.contains(&a), self.plain.contains(&b)) {
            (_, true) => a,
            (true, false) => b,
            (false, false) => self.b.ins().umax(a, b),
        };
        self.never.insert(rest, decisive);
        rest
    }

    /// `!` of a truth value; an error stays one.
    pub(super) fn negate(&mut self, truth: Value) -> Value {
        let one = self.b.ins().iconst(types::I8, 1);
        let flipped = self.b.ins().bxor(truth, one);
        if self.plain.contains(&truth) {
            self.plain.insert(flipped);
            return flipped;
        }
        let failed = self.b.ins().icmp_imm_u(IntCC::Equal, truth, 2);
        self.b.ins().select(failed, truth, flipped)
    }
}
