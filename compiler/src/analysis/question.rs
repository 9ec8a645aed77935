//! A question about some conditions: the worlds that matter to them, and what each says there.

use mxcp_schemas::bundle::code::Slot;

use super::MAX_STEPS;
use super::column::{Answer, Column};
use super::fragment::Place;
use super::table::Table;
use super::world::{Binding, World};

/// Some conditions, in the order in which they were asked for, and the worlds that matter to them.
#[derive(Debug)]
pub struct Question<'t> {
    table: &'t Table,
    /// the attributes that one of them reads, by index in the table
    places: Vec<usize>,
    /// per attribute, the values that are looked at, by index in its domain
    choices: Vec<Vec<usize>>,
    conditions: Vec<Asked<'t>>,
}

#[derive(Debug)]
struct Asked<'t> {
    column: &'t Column,
    /// for each attribute that it reads, its place among those of the question
    reads: Vec<usize>,
}

/// One world of a question.
#[derive(Debug, Clone)]
pub struct Point<'q> {
    question: &'q Question<'q>,
    /// per attribute, the index of its value in the domain
    values: Vec<usize>,
}

impl<'t> Question<'t> {
    pub(super) fn new(table: &'t Table, conditions: &[usize]) -> Option<Self> {
        let columns: Vec<&Column> = conditions
            .iter()
            .map(|condition| table.columns.get(*condition)?.as_ref())
            .collect::<Option<_>>()?;
        let mut places: Vec<usize> =
            columns.iter().flat_map(|column| column.reads.iter().copied()).collect();
        places.sort_unstable();
        places.dedup();
        let choices = places
            .iter()
            .map(|place| Some((0..table.domains.get(*place)?.as_ref()?.len()).collect()))
            .collect::<Option<_>>()?;
        let asked = |column: &'t Column| {
            let reads = column.reads.iter().map(|read| places.binary_search(read).ok());
            Some(Asked { column, reads: reads.collect::<Option<_>>()? })
        };
        let conditions = columns.into_iter().map(asked).collect::<Option<_>>()?;
        Some(Self { table, places, choices, conditions })
    }

    /// The same about callers alone who have nothing that a condition names: no role, no permission,
    /// no attribute but those that everybody has.
    #[must_use]
    pub fn of_strangers(mut self) -> Self {
        for (place, choices) in self.places.iter().zip(&mut self.choices) {
            let Some(domain) = self.table.domains.get(*place).and_then(Option::as_ref) else {
                continue;
            };
            choices.retain(|choice| {
                domain.get(*choice).is_some_and(|value| self.table.is_strange(*place, value))
            });
        }
        self
    }

    /// The first world in which conditions take effect (`true`) or do not, as they are told, and that a
    /// test accepts. `None` when that takes more than [`MAX_STEPS`].
    ///
    /// Attributes are given their values one after the other, and a condition is asked as soon as all
    /// that it reads have theirs, so worlds in which an early one answers otherwise are never made.
    pub fn find(
        &self,
        told: &[(usize, bool)],
        test: impl FnMut(&Point<'_>) -> bool,
    ) -> Option<Option<Point<'_>>> {
        // What a condition reads before all others has its value last.
        let mut decided = vec![Vec::new(); self.places.len()];
        let point = Point { question: self, values: vec![0; self.places.len()] };
        for (condition, fires) in told {
            match self.conditions.get(*condition)?.reads.iter().min() {
                Some(last) => decided.get_mut(*last)?.push((*condition, *fires)),
                None if point.answer(*condition).fires() != *fires => return Some(None),
                None => {}
            }
        }
        let mut search = Search { point, decided, test, steps: 0 };
        Some(search.below(self.places.len())?.then_some(search.point))
    }

    /// Whether there is no world in which conditions take effect or do not as they are told, and that
    /// a test accepts. `None` when that takes more than [`MAX_STEPS`].
    pub fn none(
        &self,
        told: &[(usize, bool)],
        test: impl FnMut(&Point<'_>) -> bool,
    ) -> Option<bool> {
        self.find(told, test).map(|found| found.is_none())
    }

    /// What a condition says in every world, if that is the same.
    pub fn constant(&self, condition: usize) -> Option<Answer> {
        let answers = &self.conditions.get(condition)?.column.answers;
        let first = *answers.first()?;
        answers.iter().all(|answer| *answer == first).then_some(first)
    }

    /// Whether a condition takes effect in every world (`true`) or in none (`false`), if either.
    pub fn always(&self, condition: usize) -> Option<bool> {
        let answers = &self.conditions.get(condition)?.column.answers;
        let first = answers.first()?.fires();
        answers.iter().all(|answer| answer.fires() == first).then_some(first)
    }

    /// Whether one of `those` takes effect wherever `this` does. `None` when that takes more than
    /// [`MAX_STEPS`].
    pub fn implies(&self, this: usize, those: &[usize]) -> Option<bool> {
        let others = those.iter().map(|that| (*that, false));
        let told: Vec<(usize, bool)> = others.chain([(this, true)]).collect();
        self.none(&told, |_| true)
    }
}

/// A search for a world.
struct Search<'q, T> {
    point: Point<'q>,
    /// per attribute, the conditions that can be asked when it has its value, and how they must answer
    decided: Vec<Vec<(usize, bool)>>,
    test: T,
    steps: usize,
}

impl<T: FnMut(&Point<'_>) -> bool> Search<'_, T> {
    /// Gives values to the first so many attributes, those of the first changing fastest: whether that
    /// leads to a world. `None` when there were too many steps.
    fn below(&mut self, attributes: usize) -> Option<bool> {
        let Some(attribute) = attributes.checked_sub(1) else {
            return Some((self.test)(&self.point));
        };
        for choice in self.point.question.choices.get(attribute)? {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return None;
            }
            *self.point.values.get_mut(attribute)? = *choice;
            let fits = |(condition, fires): &(usize, bool)| {
                self.point.answer(*condition).fires() == *fires
            };
            if self.decided.get(attribute)?.iter().all(fits) && self.below(attribute)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

impl Point<'_> {
    /// What a condition says here.
    pub fn answer(&self, condition: usize) -> Answer {
        let Some(asked) = self.question.conditions.get(condition) else { return Answer::Error };
        let column = asked.column;
        let values = asked.reads.iter().zip(&column.strides);
        let at =
            values.map(|(read, stride)| self.values.get(*read).map_or(0, |v| v * stride)).sum();
        column.answers.get::<usize>(at).copied().unwrap_or(Answer::Error)
    }

    /// The attributes and their values.
    fn bindings(&self) -> impl Iterator<Item = (&Place, &Binding)> {
        let table = self.question.table;
        self.question.places.iter().zip(&self.values).filter_map(|(place, value)| {
            let domain = table.domains.get(*place)?.as_ref()?;
            Some((table.places.get(*place)?, domain.get(*value)?))
        })
    }

    /// The value of an attribute, if conditions read it.
    pub fn get(&self, slot: Slot) -> Option<&Binding> {
        let whole = |place: &Place| place.slot == slot && place.path.is_empty();
        self.bindings().find(|(place, _)| whole(place)).map(|(_, binding)| binding)
    }

    /// The values of all attributes.
    pub fn world(&self) -> World<'_> {
        World { places: self.bindings().collect() }
    }
}
