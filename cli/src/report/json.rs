//! One JSON document:
//! `{"diagnostics": [{"code", "name", "severity", "file", "line", "column", "end_line",
//! "end_column", "message", "help": […], "fix": {"title", "safe", "edits": […]} | null}],
//! "errors", "warnings", "notes"}`. Lines and columns count from one, columns in code points;
//! they are null where a finding speaks of a whole file.

use mxcp_schemas::diagnostic::{Diagnostic, Position, Span, position};
use serde_json::{Value, json};

use super::{Count, Texts};

/// The document.
pub fn document(diagnostics: &[Diagnostic], texts: &Texts) -> Value {
    let count = Count::of(diagnostics);
    json!({
        "diagnostics": diagnostics.iter().map(|d| one(d, texts)).collect::<Vec<_>>(),
        "errors": count.errors,
        "warnings": count.warnings,
        "notes": count.notes,
    })
}

/// Start and end of a diagnostic, where it has a place.
pub fn place(diagnostic: &Diagnostic, texts: &Texts) -> Option<(Position, Position)> {
    let text = texts.get(&diagnostic.file)?;
    let Span { start, end } = diagnostic.span?;
    Some((position(text, start), position(text, end)))
}

fn one(diagnostic: &Diagnostic, texts: &Texts) -> Value {
    let place = place(diagnostic, texts);
    let (start, end) = (place.map(|p| p.0), place.map(|p| p.1));
    let fix = diagnostic.fix.as_ref().map(|fix| {
        let edits: Vec<Value> = fix
            .edits
            .iter()
            .map(|e| json!({"start": e.span.start, "end": e.span.end, "text": e.replacement}))
            .collect();
        json!({"title": fix.title, "safe": fix.safe, "edits": edits})
    });
    json!({
        "code": diagnostic.code.id,
        "name": diagnostic.code.slug,
        "severity": diagnostic.severity.to_string(),
        "file": &*diagnostic.file,
        "line": start.map(|p| p.line),
        "column": start.map(|p| p.column),
        "end_line": end.map(|p| p.line),
        "end_column": end.map(|p| p.column),
        "message": diagnostic.message,
        "help": diagnostic.help,
        "fix": fix,
    })
}
