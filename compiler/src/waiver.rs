//! Waivers: comments on a policy that silence one kind of warning for it, with a reason. What is said
//! of an endpoint as a whole is waived on the line of its name.
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
    page: r"A waiver is reviewed with the policy that it stands on, so it says why.

```yaml
# wrong
- condition: user.role == 'guest' # mxcp: allow(no-reason)
  action: deny
```

```yaml
# right
- condition: user.role == 'guest' # mxcp: allow(no-reason) because clients show their own text
  action: deny
```
",
};
/// A waiver of nothing.
pub static UNUSED: Code = Code {
    id: "MX0421",
    slug: "unused-waiver",
    severity: Severity::Warning,
    title: "a waiver silences nothing",
    page: r"What it was written for is gone, or it names another rule or stands elsewhere than on the
policy. Remove it.

```yaml
# wrong
- condition: user.role == 'guest' # mxcp: allow(no-reason) because clients show their own text
  action: deny
  reason: Guests cannot
```

```yaml
# right
- condition: user.role == 'guest'
  action: deny
  reason: Guests cannot
```
",
};

/// Drops the warnings of one file that are waived and reports waivers that are malformed or unused.
///
/// `policies` are the places of the policies of the file; a waiver that stands on none of them speaks of
/// the line that it stands on or above.
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
                place: policy_of(text, comment, policies).or_else(|| line_of(text, comment)),
                rules: rules.into_iter().map(|rule| (rule, false)).collect(),
            }),
            None => {
                let silent = rest.trim().starts_with("allow(") && !rest.contains("because");
                let message = if silent {
                    "this waiver does not say why"
                } else {
                    "this waiver cannot be read"
                };
                kept.push(
                    Diagnostic::new(&MALFORMED, file, comment.span, message)
                        .help("write `# mxcp: allow(rule) because …`"),
                );
            }
        }
    }
    for finding in found {
        let waived = finding.severity != Severity::Error
            && waivers.iter_mut().any(|waiver| waiver.covers(&finding));
        if !waived {
            kept.push(finding);
        }
    }
    for waiver in &waivers {
        for (rule, _) in waiver.rules.iter().filter(|(_, used)| !used) {
            kept.push(unused(file, waiver.comment.span, rule));
        }
    }
    kept
}

/// Why a rule of a waiver silences nothing.
fn unused(file: &Arc<str>, span: Span, rule: &str) -> Diagnostic {
    let known = crate::codes().find(|code| code.slug == rule);
    let warnings = crate::codes().filter(|code| code.severity != Severity::Error);
    match known {
        Some(code) if code.severity == Severity::Error => {
            let message = format!("`{rule}` is an error, and errors cannot be waived");
            Diagnostic::new(&UNUSED, file, span, message).help("repair what it speaks of")
        }
        Some(_) => {
            let message = format!("`{rule}` silences nothing here");
            Diagnostic::new(&UNUSED, file, span, message)
                .help("remove it, or move it to the policy that it speaks of")
        }
        None => {
            let message = format!("there is no rule `{rule}`");
            Diagnostic::new(&UNUSED, file, span, message)
                .did_you_mean(rule, warnings.map(|code| code.slug))
        }
    }
}

struct Waiver<'a> {
    comment: &'a Comment,
    place: Option<Span>,
    /// the rules, and whether they silenced something
    rules: Vec<(&'a str, bool)>,
}

impl Waiver<'_> {
    fn covers(&mut self, finding: &Diagnostic) -> bool {
        let (Some(place), Some(span)) = (self.place, finding.span) else { return false };
        if span.start < place.start || span.start >= place.end {
            return false;
        }
        let rule = self.rules.iter_mut().find(|(rule, _)| *rule == finding.code.slug);
        rule.map(|(_, used)| *used = true).is_some()
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

/// The line that a comment stands on behind something, or the next one that is no comment.
fn line_of(text: &str, comment: &Comment) -> Option<Span> {
    let begin = text.get(..comment.span.start as usize)?.rfind('\n').map_or(0, |n| n + 1);
    let mut at = begin;
    for line in text.get(begin..)?.split_inclusive('\n') {
        let bare = line.trim();
        if !bare.is_empty() && !bare.starts_with('#') {
            let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            return Some(Span::new(offset(at), offset(at + line.len())));
        }
        at += line.len();
    }
    None
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
    fn a_waiver_elsewhere_speaks_of_its_line() {
        let at = |text: &str, word: &str| {
            let file: Arc<str> = "f.yml".into();
            let (document, _) = mxcp_schemas::yaml::read(&file, text);
            let start = u32::try_from(text.find(word).unwrap()).unwrap();
            let found = vec![Diagnostic::new(&RULE, &file, Span::new(start, start + 1), "x")];
            let kept = apply(&file, text, &document.unwrap().comments, &[], found);
            kept.iter().map(|d| d.code.slug).collect::<Vec<_>>()
        };
        let why = "# mxcp: allow(rule) because it is so";
        assert_eq!(at(&format!("a:\n  {why}\n  name: x\n"), "name"), [""; 0]);
        assert_eq!(at(&format!("a:\n  name: x {why}\n  b: y\n"), "name"), [""; 0]);
        assert_eq!(at(&format!("a:\n  name: x {why}\n  b: y\n"), "b:"), ["rule", "unused-waiver"]);
    }

    #[test]
    fn a_waiver_needs_a_reason_and_a_use() {
        assert_eq!(run("- condition: a # mxcp: allow(rule)\n"), ["malformed-waiver", "rule"]);
        assert_eq!(run("- condition: a # mxcp: allow(x) because y\n"), ["rule", "unused-waiver"]);
    }
}
