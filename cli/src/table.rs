//! Rows as a table for people.

use serde_json::Value as Json;

use crate::ui::Ui;

/// Widest column, in characters.
const MAX_WIDTH: usize = 60;

/// Prints objects as a table with the columns of the first.
pub fn print(ui: Ui, rows: &[Json]) {
    let Some(first) = rows.first().and_then(Json::as_object) else {
        ui.note("no rows");
        return;
    };
    let columns: Vec<&String> = first.keys().collect();
    let cell = |row: &Json, column: &str| match row.get(column) {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    };
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| {
            let cells = rows.iter().map(|row| cell(row, column).chars().count());
            cells.chain([column.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<String>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}", w = *w)).collect();
        padded.join("  ").trim_end().to_owned()
    };
    ui.line(&line(columns.iter().map(|c| (*c).clone()).collect()));
    ui.line(&widths.iter().map(|w| "-".repeat(*w)).collect::<Vec<_>>().join("  "));
    for row in rows {
        ui.line(&line(columns.iter().map(|c| cell(row, c)).collect()));
    }
}

/// One line of at most so many characters.
fn shown(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= MAX_WIDTH {
        return line;
    }
    line.chars().take(MAX_WIDTH - 1).chain(['…']).collect()
}
