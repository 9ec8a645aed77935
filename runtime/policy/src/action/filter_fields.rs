//! `filter_fields`: named fields are removed.

use mxcp_schemas::bundle::plan::Verdict;

use super::{Action, Effect, Example};
use crate::plan::from_paths;

/// See the module.
pub(super) static ACTION: Action = Action {
    name: "filter_fields",
    doc: "Removes the named fields. A removed field is absent, not null.",
    on_input: false,
    takes_fields: true,
    effect: Effect::Change(|subject| Ok(from_paths(subject.fields, Verdict::Drop)?)),
    examples: &[
        Example {
            fields: &["salary"],
            before: r#"[{"name": "Ada", "salary": 1}, {"name": "Bob"}]"#,
            after: r#"[{"name": "Ada"}, {"name": "Bob"}]"#,
        },
        Example {
            fields: &["orders[].card.number", "**.ssn"],
            before: r#"{"orders": [{"card": {"number": "4", "kind": "v"}}], "a": {"ssn": "1"}}"#,
            after: r#"{"orders": [{"card": {"kind": "v"}}], "a": {}}"#,
        },
    ],
};
