//! Order, size and membership. Equality, `in` and the boolean operators are instructions of their
//! own; their signatures stand here for the checker.

use super::{Call, Eval, Function, Lowering, Order, Overload, cost};
use crate::ty::Sig::{self, Bool, Bytes, Double, Duration, Int, Map, String, Timestamp, Uint, Var};
use crate::value::{self, BYTES_PER_STEP, FailureKind, List, Value};

/// The signatures of an order: equal types, and numbers of any two types.
macro_rules! order {
    ($name:literal, $word:literal, $doc:literal, $examples:expr, $order:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: &[
                pair(concat!($word, "_bool"), &[Bool, Bool]),
                pair(concat!($word, "_int64"), &[Int, Int]),
                pair(concat!($word, "_uint64"), &[Uint, Uint]),
                pair(concat!($word, "_double"), &[Double, Double]),
                pair(concat!($word, "_int64_uint64"), &[Int, Uint]),
                pair(concat!($word, "_int64_double"), &[Int, Double]),
                pair(concat!($word, "_uint64_int64"), &[Uint, Int]),
                pair(concat!($word, "_uint64_double"), &[Uint, Double]),
                pair(concat!($word, "_double_int64"), &[Double, Int]),
                pair(concat!($word, "_double_uint64"), &[Double, Uint]),
                pair(concat!($word, "_string"), &[String, String]),
                pair(concat!($word, "_bytes"), &[Bytes, Bytes]),
                pair(concat!($word, "_timestamp"), &[Timestamp, Timestamp]),
                pair(concat!($word, "_duration"), &[Duration, Duration]),
            ],
            cost: cost::order,
            lowering: Some(Lowering::Order($order)),
            eval: (|call, args| ordered($name, call, args, $order)) as Eval,
        }
    };
}

const fn pair(id: &'static str, params: &'static [Sig]) -> Overload {
    Overload { id, member: false, params, result: Bool }
}

pub(super) static FUNCTIONS: &[Function] = &[
    order!("_<_", "less", "Whether the first is less.", &[("1 < 1.5", "true")], Order::Less),
    order!(
        "_<=_",
        "less_equals",
        "Whether the first is less or equal.",
        &[("'a' <= 'b'", "true")],
        Order::LessOrEqual
    ),
    order!(
        "_>_",
        "greater",
        "Whether the first is greater.",
        &[("2u > 1", "true")],
        Order::Greater
    ),
    order!(
        "_>=_",
        "greater_equals",
        "Whether the first is greater or equal.",
        &[("duration('1h') >= duration('60m')", "true")],
        Order::GreaterOrEqual
    ),
    Function {
        name: "_==_",
        doc: "Whether two values are equal; numbers compare by value.",
        examples: &[("1 == 1.0", "true"), ("[1, 2] == [1, 2]", "true")],
        overloads: &[Overload {
            id: "equals",
            member: false,
            params: &[Var(0), Var(0)],
            result: Bool,
        }],
        cost: cost::equal,
        lowering: None,
        eval: |call, args| match args {
            [a, b] => equals(call, a, b, true),
            _ => call.no_overload("_==_", args),
        },
    },
    Function {
        name: "_!=_",
        doc: "Whether two values differ.",
        examples: &[("'a' != 'b'", "true")],
        overloads: &[Overload {
            id: "not_equals",
            member: false,
            params: &[Var(0), Var(0)],
            result: Bool,
        }],
        cost: cost::equal,
        lowering: None,
        eval: |call, args| match args {
            [a, b] => equals(call, a, b, false),
            _ => call.no_overload("_!=_", args),
        },
    },
    Function {
        name: "@in",
        doc: "Whether a list has the element, or a map the key.",
        examples: &[("2 in [1, 2]", "true"), ("'a' in {'a': 1}", "true")],
        overloads: &[
            Overload {
                id: "in_list",
                member: false,
                params: &[Var(0), Sig::List(&Var(0))],
                result: Bool,
            },
            Overload {
                id: "in_map",
                member: false,
                params: &[Var(0), Map(&Var(0), &Var(1))],
                result: Bool,
            },
        ],
        cost: cost::membership,
        lowering: None,
        eval: contains,
    },
    Function {
        name: "size",
        doc: "Code points of a string, bytes, items of a list, entries of a map.",
        examples: &[("size('né')", "2"), ("[1, 2].size()", "2")],
        overloads: &[
            sized("size_string", &[String], false),
            sized("size_bytes", &[Bytes], false),
            sized("size_list", &[Sig::List(&Var(0))], false),
            sized("size_map", &[Map(&Var(0), &Var(1))], false),
            sized("string_size", &[String], true),
            sized("bytes_size", &[Bytes], true),
            sized("list_size", &[Sig::List(&Var(0))], true),
            sized("map_size", &[Map(&Var(0), &Var(1))], true),
        ],
        cost: cost::bytes,
        lowering: Some(Lowering::Size),
        eval: size,
    },
];

const fn sized(id: &'static str, params: &'static [Sig], member: bool) -> Overload {
    Overload { id, member, params, result: Int }
}

fn equals<'a>(call: &mut Call<'a>, a: &Value<'a>, b: &Value<'a>, wanted: bool) -> Value<'a> {
    match value::equal_within(a, b, call.arena, &mut call.budget) {
        Some(same) => Value::Bool(same == wanted),
        None => call.exhausted(),
    }
}

fn ordered<'a>(name: &str, call: &mut Call<'a>, args: &[Value<'a>], order: Order) -> Value<'a> {
    let [a, b] = args else { return call.no_overload(name, args) };
    if let (Value::String(a), Value::String(b)) = (a, b)
        && let Err(error) = call.spend((a.text.len().min(b.text.len()) / BYTES_PER_STEP) as u64)
    {
        return error;
    }
    match value::compare(a, b) {
        Some(ordering) => Value::Bool(order.holds(ordering)),
        None if value::are_numbers(a, b) => Value::Bool(false),
        None => call.no_overload(name, args),
    }
}

/// `a in b`, also an instruction.
pub(crate) fn contains<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    match args {
        [element, Value::List(list)] => {
            if let Some(found) = answered(element, list) {
                return Value::Bool(found);
            }
            if let Err(error) = call.spend(list.len() as u64) {
                return error;
            }
            let (arena, budget) = (call.arena, &mut call.budget);
            let mut same = |item| value::equal_within(element, &item, arena, budget);
            match list.iter(arena).map(&mut same).find(|same| *same != Some(false)) {
                Some(None) => call.exhausted(),
                found => Value::Bool(found.is_some()),
            }
        }
        [key, Value::Map(map)] if key.can_be_key() => match call.spend(map.search_steps()) {
            Ok(()) => Value::Bool(map.get(key, call.arena).is_some()),
            Err(error) => error,
        },
        _ => call.no_overload("@in", args),
    }
}

/// What the index of a list says about a string, if it says anything.
fn answered(element: &Value<'_>, list: &List<'_>) -> Option<bool> {
    match (element, list) {
        (Value::String(text), List::Data(list)) => list.members()?.answer(text.symbol),
        _ => None,
    }
}

fn size<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let count = match args {
        [Value::String(text)] => {
            if let Err(error) = call.spend(text.text.len() as u64) {
                return error;
            }
            text.text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return call.no_overload("size", args),
    };
    i64::try_from(count).map_or_else(
        |_| call.fail(FailureKind::Overflow, "the size does not fit in 64 bits"),
        Value::Int,
    )
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;

    use super::*;

    #[test]
    fn equality_stops_where_a_small_value_would_take_forever() {
        let arena = Bump::new();
        let mut nested = Value::Int(1);
        for _ in 0..60 {
            nested = Value::List(List::Made(arena.alloc([nested, nested])));
        }
        for name in ["_==_", "_!=_", "@in"] {
            let mut call = Call { arena: &arena, budget: 10_000, patterns: &[] };
            let function = super::super::find(name).unwrap();
            let list = Value::List(List::Made(arena.alloc([nested])));
            let other = if name == "@in" { list } else { nested };
            let value = (function.eval)(&mut call, &[nested, other]);
            assert!(
                matches!(value, Value::Error(fault) if fault.kind == FailureKind::Budget),
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn looking_for_a_key_among_made_ones_costs_steps() {
        let arena = Bump::new();
        let entries: Vec<_> = (0..4_000).map(|i| (Value::Int(i), Value::Null)).collect();
        let map = Value::Map(value::Map::Made(arena.alloc_slice_copy(&entries)));
        let mut call = Call { arena: &arena, budget: 1_500, patterns: &[] };
        assert!(matches!(contains(&mut call, &[Value::Int(7), map]), Value::Bool(true)));
        assert_eq!(call.budget, 500);
        assert!(matches!(contains(&mut call, &[Value::Int(7), map]), Value::Error(_)));
    }
}
