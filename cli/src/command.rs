//! The verbs. Each is one file that holds its arguments and its action.

mod build;
mod check;
mod completions;
mod eval;
mod init;
mod inspect;
mod list;
mod log;
mod log_cleanup;
mod query;
mod run;
mod schema;
mod serve;
mod test;

use clap::{Parser, Subcommand};

use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// What a command ends with.
pub type Outcome = Result<Exit, Failure>;

/// Compile, check and serve access policies for MCP endpoints.
#[derive(Debug, Parser)]
#[command(name = "mxcp", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// What every command has
    #[command(flatten)]
    pub ui: Ui,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Check(check::Args),
    Validate(check::ValidateArgs),
    Lint(check::LintArgs),
    Build(build::Args),
    Inspect(inspect::Args),
    Eval(eval::Args),
    List(list::Args),
    Run(run::Args),
    Test(test::Args),
    Serve(serve::Args),
    Log(Box<log::Args>),
    LogCleanup(log_cleanup::Args),
    Query(query::Args),
    Schema(schema::Args),
    Completions(completions::Args),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// When it could not do its work.
    pub fn run(self) -> Outcome {
        let ui = self.ui;
        match self.command {
            Command::Init(args) => args.run(ui),
            Command::Check(args) => args.run(ui),
            Command::Validate(args) => args.run(ui),
            Command::Lint(args) => args.run(ui),
            Command::Build(args) => args.run(ui),
            Command::Inspect(args) => args.run(ui),
            Command::Eval(args) => args.run(ui),
            Command::Query(args) => args.run(ui),
            Command::List(args) => args.run(ui),
            Command::Run(args) => args.run(ui),
            Command::Test(args) => args.run(ui),
            Command::Serve(args) => args.run(ui),
            Command::Log(args) => args.run(ui),
            Command::LogCleanup(args) => args.run(ui),
            Command::Schema(args) => args.run(ui),
            Command::Completions(args) => args.run(ui),
        }
    }
}

/// Verbs that people know from the manual of MXCP or from what is planned, and that this release does
/// not have.
const NOT_HERE: [&str; 9] = [
    "dbt",
    "dbt-config",
    "diff",
    "drift-check",
    "drift-snapshot",
    "evals",
    "explain",
    "lsp",
    "replay",
];

/// What to say about a command line that asks for a verb which this release does not have.
pub fn not_here(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(verb)) if NOT_HERE.contains(&verb.as_str()) => {
            Some(format!("this release has no `mxcp {verb}`; `mxcp --help` lists what it has"))
        }
        _ => None,
    }
}

/// A value as `name=value` or `name=@file`.
pub fn param_argument(param: &str) -> Result<(&str, String), Failure> {
    let (name, value) = param.split_once('=').ok_or_else(|| {
        Failure::usage(format!("`--param {param}` has no `=`; write `--param name=value`"))
    })?;
    let value = match value.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|e| {
                Failure::usage(format!("`{path}` of `--param {name}` cannot be read: {e}"))
            })?
            .trim()
            .to_owned(),
        None => value.to_owned(),
    };
    Ok((name, value))
}

/// A JSON document that is given as text or as `@file`.
pub fn json_argument(option: &str, text: &str) -> Result<Value, Failure> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = std::fs::read_to_string(path).map_err(|e| {
                Failure::usage(format!("`{path}` of `{option}` cannot be read: {e}"))
            })?;
            read.as_str()
        }
        None => text,
    };
    serde_json::from_str(text).map_err(|e| Failure::usage(format!("`{option}` is not JSON: {e}")))
}
