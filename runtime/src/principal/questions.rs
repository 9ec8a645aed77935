//! What the conditions of a bundle ask of callers, and what they came to for one of them.
//!
//! There may be a hundred thousand callers and thousands of conditions, so a caller keeps only what
//! was asked about it: two bits for a condition that depends on the caller alone, a byte for each
//! such part of another condition, both made when the first one is asked. Where they are is the same
//! for all callers and kept once; what they say is never shared.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use mxcp_policy::datum::Datum;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::reads::{Reads, reads};
use mxcp_schemas::bundle::code::{Program, Slot, USER_ATTRIBUTES};
use mxcp_schemas::bundle::manifest::UserAttribute;

/// Bytes that are made at once for parts of conditions; more only where one condition has more.
const PAGE_BYTES: usize = 64;
/// Conditions whose outcomes are in one word.
const PER_WORD: usize = 32;

/// What the conditions of a bundle ask of callers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// the names of attributes, by slot, once there was a caller
    names: OnceLock<Box<[Box<str>]>>,
    /// how much of each attribute some condition reads, by slot; nothing of those that none reads
    read: Box<[Option<Reads>]>,
    conditions: Vec<Condition>,
    /// how many conditions depend on the caller alone
    whole: usize,
    /// bytes of each page of parts
    pages: Vec<usize>,
}

/// What one condition asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    place: Place,
    /// whether it reads the caller as a whole
    reads_all: bool,
}

/// Where it is remembered what a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    /// the number of its two bits
    Whole(usize),
    /// its bytes in a page
    Parts {
        page: usize,
        first: usize,
        count: usize,
    },
}

impl Questions {
    /// What no condition asks of callers with so many attributes.
    pub fn new(users: usize) -> Self {
        Self { read: vec![None; users].into(), ..Self::default() }
    }

    /// Adds what the next condition asks.
    pub fn add(&mut self, program: &Program, predicate: &Predicate) {
        let place = self.place(predicate);
        let reads_all = predicate.slots().any(|slot| slot == Slot::UserMap);
        self.note_read(program);
        self.conditions.push(Condition { place, reads_all });
    }

    /// Notes the names of the declared attributes: the same for all callers, and kept once.
    pub(super) fn name(&self, declared: &[UserAttribute]) {
        self.names.get_or_init(|| {
            let declared = declared.iter().map(|attribute| attribute.name.as_str());
            USER_ATTRIBUTES.into_iter().chain(declared).map(Into::into).collect()
        });
    }

    fn note_read(&mut self, program: &Program) {
        for (slot, more) in reads(program) {
            if let Some(read) = self.read.get_mut(usize::from(slot)) {
                read.get_or_insert_default().add(more);
            }
        }
        if program.inputs.iter().any(|input| input.slot == Slot::UserMap) {
            self.read.fill(Some(Reads::everything()));
        }
    }

    fn place(&mut self, predicate: &Predicate) -> Place {
        let count = usize::from(predicate.parts());
        if predicate.depends().caller_only() {
            self.whole += 1;
            return Place::Whole(self.whole - 1);
        }
        if count == 0 {
            return Place::Nowhere;
        }
        let used = self.pages.last().copied().filter(|used| used + count <= PAGE_BYTES);
        let first = used.unwrap_or(0);
        match self.pages.last_mut().filter(|_| used.is_some()) {
            Some(page) => *page += count,
            None => self.pages.push(count),
        }
        let page = self.pages.len() - 1;
        Place::Parts { page, first, count }
    }

    /// The names of all attributes in slot order: the built-in ones, then the declared ones.
    pub fn names(&self) -> &[Box<str>] {
        self.names.get().map_or(&[], |names| names)
    }

    /// What has to be kept of the value of an attribute: what conditions read of it, and null where
    /// none does.
    pub(super) fn keep(&self, slot: usize, value: Datum) -> Datum {
        match self.read.get(slot) {
            Some(Some(reads)) => reads.keep(value),
            Some(None) | None => Datum::Null,
        }
    }

    /// How many slots there are up to the last one that some condition reads.
    pub(super) fn slots_read(&self) -> usize {
        self.read.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
    }

    /// Whether a condition reads the caller as a whole.
    pub fn reads_all(&self, condition: usize) -> bool {
        self.conditions.get(condition).is_some_and(|condition| condition.reads_all)
    }

    fn place_of(&self, condition: usize) -> Place {
        self.conditions.get(condition).map_or(Place::Nowhere, |condition| condition.place)
    }

    /// Questions of tests: every attribute is read as a whole, and the first `whole` conditions depend on the
    /// caller alone; the next ones have as many parts as `parts` says.
    #[cfg(test)]
    pub(crate) fn of_test(declared: usize, whole: usize, parts: &[usize]) -> Self {
        let read = vec![Some(Reads::everything()); USER_ATTRIBUTES.len() + declared].into();
        let mut questions = Self { read, ..Self::default() };
        questions.whole = whole;
        questions.pages = parts.into();
        let whole = (0..whole).map(Place::Whole);
        let parts = parts.iter().enumerate().map(|(page, count)| Place::Parts {
            page,
            first: 0,
            count: *count,
        });
        let condition = |place| Condition { place, reads_all: true };
        questions.conditions = whole.chain(parts).map(condition).collect();
        questions
    }
}

/// What a condition that depends on the caller alone came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// it is false
    False,
    /// it is true
    True,
    /// it cannot be evaluated
    Error,
}

impl Remembered {
    /// Two bits. None of them is nothing, and both together close.
    const fn bits(self) -> u64 {
        match self {
            Self::False => 1,
            Self::True => 2,
            Self::Error => 3,
        }
    }

    const fn of_bits(bits: u64) -> Option<Self> {
        match bits {
            0 => None,
            1 => Some(Self::False),
            2 => Some(Self::True),
            _ => Some(Self::Error),
        }
    }
}

/// What conditions came to for one caller.
#[derive(Debug, Default)]
pub(super) struct Memory {
    whole: OnceLock<Box<[AtomicU64]>>,
    pages: OnceLock<Box<[Page]>>,
}

/// The bytes of the parts of some conditions, once one of them was asked.
type Page = OnceLock<Box<[AtomicU8]>>;

impl Memory {
    /// What a condition that depends on the caller alone comes to: evaluated on first use.
    pub(super) fn remember(
        &self,
        questions: &Questions,
        condition: usize,
        evaluate: impl FnOnce() -> Remembered,
    ) -> Remembered {
        let Place::Whole(number) = questions.place_of(condition) else { return evaluate() };
        let words = || (0..questions.whole.div_ceil(PER_WORD)).map(|_| AtomicU64::new(0)).collect();
        let Some(word) = self.whole.get_or_init(words).get(number / PER_WORD) else {
            return evaluate();
        };
        let shift = 2 * (number % PER_WORD);
        // Two threads may both evaluate. They come to the same; if they did not, the bits of both
        // together are those of an error.
        Remembered::of_bits(word.load(Ordering::Relaxed) >> shift & 3).unwrap_or_else(|| {
            let outcome = evaluate();
            word.fetch_or(outcome.bits() << shift, Ordering::Relaxed);
            outcome
        })
    }

    /// The bytes of the parts of a condition that depend on the caller alone.
    pub(super) fn parts(&self, questions: &Questions, condition: usize) -> &[AtomicU8] {
        let Place::Parts { page, first, count } = questions.place_of(condition) else {
            return &[];
        };
        let pages =
            self.pages.get_or_init(|| questions.pages.iter().map(|_| Page::new()).collect());
        let Some(cell) = pages.get(page) else { return &[] };
        let bytes = questions.pages.get(page).copied().unwrap_or(0);
        let page = cell.get_or_init(|| (0..bytes).map(|_| AtomicU8::new(0)).collect());
        page.get(first..first + count).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn conditions_beside_each_other_do_not_mix() {
        let questions = Questions::of_test(0, 100, &[]);
        let memory = Memory::default();
        let outcome = |i: usize| match i % 3 {
            0 => Remembered::False,
            1 => Remembered::True,
            _ => Remembered::Error,
        };
        for i in (0..100).rev() {
            assert_eq!(memory.remember(&questions, i, || outcome(i)), outcome(i));
        }
        for i in 0..100 {
            let again = memory.remember(&questions, i, || panic!("it was evaluated before"));
            assert_eq!(again, outcome(i));
        }
    }

    #[test]
    fn what_has_no_place_is_evaluated_each_time() {
        let questions = Questions::of_test(0, 1, &[3]);
        let (memory, count) = (Memory::default(), Cell::new(0));
        for condition in [1, 1, 2, usize::MAX] {
            memory.remember(&questions, condition, || {
                count.set(count.get() + 1);
                Remembered::True
            });
        }
        assert_eq!(count.get(), 4);
    }

    #[test]
    fn two_outcomes_at_once_are_an_error() {
        let questions = Questions::of_test(0, 1, &[]);
        let memory = Memory::default();
        memory.remember(&questions, 0, || {
            memory.remember(&questions, 0, || Remembered::True);
            Remembered::False
        });
        let after = memory.remember(&questions, 0, || Remembered::True);
        assert_eq!(after, Remembered::Error);
    }

    #[test]
    fn each_condition_has_the_bytes_of_its_parts_to_itself() {
        let questions = Questions::of_test(0, 1, &[3, 200]);
        let memory = Memory::default();
        assert!(memory.parts(&questions, 0).is_empty());
        let (few, many) = (memory.parts(&questions, 1), memory.parts(&questions, 2));
        assert_eq!((few.len(), many.len()), (3, 200));
        for byte in few {
            byte.store(1, Ordering::Relaxed);
        }
        assert!(many.iter().all(|byte| byte.load(Ordering::Relaxed) == 0));
        assert!(memory.parts(&questions, 1).iter().all(|byte| byte.load(Ordering::Relaxed) == 1));
    }
}
