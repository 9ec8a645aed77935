//! Differences of times.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, types};
use mxcp_schemas::bundle::code::{Kind, Operand, Reg};

use super::super::context::{NANOS, PAYLOAD, tag};
use super::{Held, MEMORY, Writer};

const NANOS_PER_SECOND: i64 = 1_000_000_000;
/// Differences of fewer seconds than these are durations (CEL specification, "Duration"); it is a
/// little less than the most, which the interpreter tells apart.
const MAX_SECONDS: i64 = 9_223_372_034;

impl Writer<'_, '_, '_> {
    /// `a - b` of two timestamps, in the home of `dst`; false where they are something else.
    pub(super) fn time_between(&mut self, dst: Reg, a: Operand, b: Operand) -> bool {
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
        self.made = Some((dst, [seconds, nanos]));
        true
    }
}
