//! The `lists` extension.

use std::cmp::Ordering;

use bumpalo::collections::{CollectIn as _, Vec as BumpVec};

use super::{Call, Function, cost, overloads};
use crate::ty::Sig::{
    Bool, Bytes, Double, Duration, Dyn, Int, List, Optional, String, Timestamp, Uint, Var,
};
use crate::value::{self, FailureKind, Value};

/// Most numbers that `lists.range` makes.
const MAX_RANGE: i64 = 10_000;

pub(super) static FUNCTIONS: &[Function] = &[
    Function {
        name: "@sortByKeys",
        doc: "What `list.sortBy(x, key)` becomes: the list in the order of a list of keys.",
        examples: &[("['bb', 'a'].sortBy(s, size(s))", "[\"a\", \"bb\"]")],
        overloads: overloads! { global "sort_by_keys" [List(&Var(0)), List(&Var(1))] List(&Var(0)); },
        cost: cost::sorted,
        lowering: None,
        eval: |call, args| match *args {
            [Value::List(items), Value::List(keys)] => sorted(call, "sortBy", items, keys),
            _ => call.no_overload("sortBy", args),
        },
    },
    Function {
        name: "distinct",
        doc: "The items without repetitions, in their order.",
        examples: &[("[1, 2, 1.0, 3].distinct()", "[1, 2, 3]")],
        overloads: overloads! { member "list_distinct" [List(&Var(0))] List(&Var(0)); },
        cost: cost::pairs,
        lowering: None,
        eval: distinct,
    },
    Function {
        name: "first",
        doc: "The first item, as an optional.",
        examples: &[("[1, 2].first().value()", "1"), ("[].first().hasValue()", "false")],
        overloads: overloads! { member "list_first" [List(&Var(0))] Optional(&Var(0)); },
        cost: cost::item,
        lowering: None,
        eval: |call, args| match args {
            [Value::List(items)] => held(call, items.get(0, call.arena)),
            _ => call.no_overload("first", args),
        },
    },
    Function {
        name: "flatten",
        doc: "The items of inner lists in place of those lists, as many levels as given, or one.",
        examples: &[
            ("[1, [2, [3]]].flatten()", "[1, 2, [3]]"),
            ("[1, [2, [3]]].flatten(2)", "[1, 2, 3]"),
        ],
        overloads: overloads! {
            member "list_flatten" [List(&Dyn)] List(&Dyn);
            member "list_flatten_int" [List(&Dyn), Int] List(&Dyn);
        },
        cost: cost::flattened,
        lowering: None,
        eval: flatten,
    },
    Function {
        name: "last",
        doc: "The last item, as an optional.",
        examples: &[("[1, 2].last().value()", "2")],
        overloads: overloads! { member "list_last" [List(&Var(0))] Optional(&Var(0)); },
        cost: cost::item,
        lowering: None,
        eval: |call, args| match args {
            [Value::List(items)] => {
                let last = items.len().checked_sub(1);
                held(call, last.and_then(|last| items.get(last, call.arena)))
            }
            _ => call.no_overload("last", args),
        },
    },
    Function {
        name: "lists.range",
        doc: "The whole numbers from 0 up to, but not including, a number of at most 10,000.",
        examples: &[("lists.range(3)", "[0, 1, 2]")],
        overloads: overloads! { global "lists_range" [Int] List(&Int); },
        cost: |args| cost::range(args, MAX_RANGE),
        lowering: None,
        eval: range,
    },
    Function {
        name: "slice",
        doc: "The items from a position on, up to, but not including, a position.",
        examples: &[("[1, 2, 3, 4].slice(1, 3)", "[2, 3]")],
        overloads: overloads! { member "list_slice" [List(&Var(0)), Int, Int] List(&Var(0)); },
        cost: cost::slice,
        lowering: None,
        eval: slice,
    },
    Function {
        name: "sort",
        doc: "The items in ascending order; they are of one type that has an order.",
        examples: &[("[3, 1, 2].sort()", "[1, 2, 3]")],
        overloads: overloads! {
            member "list_bool_sort" [List(&Bool)] List(&Bool);
            member "list_int_sort" [List(&Int)] List(&Int);
            member "list_uint_sort" [List(&Uint)] List(&Uint);
            member "list_double_sort" [List(&Double)] List(&Double);
            member "list_string_sort" [List(&String)] List(&String);
            member "list_bytes_sort" [List(&Bytes)] List(&Bytes);
            member "list_timestamp_sort" [List(&Timestamp)] List(&Timestamp);
            member "list_duration_sort" [List(&Duration)] List(&Duration);
        },
        cost: cost::sorted,
        lowering: None,
        eval: |call, args| match *args {
            [Value::List(items)] => sorted(call, "sort", items, items),
            _ => call.no_overload("sort", args),
        },
    },
];

fn held<'a>(call: &Call<'a>, item: Option<Value<'a>>) -> Value<'a> {
    match item {
        Some(error @ Value::Error(_)) => error,
        item => Value::Optional(item.map(|item| &*call.arena.alloc(item))),
    }
}

fn made<'a>(items: BumpVec<'a, Value<'a>>) -> Value<'a> {
    Value::List(value::List::Made(items.into_bump_slice()))
}

fn distinct<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::List(items)] = *args else { return call.no_overload("distinct", args) };
    let mut kept = BumpVec::new_in(call.arena);
    for item in items.iter(call.arena) {
        if let Err(error) = call.spend(kept.len() as u64 + 1) {
            return error;
        }
        let (arena, budget) = (call.arena, &mut call.budget);
        let mut same = |known: &Value<'a>| value::equal_within(known, &item, arena, budget);
        match kept.iter().map(&mut same).find(|same| *same != Some(false)) {
            Some(None) => return call.exhausted(),
            Some(_) => {}
            None => kept.push(item),
        }
    }
    made(kept)
}

fn flatten<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let (items, levels) = match *args {
        [Value::List(items)] => (items, 1),
        [Value::List(items), Value::Int(levels)] => (items, levels),
        _ => return call.no_overload("flatten", args),
    };
    if levels < 0 {
        return call
            .fail(FailureKind::InvalidArgument, "`flatten`: the number of levels is negative");
    }
    let mut flat: BumpVec<'a, Value<'a>> = items.iter(call.arena).collect_in(call.arena);
    for _ in 0..levels {
        if let Err(error) = call.spend(flat.len() as u64 + 1) {
            return error;
        }
        let nested = flat.iter().any(|item| matches!(item, Value::List(_)));
        if !nested {
            break;
        }
        let mut next = BumpVec::with_capacity_in(flat.len(), call.arena);
        for item in flat {
            match item {
                Value::List(inner) => {
                    if let Err(error) = call.spend(inner.len() as u64) {
                        return error;
                    }
                    next.extend(inner.iter(call.arena));
                }
                other => next.push(other),
            }
        }
        flat = next;
    }
    made(flat)
}

fn range<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::Int(end)] = *args else { return call.no_overload("lists.range", args) };
    if end > MAX_RANGE {
        return call.fail(FailureKind::OutOfRange, "`lists.range`: the number is too large");
    }
    if let Err(error) = call.spend(end.max(0).unsigned_abs()) {
        return error;
    }
    let numbers = (0..end).map(Value::Int).collect_in(call.arena);
    made(numbers)
}

fn slice<'a>(call: &mut Call<'a>, args: &[Value<'a>]) -> Value<'a> {
    let [Value::List(items), Value::Int(from), Value::Int(to)] = *args else {
        return call.no_overload("slice", args);
    };
    let place = |n: i64| usize::try_from(n).ok().filter(|n| *n <= items.len());
    let (Some(from), Some(to)) = (place(from), place(to)) else {
        return call.fail(FailureKind::OutOfRange, "`slice`: a position is outside the list");
    };
    if from > to {
        return call.fail(FailureKind::OutOfRange, "`slice`: the end is before the start");
    }
    if let Err(error) = call.spend((to - from) as u64) {
        return error;
    }
    let part = (from..to).filter_map(|i| items.get(i, call.arena)).collect_in(call.arena);
    made(part)
}

/// Items in the order of their keys; equal keys keep the order of the items.
fn sorted<'a>(
    call: &mut Call<'a>,
    name: &str,
    items: value::List<'a>,
    keys: value::List<'a>,
) -> Value<'a> {
    let keys: BumpVec<'a, Value<'a>> = keys.iter(call.arena).collect_in(call.arena);
    let steps = keys.len() as u64 * u64::from(keys.len().checked_ilog2().unwrap_or(0) + 1);
    if let Err(error) = call.spend(steps) {
        return error;
    }
    if let Some(first) = keys.first() {
        let odd = keys.iter().find(|key| {
            key.type_name() != first.type_name() || value::compare(first, key).is_none()
        });
        if let Some(odd) = odd {
            return call.no_overload(name, &[*first, *odd]);
        }
    }
    let mut order: BumpVec<'a, (usize, Value<'a>, Value<'a>)> = keys
        .into_iter()
        .zip(items.iter(call.arena))
        .enumerate()
        .map(|(at, (key, item))| (at, key, item))
        .collect_in(call.arena);
    // Where they stood decides between equal ones; a sort that keeps that by itself allocates.
    order.sort_unstable_by(|(i, a, _), (j, b, _)| {
        value::compare(a, b).unwrap_or(Ordering::Equal).then(i.cmp(j))
    });
    let items = order.into_iter().map(|(_, _, item)| item).collect_in(call.arena);
    made(items)
}
