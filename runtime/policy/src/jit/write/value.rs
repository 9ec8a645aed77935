//! Reading and keeping values.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, InstBuilder as _, MemFlagsData, Value, types};
use mxcp_schemas::bundle::code::{ConstId, Operand, Reg, RequestSlot, Slot};

use super::super::context::{self, NANOS, PAYLOAD, SIZE, tag};
use super::super::helper;
use super::super::shape::{Shape, State};
use super::{Held, INPUT, MEMORY, Writer};
use crate::datum::Datum;

impl Writer<'_, '_, '_> {
    /// Where an operand's value is.
    pub(super) fn get(&mut self, operand: Operand) -> Held {
        let held = match operand {
            Operand::Reg(register) => self.register(register),
            Operand::Const(id) => self.constant(id),
            Operand::Input(id) => match self.inputs.get(usize::from(id.0)) {
                Some(held) => *held,
                None => self.missing(),
            },
        };
        if let Held::Data(address) = held {
            self.data.entry(address).or_insert(None);
        }
        held
    }

    /// How memory at the address of a value or datum is read.
    pub(super) fn flags(&self, address: Value) -> MemFlagsData {
        if self.data.contains_key(&address) { INPUT } else { MEMORY }
    }

    fn register(&mut self, register: Reg) -> Held {
        let at = usize::from(register.0);
        let (shape, _) = self.state[at];
        match shape {
            Shape::Truth(never) => {
                let truth = self.b.use_var(self.truths[at]);
                if let Some(value) = never {
                    self.never.insert(truth, i64::from(value));
                }
                Held::Truth(truth)
            }
            Shape::Int => Held::Int(self.b.use_var(self.words[at])),
            Shape::Double => Held::Double(self.b.use_var(self.doubles[at])),
            Shape::Data => Held::Data(self.b.use_var(self.words[at])),
            Shape::Home => Held::Home(self.home_of(register)),
            Shape::None | Shape::Walk | Shape::Work => self.missing(),
        }
    }

    /// Verified code reads nothing that is not there. If it did, nothing would be read.
    fn missing(&mut self) -> Held {
        self.leave();
        Held::Truth(self.b.ins().iconst(types::I8, 2))
    }

    fn constant(&mut self, id: ConstId) -> Held {
        match self.predicate.datum(id) {
            Some(Datum::Bool(value)) => {
                let truth = self.b.ins().iconst(types::I8, i64::from(*value));
                self.plain.insert(truth);
                Held::Truth(truth)
            }
            Some(Datum::Int(value)) => Held::Int(self.b.ins().iconst(types::I64, *value)),
            Some(Datum::Double(value)) => Held::Double(self.b.ins().f64const(*value)),
            Some(datum) => {
                let address = self.address(std::ptr::from_ref(datum).addr());
                self.data.insert(address, Some(context::tag_of(datum)));
                Held::Data(address)
            }
            None => {
                // The name of a type: its value is made on the stack.
                let slot = self.stack(32);
                let home = self.b.ins().stack_addr(types::I64, slot, 0);
                let id = self.b.ins().iconst(types::I64, i64::from(id.0));
                self.call(helper::constant as *const () as usize, &[id, home]);
                Held::Home(home)
            }
        }
    }

    /// Where an input is. All that code reads are there: that was seen before it was entered.
    pub(super) fn locate(&mut self, slot: Slot) -> Held {
        let (base, index) = match slot {
            Slot::User(index) => (context::USER, i64::from(index)),
            Slot::Param(index) => (context::PARAMS, i64::from(index)),
            Slot::UserMap => (context::USER_MAP, 0),
            Slot::Response => (context::RESPONSE, 0),
            Slot::Request(property) => {
                let index = match property {
                    RequestSlot::Time => 0,
                    RequestSlot::Tool => 1,
                    RequestSlot::SessionId => 2,
                    RequestSlot::ClientIp => 3,
                };
                let base = self.b.ins().load(types::I64, INPUT, self.context, context::REQUEST);
                return Held::Home(self.offset(base, index * i64::from(SIZE)));
            }
        };
        let base = match self.bases.get(&base) {
            Some(known) => *known,
            None => {
                let found = self.b.ins().load(types::I64, INPUT, self.given, base);
                self.bases.insert(base, found);
                found
            }
        };
        Held::Data(self.offset(base, index * i64::from(SIZE)))
    }

    pub(super) fn offset(&mut self, base: Value, bytes: i64) -> Value {
        if bytes == 0 {
            return base;
        }
        let bytes = self.b.ins().iconst(types::I64, bytes);
        self.b.ins().iadd(base, bytes)
    }

    /// Keeps the value of a register.
    pub(super) fn put(&mut self, register: Reg, held: Held) {
        let at = usize::from(register.0);
        match held {
            Held::Truth(value) => self.b.def_var(self.truths[at], value),
            Held::Int(value) | Held::Data(value) => self.b.def_var(self.words[at], value),
            Held::Double(value) => self.b.def_var(self.doubles[at], value),
            Held::Home(from) => {
                let to = self.home_of(register);
                self.copy(from, to);
            }
        }
    }

    /// Leaves the value of an operand where the context says, and the code.
    pub(super) fn leave_value(&mut self, operand: Operand) {
        let to = self.b.ins().load(types::I64, MEMORY, self.context, context::RESULT);
        match self.get(operand) {
            Held::Home(from) => self.copy(from, to),
            held => self.store(held, to),
        }
        let done = self.b.ins().iconst(types::I8, 0);
        self.b.ins().return_(&[done]);
    }

    fn copy(&mut self, from: Value, to: Value) {
        for offset in (0..SIZE).step_by(8) {
            let word = self.b.ins().load(types::I64, MEMORY, from, offset);
            self.b.ins().store(MEMORY, word, to, offset);
        }
    }

    /// Writes a value that is not at home into memory.
    fn store(&mut self, held: Held, to: Value) {
        match held {
            Held::Truth(truth) => {
                let failed = self.b.ins().icmp_imm_u(IntCC::Equal, truth, 2);
                let error = self.b.ins().iconst(types::I8, i64::from(tag::ERROR));
                let boolean = self.b.ins().iconst(types::I8, i64::from(tag::BOOL));
                let tag = self.b.ins().select(failed, error, boolean);
                self.b.ins().store(MEMORY, tag, to, 0);
                let fault = self.address(std::ptr::from_ref(&helper::FAULT).addr());
                let wide = self.b.ins().uextend(types::I64, truth);
                let payload = self.b.ins().select(failed, fault, wide);
                self.b.ins().store(MEMORY, payload, to, PAYLOAD);
            }
            Held::Int(value) | Held::Double(value) => {
                let kind = if matches!(held, Held::Int(_)) { tag::INT } else { tag::DOUBLE };
                let tag = self.b.ins().iconst(types::I8, i64::from(kind));
                self.b.ins().store(MEMORY, tag, to, 0);
                self.b.ins().store(MEMORY, value, to, PAYLOAD);
            }
            Held::Data(address) => {
                self.call(helper::value as *const () as usize, &[address, to]);
            }
            Held::Home(_) => {}
        }
    }

    /// Makes the home of a register hold its value.
    pub(super) fn send_home(&mut self, register: Reg) {
        let (shape, _) = self.state[usize::from(register.0)];
        if shape == Shape::Walk {
            // A walk has no home: who would go on with it there is the interpreter.
            return self.leave();
        }
        if matches!(shape, Shape::Truth(_) | Shape::Int | Shape::Double | Shape::Data) {
            let held = self.register(register);
            let home = self.home_of(register);
            self.store(held, home);
        }
    }

    /// Sends home what another place expects to be at home.
    pub(super) fn agree(&mut self, wanted: &State) {
        for at in self.disagreeing(wanted) {
            self.send_home(Reg(at));
        }
    }

    pub(super) fn disagreeing(&self, wanted: &State) -> Vec<u16> {
        let both = self.state.iter().zip(wanted);
        (0_u16..)
            .zip(both)
            .filter(|(_, ((is, _), (wanted, _)))| *wanted == Shape::Home && *is != Shape::Home)
            .map(|(at, _)| at)
            .collect()
    }

    /// The address of an operand's value, odd if it is a value and even if it is a datum.
    pub(super) fn tagged(&mut self, operand: Operand) -> Value {
        let held = match operand {
            // A constant is a datum already.
            Operand::Const(id) => match self.predicate.datum(id) {
                Some(datum) => Held::Data(self.address(std::ptr::from_ref(datum).addr())),
                None => self.get(operand),
            },
            _ => self.get(operand),
        };
        self.tagged_of(held)
    }

    pub(super) fn tagged_of(&mut self, held: Held) -> Value {
        let home = match held {
            Held::Data(address) => return address,
            Held::Home(home) => home,
            held => {
                let slot = self.stack(32);
                let home = self.b.ins().stack_addr(types::I64, slot, 0);
                self.store(held, home);
                home
            }
        };
        self.offset(home, 1)
    }

    /// An operand as a truth value; what is no bool is an error.
    pub(super) fn truth(&mut self, operand: Operand) -> Value {
        let held = self.get(operand);
        self.truth_of(held)
    }

    pub(super) fn truth_of(&mut self, held: Held) -> Value {
        let error = |this: &mut Self| this.b.ins().iconst(types::I8, 2);
        match held {
            Held::Truth(truth) => truth,
            Held::Int(_) | Held::Double(_) => error(self),
            Held::Data(address) | Held::Home(address) => {
                let is_bool = self.has_tag(address, tag::BOOL);
                let flags = self.flags(address);
                let value = self.b.ins().load(types::I8, flags, address, PAYLOAD);
                let error = error(self);
                self.b.ins().select(is_bool, value, error)
            }
        }
    }

    pub(super) fn has_tag(&mut self, address: Value, tag: u8) -> Value {
        if let Some(known) = self.known_tag(address) {
            return self.b.ins().iconst(types::I8, i64::from(known == tag));
        }
        let flags = self.flags(address);
        let found = self.b.ins().load(types::I8, flags, address, 0);
        self.b.ins().icmp_imm_u(IntCC::Equal, found, i64::from(tag))
    }

    /// The tag of the value or datum at an address, where it is known now.
    pub(super) fn known_tag(&self, address: Value) -> Option<u8> {
        let proved = self.proved.get(&address).copied();
        proved.or_else(|| self.data.get(&address).copied().flatten())
    }

    /// The nanoseconds of the time at an address.
    pub(super) fn nanos(&mut self, address: Value) -> Value {
        let flags = self.flags(address);
        self.b.ins().load(types::I32, flags, address, NANOS)
    }

    pub(super) fn payload(&mut self, address: Value) -> Value {
        let flags = self.flags(address);
        self.b.ins().load(types::I64, flags, address, PAYLOAD)
    }

    /// A block that receives a truth value.
    pub(super) fn truth_block(&mut self) -> (Block, Value) {
        let block = self.b.create_block();
        let truth = self.b.append_block_param(block, types::I8);
        (block, truth)
    }

    pub(super) fn cold_block(&mut self) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }
}
