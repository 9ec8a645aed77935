//! `mxcp eval EXPR`

use std::io::BufRead as _;

use bumpalo::Bump;
use mxcp_compiler::cel::{self, Environment, Finding, Stage, reference};
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::code::Program;
use serde_json::{Value as Json, json};

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// Show the type, cost and value of a CEL expression
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The expression
    #[arg(required_unless_present_any = ["functions", "jsonl"])]
    expression: Option<String>,
    /// Variables as a JSON object, or `@file`
    #[arg(long, value_name = "JSON|@FILE")]
    context: Option<String>,
    /// Show the type alone and evaluate nothing
    #[arg(long = "type")]
    type_only: bool,
    /// List all functions
    #[arg(long)]
    functions: bool,
    /// Read lines `{"expr", "context"}`, write lines `{"type", "value"}` or `{"error", "stage"}`
    #[arg(long)]
    jsonl: bool,
}

/// An expression that compiles.
struct Compiled {
    ty: String,
    program: Program,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        if self.functions {
            list_functions(ui);
            return Ok(Exit::Fine);
        }
        if self.jsonl {
            return lines(ui);
        }
        let context = match self.context.as_deref() {
            Some(text) => super::json_argument("--context", text)?,
            None => json!({}),
        };
        let fields = context
            .as_object()
            .ok_or_else(|| Failure::usage("`--context` is a JSON object: `{\"name\": value}`"))?;
        let expression = self.expression.unwrap_or_default();
        let compiled = match compile(&expression, fields) {
            Ok(compiled) => compiled,
            Err(findings) => {
                tell(ui, &expression, &findings);
                return Ok(Exit::Failed);
            }
        };
        let (ty, cost) = (&compiled.ty, compiled.program.cost);
        if self.type_only {
            if ui.json {
                ui.document(&json!({"type": ty, "cost": cost}));
            } else {
                ui.line(ty);
            }
            return Ok(Exit::Fine);
        }
        let value = evaluate(&compiled.program, fields);
        if ui.json {
            ui.document(&match &value {
                Ok((value, _)) => json!({"type": ty, "cost": cost, "value": value}),
                Err(error) => {
                    json!({"type": ty, "cost": cost, "error": error, "stage": "evaluate"})
                }
            });
        } else {
            match &value {
                Ok((_, text)) => ui.line(&format!("{text}\n  type {ty}, cost {cost}")),
                Err(error) => ui.error(error),
            }
        }
        Ok(if value.is_ok() { Exit::Fine } else { Exit::Failed })
    }
}

/// Prints what is wrong with an expression.
fn tell(ui: Ui, expression: &str, findings: &[Finding]) {
    if ui.json {
        let all: Vec<Json> = findings
            .iter()
            .map(|f| {
                json!({
                    "code": f.code.id, "rule": f.code.slug, "stage": stage(f), "message": f.message,
                    "start": f.range.start, "end": f.range.end, "help": f.help,
                })
            })
            .collect();
        ui.document(&json!({"errors": all}));
        return;
    }
    for finding in findings {
        let start = u32::try_from(finding.range.start).unwrap_or(u32::MAX);
        let at = mxcp_schemas::diagnostic::position(expression, start);
        let code = finding.code.id;
        ui.error(&format!("[{code}] {}:{}: {}", at.line, at.column, finding.message));
        finding.help.iter().for_each(|help| ui.note(&format!("  help: {help}")));
    }
}

const fn stage(finding: &Finding) -> &'static str {
    match finding.stage {
        Stage::Parse => "parse",
        Stage::Check => "check",
    }
}

fn list_functions(ui: Ui) {
    let chapters = reference::chapters();
    if ui.json {
        let all: Vec<Json> = chapters
            .iter()
            .flat_map(|(chapter, entries)| entries.iter().map(move |entry| (chapter, entry)))
            .map(|(chapter, entry)| {
                json!({
                    "name": entry.name, "chapter": chapter, "doc": entry.doc,
                    "overloads": entry.forms, "examples": entry.examples,
                })
            })
            .collect();
        ui.document(&json!({"functions": all}));
        return;
    }
    for (chapter, entries) in &chapters {
        ui.line(&format!("{chapter}:"));
        for entry in entries {
            ui.line(&format!("  {}\n      {}", entry.forms.join("\n  "), entry.doc));
            for (expression, value) in entry.examples {
                ui.line(&format!("      {expression}  →  {value}"));
            }
        }
    }
}

/// One answer for each line; a line that is no question is answered as well, so that answers and
/// questions stay side by side.
fn lines(ui: Ui) -> Outcome {
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|e| Failure::usage(format!("standard input cannot be read: {e}")))?;
        if !line.trim().is_empty() {
            ui.line(&answer(&line).to_string());
        }
    }
    Ok(Exit::Fine)
}

fn answer(line: &str) -> Json {
    let failed = |error: String, stage: &str| json!({"error": error, "stage": stage});
    let asked: Json = match serde_json::from_str(line) {
        Ok(asked) => asked,
        Err(error) => return failed(format!("the line is not JSON: {error}"), "read"),
    };
    let Some(expression) = asked.get("expr").and_then(Json::as_str) else {
        return failed("`expr` is missing".to_owned(), "read");
    };
    let none = serde_json::Map::new();
    let fields = match asked.get("context") {
        None => &none,
        Some(Json::Object(fields)) => fields,
        Some(_) => return failed("`context` is no object".to_owned(), "read"),
    };
    let compiled = match compile(expression, fields) {
        Ok(compiled) => compiled,
        Err(findings) => {
            let first = findings.iter().find(|finding| finding.is_error());
            let message = first.map_or_else(String::new, |finding| finding.message.clone());
            return failed(message, first.map_or("check", stage));
        }
    };
    match evaluate(&compiled.program, fields) {
        Ok((value, _)) => json!({"type": compiled.ty, "value": value}),
        Err(error) => failed(error, "evaluate"),
    }
}

fn compile(
    expression: &str,
    fields: &serde_json::Map<String, Json>,
) -> Result<Compiled, Vec<Finding>> {
    let environment = Environment { request: true, ..Environment::dynamic(fields.keys().cloned()) };
    let (compiled, findings) = cel::expression(expression, &environment);
    let Some((program, typed)) = compiled else { return Err(findings) };
    Ok(Compiled { ty: typed.ty(typed.tree.root).to_string(), program })
}

/// The value as JSON and as text. What it depends on is the context and the time.
fn evaluate(
    program: &Program,
    fields: &serde_json::Map<String, Json>,
) -> Result<(Json, String), String> {
    let layout = Layout { user: 0, params: fields.len(), response: false };
    let mut symbols = Symbols::default();
    let predicate =
        Predicate::link(program, &layout, &mut symbols).map_err(|error| error.to_string())?;
    let params: Vec<Datum> =
        fields.values().map(|value| Datum::from_json(value, &symbols)).collect();
    let now = jiff::Timestamp::now();
    let request = Request {
        time: Instant {
            seconds: now.as_second(),
            nanos: u32::try_from(now.subsec_nanosecond()).unwrap_or(0),
        },
        tool: symbols.text("eval"),
        session_id: None,
        client_ip: None,
    };
    let inputs = Inputs {
        user: &[],
        user_map: &Datum::Null,
        params: &params,
        response: None,
        request: &request,
    };
    let arena = Bump::new();
    match predicate.value(&inputs, &arena) {
        Value::Error(failure) => Err(failure.message.to_owned()),
        value => Ok((value.to_json(&arena), value.to_string())),
    }
}
