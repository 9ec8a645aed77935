//! Lists and maps under construction, and loops.

use bumpalo::collections::Vec as BumpVec;
use mxcp_schemas::bundle::code::{Op, Operand, Reg, Target};

use super::{Machine, NO_VALUE, Next};
use crate::value::{self, FailureKind, KEYS_PER_STEP, List, Map, Value};

/// What an instruction builds or walks, beside the register that stands for it.
#[derive(Debug)]
pub(super) enum Work<'a> {
    None,
    Items(BumpVec<'a, Value<'a>>),
    Entries(BumpVec<'a, (Value<'a>, Value<'a>)>),
    /// an error took the place of the list or map
    Failed(Value<'a>),
    Loop(Value<'a>, usize),
}

impl<'a> Machine<'a> {
    /// Instructions of lists, maps and loops.
    pub(super) fn build(&mut self, op: Op) -> Next {
        let arena = self.call.arena;
        match op {
            Op::NewList { dst } => self.begin(dst, Work::Items(BumpVec::new_in(arena))),
            Op::NewMap { dst } => self.begin(dst, Work::Entries(BumpVec::new_in(arena))),
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
            Op::InsertAll { map, entries } => self.insert_all(map, entries),
            Op::Finish { dst } => self.finish(dst),
            Op::Iterate { iter, src, end } => self.iterate(iter, src, end),
            _ => {
                let error = self.fail(FailureKind::BadInput, "an unknown instruction");
                self.done(error)
            }
        }
    }

    fn begin(&mut self, register: Reg, work: Work<'a>) -> Next {
        if let Some(place) = self.work(register) {
            *place = work;
        }
        self.set(register, Value::Error(&NO_VALUE))
    }

    fn append(&mut self, list: Reg, value: Value<'a>) -> Next {
        match (self.work(list), value) {
            (Some(work @ Work::Items(_)), error @ Value::Error(_)) => *work = Work::Failed(error),
            (Some(Work::Items(items)), value) => items.push(value),
            // The list is an error already.
            _ => {}
        }
        Next::Following
    }

    fn insert(&mut self, map: Reg, key: Value<'a>, value: Value<'a>) -> Next {
        let problem = match (key, value) {
            (error @ Value::Error(_), _) | (_, error @ Value::Error(_)) => Some(error),
            (Value::String(_) | Value::Int(_) | Value::Uint(_) | Value::Bool(_), _) => None,
            (other, _) => {
                let message = bumpalo::format!(
                    in self.call.arena, "{} cannot be the key of a map", other.type_name()
                );
                Some(self.fail(FailureKind::InvalidKey, message))
            }
        };
        let problem = problem.or_else(|| self.collision(map, key));
        match (self.work(map), problem) {
            (Some(work @ Work::Entries(_)), Some(error)) => *work = Work::Failed(error),
            (Some(Work::Entries(entries)), None) => entries.push((key, value)),
            _ => {}
        }
        Next::Following
    }

    /// The error of a key that the map under construction has already.
    fn collision(&mut self, map: Reg, key: Value<'a>) -> Option<Value<'a>> {
        let (known, twice) = match self.work(map) {
            Some(Work::Entries(entries)) => {
                let same = |(known, _): &(Value<'a>, _)| value::same_key(known, &key);
                (entries.len() as u64, entries.iter().any(same))
            }
            _ => return None,
        };
        if let Err(error) = self.call.spend(known / KEYS_PER_STEP) {
            return Some(error);
        }
        twice.then(|| self.fail(FailureKind::InvalidKey, "a key stands twice"))
    }

    fn insert_all(&mut self, map: Reg, entries: Operand) -> Next {
        match self.get(entries) {
            Value::Map(from) => {
                if let Err(error) = self.call.spend(from.len() as u64) {
                    return self.insert(map, error, Value::Null);
                }
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
        }
    }

    fn finish(&mut self, dst: Reg) -> Next {
        let Some(work) = self.work(dst) else { return Next::Following };
        let value = match std::mem::replace(work, Work::None) {
            Work::Items(items) => Value::List(List::Made(items.into_bump_slice())),
            Work::Entries(entries) => Value::Map(Map::Made(entries.into_bump_slice())),
            Work::Failed(error) => error,
            Work::None | Work::Loop(..) => Value::Error(&NO_VALUE),
        };
        self.set(dst, value)
    }

    fn iterate(&mut self, iter: Reg, src: Operand, end: Target) -> Next {
        let error = match self.get(src) {
            source @ (Value::List(_) | Value::Map(_)) => {
                return self.begin(iter, Work::Loop(source, 0));
            }
            error @ Value::Error(_) => error,
            other => self.call.no_overload("a comprehension", &[other]),
        };
        self.set(iter, error);
        Next::To(end)
    }

    /// The next element; the steps of the body are paid when there is one.
    pub(super) fn advance(
        &mut self,
        iter: Reg,
        [key, value]: [Reg; 2],
        pair: bool,
        end: Target,
        at: usize,
    ) -> Next {
        let arena = self.call.arena;
        let Some(Work::Loop(source, position)) = self.work(iter) else { return Next::To(end) };
        let (source, index) = (*source, *position);
        *position += 1;
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
        if let Err(error) = self.call.spend(self.predicate.weight(at)) {
            return self.done(error);
        }
        if pair {
            self.set(key, found_key);
        }
        self.set(value, found_value)
    }

    fn work(&mut self, register: Reg) -> Option<&mut Work<'a>> {
        let index = self.predicate.work(register)?;
        self.works.get_mut(index)
    }
}
