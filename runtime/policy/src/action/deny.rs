//! `deny`: the call is refused.

use super::{Action, Effect};

/// See the module.
pub(super) static ACTION: Action = Action {
    name: "deny",
    doc: "Refuses the call. The client reads `reason`, or a fixed text, and never the condition.",
    on_input: true,
    takes_fields: false,
    effect: Effect::Refuse,
    examples: &[],
};
