//! Declared types: of parameters, fields, items and results.

mod values;

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Number, Value as Json};

use super::Spanned;
use super::code::{FOREIGN_CONSTRAINT, INVALID_CONSTRAINT, UNKNOWN_TYPE, UNSUPPORTED_SCHEMA};
use super::lift::{Lift, list};
use crate::bundle::definition::{Additional, Format};
use crate::diagnostic::Span;
use crate::pattern;
use crate::yaml::{Entry, Kind, Node};

/// A declared type.
#[derive(Debug, Clone, PartialEq)]
pub struct Type {
    /// the whole declaration
    pub span: Span,
    /// what values are
    pub name: Spanned<TypeName>,
    /// optional name
    pub title: Option<String>,
    /// what it means, in the author's words
    pub description: Option<String>,
    /// whether values are secret
    pub sensitive: bool,
    /// value of an absent argument
    pub default: Option<Spanned<Json>>,
    /// the only values allowed
    pub choices: Vec<Spanned<Json>>,
    /// where an `enum` stands that lists nothing
    pub no_choices: Option<Span>,
    /// examples for readers and models
    pub examples: Vec<Spanned<Json>>,
    /// how a string is read
    pub format: Option<Spanned<Format>>,
    /// code points of a string, at least
    pub min_length: Option<Spanned<u64>>,
    /// code points of a string, at most
    pub max_length: Option<Spanned<u64>>,
    /// regular expression that a string matches somewhere
    pub pattern: Option<Spanned<String>>,
    /// inclusive lower bound of a number
    pub minimum: Option<Spanned<Number>>,
    /// inclusive upper bound
    pub maximum: Option<Spanned<Number>>,
    /// exclusive lower bound
    pub exclusive_minimum: Option<Spanned<Number>>,
    /// exclusive upper bound
    pub exclusive_maximum: Option<Spanned<Number>>,
    /// divisor of a number
    pub multiple_of: Option<Spanned<Number>>,
    /// type of a list's items
    pub items: Option<Box<Self>>,
    /// items of a list, at least
    pub min_items: Option<Spanned<u64>>,
    /// items of a list, at most
    pub max_items: Option<Spanned<u64>>,
    /// whether a list's items differ
    pub unique_items: bool,
    /// declared fields of an object, in order
    pub properties: Vec<Property>,
    /// names of the fields that every object has
    pub required: Vec<Spanned<String>>,
    /// what other fields are
    pub additional: Additional,
    /// whether the declaration could not be read, which was reported: nothing follows from it
    pub broken: bool,
}

/// A declared field.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// its name
    pub name: Spanned<String>,
    /// its type
    pub ty: Type,
}

/// The types that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TypeName {
    /// text
    String,
    /// a number
    Number,
    /// a whole number
    Integer,
    /// a truth value
    Boolean,
    /// a list
    Array,
    /// a map
    Object,
}

impl TypeName {
    /// All types with the words that documents use.
    pub const ALL: [(&'static str, Self); 6] = [
        ("array", Self::Array),
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("object", Self::Object),
        ("string", Self::String),
    ];

    /// The word that documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// The constraints that only some types have, beside what every type has.
    const fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::String => &["format", "minLength", "maxLength", "pattern"],
            Self::Number | Self::Integer => {
                &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]
            }
            Self::Boolean => &[],
            Self::Array => &["items", "minItems", "maxItems", "uniqueItems"],
            Self::Object => &["properties", "required", "additionalProperties"],
        }
    }
}

/// What every type may have.
const COMMON_KEYS: [&str; 8] =
    ["name", "title", "type", "description", "sensitive", "default", "enum", "examples"];

const UNSUPPORTED_KEYS: [&str; 14] = [
    "$defs",
    "$ref",
    "allOf",
    "anyOf",
    "const",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "not",
    "oneOf",
    "patternProperties",
    "then",
];

/// Why a value is not of a type. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// where below the value, as `a.b[2]`; empty for the value itself
    pub path: String,
    /// the rule that it breaks
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.rule)
        } else {
            write!(f, "`{}` {}", self.path, self.rule)
        }
    }
}

impl Type {
    /// Stands for a declaration that could not be read. It accepts everything.
    const fn broken(span: Span) -> Self {
        Self {
            span,
            name: Spanned::new(TypeName::Object, span),
            title: None,
            description: None,
            sensitive: false,
            default: None,
            choices: Vec::new(),
            no_choices: None,
            examples: Vec::new(),
            format: None,
            min_length: None,
            max_length: None,
            pattern: None,
            minimum: None,
            maximum: None,
            exclusive_minimum: None,
            exclusive_maximum: None,
            multiple_of: None,
            items: None,
            min_items: None,
            max_items: None,
            unique_items: false,
            properties: Vec::new(),
            required: Vec::new(),
            additional: Additional::Allowed,
            broken: true,
        }
    }

    /// Whether some part of the declaration could not be read.
    pub fn is_broken(&self) -> bool {
        self.broken
            || self.items.as_ref().is_some_and(|items| items.is_broken())
            || self.properties.iter().any(|p| p.ty.is_broken())
    }

    /// Whether a JSON value is of this type. Null is accepted only where `nullable` says so.
    ///
    /// # Errors
    /// The first rule that the value breaks.
    pub fn accepts(&self, value: &Json) -> Result<(), Violation> {
        self.check(value, "")
    }

    fn check(&self, value: &Json, path: &str) -> Result<(), Violation> {
        if self.broken {
            return Ok(());
        }
        let broken = |rule: String| Err(Violation { path: path.to_owned(), rule });
        let fits = match self.name.value {
            TypeName::String => value.is_string(),
            TypeName::Number => value.is_number(),
            TypeName::Integer => is_whole(value),
            TypeName::Boolean => value.is_boolean(),
            TypeName::Array => value.is_array(),
            TypeName::Object => value.is_object(),
        };
        if !fits {
            return broken(format!("must be of type {}", self.name.value.as_str()));
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|c| same(&c.value, value)) {
            return broken("must be one of the `enum` values".to_owned());
        }
        match value {
            Json::String(text) => self.check_text(text).or_else(broken),
            Json::Number(number) => self.check_number(number).or_else(broken),
            Json::Array(items) => {
                self.check_count(items).or_else(broken)?;
                let Some(item) = &self.items else { return Ok(()) };
                items
                    .iter()
                    .enumerate()
                    .try_for_each(|(i, value)| item.check(value, &format!("{path}[{i}]")))
            }
            Json::Object(fields) => {
                if let Some(missing) =
                    self.required.iter().find(|name| !fields.contains_key(&name.value))
                {
                    return broken(format!("needs `{}`", missing.value));
                }
                for (name, value) in fields {
                    let below =
                        if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match self.properties.iter().find(|p| p.name.value == *name) {
                        Some(property) => property.ty.check(value, &below)?,
                        None if self.additional == Additional::Forbidden => {
                            return broken(format!("has no field `{name}`"));
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let length = text.chars().count() as u64;
        if let Some(least) = self.min_length.as_ref().filter(|n| length < n.value) {
            return Err(format!("must have at least {} characters", least.value));
        }
        if let Some(most) = self.max_length.as_ref().filter(|n| length > n.value) {
            return Err(format!("must have at most {} characters", most.value));
        }
        if let Some(format) = self.format.as_ref().filter(|f| !f.value.accepts(text)) {
            return Err(format!("must have the format {}", format.value.as_str()));
        }
        if let Some(pattern) = &self.pattern
            && pattern::compile(&pattern.value).is_ok_and(|compiled| !compiled.is_match(text))
        {
            return Err(format!("must match the pattern `{}`", pattern.value));
        }
        Ok(())
    }

    fn check_number(&self, number: &Number) -> Result<(), String> {
        type Test = fn(Ordering) -> bool;
        let bounds: [(_, Test, &str); 4] = [
            (&self.minimum, Ordering::is_ge, "at least"),
            (&self.maximum, Ordering::is_le, "at most"),
            (&self.exclusive_minimum, Ordering::is_gt, "more than"),
            (&self.exclusive_maximum, Ordering::is_lt, "less than"),
        ];
        for (bound, holds, words) in bounds {
            if let Some(bound) = bound.as_ref().map(|bound| &bound.value)
                && order(number, bound).is_some_and(|order| !holds(order))
            {
                return Err(format!("must be {words} {}", shown(bound)));
            }
        }
        match self.multiple_of.as_ref().map(|step| &step.value) {
            Some(step) if !is_multiple(number, step) => {
                Err(format!("must be a multiple of {}", shown(step)))
            }
            _ => Ok(()),
        }
    }

    fn check_count(&self, items: &[Json]) -> Result<(), String> {
        let count = items.len() as u64;
        if let Some(least) = self.min_items.as_ref().filter(|n| count < n.value) {
            return Err(format!("must have at least {} items", least.value));
        }
        if let Some(most) = self.max_items.as_ref().filter(|n| count > n.value) {
            return Err(format!("must have at most {} items", most.value));
        }
        let repeated =
            || items.iter().enumerate().any(|(i, a)| items.iter().skip(i + 1).any(|b| same(a, b)));
        if self.unique_items && repeated() {
            return Err("must not repeat an item".to_owned());
        }
        Ok(())
    }
}

fn is_whole(value: &Json) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0)
}

/// Whether a number is a multiple of a positive step: exactly, if both are whole, else up to the
/// rounding of a decimal step such as 0.1.
fn is_multiple(number: &Number, step: &Number) -> bool {
    if let (Some(number), Some(step)) = (whole(number), whole(step)) {
        return step <= 0 || number % step == 0;
    }
    let (Some(number), Some(step)) = (number.as_f64(), step.as_f64()) else { return true };
    let quotient = number / step;
    step <= 0.0
        || (quotient - quotient.round()).abs() <= quotient.abs().max(1.0) * f64::EPSILON * 4.0
}

/// The order of two numbers; whole ones keep all their digits.
fn order(a: &Number, b: &Number) -> Option<Ordering> {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// A number without a fraction that says nothing.
fn shown(number: &Number) -> String {
    match (whole(number), number.as_f64()) {
        (None, Some(double)) => double.to_string(),
        _ => number.to_string(),
    }
}

/// Equality of JSON values in which `1` and `1.0` are the same number.
pub fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => order(x, y) == Some(Ordering::Equal),
        (Json::Array(x), Json::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        (Json::Object(x), Json::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(k, a)| y.get(k).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// Reads a declared type. `extra` are keys that the place adds (`name` of a parameter).
pub(super) fn read(lift: &mut Lift<'_>, node: &Node, what: &str) -> Type {
    let Some(entries) = lift.entries(node, what) else { return Type::broken(node.span) };
    let Some(name) = read_name(lift, node, what) else { return Type::broken(node.span) };
    for entry in entries {
        check_key(lift, entry, what, name.value);
    }
    let own = |key: &str| name.value.own_keys().contains(&key).then(|| node.get(key)).flatten();
    let mut ty = Type {
        span: node.span,
        title: node.get("title").and_then(|n| lift.text(n, "`title`")).map(|t| t.value),
        description: node
            .get("description")
            .and_then(|n| lift.text(n, "`description`"))
            .map(|t| t.value),
        sensitive: node
            .get("sensitive")
            .is_some_and(|n| lift.boolean(n, "`sensitive`").unwrap_or(true)),
        default: node.get("default").map(|n| Spanned::new(n.to_json(), n.span)),
        choices: values(lift, node, "enum"),
        no_choices: node
            .get("enum")
            .filter(|n| matches!(&n.kind, Kind::Seq(items) if items.is_empty()))
            .map(|n| n.span),
        examples: values(lift, node, "examples"),
        format: own("format").and_then(|n| read_format(lift, n)),
        min_length: own("minLength").and_then(|n| count(lift, n, "`minLength`")),
        max_length: own("maxLength").and_then(|n| count(lift, n, "`maxLength`")),
        pattern: own("pattern").and_then(|n| lift.text(n, "`pattern`")),
        minimum: own("minimum").and_then(|n| number(lift, n, "`minimum`")),
        maximum: own("maximum").and_then(|n| number(lift, n, "`maximum`")),
        exclusive_minimum: own("exclusiveMinimum")
            .and_then(|n| number(lift, n, "`exclusiveMinimum`")),
        exclusive_maximum: own("exclusiveMaximum")
            .and_then(|n| number(lift, n, "`exclusiveMaximum`")),
        multiple_of: own("multipleOf").and_then(|n| number(lift, n, "`multipleOf`")),
        items: own("items").map(|n| Box::new(read(lift, n, "`items`"))),
        min_items: own("minItems").and_then(|n| count(lift, n, "`minItems`")),
        max_items: own("maxItems").and_then(|n| count(lift, n, "`maxItems`")),
        unique_items: own("uniqueItems")
            .is_some_and(|n| lift.boolean(n, "`uniqueItems`").unwrap_or(true)),
        properties: own("properties").map_or_else(Vec::new, |n| properties(lift, n)),
        required: own("required").map_or_else(Vec::new, |n| lift.texts(n, "`required`")),
        additional: own("additionalProperties").map_or(Additional::Unsaid, |n| {
            match lift.boolean(n, "`additionalProperties`") {
                Some(true) => Additional::Allowed,
                _ => Additional::Forbidden,
            }
        }),
        broken: false,
        name,
    };
    check_constraints(lift, &mut ty);
    values::check(lift, &ty);
    ty
}

fn read_name(lift: &mut Lift<'_>, node: &Node, what: &str) -> Option<Spanned<TypeName>> {
    let Some(stated) = node.get("type") else {
        let mut foreign = node.entries().into_iter().flatten();
        if let Some(entry) = foreign.find(|e| UNSUPPORTED_KEYS.contains(&e.key.as_str())) {
            unsupported(lift, entry);
        } else if let Some(finding) = lift.missing(node, node.span, what, "type") {
            let words: Vec<&str> = TypeName::ALL.iter().map(|(word, _)| *word).collect();
            finding.help.push(format!("it is one of {}", list(&words)));
        }
        return None;
    };
    if matches!(stated.kind, Kind::Seq(_)) {
        lift.report(&UNSUPPORTED_SCHEMA, stated.span, "a type is one type, not a list of them")
            .help
            .push("every field of a result may be null, and `default: null` makes a parameter optional".to_owned());
        return None;
    }
    let text = lift.text(stated, "`type`")?;
    let found = TypeName::ALL.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let words: Vec<&str> = TypeName::ALL.iter().map(|(word, _)| *word).collect();
        lift.not_a_choice(&UNKNOWN_TYPE, &text.as_ref(), "`type`", &words);
    }
    found.map(|(_, name)| Spanned::new(*name, text.span))
}

fn check_key(lift: &mut Lift<'_>, entry: &Entry, what: &str, name: TypeName) {
    let key = entry.key.as_str();
    if COMMON_KEYS.contains(&key) || name.own_keys().contains(&key) {
        return;
    }
    let owners = TypeName::ALL.iter().filter(|(_, other)| other.own_keys().contains(&key));
    let owners: Vec<&str> = owners.map(|(owner, _)| *owner).collect();
    if !owners.is_empty() {
        let owners = list(&owners);
        let message =
            format!("`{key}` is a constraint of {owners}, and this is `{}`", name.as_str());
        lift.report(&FOREIGN_CONSTRAINT, entry.key_span, message);
    } else if UNSUPPORTED_KEYS.contains(&key) {
        unsupported(lift, entry);
    } else {
        let known: Vec<&str> = COMMON_KEYS.iter().chain(name.own_keys()).copied().collect();
        lift.unknown_key(entry, what, &known);
    }
}

fn unsupported(lift: &mut Lift<'_>, entry: &Entry) {
    let key = entry.key.as_str();
    let help = match key {
        "$ref" | "$defs" | "definitions" => "write the type out where it is used",
        "const" => "write `enum` with one value",
        "patternProperties" => "declare the fields, or set `additionalProperties: true`",
        _ => "every value has one type; leave a value that may have several undeclared",
    };
    let message = format!("`{key}` is not supported");
    lift.report(&UNSUPPORTED_SCHEMA, entry.key_span, message).help.push(help.to_owned());
}

fn read_format(lift: &mut Lift<'_>, node: &Node) -> Option<Spanned<Format>> {
    let text = lift.text(node, "`format`")?;
    let found = Format::ALL.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let words: Vec<&str> = Format::ALL.iter().map(|(word, _)| *word).collect();
        lift.not_a_choice(&UNKNOWN_TYPE, &text.as_ref(), "`format`", &words);
    }
    found.map(|(_, format)| Spanned::new(*format, text.span))
}

fn properties(lift: &mut Lift<'_>, node: &Node) -> Vec<Property> {
    let entries = lift.entries(node, "`properties`").unwrap_or(&[]);
    let mut properties = Vec::with_capacity(entries.len());
    for entry in entries {
        let ty = read(lift, &entry.value, &format!("the field `{}`", entry.key));
        let name = Spanned::new(entry.key.clone(), entry.key_span);
        properties.push(Property { name, ty });
    }
    properties
}

fn values(lift: &mut Lift<'_>, node: &Node, key: &str) -> Vec<Spanned<Json>> {
    let Some(list) = node.get(key) else { return Vec::new() };
    let items = lift.list(list, &format!("`{key}`"));
    items.iter().map(|n| Spanned::new(n.to_json(), n.span)).collect()
}

fn count(lift: &mut Lift<'_>, node: &Node, what: &str) -> Option<Spanned<u64>> {
    lift.count(node, what).map(|n| Spanned::new(n, node.span))
}

fn number(lift: &mut Lift<'_>, node: &Node, what: &str) -> Option<Spanned<Number>> {
    let number = match node.kind {
        Kind::Int(value) => Some(value.into()),
        Kind::Float(value) => Number::from_f64(value),
        _ => None,
    };
    if number.is_none() {
        lift.wrong(node, what, "a number");
    }
    number.map(|n| Spanned::new(n, node.span))
}

fn check_constraints(lift: &mut Lift<'_>, ty: &mut Type) {
    let mut ordered = |low: Option<(f64, Span)>, high: Option<(f64, Span)>, words: &str| {
        if let (Some((low, _)), Some((high, span))) = (low, high)
            && (low > high || (low >= high && words.contains("exclusive")))
        {
            lift.report(&INVALID_CONSTRAINT, span, format!("no value satisfies both {words}"));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "only the order of the two counts")]
    let of = |n: &Option<Spanned<u64>>| n.as_ref().map(|n| (n.value as f64, n.span));
    let num =
        |n: &Option<Spanned<Number>>| n.as_ref().and_then(|n| Some((n.value.as_f64()?, n.span)));
    ordered(of(&ty.min_length), of(&ty.max_length), "`minLength` and `maxLength`");
    ordered(of(&ty.min_items), of(&ty.max_items), "`minItems` and `maxItems`");
    ordered(num(&ty.minimum), num(&ty.maximum), "`minimum` and `maximum`");
    let (above, below) = (num(&ty.exclusive_minimum), num(&ty.exclusive_maximum));
    ordered(above, below, "`exclusiveMinimum` and `exclusiveMaximum`");
    ordered(num(&ty.minimum), below, "`minimum` and `exclusiveMaximum`");
    ordered(above, num(&ty.maximum), "`exclusiveMinimum` and `maximum`");
    if let Some(pattern) = &ty.pattern
        && let Err(problem) = pattern::compile(&pattern.value)
    {
        let message = format!("`{}` is no regular expression: {problem}", pattern.value);
        lift.report(&INVALID_CONSTRAINT, pattern.span, message);
        ty.pattern = None;
    }
    if let Some(span) = ty.no_choices {
        lift.report(&INVALID_CONSTRAINT, span, "`enum` lists nothing, so no value satisfies it")
            .help
            .push("list the values, or leave `enum` out".to_owned());
    }
    if let Some((step, span)) = num(&ty.multiple_of)
        && step <= 0.0
    {
        lift.report(&INVALID_CONSTRAINT, span, "`multipleOf` must be more than zero");
        ty.multiple_of = None;
    }
    for name in &ty.required {
        let declared = ty.properties.iter().any(|p| p.name.value == name.value);
        if !declared && (ty.additional == Additional::Forbidden || !ty.properties.is_empty()) {
            let known = ty.properties.iter().map(|p| p.name.value.as_str());
            let near = crate::diagnostic::closest(&name.value, known).map(str::to_owned);
            let message =
                format!("`required` names `{}`, which `properties` does not declare", name.value);
            let finding = lift.report(&INVALID_CONSTRAINT, name.span, message);
            finding.help.extend(near.map(|near| format!("did you mean `{near}`?")));
        }
    }
}
