//! Fields and elements, and membership in constant lists.

use bumpalo::collections::String as BumpString;
use mxcp_schemas::bundle::code::{ConstId, Operand, Reg};

use super::{Machine, Next};
use crate::datum::{self, Datum, Text};
use crate::function::{self, Call};
use crate::value::{FailureKind, Fault, List, Map, Str, Value};

impl<'a> Machine<'a> {
    fn field(&mut self, value: Value<'a>, name: Str<'a>) -> Result<Option<Value<'a>>, Value<'a>> {
        match value {
            Value::Map(map) => {
                self.call.spend(map.search_steps())?;
                Ok(map.find(&name, self.call.arena))
            }
            error @ Value::Error(_) => Err(error),
            other => {
                let message = bumpalo::format!(in self.call.arena, "`.{}` of {}", name.text, other.type_name());
                Err(self.fault(FailureKind::NoOverload, message))
            }
        }
    }

    pub(super) fn select(&mut self, dst: Reg, src: Operand, name: ConstId) -> Next {
        let name = self.predicate.name(name);
        if let Some(entries) = self.entries(src)
            && let Some(found) = datum::find(entries, name.text, name.symbol)
        {
            return self.set(dst, Value::of_datum(found, self.call.arena));
        }
        let value = self.select_slowly(src, name);
        self.set(dst, value)
    }

    /// The entries of a map of the inputs or of a part of them.
    #[inline]
    fn entries(&self, src: Operand) -> Option<&'a [(Text, Datum)]> {
        match src {
            Operand::Reg(register) => match self.registers.get(usize::from(register.0)) {
                Some(Value::Map(Map::Data(entries))) => Some(entries),
                _ => None,
            },
            src => match self.datum(src) {
                Some(Datum::Map(entries)) => Some(entries),
                _ => None,
            },
        }
    }

    fn select_slowly(&mut self, src: Operand, name: Str<'a>) -> Value<'a> {
        let source = self.get(src);
        if let optional @ Value::Optional(_) = source {
            return self.optional_field(optional, name);
        }
        match self.field(source, name) {
            Ok(Some(value)) => value,
            Ok(None) => {
                let message = bumpalo::format!(in self.call.arena, "there is no `{}`", name.text);
                self.fault(FailureKind::NoSuchKey, message)
            }
            Err(error) => error,
        }
    }

    pub(super) fn optional_field(&mut self, value: Value<'a>, name: Str<'a>) -> Value<'a> {
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

    pub(super) fn has(&mut self, src: Operand, name: Str<'a>) -> Value<'a> {
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

    pub(super) fn index(&mut self, src: Operand, key: Operand) -> Value<'a> {
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

    pub(super) fn index_optional(&mut self, src: Operand, key: Operand) -> Value<'a> {
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

    fn lookup(
        &mut self,
        source: Value<'a>,
        key: Value<'a>,
    ) -> Result<Option<Value<'a>>, Value<'a>> {
        match source {
            Value::Map(map) if key.can_be_key() => {
                self.call.spend(map.search_steps())?;
                Ok(map.get(&key, self.call.arena))
            }
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

    pub(super) fn quantify(&mut self, src: Operand, set: ConstId, any: bool) -> Value<'a> {
        let set = self.predicate.constant(set, self.call.arena);
        let source = self.get(src);
        quantify(&mut self.call, source, set, any)
    }

    fn fault(&self, kind: FailureKind, message: BumpString<'a>) -> Value<'a> {
        Value::Error(self.call.arena.alloc(Fault { kind, message: message.into_bump_str() }))
    }
}

/// Whether an element of a list, or a key of a map, is in a constant list (`any`), or all are.
/// The deciding answer outweighs errors among the elements.
pub(crate) fn quantify<'a>(
    call: &mut Call<'a>,
    source: Value<'a>,
    set: Value<'a>,
    any: bool,
) -> Value<'a> {
    let arena = call.arena;
    if let (Value::List(List::Data(list)), Value::List(List::Data(set))) = (source, set)
        && let (Some(list), Some(set)) = (list.members(), set.members())
        && let Some(found) = if any { list.meets(set) } else { list.within(set) }
    {
        return Value::Bool(found);
    }
    let count = match source {
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        error @ Value::Error(_) => return error,
        other => return call.no_overload("a comprehension", &[other]),
    };
    if let Err(error) = call.spend(count as u64) {
        return error;
    }
    let mut result = Value::Bool(!any);
    for index in 0..count {
        let element = match source {
            Value::List(list) => list.get(index, arena),
            Value::Map(map) => map.entry(index, arena).map(|(key, _)| key),
            _ => None,
        };
        match element {
            Some(error @ Value::Error(_)) => result = first_error(result, error),
            Some(element) => match function::contains(call, &[element, set]) {
                Value::Bool(found) if found == any => return Value::Bool(any),
                Value::Bool(_) => {}
                error => result = first_error(result, error),
            },
            None => {}
        }
    }
    result
}

const fn first_error<'a>(known: Value<'a>, error: Value<'a>) -> Value<'a> {
    if matches!(known, Value::Error(_)) { known } else { error }
}

/// An index: a whole number of any numeric type.
pub(crate) fn whole(key: Value<'_>) -> Option<i128> {
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
