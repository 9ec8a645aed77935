//! Declared types as the bundle stores them and as conditions see them.

use std::collections::HashMap;
use std::sync::Arc;

use mxcp_policy::ty::{Field, Record, Ty};
use mxcp_schemas::bundle::definition::{
    Additional, Bounds, Format, Property, Type as Stored, TypeId, TypeKind, Types,
};
use mxcp_schemas::document::Spanned;
use mxcp_schemas::document::ty::{Type, TypeName};
use serde_json::Number;

use crate::cel::shape::{Bound, Shape};

/// The types of a bundle while they are gathered: each is stored once, however often it is declared.
#[derive(Debug, Default)]
pub struct Store {
    types: Types,
    known: HashMap<Stored, TypeId>,
}

impl Store {
    /// Adds a declared type, children first.
    pub fn add(&mut self, ty: &Type) -> TypeId {
        let count = |n: &Option<Spanned<u64>>| n.as_ref().map(|n| n.value);
        let kind = match ty.name.value {
            TypeName::String => TypeKind::String {
                format: ty.format.as_ref().map(|f| f.value),
                min_length: count(&ty.min_length),
                max_length: count(&ty.max_length),
                pattern: ty.pattern.as_ref().map(|p| p.value.clone()),
            },
            TypeName::Number | TypeName::Integer => {
                let bound = |n: &Option<Spanned<Number>>| n.as_ref().map(|n| n.value.to_string());
                TypeKind::Number {
                    integer: ty.name.value == TypeName::Integer,
                    bounds: Bounds {
                        minimum: bound(&ty.minimum),
                        maximum: bound(&ty.maximum),
                        exclusive_minimum: bound(&ty.exclusive_minimum),
                        exclusive_maximum: bound(&ty.exclusive_maximum),
                        multiple_of: bound(&ty.multiple_of),
                    },
                }
            }
            TypeName::Boolean => TypeKind::Boolean,
            TypeName::Array => TypeKind::Array {
                items: ty.items.as_ref().map(|items| self.add(items)),
                min_items: count(&ty.min_items),
                max_items: count(&ty.max_items),
                unique_items: ty.unique_items,
            },
            TypeName::Object => TypeKind::Object {
                properties: ty
                    .properties
                    .iter()
                    .map(|p| Property {
                        name: p.name.value.clone(),
                        ty: self.add(&p.ty),
                        required: is_required(ty, &p.name.value),
                    })
                    .collect(),
                additional: ty.additional,
            },
        };
        let choices = ty.choices.iter().map(|c| c.value.to_string()).collect();
        let stored = Stored { kind, sensitive: ty.sensitive, choices };
        if let Some(known) = self.known.get(&stored) {
            return *known;
        }
        let id = TypeId(u32::try_from(self.types.nodes.len()).unwrap_or(u32::MAX));
        self.types.nodes.push(stored.clone());
        self.known.insert(stored, id);
        id
    }

    /// All that was added.
    pub const fn types(&self) -> &Types {
        &self.types
    }

    /// All that was added.
    pub fn into_types(self) -> Types {
        self.types
    }
}

/// The type of a declared value in a condition. `name` is what diagnostics call it.
pub fn in_conditions(ty: &Type, name: &str) -> Ty {
    if ty.broken {
        return Ty::Error;
    }
    match ty.name.value {
        TypeName::String => match ty.format.as_ref().map(|f| f.value) {
            Some(Format::Date | Format::DateTime | Format::Timestamp) => Ty::Timestamp,
            Some(Format::Duration) => Ty::Duration,
            _ => Ty::String,
        },
        TypeName::Number => Ty::Double,
        TypeName::Integer => Ty::Int,
        TypeName::Boolean => Ty::Bool,
        TypeName::Array => {
            let item =
                ty.items.as_ref().map_or(Ty::Dyn, |i| in_conditions(i, &format!("{name}[]")));
            Ty::list(item)
        }
        TypeName::Object if ty.properties.is_empty() => Ty::map(Ty::String, Ty::Dyn),
        TypeName::Object => Ty::Record(Arc::new(Record {
            name: name.to_owned(),
            fields: ty
                .properties
                .iter()
                .map(|p| Field {
                    name: p.name.value.clone(),
                    ty: in_conditions(&p.ty, &format!("{name}.{}", p.name.value)),
                    required: is_required(ty, &p.name.value),
                })
                .collect(),
            open: ty.additional != Additional::Forbidden,
        })),
    }
}

/// What a declaration says about a value beyond its type in conditions. `path` is what diagnostics
/// call the value.
pub fn shape(ty: &Type, path: &str) -> Arc<Shape> {
    let count = |n: &Option<Spanned<u64>>| n.as_ref().map(|n| n.value);
    let bound = |key| Some(Bound { path: path.to_owned(), key });
    let mut shape = Shape::default();
    match ty.name.value {
        TypeName::String if in_conditions(ty, path) == Ty::String => {
            shape.choices =
                ty.choices.iter().filter_map(|c| c.value.as_str().map(str::to_owned)).collect();
            let longest = shape.choices.iter().map(|c| c.chars().count()).max();
            let listed = longest.and_then(|longest| u64::try_from(longest).ok());
            shape.max_size = listed.or_else(|| count(&ty.max_length));
            shape.bound = if listed.is_none() { bound("maxLength") } else { None };
        }
        TypeName::Array => {
            shape.max_size = count(&ty.max_items);
            shape.bound = bound("maxItems");
            shape.items = ty.items.as_ref().map(|items| self::shape(items, &format!("{path}[]")));
        }
        TypeName::Object => {
            if ty.additional == Additional::Forbidden {
                shape.max_size = u64::try_from(ty.properties.len()).ok();
            }
            let fields = ty.properties.iter().map(|p| {
                let name = p.name.value.clone();
                let inner = self::shape(&p.ty, &format!("{path}.{name}"));
                (name, inner)
            });
            shape.fields = fields.collect();
        }
        _ => {}
    }
    Arc::new(shape)
}

/// Whether every object of the type has the field.
pub fn is_required(ty: &Type, field: &str) -> bool {
    ty.required.iter().any(|name| name.value == field)
}
