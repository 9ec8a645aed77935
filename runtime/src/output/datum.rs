//! What conditions see of a result: `response`.

use mxcp_policy::datum::{Datum, Instant, Span, Symbols};
use mxcp_schemas::bundle::definition::{Format, TypeId};
use mxcp_schemas::format;

use super::text::{decimal, name_of, string_of};
use super::{Form, Table};
use crate::check::{Checks, Node, Shape};
use crate::duckdb::Cell;

/// Reads values along their declarations.
struct Reader<'r> {
    checks: &'r Checks,
    symbols: &'r Symbols,
}

impl Table {
    /// The result as conditions see it: before any field action, times as the declared formats say.
    pub fn datum(
        &self,
        form: Form,
        result: Option<TypeId>,
        checks: &Checks,
        symbols: &Symbols,
    ) -> Datum {
        let reader = Reader { checks, symbols };
        let node = result.and_then(|id| checks.node(id));
        match form {
            Form::Value => reader.value(&self.cell(0, 0, 0), node),
            Form::Row => self.row_datum(&reader, node, 0, 0),
            Form::Rows => {
                let item = reader.item(node);
                let rows = self.places();
                Datum::List(rows.map(|(c, r)| self.row_datum(&reader, item, c, r)).collect())
            }
        }
    }

    fn row_datum<'r>(
        &self,
        reader: &Reader<'r>,
        node: Option<&'r Node>,
        chunk: usize,
        row: usize,
    ) -> Datum {
        let fields = self.names.iter().enumerate().map(|(column, name)| {
            let value = reader.value(&self.cell(chunk, column, row), reader.field(node, name));
            (reader.symbols.text(name.as_str()), value)
        });
        map(fields.collect())
    }
}

impl<'r> Reader<'r> {
    fn item(&self, node: Option<&'r Node>) -> Option<&'r Node> {
        match node.map(|n| &n.shape) {
            Some(Shape::Array(rules)) => rules.items.and_then(|id| self.checks.node(id)),
            _ => None,
        }
    }

    fn field(&self, node: Option<&'r Node>, name: &str) -> Option<&'r Node> {
        match node.map(|n| &n.shape) {
            Some(Shape::Object(rules)) => {
                rules.property(name).and_then(|property| self.checks.node(property.ty))
            }
            _ => None,
        }
    }

    fn value(&self, cell: &Cell<'_>, node: Option<&'r Node>) -> Datum {
        let format = match node.map(|n| &n.shape) {
            Some(Shape::String(rules)) => rules.format,
            _ => None,
        };
        if let Some(time) = format.and_then(|format| time_of(cell, format)) {
            return time;
        }
        match cell {
            Cell::Null => Datum::Null,
            Cell::Bool(value) => Datum::Bool(*value),
            Cell::Int(value) => whole(*value, node),
            Cell::Uint(value) => match i128::try_from(*value) {
                Ok(value) => whole(value, node),
                Err(_) => Datum::Double(rounded(&value.to_string())),
            },
            Cell::F32(value) => Datum::Double(f64::from(*value)),
            Cell::F64(value) => Datum::Double(*value),
            Cell::Decimal(value, scale) => match (node.map(|n| &n.shape), scale) {
                (Some(Shape::Number(rules)), 0) if rules.integer => whole(*value, node),
                _ => Datum::Double(rounded(&decimal(*value, *scale))),
            },
            Cell::Blob(bytes) => Datum::Bytes((*bytes).into()),
            Cell::List(items) => {
                let item = self.item(node);
                Datum::List(items.iter().map(|cell| self.value(&cell, item)).collect())
            }
            Cell::Struct(fields) => map(fields
                .iter()
                .map(|(name, cell)| {
                    (self.symbols.text(*name), self.value(cell, self.field(node, name)))
                })
                .collect()),
            Cell::Map(entries) => map(entries
                .iter()
                .filter_map(|(key, cell)| {
                    let name = name_of(key)?;
                    let value = self.value(cell, self.field(node, &name));
                    Some((self.symbols.text(name), value))
                })
                .collect()),
            Cell::Unsupported => {
                Datum::Error("a column has a type that conditions cannot read".into())
            }
            other => Datum::String(self.symbols.text(string_of(other).unwrap_or_default())),
        }
    }
}

fn map(mut entries: Vec<(mxcp_policy::datum::Text, Datum)>) -> Datum {
    entries.sort_by(|(a, _), (b, _)| a.text.cmp(&b.text));
    Datum::Map(entries.into())
}

/// A whole number; where `number` is declared it is a double, as the checker assumed.
fn whole(value: i128, node: Option<&Node>) -> Datum {
    let as_double = matches!(node.map(|n| &n.shape), Some(Shape::Number(rules)) if !rules.integer);
    if as_double {
        return Datum::Double(rounded(&value.to_string()));
    }
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Datum::Int(value),
        (_, Ok(value)) => Datum::Uint(value),
        _ => Datum::Double(rounded(&value.to_string())),
    }
}

/// The nearest double.
fn rounded(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// A time, where the declared format says that the value is one.
fn time_of(cell: &Cell<'_>, declared: Format) -> Option<Datum> {
    let instant = |(seconds, nanos)| Datum::Timestamp(Instant { seconds, nanos });
    let day = |days: i32| instant((i64::from(days) * 86_400, 0));
    match (declared, cell) {
        (Format::Date | Format::DateTime, Cell::Date(days)) => Some(day(*days)),
        (Format::Date | Format::DateTime | Format::Timestamp, Cell::Timestamp(nanos, _)) => {
            mxcp_policy::function::time::instant_at(*nanos).map(Datum::Timestamp)
        }
        (Format::Date, Cell::Text(text, _)) => format::date(text).map(day),
        (Format::DateTime, Cell::Text(text, _)) => format::date_time(text).map(instant),
        (Format::Timestamp, _) => string_of(cell).and_then(|t| format::timestamp(&t)).map(instant),
        (Format::Duration, _) => string_of(cell)
            .and_then(|text| format::duration(&text))
            .map(|(seconds, nanos)| Datum::Duration(Span { seconds, nanos })),
        _ => None,
    }
}
