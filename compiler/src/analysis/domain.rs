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
        let mut literals: Vec<&Const> = Vec::new();
        for literal in members().flat_map(|seen| &seen.literals) {
            if !literals.contains(&literal) {
                literals.push(literal);
            }
        }
        domain(seen, facts, &literals, members().count())
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
    literals: &[&Const],
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
        Ty::List(item) if **item == Ty::String => {
            lists(&texts(seen, None, literals, members)?, literals.len())?
        }
        Ty::Int if alone => ints(literals),
        Ty::Double if alone => doubles(literals),
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

/// The literals and, for each of the attributes that are compared with one another, a fresh text.
fn texts(
    seen: &Seen,
    written: Option<&Type>,
    literals: &[&Const],
    members: usize,
) -> Option<Vec<Binding>> {
    let mut known: Vec<&str> = Vec::new();
    for literal in literals {
        // A text never equals what is no text.
        if let Const::String(text) = literal {
            known.push(text);
        }
    }
    let choices = written.map_or(&[][..], |ty| ty.choices.as_slice());
    if !choices.is_empty() {
        let all = choices.iter().filter_map(|choice| choice.value.as_str());
        let (named, mut others): (Vec<&str>, Vec<&str>) = all.partition(|c| known.contains(c));
        others.truncate(members);
        return Some(named.into_iter().chain(others).map(Binding::text).collect());
    }
    let role = seen.place == Place { slot: Slot::User(ROLE), path: Vec::new() } && members == 1;
    let candidates = role.then_some("user").into_iter().chain(FRESH);
    let accepted =
        |text: &&str| written.is_none_or(|ty| ty.accepts(&serde_json::Value::from(*text)).is_ok());
    let fresh: Vec<&str> =
        candidates.filter(|text| !known.contains(text)).filter(accepted).take(members).collect();
    (fresh.len() == members).then_some(())?;
    Some(known.into_iter().chain(fresh).map(Binding::text).collect())
}

/// The slot of `user.role`.
pub(super) const ROLE: u16 = 5;

/// All sets of the texts.
fn lists(texts: &[Binding], literals: usize) -> Option<Vec<Binding>> {
    (literals <= MAX_LIST_LITERALS && texts.len() <= MAX_LIST_LITERALS + 2).then_some(())?;
    let sets = 0..1_usize << texts.len();
    Some(
        sets.map(|set| {
            let member = |(at, _): &(usize, &Binding)| set & (1 << at) != 0;
            let chosen = texts.iter().enumerate().filter(member);
            Binding::Texts(
                chosen.filter_map(|(_, text)| text.as_text().map(str::to_owned)).collect(),
            )
        })
        .collect(),
    )
}

fn ints(literals: &[&Const]) -> Vec<Binding> {
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

fn doubles(literals: &[&Const]) -> Vec<Binding> {
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
        points.windows(2).filter_map(|w| Some((w.first()? + w.last()?) / 2.0)).collect();
    let ends = match (points.first(), points.last()) {
        (Some(first), Some(last)) => vec![first - 1.0, last + 1.0],
        _ => vec![1.5],
    };
    points.extend(between);
    points.extend(ends);
    points.into_iter().map(Binding::Double).collect()
}

fn instants(literals: &[&Const]) -> Vec<Binding> {
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

fn durations(literals: &[&Const]) -> Vec<Binding> {
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
fn anything(seen: &Seen, literals: &[&Const], members: usize) -> Option<Vec<Binding>> {
    let mut values = texts(seen, None, literals, members)?;
    let any = |test: fn(&Const) -> bool| literals.iter().any(|literal| test(literal));
    if any(|c| matches!(c, Const::Bool(_))) {
        values.extend([Binding::Bool(true), Binding::Bool(false)]);
    }
    if any(|c| matches!(c, Const::Int(_))) {
        values.extend(ints(literals));
    }
    if any(|c| matches!(c, Const::Double(_))) {
        values.extend(doubles(literals));
    }
    // A time that is compared with an untyped value would have to be read from a text.
    (!any(|c| matches!(c, Const::Timestamp(..) | Const::Duration(..)))).then_some(values)
}
