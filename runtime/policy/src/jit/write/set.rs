//! Membership, fields and elements.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder as _, Value, types};
use cranelift_frontend::Variable;
use mxcp_schemas::bundle::code::{ConstId, Op, Operand, Reg};

use super::super::context::{
    ENTRY, ENTRY_VALUE, FOREIGN, KEY_SYMBOL, KNOWN, LENGTH, MEMBERS, SYMBOL, symbol_bits, tag,
};
use super::super::helper;
use super::{Held, MEMORY, Writer};
use crate::datum::{Datum, List, MAX_SCANNED, Symbol, Text};

/// How many literals are compared one by one before their set is looked into.
const MAX_COMPARED: usize = 4;
/// How many words of a set are tested in place.
const MAX_WORDS: usize = 2;

impl Writer<'_, '_, '_> {
    /// `a in b`
    pub(super) fn contains(&mut self, a: Operand, b: Operand) -> Value {
        let constant = |operand| match operand {
            Operand::Const(id) => self.predicate.datum(id),
            _ => None,
        };
        match (constant(a), constant(b)) {
            (Some(Datum::String(text)), None) => {
                if let (Symbol::Known(number), Held::Data(list)) = (text.symbol, self.get(b)) {
                    return self.has_member(list, number, a, b);
                }
            }
            (None, Some(Datum::List(list))) if list.members().is_some() => {
                if let Held::Data(at) | Held::Home(at) = self.get(a) {
                    return self.is_among(at, list, a, b);
                }
            }
            (None, Some(Datum::List(list))) if list.len() <= MAX_COMPARED => {
                let ints = |datum: &Datum| match datum {
                    Datum::Int(value) => Some(*value),
                    _ => None,
                };
                if let Some(all) = list.iter().map(ints).collect::<Option<Vec<i64>>>() {
                    return self.is_one_of(&all, a, b);
                }
            }
            _ => {}
        }
        self.ask(helper::contains as *const () as usize, a, b)
    }

    /// Whether a list of an input has a text that conditions mention: a bit.
    fn has_member(&mut self, list: Value, number: u32, a: Operand, b: Operand) -> Value {
        let (done, result) = self.truth_block();
        let (known, slow, look) = (self.b.create_block(), self.cold_block(), self.b.create_block());
        let (words, length) = self.members(list, known, slow);
        let index = self.b.ins().iconst(types::I64, i64::from(number / 64));
        let there = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(there, look, &[], done, &[no.into()]);
        self.enter(look);
        let word = self.offset(words, i64::from(number / 64) * 8);
        let word = self.b.ins().load(types::I64, MEMORY, word, 0);
        let shift = self.b.ins().iconst(types::I64, i64::from(number % 64));
        let bit = self.b.ins().ushr(word, shift);
        let bit = self.b.ins().ireduce(types::I8, bit);
        let one = self.b.ins().iconst(types::I8, 1);
        let bit = self.b.ins().band(bit, one);
        self.b.ins().jump(done, &[bit.into()]);
        self.enter(slow);
        let told = self.ask(helper::contains as *const () as usize, a, b);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// The index of a list: its words and their number. Continues at `slow` where there is none.
    fn members(&mut self, list: Value, known: Block, slow: Block) -> (Value, Value) {
        let check = self.b.create_block();
        let is_list = self.has_tag(list, tag::LIST);
        self.b.ins().brif(is_list, check, &[], slow, &[]);
        self.enter(check);
        let flags = self.flags(list);
        let members = self.b.ins().load(types::I64, flags, list, MEMBERS);
        self.b.ins().brif(members, known, &[], slow, &[]);
        self.enter(known);
        let words = self.b.ins().load(types::I64, MEMORY, members, 0);
        let length = self.b.ins().load(types::I64, MEMORY, members, 8);
        (words, length)
    }

    /// Whether a text is one of some literals.
    fn is_among(&mut self, at: Value, list: &List, a: Operand, b: Operand) -> Value {
        let (done, result) = self.truth_block();
        let (text, slow) = (self.b.create_block(), self.cold_block());
        let is_text = self.has_tag(at, tag::STRING);
        self.b.ins().brif(is_text, text, &[], slow, &[]);
        self.enter(text);
        let flags = self.flags(at);
        let symbol = self.b.ins().load(types::I64, flags, at, SYMBOL);
        if list.len() <= MAX_COMPARED {
            let mut found = self.b.ins().iconst(types::I8, 0);
            for item in list.iter() {
                let Datum::String(item) = item else { continue };
                let wanted = self.b.ins().iconst(types::I64, symbol_bits(item.symbol));
                let same = self.b.ins().icmp(IntCC::Equal, symbol, wanted);
                found = self.b.ins().bor(found, same);
            }
            let half = self.b.ins().ireduce(types::I32, symbol);
            let unknown = self.b.ins().icmp_imm_u(IntCC::Equal, half, 0);
            self.b.ins().brif(unknown, slow, &[], done, &[found.into()]);
        } else {
            self.look_up(symbol, list, slow, done);
        }
        self.enter(slow);
        let told = self.ask(helper::contains as *const () as usize, a, b);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// A symbol in a set that is known now.
    fn look_up(&mut self, symbol: Value, list: &List, slow: Block, done: Block) {
        let words = list.members().map_or(&[][..], |members| members.words());
        let half = self.b.ins().ireduce(types::I32, symbol);
        let is_known = self.b.ins().icmp_imm_u(IntCC::Equal, half, KNOWN);
        let (known, other) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(is_known, known, &[], other, &[]);
        self.enter(other);
        // A text that no condition mentions is not among literals.
        let foreign = self.b.ins().icmp_imm_u(IntCC::Equal, half, FOREIGN);
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(foreign, done, &[no.into()], slow, &[]);
        self.enter(known);
        let shift = self.b.ins().iconst(types::I64, 32);
        let number = self.b.ins().ushr(symbol, shift);
        let shift = self.b.ins().iconst(types::I64, 6);
        let index = self.b.ins().ushr(number, shift);
        let length = self.b.ins().iconst(types::I64, words.len().cast_signed() as i64);
        let there = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        let look = self.b.create_block();
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(there, look, &[], done, &[no.into()]);
        self.enter(look);
        let base = self.address(words.as_ptr().addr());
        let shift = self.b.ins().iconst(types::I64, 3);
        let bytes = self.b.ins().ishl(index, shift);
        let address = self.b.ins().iadd(base, bytes);
        let word = self.b.ins().load(types::I64, MEMORY, address, 0);
        let mask = self.b.ins().iconst(types::I64, 63);
        let bit = self.b.ins().band(number, mask);
        let bit = self.b.ins().ushr(word, bit);
        let bit = self.b.ins().ireduce(types::I8, bit);
        let one = self.b.ins().iconst(types::I8, 1);
        let bit = self.b.ins().band(bit, one);
        self.b.ins().jump(done, &[bit.into()]);
    }

    /// Whether a whole number is one of some.
    fn is_one_of(&mut self, all: &[i64], a: Operand, b: Operand) -> Value {
        let held = self.get(a);
        if let Held::Truth(_) | Held::Double(_) = held {
            return self.ask(helper::contains as *const () as usize, a, b);
        }
        let (done, result) = self.truth_block();
        let (fast, slow) = (self.b.create_block(), self.cold_block());
        match self.guard(&[held], tag::INT) {
            Some(guard) => self.b.ins().brif(guard, fast, &[], slow, &[]),
            None => self.b.ins().jump(fast, &[]),
        };
        self.enter(fast);
        // As many steps as the function takes, which looks at one after the other.
        let steps = self.b.ins().iconst(types::I64, all.len().cast_signed() as i64);
        self.spend(steps);
        let word = self.word(held);
        let mut found = self.b.ins().iconst(types::I8, 0);
        for value in all {
            let wanted = self.b.ins().iconst(types::I64, *value);
            let same = self.b.ins().icmp(IntCC::Equal, word, wanted);
            found = self.b.ins().bor(found, same);
        }
        self.b.ins().jump(done, &[found.into()]);
        self.enter(slow);
        let told = self.ask(helper::contains as *const () as usize, a, b);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// Whether a list of an input has one of some literals.
    pub(super) fn overlaps(&mut self, src: Operand, set: ConstId) -> Value {
        let words: Vec<(usize, u64)> = match self.predicate.datum(set) {
            Some(Datum::List(list)) => list.members().map_or_else(Vec::new, |members| {
                let words = members.words().iter().copied().enumerate();
                words.filter(|(_, word)| *word != 0).collect()
            }),
            _ => Vec::new(),
        };
        let held = self.get(src);
        let (Held::Data(list), 1..=MAX_WORDS) = (held, words.len()) else {
            return self.quantify(src, set, true);
        };
        let (done, result) = self.truth_block();
        let (known, slow) = (self.b.create_block(), self.cold_block());
        let (address, length) = self.members(list, known, slow);
        for (index, mask) in words {
            let (look, next) = (self.b.create_block(), self.b.create_block());
            let position = self.b.ins().iconst(types::I64, index.cast_signed() as i64);
            let there = self.b.ins().icmp(IntCC::UnsignedLessThan, position, length);
            self.b.ins().brif(there, look, &[], next, &[]);
            self.enter(look);
            let word = self.offset(address, index.cast_signed() as i64 * 8);
            let word = self.b.ins().load(types::I64, MEMORY, word, 0);
            let mask = self.b.ins().iconst(types::I64, mask.cast_signed());
            let common = self.b.ins().band(word, mask);
            let found = self.b.ins().icmp_imm_u(IntCC::NotEqual, common, 0);
            let yes = self.b.ins().iconst(types::I8, 1);
            self.b.ins().brif(found, done, &[yes.into()], next, &[]);
            self.enter(next);
        }
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().jump(done, &[no.into()]);
        self.enter(slow);
        let told = self.quantify(src, set, true);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    pub(super) fn quantify(&mut self, src: Operand, set: ConstId, any: bool) -> Value {
        let src = self.tagged(src);
        let set = self.b.ins().iconst(types::I64, i64::from(set.0));
        let any = self.b.ins().iconst(types::I64, i64::from(any));
        let told = self.call(helper::quantify as *const () as usize, &[src, set, any]);
        self.told(told)
    }

    pub(super) fn select(&mut self, at: usize, dst: Reg, src: Operand, name: ConstId) {
        match (self.get(src), self.predicate.datum(name)) {
            (Held::Data(map), Some(name)) => {
                let found = self.field(at, map, name);
                self.put(dst, Held::Data(found));
            }
            _ => {
                self.step(at);
            }
        }
    }

    /// Declares where loops note how far into a map they have found a field: rows of a result are alike.
    pub(super) fn declare_hints(&mut self) {
        for at in self.predicate.repeated() {
            if let Some(Op::Select { .. }) = self.predicate.code.get(at) {
                let hint = self.b.declare_var(types::I64);
                let zero = self.b.ins().iconst(types::I64, 0);
                self.b.def_var(hint, zero);
                self.hints.insert(at, hint);
            }
        }
    }

    /// The address of a field of a map of the inputs, or of an error. The keys of small maps are
    /// compared by their symbols, one by one; in loops the one that had it last time comes first.
    fn field(&mut self, at: usize, map: Value, name: &Datum) -> Value {
        let Datum::String(Text { symbol: symbol @ Symbol::Known(_), .. }) = *name else {
            return self.ask_for_field(map, name);
        };
        let done = self.b.create_block();
        let found = self.b.append_block_param(done, types::I64);
        let (start, slow, missing) = (self.b.create_block(), self.cold_block(), self.cold_block());
        let is_map = self.has_tag(map, tag::MAP);
        self.b.ins().brif(is_map, start, &[], missing, &[]);
        self.enter(start);
        let first = self.payload(map);
        let flags = self.flags(map);
        let count = self.b.ins().load(types::I64, flags, map, LENGTH);
        let size = self.b.ins().iconst(types::I64, i64::from(ENTRY));
        let bytes = self.b.ins().imul(count, size);
        let hint = self.hints.get(&at).copied();
        if let Some(hint) = hint {
            self.look_where_it_was(hint, [first, bytes], symbol, done);
        }
        let many = self.b.ins().icmp_imm_u(
            IntCC::UnsignedGreaterThan,
            count,
            MAX_SCANNED.cast_signed() as i64,
        );
        let scan = self.b.create_block();
        self.b.ins().brif(many, slow, &[], scan, &[]);
        self.enter(scan);
        let end = self.b.ins().iadd(first, bytes);
        let here = self.scan([first, end], symbol, slow, missing);
        if let Some(hint) = hint {
            let skipped = self.b.ins().isub(here, first);
            self.b.def_var(hint, skipped);
        }
        let value = self.offset(here, i64::from(ENTRY_VALUE));
        self.b.ins().jump(done, &[value.into()]);
        self.enter(slow);
        let told = self.ask_for_field(map, name);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(missing);
        let failed = self.address(helper::failed().addr());
        self.b.ins().jump(done, &[failed.into()]);
        self.enter(done);
        found
    }

    fn ask_for_field(&mut self, map: Value, name: &Datum) -> Value {
        let name = self.address(std::ptr::from_ref(name).addr());
        self.call(helper::field as *const () as usize, &[map, name])
    }

    /// Continues at `done` with the value of the entry that lies as far into a map as the one of that key
    /// did last time, if it has the key.
    fn look_where_it_was(
        &mut self,
        hint: Variable,
        [first, bytes]: [Value; 2],
        symbol: Symbol,
        done: Block,
    ) {
        let (inside, search) = (self.b.create_block(), self.b.create_block());
        let skipped = self.b.use_var(hint);
        let within = self.b.ins().icmp(IntCC::UnsignedLessThan, skipped, bytes);
        self.b.ins().brif(within, inside, &[], search, &[]);
        self.enter(inside);
        let entry = self.b.ins().iadd(first, skipped);
        let key = self.b.ins().load(types::I64, MEMORY, entry, KEY_SYMBOL);
        let same = self.is_symbol(key, symbol);
        let value = self.offset(entry, i64::from(ENTRY_VALUE));
        self.b.ins().brif(same, done, &[value.into()], search, &[]);
        self.enter(search);
    }

    /// The address of the entry that has a key, among those between two addresses. Continues at `slow`
    /// where symbols cannot tell, and at `missing` where there is none.
    fn scan(
        &mut self,
        [first, end]: [Value; 2],
        symbol: Symbol,
        slow: Block,
        missing: Block,
    ) -> Value {
        let (head, look) = (self.b.create_block(), self.b.create_block());
        let (next, there) = (self.b.create_block(), self.b.create_block());
        let here = self.b.append_block_param(head, types::I64);
        self.b.ins().jump(head, &[first.into()]);
        self.b.switch_to_block(head);
        let over = self.b.ins().icmp(IntCC::Equal, here, end);
        self.b.ins().brif(over, missing, &[], look, &[]);
        self.enter(look);
        let key = self.b.ins().load(types::I64, MEMORY, here, KEY_SYMBOL);
        let same = self.is_symbol(key, symbol);
        self.b.ins().brif(same, there, &[], next, &[]);
        self.enter(next);
        let half = self.b.ins().ireduce(types::I32, key);
        let following = self.offset(here, i64::from(ENTRY));
        // A key that was never looked up could be any.
        self.b.ins().brif(half, head, &[following.into()], slow, &[]);
        self.b.seal_block(head);
        self.enter(there);
        here
    }

    fn is_symbol(&mut self, found: Value, symbol: Symbol) -> Value {
        let wanted = self.b.ins().iconst(types::I64, symbol_bits(symbol));
        self.b.ins().icmp(IntCC::Equal, found, wanted)
    }

    pub(super) fn has(&mut self, at: usize, dst: Reg, src: Operand, name: ConstId) {
        match (self.get(src), self.predicate.datum(name)) {
            (Held::Data(map), Some(name)) => {
                let name = self.address(std::ptr::from_ref(name).addr());
                let told = self.call(helper::has as *const () as usize, &[map, name]);
                let truth = self.told(told);
                self.put(dst, Held::Truth(truth));
            }
            _ => {
                self.step(at);
            }
        }
    }

    pub(super) fn index(&mut self, at: usize, dst: Reg, src: Operand, key: Operand) {
        match self.get(src) {
            Held::Data(map) => {
                let key = self.tagged(key);
                let found = self.call(helper::element as *const () as usize, &[map, key]);
                self.put(dst, Held::Data(found));
            }
            _ => {
                self.step(at);
            }
        }
    }
}
