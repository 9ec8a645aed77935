//! Policies that together refuse every call.

use mxcp_policy::action::Effect;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};
use crate::policy::Checked;

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0705",
    slug: "contradictory-policies",
    severity: Severity::Warning,
    title: "policies together refuse every call",
    page: "Each of them lets somebody through, and whoever one lets through another refuses: nobody can \
           call the endpoint. Often two alternatives were written as two policies; a call has to pass \
           all of them.\n\n```yaml\n# wrong\n- condition: user.role != 'doctor'\n  action: deny\n  \
           reason: Doctors alone\n- condition: user.role != 'nurse'\n  action: deny\n  reason: Nurses \
           alone\n```\n\n```yaml\n# right\n- condition: \"!(user.role in ['doctor', 'nurse'])\"\n  \
           action: deny\n  reason: Doctors and nurses alone\n```\n",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let policies = subject.policies();
    let refuses = |index: &usize| {
        let policy = policies.get(*index);
        policy.is_some_and(|(_, policy)| matches!(policy.action.effect, Effect::Refuse))
            && subject.constant(*index).is_none()
    };
    let refusing: Vec<usize> = (0..policies.len()).filter(refuses).collect();
    let Some(together) = smallest(subject, &refusing) else { return Vec::new() };
    let together: Vec<&Checked> =
        together.iter().filter_map(|at| policies.get(*at)).map(|(_, policy)| *policy).collect();
    let Some((last, others)) = together.split_last() else { return Vec::new() };
    let file = &subject.endpoint.file;
    let names: Vec<String> = others.iter().map(|policy| format!("`{}`", policy.name)).collect();
    let message =
        format!("`{}` refuses every call that {} lets through", last.name, names.join(" and "));
    let mut finding = Diagnostic::new(&CODE, file, last.condition_span, message)
        .help("nobody can call this; join the conditions, as in `!(user.role in ['a', 'b'])`");
    for other in others {
        finding = finding.related(file, other.condition_span, "and this refuses the others");
    }
    vec![finding]
}

/// The fewest policies that refuse everything together: two of them, else all.
fn smallest(subject: &Subject<'_>, refusing: &[usize]) -> Option<Vec<usize>> {
    let everything = |those: &[usize]| {
        let passed: Vec<(usize, bool)> = (0..those.len()).map(|at| (at, false)).collect();
        let refused = subject.ask(those, |question| question.none(&passed, |_| true));
        refused == Some(true)
    };
    for (index, one) in refusing.iter().enumerate() {
        for other in refusing.iter().take(index) {
            let pair = vec![*other, *one];
            if everything(&pair) {
                return Some(pair);
            }
        }
    }
    (refusing.len() > 2 && everything(refusing)).then(|| refusing.to_vec())
}
