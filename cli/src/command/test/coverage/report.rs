//! What coverage came to, for people and for programs.

use mxcp_schemas::bundle::definition::Kind;
use serde_json::{Value, json};

use super::{Counts, Coverage, Part, Policy};
use crate::ui::Ui;

impl Coverage {
    /// As JSON, the policies of the endpoints that were chosen.
    pub(in super::super) fn to_json(&self, chosen: impl Fn(Kind, &str) -> bool) -> Value {
        let policies: Vec<&Policy> = self.chosen(chosen).collect();
        let all: Vec<Value> = policies.iter().map(|policy| one(policy)).collect();
        let summary = Summary::of(&policies);
        json!({
            "policies": all,
            "policies_total": policies.len(), "policies_fired": summary.fired,
            "branches_total": summary.branches, "branches_seen": summary.seen,
        })
    }

    /// A table of policies, and below it what no test saw.
    pub(in super::super) fn print(&self, ui: Ui, chosen: impl Fn(Kind, &str) -> bool) {
        let policies: Vec<&Policy> = self.chosen(chosen).collect();
        let shown = |policy: &Policy| format!("{} · {}", policy.endpoint, policy.name);
        let width = policies.iter().map(|p| shown(p).chars().count()).max().unwrap_or(0).max(6);
        ui.line(&format!("\n{:<width$}  evaluated  fired  not fired  erred", "policy"));
        for policy in &policies {
            let Counts { holds, fails, errs } = policy.whole();
            let all = policy.whole().all();
            ui.line(&format!(
                "{:<width$}  {all:>9}  {holds:>5}  {fails:>9}  {errs:>5}",
                shown(policy)
            ));
        }
        let unseen: Vec<String> = policies
            .iter()
            .flat_map(|policy| unseen(policy).map(move |what| format!("{}: {what}", shown(policy))))
            .collect();
        if !unseen.is_empty() {
            ui.line("\nwhat no test saw:");
            for line in unseen {
                ui.line(&format!("  {line}"));
            }
        }
        let Summary { fired, branches, seen } = Summary::of(&policies);
        let total = policies.len();
        ui.line(&format!(
            "\n{fired} of {total} policies fired, {seen} of {branches} branches seen"
        ));
    }

    fn chosen(&self, chosen: impl Fn(Kind, &str) -> bool) -> impl Iterator<Item = &Policy> {
        self.policies.iter().filter(move |policy| chosen(policy.kind, &policy.endpoint))
    }
}

/// What the numbers of all policies come to. A part of a condition has two branches.
struct Summary {
    fired: usize,
    branches: usize,
    seen: usize,
}

impl Summary {
    fn of(policies: &[&Policy]) -> Self {
        let counts = || policies.iter().flat_map(|policy| &policy.counts);
        let seen = |count: &Counts| usize::from(count.holds > 0) + usize::from(count.fails > 0);
        Self {
            fired: policies.iter().filter(|policy| policy.whole().holds > 0).count(),
            branches: 2 * counts().count(),
            seen: counts().map(seen).sum(),
        }
    }
}

fn one(policy: &Policy) -> Value {
    let Counts { holds, fails, errs } = policy.whole();
    let parts = policy.parts.iter().zip(&policy.counts).map(|(part, count)| {
        json!({
            "text": part.text, "start": part.range.start, "end": part.range.end,
            "true": count.holds, "false": count.fails, "erred": count.errs,
        })
    });
    json!({
        "type": policy.kind.as_str(), "endpoint": policy.endpoint, "stage": policy.stage,
        "name": policy.name, "action": policy.action, "line": policy.line,
        "evaluated": policy.whole().all(), "fired": holds, "not_fired": fails, "erred": errs,
        "parts": parts.collect::<Vec<_>>(),
    })
}

/// What no test saw of a policy, in words. Of a condition that was never asked that is all there is to
/// say.
fn unseen(policy: &Policy) -> impl Iterator<Item = String> {
    let never_asked = policy.whole().all() == 0;
    let asked = policy.parts.iter().zip(&policy.counts).filter(move |_| !never_asked);
    let parts = asked.filter_map(|(Part { text, .. }, count)| {
        let word = match (count.holds, count.fails) {
            (0, 0) => "true or false",
            (0, _) => "true",
            (_, 0) => "false",
            _ => return None,
        };
        Some(format!("`{text}` was never {word}"))
    });
    never_asked.then(|| "it was never asked".to_owned()).into_iter().chain(parts)
}
