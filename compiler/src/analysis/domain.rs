//! The values that an attribute takes in the worlds that matter.

use mxcp_policy::ty::Ty;
use mxcp_schemas::bundle::code::{Const, Slot};
use mxcp_schemas::document::ty::Type;

use super::fragment::{Fragment, Place, Seen};
use super::world::Binding;
use super::{Facts, MAX_LIST_LITERALS};

/// Texts that stand for all that no condition mentions; what a type refuses is passed over.
const FRESH: [&str; 12] = [
    "other",
    "another",
    "different",
    "unlike",
    "foreign",
    "further",
    "other@example.com",
    "another@example.org",
    "https://example.com/other",
    "00000000-0000-0000-0000-000000000000",
    "OTHER",
    "0",
];

/// The values of each attribute; `None` where they are too many, or where none can be found that the
/// declared type accepts.
pub(super) fn domains(fragment: &Fragment, facts: &Facts<'_>) -> Vec<Option<Vec<Binding>>> {
    let components = components(fragment);
    let of = |(seen, component): (&Seen, &usize)| {
        let members = || {
            let all = fragment.seen.iter().zip(&components);
            all.filter(|(_, other)| *other == component).map(|(seen, _)| seen)
        };
        let count = members().count();
        let mut literals: Vec<Const> = Vec::new();
        let mut add = |literal: Const| {
            if !literals.contains(&literal) {
                literals.push(literal);
            }
        };
        members().flat_map(|seen| &seen.literals).cloned().for_each(&mut add);
        // What one may be by its declaration, those that it is compared with may be as well.
        if count > 1 {
            let declared = members().filter_map(|seen| written(facts, &seen.place));
            let choices = declared.flat_map(|ty| choices_of(ty).chain(items_of(ty)));
            choices.map(|choice| Const::String(choice.to_owned())).for_each(&mut add);
        }
        domain(seen, facts, &literals, count)
    };
    fragment.seen.iter().zip(&components).map(of).collect()
}

/// Which attributes are compared with one another, directly or by way of others.
fn components(fragment: &Fragment) -> Vec<usize> {
    let mut component: Vec<usize> = (0..fragment.seen.len()).collect();
    let mut changed = true;
    while changed {
        changed = false;
        for (index, seen) in fragment.seen.iter().enumerate() {
            for other in &seen.with {
                let pair = (component.get(index).copied(), component.get(*other).copied());
                let (Some(a), Some(b)) = pair else { continue };
                if a != b {
                    let (low, high) = (a.min(b), a.max(b));
                    component.iter_mut().filter(|c| **c == high).for_each(|c| *c = low);
                    changed = true;
                }
            }
        }
    }
    component
}

fn domain(
    seen: &Seen,
    facts: &Facts<'_>,
    literals: &[Const],
    members: usize,
) -> Option<Vec<Binding>> {
    let (ty, may_lack) = declared(facts, &seen.place)?;
    let (nullable, ty) = match ty {
        Ty::Nullable(inner) => (true, *inner),
        other => (false, other),
    };
    let written = written(facts, &seen.place);
    // More than a few attributes that are compared with one another are beyond what is decided.
    let alone = members == 1;
    let mut values = match &ty {
        Ty::Bool => vec![Binding::Bool(true), Binding::Bool(false)],
        Ty::String => texts(seen, written, literals, members)?,
        Ty::List(item) if **item == Ty::String => lists(seen, written, literals, members)?,
        Ty::Int | Ty::Double if alone => numbers(&ty, written, literals)?,
        // Few of the moments between two others are in a list of choices.
        Ty::Timestamp | Ty::Duration if written.is_some_and(|ty| !ty.choices.is_empty()) => {
            return None;
        }
        Ty::Timestamp if alone => instants(literals),
        Ty::Duration if alone => durations(literals),
        Ty::Dyn => anything(seen, literals, members)?,
        _ => return None,
    };
    if let Some(written) = written.filter(|_| !matches!(ty, Ty::Timestamp | Ty::Duration)) {
        values.retain(|value| value.json().is_some_and(|json| written.accepts(&json).is_ok()));
    }
    // A result may be null wherever it pleases, whatever its declaration.
    if nullable || ty == Ty::Dyn || seen.place.slot == Slot::Response {
        values.push(Binding::Null);
    }
    if may_lack {
        values.push(Binding::Absent);
    }
    (!values.is_empty()).then_some(values)
}

/// The type of an attribute as it is declared, without what guards prove, and whether it may be absent.
pub(super) fn declared(facts: &Facts<'_>, place: &Place) -> Option<(Ty, bool)> {
    let environment = facts.environment;
    let mut ty = match place.slot {
        Slot::User(n) => environment.user.as_ref()?.fields.get(usize::from(n))?.ty.clone(),
        Slot::Param(n) => environment.params.get(usize::from(n))?.1.clone(),
        Slot::Response => environment.response.clone()?,
        _ => return None,
    };
    let mut may_lack = false;
    for field in &place.path {
        (ty, may_lack) = match ty.required() {
            Ty::Record(record) => match record.fields.iter().find(|f| f.name == *field) {
                Some(declared) => (declared.ty.clone(), may_lack || !declared.required),
                None if record.open => (Ty::Dyn, true),
                None => return None,
            },
            Ty::Map(_, value) => (*value, true),
            Ty::Dyn => (Ty::Dyn, true),
            _ => return None,
        };
    }
    Some((ty, may_lack))
}

/// The declaration of a parameter or of a field of the result.
fn written<'a>(facts: &Facts<'a>, place: &Place) -> Option<&'a Type> {
    let mut ty = match place.slot {
        Slot::Param(n) => *facts.parameters.get(usize::from(n))?,
        Slot::Response => facts.result?,
        _ => return None,
    };
    for field in &place.path {
        ty = &ty.properties.iter().find(|p| p.name.value == *field)?.ty;
    }
    (!ty.broken).then_some(ty)
}

/// The texts that a declaration lists.
fn choices_of(ty: &Type) -> impl Iterator<Item = &str> {
    ty.choices.iter().filter_map(|choice| choice.value.as_str())
}

/// The texts that the declaration of a list lists for its items.
fn items_of(ty: &Type) -> impl Iterator<Item = &str> {
    ty.items.iter().flat_map(|items| choices_of(items))
}

/// The literals and, for each of the attributes that are compared with one another, a fresh text.
fn texts(
    seen: &Seen,
    written: Option<&Type>,
    literals: &[Const],
    members: usize,
) -> Option<Vec<Binding>> {
    let mut known: Vec<&str> = Vec::new();
    for literal in literals {
        // A text never equals what is no text.
        if let Const::String(text) = literal {
            known.push(text);
        }
    }
    if written.is_some_and(|ty| !ty.choices.is_empty()) {
        let all = written.into_iter().flat_map(choices_of);
        let (named, mut others): (Vec<&str>, Vec<&str>) = all.partition(|c| known.contains(c));
        others.truncate(members);
        return Some(named.into_iter().chain(others).map(Binding::text).collect());
    }
    let role = seen.place == Place { slot: Slot::User(ROLE), path: Vec::new() } && members == 1;
    let candidates = role.then_some("user").into_iter().chain(FRESH);
    let fresh: Vec<&str> = candidates
        .filter(|text| !known.contains(text) && accepts(written, text))
        .take(members)
        .collect();
    (fresh.len() == members).then_some(())?;
    Some(known.into_iter().chain(fresh).map(Binding::text).collect())
}

/// Whether a declaration, if there is one, accepts a text.
fn accepts(written: Option<&Type>, text: &str) -> bool {
    written.is_none_or(|ty| ty.accepts(&serde_json::Value::from(text)).is_ok())
}

/// The slot of `user.role`.
pub(super) const ROLE: u16 = 5;

/// All sets of the texts, each as a list that the declaration accepts. A set of which there is none is
/// left out. `None` when there are too many, or when it cannot be told whether there is one.
fn lists(
    seen: &Seen,
    written: Option<&Type>,
    literals: &[Const],
    members: usize,
) -> Option<Vec<Binding>> {
    // Lists that are choices are no sets of texts.
    written.is_none_or(|ty| ty.choices.is_empty()).then_some(())?;
    let items = written.and_then(|ty| ty.items.as_deref());
    let texts = texts(seen, items, literals, members)?;
    let texts: Vec<&str> =
        texts.iter().filter_map(Binding::as_text).filter(|text| accepts(items, text)).collect();
    let few = literals.len() <= MAX_LIST_LITERALS && texts.len() <= MAX_LIST_LITERALS + 2;
    few.then_some(())?;
    let named = |text: &&str| literals.iter().any(|l| matches!(l, Const::String(l) if l == text));
    // What no condition tells from the unnamed texts that are in a list already.
    let spare: Vec<&str> = match items.filter(|items| !items.choices.is_empty()) {
        Some(items) => choices_of(items).collect(),
        None => FRESH.into_iter().filter(|text| accepts(items, text)).collect(),
    };
    let spare: Vec<&str> =
        spare.into_iter().filter(|text| !named(text) && !texts.contains(text)).collect();
    let mut values = Vec::new();
    for set in 0..1_usize << texts.len() {
        let member = |(at, _): &(usize, &&str)| set & (1 << at) != 0;
        let mut list: Vec<&str> =
            texts.iter().enumerate().filter(member).map(|(_, text)| *text).collect();
        let wanted = written.and_then(|ty| ty.min_items.as_ref()).map_or(0, |n| n.value);
        let wanted = usize::try_from(wanted).ok()?;
        let short = wanted.saturating_sub(list.len());
        let unique = written.is_some_and(|ty| ty.unique_items);
        match (list.last().copied(), list.iter().any(|text| !named(text))) {
            _ if short == 0 => {}
            (Some(last), _) if !unique => {
                (wanted <= MAX_PADDED_ITEMS).then_some(())?;
                list.resize(wanted, last);
            }
            // With choices, the spare ones are all that there are.
            (_, true) if short <= spare.len() => list.extend(spare.iter().take(short)),
            (_, true) if items.is_none_or(|items| items.choices.is_empty()) => return None,
            _ => continue,
        }
        values.push(Binding::Texts(list.into_iter().map(str::to_owned).collect()));
    }
    Some(values)
}

/// Most items that a list is given because its declaration asks for so many.
const MAX_PADDED_ITEMS: usize = 1_000;

/// Numbers: those that conditions name, the ends of what the declaration allows, and what lies between.
/// `None` when that does not stand for all that it allows.
fn numbers(ty: &Ty, written: Option<&Type>, literals: &[Const]) -> Option<Vec<Binding>> {
    if let Some(written) = written.filter(|ty| !ty.choices.is_empty()) {
        let number = |choice: &serde_json::Value| match ty {
            Ty::Int => choice.as_i64().map(Binding::Int),
            _ => choice.as_f64().map(Binding::Double),
        };
        return written.choices.iter().map(|choice| number(&choice.value)).collect();
    }
    // Which multiples lie between two literals is not looked for.
    written.is_none_or(|ty| ty.multiple_of.is_none()).then_some(())?;
    let ends = written.into_iter().flat_map(|ty| {
        [&ty.minimum, &ty.maximum, &ty.exclusive_minimum, &ty.exclusive_maximum]
            .into_iter()
            .flatten()
            .map(|end| &end.value)
    });
    let mut points = literals.to_vec();
    points.extend(ends.filter_map(|end| {
        end.as_i64().map(Const::Int).or_else(|| end.as_f64().map(Const::Double))
    }));
    Some(if *ty == Ty::Int { ints(&points) } else { doubles(&points) })
}

fn ints(literals: &[Const]) -> Vec<Binding> {
    let mut points: Vec<i64> = vec![];
    for literal in literals {
        match literal {
            Const::Int(n) => points.extend([n.saturating_sub(1), *n, n.saturating_add(1)]),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "saturates, and neighbours are kept"
            )]
            Const::Double(n) => points.extend([n.floor() as i64, n.ceil() as i64]),
            _ => {}
        }
    }
    if points.is_empty() {
        points.push(1);
    }
    points.sort_unstable();
    points.dedup();
    points.into_iter().map(Binding::Int).collect()
}

fn doubles(literals: &[Const]) -> Vec<Binding> {
    let mut points: Vec<f64> = literals
        .iter()
        .filter_map(|literal| match literal {
            Const::Double(n) => Some(*n),
            #[expect(clippy::cast_precision_loss, reason = "an input is a double, too")]
            Const::Int(n) => Some(*n as f64),
            _ => None,
        })
        .filter(|n| n.is_finite())
        .collect();
    points.sort_by(f64::total_cmp);
    points.dedup();
    let between: Vec<f64> =
        points.windows(2).filter_map(|w| Some(f64::midpoint(*w.first()?, *w.last()?))).collect();
    let ends = match (points.first(), points.last()) {
        // Far from zero, one less is the same.
        (Some(first), Some(last)) => vec![first - first.abs().max(1.0), last + last.abs().max(1.0)],
        _ => vec![1.5],
    };
    points.extend(between);
    points.extend(ends.into_iter().filter(|end| end.is_finite()));
    points.into_iter().map(Binding::Double).collect()
}

fn instants(literals: &[Const]) -> Vec<Binding> {
    let mut points = Vec::new();
    for literal in literals {
        if let Const::Timestamp(seconds, nanos) = literal {
            points.extend([(seconds - 1, *nanos), (*seconds, *nanos), (seconds + 1, *nanos)]);
        }
    }
    if points.is_empty() {
        points.push((0, 0));
    }
    points.sort_unstable();
    points.dedup();
    points.into_iter().map(|(s, n)| Binding::Timestamp(s, n)).collect()
}

fn durations(literals: &[Const]) -> Vec<Binding> {
    let mut points = Vec::new();
    for literal in literals {
        if let Const::Duration(seconds, nanos) = literal {
            points.extend([(seconds - 1, *nanos), (*seconds, *nanos), (seconds + 1, *nanos)]);
        }
    }
    if points.is_empty() {
        points.push((0, 0));
    }
    points.sort_unstable();
    points.dedup();
    points.into_iter().map(|(s, n)| Binding::Duration(s, n)).collect()
}

/// A value of unknown type: what it is compared with, a text that it is not, and truth values where
/// it is compared with one.
fn anything(seen: &Seen, literals: &[Const], members: usize) -> Option<Vec<Binding>> {
    let mut values = texts(seen, None, literals, members)?;
    let any = |test: fn(&Const) -> bool| literals.iter().any(test);
    if any(|c| matches!(c, Const::Bool(_))) {
        values.extend([Binding::Bool(true), Binding::Bool(false)]);
    }
    if any(|c| matches!(c, Const::Int(_) | Const::Double(_))) {
        values.extend(doubles(literals));
    }
    // A time that is compared with an untyped value would have to be read from a text.
    (!any(|c| matches!(c, Const::Timestamp(..) | Const::Duration(..)))).then_some(values)
}
