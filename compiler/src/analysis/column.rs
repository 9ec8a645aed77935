//! The answers of one condition for all values of the attributes that it reads.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Span, Symbols};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Slot;

use super::fragment::Place;
use super::world::Binding;
use super::{Condition, Facts, MAX_WORLDS};

/// What one condition says in one world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// it holds
    True,
    /// it does not
    False,
    /// it cannot be told, so its policy closes
    Error,
}

impl Answer {
    /// Whether the policy takes effect.
    pub const fn fires(self) -> bool {
        !matches!(self, Self::False)
    }
}

/// The answers of one condition.
#[derive(Debug)]
pub(super) struct Column {
    /// the attributes that it reads, by index
    pub(super) reads: Vec<usize>,
    /// how far apart the answers for two neighbouring values of an attribute are
    pub(super) strides: Vec<usize>,
    /// for each combination of values, those of the first attribute varying fastest
    pub(super) answers: Vec<Answer>,
}

/// Evaluates conditions.
pub(super) struct Evaluator<'a> {
    facts: &'a Facts<'a>,
    places: &'a [Place],
    symbols: Symbols,
    layout: Layout,
    arena: Bump,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(facts: &'a Facts<'a>, places: &'a [Place]) -> Self {
        let environment = facts.environment;
        let layout = Layout {
            user: environment.user.as_ref().map_or(0, |record| record.fields.len()),
            params: environment.params.len(),
            response: environment.response.is_some(),
        };
        Self { facts, places, symbols: Symbols::default(), layout, arena: Bump::new() }
    }

    /// Evaluates a condition for all values of what it reads. `None` when that is not known, or when
    /// there are too many.
    pub(super) fn column(
        &mut self,
        condition: &Condition<'_>,
        reads: Vec<usize>,
        domains: &[Option<Vec<Binding>>],
    ) -> Option<Column> {
        let values: Vec<&[Binding]> = reads
            .iter()
            .map(|place| domains.get(*place).and_then(Option::as_deref))
            .collect::<Option<_>>()?;
        let mut strides = Vec::with_capacity(reads.len());
        let mut worlds = 1_usize;
        for values in &values {
            strides.push(worlds);
            worlds = worlds.checked_mul(values.len()).filter(|worlds| *worlds <= MAX_WORLDS)?;
        }
        let predicate = Predicate::link(condition.program, &self.layout, &mut self.symbols).ok()?;
        let data: Vec<Vec<Datum>> = values
            .iter()
            .map(|values| values.iter().map(|value| datum(value, &self.symbols)).collect())
            .collect();
        let mut given = Given::new(&self.layout);
        let request = Request {
            time: Instant { seconds: 0, nanos: 0 },
            tool: self.symbols.text(""),
            session_id: None,
            client_ip: None,
        };
        let mut answers = Vec::with_capacity(worlds);
        let places: Vec<&Place> =
            reads.iter().map(|place| self.places.get(*place)).collect::<Option<_>>()?;
        // Of whole inputs each has a place of its own; parts of one are put together anew each time.
        let whole = places.iter().all(|place| place.path.is_empty());
        for world in 0..worlds {
            if !whole {
                given.clear();
            }
            for (((place, values), data), stride) in
                places.iter().zip(&values).zip(&data).zip(&strides)
            {
                // The same value as in the world before is there already.
                if whole && world % stride != 0 {
                    continue;
                }
                let at = world / stride % values.len();
                let (binding, datum) = (values.get(at), data.get(at)?);
                let absent = binding == Some(&Binding::Absent);
                let input = if whole { given.slot(place.slot) } else { given.input(place.slot) };
                put(input?, &place.path, absent, datum, &self.symbols);
            }
            let response = self.facts.environment.response.as_ref().map(|_| &given.response);
            let inputs = Inputs {
                user: &given.user,
                user_map: &Datum::Null,
                params: &given.params,
                response,
                request: &request,
            };
            answers.push(match predicate.value(&inputs, &self.arena) {
                Value::Bool(true) => Answer::True,
                Value::Bool(false) => Answer::False,
                // What is no truth value errs as a condition.
                _ => Answer::Error,
            });
            self.arena.reset();
        }
        Some(Column { reads, strides, answers })
    }
}

/// What the interpreter is given. What no condition reads is null.
struct Given {
    user: Vec<Datum>,
    params: Vec<Datum>,
    response: Datum,
    /// inputs that are not null
    set: Vec<Slot>,
}

impl Given {
    fn new(layout: &Layout) -> Self {
        Self {
            user: vec![Datum::Null; layout.user],
            params: vec![Datum::Null; layout.params],
            response: Datum::Null,
            set: Vec::new(),
        }
    }

    fn clear(&mut self) {
        while let Some(slot) = self.set.pop() {
            if let Some(input) = self.slot(slot) {
                *input = Datum::Null;
            }
        }
    }

    fn input(&mut self, slot: Slot) -> Option<&mut Datum> {
        self.set.push(slot);
        self.slot(slot)
    }

    fn slot(&mut self, slot: Slot) -> Option<&mut Datum> {
        match slot {
            Slot::User(n) => self.user.get_mut(usize::from(n)),
            Slot::Param(n) => self.params.get_mut(usize::from(n)),
            _ => Some(&mut self.response),
        }
    }
}

/// Puts a value below an input, making maps on the way.
fn put(input: &mut Datum, path: &[String], absent: bool, value: &Datum, symbols: &Symbols) {
    let Some((first, rest)) = path.split_first() else {
        *input = value.clone();
        return;
    };
    let mut entries = match std::mem::replace(input, Datum::Null) {
        Datum::Map(entries) => entries.into_vec(),
        _ => Vec::new(),
    };
    let at = match entries.iter().position(|(key, _)| *key.text == **first) {
        Some(at) => Some(at),
        None if rest.is_empty() && absent => None,
        None => {
            entries.push((symbols.text(first.as_str()), Datum::Null));
            Some(entries.len() - 1)
        }
    };
    if let Some((_, below)) = at.and_then(|at| entries.get_mut(at)) {
        put(below, rest, absent, value, symbols);
    }
    entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
    *input = Datum::Map(entries.into());
}

fn datum(binding: &Binding, symbols: &Symbols) -> Datum {
    match binding {
        Binding::Absent | Binding::Null => Datum::Null,
        Binding::Bool(value) => Datum::Bool(*value),
        Binding::Int(value) => Datum::Int(*value),
        Binding::Double(value) => Datum::Double(*value),
        Binding::Text(text) => Datum::String(symbols.text(text.as_str())),
        Binding::Texts(texts) => {
            Datum::List(texts.iter().map(|t| Datum::String(symbols.text(t.as_str()))).collect())
        }
        Binding::Timestamp(seconds, nanos) => {
            Datum::Timestamp(Instant { seconds: *seconds, nanos: *nanos })
        }
        Binding::Duration(seconds, nanos) => {
            Datum::Duration(Span { seconds: *seconds, nanos: *nanos })
        }
    }
}
