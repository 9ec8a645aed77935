//! Parts of a condition that depend on the caller alone, and what they came to before.

use std::sync::atomic::Ordering;

use mxcp_schemas::bundle::code::{Operand, PartId, Reg, Target};

use super::{Machine, Next};
use crate::value::{FailureKind, Fault, Value};

/// What a byte of a caller's memory says; zero says nothing.
pub(crate) const FALSE: u8 = 1;
pub(crate) const TRUE: u8 = 2;
pub(crate) const ERROR: u8 = 3;

static FAILED_BEFORE: Fault<'static> =
    Fault { kind: FailureKind::BadInput, message: "a part of the condition failed before" };

impl Machine<'_> {
    pub(super) fn recall(&mut self, dst: Reg, part: PartId, end: Target) -> Next {
        let byte = self.memory.get(usize::from(part.0)).map(|byte| byte.load(Ordering::Relaxed));
        let value = match byte {
            Some(FALSE) => Value::Bool(false),
            Some(TRUE) => Value::Bool(true),
            Some(ERROR) => Value::Error(&FAILED_BEFORE),
            _ => return Next::Following,
        };
        self.set(dst, value);
        Next::To(end)
    }

    pub(super) fn remember(&mut self, src: Reg, part: PartId) -> Next {
        let byte = match self.get(Operand::Reg(src)) {
            Value::Bool(false) => FALSE,
            Value::Bool(true) => TRUE,
            Value::Error(_) => ERROR,
            other => {
                let error = self.call.no_overload("a condition", &[other]);
                self.set(src, error);
                ERROR
            }
        };
        // Two threads may both evaluate a part; they come to the same, so the order does not matter.
        if let Some(memory) = self.memory.get(usize::from(part.0)) {
            memory.store(byte, Ordering::Relaxed);
        }
        Next::Following
    }
}
