//! The interpreter: what predicate code means. Every faster way to run it must agree with this.
//!
//! Steps are paid for ahead: those of the whole code when an evaluation begins, those of a loop's
//! body each time it is entered again. So instructions need not count, and every engine that runs the
//! same code comes to the same sum.

mod access;
mod build;
mod call;
mod memory;
mod stepping;
mod watch;

use std::sync::atomic::AtomicU8;

use bumpalo::Bump;
use mxcp_schemas::bundle::code::{InputId, Op, Operand, Reg, RequestSlot, Slot, Target};

use crate::datum::{Datum, Instant, Symbol, Text};
use crate::function::Call;
use crate::jit::Verdict;
use crate::predicate::Predicate;
use crate::value::{self, Failure, FailureKind, Fault, Str, Value};
use build::Work;

pub(crate) use access::{quantify, whole};
pub(crate) use stepping::Stepped;
pub use watch::Watch;

/// Steps of one evaluation; an instruction is one, functions add what their arguments need. Memory
/// is bounded with them: what a function makes it has paid for by its size.
pub const MAX_STEPS: u64 = 1_000_000;

/// What a condition reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// attributes of the caller, in slot order
    pub user: &'a [Datum],
    /// the caller as a map
    pub user_map: &'a Datum,
    /// arguments, in the order of the declared parameters
    pub params: &'a [Datum],
    /// the result, before any field action; `None` before execution
    pub response: Option<&'a Datum>,
    /// the request that carries the call
    pub request: &'a Request,
}

/// What a condition may know about the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// one instant per call
    pub time: Instant,
    /// the endpoint's name or URI template
    pub tool: Text,
    /// the session, if there is one
    pub session_id: Option<Text>,
    /// the client's address, if known
    pub client_ip: Option<Text>,
}

/// What a condition says. There is no conversion to `bool`: whoever asks decides what an error means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The condition holds.
    True,
    /// It does not.
    False,
    /// It cannot be told; the policy closes.
    Error(Failure),
}

impl Outcome {
    /// Whether the policy takes effect: the condition holds, or nobody can tell.
    pub const fn fires(&self) -> bool {
        !matches!(self, Self::False)
    }
}

/// How a condition is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// instruction by instruction: the reference
    Interpreter,
    /// as machine code where there is some, and the interpreter where that is unsure
    Compiled,
}

impl Predicate {
    /// Evaluates a condition, in the fastest way that there is.
    #[inline]
    pub fn evaluate(&self, inputs: &Inputs<'_>, arena: &Bump) -> Outcome {
        self.evaluate_remembering(inputs, &[], arena)
    }

    /// Evaluates a condition for a caller whose memory this is: one byte for each of
    /// [`Predicate::parts`], zero at first. Parts that depend on the caller alone are evaluated once
    /// and remembered there, errors included.
    #[inline]
    pub fn evaluate_remembering(
        &self,
        inputs: &Inputs<'_>,
        memory: &[AtomicU8],
        arena: &Bump,
    ) -> Outcome {
        if let Some(watch) = self.watch.get() {
            return self.evaluate_watched(&**watch, inputs, memory, arena);
        }
        self.outcome(inputs, memory, arena)
    }

    #[inline]
    fn outcome(&self, inputs: &Inputs<'_>, memory: &[AtomicU8], arena: &Bump) -> Outcome {
        match self.verdict(inputs, memory, arena) {
            Some(Verdict::True) => Outcome::True,
            Some(Verdict::False) => Outcome::False,
            verdict => self.decide(verdict, inputs, memory, arena),
        }
    }

    /// The outcome where machine code, if there is any, does not say true or false.
    #[inline(never)]
    fn decide(
        &self,
        verdict: Option<Verdict>,
        inputs: &Inputs<'_>,
        memory: &[AtomicU8],
        arena: &Bump,
    ) -> Outcome {
        let remembered = match verdict {
            Some(Verdict::Error) => {
                Failure { kind: FailureKind::BadInput, message: "the condition failed".to_owned() }
            }
            _ => match self.interpret(inputs, memory, arena) {
                Outcome::Error(remembered) if !memory.is_empty() => remembered,
                outcome => return outcome,
            },
        };
        // Neither machine code nor what is remembered has a message: the code is interpreted for that
        // alone, and the error stands whatever that says.
        match self.interpret(inputs, &[], arena) {
            Outcome::Error(failure) => Outcome::Error(failure),
            Outcome::True | Outcome::False => Outcome::Error(remembered),
        }
    }

    /// Evaluates a condition in a given way.
    pub fn evaluate_with(&self, engine: Engine, inputs: &Inputs<'_>, arena: &Bump) -> Outcome {
        match engine {
            Engine::Interpreter => self.interpret(inputs, &[], arena),
            Engine::Compiled => self.evaluate(inputs, arena),
        }
    }

    /// What the machine code of a condition says by itself; `None` where there is none. For tests and
    /// measurements: everybody else wants [`Predicate::evaluate`].
    #[inline]
    pub fn verdict(
        &self,
        inputs: &Inputs<'_>,
        memory: &[AtomicU8],
        arena: &Bump,
    ) -> Option<Verdict> {
        self.native.get().map(|native| native.run(self, inputs, memory, arena))
    }

    /// Evaluates an expression of any type.
    pub fn value<'a>(&'a self, inputs: &Inputs<'a>, arena: &'a Bump) -> Value<'a> {
        self.value_within(MAX_STEPS, inputs, arena)
    }

    /// Evaluates an expression of any type in at most so many steps.
    pub fn value_within<'a>(
        &'a self,
        steps: u64,
        inputs: &Inputs<'a>,
        arena: &'a Bump,
    ) -> Value<'a> {
        Machine::new(self, inputs, &[], steps, arena).run()
    }

    fn interpret(&self, inputs: &Inputs<'_>, memory: &[AtomicU8], arena: &Bump) -> Outcome {
        let mut machine = Machine::new(self, inputs, memory, MAX_STEPS, arena);
        match machine.end() {
            End::Truth(true) => return Outcome::True,
            End::Truth(false) => return Outcome::False,
            End::Value => {}
        }
        match machine.result {
            Value::Bool(true) => Outcome::True,
            Value::Bool(false) => Outcome::False,
            Value::Error(fault) => Outcome::Error(fault.into()),
            other => Outcome::Error(Failure {
                kind: FailureKind::NoOverload,
                message: format!("the condition is of type {}, not bool", other.type_name()),
            }),
        }
    }
}

impl<'a> Inputs<'a> {
    /// The properties of the request, in the order of their slots.
    pub(crate) fn request_values(&self) -> [Value<'a>; 4] {
        [RequestSlot::Time, RequestSlot::Tool, RequestSlot::SessionId, RequestSlot::ClientIp]
            .map(|property| property_of(self.request, property))
    }
}

fn property_of(request: &Request, property: RequestSlot) -> Value<'_> {
    fn text(text: &Text) -> Value<'_> {
        Value::String(Str { text: &text.text, symbol: text.symbol })
    }
    match property {
        RequestSlot::Time => Value::Timestamp(request.time),
        RequestSlot::Tool => text(&request.tool),
        RequestSlot::SessionId => request.session_id.as_ref().map_or(Value::Null, text),
        RequestSlot::ClientIp => request.client_ip.as_ref().map_or(Value::Null, text),
    }
}

/// An evaluation. All that it makes is in the arena, so nothing has to be dropped.
pub(crate) struct Machine<'a> {
    predicate: &'a Predicate,
    inputs: Inputs<'a>,
    memory: &'a [AtomicU8],
    call: Call<'a>,
    registers: &'a mut [Value<'a>],
    works: &'a mut [Work<'a>],
    /// what the evaluation came to, once it is done
    result: Value<'a>,
}

/// Where control goes after an instruction.
#[derive(Clone, Copy)]
enum Next {
    Following,
    To(Target),
    Done(End),
}

/// What an evaluation has come to. A truth value is told as such: the processor would wait if it were
/// copied from the register that it was just written to.
#[derive(Clone, Copy)]
enum End {
    Truth(bool),
    /// the machine's result
    Value,
}

impl<'a> Machine<'a> {
    #[inline]
    fn new(
        predicate: &'a Predicate,
        inputs: &Inputs<'a>,
        memory: &'a [AtomicU8],
        steps: u64,
        arena: &'a Bump,
    ) -> Self {
        let registers = usize::from(predicate.registers);
        Self {
            predicate,
            inputs: *inputs,
            memory,
            call: Call { arena, budget: steps, patterns: &predicate.patterns },
            registers: arena.alloc_slice_fill_copy(registers, Value::Null),
            works: arena.alloc_slice_fill_with(predicate.works, |_| Work::None),
            result: Value::Null,
        }
    }

    fn run(&mut self) -> Value<'a> {
        match self.end() {
            End::Truth(truth) => Value::Bool(truth),
            End::Value => self.result,
        }
    }

    fn end(&mut self) -> End {
        if let Err(error) = self.call.spend(self.predicate.code.len() as u64) {
            self.result = error;
            return End::Value;
        }
        let mut at = 0;
        let predicate = self.predicate;
        while let Some(op) = predicate.code.get(at) {
            match self.step(*op, at) {
                Next::Following => at += 1,
                Next::To(target) => at = target.0 as usize,
                Next::Done(end) => return end,
            }
        }
        self.result = self.fail(FailureKind::BadInput, "the code ends without a result");
        End::Value
    }

    /// Does an instruction. Part of the loop over them, which saves its registers once then; whatever
    /// needs many itself is apart for that reason.
    #[expect(clippy::inline_always, reason = "a quarter of the time of short conditions")]
    #[inline(always)]
    fn step(&mut self, op: Op, at: usize) -> Next {
        match op {
            Op::Equal { dst, a, b } => self.compare(dst, a, b, true),
            Op::NotEqual { dst, a, b } => self.compare(dst, a, b, false),
            Op::And { dst, a, b } => self.logic(dst, a, b, false),
            Op::Or { dst, a, b } => self.logic(dst, a, b, true),
            Op::JumpIfTrue { cond, to } => self.jump_if(cond, true, to),
            Op::JumpIfFalse { cond, to } => self.jump_if(cond, false, to),
            Op::JumpIfError { dst, src, to } => self.jump_if_error(dst, src, to),
            Op::Jump { to } | Op::Repeat { head: to } => Next::To(to),
            Op::Return { src } => match self.held_truth(src) {
                Some(truth) => Next::Done(End::Truth(truth)),
                None => {
                    let value = self.get(src);
                    self.done(value)
                }
            },
            Op::Not { dst, src } => {
                if let Some(truth) = self.held_truth(src) {
                    return self.set(dst, Value::Bool(!truth));
                }
                self.negate(dst, src)
            }
            Op::In { dst, a, b } => {
                if let (Some(Datum::String(text)), Some(Datum::List(list))) =
                    (self.datum(a), self.datum(b))
                    && let Some(members) = list.members()
                    && let Some(found) = members.answer(text.symbol)
                {
                    return self.set(dst, Value::Bool(found));
                }
                self.contains(dst, a, b)
            }
            Op::Call { dst, function, first, count } => self.invoke(dst, function, first, count),
            Op::Next { iter, key, value, pair, end } => {
                self.advance(iter, [key, value], pair, end, at)
            }
            Op::Move { dst, src } => {
                let value = self.get(src);
                self.set(dst, value)
            }
            Op::IsPresent { dst, src } => {
                let value = match self.get(src) {
                    error @ Value::Error(_) => error,
                    value => Value::Bool(!matches!(value, Value::Null)),
                };
                self.set(dst, value)
            }
            Op::Recall { dst, part, end } => self.recall(dst, part, end),
            Op::Remember { src, part } => self.remember(src, part),
            op => self.less_common(op),
        }
    }

    #[inline(never)]
    fn less_common(&mut self, op: Op) -> Next {
        let (dst, value) = match op {
            Op::Select { dst, src, name } => return self.select(dst, src, name),
            Op::SelectOptional { dst, src, name } => {
                (dst, self.optional_field(self.get(src), self.predicate.name(name)))
            }
            Op::Has { dst, src, name } => (dst, self.has(src, self.predicate.name(name))),
            Op::Index { dst, src, key } => (dst, self.index(src, key)),
            Op::IndexOptional { dst, src, key } => (dst, self.index_optional(src, key)),
            Op::Overlaps { dst, src, set } => (dst, self.quantify(src, set, true)),
            Op::Within { dst, src, set } => (dst, self.quantify(src, set, false)),
            op => return self.build(op),
        };
        self.set(dst, value)
    }

    #[inline(never)]
    fn negate(&mut self, dst: Reg, src: Operand) -> Next {
        let value = match self.get(src) {
            Value::Bool(value) => Value::Bool(!value),
            error @ Value::Error(_) => error,
            other => self.call.no_overload("!_", &[other]),
        };
        self.set(dst, value)
    }

    #[inline(never)]
    fn contains(&mut self, dst: Reg, a: Operand, b: Operand) -> Next {
        let value = match (self.get(a), self.get(b)) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => error,
            (a, b) => crate::function::contains(&mut self.call, &[a, b]),
        };
        self.set(dst, value)
    }

    #[inline]
    fn compare(&mut self, dst: Reg, a: Operand, b: Operand, wanted: bool) -> Next {
        match self.same_symbol(a, b) {
            Some(same) => self.set(dst, Value::Bool(same == wanted)),
            None => self.compare_values(dst, a, b, wanted),
        }
    }

    #[inline(never)]
    fn compare_values(&mut self, dst: Reg, a: Operand, b: Operand, wanted: bool) -> Next {
        match (self.get(a), self.get(b)) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => self.set(dst, error),
            (a, b) => match value::equal_within(&a, &b, self.call.arena, &mut self.call.budget) {
                Some(same) => self.set(dst, Value::Bool(same == wanted)),
                None => {
                    let error = self.call.exhausted();
                    self.set(dst, error)
                }
            },
        }
    }

    /// `&&` and `||`: the `decisive` value on either side outweighs an error on the other.
    #[inline]
    fn logic(&mut self, dst: Reg, a: Operand, b: Operand, decisive: bool) -> Next {
        if let (Some(x), Some(y)) = (self.held_truth(a), self.held_truth(b)) {
            let truth = if decisive { x || y } else { x && y };
            return self.set(dst, Value::Bool(truth));
        }
        self.logic_of_values(dst, a, b, decisive)
    }

    #[inline(never)]
    fn logic_of_values(&mut self, dst: Reg, a: Operand, b: Operand, decisive: bool) -> Next {
        let name = if decisive { "_||_" } else { "_&&_" };
        let value = match (self.get(a), self.get(b)) {
            (Value::Bool(x), _) | (_, Value::Bool(x)) if x == decisive => Value::Bool(decisive),
            (Value::Bool(x), Value::Bool(y)) if x == y => Value::Bool(x),
            (Value::Bool(_), Value::Bool(_)) => Value::Bool(decisive),
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => error,
            (a, b) => self.call.no_overload(name, &[a, b]),
        };
        self.set(dst, value)
    }

    /// Whether two texts are the same, where their symbols tell.
    fn same_symbol(&self, a: Operand, b: Operand) -> Option<bool> {
        match (self.symbol(a)?, self.symbol(b)?) {
            (Symbol::Known(a), Symbol::Known(b)) => Some(a == b),
            (Symbol::Known(_), Symbol::Foreign) | (Symbol::Foreign, Symbol::Known(_)) => {
                Some(false)
            }
            _ => None,
        }
    }

    /// The symbol of the text that an operand is, if it is one.
    #[inline]
    fn symbol(&self, operand: Operand) -> Option<Symbol> {
        match operand {
            Operand::Reg(register) => match self.registers.get(usize::from(register.0)) {
                Some(Value::String(text)) => Some(text.symbol),
                _ => None,
            },
            operand => match self.datum(operand) {
                Some(Datum::String(text)) => Some(text.symbol),
                _ => None,
            },
        }
    }

    /// The datum that an operand is, where it is one.
    #[inline]
    fn datum(&self, operand: Operand) -> Option<&'a Datum> {
        match operand {
            Operand::Const(id) => self.predicate.datum(id),
            Operand::Input(id) => match self.predicate.slot(id)? {
                Slot::User(index) => self.inputs.user.get(usize::from(index)),
                Slot::Param(index) => self.inputs.params.get(usize::from(index)),
                Slot::UserMap => Some(self.inputs.user_map),
                Slot::Response => self.inputs.response,
                Slot::Request(_) => None,
            },
            Operand::Reg(_) => None,
        }
    }

    /// The truth value that a register holds.
    #[inline]
    fn held_truth(&self, operand: Operand) -> Option<bool> {
        let Operand::Reg(register) = operand else { return None };
        match self.registers.get(usize::from(register.0)) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn jump_if(&self, cond: Operand, wanted: bool, to: Target) -> Next {
        let holds = match cond {
            Operand::Reg(_) => self.held_truth(cond) == Some(wanted),
            cond => matches!(self.get(cond), Value::Bool(value) if value == wanted),
        };
        if holds { Next::To(to) } else { Next::Following }
    }

    #[inline(never)]
    fn jump_if_error(&mut self, dst: Reg, src: Operand, to: Target) -> Next {
        let error = match self.get(src) {
            Value::Bool(_) => return Next::Following,
            error @ Value::Error(_) => error,
            other => self.call.no_overload("_?_:_", &[other]),
        };
        self.set(dst, error);
        Next::To(to)
    }

    fn get(&self, operand: Operand) -> Value<'a> {
        match operand {
            Operand::Reg(register) => {
                let held = self.registers.get(usize::from(register.0));
                held.copied().unwrap_or(Value::Error(&NO_VALUE))
            }
            Operand::Const(id) => self.predicate.constant(id, self.call.arena),
            Operand::Input(id) => self.input(id),
        }
    }

    fn input(&self, id: InputId) -> Value<'a> {
        let datum = match self.predicate.slot(id) {
            Some(Slot::User(index)) => self.inputs.user.get(usize::from(index)),
            Some(Slot::UserMap) => Some(self.inputs.user_map),
            Some(Slot::Param(index)) => self.inputs.params.get(usize::from(index)),
            Some(Slot::Response) => self.inputs.response,
            Some(Slot::Request(property)) => return property_of(self.inputs.request, property),
            None => None,
        };
        match datum {
            Some(datum) => Value::of(datum, self.call.arena),
            None => Value::Error(&ABSENT),
        }
    }

    fn done(&mut self, value: Value<'a>) -> Next {
        self.result = value;
        Next::Done(End::Value)
    }

    #[inline]
    fn set(&mut self, register: Reg, value: Value<'a>) -> Next {
        if let Some(slot) = self.registers.get_mut(usize::from(register.0)) {
            *slot = value;
        }
        Next::Following
    }

    fn fail(&self, kind: FailureKind, message: impl AsRef<str>) -> Value<'a> {
        self.call.fail(kind, message)
    }
}

static NO_VALUE: Fault<'static> = Fault { kind: FailureKind::BadInput, message: "no value" };
static ABSENT: Fault<'static> =
    Fault { kind: FailureKind::BadInput, message: "an input is absent" };
