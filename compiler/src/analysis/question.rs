//! A question about some conditions: the worlds that matter to them, and what each says there.

use super::MAX_WORLDS;
use super::column::{Answer, Column};
use super::table::Table;
use super::world::World;

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

    /// The number of worlds. `None` when there are more than [`MAX_WORLDS`].
    fn worlds(&self) -> Option<usize> {
        self.choices.iter().try_fold(1_usize, |worlds, choices| {
            worlds.checked_mul(choices.len()).filter(|worlds| *worlds <= MAX_WORLDS)
        })
    }

    /// The first world that a test accepts. `None` when there are too many worlds to look.
    pub fn find(&self, mut test: impl FnMut(&Point<'_>) -> bool) -> Option<Option<Point<'_>>> {
        let worlds = self.worlds()?;
        let mut point = Point { question: self, values: vec![0; self.places.len()] };
        for world in 0..worlds {
            let mut rest = world;
            for (value, choices) in point.values.iter_mut().zip(&self.choices) {
                *value = choices.get(rest % choices.len()).copied()?;
                rest /= choices.len();
            }
            if test(&point) {
                return Some(Some(point));
            }
        }
        Some(None)
    }

    /// Whether no world passes a test. `None` when there are too many worlds to look.
    pub fn none(&self, test: impl FnMut(&Point<'_>) -> bool) -> Option<bool> {
        self.find(test).map(|found| found.is_none())
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

    /// Whether one of `those` takes effect wherever `this` does. `None` when there are too many worlds.
    pub fn implies(&self, this: usize, those: &[usize]) -> Option<bool> {
        self.none(|point| {
            point.answer(this).fires() && !those.iter().any(|that| point.answer(*that).fires())
        })
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

    /// The values of all attributes.
    pub fn world(&self) -> World<'_> {
        let table = self.question.table;
        let values = self.question.places.iter().zip(&self.values).filter_map(|(place, value)| {
            let domain = table.domains.get(*place)?.as_ref()?;
            Some((table.places.get(*place)?, domain.get(*value)?))
        });
        World { places: values.collect() }
    }
}
