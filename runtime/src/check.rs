//! Declared types in the form that values are checked with: bounds parsed once, patterns compiled
//! on first use.
//!
//! Arguments and results obey the same declarations, so both are checked here: one rule, one
//! message. No message holds a value.

pub mod decimal;

use std::fmt;
use std::sync::OnceLock;

use mxcp_schemas::bundle::definition::{
    Additional, Bounds, Format, Property, Type, TypeId, TypeKind, Types,
};
use regex::Regex;

use decimal::Decimal;

/// Memory of a compiled pattern, at most.
const PATTERN_MAX_BYTES: usize = 1 << 20;

/// All declared types of a bundle.
#[derive(Debug)]
pub struct Checks {
    nodes: Box<[Node]>,
}

/// A declared type.
#[derive(Debug)]
pub struct Node {
    /// its shape
    pub shape: Shape,
    /// whether its values are redacted
    pub sensitive: bool,
    /// the only values allowed, as JSON texts; empty allows all
    pub choices: Box<[String]>,
}

/// The shape of a declared type.
#[derive(Debug)]
pub enum Shape {
    /// text
    String(TextRules),
    /// a number
    Number(NumberRules),
    /// true or false
    Boolean,
    /// a list
    Array(ListRules),
    /// a map
    Object(FieldRules),
}

/// The rules of a text.
#[derive(Debug)]
pub struct TextRules {
    /// how it is read
    pub format: Option<Format>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    pattern: Option<Pattern>,
}

/// The rules of a number.
#[derive(Debug)]
pub struct NumberRules {
    /// whether it is whole
    pub integer: bool,
    limits: Box<[(Limit, Option<Decimal>, String)]>,
}

/// The rules of a list.
#[derive(Debug)]
pub struct ListRules {
    /// type of the items
    pub items: Option<TypeId>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    /// whether items must differ
    pub unique: bool,
}

/// The rules of a map.
#[derive(Debug)]
pub struct FieldRules {
    /// declared fields in their order
    pub properties: Box<[Property]>,
    /// whether there may be others
    pub open: bool,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Minimum,
    Maximum,
    ExclusiveMinimum,
    ExclusiveMaximum,
    MultipleOf,
}

/// A rule that a value breaks, in words that follow the name of the value: "must be …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// It has another type. What is declared, what was there.
    Type(&'static str, &'static str),
    /// It is not among the choices; these are named unless they are sensitive.
    Choice(Option<String>),
    /// It is not as its format says.
    Format(Format),
    /// Text too short, in characters.
    MinLength(u64),
    /// Text too long, in characters.
    MaxLength(u64),
    /// Text beyond the limit of the server, in bytes.
    MaxBytes(u64),
    /// The pattern matches nowhere.
    Pattern(String),
    /// A bound or divisor, in words.
    Bound(String),
    /// Too few items.
    MinItems(u64),
    /// Too many items.
    MaxItems(u64),
    /// Two items are equal.
    Unique,
    /// A field is missing.
    Missing,
    /// A field is not declared, and others are not allowed.
    Undeclared,
    /// A name twice when case does not count.
    Twice,
    /// A whole number of more than 64 bits.
    TooLarge,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(declared, found) => write!(f, "must be {declared}, not {found}"),
            Self::Choice(Some(choices)) => write!(f, "must be one of {choices}"),
            Self::Choice(None) => f.write_str("must be one of the values that are allowed"),
            Self::Format(format) => write!(f, "must be {}", describe(*format)),
            Self::MinLength(n) => write!(f, "must have at least {n} characters"),
            Self::MaxLength(n) => write!(f, "must have at most {n} characters"),
            Self::MaxBytes(n) => write!(f, "must have at most {n} bytes (`max_argument_bytes`)"),
            Self::Pattern(pattern) => write!(f, "must match the pattern `{pattern}`"),
            Self::Bound(bound) => write!(f, "must be {bound}"),
            Self::MinItems(n) => write!(f, "must have at least {n} items"),
            Self::MaxItems(n) => write!(f, "must have at most {n} items"),
            Self::Unique => f.write_str("must have no item twice"),
            Self::Missing => f.write_str("is missing"),
            Self::Undeclared => f.write_str("is not declared"),
            Self::Twice => f.write_str("appears twice, in different case"),
            Self::TooLarge => f.write_str("must fit into 64 bits"),
        }
    }
}

const fn describe(format: Format) -> &'static str {
    match format {
        Format::Email => "an e-mail address",
        Format::Uri => "a URI",
        Format::Date => "a date such as `2024-12-31`",
        Format::Time => "a time such as `23:59:59`",
        Format::DateTime => "a date and time such as `2024-12-31T23:59:59Z`",
        Format::Duration => "an ISO 8601 duration such as `P1DT12H`",
        Format::Timestamp => "a number of seconds since 1970-01-01T00:00:00Z",
    }
}

impl Checks {
    /// The checks of all types of a bundle.
    pub fn new(types: Types) -> Self {
        Self { nodes: types.nodes.into_iter().map(Node::new).collect() }
    }

    /// The checks of a type. An id that the bundle does not have is that of no value.
    pub fn node(&self, id: TypeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }
}

impl Node {
    fn new(ty: Type) -> Self {
        let shape = match ty.kind {
            TypeKind::String { format, min_length, max_length, pattern } => {
                let pattern = pattern.map(|text| Pattern { text, compiled: OnceLock::new() });
                Shape::String(TextRules { format, min_length, max_length, pattern })
            }
            TypeKind::Number { integer, bounds } => {
                Shape::Number(NumberRules { integer, limits: limits(bounds) })
            }
            TypeKind::Boolean => Shape::Boolean,
            TypeKind::Array { items, min_items, max_items, unique_items } => {
                Shape::Array(ListRules { items, min_items, max_items, unique: unique_items })
            }
            TypeKind::Object { properties, additional } => Shape::Object(FieldRules {
                properties: properties.into_boxed_slice(),
                open: additional != Additional::Forbidden,
            }),
        };
        Self { shape, sensitive: ty.sensitive, choices: ty.choices.into_boxed_slice() }
    }

    /// What a value of this type is called in messages.
    pub const fn declared(&self) -> &'static str {
        match &self.shape {
            Shape::String(_) => "a string",
            Shape::Number(NumberRules { integer: true, .. }) => "an integer",
            Shape::Number(_) => "a number",
            Shape::Boolean => "a boolean",
            Shape::Array(_) => "an array",
            Shape::Object(_) => "an object",
        }
    }

    /// That a value of this kind has another type.
    pub const fn mismatch(&self, found: &'static str) -> Broken {
        Broken::Type(self.declared(), found)
    }

    /// That a value is none of the choices, which are named unless they are sensitive.
    pub fn not_a_choice(&self) -> Broken {
        Broken::Choice((!self.sensitive).then(|| self.choices.join(", ")))
    }
}

impl TextRules {
    /// Checks length and pattern; the format is checked by whoever reads it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, text: &str) -> Result<(), Broken> {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count() as u64;
            if let Some(min) = self.min_length.filter(|min| length < *min) {
                return Err(Broken::MinLength(min));
            }
            if let Some(max) = self.max_length.filter(|max| length > *max) {
                return Err(Broken::MaxLength(max));
            }
        }
        match &self.pattern {
            Some(pattern) if !pattern.matches(text) => Err(Broken::Pattern(pattern.text.clone())),
            _ => Ok(()),
        }
    }
}

impl Pattern {
    /// A pattern that does not compile matches nothing; the compiler refuses such patterns.
    fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| {
            regex::RegexBuilder::new(&self.text).size_limit(PATTERN_MAX_BYTES).build().ok()
        });
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

impl NumberRules {
    /// Whether a number needs to be looked at.
    pub const fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Checks bounds and divisor.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, value: &Decimal) -> Result<(), Broken> {
        for (limit, bound, text) in &self.limits {
            let words = match limit {
                Limit::Minimum => "at least",
                Limit::Maximum => "at most",
                Limit::ExclusiveMinimum => "more than",
                Limit::ExclusiveMaximum => "less than",
                Limit::MultipleOf => "a multiple of",
            };
            let holds = bound.as_ref().is_some_and(|bound| match limit {
                Limit::Minimum => value >= bound,
                Limit::Maximum => value <= bound,
                Limit::ExclusiveMinimum => value > bound,
                Limit::ExclusiveMaximum => value < bound,
                Limit::MultipleOf => value.is_multiple_of(bound),
            });
            if !holds {
                return Err(Broken::Bound(format!("{words} {text}")));
            }
        }
        Ok(())
    }
}

impl ListRules {
    /// Checks the number of items.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, items: usize) -> Result<(), Broken> {
        let items = items as u64;
        if let Some(min) = self.min_items.filter(|min| items < *min) {
            return Err(Broken::MinItems(min));
        }
        match self.max_items.filter(|max| items > *max) {
            Some(max) => Err(Broken::MaxItems(max)),
            None => Ok(()),
        }
    }
}

impl FieldRules {
    /// The declared field of that name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }
}

/// The bounds of a number. One that is no number cannot come from the compiler; nothing satisfies
/// it.
fn limits(bounds: Bounds) -> Box<[(Limit, Option<Decimal>, String)]> {
    [
        (Limit::Minimum, bounds.minimum),
        (Limit::Maximum, bounds.maximum),
        (Limit::ExclusiveMinimum, bounds.exclusive_minimum),
        (Limit::ExclusiveMaximum, bounds.exclusive_maximum),
        (Limit::MultipleOf, bounds.multiple_of),
    ]
    .into_iter()
    .filter_map(|(limit, text)| {
        let text = text?;
        Some((limit, Decimal::parse(&text), text))
    })
    .collect()
}
