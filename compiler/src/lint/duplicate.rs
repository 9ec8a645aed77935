//! The same policy twice.

use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};
use crate::policy::{Checked, Stage};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0704",
    slug: "duplicate-policy",
    severity: Severity::Warning,
    title: "two policies do the same under the same condition",
    page: "One of them is superfluous, or one of them was meant to be another. Conditions count as the \
           same when they are true for the same calls, however they are written.\n\n```yaml\n# wrong\n\
           - condition: \"!(user.role == 'hr' || user.role == 'admin')\"\n  action: deny\n  reason: \
           Personnel alone\n- condition: user.role != 'admin' && user.role != 'hr'\n  action: deny\n  \
           reason: Personnel alone\n```\n\n```yaml\n# right\n- condition: \"!(user.role == 'hr' || \
           user.role == 'admin')\"\n  action: deny\n  reason: Personnel alone\n```\n",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let policies = subject.policies();
    let mut found = Vec::new();
    for (index, (_, policy)) in policies.iter().enumerate() {
        let twin = (0..index).find(|other| same(subject, &policies, *other, index));
        let Some((_, twin)) = twin.and_then(|twin| policies.get(twin)) else { continue };
        let file = &subject.endpoint.file;
        let message = format!("`{}` does the same as `{}`", policy.name, twin.name);
        found.push(
            Diagnostic::new(&CODE, file, policy.condition_span, message)
                .related(file, twin.condition_span, "the other one")
                .help("remove one of them"),
        );
    }
    found
}

/// Whether two policies do the same whenever one of them applies.
pub(super) fn same(
    subject: &Subject<'_>,
    policies: &[(Stage, &Checked)],
    a: usize,
    b: usize,
) -> bool {
    let (Some(one), Some(other)) = (policies.get(a), policies.get(b)) else { return false };
    if one.0 != other.0 || one.1.action.name != other.1.action.name || one.1.plan != other.1.plan {
        return false;
    }
    if one.1.condition == other.1.condition {
        return true;
    }
    if subject.constant(a).is_some() || subject.constant(b).is_some() {
        return false;
    }
    let both = subject.ask(&[a, b], |both| Some(both.implies(0, &[1])? && both.implies(1, &[0])?));
    both.unwrap_or(false)
}
