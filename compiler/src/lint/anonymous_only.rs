//! A refusal that no authenticated caller can ever meet.

use mxcp_policy::action::Effect;
use mxcp_schemas::bundle::code::Slot;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};
use crate::analysis::{Binding, Point};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0706",
    slug: "anonymous-only",
    severity: Severity::Warning,
    title: "a refusal can never apply to anybody who is authenticated",
    page: "Whoever is authenticated has an identity (`user_id`, `provider`) and a role other than \
           `anonymous`; the condition is false for all of them, so the policy only refuses strangers. \
           If that is meant, say `user.role == 'anonymous'`.\n\n```yaml\n# wrong\n- condition: \
           user.user_id == null && user.role != 'service'\n  action: deny\n  reason: Not for \
           you\n```\n\n```yaml\n# right\n- condition: user.role == 'anonymous'\n  action: deny\n  \
           reason: Sign in first\n```\n",
};

/// Slots of what every authenticated caller has.
const USER_ID: Slot = Slot::User(0);
const PROVIDER: Slot = Slot::User(4);
const ROLE: Slot = Slot::User(5);

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (index, (_, policy)) in subject.policies().into_iter().enumerate() {
        if !matches!(policy.action.effect, Effect::Refuse) || subject.constant(index).is_some() {
            continue;
        }
        let unreachable =
            subject.ask(&[index], |question| question.none(&[(0, true)], is_authenticated));
        if unreachable != Some(true)
            || policy.condition.contains("'anonymous'")
            || policy.condition.contains("\"anonymous\"")
        {
            continue;
        }
        let message = format!("`{}` never applies to anybody who is authenticated", policy.name);
        found.push(
            Diagnostic::new(&CODE, &subject.endpoint.file, policy.condition_span, message).help(
                "write `user.role == 'anonymous'` if strangers are meant, or correct the condition",
            ),
        );
    }
    found
}

fn is_authenticated(point: &Point<'_>) -> bool {
    let lacks = |slot| matches!(point.get(slot), Some(Binding::Null | Binding::Absent));
    let anonymous = matches!(point.get(ROLE), Some(Binding::Text(role)) if role == "anonymous");
    !anonymous && !lacks(USER_ID) && !lacks(PROVIDER)
}
