//! A `deny` without a reason.

use mxcp_policy::action::Effect;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0701",
    slug: "no-reason",
    severity: Severity::Warning,
    title: "a refusal has no reason",
    page: r"The client reads a fixed text and cannot tell what to do differently.

```yaml
# wrong
- condition: user.role == 'guest'
  action: deny
```

```yaml
# right
- condition: user.role == 'guest'
  action: deny
  reason: Guests cannot read records
```
",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let endpoint = subject.endpoint;
    let policies = endpoint.input.iter().chain(&endpoint.output);
    policies
        .filter(|policy| matches!(policy.action.effect, Effect::Refuse))
        .filter(|policy| policy.reason.as_ref().is_none_or(|reason| reason.trim().is_empty()))
        .map(|policy| {
            let message = format!("`{}` refuses calls without saying why", policy.name);
            Diagnostic::new(&CODE, &endpoint.file, policy.span, message)
                .help("add `reason:` with what the caller may know")
        })
        .collect()
}
