//! One policy: its condition, its action, its fields.

mod code;
mod path;

use std::sync::Arc;

use mxcp_policy::action::{self, Action, Effect, PlanError, Subject};
use mxcp_policy::plan::FieldPath;
use mxcp_schemas::bundle::code::Program;
use mxcp_schemas::bundle::definition::{TypeId, Types};
use mxcp_schemas::bundle::plan::Plan;
use mxcp_schemas::diagnostic::{Diagnostic, Edit, Fix, Span, closest, position};
use mxcp_schemas::document::Spanned;
use mxcp_schemas::document::endpoint::Policy as Written;
use mxcp_schemas::document::ty::Type;
use mxcp_schemas::yaml::{Kind, Node, Style};

use crate::cel::{self, Environment};
pub use code::CODES;
use code::{
    BAD_PATH, FIELDS_ON_OTHER, IMPOSSIBLE_PATH, MISSING_FIELDS, NOT_ON_INPUT, NOTHING_SENSITIVE,
    TOO_MANY_STATES, UNDECLARED_PATH, UNKNOWN_ACTION,
};

/// When a policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// before execution
    Input,
    /// after it
    Output,
}

impl Stage {
    /// The key that documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What a policy is compiled in.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// the file, for diagnostics
    pub file: &'a Arc<str>,
    /// its text
    pub text: &'a str,
    /// all stored types
    pub types: &'a Types,
    /// the stored result
    pub result: Option<TypeId>,
    /// the declared result
    pub declared: Option<&'a Type>,
    /// what conditions see at this stage
    pub environment: &'a Environment,
}

/// A policy whose every part is good.
#[derive(Debug, Clone)]
pub struct Checked {
    /// its name in the audit trail
    pub name: String,
    /// the list entry as a whole
    pub span: Span,
    /// its action
    pub action: &'static Action,
    /// what a refused client reads
    pub reason: Option<String>,
    /// its condition as text
    pub condition: String,
    /// where the condition stands
    pub condition_span: Span,
    /// its condition as code
    pub program: Program,
    /// what its action does to a result
    pub plan: Option<Plan>,
    /// line in the file, from one
    pub line: u32,
}

/// The condition of a policy as it was read, for lints.
#[derive(Debug)]
pub struct Read {
    /// its tree
    pub tree: cel::Typed,
    /// the scalar that holds it, to find places in
    pub node: Node,
}

/// Checks and compiles one policy.
pub fn compile(
    context: &Context<'_>,
    stage: Stage,
    index: usize,
    policy: &Written,
    found: &mut Vec<Diagnostic>,
) -> Option<(Checked, Read)> {
    let action = policy.action.as_ref().and_then(|word| check_action(context, stage, word, found));
    let condition = policy.condition.as_ref().and_then(|(text, node)| {
        let (compiled, findings) = cel::condition(text, context.environment);
        let cut = cut_at_comma(context.text, node);
        for finding in findings {
            let is_syntax = finding.code == &cel::SYNTAX;
            let mut finding = finding.at(context.file, context.text, node);
            if cut && is_syntax {
                finding.help = vec![
                    "a `,` ends what stands between `{` and `}` without quotes; put the condition in quotes"
                        .to_owned(),
                ];
                finding.fix = None;
            }
            found.push(finding);
        }
        compiled.map(|(program, tree)| (text.clone(), node.clone(), program, tree))
    });
    let plan = action.map(|action| make_plan(context, policy, action, found));
    let (action, (condition, node, program, tree), plan) = (action?, condition?, plan??);
    let name = policy.name.as_ref().map(|name| name.value.clone());
    let checked = Checked {
        name: name.unwrap_or_else(|| format!("{}[{index}]", stage.as_str())),
        span: policy.span,
        action,
        reason: policy.reason.as_ref().map(|reason| reason.value.clone()),
        condition_span: node.locate(context.text, 0..condition.len()),
        condition,
        program,
        plan,
        line: position(context.text, policy.span.start).line,
    };
    Some((checked, Read { tree, node }))
}

/// Whether a condition without quotes ends at a comma, as one between brackets does.
fn cut_at_comma(text: &str, node: &Node) -> bool {
    let plain = matches!(&node.kind, Kind::String(scalar) if scalar.style == Style::Plain);
    plain && text.get(node.span.end as usize..).is_some_and(|rest| rest.starts_with(','))
}

fn check_action(
    context: &Context<'_>,
    stage: Stage,
    word: &Spanned<String>,
    found: &mut Vec<Diagnostic>,
) -> Option<&'static Action> {
    let Some(action) = action::find(&word.value) else {
        let names = action::ACTIONS.iter().map(|a| a.name);
        let near = closest(&word.value, names.clone());
        let message = format!("there is no action `{}`", word.value);
        let mut finding = Diagnostic::new(&UNKNOWN_ACTION, context.file, word.span, message);
        if let Some(near) = near {
            finding = finding.help(format!("did you mean `{near}`?")).fix(Fix {
                title: format!("write `{near}`"),
                safe: false,
                edits: vec![Edit { span: word.span, replacement: near.to_owned() }],
            });
        } else {
            let list: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            finding = finding.help(format!("actions are {}", list.join(", ")));
        }
        found.push(finding);
        return None;
    };
    if stage == Stage::Input && !action.on_input {
        let message =
            format!("`{}` changes a result, and before execution there is none", action.name);
        found.push(
            Diagnostic::new(&NOT_ON_INPUT, context.file, word.span, message)
                .help("move the policy under `output:`, or refuse the call with `deny`"),
        );
        return None;
    }
    Some(action)
}

/// `None` when something is wrong, `Some(None)` for actions that have no plan.
#[expect(clippy::option_option, reason = "whether there is a plan, and whether it is known")]
fn make_plan(
    context: &Context<'_>,
    policy: &Written,
    action: &'static Action,
    found: &mut Vec<Diagnostic>,
) -> Option<Option<Plan>> {
    let written = policy.fields.as_deref();
    if !action.takes_fields
        && let Some(span) = policy.fields_span
    {
        let message = format!("`{}` takes no `fields`", action.name);
        found.push(
            Diagnostic::new(&FIELDS_ON_OTHER, context.file, span, message)
                .help("did you mean `filter_fields` or `mask_fields`?"),
        );
        return None;
    }
    let Effect::Change(make) = action.effect else { return Some(None) };
    if written.is_none() && policy.fields_span.is_some() {
        // It is no list, which was told.
        return None;
    }
    if action.takes_fields && written.is_none_or(<[_]>::is_empty) {
        let message = format!("`{}` needs `fields`", action.name);
        found.push(
            Diagnostic::new(&MISSING_FIELDS, context.file, policy.span, message)
                .help("name the fields, as in `fields: [salary, address.street]`"),
        );
        return None;
    }
    let fields = check_fields(context, written.unwrap_or(&[]), found)?;
    let subject = Subject { fields: &fields, types: context.types, result: context.result };
    match make(&subject) {
        Ok(plan) => Some(Some(plan)),
        // What cannot be read may be sensitive.
        Err(PlanError::NothingSensitive) if context.declared.is_some_and(Type::is_broken) => None,
        Err(error) => {
            let span = policy.action.as_ref().map_or(policy.span, |a| a.span);
            let (code, help) = match error {
                PlanError::NothingSensitive => (
                    &NOTHING_SENSITIVE,
                    "mark fields of `return` with `sensitive: true`, or use `filter_fields`",
                ),
                PlanError::TooManyStates(_) => {
                    (&TOO_MANY_STATES, "use fewer paths with `**`, or name the fields in full")
                }
            };
            let message = format!("`{}` cannot be applied: {error}", action.name);
            found.push(Diagnostic::new(code, context.file, span, message).help(help));
            None
        }
    }
}

fn check_fields(
    context: &Context<'_>,
    written: &[Spanned<String>],
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<FieldPath>> {
    let mut fields = Vec::with_capacity(written.len());
    let mut good = true;
    for entry in written {
        let parsed = match FieldPath::parse(&entry.value) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = if entry.value.is_empty() {
                    "an entry of `fields` is empty".to_owned()
                } else {
                    format!("`{}` is no field path: {error}", entry.value)
                };
                found.push(Diagnostic::new(&BAD_PATH, context.file, entry.span, message));
                good = false;
                continue;
            }
        };
        if let Some(declared) = context.declared {
            match path::resolve(declared, &parsed) {
                path::Resolution::Exists => {}
                path::Resolution::Undeclared { field, near } => {
                    let message = format!("`return` declares no field `{field}`");
                    let mut finding =
                        Diagnostic::new(&UNDECLARED_PATH, context.file, entry.span, message);
                    finding = match near {
                        Some(near) => misspelt(finding, entry, &field, &near),
                        None => finding.help(
                            "declare the field, or set `additionalProperties: true` if results have more than `return` says",
                        ),
                    };
                    found.push(finding);
                }
                path::Resolution::Impossible { why, field, near } => {
                    let mut finding =
                        Diagnostic::new(&IMPOSSIBLE_PATH, context.file, entry.span, why);
                    if let Some(near) = near {
                        finding = misspelt(finding, entry, &field, &near);
                    }
                    found.push(finding);
                    good = false;
                }
            }
        }
        fields.push(parsed);
    }
    good.then_some(fields)
}

/// Offers the field that was likely meant, in the path that names it.
fn misspelt(finding: Diagnostic, path: &Spanned<String>, field: &str, near: &str) -> Diagnostic {
    let part = |part: &str| {
        let name = part.trim_end_matches("[]");
        if name == field { part.replacen(name, near, 1) } else { part.to_owned() }
    };
    let meant: Vec<String> = path.value.split('.').map(part).collect();
    let meant = meant.join(".");
    let plain = meant.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    let replacement =
        if plain { meant.clone() } else { format!("'{}'", meant.replace('\'', "''")) };
    finding.help(format!("did you mean `{near}`?")).fix(Fix {
        title: format!("write `{meant}`"),
        safe: false,
        edits: vec![Edit { span: path.span, replacement }],
    })
}
