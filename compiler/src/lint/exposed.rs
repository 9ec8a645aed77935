//! Sensitive fields that reach callers whom no policy names.

use mxcp_policy::action::Effect;
use mxcp_schemas::bundle::plan::{Plan, StateId, Verdict};
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity, Span};
use mxcp_schemas::document::ty::Type;

use super::{Lint, Subject};
use crate::policy::{Checked, Stage};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0707",
    slug: "exposed-sensitive-field",
    severity: Severity::Warning,
    title: "a sensitive field reaches callers whom no policy names",
    page: "The field is marked `sensitive`, and there is a caller without any of the roles, permissions \
           and other attributes that the conditions name who gets it as it is. Restrictions that list \
           who is refused (`user.role == 'guest'`) let everybody else through, roles of next year \
           included; list who is allowed instead.\n\n```yaml\n# wrong\nreturn:\n  type: object\n  \
           properties:\n    name: {type: string}\n    ssn: {type: string, sensitive: true}\npolicies:\n  \
           output:\n    - condition: user.role == 'guest'\n      action: filter_sensitive_fields\n\
           ```\n\n```yaml\n# right\nreturn:\n  type: object\n  properties:\n    name: {type: string}\n    \
           ssn: {type: string, sensitive: true}\npolicies:\n  output:\n    - condition: user.role != \
           'hr'\n      action: filter_sensitive_fields\n```\n",
};

/// A way from the result to a sensitive value.
struct Way {
    steps: Vec<Step>,
    shown: String,
    span: Span,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    Items,
}

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let endpoint = subject.endpoint;
    let declared = endpoint.document.result.as_ref().filter(|_| endpoint.is_whole());
    let Some(declared) = declared else { return Vec::new() };
    let mut ways = Vec::new();
    collect(declared, &mut Vec::new(), &mut ways);
    if ways.is_empty() {
        return Vec::new();
    }
    let policies = subject.policies();
    ways.iter().filter_map(|way| exposed(subject, &policies, way)).collect()
}

fn exposed(subject: &Subject<'_>, policies: &[(Stage, &Checked)], way: &Way) -> Option<Diagnostic> {
    let restricts = |(_, policy): &(Stage, &Checked)| match (&policy.action.effect, &policy.plan) {
        (Effect::Refuse, _) => true,
        (Effect::Change(_), Some(plan)) => !keeps(plan, way),
        (Effect::Change(_), None) => false,
    };
    let restricting: Vec<usize> =
        (0..policies.len()).filter(|index| policies.get(*index).is_some_and(restricts)).collect();
    // What cannot be decided is not claimed.
    let witness = subject.ask(&restricting, |question| {
        let question = question.of_strangers();
        let idle: Vec<(usize, bool)> = (0..restricting.len()).map(|at| (at, false)).collect();
        let free = question.find(&idle, |_| true)?;
        Some(free.map(|point| point.world().witness(&subject.facts).to_string()))
    })??;
    let what =
        if way.shown.is_empty() { "the result".to_owned() } else { format!("`{}`", way.shown) };
    let message = format!("{what} is sensitive and reaches callers whom no policy names");
    let file = &subject.endpoint.file;
    let mut finding = Diagnostic::new(&CODE, file, way.span, message);
    for (_, policy) in restricting.iter().filter_map(|at| policies.get(*at)) {
        finding = finding.related(file, policy.condition_span, "this is false for them");
    }
    Some(if restricting.is_empty() {
        finding.help("no policy restricts it; add one under `policies.output`, as in `condition: user.role != 'hr'` with `filter_sensitive_fields`")
    } else {
        finding
            .help(format!("for instance {witness}"))
            .help("let the condition name who may see it, as in `user.role != 'hr'`")
    })
}

/// Whether a plan leaves the value at the end of a way as it is.
fn keeps(plan: &Plan, way: &Way) -> bool {
    let mut state: StateId = plan.start;
    for step in &way.steps {
        if plan.state(state).verdict != Verdict::Keep {
            return false;
        }
        state = match step {
            Step::Field(name) => plan.state(state).field(name),
            Step::Items => plan.state(state).items,
        };
    }
    let last = plan.state(state);
    last.verdict == Verdict::Keep && last.leaf == Verdict::Keep
}

/// The sensitive values of a declared result; below one that is sensitive nothing more is said.
fn collect(ty: &Type, steps: &mut Vec<Step>, ways: &mut Vec<Way>) {
    if ty.sensitive {
        let mut shown = String::new();
        for step in steps.iter() {
            match step {
                Step::Field(name) if shown.is_empty() => shown.push_str(name),
                Step::Field(name) => shown.push_str(&format!(".{name}")),
                // A field action applies to each item of the result without saying so.
                Step::Items if shown.is_empty() => {}
                Step::Items => shown.push_str("[]"),
            }
        }
        ways.push(Way { steps: steps.clone(), shown, span: ty.span });
        return;
    }
    if let Some(items) = &ty.items {
        steps.push(Step::Items);
        collect(items, steps, ways);
        steps.pop();
    }
    for property in &ty.properties {
        steps.push(Step::Field(property.name.value.clone()));
        collect(&property.ty, steps, ways);
        steps.pop();
    }
}
