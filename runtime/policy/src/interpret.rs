//! The interpreter: what predicate code means. Every faster way to run it must agree with this.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use mxcp_schemas::bundle::code::{Op, Reg, RequestSlot, Slot, Target};

use crate::datum::{Datum, Instant, Text};
use crate::function::Call;
use crate::predicate::Predicate;
use crate::value::{self, Failure, FailureKind, List, Map, Str, Value};

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

impl Predicate {
    /// Evaluates a condition.
    pub fn evaluate(&self, inputs: &Inputs<'_>, arena: &Bump) -> Outcome {
        match self.value(inputs, arena) {
            Value::Bool(true) => Outcome::True,
            Value::Bool(false) => Outcome::False,
            Value::Error(failure) => Outcome::Error(failure.clone()),
            other => Outcome::Error(Failure {
                kind: FailureKind::NoOverload,
                message: format!("the condition is of type {}, not bool", other.type_name()),
            }),
        }
    }

    /// Evaluates an expression of any type.
    pub fn value<'a>(&'a self, inputs: &Inputs<'a>, arena: &'a Bump) -> Value<'a> {
        let call = Call { arena, budget: MAX_STEPS, patterns: &self.patterns };
        let registers =
            arena.alloc_slice_fill_with(usize::from(self.registers), |_| Cell::Value(Value::Null));
        Machine { predicate: self, inputs: *inputs, call, registers }.run()
    }
}

/// What a register holds. All of it is in the arena, so nothing has to be dropped.
#[derive(Debug)]
enum Cell<'a> {
    Value(Value<'a>),
    Items(BumpVec<'a, Value<'a>>),
    Entries(BumpVec<'a, (Value<'a>, Value<'a>)>),
    Loop(Value<'a>, usize),
}

struct Machine<'a> {
    predicate: &'a Predicate,
    inputs: Inputs<'a>,
    call: Call<'a>,
    registers: &'a mut [Cell<'a>],
}

/// Where control goes after an instruction.
enum Next<'a> {
    Following,
    To(Target),
    Done(Value<'a>),
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Value<'a> {
        let mut at = 0;
        loop {
            if let Err(error) = self.call.spend(1) {
                return error;
            }
            let Some(op) = self.predicate.code.get(at) else {
                return self.fail(FailureKind::BadInput, "the code ends without a result");
            };
            match self.step(*op) {
                Next::Following => at += 1,
                Next::To(target) => at = target.0 as usize,
                Next::Done(value) => return value,
            }
        }
    }

    fn step(&mut self, op: Op) -> Next<'a> {
        match op {
            Op::Const { dst, value } => {
                let value = self.predicate.constant(value, self.call.arena);
                self.set(dst, value)
            }
            Op::Load { dst, slot } => {
                let value = self.load(slot);
                self.set(dst, value)
            }
            Op::Move { dst, src } => {
                let value = self.get(src);
                self.set(dst, value)
            }
            Op::Select { dst, src, name } => {
                let value = self.select(src, self.predicate.name(name));
                self.set(dst, value)
            }
            Op::SelectOptional { dst, src, name } => {
                let value = self.select_optional(src, self.predicate.name(name));
                self.set(dst, value)
            }
            Op::Has { dst, src, name } => {
                let value = self.has(src, self.predicate.name(name));
                self.set(dst, value)
            }
            Op::IsPresent { dst, src } => {
                let value = match self.get(src) {
                    error @ Value::Error(_) => error,
                    value => Value::Bool(!matches!(value, Value::Null)),
                };
                self.set(dst, value)
            }
            Op::Index { dst, src, key } => {
                let value = self.index(src, key);
                self.set(dst, value)
            }
            Op::IndexOptional { dst, src, key } => {
                let value = self.index_optional(src, key);
                self.set(dst, value)
            }
            Op::Not { dst, src } => {
                let value = match self.get(src) {
                    Value::Bool(value) => Value::Bool(!value),
                    error @ Value::Error(_) => error,
                    other => self.call.no_overload("!_", &[other]),
                };
                self.set(dst, value)
            }
            Op::Equal { dst, a, b } => self.compare(dst, a, b, true),
            Op::NotEqual { dst, a, b } => self.compare(dst, a, b, false),
            Op::In { dst, a, b } => {
                let value = match (self.get(a), self.get(b)) {
                    (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => error,
                    (a, b) => crate::function::contains(&mut self.call, &[a, b]),
                };
                self.set(dst, value)
            }
            Op::And { dst, a, b } => self.logic(dst, a, b, false),
            Op::Or { dst, a, b } => self.logic(dst, a, b, true),
            Op::Call { dst, function, first, count } => self.invoke(dst, function, first, count),
            Op::Jump { to } | Op::Repeat { head: to } => Next::To(to),
            Op::JumpIfTrue { cond, to } => self.jump_if(cond, true, to),
            Op::JumpIfFalse { cond, to } => self.jump_if(cond, false, to),
            Op::JumpIfError { dst, src, to } => self.jump_if_error(dst, src, to),
            Op::Return { src } => Next::Done(self.get(src)),
            _ => self.build(op),
        }
    }

    /// Instructions of lists, maps and loops.
    fn build(&mut self, op: Op) -> Next<'a> {
        match op {
            Op::NewList { dst } => self.put(dst, Cell::Items(BumpVec::new_in(self.call.arena))),
            Op::NewMap { dst } => self.put(dst, Cell::Entries(BumpVec::new_in(self.call.arena))),
            Op::Append { list, value } => {
                let value = self.get(value);
                self.append(list, value)
            }
            Op::AppendOptional { list, value } => match self.get(value) {
                Value::Optional(Some(held)) => self.append(list, *held),
                Value::Optional(None) => Next::Following,
                error @ Value::Error(_) => self.append(list, error),
                other => {
                    let error = self.call.no_overload("[?_]", &[other]);
                    self.append(list, error)
                }
            },
            Op::Insert { map, key, value } => {
                let (key, value) = (self.get(key), self.get(value));
                self.insert(map, key, value)
            }
            Op::InsertOptional { map, key, value } => {
                let key = self.get(key);
                match self.get(value) {
                    Value::Optional(Some(held)) => self.insert(map, key, *held),
                    Value::Optional(None) => Next::Following,
                    error @ Value::Error(_) => self.insert(map, key, error),
                    other => {
                        let error = self.call.no_overload("{?_: _}", &[other]);
                        self.insert(map, key, error)
                    }
                }
            }
            Op::InsertAll { map, entries } => match self.get(entries) {
                Value::Map(from) => {
                    for (key, value) in from.iter(self.call.arena) {
                        self.insert(map, key, value);
                    }
                    Next::Following
                }
                error @ Value::Error(_) => self.insert(map, error, Value::Null),
                other => {
                    let error = self.call.no_overload("transformMapEntry", &[other]);
                    self.insert(map, error, Value::Null)
                }
            },
            Op::Finish { dst } => self.finish(dst),
            Op::Iterate { iter, src, end } => match self.get(src) {
                source @ (Value::List(_) | Value::Map(_)) => self.put(iter, Cell::Loop(source, 0)),
                error @ Value::Error(_) => {
                    self.set(iter, error);
                    Next::To(end)
                }
                other => {
                    let error = self.call.no_overload("a comprehension", &[other]);
                    self.set(iter, error);
                    Next::To(end)
                }
            },
            Op::Next { iter, key, value, pair, end } => self.advance(iter, key, value, pair, end),
            _ => Next::Done(self.fail(FailureKind::BadInput, "an unknown instruction")),
        }
    }

    fn load(&self, slot: Slot) -> Value<'a> {
        let datum = match slot {
            Slot::User(index) => self.inputs.user.get(usize::from(index)),
            Slot::UserMap => Some(self.inputs.user_map),
            Slot::Param(index) => self.inputs.params.get(usize::from(index)),
            Slot::Response => self.inputs.response,
            Slot::Request(property) => return self.request(property),
        };
        datum.map_or_else(
            || self.fail(FailureKind::BadInput, "an input is absent"),
            |datum| Value::of(datum, self.call.arena),
        )
    }

    fn request(&self, property: RequestSlot) -> Value<'a> {
        let request = self.inputs.request;
        let text = |text: &'a Text| Value::String(Str { text: &text.text, symbol: text.symbol });
        match property {
            RequestSlot::Time => Value::Timestamp(request.time),
            RequestSlot::Tool => text(&request.tool),
            RequestSlot::SessionId => request.session_id.as_ref().map_or(Value::Null, text),
            RequestSlot::ClientIp => request.client_ip.as_ref().map_or(Value::Null, text),
        }
    }

    fn field(&self, value: Value<'a>, name: &str) -> Result<Option<Value<'a>>, Value<'a>> {
        match value {
            Value::Map(map) => Ok(map.field(name, self.call.arena)),
            error @ Value::Error(_) => Err(error),
            other => {
                let message = format!("`.{name}` of {}", other.type_name());
                Err(self.fail(FailureKind::NoOverload, message))
            }
        }
    }

    fn select(&self, src: Reg, name: &str) -> Value<'a> {
        if let optional @ Value::Optional(_) = self.get(src) {
            return self.optional_field(optional, name);
        }
        match self.field(self.get(src), name) {
            Ok(Some(value)) => value,
            Ok(None) => self.fail(FailureKind::NoSuchKey, format!("there is no `{name}`")),
            Err(error) => error,
        }
    }

    fn select_optional(&self, src: Reg, name: &str) -> Value<'a> {
        self.optional_field(self.get(src), name)
    }

    fn optional_field(&self, value: Value<'a>, name: &str) -> Value<'a> {
        let value = match value {
            Value::Optional(None) => return value,
            Value::Optional(Some(held)) => *held,
            value => value,
        };
        match self.field(value, name) {
            Ok(found) => self.optional(found),
            Err(error) => error,
        }
    }

    fn optional(&self, value: Option<Value<'a>>) -> Value<'a> {
        match value {
            Some(error @ Value::Error(_)) => error,
            value => Value::Optional(value.map(|v| &*self.call.arena.alloc(v))),
        }
    }

    fn has(&self, src: Reg, name: &str) -> Value<'a> {
        let value = match self.get(src) {
            Value::Optional(None) => return Value::Bool(false),
            Value::Optional(Some(held)) => *held,
            value => value,
        };
        match self.field(value, name) {
            Ok(found) => Value::Bool(found.is_some()),
            Err(error) => error,
        }
    }

    fn index(&self, src: Reg, key: Reg) -> Value<'a> {
        let (source, key) = match (self.get(src), self.get(key)) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => return error,
            pair => pair,
        };
        if let Value::Optional(held) = source {
            return held.map_or(source, |held| match self.lookup(*held, key) {
                Ok(found) => self.optional(found),
                Err(error) => error,
            });
        }
        match self.lookup(source, key) {
            Ok(Some(value)) => value,
            Ok(None) if matches!(source, Value::List(_)) => {
                self.fail(FailureKind::OutOfRange, "the index is outside the list")
            }
            Ok(None) => self.fail(FailureKind::NoSuchKey, "there is no such key"),
            Err(error) => error,
        }
    }

    fn index_optional(&self, src: Reg, key: Reg) -> Value<'a> {
        let (source, key) = match (self.get(src), self.get(key)) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => return error,
            (Value::Optional(Some(held)), key) => (*held, key),
            (none @ Value::Optional(None), _) => return none,
            pair => pair,
        };
        match self.lookup(source, key) {
            Ok(found) => self.optional(found),
            Err(error) => error,
        }
    }

    fn lookup(&self, source: Value<'a>, key: Value<'a>) -> Result<Option<Value<'a>>, Value<'a>> {
        match source {
            Value::Map(map) => match key {
                Value::String(_)
                | Value::Int(_)
                | Value::Uint(_)
                | Value::Bool(_)
                | Value::Double(_) => Ok(map.get(&key, self.call.arena)),
                other => Err(self.call.no_overload("_[_]", &[source, other])),
            },
            Value::List(list) => match whole(key) {
                Some(index) => {
                    let index = usize::try_from(index).ok();
                    Ok(index.and_then(|index| list.get(index, self.call.arena)))
                }
                None => Err(self.call.no_overload("_[_]", &[source, key])),
            },
            other => Err(self.call.no_overload("_[_]", &[other, key])),
        }
    }

    fn compare(&mut self, dst: Reg, a: Reg, b: Reg, wanted: bool) -> Next<'a> {
        let value = match (self.get(a), self.get(b)) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => error,
            (a, b) => {
                let steps = if is_container(&a) { a.size().min(b.size()) } else { 0 };
                match self.call.spend(steps) {
                    Ok(()) => Value::Bool(value::equal(&a, &b, self.call.arena) == wanted),
                    Err(error) => error,
                }
            }
        };
        self.set(dst, value)
    }

    /// `&&` and `||`: the `decisive` value on either side outweighs an error on the other.
    fn logic(&mut self, dst: Reg, a: Reg, b: Reg, decisive: bool) -> Next<'a> {
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

    fn invoke(
        &mut self,
        dst: Reg,
        function: mxcp_schemas::bundle::code::FuncId,
        first: Reg,
        count: u8,
    ) -> Next<'a> {
        let mut args = [Value::Null; 8];
        let mut many;
        let args: &mut [Value<'a>] = if usize::from(count) <= args.len() {
            args.get_mut(..usize::from(count)).unwrap_or(&mut [])
        } else {
            many = BumpVec::from_iter_in((0..count).map(|_| Value::Null), self.call.arena);
            &mut many
        };
        for (slot, register) in args.iter_mut().zip(first.0..) {
            *slot = self.get(Reg(register));
        }
        let error = args.iter().find(|arg| matches!(arg, Value::Error(_))).copied();
        let value = match (error, self.predicate.functions.get(usize::from(function.0))) {
            (Some(error), _) => error,
            (None, Some(function)) => (function.eval)(&mut self.call, args),
            (None, None) => self.fail(FailureKind::NoOverload, "an unknown function"),
        };
        self.set(dst, value)
    }

    fn jump_if(&self, cond: Reg, wanted: bool, to: Target) -> Next<'a> {
        match self.get(cond) {
            Value::Bool(value) if value == wanted => Next::To(to),
            _ => Next::Following,
        }
    }

    fn jump_if_error(&mut self, dst: Reg, src: Reg, to: Target) -> Next<'a> {
        let error = match self.get(src) {
            Value::Bool(_) => return Next::Following,
            error @ Value::Error(_) => error,
            other => self.call.no_overload("_?_:_", &[other]),
        };
        self.set(dst, error);
        Next::To(to)
    }

    fn append(&mut self, list: Reg, value: Value<'a>) -> Next<'a> {
        match (self.cell(list), value) {
            (Some(cell), error @ Value::Error(_)) => *cell = Cell::Value(error),
            (Some(Cell::Items(items)), value) => items.push(value),
            // The list is an error already.
            _ => {}
        }
        Next::Following
    }

    fn insert(&mut self, map: Reg, key: Value<'a>, value: Value<'a>) -> Next<'a> {
        let arena = self.call.arena;
        let problem = match (key, value) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => Some(error),
            (Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_), _) => None,
            (other, _) => {
                let message = format!("{} cannot be the key of a map", other.type_name());
                Some(self.fail(FailureKind::InvalidKey, message))
            }
        };
        let twice = matches!(self.cell(map), Some(Cell::Entries(entries))
            if entries.iter().any(|(known, _)| value::equal(known, &key, arena)));
        let problem = problem
            .or_else(|| twice.then(|| self.fail(FailureKind::InvalidKey, "a key stands twice")));
        match (self.cell(map), problem) {
            (Some(cell @ Cell::Entries(_)), Some(error)) => *cell = Cell::Value(error),
            (Some(Cell::Entries(entries)), None) => entries.push((key, value)),
            _ => {}
        }
        Next::Following
    }

    fn finish(&mut self, dst: Reg) -> Next<'a> {
        let arena = self.call.arena;
        let value = match self.cell(dst) {
            Some(Cell::Items(items)) => {
                let items = std::mem::replace(items, BumpVec::new_in(arena));
                Value::List(List::Made(items.into_bump_slice()))
            }
            Some(Cell::Entries(entries)) => {
                let entries = std::mem::replace(entries, BumpVec::new_in(arena));
                Value::Map(Map::Made(entries.into_bump_slice()))
            }
            _ => return Next::Following,
        };
        self.set(dst, value)
    }

    fn advance(&mut self, iter: Reg, key: Reg, value: Reg, pair: bool, end: Target) -> Next<'a> {
        let arena = self.call.arena;
        let Some(Cell::Loop(source, at)) = self.cell(iter) else { return Next::To(end) };
        let (source, index) = (*source, *at);
        *at += 1;
        let found = match source {
            Value::List(list) => list
                .get(index, arena)
                .map(|item| (Value::Int(i64::try_from(index).unwrap_or(i64::MAX)), item)),
            Value::Map(map) => map
                .entry(index, arena)
                .map(|(key, value)| if pair { (key, value) } else { (Value::Null, key) }),
            _ => None,
        };
        let Some((found_key, found_value)) = found else { return Next::To(end) };
        if pair {
            self.set(key, found_key);
        }
        self.set(value, found_value)
    }

    fn get(&self, register: Reg) -> Value<'a> {
        match self.registers.get(usize::from(register.0)) {
            Some(Cell::Value(value)) => *value,
            _ => Value::Error(&NO_VALUE),
        }
    }

    fn cell(&mut self, register: Reg) -> Option<&mut Cell<'a>> {
        self.registers.get_mut(usize::from(register.0))
    }

    fn set(&mut self, register: Reg, value: Value<'a>) -> Next<'a> {
        self.put(register, Cell::Value(value))
    }

    fn put(&mut self, register: Reg, cell: Cell<'a>) -> Next<'a> {
        if let Some(slot) = self.cell(register) {
            *slot = cell;
        }
        Next::Following
    }

    fn fail(&self, kind: FailureKind, message: impl Into<String>) -> Value<'a> {
        self.call.fail(kind, message)
    }
}

static NO_VALUE: Failure = Failure { kind: FailureKind::BadInput, message: String::new() };

const fn is_container(value: &Value<'_>) -> bool {
    matches!(value, Value::List(_) | Value::Map(_) | Value::String(_) | Value::Bytes(_))
}

/// An index: a whole number of any numeric type.
fn whole(key: Value<'_>) -> Option<i128> {
    match key {
        Value::Int(index) => Some(i128::from(index)),
        Value::Uint(index) => Some(i128::from(index)),
        Value::Double(index) if index.fract() == 0.0 && index.abs() < 1e15 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
            Some(index as i128)
        }
        _ => None,
    }
}
