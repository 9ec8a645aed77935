//! SARIF 2.1.0 (OASIS), for code scanning.

use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};
use serde_json::{Value, json};

use super::Texts;
use super::json::place;

/// The log of one run.
pub fn document(diagnostics: &[Diagnostic], texts: &Texts) -> Value {
    let mut codes: Vec<&Code> = diagnostics.iter().map(|d| d.code).collect();
    codes.sort_by_key(|code| code.id);
    codes.dedup_by_key(|code| code.id);
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            json!({
                "id": code.id,
                "name": code.slug,
                "shortDescription": {"text": code.title},
                "fullDescription": {"text": code.title},
                "help": {"text": code.page, "markdown": code.page},
                "defaultConfiguration": {"level": level(code.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(|d| result(d, &codes, texts)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "mxcp",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(diagnostic: &Diagnostic, codes: &[&Code], texts: &Texts) -> Value {
    let mut physical = json!({
        "artifactLocation": {"uri": &*diagnostic.file, "uriBaseId": "%SRCROOT%"},
    });
    if let Some((start, end)) = place(diagnostic, texts) {
        let region = json!({
            "startLine": start.line, "startColumn": start.column,
            "endLine": end.line, "endColumn": end.column,
        });
        if let Some(fields) = physical.as_object_mut() {
            fields.insert("region".to_owned(), region);
        }
    }
    let help: String = diagnostic.help.iter().map(|h| format!("\nhelp: {h}")).collect();
    json!({
        "ruleId": diagnostic.code.id,
        "ruleIndex": codes.iter().position(|code| code.id == diagnostic.code.id),
        "level": level(diagnostic.severity),
        "message": {"text": format!("{}{help}", diagnostic.message)},
        "locations": [{"physicalLocation": physical}],
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
