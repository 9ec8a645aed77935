//! `mxcp test`

mod coverage;
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
use coverage::Coverage;

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
    /// Say which policies fired, and which parts of their conditions were seen true and seen false
    #[arg(long)]
    coverage: bool,
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
        let look = |bundle: &mut _, compiled: &_| {
            self.coverage.then(|| Coverage::prepare(bundle, compiled)).transpose()
        };
        let (local, mut coverage) = Local::start_with(ui, &setup, look)?;
        let wanted = |kind: Kind, name: &str| {
            self.kind.is_none_or(|wanted| Kind::from(wanted) == kind)
                && self.name.as_ref().is_none_or(|wanted| *wanted == name)
        };
        let chosen: Vec<&Listed> = local
            .compiled
            .endpoints
            .iter()
            .filter(|listed| listed.enabled && wanted(listed.kind, &listed.identity))
            .collect();
        if let (Some(kind), Some(name)) = (self.kind, &self.name) {
            local.known(kind.into(), name)?;
        }
        if chosen.is_empty() {
            return Err(Failure::usage("there is no such endpoint; `mxcp list` shows all"));
        }
        let compiled = if self.jit { compile(&local)? } else { 0 };
        let all = self.all(ui, &local, &chosen, coverage.as_mut())?;
        let failed = all.iter().filter(|ran| ran.problem.is_some()).count();
        if ui.json {
            let tests: Vec<Value> = all
                .iter()
                .map(|r| json!({"endpoint": r.endpoint, "name": r.name, "passed": r.problem.is_none(), "problem": r.problem, "ms": r.millis}))
                .collect();
            let passed = all.len() - failed;
            let mut document = json!({"tests": tests, "passed": passed, "failed": failed, "machine_code": compiled});
            if let (Some(coverage), Some(fields)) = (&coverage, document.as_object_mut()) {
                fields.insert("coverage".to_owned(), coverage.to_json(wanted));
            }
            ui.document(&document);
        } else {
            if let Some(coverage) = &coverage {
                coverage.print(ui, wanted);
            }
            ui.line(&format!("{} passed, {failed} failed", all.len() - failed));
        }
        Ok(if failed == 0 { Exit::Fine } else { Exit::Failed })
    }

    /// Runs all tests of some endpoints.
    fn all(
        &self,
        ui: Ui,
        local: &Local,
        chosen: &[&Listed],
        mut coverage: Option<&mut Coverage>,
    ) -> Result<Vec<Ran>, Failure> {
        if let Some(coverage) = &coverage {
            coverage.watch(local);
        }
        let threads = threads()?;
        let total = chosen.iter().map(|endpoint| endpoint.definitions.len()).sum();
        let progress = ui.progress("running tests", total);
        let mut all = Vec::with_capacity(total);
        for endpoint in chosen {
            for test in &endpoint.definitions {
                let ran = threads.block_on(self.one(local, endpoint, test))?;
                if let Some(coverage) = &mut coverage {
                    coverage.count();
                }
                progress.step();
                if !ui.json {
                    progress.above(|| show(ui, &ran));
                }
                all.push(ran);
            }
        }
        Ok(all)
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
