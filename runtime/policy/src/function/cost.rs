//! What a call may cost in the worst case, from the sizes of its arguments, and how large its value
//! may be then. Each function's bound stands beside its evaluation; a test holds one against the other.

use std::sync::Arc;

use crate::value::{BYTES_PER_STEP, KEYS_PER_STEP};

/// Bytes that are searched in a step.
pub const BYTES_PER_SCAN_STEP: usize = 16;

/// The steps of looking through a text.
pub(crate) const fn scan_steps(text: &str) -> u64 {
    (text.len() / BYTES_PER_SCAN_STEP) as u64
}
/// Bytes of a number, time or other scalar as text, at most.
const SCALAR_BYTES: u64 = 40;
/// Bytes of a whole number, a truth value or null as text, at most.
const WHOLE_BYTES: u64 = 20;
/// Bytes of `null`, which may stand where a value is needed.
const NULL_BYTES: u64 = 4;
/// Bytes of a double as `%s` writes it, at most: all its digits.
const DOUBLE_BYTES: u64 = 330;
/// How deep values of a known shape are followed: at least as deep as they are compared.
const MAX_DEPTH: u32 = 200;

/// Which kinds of values a value may be of, as far as their texts differ in length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// whole numbers, truth values, null
    pub const WHOLE: Self = Self(1);
    /// numbers that are not whole
    pub const DOUBLE: Self = Self(1 << 1);
    /// times and types
    pub const SCALAR: Self = Self(1 << 2);
    /// texts
    pub const TEXT: Self = Self(1 << 3);
    /// octets
    pub const BYTES: Self = Self(1 << 4);
    /// lists and maps
    pub const MANY: Self = Self(1 << 5);
    /// all of them, where nothing is known
    pub const ANY: Self = Self(u8::MAX);

    /// Those of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::ANY
    }
}

/// The largest that a value may be. A value whose type is not known has the sizes of all types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// bytes of a text
    pub bytes: u64,
    /// items of a list, entries of a map
    pub items: u64,
    /// bytes of a key of a map
    pub key: u64,
    /// the items of a list, the values of a map, as large as the largest of them
    pub item: Option<Arc<Self>>,
    /// whether it may be a map that is made during evaluation, whose keys are searched one by one
    pub made: bool,
    /// whether it is a literal of the source
    pub literal: bool,
    /// the number that it is, where it is a literal
    pub number: Option<i64>,
    /// what it may be
    pub kinds: Kinds,
}

/// A value that has no size.
const NO_SIZE: Extent = Extent {
    bytes: 0,
    items: 0,
    key: 0,
    item: None,
    made: false,
    literal: false,
    number: None,
    kinds: Kinds::ANY,
};
static SCALAR: Extent = NO_SIZE;

/// What a call may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// steps beside the instruction itself
    pub steps: u64,
    /// the value that it makes
    pub value: Extent,
}

/// The worst-case cost of a call, from its arguments.
pub type CostOf = fn(&[Extent]) -> Cost;

impl Extent {
    /// A text of so many bytes.
    pub const fn text(bytes: u64) -> Self {
        Self { bytes, kinds: Kinds::TEXT, ..NO_SIZE }
    }

    /// A list of so many items.
    pub fn list(items: u64, item: Self) -> Self {
        Self { items, item: Some(Arc::new(item)), kinds: Kinds::MANY, ..NO_SIZE }
    }

    /// As large as either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let item = match (&self.item, &other.item) {
            (Some(a), Some(b)) if a == b => Some(Arc::clone(a)),
            (Some(a), Some(b)) => Some(Arc::new(a.or(b))),
            (one, None) | (None, one) => one.clone(),
        };
        Self {
            bytes: self.bytes.max(other.bytes),
            items: self.items.max(other.items),
            key: self.key.max(other.key),
            item,
            made: self.made || other.made,
            literal: false,
            number: self.number.filter(|number| other.number == Some(*number)),
            kinds: self.kinds.or(other.kinds),
        }
    }

    /// An item of it.
    pub fn item(&self) -> &Self {
        self.item.as_deref().unwrap_or(&SCALAR)
    }

    /// What looking for a key costs.
    pub const fn search_steps(&self) -> u64 {
        if self.made { self.items / KEYS_PER_STEP } else { 0 }
    }

    /// What it costs to tell whether two values are equal.
    pub fn equal_steps(&self, other: &Self) -> u64 {
        self.equal_below(other, 0)
    }

    fn equal_below(&self, other: &Self, depth: u32) -> u64 {
        let bytes = self.bytes.min(other.bytes) / BYTES_PER_STEP as u64;
        let items = self.items.min(other.items);
        if items == 0 || depth > MAX_DEPTH {
            return bytes;
        }
        // Keys that were made are looked for one by one, whichever of the two stands first.
        let search = if self.made || other.made { self.items.max(other.items) } else { 0 };
        let each = (1 + search).saturating_add(self.item().equal_below(other.item(), depth + 1));
        bytes.saturating_add(items.saturating_mul(each))
    }

    /// What asking whether it is in a list or map costs.
    pub fn search_in(&self, other: &Self) -> u64 {
        let each = self.equal_steps(other.item()).saturating_add(1);
        other.items.saturating_mul(each)
    }

    /// The bytes of the value as `%s` writes it, and the steps that this takes: the most that any of
    /// the kinds needs.
    fn written(&self, depth: u32) -> (u64, u64) {
        let whole = [(Kinds::WHOLE, WHOLE_BYTES), (Kinds::SCALAR, SCALAR_BYTES)];
        // What is no UTF-8 becomes a character of three bytes.
        let octets = self.bytes.saturating_mul(3);
        let texts = [(Kinds::TEXT, self.bytes), (Kinds::BYTES, octets)];
        let all = whole.into_iter().chain(texts).chain([(Kinds::DOUBLE, DOUBLE_BYTES)]);
        let own = all.filter(|(kind, _)| self.kinds.has(*kind)).map(|(_, bytes)| bytes).max();
        let own = (own.unwrap_or(0).max(NULL_BYTES), self.bytes.max(1).saturating_add(1));
        if !self.kinds.has(Kinds::MANY) || depth > MAX_DEPTH {
            return own;
        }
        let (bytes, steps) = if self.items == 0 { (0, 0) } else { self.item().written(depth + 1) };
        // The items of lists have no keys.
        let (key, taken) = match self.key {
            0 => (0, 0),
            key => (key.max(WHOLE_BYTES).saturating_add(2), key.saturating_add(1)),
        };
        let each = sum([bytes, key, 2]);
        let taken = sum([steps, taken, 1]);
        let bytes = self.items.saturating_mul(each).saturating_add(2);
        let steps = self.items.saturating_mul(taken).saturating_add(2);
        (own.0.max(bytes), own.1.max(steps))
    }
}

impl Cost {
    /// A scalar that takes so many steps.
    pub const fn scalar(steps: u64) -> Self {
        Self { steps, value: NO_SIZE }
    }
}

/// An argument; an overload of fewer has none there.
fn arg(args: &[Extent], index: usize) -> &Extent {
    args.get(index).unwrap_or(&SCALAR)
}

/// A sum of sizes.
fn sum(sizes: impl IntoIterator<Item = u64>) -> u64 {
    sizes.into_iter().fold(0, u64::saturating_add)
}

/// No step beside the instruction, and a scalar.
pub(super) const fn constant(_: &[Extent]) -> Cost {
    Cost::scalar(0)
}

/// The first argument again, or one of the same size, without looking at it.
pub(super) fn same(args: &[Extent]) -> Cost {
    Cost { steps: 0, value: Extent { literal: false, ..arg(args, 0).clone() } }
}

/// One argument or the other.
pub(super) fn either(args: &[Extent]) -> Cost {
    Cost { steps: 0, value: arg(args, 0).or(arg(args, 1)) }
}

/// An item of the first argument.
pub(super) fn item(args: &[Extent]) -> Cost {
    Cost { steps: 0, value: arg(args, 0).item().clone() }
}

/// A step for each byte of the text, and a scalar.
pub(super) fn bytes(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).bytes)
}

/// A text that is searched.
pub(super) fn scan(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).bytes / BYTES_PER_SCAN_STEP as u64)
}

/// A step for each byte of the text, and a text that is no longer.
pub(super) fn text(args: &[Extent]) -> Cost {
    let bytes = arg(args, 0).bytes;
    Cost { steps: bytes, value: Extent::text(bytes) }
}

/// A step for each byte of the text, and at most twice as many bytes with four more.
pub(super) fn doubled(args: &[Extent]) -> Cost {
    let bytes = arg(args, 0).bytes;
    Cost { steps: bytes, value: Extent::text(bytes.saturating_mul(2).saturating_add(4)) }
}

/// The text of a value that is no list or map.
pub(super) fn scalar_text(args: &[Extent]) -> Cost {
    Cost { steps: 0, value: Extent::text(arg(args, 0).bytes.max(SCALAR_BYTES)) }
}

/// A code point of a text.
pub(super) fn code_point(args: &[Extent]) -> Cost {
    Cost { steps: arg(args, 0).bytes, value: Extent::text(4) }
}

/// A step for each byte or item, and a value of the same size.
pub(super) fn copied(args: &[Extent]) -> Cost {
    let of = arg(args, 0);
    let value = Extent { literal: false, number: None, ..of.clone() };
    Cost { steps: of.bytes.saturating_add(of.items), value }
}

/// Both arguments behind one another.
pub(super) fn joined(args: &[Extent]) -> Cost {
    let (a, b) = (arg(args, 0), arg(args, 1));
    let (bytes, items) = (a.bytes.saturating_add(b.bytes), a.items.saturating_add(b.items));
    let value = Extent { bytes, items, literal: false, number: None, ..a.or(b) };
    Cost { steps: bytes.saturating_add(items), value }
}

/// The order of two values.
pub(super) fn order(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).bytes.min(arg(args, 1).bytes) / BYTES_PER_STEP as u64)
}

/// Whether two values are equal.
pub(super) fn equal(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).equal_steps(arg(args, 1)))
}

/// Whether the second argument has the first.
pub(super) fn membership(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).search_in(arg(args, 1)))
}

/// Items of the second list that are looked for in the first.
pub(super) fn each_in_other(args: &[Extent]) -> Cost {
    let (a, b) = (arg(args, 0), arg(args, 1));
    Cost::scalar(b.items.saturating_mul(b.item().search_in(a)))
}

/// Items of either list that are looked for in the other.
pub(super) fn each_in_each(args: &[Extent]) -> Cost {
    let (a, b) = (arg(args, 0), arg(args, 1));
    let back = a.items.saturating_mul(a.item().search_in(b));
    Cost::scalar(each_in_other(args).steps.saturating_add(back))
}

/// The items without repetitions: each is compared with those that were kept.
pub(super) fn pairs(args: &[Extent]) -> Cost {
    let list = arg(args, 0);
    let each = list.item().equal_steps(list.item()).saturating_add(1);
    let pairs = list.items.saturating_mul(list.items.saturating_add(1)) / 2;
    Cost { steps: pairs.saturating_mul(each).saturating_add(list.items), ..copied(args) }
}

/// A sort.
pub(super) fn sorted(args: &[Extent]) -> Cost {
    let items = arg(args, 0).items.max(arg(args, 1).items);
    let rounds = u64::from(items.checked_ilog2().unwrap_or(0) + 1);
    Cost { steps: items.saturating_mul(rounds), ..copied(args) }
}

/// A part of a list.
pub(super) fn slice(args: &[Extent]) -> Cost {
    Cost { steps: arg(args, 0).items, ..copied(args) }
}

/// Inner lists in place of lists, one level or all.
pub(super) fn flattened(args: &[Extent]) -> Cost {
    let rounds = match args {
        [_] => 1,
        [_, levels] => {
            levels.number.map_or(MAX_DEPTH, |n| u32::try_from(n.max(0)).unwrap_or(MAX_DEPTH))
        }
        _ => 0,
    };
    let (mut items, mut level) = (arg(args, 0).items, arg(args, 0).item().clone());
    let (mut steps, mut stays) = (0_u64, NO_SIZE);
    for _ in 0..rounds.min(MAX_DEPTH) {
        let inner = items.saturating_mul(level.items);
        steps = sum([steps, items, 1, inner]);
        if inner == 0 {
            // A list without items is one that goes, and what is left is looked at once more.
            steps = sum([steps, items, 1]);
            break;
        }
        // A map stays what it is, as everything does that is no list.
        let whole = level.key > 0 || level.made;
        let bytes = Extent { bytes: level.bytes, kinds: level.kinds, ..NO_SIZE };
        stays = stays.or(if whole { &level } else { &bytes });
        items = items.max(inner);
        level = level.item().clone();
    }
    Cost { steps, value: Extent::list(items, stays.or(&level)) }
}

/// The whole numbers below another, of which there are at most so many.
pub(super) fn range(args: &[Extent], most: i64) -> Cost {
    let items = arg(args, 0).number.unwrap_or(most).clamp(0, most).unsigned_abs();
    Cost { steps: items, value: Extent::list(items, Extent { kinds: Kinds::WHOLE, ..NO_SIZE }) }
}

/// Numbers one by one: those of a list, or the arguments.
pub(super) fn numbers(args: &[Extent]) -> Cost {
    Cost::scalar(arg(args, 0).items.max(args.len() as u64))
}

/// A list of texts behind one another, with a separator.
pub(super) fn concatenated(args: &[Extent]) -> Cost {
    let (list, separator) = (arg(args, 0), arg(args, 1));
    let each = sum([list.item().bytes, separator.bytes, 1]);
    let bytes = list.items.saturating_mul(each);
    Cost { steps: bytes, value: Extent::text(bytes) }
}

/// A text whose every place may be replaced.
pub(super) fn replaced(args: &[Extent]) -> Cost {
    let (text, by) = (arg(args, 0).bytes, arg(args, 2).bytes);
    let bytes = text.saturating_add(1).saturating_mul(by.saturating_add(1));
    Cost { steps: bytes, value: Extent::text(bytes) }
}

/// The parts of a text.
pub(super) fn parts(args: &[Extent]) -> Cost {
    let bytes = arg(args, 0).bytes;
    let items = bytes.saturating_add(1);
    Cost { steps: items, value: Extent::list(items, Extent::text(bytes)) }
}

/// A text that is held against a pattern; one that is no literal is compiled, at so many steps a byte.
pub(super) fn pattern(args: &[Extent], compile: u64) -> Cost {
    let (text, pattern) = (arg(args, 0).bytes, arg(args, 1));
    let compiled = if pattern.literal { 0 } else { pattern.bytes.saturating_mul(compile) };
    Cost::scalar(text.saturating_add(compiled))
}

/// A text in which values are written, each in at most so many bytes where it is a number.
pub(super) fn formatted(args: &[Extent], number_bytes: u64) -> Cost {
    let (pattern, values) = (arg(args, 0).bytes, arg(args, 1));
    let item = values.item();
    let (bytes, steps) = item.written(0);
    // Numbers may be written with many decimals, texts and octets as two digits for each byte.
    let number = if item.kinds.has(Kinds::WHOLE.or(Kinds::DOUBLE)) { number_bytes } else { 0 };
    let bytes = bytes.max(number).max(item.bytes.saturating_mul(2));
    // A clause has two characters at least, and takes a value.
    let clauses = values.items.min(pattern / 2);
    let each = sum([bytes, steps, 1]);
    let made = pattern.saturating_add(clauses.saturating_mul(bytes));
    Cost { steps: pattern.saturating_add(clauses.saturating_mul(each)), value: Extent::text(made) }
}
