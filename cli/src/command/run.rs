//! `mxcp run tool|resource|prompt NAME`

use std::path::PathBuf;
use std::sync::Arc;

use mxcp_runtime::enforce::{Class, Outcome as Result_};
use mxcp_schemas::bundle::definition::Kind;
use serde_json::{Value, json};

use super::{Outcome, param_argument};
use crate::exit::Exit;
use crate::local::{Local, Setup, threads, uri};
use crate::ui::{Ui, indented};

/// Make one call, on the same path as the server's
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is called
    #[arg(value_enum)]
    kind: KindArg,
    /// Its name; of a resource the URI, or the template with `--param` for its variables
    name: String,
    /// An argument, `name=value` or `name=@file`; its declared type decides how it is read
    #[arg(long = "param", short, value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Who calls, a JSON object or `@file`
    #[arg(long, short, value_name = "JSON|@FILE")]
    user_context: Option<String>,
    /// Headers of the request, a JSON object or `@file`
    #[arg(long, value_name = "JSON|@FILE")]
    request_headers: Option<String>,
    /// Open the database without write access
    #[arg(long)]
    readonly: bool,
    /// Accepted for MXCP's users, without effect
    #[arg(long, hide = true)]
    skip_output_validation: bool,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// The user file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The kinds of endpoints on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KindArg {
    /// a tool
    Tool,
    /// a resource
    Resource,
    /// a prompt
    Prompt,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Tool => Self::Tool,
            KindArg::Resource => Self::Resource,
            KindArg::Prompt => Self::Prompt,
        }
    }
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let mut params: Vec<(&str, String)> = Vec::new();
        for param in &self.params {
            params.push(param_argument(param)?);
        }
        if self.skip_output_validation {
            ui.note(
                "`--skip-output-validation` has no effect: results are checked against `return`",
            );
        }
        let setup = Setup {
            profile: self.profile.clone(),
            config: self.config.clone(),
            read_only: self.readonly,
            audit: None,
        };
        let local = Local::start(ui, &setup)?;
        if self.kind != KindArg::Resource {
            local.known(self.kind.into(), &self.name)?;
        }
        let caller =
            Arc::new(local.caller(self.user_context.as_deref(), self.request_headers.as_deref())?);
        let mut target = self.name.clone();
        if self.kind == KindArg::Resource && target.contains('{') {
            target = uri(&target, |name| {
                params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
            });
            params.clear();
        }
        let answer =
            threads()?.block_on(local.call_texts(self.kind.into(), &target, &params, &caller))?;
        local.runtime.trail().close();
        Ok(show(ui, &answer.outcome, &answer.call_id.to_string()))
    }
}

fn show(ui: Ui, outcome: &Result_, call_id: &str) -> Exit {
    match outcome {
        Result_::Value(value) => {
            let json = &value.json;
            // The text is shown as it is: a number may have more digits than fit into a parsed one.
            if ui.json {
                ui.line(&indented(&format!(
                    r#"{{"status":"ok","result":{json},"call_id":"{call_id}"}}"#
                )));
            } else if let Ok(Value::String(text)) = serde_json::from_str(json) {
                ui.line(&text);
            } else {
                ui.line(&indented(json));
            }
            Exit::Fine
        }
        Result_::Messages(messages) => {
            let all: Vec<Value> =
                messages.iter().map(|m| json!({"role": m.role, "text": m.text})).collect();
            if ui.json {
                ui.document(&json!({"status": "ok", "messages": all, "call_id": call_id}));
            } else {
                for message in messages {
                    ui.line(&format!("{}: {}", message.role, message.text));
                }
            }
            Exit::Fine
        }
        Result_::Failed(failure) => {
            let status = if failure.class == Class::Denied { "denied" } else { "error" };
            if ui.json {
                ui.document(&json!({"status": status, "error": failure.text, "call_id": call_id}));
            } else {
                ui.error(&match failure.class {
                    Class::Denied => format!("denied: {}", failure.text),
                    _ => failure.text.clone(),
                });
            }
            Exit::Failed
        }
    }
}
