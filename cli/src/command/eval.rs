//! `mxcp eval EXPR`

use std::io::BufRead as _;

use bumpalo::Bump;
use mxcp_compiler::cel::{self, Environment};
use mxcp_policy::datum::{Datum, Instant, Symbols};
use mxcp_policy::function::functions;
use mxcp_policy::interpret::{Inputs, Request};
use mxcp_policy::predicate::Predicate;
use mxcp_policy::value::Value;
use mxcp_policy::verify::Layout;
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
    /// Show the type alone
    #[arg(long = "type")]
    type_only: bool,
    /// List all functions
    #[arg(long)]
    functions: bool,
    /// Read lines `{"expr", "context"}`, write lines `{"type", "value"}` or `{"error", "stage"}`
    #[arg(long)]
    jsonl: bool,
}

/// What an expression came to.
struct Answer {
    ty: String,
    cost: u64,
    value: Result<(Json, String), String>,
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
        let expression = self.expression.unwrap_or_default();
        let answer = match answer(&expression, &context) {
            Ok(answer) => answer,
            Err(findings) => {
                for finding in findings {
                    let at = mxcp_schemas::diagnostic::position(
                        &expression,
                        u32::try_from(finding.range.start).unwrap_or(u32::MAX),
                    );
                    ui.error(&format!("{}:{}: {}", at.line, at.column, finding.message));
                    finding.help.iter().for_each(|help| ui.note(&format!("  help: {help}")));
                }
                return Ok(Exit::Failed);
            }
        };
        if ui.json {
            ui.document(&match &answer.value {
                Ok((value, _)) => json!({"type": answer.ty, "cost": answer.cost, "value": value}),
                Err(error) => json!({"type": answer.ty, "cost": answer.cost, "error": error}),
            });
        } else if self.type_only {
            ui.line(&answer.ty);
        } else {
            match &answer.value {
                Ok((_, text)) => {
                    ui.line(&format!("{text}\n  type {}, cost {}", answer.ty, answer.cost));
                }
                Err(error) => ui.error(error),
            }
        }
        Ok(if answer.value.is_ok() { Exit::Fine } else { Exit::Failed })
    }
}

fn list_functions(ui: Ui) {
    if ui.json {
        let all: Vec<Json> = functions()
            .iter()
            .map(|f| json!({"name": f.name, "doc": f.doc, "overloads": f.overloads.iter().map(|o| o.id).collect::<Vec<_>>()}))
            .collect();
        ui.document(&json!({"functions": all}));
        return;
    }
    for function in functions() {
        ui.line(&format!("{:<24} {}", function.name, function.doc));
        for (expression, value) in function.examples {
            ui.line(&format!("{:<24}   {expression}  →  {value}", ""));
        }
    }
}

fn lines(ui: Ui) -> Outcome {
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|e| Failure::usage(format!("standard input cannot be read: {e}")))?;
        if line.trim().is_empty() {
            continue;
        }
        let asked: Json = serde_json::from_str(&line)
            .map_err(|e| Failure::usage(format!("a line is not JSON: {e}")))?;
        let context = asked.get("context").cloned().unwrap_or_else(|| json!({}));
        let expression = asked.get("expr").and_then(Json::as_str).unwrap_or("");
        let said = match answer(expression, &context) {
            Ok(Answer { ty, value: Ok((value, _)), .. }) => json!({"type": ty, "value": value}),
            Ok(Answer { value: Err(error), .. }) => json!({"error": error, "stage": "evaluate"}),
            Err(findings) => {
                let first = findings.first().map_or("", |f| f.message.as_str());
                json!({"error": first, "stage": "compile"})
            }
        };
        ui.line(&said.to_string());
    }
    Ok(Exit::Fine)
}

fn answer(expression: &str, context: &Json) -> Result<Answer, Vec<cel::Finding>> {
    let fields = context.as_object().cloned().unwrap_or_default();
    let environment = Environment::dynamic(fields.keys().cloned());
    let (compiled, findings) = cel::expression(expression, &environment);
    let Some((program, typed)) = compiled else { return Err(findings) };
    let layout = Layout { user: 0, params: fields.len(), response: false };
    let mut symbols = Symbols::default();
    let ty = typed.ty(typed.tree.root).to_string();
    let linked = Predicate::link(&program, &layout, &mut symbols);
    let value = match linked {
        Ok(predicate) => evaluate(&predicate, &fields, &symbols),
        Err(error) => Err(error.to_string()),
    };
    Ok(Answer { ty, cost: program.cost, value })
}

fn evaluate(
    predicate: &Predicate,
    fields: &serde_json::Map<String, Json>,
    symbols: &Symbols,
) -> Result<(Json, String), String> {
    let params: Vec<Datum> =
        fields.values().map(|value| Datum::from_json(value, symbols)).collect();
    let request = Request {
        time: Instant { seconds: 0, nanos: 0 },
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
