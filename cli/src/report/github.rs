//! Workflow commands of GitHub Actions, one line a finding.

use mxcp_schemas::diagnostic::{Diagnostic, Severity};

use super::Texts;
use super::json::place;

/// Renders one diagnostic.
pub fn render(diagnostic: &Diagnostic, texts: &Texts) -> String {
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let place = place(diagnostic, texts).map_or_else(String::new, |(start, end)| {
        format!(
            ",line={},col={},endLine={},endColumn={}",
            start.line, start.column, end.line, end.column
        )
    });
    let file = property(&diagnostic.file);
    let title = property(&format!("{} {}", diagnostic.code.id, diagnostic.code.slug));
    let help: String = diagnostic.help.iter().map(|h| format!("\nhelp: {h}")).collect();
    let message = data(&format!("{}{help}", diagnostic.message));
    format!("::{command} file={file}{place},title={title}::{message}")
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
