//! Arithmetic on whole numbers and doubles. What has no result leaves the code: the interpreter
//! says which error it is, and whether it counts.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use mxcp_schemas::bundle::code::Operand;

use super::super::context::tag;
use super::{Held, Writer};
use crate::function::Arithmetic;

impl Writer<'_, '_, '_> {
    pub(super) fn whole_arithmetic(&mut self, of: Arithmetic, args: &[Operand]) -> Value {
        let operands = self.numbers(args, tag::INT);
        let words: Vec<Value> = operands.iter().map(|held| self.word(*held)).collect();
        let (result, overflow) = match (of, &*words) {
            (Arithmetic::Add, [a, b]) => self.b.ins().sadd_overflow(*a, *b),
            (Arithmetic::Subtract, [a, b]) => self.b.ins().ssub_overflow(*a, *b),
            (Arithmetic::Multiply, [a, b]) => self.b.ins().smul_overflow(*a, *b),
            (Arithmetic::Negate, [a]) => {
                let zero = self.b.ins().iconst(types::I64, 0);
                self.b.ins().ssub_overflow(zero, *a)
            }
            (Arithmetic::Divide | Arithmetic::Remainder, [a, b]) => {
                return self.divide(of, *a, *b);
            }
            _ => {
                self.leave();
                return self.b.ins().iconst(types::I64, 0);
            }
        };
        self.leave_if(overflow);
        result
    }

    fn divide(&mut self, of: Arithmetic, a: Value, b: Value) -> Value {
        // By 0 there is no result; by -1 the processor may refuse the smallest number.
        let one = self.b.ins().iconst(types::I64, 1);
        let shifted = self.b.ins().iadd(b, one);
        let special = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, shifted, 1);
        self.leave_if(special);
        match of {
            Arithmetic::Remainder => self.b.ins().srem(a, b),
            _ => self.b.ins().sdiv(a, b),
        }
    }

    pub(super) fn double_arithmetic(&mut self, of: Arithmetic, args: &[Operand]) -> Value {
        let operands = self.numbers(args, tag::DOUBLE);
        let numbers: Vec<Value> = operands.iter().map(|held| self.number(*held)).collect();
        match (of, &*numbers) {
            (Arithmetic::Add, [a, b]) => self.b.ins().fadd(*a, *b),
            (Arithmetic::Subtract, [a, b]) => self.b.ins().fsub(*a, *b),
            (Arithmetic::Multiply, [a, b]) => self.b.ins().fmul(*a, *b),
            (Arithmetic::Divide, [a, b]) => self.b.ins().fdiv(*a, *b),
            (Arithmetic::Negate, [a]) => self.b.ins().fneg(*a),
            _ => {
                self.leave();
                self.b.ins().f64const(0.0)
            }
        }
    }

    /// Operands that are numbers with a tag; leaves where one is not.
    fn numbers(&mut self, args: &[Operand], tag: u8) -> Vec<Held> {
        let operands: Vec<Held> = args.iter().map(|arg| self.get(*arg)).collect();
        self.expect(&operands, tag);
        operands
    }
}
