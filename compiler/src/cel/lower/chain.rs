//! `&&` and `||` of any number of operands, and the parts of a condition that depend on the caller
//! alone.
//!
//! Both operators are commutative, errors included, so the operands that depend on the caller alone
//! are asked first, as one part whose value is remembered for the caller:
//!
//! ```text
//!        if remembered %0 = part 0 jump done
//!        %0 = 'x' in user.permissions
//!        remember part 0 = %0
//! done:  if !%0 jump end
//!        %1 = param 0 > 10
//!        %0 = %0 && %1
//! end:
//! ```

use mxcp_schemas::bundle::code::{Const, Op, Operand, PartId, Reg};

use super::super::ast::{Binary, ExprId, Kind};
use super::{Effort, Lowering};

/// From how many nodes on a part without calls is worth remembering; a comparison has three.
const MIN_PART_NODES: u32 = 4;

impl Lowering<'_> {
    pub(super) fn chain(&mut self, id: ExprId, dst: Reg, op: Binary) {
        let mut operands = Vec::new();
        self.operands_of(id, op, &mut operands);
        let decisive = op == Binary::Or;
        if self.effort == Effort::Full
            && let Some(last) = operands.iter().find(|operand| self.is_literal(**operand, decisive))
        {
            // `false && x` is false and `true || x` is true, whatever x is, errors included.
            let src = Operand::Const(self.constant(Const::Bool(decisive)));
            return self.op(*last, Op::Move { dst, src });
        }
        let (of_caller, others): (Vec<ExprId>, Vec<ExprId>) = if self.in_part {
            (Vec::new(), operands)
        } else {
            operands.into_iter().partition(|operand| self.reach.is_of_caller(*operand))
        };
        let mut ends = Vec::new();
        let mut first = true;
        if !of_caller.is_empty() {
            if self.is_worth_remembering(&of_caller) {
                self.part(id, dst, |this| {
                    let mut ends = Vec::new();
                    this.links(id, dst, op, &of_caller, true, &mut ends);
                    for end in ends {
                        this.land(end);
                    }
                });
            } else {
                self.links(id, dst, op, &of_caller, true, &mut ends);
            }
            first = false;
        }
        self.links(id, dst, op, &others, first, &mut ends);
        for end in ends {
            self.land(end);
        }
    }

    /// One operand after the other; each but the last may settle the whole.
    fn links(
        &mut self,
        id: ExprId,
        dst: Reg,
        op: Binary,
        operands: &[ExprId],
        mut first: bool,
        ends: &mut Vec<usize>,
    ) {
        for operand in operands {
            let used = self.used;
            if first {
                self.emit(*operand, dst);
                first = false;
            } else {
                let jump = if op == Binary::And {
                    self.jump(id, |to| Op::JumpIfFalse { cond: Operand::Reg(dst), to })
                } else {
                    self.jump(id, |to| Op::JumpIfTrue { cond: Operand::Reg(dst), to })
                };
                ends.push(jump);
                let b = self.fresh(*operand);
                self.op(id, logic(op, dst, Operand::Reg(dst), b));
            }
            self.used = used;
        }
    }

    /// The operands of nested nodes of the same operator, in order.
    fn operands_of(&self, id: ExprId, op: Binary, operands: &mut Vec<ExprId>) {
        let mut below = vec![id];
        while let Some(next) = below.pop() {
            match &self.typed.tree.get(next).kind {
                Kind::Binary { op: same, left, right, .. } if *same == op => {
                    below.push(*right);
                    below.push(*left);
                }
                _ => operands.push(next),
            }
        }
    }

    /// The condition of `?:`, remembered where it depends on the caller alone.
    pub(super) fn test(&mut self, id: ExprId, spare: Reg) -> Operand {
        if !self.in_part && self.reach.is_of_caller(id) && self.is_worth_remembering(&[id]) {
            self.part(id, spare, |this| this.emit(id, spare));
            return Operand::Reg(spare);
        }
        self.operand(id, spare)
    }

    /// Code whose value is remembered for the caller.
    fn part(&mut self, id: ExprId, dst: Reg, write: impl FnOnce(&mut Self)) {
        let part = PartId(self.parts);
        match self.parts.checked_add(1) {
            Some(parts) => self.parts = parts,
            None => self.full = true,
        }
        let begin = self.jump(id, |end| Op::Recall { dst, part, end });
        self.in_part = true;
        write(self);
        self.in_part = false;
        self.op(id, Op::Remember { src: dst, part });
        self.land(begin);
    }

    fn is_worth_remembering(&self, operands: &[ExprId]) -> bool {
        let reads = operands.iter().map(|operand| self.reach.of(*operand));
        let (nodes, costly) = reads.fold((0, false), |(nodes, costly), read| {
            (nodes + read.nodes, costly || read.is_costly)
        });
        costly || nodes >= MIN_PART_NODES
    }

    fn is_literal(&mut self, id: ExprId, value: bool) -> bool {
        self.constant_of(id) == Some(Const::Bool(value))
    }
}

const fn logic(op: Binary, dst: Reg, a: Operand, b: Operand) -> Op {
    match op {
        Binary::Or => Op::Or { dst, a, b },
        _ => Op::And { dst, a, b },
    }
}
