//! Differences of times.

use cranelift_codegen::ir::condcodes::{CondCode as _, IntCC};
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use mxcp_schemas::bundle::code::{Kind, Op, Operand, Reg};

use super::super::context::{NANOS, PAYLOAD, tag};
use super::super::shape;
use super::compare::conditions;
use super::{Held, MEMORY, Writer};
use crate::datum::{Datum, Span};
use crate::function::Lowering;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Differences of fewer seconds than these are durations (CEL specification, "Duration"); it is a
/// little less than the most, which the interpreter tells apart.
const MAX_SECONDS: i64 = 9_223_372_034;

impl Writer<'_, '_, '_> {
    /// `a - b` of two timestamps, in the home of `dst` or compared at once; false where they are something
    /// else.
    pub(super) fn time_between(&mut self, at: usize, dst: Reg, a: Operand, b: Operand) -> bool {
        if (self.kind(a), self.kind(b)) != (Kind::Timestamp, Kind::Timestamp) {
            return false;
        }
        let (left, right) = (self.get(a), self.get(b));
        let (Held::Data(x) | Held::Home(x), Held::Data(y) | Held::Home(y)) = (left, right) else {
            return false;
        };
        self.expect(&[left, right], tag::TIMESTAMP);
        let (p, q) = (self.payload(x), self.payload(y));
        let (seconds, overflow) = self.b.ins().ssub_overflow(p, q);
        self.leave_if(overflow);
        let (p, q) = (self.nanos(x), self.nanos(y));
        let nanos = self.b.ins().isub(p, q);
        let most = self.b.ins().iconst(types::I64, MAX_SECONDS);
        let shifted = self.b.ins().iadd(seconds, most);
        let far = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, shifted, 2 * MAX_SECONDS);
        self.leave_if(far);
        if let Some((order, limit)) = self.order_that_follows(at, dst) {
            let told = self.compare_difference([seconds, nanos], order, limit);
            self.ahead = Some((at + 1, told));
            return true;
        }
        // Seconds and nanoseconds have the same sign.
        let zero = self.b.ins().iconst(types::I64, 0);
        let none = self.b.ins().iconst(types::I32, 0);
        let one = self.b.ins().iconst(types::I64, 1);
        let second = self.b.ins().iconst(types::I32, NANOS_PER_SECOND);
        let after = self.b.ins().icmp(IntCC::SignedGreaterThan, seconds, zero);
        let under = self.b.ins().icmp(IntCC::SignedLessThan, nanos, none);
        let borrows = self.b.ins().band(after, under);
        let less = self.b.ins().isub(seconds, one);
        let more_nanos = self.b.ins().iadd(nanos, second);
        let (seconds, nanos) = (
            self.b.ins().select(borrows, less, seconds),
            self.b.ins().select(borrows, more_nanos, nanos),
        );
        let before = self.b.ins().icmp(IntCC::SignedLessThan, seconds, zero);
        let over = self.b.ins().icmp(IntCC::SignedGreaterThan, nanos, none);
        let lends = self.b.ins().band(before, over);
        let more = self.b.ins().iadd(seconds, one);
        let less_nanos = self.b.ins().isub(nanos, second);
        let (seconds, nanos) = (
            self.b.ins().select(lends, more, seconds),
            self.b.ins().select(lends, less_nanos, nanos),
        );
        let home = self.home_of(dst);
        let tag = self.b.ins().iconst(types::I8, i64::from(tag::DURATION));
        self.b.ins().store(MEMORY, tag, home, 0);
        self.b.ins().store(MEMORY, seconds, home, PAYLOAD);
        self.b.ins().store(MEMORY, nanos, home, NANOS);
        true
    }

    /// What the next instruction compares a difference with, if that is all it is made for.
    fn order_that_follows(&self, at: usize, difference: Reg) -> Option<(IntCC, Span)> {
        let Op::Call { dst, function, first, count } = *self.predicate.code.get(at + 1)? else {
            return None;
        };
        // A comparison that is not expected to be one is kept as a value.
        if self.predicate.kinds.get(at + 1) != Some(&Kind::Bool)
            || shape::targets_contain(self.predicate, at + 1)
            || (dst != difference && self.shapes.is_live(at + 2, difference))
        {
            return None;
        }
        let function = self.predicate.functions.get(usize::from(function.0))?;
        let Some(Lowering::Order(order)) = function.lowering else { return None };
        let (order, _) = conditions(order);
        let (limit, order) = match *self.predicate.argument_slice(first, count) {
            [Operand::Reg(left), Operand::Const(limit)] if left == difference => (limit, order),
            [Operand::Const(limit), Operand::Reg(right)] if right == difference => {
                (limit, order.swap_args())
            }
            _ => return None,
        };
        match self.predicate.datum(limit)? {
            Datum::Duration(limit) => Some((order, *limit)),
            _ => None,
        }
    }

    /// Whether so many seconds and nanoseconds, of any two signs, stand in an order to a length of time.
    fn compare_difference(
        &mut self,
        [seconds, nanos]: [Value; 2],
        order: IntCC,
        limit: Span,
    ) -> Value {
        // Both become whole seconds, rounded down, and the nanoseconds beyond them.
        let shift = self.b.ins().iconst(types::I32, 31);
        let negative = self.b.ins().sshr(nanos, shift);
        let second = self.b.ins().iconst(types::I32, NANOS_PER_SECOND);
        let borrowed = self.b.ins().band(negative, second);
        let nanos = self.b.ins().iadd(nanos, borrowed);
        let negative = self.b.ins().sextend(types::I64, negative);
        let seconds = self.b.ins().iadd(seconds, negative);
        let (limit_seconds, limit_nanos) = if limit.nanos < 0 {
            (limit.seconds - 1, i64::from(limit.nanos) + NANOS_PER_SECOND)
        } else {
            (limit.seconds, i64::from(limit.nanos))
        };
        let limit_seconds = self.b.ins().iconst(types::I64, limit_seconds);
        let limit_nanos = self.b.ins().iconst(types::I32, limit_nanos);
        let same = self.b.ins().icmp(IntCC::Equal, seconds, limit_seconds);
        let by_seconds = self.b.ins().icmp(order, seconds, limit_seconds);
        let by_nanos = self.b.ins().icmp(order, nanos, limit_nanos);
        let told = self.b.ins().select(same, by_nanos, by_seconds);
        self.plain.insert(told);
        told
    }
}
