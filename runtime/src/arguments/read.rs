//! Reading one value by its declared type.

use std::collections::HashSet;
use std::fmt;

use mxcp_policy::datum::{Instant, Span};
use mxcp_schemas::bundle::definition::{Format, TypeId};
use mxcp_schemas::format;

use super::{Argument, PROBLEMS_MAX, Problem};
use crate::check::decimal::Decimal;
use crate::check::{Broken, Checks, FieldRules, ListRules, Node, NumberRules, Shape, TextRules};
use crate::json::{self, Json, Member};

/// Where a value stands, from the parameter inwards.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    /// a parameter
    Root(&'p str),
    /// a field of an object
    Field(&'p Path<'p>, &'p str),
    /// an item of a list
    Item(&'p Path<'p>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads values and gathers what is wrong with them. A value that is wrong reads as null; nobody
/// uses it, because there is a problem then.
pub(super) struct Reader<'c> {
    checks: &'c Checks,
    string_max_bytes: usize,
    /// Whether scalars of another type are read where that loses nothing.
    lenient: bool,
    pub(super) problems: Vec<Problem>,
}

impl<'c> Reader<'c> {
    pub(super) const fn new(checks: &'c Checks, string_max_bytes: usize) -> Self {
        Self { checks, string_max_bytes, lenient: true, problems: Vec::new() }
    }

    /// A reader that takes every value for what it is.
    pub(super) const fn strict(checks: &'c Checks) -> Self {
        Self { checks, string_max_bytes: usize::MAX, lenient: false, problems: Vec::new() }
    }

    /// Notes a problem. Names that the client chose are cut, lest a message repeat them at length.
    pub(super) fn fail(&mut self, path: &Path<'_>, broken: Broken) {
        const PLACE_MAX_CHARS: usize = 120;
        if self.problems.len() < PROBLEMS_MAX {
            let place = path.to_string().chars().take(PLACE_MAX_CHARS).collect();
            self.problems.push(Problem { place, broken });
        }
    }

    /// Reads a value of a declared type.
    pub(super) fn declared(&mut self, ty: TypeId, value: &Json<'_>, path: &Path<'_>) -> Argument {
        let Some(node) = self.checks.node(ty) else {
            self.fail(path, Broken::Undeclared);
            return Argument::Null;
        };
        if !self.lenient && !is_of(&node.shape, value) {
            self.fail(path, node.mismatch(value.kind()));
            return Argument::Null;
        }
        let before = self.problems.len();
        let read = match &node.shape {
            Shape::String(rules) => self.text(node, rules, value),
            Shape::Number(rules) => number(node, rules, value),
            Shape::Boolean => boolean(node, value),
            Shape::Array(rules) => self.list(node, rules, value, path),
            Shape::Object(rules) => self.object(node, rules, value, path),
        };
        let chosen = match read {
            Ok(argument) if self.problems.len() == before => self.choose(node, argument),
            other => other,
        };
        chosen.unwrap_or_else(|broken| {
            self.fail(path, broken);
            Argument::Null
        })
    }

    /// Checks that a value is among the choices, if there are any.
    fn choose(&self, node: &Node, argument: Argument) -> Result<Argument, Broken> {
        if node.choices.is_empty() {
            return Ok(argument);
        }
        let mut reader = Reader::new(self.checks, usize::MAX);
        let among = node.choices.iter().any(|choice| {
            let Ok(choice) = json::parse(choice.as_bytes()) else { return false };
            let read = match &node.shape {
                Shape::String(rules) => reader.text(node, rules, &choice),
                Shape::Number(rules) => number(node, rules, &choice),
                Shape::Boolean => boolean(node, &choice),
                Shape::Array(rules) => reader.list(node, rules, &choice, &Path::Root("")),
                Shape::Object(rules) => reader.object(node, rules, &choice, &Path::Root("")),
            };
            read.is_ok_and(|choice| choice == argument)
        });
        if among { Ok(argument) } else { Err(node.not_a_choice()) }
    }

    fn text(&self, node: &Node, rules: &TextRules, value: &Json<'_>) -> Result<Argument, Broken> {
        let text: &str = match value {
            Json::String(text) => text,
            Json::Number(text) => text,
            Json::Bool(true) => "true",
            Json::Bool(false) => "false",
            other => return Err(node.mismatch(other.kind())),
        };
        if text.len() > self.string_max_bytes {
            return Err(Broken::MaxBytes(self.string_max_bytes as u64));
        }
        rules.check(text)?;
        let Some(format) = rules.format else { return Ok(Argument::Text(text.into())) };
        let instant = |(seconds, nanos)| Instant { seconds, nanos };
        let span = |(seconds, nanos)| Span { seconds, nanos };
        let own = || Box::from(text);
        let formatted = match format {
            Format::Email | Format::Uri => format.accepts(text).then(|| Argument::Text(own())),
            Format::Date => format::date(text).map(|days| Argument::Date(own(), days)),
            Format::Time => format::time(text).map(|micros| Argument::Time(own(), micros)),
            Format::DateTime => {
                format::date_time(text).map(|at| Argument::DateTime(own(), instant(at)))
            }
            Format::Timestamp => {
                format::timestamp(text).map(|at| Argument::Timestamp(own(), instant(at)))
            }
            Format::Duration => {
                format::duration(text).map(|length| Argument::Duration(own(), span(length)))
            }
        };
        formatted.ok_or(Broken::Format(format))
    }

    fn list(
        &mut self,
        node: &Node,
        rules: &ListRules,
        value: &Json<'_>,
        path: &Path<'_>,
    ) -> Result<Argument, Broken> {
        if let Json::String(text) = value {
            let parsed = json::parse(text.as_bytes()).ok();
            let parsed = parsed.filter(|value| matches!(value, Json::Array(_)));
            let parsed = parsed.ok_or_else(|| node.mismatch("a string"))?;
            return self.list(node, rules, &parsed, path);
        }
        let Json::Array(items) = value else { return Err(node.mismatch(value.kind())) };
        rules.check(items.len())?;
        let values: Box<[Argument]> = items
            .iter()
            .enumerate()
            .map(|(i, item)| {
                let path = Path::Item(path, i);
                match rules.items {
                    Some(ty) => self.declared(ty, item, &path),
                    None => self.dynamic(item, &path),
                }
            })
            .collect();
        let mut seen = HashSet::new();
        if rules.unique && !values.iter().all(|value| seen.insert(value.to_json())) {
            return Err(Broken::Unique);
        }
        Ok(Argument::List(values))
    }

    fn object(
        &mut self,
        node: &Node,
        rules: &FieldRules,
        value: &Json<'_>,
        path: &Path<'_>,
    ) -> Result<Argument, Broken> {
        if let Json::String(text) = value {
            let parsed = json::parse(text.as_bytes()).ok();
            let parsed = parsed.filter(|value| matches!(value, Json::Object(_)));
            let parsed = parsed.ok_or_else(|| node.mismatch("a string"))?;
            return self.object(node, rules, &parsed, path);
        }
        let Json::Object(members) = value else { return Err(node.mismatch(value.kind())) };
        for property in rules.properties.iter().filter(|property| property.required) {
            if json::get(members, &property.name).is_none() {
                self.fail(&Path::Field(path, &property.name), Broken::Missing);
            }
        }
        Ok(self.fields(members, path, |reader, name, value, path| match rules.property(name) {
            Some(property) if matches!(value, Json::Null) && !property.required => None,
            Some(property) => Some(reader.declared(property.ty, value, path)),
            None if rules.open => Some(reader.dynamic(value, path)),
            None => {
                reader.fail(path, Broken::Undeclared);
                None
            }
        }))
    }

    /// Reads the members of an object, each by `read`, which may leave one out.
    fn fields(
        &mut self,
        members: &[Member<'_>],
        path: &Path<'_>,
        read: impl Fn(&mut Self, &str, &Json<'_>, &Path<'_>) -> Option<Argument>,
    ) -> Argument {
        let mut folded = HashSet::new();
        let mut fields: Vec<(Box<str>, Argument)> = Vec::with_capacity(members.len());
        for (name, value) in members {
            let path = Path::Field(path, name);
            // A STRUCT of DuckDB cannot hold two fields whose names differ in case only.
            if !folded.insert(name.to_ascii_lowercase()) {
                self.fail(&path, Broken::Twice);
            }
            if let Some(value) = read(self, name, value, &path) {
                fields.push((Box::from(&**name), value));
            }
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Argument::Object(fields.into_boxed_slice())
    }

    /// Reads a value of which nothing is declared.
    fn dynamic(&mut self, value: &Json<'_>, path: &Path<'_>) -> Argument {
        match value {
            Json::Null => Argument::Null,
            Json::Bool(value) => Argument::Bool(*value),
            Json::String(text) if text.len() > self.string_max_bytes => {
                self.fail(path, Broken::MaxBytes(self.string_max_bytes as u64));
                Argument::Null
            }
            Json::String(text) => Argument::Text(Box::from(&**text)),
            Json::Number(text) => {
                let whole = text.parse::<i64>().map(Argument::Int).ok();
                let double = || text.parse::<f64>().map(Argument::Double).ok();
                let exact = text.contains(['.', 'e', 'E']);
                whole.or_else(|| if exact { double() } else { None }).unwrap_or_else(|| {
                    self.fail(path, Broken::TooLarge);
                    Argument::Null
                })
            }
            Json::Array(items) => Argument::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| self.dynamic(item, &Path::Item(path, i)))
                    .collect(),
            ),
            Json::Object(members) => self
                .fields(members, path, |reader, _, value, path| Some(reader.dynamic(value, path))),
        }
    }
}

/// Whether a value is of a shape as it stands.
const fn is_of(shape: &Shape, value: &Json<'_>) -> bool {
    matches!(
        (shape, value),
        (Shape::String(_), Json::String(_))
            | (Shape::Number(_), Json::Number(_))
            | (Shape::Boolean, Json::Bool(_))
            | (Shape::Array(_), Json::Array(_))
            | (Shape::Object(_), Json::Object(_))
    )
}

fn boolean(node: &Node, value: &Json<'_>) -> Result<Argument, Broken> {
    match value {
        Json::Bool(value) => Ok(Argument::Bool(*value)),
        // Python writes `True`, and so do models that learnt from it.
        Json::String(text) if text.eq_ignore_ascii_case("true") => Ok(Argument::Bool(true)),
        Json::String(text) if text.eq_ignore_ascii_case("false") => Ok(Argument::Bool(false)),
        other => Err(node.mismatch(other.kind())),
    }
}

fn number(node: &Node, rules: &NumberRules, value: &Json<'_>) -> Result<Argument, Broken> {
    let (text, from_text): (&str, bool) = match value {
        Json::Number(text) => (text, false),
        Json::String(text) if text.len() <= json::NUMBER_MAX_BYTES => (text, true),
        other => return Err(node.mismatch(other.kind())),
    };
    let Some(decimal) = Decimal::parse(text) else { return Err(node.mismatch(value.kind())) };
    rules.check(&decimal)?;
    if rules.integer {
        return match decimal.to_i64() {
            Some(whole) => Ok(Argument::Int(whole)),
            None if text.contains(['.', 'e', 'E']) => {
                Err(Broken::Type(node.declared(), "a number with decimals"))
            }
            None => Err(Broken::TooLarge),
        };
    }
    let double = text.parse::<f64>().ok().filter(|double| double.is_finite());
    let double = double.ok_or_else(|| node.mismatch(value.kind()))?;
    // JSON numbers are doubles by their nature; a text is read as one only if that loses nothing.
    let lossless = || Decimal::parse(&double.to_string()).as_ref() == Some(&decimal);
    if from_text && !lossless() {
        return Err(node.mismatch(value.kind()));
    }
    Ok(Argument::Double(double))
}
