//! Some conditions, the attributes they read, and what each says for all values of its own.

use mxcp_schemas::bundle::code::{Const, Slot};

use super::column::{Column, Evaluator};
use super::domain::{self, ROLE};
use super::fragment::{Fragment, Place};
use super::question::Question;
use super::world::Binding;
use super::{Condition, Facts};

/// What some conditions say.
#[derive(Debug)]
pub struct Table {
    pub(super) places: Vec<Place>,
    /// the values of each attribute that matter, where they are known
    pub(super) domains: Vec<Option<Vec<Binding>>>,
    /// texts that conditions name, per attribute
    named: Vec<Vec<String>>,
    /// what each condition says, where that can be decided
    pub(super) columns: Vec<Option<Column>>,
    /// whether a condition lies outside of what can be decided even by itself
    outside: Vec<bool>,
}

/// Evaluates conditions, each for all values of what it reads that matter to all of them together.
pub fn decide(facts: &Facts<'_>, conditions: &[Condition<'_>]) -> Table {
    let mut fragment = Fragment::default();
    let reads: Vec<Option<Vec<usize>>> =
        conditions.iter().map(|condition| fragment.add(condition.tree)).collect();
    let alone = |condition: &Condition<'_>| Fragment::default().add(condition.tree);
    let outside = conditions
        .iter()
        .zip(&reads)
        .map(|(condition, reads)| reads.is_none() && alone(condition).is_none())
        .collect();
    let domains = domain::domains(&fragment, facts);
    let text = |literal: &Const| match literal {
        Const::String(text) => Some(text.clone()),
        _ => None,
    };
    let named =
        fragment.seen.iter().map(|seen| seen.literals.iter().filter_map(text).collect()).collect();
    let places: Vec<Place> = fragment.seen.into_iter().map(|seen| seen.place).collect();
    let mut evaluator = Evaluator::new(facts, &places);
    let columns = conditions
        .iter()
        .zip(reads)
        .map(|(condition, reads)| evaluator.column(condition, reads?, &domains))
        .collect();
    Table { places, domains, named, columns, outside }
}

impl Table {
    /// Prepares a question about some of the conditions, by index. `None` when one of them could not
    /// be decided.
    pub fn question(&self, conditions: &[usize]) -> Option<Question<'_>> {
        Question::new(self, conditions)
    }

    /// Whether nothing more can be decided about these conditions when the others are left out, so that
    /// their attributes have fewer values.
    pub fn is_hopeless(&self, conditions: &[usize]) -> bool {
        conditions.len() == self.columns.len()
            || conditions.iter().any(|at| self.outside.get(*at).copied().unwrap_or(true))
    }

    /// Whether a caller with this value has nothing that a condition names: no role, no permission, no
    /// attribute but those that everybody has.
    pub(super) fn is_strange(&self, place: usize, value: &Binding) -> bool {
        let (Some(at), Some(named)) = (self.places.get(place), self.named.get(place)) else {
            return false;
        };
        let Slot::User(slot) = at.slot else { return true };
        let unnamed = |text: &String| !named.contains(text);
        match value {
            Binding::Absent | Binding::Null | Binding::Bool(false) => true,
            Binding::Text(text) => {
                unnamed(text) || (slot == ROLE && at.path.is_empty() && text == "anonymous")
            }
            Binding::Texts(texts) => texts.iter().all(unnamed),
            _ => false,
        }
    }
}
