//! Calls of functions.

use mxcp_schemas::bundle::code::{FuncId, Operand, Reg};

use super::{Machine, Next};
use crate::datum::{Datum, Span};
use crate::function::{Function, Lowering, Order, TextTest, scan_steps};
use crate::value::{FailureKind, Value};

/// What is compared without a value being made of it.
enum Plain {
    Int(i64),
    Duration(Span),
}

impl<'a> Machine<'a> {
    /// Calls a function; orders of whole numbers and lengths of time, and how texts begin and end, are
    /// told at once.
    #[inline]
    pub(super) fn invoke(&mut self, dst: Reg, function: FuncId, first: u16, count: u8) -> Next {
        let predicate = self.predicate;
        let arguments = predicate.argument_slice(first, count);
        let lowering = predicate.lowerings.get(usize::from(function.0)).copied().flatten();
        if let [a, b] = arguments
            && let Some(truth) = self.quick(lowering, *a, *b)
        {
            return self.set(dst, Value::Bool(truth));
        }
        self.call_function(dst, function, arguments)
    }

    #[inline(never)]
    fn call_function(&mut self, dst: Reg, function: FuncId, arguments: &[Operand]) -> Next {
        let function = self.predicate.functions.get(usize::from(function.0)).copied();
        let value = match arguments {
            [a, b] => self.apply(function, &[self.get(*a), self.get(*b)]),
            [a] => self.apply(function, &[self.get(*a)]),
            operands => {
                let args = self.call.arena.alloc_slice_fill_copy(operands.len(), Value::Null);
                for (arg, operand) in args.iter_mut().zip(operands) {
                    *arg = self.get(*operand);
                }
                self.apply(function, args)
            }
        };
        self.set_made(dst, value)
    }

    #[inline]
    fn apply(&mut self, function: Option<&'static Function>, args: &[Value<'a>]) -> Value<'a> {
        if let Some(error) = args.iter().find(|arg| matches!(arg, Value::Error(_))) {
            return *error;
        }
        match function {
            Some(function) => (function.eval)(&mut self.call, args),
            None => self.fail(FailureKind::NoOverload, "an unknown function"),
        }
    }

    /// What a function says of its arguments without values being made of them.
    #[inline]
    fn quick(&mut self, lowering: Option<Lowering>, a: Operand, b: Operand) -> Option<bool> {
        match lowering? {
            Lowering::Order(order) => self.quick_order(order, a, b),
            Lowering::Text(test) => self.quick_test(test, a, b),
            Lowering::Arithmetic(_) | Lowering::Size => None,
        }
    }

    /// Whether a text begins or ends with another, where both are inputs or constants and the budget
    /// suffices.
    #[inline]
    fn quick_test(&mut self, test: TextTest, a: Operand, b: Operand) -> Option<bool> {
        let (Datum::String(text), Datum::String(part)) = (self.datum(a)?, self.datum(b)?) else {
            return None;
        };
        let (text, part) = (&*text.text, &*part.text);
        let told = match test {
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
            TextTest::Contains | TextTest::Matches => return None,
        };
        self.call.budget = self.call.budget.checked_sub(scan_steps(text))?;
        Some(told)
    }

    #[inline]
    fn quick_order(&self, order: Order, a: Operand, b: Operand) -> Option<bool> {
        let ordering = match (self.plain(a)?, self.plain(b)?) {
            (Plain::Int(a), Plain::Int(b)) => a.cmp(&b),
            (Plain::Duration(a), Plain::Duration(b)) => a.cmp(&b),
            _ => return None,
        };
        Some(order.holds(ordering))
    }

    #[inline]
    fn plain(&self, operand: Operand) -> Option<Plain> {
        match operand {
            Operand::Reg(register) => match self.registers.get(usize::from(register.0)) {
                Some(Value::Int(value)) => Some(Plain::Int(*value)),
                Some(Value::Duration(span)) => Some(Plain::Duration(*span)),
                _ => None,
            },
            operand => match self.datum(operand) {
                Some(Datum::Int(value)) => Some(Plain::Int(*value)),
                Some(Datum::Duration(span)) => Some(Plain::Duration(*span)),
                _ => None,
            },
        }
    }

    /// Keeps what a function made. The processor waits when it copies as one what was just written in
    /// parts, so the parts of common values are copied one by one.
    #[inline]
    fn set_made(&mut self, register: Reg, value: Value<'a>) -> Next {
        match value {
            Value::Bool(value) => self.set(register, Value::Bool(value)),
            Value::Int(value) => self.set(register, Value::Int(value)),
            Value::Duration(span) => self.set(register, Value::Duration(span)),
            value => self.set(register, value),
        }
    }
}
