//! Owned values: what the runtime hands to conditions as input.
//!
//! Strings that conditions mention are interned against the bundle's symbols when a datum is made,
//! so that most comparisons during evaluation are comparisons of numbers, and membership in a list of
//! strings is a bit.
//!
//! Symbols are complete before data are made with them: what is interned later is foreign to them.

use std::collections::HashMap;
use std::ops::Deref;

/// An owned CEL value. Compiled conditions read it in place, so its layout is C's: the tag, then the
/// payload at offset 8. The tags are those of [`crate::value::Value`].
#[derive(Debug, Clone, PartialEq)]
#[repr(C, u8)]
pub enum Datum {
    /// `null`
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `uint`
    Uint(u64),
    /// `double`
    Double(f64),
    /// `string`
    String(Text),
    /// `bytes`
    Bytes(Box<[u8]>),
    /// `timestamp`
    Timestamp(Instant),
    /// `duration`
    Duration(Span),
    /// `list`
    List(List),
    /// `map` with string keys, sorted by key
    Map(Box<[(Text, Datum)]>),
    /// An input that has no usable value, with what is wrong with it: a claim of the wrong type.
    /// Reading it is an evaluation error, never a default.
    Error(Box<str>),
}

/// The items of a list, and which symbols are among them.
#[derive(Debug, Clone, Default)]
#[repr(C)]
pub struct List {
    items: Box<[Datum]>,
    members: Option<Box<Members>>,
}

/// A set of symbols: bit `n` of the words stands for the symbol of number `n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Members {
    words: Box<[u64]>,
    has_foreign: bool,
}

/// Text with its symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Text {
    /// the characters
    pub text: Box<str>,
    /// its symbol
    pub symbol: Symbol,
}

/// What is known about a string among the strings that conditions mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C, u32)]
pub enum Symbol {
    /// Nothing: it was made during evaluation. Compared by its bytes.
    Unknown,
    /// It was looked up, and no condition mentions it.
    Foreign,
    /// It is the symbol of this number; equal numbers are equal strings.
    Known(u32),
}

/// A point in time, seconds since the Unix epoch and nanoseconds of that second
/// (0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Instant {
    /// seconds since 1970-01-01T00:00:00Z
    pub seconds: i64,
    /// nanoseconds of the second, 0 to 999,999,999
    pub nanos: u32,
}

/// A length of time, seconds and nanoseconds of the same sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Span {
    /// whole seconds
    pub seconds: i64,
    /// nanoseconds, -999,999,999 to 999,999,999
    pub nanos: i32,
}

/// How many entries of a map are looked at one by one.
pub(crate) const MAX_SCANNED: usize = 16;

/// The value of a key among entries that are sorted by key. The keys of small maps are compared by
/// their symbols.
pub(crate) fn find<'d>(
    entries: &'d [(Text, Datum)],
    name: &str,
    symbol: Symbol,
) -> Option<&'d Datum> {
    if entries.len() <= MAX_SCANNED && matches!(symbol, Symbol::Known(_)) {
        scan(entries, name, symbol)
    } else {
        search(entries, name)
    }
}

/// Finds a key that conditions mention by its symbol. A key that was never looked up could be any, so
/// maps that have one are searched by text.
fn scan<'d>(entries: &'d [(Text, Datum)], name: &str, symbol: Symbol) -> Option<&'d Datum> {
    for (key, value) in entries {
        if key.symbol == symbol {
            return Some(value);
        }
        if key.symbol == Symbol::Unknown {
            return search(entries, name);
        }
    }
    None
}

fn search<'d>(entries: &'d [(Text, Datum)], name: &str) -> Option<&'d Datum> {
    let found = entries.binary_search_by(|(key, _)| (*key.text).cmp(name)).ok()?;
    entries.get(found).map(|(_, value)| value)
}

impl List {
    /// A list in which membership of a string is a bit, where all items are strings with symbols:
    /// for lists that conditions look into again and again.
    pub fn indexed(items: Box<[Datum]>) -> Self {
        let members = Members::of(&items).map(Box::new);
        Self { items, members }
    }

    /// The symbols among the items, if all of them are strings that have been looked up.
    pub fn members(&self) -> Option<&Members> {
        self.members.as_deref()
    }
}

impl Members {
    /// The symbols of the items; none where an item is no string, or one that was never looked up.
    fn of(items: &[Datum]) -> Option<Self> {
        let number = |item: &Datum| match item {
            Datum::String(text) => match text.symbol {
                Symbol::Known(number) => Some(Some(number)),
                Symbol::Foreign => Some(None),
                Symbol::Unknown => None,
            },
            _ => None,
        };
        let numbers: Vec<Option<u32>> = items.iter().map(number).collect::<Option<_>>()?;
        let has_foreign = numbers.contains(&None);
        let numbers: Vec<u32> = numbers.into_iter().flatten().collect();
        let words = numbers.iter().max().map_or(0, |most| *most as usize / 64 + 1);
        let mut words = vec![0; words];
        for number in numbers {
            if let Some(word) = words.get_mut(number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Some(Self { words: words.into(), has_foreign })
    }

    /// Whether the symbol of that number is among them.
    pub fn has(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64);
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Whether a string of this symbol is an item; `None` where its bytes have to tell.
    pub fn answer(&self, symbol: Symbol) -> Option<bool> {
        match symbol {
            Symbol::Known(number) => Some(self.has(number)),
            Symbol::Foreign if !self.has_foreign => Some(false),
            _ => None,
        }
    }

    /// Whether a numbered symbol is in both.
    fn overlaps(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// Whether all of these are in the other, where symbols tell.
    pub fn within(&self, set: &Self) -> Option<bool> {
        if self.has_foreign {
            // What is foreign to the one may be among what is foreign to the other.
            return (!set.has_foreign).then_some(false);
        }
        let beyond = |at: usize| set.words.get(at).copied().unwrap_or(0);
        Some(self.words.iter().enumerate().all(|(at, word)| word & !beyond(at) == 0))
    }

    /// Whether a symbol is in both, where symbols tell.
    pub fn meets(&self, other: &Self) -> Option<bool> {
        let known = self.overlaps(other);
        (known || !self.has_foreign || !other.has_foreign).then_some(known)
    }

    /// Bit `n` of word `n / 64` stands for the symbol of number `n`; words beyond are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

impl Deref for List {
    type Target = [Datum];

    fn deref(&self) -> &[Datum] {
        &self.items
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}

impl From<Box<[Datum]>> for List {
    fn from(items: Box<[Datum]>) -> Self {
        Self { items, members: None }
    }
}

impl<const N: usize> From<[Datum; N]> for List {
    fn from(items: [Datum; N]) -> Self {
        Self { items: items.into(), members: None }
    }
}

impl FromIterator<Datum> for List {
    fn from_iter<I: IntoIterator<Item = Datum>>(items: I) -> Self {
        Self { items: items.into_iter().collect(), members: None }
    }
}

/// The strings that the conditions of a bundle mention, numbered.
#[derive(Debug, Default)]
pub struct Symbols {
    numbers: HashMap<Box<str>, u32>,
}

impl Symbols {
    /// The symbol of a string that a condition mentions; gives it a number if it has none.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if let Some(number) = self.numbers.get(text) {
            return Symbol::Known(*number);
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(text.into(), number);
        Symbol::Known(number)
    }

    /// The symbol of a string that comes from outside.
    pub fn find(&self, text: &str) -> Symbol {
        self.numbers.get(text).map_or(Symbol::Foreign, |number| Symbol::Known(*number))
    }

    /// Text with its symbol.
    pub fn text(&self, text: impl Into<Box<str>>) -> Text {
        let text = text.into();
        Text { symbol: self.find(&text), text }
    }
}

impl Datum {
    /// The value of a JSON document. Whole numbers are `int`, or `uint` where only that holds them.
    pub fn from_json(value: &serde_json::Value, symbols: &Symbols) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Self::Int(value),
                (None, Some(value)) => Self::Uint(value),
                _ => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(symbols.text(text.as_str())),
            Value::Array(items) => {
                Self::List(items.iter().map(|item| Self::from_json(item, symbols)).collect())
            }
            Value::Object(fields) => {
                let mut entries: Vec<(Text, Self)> = fields
                    .iter()
                    .map(|(k, v)| (symbols.text(k.as_str()), Self::from_json(v, symbols)))
                    .collect();
                entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
                Self::Map(entries.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_the_symbols_of_the_items() {
        let mut symbols = Symbols::default();
        for i in 0..130 {
            symbols.intern(&i.to_string());
        }
        let list = |texts: &[&str]| {
            List::indexed(texts.iter().map(|text| Datum::String(symbols.text(*text))).collect())
        };
        let (some, other) = (list(&["3", "128", "foreign"]), list(&["128"]));
        let members = some.members().unwrap();
        assert!(members.has(3) && members.has(128));
        assert!(!members.has(0) && !members.has(129) && !members.has(4_000_000_000));
        let set = other.members().unwrap();
        assert_eq!((members.meets(set), members.within(set)), (Some(true), Some(false)));
        let three = list(&["3"]);
        assert_eq!(three.members().unwrap().meets(set), Some(false));
        assert_eq!(three.members().unwrap().within(members), Some(true));
        let foreign = list(&["other"]);
        assert_eq!(foreign.members().unwrap().meets(members), None);
        assert_eq!(foreign.members().unwrap().within(members), None);
        assert_eq!(members.answer(Symbol::Foreign), None);
        assert_eq!(set.answer(Symbol::Foreign), Some(false));
        assert!(list(&[]).members().is_some_and(|members| members.words().is_empty()));
        assert!(List::indexed([Datum::Int(1)].into()).members().is_none());
        let unknown = Text { text: "3".into(), symbol: Symbol::Unknown };
        assert!(List::indexed([Datum::String(unknown)].into()).members().is_none());
    }

    #[test]
    fn values_and_data_are_small() {
        assert_eq!(size_of::<Datum>(), 32);
        assert_eq!(size_of::<crate::value::Value<'_>>(), 32);
    }
}
