//! Roles, permissions, capabilities and groups that nothing can produce.

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity, Span, closest};

use super::{Known, ProjectLint};
use crate::cel::Typed;
use crate::cel::ast::{Binary, ExprId, Kind, Literal};
use crate::endpoint::Compiled;
use crate::policy::Read;

pub(super) static LINT: ProjectLint = ProjectLint { code: &CODE, check };

static CODE: Code = Code {
    id: "MX0721",
    slug: "unknown-literal",
    severity: Severity::Warning,
    title: "a condition names a role, permission, capability or group that nothing produces",
    page: r"A misspelt role matches nobody: a refusal of it refuses nobody, and an exception for it lets nobody
through. The words that exist are those that the site file declares under `policy.roles`,
`policy.permissions`, `policy.capabilities` and `policy.groups`, and the capabilities of the user file's
`claim_mappings` when it is given with `--config`. Where nothing is declared, a word that stands once
and is nearly one that stands elsewhere is reported.

```yaml
# wrong
# mxcp-site.yml
project: clinic
profile: dev
policy: {roles: [doctor, nurse]}
# tools/a.yml
tool:
  name: a
  source: {code: SELECT 1}
  policies:
    input: [{condition: user.role != 'docter', action: deny, reason: Doctors alone}]
```

```yaml
# right
# mxcp-site.yml
project: clinic
profile: dev
policy: {roles: [doctor, nurse]}
# tools/a.yml
tool:
  name: a
  source: {code: SELECT 1}
  policies:
    input: [{condition: user.role != 'doctor', action: deny, reason: Doctors alone}]
```
",
};

/// Attributes whose words are looked at, with the roles that exist without anybody's doing.
const ATTRIBUTES: [(&str, &[&str]); 4] = [
    ("capabilities", &[]),
    ("groups", &[]),
    ("permissions", &[]),
    ("role", &["anonymous", "user"]),
];

/// How often a word stands elsewhere before another that is nearly it is suspicious.
const OFTEN: usize = 2;

/// A text that a condition compares an attribute of the caller with.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    attribute: &'static str,
    text: String,
    span: Span,
}

fn check(endpoints: &[Compiled], known: &Known) -> Vec<Diagnostic> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for word in endpoints.iter().flat_map(|endpoint| &endpoint.words) {
        *counts.entry((word.attribute, &word.text)).or_default() += 1;
    }
    let judged = |endpoint: &Compiled| -> Vec<Diagnostic> {
        let words = endpoint.words.iter();
        words.filter_map(|word| judge(&endpoint.file, word, known, &counts)).collect()
    };
    endpoints.iter().flat_map(judged).collect()
}

fn judge(
    file: &Arc<str>,
    one: &Word,
    known: &Known,
    counts: &BTreeMap<(&str, &str), usize>,
) -> Option<Diagnostic> {
    let always =
        ATTRIBUTES.iter().find(|(name, _)| *name == one.attribute).map_or(&[][..], |a| a.1);
    if always.contains(&one.text.as_str()) {
        return None;
    }
    let singular = match one.attribute {
        "capabilities" => "capability",
        "groups" => "group",
        "permissions" => "permission",
        _ => "role",
    };
    if let Some((_, words)) = known.0.iter().find(|(name, _)| *name == one.attribute) {
        if words.contains(&one.text) {
            return None;
        }
        let message = format!("nothing produces the {singular} `{}`", one.text);
        let finding = Diagnostic::new(&CODE, file, one.span, message).did_you_mean(
            &one.text,
            words.iter().map(String::as_str).chain(always.iter().copied()),
        );
        let place = if one.attribute == "role" { "roles" } else { one.attribute };
        return Some(
            finding.help(format!("or declare it in the site file under `policy.{place}`")),
        );
    }
    if counts.get(&(one.attribute, &one.text)) != Some(&1) {
        return None;
    }
    let often = counts
        .iter()
        .filter(|((attribute, _), count)| *attribute == one.attribute && **count >= OFTEN)
        .map(|((_, word), _)| *word);
    let near = closest(&one.text, often.chain(always.iter().copied()))?;
    let message = format!("no other condition names the {singular} `{}`", one.text);
    Some(Diagnostic::new(&CODE, file, one.span, message).help(format!("did you mean `{near}`?")))
}

/// The words that a condition compares attributes with; the text is that of its file.
pub(crate) fn words(text: &str, condition: &Read) -> Vec<Word> {
    let Read { tree, node } = condition;
    let mut words = Vec::new();
    collect(tree, &mut words);
    let placed = words.into_iter().map(|(attribute, word, id)| Word {
        attribute,
        text: word,
        span: node.locate(text, tree.tree.get(id).range.clone()),
    });
    placed.collect()
}

fn collect(tree: &Typed, words: &mut Vec<(&'static str, String, ExprId)>) {
    let mut locals: Vec<(&str, &'static str)> = Vec::new();
    // Variables that are, one after another, the words of a list.
    let mut listed: Vec<(&str, ExprId)> = Vec::new();
    for node in &tree.tree.nodes {
        let Kind::Comprehension { over, variables, .. } = &node.kind else { continue };
        let Some(variable) = variables.last() else { continue };
        match (attribute(tree, *over, &[]), &tree.tree.get(*over).kind) {
            (Some(attribute), _) => locals.push((variable, attribute)),
            (None, Kind::List(_)) => listed.push((variable, *over)),
            (None, _) => {}
        }
    }
    for node in &tree.tree.nodes {
        let pair = match &node.kind {
            Kind::Binary {
                op: Binary::Equal | Binary::NotEqual | Binary::In, left, right, ..
            } => (*left, *right),
            Kind::Call { target: Some(_), name, args, .. } => match (name.as_str(), &**args) {
                ("contains" | "equivalent" | "intersects", [a, b]) => (*a, *b),
                _ => continue,
            },
            _ => continue,
        };
        for (side, other) in [(pair.0, pair.1), (pair.1, pair.0)] {
            let Some(attribute) = attribute(tree, side, &locals) else { continue };
            let other = match &tree.tree.get(other).kind {
                Kind::Ident(name) => listed.iter().find(|(known, _)| known == name).map(|l| l.1),
                _ => Some(other),
            };
            for (word, at) in other.into_iter().flat_map(|other| literals(tree, other)) {
                words.push((attribute, word, at));
            }
        }
    }
}

/// The text that a node is, or the texts that it lists.
fn literals(tree: &Typed, id: ExprId) -> Vec<(String, ExprId)> {
    match &tree.tree.get(id).kind {
        Kind::Literal(Literal::String(word)) => vec![(word.clone(), id)],
        Kind::List(items) => {
            let all = items.iter().map(|(item, _)| *item);
            let words = all.filter_map(|item| match &tree.tree.get(item).kind {
                Kind::Literal(Literal::String(word)) => Some((word.clone(), item)),
                _ => None,
            });
            words.collect()
        }
        _ => Vec::new(),
    }
}

/// The attribute that a node is, or is an element of.
fn attribute(tree: &Typed, id: ExprId, locals: &[(&str, &'static str)]) -> Option<&'static str> {
    let path = tree.tree.path(id)?;
    if let Some((_, attribute)) = locals.iter().find(|(name, _)| *name == path) {
        return Some(*attribute);
    }
    let name = path.strip_prefix("user.")?;
    ATTRIBUTES.iter().find(|(known, _)| *known == name).map(|(known, _)| *known)
}
