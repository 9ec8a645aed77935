//! Lints that compare the endpoints of a project.

use mxcp_schemas::bundle::definition::Kind;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use crate::endpoint::Compiled;

/// The codes of these lints.
pub static CODES: &[&Code] = &[&NO_INPUT_POLICY];

static NO_INPUT_POLICY: Code = Code {
    id: "MX0720",
    slug: "no-input-policy",
    severity: Severity::Warning,
    title: "an endpoint has no input policy while its siblings have one",
    page: "Everybody may call it. If that is meant, say so with a policy that is never true in words: \
           `condition: 'false'`, and a name that says why.\n",
};

/// Looks at all endpoints together.
pub(crate) fn check(endpoints: &[Compiled]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for kind in [Kind::Tool, Kind::Resource, Kind::Prompt] {
        let siblings: Vec<&Compiled> =
            endpoints.iter().filter(|e| e.document.kind == kind && e.document.enabled).collect();
        let open: Vec<&&Compiled> =
            siblings.iter().filter(|e| e.document.policies.input.is_empty()).collect();
        // One among many is likely forgotten; half of them are a decision.
        if open.is_empty() || open.len() * 2 >= siblings.len() {
            continue;
        }
        for endpoint in open {
            let message = format!(
                "everybody may call `{}`, while {} of {} {}s have an input policy",
                endpoint.identity(),
                siblings.len()
                    - siblings.iter().filter(|e| e.document.policies.input.is_empty()).count(),
                siblings.len(),
                kind.as_str(),
            );
            found.push(
                Diagnostic::new(
                    &NO_INPUT_POLICY,
                    &endpoint.file,
                    endpoint.document.identity.span,
                    message,
                )
                .help("add an input policy"),
            );
        }
    }
    found
}
