//! A condition that is always or never true.

use mxcp_policy::action::Effect;
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::{Lint, Subject};
use crate::analysis::{Answer, Condition, decide};
use crate::cel::ast::{Binary, ExprId, Kind, Literal, Unary};
use crate::cel::{self, Typed};
use crate::policy::Read;

pub(super) static LINT: Lint = Lint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0702",
    slug: "constant-condition",
    severity: Severity::Warning,
    title: "a condition is always true, or never",
    page: "A policy that never applies protects nothing, and one that always applies does not ask for \
           its condition. The message names the part that decides. `condition: \"true\"` on a field \
           action says in so many words that it is meant for everybody, and is not reported.\n\n```yaml\n\
           # wrong\n- condition: user.role == 'admin' && user.role == 'auditor'\n  action: deny\n  \
           reason: Administrators do not audit\n```\n\n```yaml\n# right\n- condition: user.role == \
           'admin' && 'auditor' in user.groups\n  action: deny\n  reason: Administrators do not \
           audit\n```\n",
};

fn check(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let endpoint = subject.endpoint;
    let mut found = Vec::new();
    let policies = subject.policies().into_iter().zip(subject.conditions);
    for (index, ((_, policy), Read { tree, .. })) in policies.enumerate() {
        let Some(applies) = subject.constant(index) else { continue };
        let refuses = matches!(policy.action.effect, Effect::Refuse);
        if applies && !refuses && says_so(tree) {
            continue;
        }
        let word = if applies { "always" } else { "never" };
        let message =
            format!("`{}` {word} applies: {}", policy.name, reason(subject, tree, applies));
        let help = match (applies, refuses) {
            (true, true) => "every call is refused; correct the condition, or say `enabled: false`",
            (true, false) => "write `condition: \"true\"` if it is meant for everybody",
            (false, _) => "it protects nothing; correct the condition, or remove the policy",
        };
        found.push(
            Diagnostic::new(&CODE, &endpoint.file, policy.condition_span, message).help(help),
        );
    }
    found
}

/// `true`, and nothing else.
fn says_so(tree: &Typed) -> bool {
    matches!(tree.tree.get(tree.tree.root).kind, Kind::Literal(Literal::Bool(true)))
}

/// The smallest part that decides, in words.
fn reason(subject: &Subject<'_>, tree: &Typed, applies: bool) -> String {
    let part = deciding(subject, tree, tree.tree.root);
    let source = tree.tree.source(part);
    let value = match constant(subject, tree, part) {
        Some(Answer::Error) => "always errs, and what errs closes".to_owned(),
        Some(Answer::True) => "is always true".to_owned(),
        Some(Answer::False) => "is always false".to_owned(),
        None if applies => "is true or errs, and what errs closes".to_owned(),
        None => "is always false".to_owned(),
    };
    match &tree.tree.get(part).kind {
        Kind::Literal(_) => format!("the condition is `{source}`"),
        Kind::Binary { op: Binary::And, .. } => {
            format!("the parts of `{source}` exclude one another")
        }
        Kind::Binary { op: Binary::Or, .. } => format!("one part of `{source}` is always true"),
        Kind::Binary { op: Binary::Equal | Binary::NotEqual, left, right, .. } => {
            let null =
                |id: &ExprId| matches!(tree.tree.get(*id).kind, Kind::Literal(Literal::Null));
            match [(left, right), (right, left)].into_iter().find(|(_, other)| null(other)) {
                Some((tested, _)) => {
                    format!("`{source}` {value}, for `{}` is never null", tree.tree.source(*tested))
                }
                None => format!("`{source}` {value}"),
            }
        }
        _ => format!("`{source}` {value}"),
    }
}

/// Follows parts that are constant themselves as far down as they go.
fn deciding(subject: &Subject<'_>, tree: &Typed, id: ExprId) -> ExprId {
    let parts: Vec<ExprId> = match &tree.tree.get(id).kind {
        Kind::Binary { op: Binary::And | Binary::Or, left, right, .. } => vec![*left, *right],
        Kind::Unary(Unary::Not, operand) => vec![*operand],
        _ => Vec::new(),
    };
    let whole = constant(subject, tree, id);
    let negated = matches!(tree.tree.get(id).kind, Kind::Unary(..));
    let decides = |part: &ExprId| {
        constant(subject, tree, *part).is_some_and(|answer| negated || Some(answer) == whole)
    };
    parts.into_iter().find(decides).map_or(id, |part| deciding(subject, tree, part))
}

/// What a part says, if that is the same in every world.
fn constant(subject: &Subject<'_>, tree: &Typed, id: ExprId) -> Option<Answer> {
    let (compiled, _) = cel::condition(tree.tree.source(id), subject.facts.environment);
    let (program, part) = compiled?;
    let condition = Condition { tree: &part, program: &program };
    decide(&subject.facts, &[condition]).question(&[0])?.constant(0)
}
