//! Whether a result is as `return` declares. A null passes every type.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use mxcp_schemas::bundle::definition::{Format, TypeId};

use super::text::{name_of, number_of, string_of};
use super::{Form, Table};
use crate::check::decimal::Decimal;
use crate::check::{Broken, Checks, FieldRules, Node, Shape, TextRules};
use crate::duckdb::{Cell, List};
use crate::json::quoted;

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
            Form::Row => {
                let columns = self.columns(&checker, node, &Place::Root)?;
                self.check_row(&checker, &columns, &Place::Root, (0, 0))
            }
            Form::Rows => {
                let Shape::Array(rules) = &node.shape else { return Ok(()) };
                rules.check(self.rows).map_err(|b| Place::Root.broken(b))?;
                let item = rules.items.and_then(|id| checks.node(id));
                if let Some(item) = item.filter(|_| self.rows > 0) {
                    let columns = self.columns(&checker, item, &Place::Item(&Place::Root, 0))?;
                    for (index, place) in self.places().enumerate() {
                        let at = Place::Item(&Place::Root, index);
                        self.check_row(&checker, &columns, &at, place)?;
                    }
                }
                if rules.unique { self.check_unique() } else { Ok(()) }
            }
        }
    }

    /// The declared types of the columns, which are the same for all rows.
    fn columns<'c>(
        &self,
        checker: &Checker<'c>,
        node: &'c Node,
        place: &Place<'_>,
    ) -> Result<Vec<Option<&'c Node>>, Mismatch> {
        let Shape::Object(rules) = &node.shape else {
            return Err(place.broken(node.mismatch("an object")));
        };
        checker.has_required(rules, place, |name| self.names.iter().any(|n| n == name))?;
        self.names.iter().map(|name| checker.field(rules, name, place)).collect()
    }

    fn check_row(
        &self,
        checker: &Checker<'_>,
        columns: &[Option<&Node>],
        place: &Place<'_>,
        (chunk, row): (usize, usize),
    ) -> Result<(), Mismatch> {
        for (column, (node, name)) in columns.iter().zip(&self.names).enumerate() {
            if let Some(node) = node {
                let cell = self.cell(chunk, column, row);
                checker.value(&cell, node, &Place::Field(place, name))?;
            }
        }
        Ok(())
    }

    fn check_unique(&self) -> Result<(), Mismatch> {
        let mut seen = HashSet::new();
        for (chunk, row) in self.places() {
            let cells = (0..self.names.len()).map(|column| self.cell(chunk, column, row));
            let text: Vec<String> = cells.map(|cell| identity(&cell)).collect();
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

impl<'c> Checker<'c> {
    fn value(&self, cell: &Cell<'_>, node: &Node, place: &Place<'_>) -> Result<(), Mismatch> {
        match (&node.shape, cell) {
            (_, Cell::Null) => return Ok(()),
            (Shape::Boolean, Cell::Bool(_)) => {}
            (Shape::Number(rules), _) if is_number(cell) => {
                if rules.integer && !is_whole(cell) {
                    return Err(place.broken(node.mismatch(describe(cell))));
                }
                let number = number_of(cell).filter(|_| rules.has_limits());
                // What is not finite is written as null, and null passes.
                if let Some(number) = number.and_then(|text| Decimal::parse(&text)) {
                    rules.check(&number).map_err(|b| place.broken(b))?;
                }
            }
            (Shape::String(rules), _) => match string_of(cell) {
                Some(text) => string(rules, cell, &text).map_err(|b| place.broken(b))?,
                None => return Err(place.broken(node.mismatch(describe(cell)))),
            },
            (Shape::Array(rules), Cell::List(items)) => {
                rules.check(items.len()).map_err(|b| place.broken(b))?;
                if let Some(item) = rules.items.and_then(|id| self.checks.node(id)) {
                    for (index, cell) in items.iter().enumerate() {
                        self.value(&cell, item, &Place::Item(place, index))?;
                    }
                }
                if rules.unique && !are_different(items) {
                    return Err(place.broken(Broken::Unique));
                }
            }
            (Shape::Object(rules), Cell::Struct(fields)) => {
                let fields: Vec<(&str, &Cell<'_>)> = fields.iter().map(|(n, c)| (*n, c)).collect();
                self.fields(&fields, rules, place)?;
            }
            (Shape::Object(rules), Cell::Map(entries)) => {
                let names: Vec<_> = entries.iter().map(|(key, _)| name_of(key)).collect();
                let named = names.iter().zip(entries);
                let fields: Vec<(&str, &Cell<'_>)> =
                    named.filter_map(|(name, (_, cell))| Some((name.as_deref()?, cell))).collect();
                self.fields(&fields, rules, place)?;
            }
            _ => return Err(place.broken(node.mismatch(describe(cell)))),
        }
        choices(cell, node, place)
    }

    fn fields(
        &self,
        fields: &[(&str, &Cell<'_>)],
        rules: &'c FieldRules,
        place: &Place<'_>,
    ) -> Result<(), Mismatch> {
        self.has_required(rules, place, |name| fields.iter().any(|(known, _)| *known == name))?;
        for (name, cell) in fields {
            if let Some(node) = self.field(rules, name, place)? {
                self.value(cell, node, &Place::Field(place, name))?;
            }
        }
        Ok(())
    }

    fn has_required(
        &self,
        rules: &FieldRules,
        place: &Place<'_>,
        has: impl Fn(&str) -> bool,
    ) -> Result<(), Mismatch> {
        let mut required = rules.properties.iter().filter(|property| property.required);
        match required.find(|property| !has(&property.name)) {
            Some(missing) => Err(Place::Field(place, &missing.name).broken(Broken::Missing)),
            None => Ok(()),
        }
    }

    /// The declared type of a field; none when it is not declared and need not be.
    fn field(
        &self,
        rules: &'c FieldRules,
        name: &str,
        place: &Place<'_>,
    ) -> Result<Option<&'c Node>, Mismatch> {
        match rules.property(name).and_then(|property| self.checks.node(property.ty)) {
            None if !rules.open => Err(Place::Field(place, name).broken(Broken::Undeclared)),
            found => Ok(found),
        }
    }
}

/// Checks a text that JSON writes as a string. A time of DuckDB's is well formed, and more kinds of
/// it have one format; a text has to be as the format says, and so has what is no time.
fn string(rules: &TextRules, cell: &Cell<'_>, text: &str) -> Result<(), Broken> {
    rules.check(text)?;
    let Some(format) = rules.format else { return Ok(()) };
    let is_of_time = !matches!(format, Format::Email | Format::Uri);
    let is_time = matches!(
        cell,
        Cell::Date(_) | Cell::Time(_) | Cell::TimeTz(..) | Cell::Timestamp(..) | Cell::Interval(..)
    );
    if (is_time && is_of_time) || format.accepts(text) {
        Ok(())
    } else {
        Err(Broken::Format(format))
    }
}

/// A scalar with declared choices is one of them.
fn choices(cell: &Cell<'_>, node: &Node, place: &Place<'_>) -> Result<(), Mismatch> {
    if node.choices.is_empty() || matches!(cell, Cell::List(_) | Cell::Struct(_) | Cell::Map(_)) {
        return Ok(());
    }
    let is_choice = match (number_of(cell), cell) {
        (Some(number), _) => {
            // What is not finite is written as null, and null passes.
            let number = Decimal::parse(&number);
            number.is_none_or(|number| {
                node.choices.iter().any(|choice| Decimal::parse(choice).as_ref() == Some(&number))
            })
        }
        (None, Cell::Bool(value)) => node.choices.iter().any(|choice| *choice == value.to_string()),
        (None, other) => string_of(other).is_some_and(|text| {
            let text = quoted(&text);
            node.choices.contains(&text)
        }),
    };
    if is_choice { Ok(()) } else { Err(place.broken(node.not_a_choice())) }
}

const fn is_number(cell: &Cell<'_>) -> bool {
    matches!(cell, Cell::Int(_) | Cell::Uint(_) | Cell::F32(_) | Cell::F64(_) | Cell::Decimal(..))
}

/// Whether a number has no decimals, or is none and is written as null.
fn is_whole(cell: &Cell<'_>) -> bool {
    let whole = |value: f64| !value.is_finite() || value.fract() == 0.0;
    match cell {
        Cell::F32(value) => whole(f64::from(*value)),
        Cell::F64(value) => whole(*value),
        Cell::Decimal(value, scale) => {
            10_i128.checked_pow((*scale).into()).is_some_and(|unit| value % unit == 0)
        }
        _ => true,
    }
}

fn are_different(items: &List<'_>) -> bool {
    let mut seen = HashSet::new();
    items.iter().all(|item| seen.insert(identity(&item)))
}

/// A text that two values of one type share when JSON writes them the same.
fn identity(cell: &Cell<'_>) -> String {
    match cell {
        // What is not finite is written as null.
        Cell::F32(value) if !value.is_finite() => identity(&Cell::Null),
        Cell::F64(value) if !value.is_finite() => identity(&Cell::Null),
        Cell::List(items) => {
            let items: String = items.iter().map(|item| identity(&item) + ",").collect();
            format!("[{items}]")
        }
        Cell::Struct(fields) => {
            let fields: String = fields.iter().map(|(_, cell)| identity(cell) + ",").collect();
            format!("({fields})")
        }
        Cell::Map(entries) => {
            let entry = |(key, cell): &(Cell<'_>, Cell<'_>)| {
                let key = name_of(key).map_or_else(|| identity(key), Cow::into_owned);
                format!("{key:?}:{},", identity(cell))
            };
            let mut entries: Vec<String> = entries.iter().map(entry).collect();
            entries.sort_unstable();
            format!("{{{}}}", entries.concat())
        }
        Cell::F32(value) => (value + 0.0).to_string(),
        Cell::F64(value) => (value + 0.0).to_string(),
        other => format!("{other:?}"),
    }
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
