//! Whether a field path can exist in a declared result.

use mxcp_policy::plan::{FieldPath, Segment};
use mxcp_schemas::bundle::definition::Additional;
use mxcp_schemas::diagnostic::closest;
use mxcp_schemas::document::ty::{Type, TypeName};

/// What is known about a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolution {
    /// It is declared, or nothing is declared there.
    Exists,
    /// The object declares fields and this is none of them, yet others are allowed.
    Undeclared {
        /// the field
        field: String,
        /// a declared field that is close
        near: Option<String>,
    },
    /// The object or value cannot have it.
    Impossible {
        /// why, as a sentence
        why: String,
        /// the field
        field: String,
        /// a declared field that is close
        near: Option<String>,
    },
}

/// Looks a path up in a declared result. A field action applies to each item of a list.
pub(super) fn resolve(ty: &Type, path: &FieldPath) -> Resolution {
    walk(ty, "the result", path.segments())
}

/// `at` is what the value is called so far.
fn walk(ty: &Type, at: &str, segments: &[Segment]) -> Resolution {
    let Some((first, rest)) = segments.split_first() else { return Resolution::Exists };
    if ty.broken {
        return Resolution::Exists;
    }
    let word = ty.name.value.as_str();
    let impossible = |why: String| Resolution::Impossible { why, field: String::new(), near: None };
    match (first, ty.name.value) {
        // What `*` and `**` meet is not known by name; what comes later is looked up anywhere.
        (Segment::Any | Segment::Deep, _) => Resolution::Exists,
        (Segment::Items, TypeName::Array) => below_items(ty, at, rest),
        (Segment::Field(_), TypeName::Array) => below_items(ty, at, segments),
        (Segment::Field(name), TypeName::Object) => field(ty, at, name, rest),
        (Segment::Field(name), _) => {
            impossible(format!("{at} is of type {word} and has no field `{name}`"))
        }
        (Segment::Items, _) => impossible(format!("{at} is of type {word}, not a list")),
    }
}

fn below_items(ty: &Type, at: &str, segments: &[Segment]) -> Resolution {
    ty.items.as_ref().map_or(Resolution::Exists, |items| walk(items, at, segments))
}

fn field(ty: &Type, at: &str, name: &str, rest: &[Segment]) -> Resolution {
    let declared = ty.properties.iter().find(|p| p.name.value.eq_ignore_ascii_case(name));
    if let Some(declared) = declared {
        return walk(&declared.ty, &format!("`{name}`"), rest);
    }
    let near = closest(name, ty.properties.iter().map(|p| p.name.value.as_str()));
    let near = near.map(str::to_owned);
    match ty.additional {
        Additional::Forbidden => {
            let why = format!("{at} has no field `{name}`, and `return` allows no others there");
            Resolution::Impossible { why, field: name.to_owned(), near }
        }
        Additional::Unsaid if !ty.properties.is_empty() => {
            Resolution::Undeclared { field: name.to_owned(), near }
        }
        _ => Resolution::Exists,
    }
}
