//! Functions of texts, where one of them is a literal.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder as _, MemFlagsData, Type, Value, types};
use mxcp_schemas::bundle::code::Operand;

use super::super::context::{LENGTH, tag};
use super::super::helper;
use super::{Held, Writer};
use crate::datum::{Datum, Text};
use crate::function::{BYTES_PER_SCAN_STEP, TextTest};

/// How long a literal may be that is compared in place.
const MAX_LITERAL_BYTES: usize = 32;

impl Writer<'_, '_, '_> {
    /// `startsWith`, `endsWith`, `contains` and `matches` with a literal.
    pub(super) fn test_of_text(&mut self, test: TextTest, a: Operand, b: Operand) -> Option<Value> {
        let Operand::Const(id) = b else { return None };
        let predicate = self.predicate;
        let Some(Datum::String(literal)) = predicate.datum(id) else { return None };
        let regex = predicate.patterns.iter().find(|(text, _)| *text == literal.text);
        match test {
            TextTest::StartsWith | TextTest::EndsWith
                if literal.text.len() <= MAX_LITERAL_BYTES =>
            {
                let (text, length) = self.text(a)?;
                Some(self.has_end(test == TextTest::EndsWith, text, length, literal))
            }
            TextTest::Contains => {
                let (text, length) = self.text(a)?;
                let part = self.address(std::ptr::from_ref(literal).addr());
                let told =
                    self.call(helper::text_contains as *const () as usize, &[text, length, part]);
                Some(self.told(told))
            }
            TextTest::Matches => {
                let (_, regex) = regex?;
                let (text, length) = self.text(a)?;
                let regex = self.address(std::ptr::from_ref(regex).addr());
                let told =
                    self.call(helper::text_matches as *const () as usize, &[text, length, regex]);
                Some(self.told(told))
            }
            TextTest::StartsWith | TextTest::EndsWith => None,
        }
    }

    /// The code points of a text.
    pub(super) fn size_of_text(&mut self, text: Operand) -> Value {
        let Some((text, length)) = self.text(text) else {
            self.leave();
            return self.b.ins().iconst(types::I64, 0);
        };
        let count = self.call(helper::code_points as *const () as usize, &[text, length]);
        let short = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, count, 0);
        self.leave_if(short);
        count
    }

    /// The address and length of a text; what is none leaves the code.
    fn text(&mut self, operand: Operand) -> Option<(Value, Value)> {
        let held = self.get(operand);
        let (Held::Data(at) | Held::Home(at)) = held else { return None };
        self.expect(&[held], tag::STRING);
        let address = self.payload(at);
        let flags = self.flags(at);
        let length = self.b.ins().load(types::I64, flags, at, LENGTH);
        Some((address, length))
    }

    /// Whether a text begins or ends with a literal, whose bytes are in the code.
    fn has_end(&mut self, end: bool, text: Value, length: Value, literal: &Text) -> Value {
        self.pay_for_scan(length);
        let bytes = literal.text.as_bytes();
        let (done, result) = self.truth_block();
        let look = self.b.create_block();
        let wanted = self.b.ins().iconst(types::I64, bytes.len().cast_signed() as i64);
        let fits = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, length, wanted);
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(fits, look, &[], done, &[no.into()]);
        self.enter(look);
        let start = if end {
            let skipped = self.b.ins().isub(length, wanted);
            self.b.ins().iadd(text, skipped)
        } else {
            text
        };
        let mut differences = self.b.ins().iconst(types::I64, 0);
        for (offset, ty, part) in pieces(bytes) {
            let found = self.b.ins().load(ty, MemFlagsData::new().with_notrap(), start, offset);
            let found =
                if ty == types::I64 { found } else { self.b.ins().uextend(types::I64, found) };
            let part = self.b.ins().iconst(types::I64, part.cast_signed());
            let difference = self.b.ins().bxor(found, part);
            differences = self.b.ins().bor(differences, difference);
        }
        let same = self.b.ins().icmp_imm_u(IntCC::Equal, differences, 0);
        self.b.ins().jump(done, &[same.into()]);
        self.enter(done);
        self.plain.insert(result);
        result
    }

    /// Takes the steps of looking through a text from the budget.
    fn pay_for_scan(&mut self, length: Value) {
        let shift = i64::from(BYTES_PER_SCAN_STEP.ilog2());
        let shift = self.b.ins().iconst(types::I64, shift);
        let steps = self.b.ins().ushr(length, shift);
        self.spend(steps);
    }
}

const _: () = assert!(BYTES_PER_SCAN_STEP.is_power_of_two());

/// Bytes as numbers that are read at once, the last of which may overlap the one before.
fn pieces(bytes: &[u8]) -> Vec<(i32, Type, u64)> {
    let (width, ty) = match bytes.len() {
        0 => return Vec::new(),
        1 => (1, types::I8),
        2 | 3 => (2, types::I16),
        4..=7 => (4, types::I32),
        _ => (8, types::I64),
    };
    let last = bytes.len() - width;
    let starts = (0..last).step_by(width).chain([last]);
    starts
        .map(|start| {
            let mut word = [0; 8];
            let piece = &bytes[start..start + width];
            let number = if cfg!(target_endian = "little") {
                word[..width].copy_from_slice(piece);
                u64::from_le_bytes(word)
            } else {
                word[8 - width..].copy_from_slice(piece);
                u64::from_be_bytes(word)
            };
            (i32::try_from(start).unwrap_or(0), ty, number)
        })
        .collect()
}
