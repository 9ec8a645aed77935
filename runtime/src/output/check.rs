//! Whether a result is as `return` declares. A null passes every type.

use std::fmt;

use mxcp_schemas::bundle::definition::TypeId;

use super::text::{decimal, text_of};
use super::{Form, Table};
use crate::check::decimal::Decimal;
use crate::check::{Broken, Checks, Node, Shape};
use crate::duckdb::Cell;

/// Where a result is not as declared, and which rule it breaks. Never holds a value of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// the place, as `[3].address.zip`
    pub path: String,
    /// the rule
    pub broken: Broken,
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "the result {}", self.broken)
        } else {
            write!(f, "the result's `{}` {}", self.path, self.broken)
        }
    }
}

impl Table {
    /// Checks the result against its declared type.
    ///
    /// # Errors
    /// The first place that is not as declared.
    pub fn check(&self, form: Form, result: TypeId, checks: &Checks) -> Result<(), Mismatch> {
        let Some(node) = checks.node(result) else { return Ok(()) };
        let checker = Checker { checks };
        match form {
            Form::Value => checker.value(&self.cell(0, 0, 0), node, &Place::Root),
            Form::Row => self.check_row(&checker, node, &Place::Root, 0, 0),
            Form::Rows => {
                let Shape::Array(rules) = &node.shape else { return Ok(()) };
                rules.check(self.rows).map_err(|b| Place::Root.broken(b))?;
                let Some(item) = rules.items.and_then(|id| checks.node(id)) else { return Ok(()) };
                for (index, (chunk, row)) in self.places().enumerate() {
                    let place = Place::Item(&Place::Root, index);
                    self.check_row(&checker, item, &place, chunk, row)?;
                }
                if rules.unique { self.check_unique() } else { Ok(()) }
            }
        }
    }

    fn check_row(
        &self,
        checker: &Checker<'_>,
        node: &Node,
        place: &Place<'_>,
        chunk: usize,
        row: usize,
    ) -> Result<(), Mismatch> {
        let Shape::Object(rules) = &node.shape else {
            return Err(place.broken(node.mismatch("an object")));
        };
        for property in rules.properties.iter().filter(|p| p.required) {
            if !self.names.contains(&property.name) {
                return Err(Place::Field(place, &property.name).broken(Broken::Missing));
            }
        }
        for (column, name) in self.names.iter().enumerate() {
            let place = Place::Field(place, name);
            match rules.property(name).and_then(|p| checker.checks.node(p.ty)) {
                Some(node) => checker.value(&self.cell(chunk, column, row), node, &place)?,
                None if rules.open => {}
                None => return Err(place.broken(Broken::Undeclared)),
            }
        }
        Ok(())
    }

    fn check_unique(&self) -> Result<(), Mismatch> {
        let mut seen = std::collections::HashSet::new();
        for (chunk, row) in self.places() {
            let text: Vec<String> = (0..self.names.len())
                .map(|column| format!("{:?}", self.cell(chunk, column, row)))
                .collect();
            if !seen.insert(text) {
                return Err(Place::Root.broken(Broken::Unique));
            }
        }
        Ok(())
    }
}

/// A place in a result; the text is made only when something is wrong there.
enum Place<'p> {
    Root,
    Item(&'p Place<'p>, usize),
    Field(&'p Place<'p>, &'p str),
}

impl Place<'_> {
    fn broken(&self, broken: Broken) -> Mismatch {
        Mismatch { path: self.text(), broken }
    }

    fn text(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Item(parent, index) => format!("{}[{index}]", parent.text()),
            Self::Field(parent, name) => match parent.text() {
                parent if parent.is_empty() => (*name).to_owned(),
                parent => format!("{parent}.{name}"),
            },
        }
    }
}

struct Checker<'c> {
    checks: &'c Checks,
}

impl Checker<'_> {
    fn value(&self, cell: &Cell<'_>, node: &Node, place: &Place<'_>) -> Result<(), Mismatch> {
        let wrong = || Err(place.broken(node.mismatch(describe(cell))));
        match (&node.shape, cell) {
            (_, Cell::Null) => return Ok(()),
            (Shape::Boolean, Cell::Bool(_)) => {}
            (Shape::Number(rules), _) => {
                let Some(number) = number(cell) else { return wrong() };
                let parsed = Decimal::parse(&number);
                if rules.integer && !number_is_whole(&number) {
                    return wrong();
                }
                if let Some(parsed) = parsed {
                    rules.check(&parsed).map_err(|b| place.broken(b))?;
                }
            }
            (Shape::String(rules), Cell::Blob(_)) if rules.format.is_none() => {}
            (Shape::String(rules), _) => {
                let is_text = !matches!(
                    cell,
                    Cell::Bool(_)
                        | Cell::Int(_)
                        | Cell::Uint(_)
                        | Cell::F32(_)
                        | Cell::F64(_)
                        | Cell::Decimal(..)
                );
                let Some(text) = text_of(cell).filter(|_| is_text) else { return wrong() };
                rules.check(&text).map_err(|b| place.broken(b))?;
                // A time of DuckDB's is well formed; a text has to be.
                if let (Some(format), Cell::Text(..)) = (rules.format, cell)
                    && !format.accepts(&text)
                {
                    return Err(place.broken(Broken::Format(format)));
                }
            }
            (Shape::Array(rules), Cell::List(items)) => {
                rules.check(items.len()).map_err(|b| place.broken(b))?;
                if let Some(item) = rules.items.and_then(|id| self.checks.node(id)) {
                    for (index, cell) in items.iter().enumerate() {
                        self.value(&cell, item, &Place::Item(place, index))?;
                    }
                }
            }
            (Shape::Object(_), Cell::Struct(fields)) => {
                let fields: Vec<(&str, &Cell<'_>)> = fields.iter().map(|(n, c)| (*n, c)).collect();
                self.fields(&fields, node, place)?;
            }
            (Shape::Object(_), Cell::Map(entries)) => {
                let names: Vec<String> =
                    entries.iter().map(|(k, _)| text_of(k).unwrap_or_default()).collect();
                let fields: Vec<(&str, &Cell<'_>)> =
                    names.iter().zip(entries).map(|(n, (_, c))| (n.as_str(), c)).collect();
                self.fields(&fields, node, place)?;
            }
            _ => return wrong(),
        }
        choices(cell, node, place)
    }

    fn fields(
        &self,
        fields: &[(&str, &Cell<'_>)],
        node: &Node,
        place: &Place<'_>,
    ) -> Result<(), Mismatch> {
        let Shape::Object(rules) = &node.shape else { return Ok(()) };
        for property in rules.properties.iter().filter(|p| p.required) {
            if !fields.iter().any(|(name, _)| *name == property.name) {
                return Err(Place::Field(place, &property.name).broken(Broken::Missing));
            }
        }
        for (name, cell) in fields {
            let below = Place::Field(place, name);
            match rules.property(name).and_then(|p| self.checks.node(p.ty)) {
                Some(node) => self.value(cell, node, &below)?,
                None if rules.open => {}
                None => return Err(below.broken(Broken::Undeclared)),
            }
        }
        Ok(())
    }
}

/// A scalar with declared choices is one of them.
fn choices(cell: &Cell<'_>, node: &Node, place: &Place<'_>) -> Result<(), Mismatch> {
    if node.choices.is_empty() {
        return Ok(());
    }
    let same = |choice: &String| match (number(cell), Decimal::parse(choice)) {
        (Some(number), Some(choice)) => Decimal::parse(&number) == Some(choice),
        (Some(_), None) => false,
        (None, _) => match cell {
            Cell::Bool(value) => *choice == value.to_string(),
            other => text_of(other).is_some_and(|text| *choice == crate::json::quoted(&text)),
        },
    };
    let container = matches!(cell, Cell::List(_) | Cell::Struct(_) | Cell::Map(_));
    if container || node.choices.iter().any(same) {
        return Ok(());
    }
    Err(place.broken(node.not_a_choice()))
}

fn number(cell: &Cell<'_>) -> Option<String> {
    Some(match cell {
        Cell::Int(value) => value.to_string(),
        Cell::Uint(value) => value.to_string(),
        Cell::F32(value) => value.to_string(),
        Cell::F64(value) => value.to_string(),
        Cell::Decimal(value, scale) => decimal(*value, *scale),
        _ => return None,
    })
}

fn number_is_whole(text: &str) -> bool {
    text.split_once('.').is_none_or(|(_, fraction)| fraction.bytes().all(|b| b == b'0'))
}

const fn describe(cell: &Cell<'_>) -> &'static str {
    match cell {
        Cell::Null => "null",
        Cell::Bool(_) => "a boolean",
        Cell::Int(_) | Cell::Uint(_) => "an integer",
        Cell::F32(_) | Cell::F64(_) | Cell::Decimal(..) => "a number",
        Cell::List(_) => "an array",
        Cell::Struct(_) | Cell::Map(_) => "an object",
        _ => "a string",
    }
}
