//! `filter_sensitive_fields`: what the declared result marks sensitive is removed.

use super::{Action, Effect, Example, PlanError};
use crate::plan::from_sensitive;

/// See the module.
pub(super) static ACTION: Action = Action {
    name: "filter_sensitive_fields",
    doc: "Removes every field that `return` marks `sensitive: true`, at any depth, and keys that \
          it does not declare unless that object says `additionalProperties: true`. A result that \
          is sensitive as a whole becomes null.",
    on_input: false,
    takes_fields: false,
    effect: Effect::Change(|subject| {
        subject
            .result
            .and_then(|result| from_sensitive(subject.types, result))
            .ok_or(PlanError::NothingSensitive)
    }),
    examples: &[Example {
        fields: &[],
        before: r#"[{"name": "Ada", "ssn": "1", "undeclared": true}]"#,
        after: r#"[{"name": "Ada"}]"#,
    }],
};

/// The result that the example above is about: a list of people with a sensitive `ssn`.
#[cfg(test)]
pub(super) fn example_types() -> (super::Types, super::TypeId) {
    use mxcp_schemas::bundle::definition::{Additional, Property, Type, TypeId, TypeKind, Types};
    let node = |kind, sensitive| Type { kind, sensitive, choices: Vec::new() };
    let text =
        || TypeKind::String { format: None, min_length: None, max_length: None, pattern: None };
    let field = |name: &str, ty| Property { name: name.into(), ty: TypeId(ty), required: true };
    let nodes = vec![
        node(text(), false),
        node(text(), true),
        node(
            TypeKind::Object {
                properties: vec![field("name", 0), field("ssn", 1)],
                additional: Additional::Unsaid,
            },
            false,
        ),
        node(
            TypeKind::Array {
                items: Some(TypeId(2)),
                min_items: None,
                max_items: None,
                unique_items: false,
            },
            false,
        ),
    ];
    (Types { nodes }, TypeId(3))
}
