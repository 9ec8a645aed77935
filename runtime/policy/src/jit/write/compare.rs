//! Equality and order.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder as _, Value, types};
use mxcp_schemas::bundle::code::{Kind, Operand};

use super::super::context::{KNOWN, LENGTH, PAYLOAD, SYMBOL, symbol_bits, tag};
use super::super::{helper, shape};
use super::{Held, INPUT, Writer};
use crate::datum::{Datum, Symbol};
use crate::function::{Function, Order};
use crate::value::BYTES_PER_STEP;

/// The conditions of an order, for whole numbers and for doubles.
pub(super) const fn conditions(order: Order) -> (IntCC, FloatCC) {
    match order {
        Order::Less => (IntCC::SignedLessThan, FloatCC::LessThan),
        Order::LessOrEqual => (IntCC::SignedLessThanOrEqual, FloatCC::LessThanOrEqual),
        Order::Greater => (IntCC::SignedGreaterThan, FloatCC::GreaterThan),
        Order::GreaterOrEqual => (IntCC::SignedGreaterThanOrEqual, FloatCC::GreaterThanOrEqual),
    }
}

impl Writer<'_, '_, '_> {
    /// `a == b`, a truth value.
    pub(super) fn equal(&mut self, a: Operand, b: Operand) -> Value {
        // A constant stands on the right.
        let (a, b) = if matches!(a, Operand::Const(_)) { (b, a) } else { (a, b) };
        let constant = match b {
            Operand::Const(id) => self.predicate.datum(id),
            _ => None,
        };
        let (left, kind) = (self.get(a), self.kind(a));
        match (left, constant) {
            (Held::Data(at) | Held::Home(at), Some(Datum::String(text))) => {
                if let Symbol::Known(_) = text.symbol {
                    return self.equal_symbol(at, text.symbol, a, b);
                }
            }
            (Held::Data(_) | Held::Home(_), Some(Datum::Null)) => return self.is_null(a),
            (Held::Truth(truth), Some(Datum::Bool(wanted))) => {
                return if *wanted { truth } else { self.negate(truth) };
            }
            _ => {}
        }
        let right = self.get(b);
        match (left, right) {
            (Held::Int(x), Held::Int(y)) => {
                let same = self.b.ins().icmp(IntCC::Equal, x, y);
                self.plain.insert(same);
                same
            }
            (Held::Int(x), Held::Data(at) | Held::Home(at))
            | (Held::Data(at) | Held::Home(at), Held::Int(x)) => {
                let is_int = self.has_tag(at, tag::INT);
                self.fast_or(is_int, a, b, |this| {
                    let y = this.payload(at);
                    this.b.ins().icmp(IntCC::Equal, x, y)
                })
            }
            (Held::Data(x) | Held::Home(x), Held::Data(y) | Held::Home(y)) => {
                let kind = if kind == Kind::Any { self.kind(b) } else { kind };
                match kind {
                    Kind::String | Kind::Any => self.equal_texts(x, y, a, b),
                    Kind::Int => {
                        let (p, q) = (self.has_tag(x, tag::INT), self.has_tag(y, tag::INT));
                        let both = self.b.ins().band(p, q);
                        self.fast_or(both, a, b, |this| {
                            let (x, y) = (this.payload(x), this.payload(y));
                            this.b.ins().icmp(IntCC::Equal, x, y)
                        })
                    }
                    _ => self.ask(helper::equal as *const () as usize, a, b),
                }
            }
            _ => self.ask(helper::equal as *const () as usize, a, b),
        }
    }

    /// A text against one that conditions mention: their symbols are compared.
    fn equal_symbol(&mut self, at: Value, symbol: Symbol, a: Operand, b: Operand) -> Value {
        let (done, result) = self.truth_block();
        let (text, other) = (self.b.create_block(), self.cold_block());
        let is_text = self.has_tag(at, tag::STRING);
        self.b.ins().brif(is_text, text, &[], other, &[]);
        self.enter(text);
        let flags = self.flags(at);
        let found = self.b.ins().load(types::I64, flags, at, SYMBOL);
        let wanted = self.b.ins().iconst(types::I64, symbol_bits(symbol));
        let same = self.b.ins().icmp(IntCC::Equal, found, wanted);
        let half = self.b.ins().ireduce(types::I32, found);
        let unknown = self.b.ins().icmp_imm_u(IntCC::Equal, half, 0);
        if flags == INPUT {
            // Texts of the inputs were looked up, but for few: those the interpreter compares.
            self.b.ins().brif(unknown, self.bail, &[], done, &[same.into()]);
        } else {
            let slow = self.cold_block();
            self.b.ins().brif(unknown, slow, &[], done, &[same.into()]);
            self.enter(slow);
            let told = self.ask(helper::equal as *const () as usize, a, b);
            self.b.ins().jump(done, &[told.into()]);
        }
        self.enter(other);
        let failed = self.has_tag(at, tag::ERROR);
        let told = self.b.ins().iadd(failed, failed);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// Two values of which both may be texts.
    fn equal_texts(&mut self, x: Value, y: Value, a: Operand, b: Operand) -> Value {
        let (done, result) = self.truth_block();
        let (texts, bytes, look, slow) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
            self.cold_block(),
        );
        let (p, q) = (self.has_tag(x, tag::STRING), self.has_tag(y, tag::STRING));
        let both = self.b.ins().band(p, q);
        self.b.ins().brif(both, texts, &[], slow, &[]);
        self.enter(texts);
        let (of_x, of_y) = (self.flags(x), self.flags(y));
        let p = self.b.ins().load(types::I64, of_x, x, SYMBOL);
        let q = self.b.ins().load(types::I64, of_y, y, SYMBOL);
        let same = self.b.ins().icmp(IntCC::Equal, p, q);
        // Unknown is 0, foreign 1, known 2: the product is 2 or more when neither is unknown and one
        // is known.
        let (p, q) = (self.b.ins().ireduce(types::I32, p), self.b.ins().ireduce(types::I32, q));
        let product = self.b.ins().imul(p, q);
        let told = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThanOrEqual, product, KNOWN);
        self.b.ins().brif(told, done, &[same.into()], bytes, &[]);
        self.enter(bytes);
        let p = self.b.ins().load(types::I64, of_x, x, LENGTH);
        let q = self.b.ins().load(types::I64, of_y, y, LENGTH);
        let differ = self.b.ins().icmp(IntCC::NotEqual, p, q);
        let no = self.b.ins().iconst(types::I8, 0);
        self.b.ins().brif(differ, done, &[no.into()], look, &[]);
        self.enter(look);
        // Texts that cost no steps are compared without ado.
        let costs = self.b.ins().icmp_imm_u(
            IntCC::UnsignedGreaterThanOrEqual,
            p,
            BYTES_PER_STEP.cast_signed() as i64,
        );
        let short = self.b.create_block();
        self.b.ins().brif(costs, slow, &[], short, &[]);
        self.enter(short);
        let (left, right) = (self.payload(x), self.payload(y));
        let told = self.call(helper::same_bytes as *const () as usize, &[left, right, p]);
        let told = self.b.ins().ireduce(types::I8, told);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(slow);
        let told = self.ask(helper::equal as *const () as usize, a, b);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// Whether a value is null.
    pub(super) fn is_null(&mut self, operand: Operand) -> Value {
        match self.get(operand) {
            Held::Truth(truth) => {
                let failed = self.b.ins().icmp_imm_u(IntCC::Equal, truth, 2);
                self.b.ins().iadd(failed, failed)
            }
            Held::Int(_) | Held::Double(_) => self.b.ins().iconst(types::I8, 0),
            Held::Data(at) | Held::Home(at) => {
                let null = self.has_tag(at, tag::NULL);
                let failed = self.has_tag(at, tag::ERROR);
                let failed = self.b.ins().iadd(failed, failed);
                self.b.ins().bor(null, failed)
            }
        }
    }

    /// An order, where it has code of its own.
    pub(super) fn order(
        &mut self,
        order: Order,
        called: &'static Function,
        a: Operand,
        b: Operand,
    ) -> Option<Value> {
        let (whole, double) = conditions(order);
        let wanted = match (self.kind(a), self.kind(b)) {
            (Kind::Any, kind) | (kind, Kind::Any) => kind,
            (x, y) if x == y => x,
            _ => return None,
        };
        let tag = match wanted {
            Kind::Int => tag::INT,
            Kind::Double => tag::DOUBLE,
            Kind::Timestamp => tag::TIMESTAMP,
            Kind::Duration => tag::DURATION,
            _ => return None,
        };
        let (left, right) = (self.get(a), self.get(b));
        // What is known to be of another type than is compared is for the function to tell.
        let fits = |held: Held| match held {
            Held::Int(_) => wanted == Kind::Int,
            Held::Double(_) => wanted == Kind::Double,
            Held::Truth(_) => false,
            Held::Data(_) | Held::Home(_) => true,
        };
        if !fits(left) || !fits(right) {
            return None;
        }
        let compare = |this: &mut Self| match wanted {
            Kind::Int => {
                let (x, y) = (this.word(left), this.word(right));
                this.b.ins().icmp(whole, x, y)
            }
            Kind::Double => {
                let (x, y) = (this.number(left), this.number(right));
                this.b.ins().fcmp(double, x, y)
            }
            _ => this.compare_times(whole, left, right),
        };
        let told = |this: &mut Self| {
            let told = compare(this);
            this.plain.insert(told);
            told
        };
        if self.kind(a) == wanted && self.kind(b) == wanted {
            // What is not of its declared type errs, and what that means is the interpreter's to tell.
            self.expect(&[left, right], tag);
            return Some(told(self));
        }
        let Some(guard) = self.guard(&[left, right], tag) else { return Some(told(self)) };
        let (done, result) = self.truth_block();
        let (fast, slow) = (self.b.create_block(), self.cold_block());
        self.b.ins().brif(guard, fast, &[], slow, &[]);
        self.enter(fast);
        let told = compare(self);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(slow);
        let list = self.argument_list(&[a, b]);
        let function = self.address(std::ptr::from_ref(called).addr());
        let count = self.b.ins().iconst(types::I64, 2);
        let told = self.call(helper::call_truth as *const () as usize, &[function, count, list]);
        let told = self.told(told);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        Some(result)
    }

    /// Times compare by seconds, then by nanoseconds, which are never so many that their sign as 32
    /// bits is lost.
    fn compare_times(&mut self, order: IntCC, left: Held, right: Held) -> Value {
        let (Held::Data(x) | Held::Home(x), Held::Data(y) | Held::Home(y)) = (left, right) else {
            return self.b.ins().iconst(types::I8, 2);
        };
        let (p, q) = (self.payload(x), self.payload(y));
        let same = self.b.ins().icmp(IntCC::Equal, p, q);
        let by_seconds = self.b.ins().icmp(order, p, q);
        let (p, q) = (self.nanos(x), self.nanos(y));
        let by_nanos = self.b.ins().icmp(order, p, q);
        self.b.ins().select(same, by_nanos, by_seconds)
    }

    /// Whether those of the values that are in memory have a tag; `None` when all are known to.
    pub(super) fn guard(&mut self, all: &[Held], tag: u8) -> Option<Value> {
        let mut guard = None;
        for held in all {
            let (Held::Data(at) | Held::Home(at)) = *held else { continue };
            if self.known_tag(at) == Some(tag) {
                continue;
            }
            let has = self.has_tag(at, tag);
            guard = Some(match guard {
                None => has,
                Some(others) => self.b.ins().band(others, has),
            });
        }
        guard
    }

    /// The whole number of a value that was seen to be one.
    pub(super) fn word(&mut self, held: Held) -> Value {
        match held {
            Held::Int(value) => value,
            Held::Data(at) | Held::Home(at) => self.payload(at),
            Held::Truth(_) | Held::Double(_) => self.b.ins().iconst(types::I64, 0),
        }
    }

    /// The double of a value that was seen to be one.
    pub(super) fn number(&mut self, held: Held) -> Value {
        match held {
            Held::Double(value) => value,
            Held::Data(at) | Held::Home(at) => {
                let flags = self.flags(at);
                self.b.ins().load(types::F64, flags, at, PAYLOAD)
            }
            Held::Truth(_) | Held::Int(_) => self.b.ins().f64const(f64::NAN),
        }
    }

    /// What an operand is expected to be.
    pub(super) fn kind(&self, operand: Operand) -> Kind {
        shape::of(self.predicate, &self.state, operand).1
    }

    /// Code for the expected case, and a helper for all others.
    pub(super) fn fast_or(
        &mut self,
        guard: Value,
        a: Operand,
        b: Operand,
        fast: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let (done, result) = self.truth_block();
        let (expected, slow) = (self.b.create_block(), self.cold_block());
        self.b.ins().brif(guard, expected, &[], slow, &[]);
        self.enter(expected);
        let told = fast(self);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(slow);
        let told = self.ask(helper::equal as *const () as usize, a, b);
        self.b.ins().jump(done, &[told.into()]);
        self.enter(done);
        result
    }

    /// Asks a helper about two values.
    pub(super) fn ask(&mut self, address: usize, a: Operand, b: Operand) -> Value {
        let (a, b) = (self.tagged(a), self.tagged(b));
        let told = self.call(address, &[a, b]);
        self.told(told)
    }
}
