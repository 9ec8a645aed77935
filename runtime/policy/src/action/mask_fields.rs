//! `mask_fields`: the values of named fields are hidden.

use mxcp_schemas::bundle::plan::Verdict;

use super::{Action, Effect, Example};
use crate::plan::from_paths;

/// See the module.
pub(super) static ACTION: Action = Action {
    name: "mask_fields",
    doc: "Replaces the values of the named fields by `\"****\"`, arrays and objects whole.",
    on_input: false,
    takes_fields: true,
    effect: Effect::Change(|subject| Ok(from_paths(subject.fields, Verdict::Mask)?)),
    examples: &[Example {
        fields: &["phone", "address"],
        before: r#"{"phone": "1", "address": {"street": "x"}, "name": "Ada"}"#,
        after: r#"{"phone": "****", "address": "****", "name": "Ada"}"#,
    }],
};
