//! An endpoint without an input policy among others that have one.

use mxcp_schemas::bundle::definition::Kind;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Known, ProjectLint};
use crate::endpoint::Compiled;

pub(super) static LINT: ProjectLint = ProjectLint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0720",
    slug: "no-input-policy",
    severity: Severity::Warning,
    title: "an endpoint has no input policy while its siblings have one",
    page: "Everybody may call it, and most of the others of its kind ask first, so the policy was likely \
           forgotten. If it is meant, say so on the line of its name.\n\n```yaml\n# wrong\n# tools/a.yml\ntool: \
           {name: a, source: {code: SELECT 1}}\n# tools/b.yml\ntool: {name: b, source: {code: SELECT 2}, \
           policies: {input: [{condition: user.role == 'guest', action: deny, reason: Not guests}]}}\n# \
           tools/c.yml\ntool: {name: c, source: {code: SELECT 3}, policies: {input: [{condition: user.role \
           == 'guest', action: deny, reason: Not guests}]}}\n```\n\n```yaml\n# right\n# tools/a.yml\ntool:\n  \
           # mxcp: allow(no-input-policy) because opening hours are for everybody\n  name: a\n  source: \
           {code: SELECT 1}\n# tools/b.yml\ntool: {name: b, source: {code: SELECT 2}, policies: {input: \
           [{condition: user.role == 'guest', action: deny, reason: Not guests}]}}\n# tools/c.yml\ntool: \
           {name: c, source: {code: SELECT 3}, policies: {input: [{condition: user.role == 'guest', \
           action: deny, reason: Not guests}]}}\n```\n",
};

/// Looks at all endpoints together.
fn check(endpoints: &[Compiled], _: &Known) -> Vec<Diagnostic> {
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
                    &CODE,
                    &endpoint.file,
                    endpoint.document.identity.span,
                    message,
                )
                .help("add an input policy, or say on the line of its name why there is none: `# mxcp: allow(no-input-policy) because …`"),
            );
        }
    }
    found
}
