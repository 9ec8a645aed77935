//! What went wrong where the parser gave up, in words that help.

use std::sync::Arc;

use granit_parser::{ErrorKind, ScanError};

use super::{LIMIT, MAX_DEPTH, SYNTAX};
use crate::diagnostic::{Diagnostic, Edit, Fix, Span};

/// The finding for an error of the parser at a byte offset.
pub(super) fn explain(file: &Arc<str>, text: &str, error: &ScanError, at: usize) -> Diagnostic {
    let at = place(text, error.kind(), at);
    let span = span_at(text, at);
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        let message = format!("lists and maps are nested more than {MAX_DEPTH} deep");
        return Diagnostic::new(&LIMIT, file, span, message);
    }
    let (message, help) = describe(error.kind());
    let message = match (message, error.kind()) {
        (Some(message), _) => message.to_owned(),
        (None, ErrorKind::UnexpectedCharacter { .. }) => {
            format!("{} cannot stand here without quotes", shown(span.of(text)))
        }
        (None, _) => error.info(),
    };
    let mut finding = Diagnostic::new(&SYNTAX, file, span, message);
    if let Some(value) = unquoted(text, at) {
        let begins = value.of(text).chars().next().unwrap_or(' ');
        return finding
            .help(format!("a text that begins with {} needs quotes", shown(&begins.to_string())))
            .fix(quote(text, value));
    }
    if let Some(help) = help {
        finding = finding.help(help);
    }
    finding
}

/// Where the mistake itself is: the tab before what the parser stopped at, the escape inside the text
/// that it gave up.
fn place(text: &str, kind: &ErrorKind, at: usize) -> usize {
    let before = text.get(..at).unwrap_or("");
    match kind {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => {
            let line = before.rfind('\n').map_or(0, |n| n + 1);
            before.get(line..).and_then(|l| l.find('\t')).map_or(at, |tab| line + tab)
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            let rest = text.get(at..).unwrap_or("");
            let mut characters = rest.char_indices();
            while let Some((offset, character)) = characters.next() {
                if character != '\\' {
                    continue;
                }
                match characters.next() {
                    Some((_, next)) if ESCAPES.contains(next) => {}
                    _ => return at + offset,
                }
            }
            at
        }
        _ => at,
    }
}

/// What may stand behind a backslash in double quotes (YAML 1.2.2, section 5.7).
const ESCAPES: &str = "0abt\tnvfre \"/\\N_LPxuU\r\n";

/// A character in backticks, unless it is one.
fn shown(character: &str) -> String {
    if character == "`" { "a backtick".to_owned() } else { format!("`{character}`") }
}

/// The change that puts a text into quotes.
pub(crate) fn quote(text: &str, value: Span) -> Fix {
    Fix {
        title: "put the value in quotes".to_owned(),
        safe: true,
        edits: vec![Edit { span: value, replacement: quoted(value.of(text)) }],
    }
}

/// A text as a scalar in quotes, on one line.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(char::is_control) {
        serde_json::Value::from(text).to_string()
    } else if text.contains('\'') && !text.contains(['"', '\\']) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// From `start` to the end of what is one value on its line: comments and white space behind it
/// are left out.
pub(super) fn rest_of_line(text: &str, start: usize) -> Span {
    let rest = text.get(start..).unwrap_or("");
    let line = rest.split(['\n', '\r']).next().unwrap_or("");
    let value = line.find(" #").map_or(line, |comment| line.get(..comment).unwrap_or(line));
    span_of(start, value.trim_end().len())
}

/// Our words for an error, and what to do about it; those of the parser where they are good.
fn describe(kind: &ErrorKind) -> (Option<&'static str>, Option<&'static str>) {
    match kind {
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => (
            Some("a tab stands where YAML wants spaces"),
            Some("indent with spaces; most editors can convert the file"),
        ),
        ErrorKind::MappingValueNotAllowed => (
            Some("a second `:` stands here, or the line is indented too deep"),
            Some("put a value that has a `: ` in it in quotes, or correct the indentation"),
        ),
        ErrorKind::UnclosedQuotedScalar => {
            (Some("this quote is never closed"), Some("add the closing quote"))
        }
        ErrorKind::UnknownQuotedScalarEscape => (
            Some("the text has an escape that YAML does not know"),
            Some("write `\\\\` for a backslash, or use single quotes, where it stands for itself"),
        ),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry => (
            Some("the indentation does not fit what stands above"),
            Some("align the line with the other keys or items of the same map or list"),
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => (
            Some("something stands behind the closing quote"),
            Some("put the whole value in quotes; inside single quotes a quote is written twice"),
        ),
        ErrorKind::BlockSequenceEntryNotAllowed => (
            Some("a list item begins in the middle of a line"),
            Some("put it on a line of its own, or quote the value if `-` is part of it"),
        ),
        ErrorKind::ExpectedFlowMappingSeparator => {
            (Some("a `,` or `}` is missing before this"), Some("close the map that `{` began"))
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            (Some("a `,` or `]` is missing before this"), Some("close the list that `[` began"))
        }
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping => {
            (Some("a list or map is never closed"), Some("add the closing bracket"))
        }
        ErrorKind::InvalidColonPlacement => (
            Some("a `:` stands where it cannot"),
            Some("close the bracket that is open before this line, or quote the value"),
        ),
        ErrorKind::UnsupportedYamlMajorVersion => {
            (Some("this version of YAML is not read"), Some("remove the `%YAML` line"))
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => (
            Some("this line is neither a `key: value` nor part of the value above"),
            Some("add the `:`, or indent the line if it continues a text"),
        ),
        _ => (None, None),
    }
}

/// The value of the line at `at`, if it begins with a character that YAML keeps for itself.
fn unquoted(text: &str, at: usize) -> Option<Span> {
    let before = text.get(..at)?;
    let line = before.rfind('\n').map_or(0, |n| n + 1);
    let rest = text.get(line..)?.split(['\n', '\r']).next()?;
    let indent = rest.len() - rest.trim_start_matches([' ', '-']).len();
    let value = match rest.find(": ") {
        Some(colon) => {
            let value = rest.get(colon + 1..)?;
            rest.len() - value.trim_start_matches(' ').len()
        }
        None => indent,
    };
    let (before, value_text) = rest.split_at_checked(value)?;
    let begins = value_text.chars().next()?;
    let reserved = "!&*%@`".contains(begins) && !before.contains(['{', '[']);
    reserved.then(|| rest_of_line(text, line + value))
}

fn span_at(text: &str, at: usize) -> Span {
    let rest = text.get(at..).unwrap_or("");
    span_of(at, rest.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8))
}

fn span_of(start: usize, length: usize) -> Span {
    let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span::new(offset(start), offset(start + length))
}
