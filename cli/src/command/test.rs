//! `mxcp test`

mod expect;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use mxcp_compiler::Listed;
use mxcp_policy::jit::{self, Compiled};
use mxcp_schemas::bundle::definition::Kind;
use mxcp_schemas::document::endpoint::Test;
use serde_json::{Value, json};

use super::Outcome;
use super::run::KindArg;
use crate::exit::{Exit, Failure};
use crate::local::{Local, Setup, threads, uri};
use crate::ui::Ui;

/// Run the tests in the definitions
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only endpoints of this kind
    #[arg(value_enum)]
    kind: Option<KindArg>,
    /// Only this endpoint
    name: Option<String>,
    /// Who calls where a test does not say, a JSON object or `@file`
    #[arg(long, short, value_name = "JSON|@FILE")]
    user_context: Option<String>,
    /// Headers of the request where a test does not say, a JSON object or `@file`
    #[arg(long, value_name = "JSON|@FILE")]
    request_headers: Option<String>,
    /// Open the database without write access
    #[arg(long)]
    readonly: bool,
    /// Run conditions as machine code, as a server does, and fail where there can be none
    #[arg(long)]
    jit: bool,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// The user file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A test that was run.
struct Ran {
    endpoint: String,
    name: String,
    problem: Option<String>,
    millis: f64,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let setup = Setup {
            profile: self.profile.clone(),
            config: self.config.clone(),
            read_only: self.readonly,
            audit: Some(false),
        };
        let local = Local::start(ui, &setup)?;
        let wanted = |listed: &&Listed| {
            listed.enabled
                && self.kind.is_none_or(|kind| Kind::from(kind) == listed.kind)
                && self.name.as_ref().is_none_or(|name| *name == listed.identity)
        };
        let chosen: Vec<&Listed> = local.compiled.endpoints.iter().filter(wanted).collect();
        if let (Some(kind), Some(name)) = (self.kind, &self.name) {
            local.known(kind.into(), name)?;
        }
        if chosen.is_empty() {
            return Err(Failure::usage("there is no such endpoint; `mxcp list` shows all"));
        }
        let compiled = if self.jit { compile(&local)? } else { 0 };
        let threads = threads()?;
        let mut all = Vec::new();
        for endpoint in chosen {
            for test in &endpoint.definitions {
                let ran = threads.block_on(self.one(&local, endpoint, test))?;
                if !ui.json {
                    show(ui, &ran);
                }
                all.push(ran);
            }
        }
        let failed = all.iter().filter(|ran| ran.problem.is_some()).count();
        if ui.json {
            let tests: Vec<Value> = all
                .iter()
                .map(|r| json!({"endpoint": r.endpoint, "name": r.name, "passed": r.problem.is_none(), "problem": r.problem, "ms": r.millis}))
                .collect();
            let passed = all.len() - failed;
            ui.document(&json!({"tests": tests, "passed": passed, "failed": failed, "machine_code": compiled}));
        } else {
            ui.line(&format!("{} passed, {failed} failed", all.len() - failed));
        }
        Ok(if failed == 0 { Exit::Fine } else { Exit::Failed })
    }

    async fn one(&self, local: &Local, endpoint: &Listed, test: &Test) -> Result<Ran, Failure> {
        let start = Instant::now();
        let own = test.user_context.as_ref().map(Value::to_string);
        let context = own.as_deref().or(self.user_context.as_deref());
        let headers = test.request_headers.as_ref().map(Value::to_string);
        let headers = headers.as_deref().or(self.request_headers.as_deref());
        let caller = Arc::new(local.caller(context, headers)?);
        let mut target = endpoint.identity.clone();
        let mut arguments = test.arguments.clone();
        if endpoint.kind == Kind::Resource {
            target = uri(&target, |name| {
                arguments.get(name).map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
            });
            arguments.clear();
        }
        let text = Value::Object(arguments).to_string();
        let answer = local.call(endpoint.kind, &target, &text, &caller).await?;
        Ok(Ran {
            endpoint: endpoint.identity.clone(),
            name: test.name.value.clone(),
            problem: expect::judge(test, &answer.outcome).err(),
            millis: start.elapsed().as_secs_f64() * 1_000.0,
        })
    }
}

/// Makes machine code of all conditions; returns of how many.
fn compile(local: &Local) -> Result<usize, Failure> {
    match jit::compile_all(&*local.runtime.machinery().predicates()) {
        Ok(Compiled { compiled, .. }) => Ok(compiled),
        Err(error) => Err(Failure::usage(format!("conditions cannot be machine code: {error}"))),
    }
}

fn show(ui: Ui, ran: &Ran) {
    let word = if ran.problem.is_none() { "ok    " } else { "FAILED" };
    ui.line(&format!("{word} {} · {}", ran.endpoint, ran.name));
    if let Some(problem) = &ran.problem {
        ui.line(&format!("       {problem}"));
    }
}
