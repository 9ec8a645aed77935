//! Regular expressions that are known before run time.

use std::collections::HashSet;
use std::ops::Range;

use mxcp_policy::function;

use super::super::Finding;
use super::super::ast::{ExprId, Kind, Literal};
use super::super::code::{LIMIT, PATTERN};
use super::Checker;

/// Most different patterns in one expression.
pub const MAX_PATTERNS: usize = 16;

impl Checker<'_> {
    /// A literal pattern is compiled here, so that a malformed one is a build error; one that has to be
    /// computed is remembered.
    pub(super) fn pattern(&mut self, args: &[ExprId]) {
        let Some(last) = args.last().copied() else { return };
        match self.typed.tree.get(last).kind.clone() {
            Kind::Literal(Literal::String(text)) => {
                let finding =
                    wrong(&mut self.typed.patterns, &text, self.typed.tree.get(last).range.clone());
                if let Some(finding) = finding {
                    self.report(finding);
                }
            }
            Kind::Literal(_) => {}
            _ => self.typed.made_patterns.push(last),
        }
    }
}

/// What is wrong with a pattern, unless it is one of those that were looked at.
pub(in super::super) fn wrong(
    known: &mut HashSet<String>,
    text: &str,
    range: Range<usize>,
) -> Option<Finding> {
    if !known.insert(text.to_owned()) {
        return None;
    }
    if known.len() > MAX_PATTERNS {
        let message = format!("more than {MAX_PATTERNS} patterns in one condition");
        let finding = Finding::new(&LIMIT, range, message);
        return Some(finding.help("join patterns with `|`, or split the policy"));
    }
    let error = function::compile_pattern(text).err()?.to_string();
    let reason = error.lines().last().unwrap_or("").trim_start_matches("error: ");
    let message = format!("`{text}` is no regular expression: {reason}");
    Some(Finding::new(&PATTERN, range, message))
}
