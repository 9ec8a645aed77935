//! A policy that another one makes idle.

use mxcp_policy::action::Effect;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};
use crate::policy::{Checked, Stage};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0703",
    slug: "shadowed-policy",
    severity: Severity::Warning,
    title: "a policy never decides, because another one always decides first",
    page: "Whenever the policy applies, an earlier one has refused the call already, or has removed \
           the same fields. It looks like protection and adds none; often one of the two conditions is \
           not what was meant.\n\n```yaml\n# wrong\n- condition: user.role != 'admin'\n  action: deny\n  \
           reason: Administrators alone\n- condition: user.role == 'guest'\n  action: deny\n  reason: \
           Guests cannot\n```\n\n```yaml\n# right\n- condition: user.role == 'guest'\n  action: deny\n  \
           reason: Guests cannot\n- condition: user.role != 'admin'\n  action: deny\n  reason: \
           Administrators alone\n```\n\nIn the second order guests read a reason of their own.\n",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let policies = subject.policies();
    let mut found = Vec::new();
    for (index, (stage, policy)) in policies.iter().enumerate() {
        if subject.constant(index).is_some() {
            continue;
        }
        let earlier: Vec<usize> = (0..index)
            .filter(|other| subject.constant(*other).is_none())
            .filter(|other| {
                policies.get(*other).is_some_and(|(s, o)| outdoes((*s, o), (*stage, policy)))
            })
            .collect();
        let Some(stronger) = shadow(subject, index, &earlier) else { continue };
        // The same policy twice is told as such.
        if matches!(stronger.as_slice(), [one] if super::duplicate::same(subject, &policies, *one, index))
        {
            continue;
        }
        found.push(report(subject, policy, &policies, &stronger));
    }
    found
}

/// Whether one policy, where it applies, leaves nothing to do for another.
fn outdoes(one: (Stage, &Checked), other: (Stage, &Checked)) -> bool {
    match (&one.1.action.effect, &other.1.action.effect) {
        (Effect::Refuse, Effect::Refuse | Effect::Change(_)) => true,
        (Effect::Change(_), Effect::Change(_)) => covers(one.1, other.1),
        (Effect::Change(_), Effect::Refuse) => false,
    }
}

/// Whether a field action does to all fields of another what that does, or more.
fn covers(one: &Checked, other: &Checked) -> bool {
    let (Some(a), Some(b)) = (&one.plan, &other.plan) else { return false };
    let stronger = one.action.name == other.action.name
        || (one.action.name == "filter_fields" && other.action.name == "mask_fields");
    stronger && b.paths.iter().all(|path| a.paths.contains(path))
}

/// The policies that make one idle: one of them where that suffices.
fn shadow(subject: &Subject<'_>, index: usize, earlier: &[usize]) -> Option<Vec<usize>> {
    let idle = |those: &[usize]| {
        let all: Vec<usize> = those.iter().chain([&index]).copied().collect();
        let others: Vec<usize> = (0..those.len()).collect();
        let implied = subject.ask(&all, |question| question.implies(those.len(), &others));
        (implied == Some(true)).then(|| those.to_vec())
    };
    earlier
        .iter()
        .find_map(|one| idle(&[*one]))
        .or_else(|| (earlier.len() > 1).then(|| idle(earlier)).flatten())
}

fn report(
    subject: &Subject<'_>,
    policy: &Checked,
    policies: &[(Stage, &Checked)],
    stronger: &[usize],
) -> Diagnostic {
    let named: Vec<&Checked> =
        stronger.iter().filter_map(|at| policies.get(*at)).map(|(_, policy)| *policy).collect();
    let names: Vec<String> = named.iter().map(|policy| format!("`{}`", policy.name)).collect();
    let refused = named.iter().all(|policy| matches!(policy.action.effect, Effect::Refuse));
    let did = if refused { "refused the call already" } else { "done as much already" };
    let has = if named.len() == 1 { "has" } else { "have" };
    let message = format!(
        "`{}` never decides: whenever it applies, {} {has} {did}",
        policy.name,
        names.join(" or "),
    );
    let file = &subject.endpoint.file;
    let mut finding = Diagnostic::new(&CODE, file, policy.condition_span, message)
        .help("move it before the other, remove it, or correct one of the conditions");
    let label = if named.len() == 1 { "this one decides" } else { "these decide together" };
    for other in named {
        finding = finding.related(file, other.condition_span, label);
    }
    finding
}
