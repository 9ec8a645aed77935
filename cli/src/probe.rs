//! Asking DuckDB about SQL at build.

use mxcp_compiler::sql::{Analysis, SqlProbe};
use mxcp_runtime::duckdb::{Bind, BindType, Cell, DuckError, Session, Settings};

/// DuckDB's parser, in a database of its own in memory. It sees texts only, never the project's data.
#[derive(Debug, Clone, Copy)]
pub struct DuckProbe;

impl SqlProbe for DuckProbe {
    fn analyse(&self, texts: &[&str]) -> Vec<Analysis> {
        if texts.is_empty() {
            return Vec::new();
        }
        // Without DuckDB nothing can be said, and nothing is claimed.
        let unknown = vec![Analysis::Unknown; texts.len()];
        ask(texts).ok().filter(|answers| answers.len() == texts.len()).unwrap_or(unknown)
    }
}

/// `json_serialize_sql` parses its argument and serialises nothing but `SELECT` statements.
const QUESTION: &str = "
    SELECT a[1], a[2], a[3], a[4] FROM (SELECT json_extract_string(
        json_serialize_sql(unnest($texts)),
        ['error', 'error_type', 'error_message', 'position']) AS a)";

/// Texts of one question: DuckDB holds the syntax trees of all of them at once.
const TEXTS_PER_QUESTION: usize = 100;

fn ask(texts: &[&str]) -> Result<Vec<Analysis>, DuckError> {
    let mut session = Session::new(&Settings::default().open()?)?;
    let mut answers = Vec::with_capacity(texts.len());
    for texts in texts.chunks(TEXTS_PER_QUESTION) {
        ask_some(&mut session, texts, &mut answers)?;
    }
    Ok(answers)
}

fn ask_some(
    session: &mut Session,
    texts: &[&str],
    answers: &mut Vec<Analysis>,
) -> Result<(), DuckError> {
    let list = texts.iter().map(|text| Bind::Text((*text).to_owned())).collect();
    let bound = Bind::List(BindType::Text, list);
    let mut rows = session.query(QUESTION, |_| Some(bound.clone()))?;
    let shapes = rows.shapes().to_vec();
    while let Some(chunk) = rows.next_chunk() {
        for row in 0..chunk.len() {
            let text = |column: usize| {
                shapes.get(column).and_then(|shape| match chunk.cell(column, shape, row) {
                    Cell::Text(text, _) => Some(text.to_owned()),
                    _ => None,
                })
            };
            answers.push(answer(text(0).as_deref(), text(1).as_deref(), text(2), text(3)));
        }
    }
    Ok(())
}

fn answer(
    error: Option<&str>,
    kind: Option<&str>,
    message: Option<String>,
    position: Option<String>,
) -> Analysis {
    match (error, kind) {
        (Some("false"), _) => Analysis::Select,
        (Some("true"), Some("parser" | "syntax")) => Analysis::Syntax {
            message: message.unwrap_or_default(),
            position: position.and_then(|p| p.parse().ok()),
        },
        (Some("true"), Some(_)) => Analysis::Other,
        _ => Analysis::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duckdb_tells_what_reads_and_what_does_not_parse() {
        let answers = DuckProbe.analyse(&[
            "SELECT $a + 1 FROM t WHERE x = $b",
            "WITH a AS (SELECT 1) FROM a",
            "INSERT INTO t VALUES ($a)",
            "SELEC 1",
            "SELECT 1 +",
        ]);
        assert!(
            matches!(
                &answers[..],
                [
                    Analysis::Select,
                    Analysis::Select,
                    Analysis::Other,
                    Analysis::Syntax { position: Some(0), .. },
                    Analysis::Syntax { .. }
                ]
            ),
            "{answers:?}"
        );
    }
}
