//! The `sets` extension: lists seen as sets, where repetitions and order do not count.

use super::{Call, Function, cost, overloads};
use crate::ty::Sig::{Bool, List, Var};
use crate::value::{self, Value};

macro_rules! relation {
    ($name:literal, $id:literal, $doc:literal, $examples:expr, $cost:expr, $holds:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! { global $id [List(&Var(0)), List(&Var(0))] Bool; },
            cost: $cost,
            lowering: None,
            eval: |call, args| match *args {
                [Value::List(a), Value::List(b)] => match ($holds as Holds)(call, a, b) {
                    Ok(holds) => Value::Bool(holds),
                    Err(error) => error,
                },
                _ => call.no_overload($name, args),
            },
        }
    };
}

type Holds = for<'a> fn(&mut Call<'a>, value::List<'a>, value::List<'a>) -> Result<bool, Value<'a>>;

pub(super) static FUNCTIONS: &[Function] = &[
    relation!(
        "sets.contains",
        "list_sets_contains_list",
        "Whether the first list has every item of the second.",
        &[("sets.contains([1, 2, 3], [2, 1.0])", "true")],
        cost::each_in_other,
        contains
    ),
    relation!(
        "sets.equivalent",
        "list_sets_equivalent_list",
        "Whether each list has every item of the other.",
        &[("sets.equivalent([1, 2, 2], [2, 1])", "true")],
        cost::each_in_each,
        |call, a, b| Ok(contains(call, a, b)? && contains(call, b, a)?)
    ),
    relation!(
        "sets.intersects",
        "list_sets_intersects_list",
        "Whether the lists have an item in common.",
        &[("sets.intersects([1], [2, 3])", "false")],
        cost::each_in_other,
        intersects
    ),
];

fn contains<'a>(
    call: &mut Call<'a>,
    all: value::List<'a>,
    some: value::List<'a>,
) -> Result<bool, Value<'a>> {
    for item in some.iter(call.arena) {
        if !has(call, all, &item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects<'a>(
    call: &mut Call<'a>,
    a: value::List<'a>,
    b: value::List<'a>,
) -> Result<bool, Value<'a>> {
    for item in b.iter(call.arena) {
        if has(call, a, &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has<'a>(
    call: &mut Call<'a>,
    list: value::List<'a>,
    item: &Value<'a>,
) -> Result<bool, Value<'a>> {
    call.spend(list.len() as u64)?;
    let (arena, budget) = (call.arena, &mut call.budget);
    let mut same = |known: Value<'a>| value::equal_within(&known, item, arena, budget);
    match list.iter(arena).map(&mut same).find(|same| *same != Some(false)) {
        Some(None) => Err(call.exhausted()),
        found => Ok(found.is_some()),
    }
}
