//! The answers of some conditions in all worlds that matter to them.

use bumpalo::Bump;
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Outcome, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::{Const, Slot};

use super::domain::{self, ROLE};
use super::fragment::{Fragment, Place};
use super::world::{Binding, World};
use super::{Condition, Facts};

/// What some conditions say in each world.
#[derive(Debug)]
pub struct Table {
    places: Vec<Place>,
    /// texts that conditions name, per attribute
    named: Vec<Vec<String>>,
    domains: Vec<Vec<Binding>>,
    worlds: usize,
    /// per condition, per world
    answers: Vec<Vec<Answer>>,
}

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

/// Evaluates conditions in all worlds that matter to them together. `None` when one of them lies
/// outside of what can be decided, or when there are too many worlds.
pub fn decide(facts: &Facts<'_>, conditions: &[Condition<'_>]) -> Option<Table> {
    let mut fragment = Fragment::default();
    for condition in conditions {
        fragment.add(condition.tree)?;
    }
    let domains = domain::domains(&fragment, facts)?;
    let named = fragment.seen.iter().map(|seen| {
        let texts = seen.literals.iter().filter_map(|literal| match literal {
            Const::String(text) => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    });
    let named = named.collect();
    let places = fragment.seen.into_iter().map(|seen| seen.place).collect();
    let worlds = domains.iter().map(Vec::len).product();
    let mut table = Table { places, named, domains, worlds, answers: Vec::new() };
    table.answers = evaluate(&table, facts, conditions)?;
    Some(table)
}

fn evaluate(
    table: &Table,
    facts: &Facts<'_>,
    conditions: &[Condition<'_>],
) -> Option<Vec<Vec<Answer>>> {
    let environment = facts.environment;
    let layout = Layout {
        user: environment.user.as_ref().map_or(0, |record| record.fields.len()),
        params: environment.params.len(),
        response: environment.response.is_some(),
    };
    let mut symbols = Symbols::default();
    let predicates: Vec<Predicate> = conditions
        .iter()
        .map(|condition| Predicate::link(condition.program, &layout, &mut symbols).ok())
        .collect::<Option<_>>()?;
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
        tool: symbols.text(""),
        session_id: None,
        client_ip: None,
    };
    let mut arena = Bump::new();
    let mut answers = vec![Vec::with_capacity(table.worlds); predicates.len()];
    for number in 0..table.worlds {
        let given = table.world(number).given(facts, &symbols);
        let inputs = Inputs {
            user: &given.user,
            user_map: &Datum::Null,
            params: &given.params,
            response: environment.response.as_ref().map(|_| &given.response),
            request: &request,
        };
        for (predicate, answers) in predicates.iter().zip(&mut answers) {
            answers.push(match predicate.evaluate(&inputs, &arena) {
                Outcome::True => Answer::True,
                Outcome::False => Answer::False,
                Outcome::Error(_) => Answer::Error,
            });
        }
        arena.reset();
    }
    Some(answers)
}

impl Table {
    /// The number of worlds.
    pub const fn worlds(&self) -> usize {
        self.worlds
    }

    /// What a condition says in a world.
    pub fn answer(&self, condition: usize, world: usize) -> Answer {
        let answers = self.answers.get(condition);
        answers.and_then(|answers| answers.get(world)).copied().unwrap_or(Answer::Error)
    }

    /// The first world that a test accepts.
    pub fn find(&self, mut test: impl FnMut(usize) -> bool) -> Option<usize> {
        (0..self.worlds).find(|world| test(*world))
    }

    /// What a condition says in every world, if that is the same.
    pub fn constant(&self, condition: usize) -> Option<Answer> {
        let first = self.answer(condition, 0);
        self.find(|world| self.answer(condition, world) != first).is_none().then_some(first)
    }

    /// Whether one of `those` takes effect wherever `this` does.
    pub fn implies(&self, this: usize, those: &[usize]) -> bool {
        let missed = |world: usize| {
            self.answer(this, world).fires()
                && !those.iter().any(|that| self.answer(*that, world).fires())
        };
        self.find(missed).is_none()
    }

    /// Whether the caller of a world has nothing that a condition names: no role, no permission, no
    /// attribute but those that everybody has.
    pub fn is_stranger(&self, number: usize) -> bool {
        let world = self.world(number);
        world.places.iter().zip(&self.named).all(|((place, binding), named)| {
            let (Slot::User(slot), path) = (place.slot, &place.path) else { return true };
            let unnamed = |text: &String| !named.contains(text);
            match binding {
                Binding::Absent | Binding::Null | Binding::Bool(false) => true,
                Binding::Text(text) => {
                    unnamed(text) || (slot == ROLE && path.is_empty() && text == "anonymous")
                }
                Binding::Texts(texts) => texts.iter().all(unnamed),
                _ => false,
            }
        })
    }

    /// A world by its number.
    pub fn world(&self, mut number: usize) -> World<'_> {
        let mut places = Vec::with_capacity(self.places.len());
        for (place, domain) in self.places.iter().zip(&self.domains) {
            let size = domain.len().max(1);
            places.extend(domain.get(number % size).map(|binding| (place, binding)));
            number /= size;
        }
        World { places }
    }
}
