//! Waivers: comments on a policy that silence one kind of warning for it, with a reason.
//!
//! ```yaml
//! # mxcp: allow(no-reason) because the client shows its own text
//! - condition: user.role == 'guest'
//!   action: deny
//! ```

use std::sync::Arc;

use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity, Span};
use mxcp_schemas::yaml::Comment;

/// The codes of this module.
pub static CODES: &[&Code] = &[&MALFORMED, &UNUSED];

/// A waiver that is none.
pub static MALFORMED: Code = Code {
    id: "MX0420",
    slug: "malformed-waiver",
    severity: Severity::Warning,
    title: "a waiver needs a rule and a reason",
    page: "A waiver is reviewed with the policy that it stands on, so it says why.\n\n```yaml\n\
           # mxcp: allow(no-reason) because the client shows its own text\n```\n",
};
/// A waiver of nothing.
pub static UNUSED: Code = Code {
    id: "MX0421",
    slug: "unused-waiver",
    severity: Severity::Warning,
    title: "a waiver silences nothing",
    page: "What it was written for is gone, or it names another rule or stands elsewhere than on the \
           policy. Remove it.\n",
};

/// Drops the warnings that are waived and reports waivers that are malformed or unused.
///
/// `policies` are the places of the policies of the file.
pub fn apply(
    file: &Arc<str>,
    text: &str,
    comments: &[Comment],
    policies: &[Span],
    found: Vec<Diagnostic>,
) -> Vec<Diagnostic> {
    let mut waivers = Vec::new();
    let mut kept = Vec::new();
    for comment in comments {
        let Some(rest) = comment.text.strip_prefix("mxcp:") else { continue };
        match parse(rest.trim()) {
            Some(rules) => waivers.push(Waiver {
                comment,
                policy: policy_of(text, comment, policies),
                rules,
                used: false,
            }),
            None => kept.push(
                Diagnostic::new(&MALFORMED, file, comment.span, "this waiver cannot be read")
                    .help("write `# mxcp: allow(rule) because …`"),
            ),
        }
    }
    for finding in found {
        let waived = finding.severity != Severity::Error
            && waivers.iter_mut().any(|waiver| waiver.covers(&finding));
        if !waived {
            kept.push(finding);
        }
    }
    for waiver in waivers.iter().filter(|w| !w.used) {
        let message = format!("`{}` silences nothing here", waiver.rules.join(", "));
        kept.push(Diagnostic::new(&UNUSED, file, waiver.comment.span, message));
    }
    kept
}

struct Waiver<'a> {
    comment: &'a Comment,
    policy: Option<Span>,
    rules: Vec<&'a str>,
    used: bool,
}

impl Waiver<'_> {
    fn covers(&mut self, finding: &Diagnostic) -> bool {
        let (Some(policy), Some(span)) = (self.policy, finding.span) else { return false };
        let inside = span.start >= policy.start && span.end <= policy.end;
        let covered = inside && self.rules.contains(&finding.code.slug);
        self.used |= covered;
        covered
    }
}

/// `allow(a, b) because …`
fn parse(text: &str) -> Option<Vec<&str>> {
    let (rules, reason) = text.strip_prefix("allow(")?.split_once(')')?;
    let reason = reason.trim().strip_prefix("because")?;
    let rules: Vec<&str> = rules.split(',').map(str::trim).collect();
    let good = !reason.trim().is_empty() && rules.iter().all(|rule| !rule.is_empty());
    good.then_some(rules)
}

/// The policy that a comment stands in, or right above.
fn policy_of(text: &str, comment: &Comment, policies: &[Span]) -> Option<Span> {
    let inside = |p: &&Span| p.start <= comment.span.start && comment.span.end <= p.end;
    let beside = |p: &&Span| {
        // On the last line of the policy, after its last value.
        let between = text.get(p.end as usize..comment.span.start as usize);
        between.is_some_and(|t| !t.contains('\n') && t.trim().is_empty())
    };
    let above = |p: &&Span| {
        let between = text.get(comment.span.end as usize..p.start as usize);
        between.is_some_and(|t| {
            t.lines().all(|line| {
                let line = line.trim();
                line.is_empty() || line == "-" || line.starts_with('#')
            })
        })
    };
    policies
        .iter()
        .find(inside)
        .or_else(|| policies.iter().find(beside))
        .or_else(|| policies.iter().find(above))
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    static RULE: Code =
        Code { id: "MX9998", slug: "rule", severity: Severity::Warning, title: "", page: "" };

    fn run(text: &str) -> Vec<&'static str> {
        let file: Arc<str> = "f.yml".into();
        let (document, _) = mxcp_schemas::yaml::read(&file, text);
        let document = document.unwrap();
        let items = document.root.items().unwrap();
        let policies: Vec<Span> = items.iter().map(|n| n.span).collect();
        let at = items[0].get("condition").unwrap().span;
        let found = vec![Diagnostic::new(&RULE, &file, at, "x")];
        let kept = apply(&file, text, &document.comments, &policies, found);
        kept.iter().map(|d| d.code.slug).collect()
    }

    #[test]
    fn a_waiver_stands_above_beside_or_inside() {
        let why = "# mxcp: allow(rule) because it is so";
        assert_eq!(run(&format!("{why}\n- condition: a\n  action: b\n")), [""; 0]);
        assert_eq!(run(&format!("- condition: a {why}\n  action: b\n")), [""; 0]);
        assert_eq!(run(&format!("- condition: a\n  action: b {why}\n")), [""; 0]);
        assert_eq!(
            run(&format!("- condition: a\n- condition: b\n  {why}\n")),
            ["rule", "unused-waiver"]
        );
    }

    #[test]
    fn a_waiver_needs_a_reason_and_a_use() {
        assert_eq!(run("- condition: a # mxcp: allow(rule)\n"), ["malformed-waiver", "rule"]);
        assert_eq!(run("- condition: a # mxcp: allow(x) because y\n"), ["rule", "unused-waiver"]);
    }
}
