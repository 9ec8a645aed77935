//! Arguments as DuckDB takes them, each with exactly the type that its declaration means.

use mxcp_schemas::bundle::definition::Format;

use super::Argument;
use crate::check::{Checks, Node, Shape};
use crate::duckdb::{Bind, BindType};

/// The value of a declared parameter.
pub fn bind(argument: &Argument, declared: Option<&Node>, checks: &Checks) -> Bind {
    match argument {
        Argument::Null => Bind::Null,
        Argument::Bool(value) => Bind::Bool(*value),
        Argument::Int(value) => Bind::Int(*value),
        Argument::Double(value) => Bind::Double(*value),
        Argument::Text(text) | Argument::Duration(text, _) => Bind::Text(text.to_string()),
        Argument::Date(_, days) => Bind::Date(*days),
        Argument::Time(_, micros) => Bind::Time(*micros),
        Argument::DateTime(_, at) => Bind::TimestampTz(micros(at.seconds, at.nanos)),
        Argument::Timestamp(_, at) => Bind::Timestamp(micros(at.seconds, at.nanos)),
        Argument::List(items) => {
            let item = match declared.map(|node| &node.shape) {
                Some(Shape::Array(rules)) => rules.items.and_then(|id| checks.node(id)),
                _ => None,
            };
            let values: Vec<Bind> = items.iter().map(|value| bind(value, item, checks)).collect();
            Bind::List(item.map_or(BindType::Unknown, |node| column(node, checks)), values)
        }
        Argument::Object(fields) => Bind::Struct(
            fields
                .iter()
                .map(|(name, value)| {
                    let property = match declared.map(|node| &node.shape) {
                        Some(Shape::Object(rules)) => rules.property(name),
                        _ => None,
                    };
                    let node = property.and_then(|property| checks.node(property.ty));
                    (name.to_string(), bind(value, node, checks))
                })
                .collect(),
        ),
    }
}

/// Microseconds; times beyond what they can count are put at the end.
fn micros(seconds: i64, nanos: u32) -> i64 {
    seconds.saturating_mul(1_000_000).saturating_add(i64::from(nanos / 1_000))
}

/// The type that values of a declaration have in DuckDB.
fn column(node: &Node, checks: &Checks) -> BindType {
    match &node.shape {
        Shape::String(rules) => match rules.format {
            Some(Format::Date) => BindType::Date,
            Some(Format::Time) => BindType::Time,
            Some(Format::DateTime) => BindType::TimestampTz,
            Some(Format::Timestamp) => BindType::Timestamp,
            _ => BindType::Text,
        },
        Shape::Number(rules) if rules.integer => BindType::Int,
        Shape::Number(_) => BindType::Double,
        Shape::Boolean => BindType::Bool,
        Shape::Array(rules) => {
            let item = rules.items.and_then(|id| checks.node(id));
            BindType::List(Box::new(item.map_or(BindType::Unknown, |node| column(node, checks))))
        }
        Shape::Object(rules) => BindType::Struct(
            rules
                .properties
                .iter()
                .filter_map(|p| Some((p.name.clone(), column(checks.node(p.ty)?, checks))))
                .collect(),
        ),
    }
}
