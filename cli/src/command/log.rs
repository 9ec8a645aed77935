//! `mxcp log`, `mxcp log verify`

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use mxcp_runtime::audit::PublicKey;
use mxcp_runtime::audit::query::{
    Filter, Follower, Format, LIMIT_DEFAULT, Log, Policy, parse_time,
};
use mxcp_runtime::audit::verify::{Options, verify};
use mxcp_schemas::audit::{OperationStatus, OperationType};
use serde_json::{Value, json};

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::ui::Ui;

/// How often a followed trail is looked at.
const FOLLOW_INTERVAL_MS: u64 = 200;

/// Ask the audit trail
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Say whether the trail is whole and unchanged
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The trail; by default that of the project's profile
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Checkpoints that were kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The public key that checkpoints are signed with
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Ask {
    /// Calls of this tool
    #[arg(long)]
    tool: Option<String>,
    /// Reads of this resource, by its template
    #[arg(long)]
    resource: Option<String>,
    /// Renderings of this prompt
    #[arg(long)]
    prompt: Option<String>,
    /// Operations of this type: tool, resource, prompt, list, auth, system
    #[arg(long = "type", value_name = "TYPE")]
    operation: Option<String>,
    /// What the policies decided
    #[arg(long, value_parser = Policy::WORDS)]
    policy: Option<String>,
    /// success or error
    #[arg(long)]
    status: Option<String>,
    /// This user: identifier, login name or e-mail address
    #[arg(long)]
    user: Option<String>,
    /// This session
    #[arg(long)]
    session: Option<String>,
    /// This trace
    #[arg(long)]
    trace: Option<String>,
    /// Not before: 10s, 5m, 2h, 1d ago, or a point in time
    #[arg(long)]
    since: Option<String>,
    /// Not after
    #[arg(long)]
    until: Option<String>,
    /// Records at most, the newest
    #[arg(long, default_value_t = LIMIT_DEFAULT)]
    limit: u64,
    /// The trail; by default that of the project's profile
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Write the records to a CSV file
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,
    /// Write the records to a DuckDB database, table `logs`
    #[arg(long, value_name = "FILE")]
    export_duckdb: Option<PathBuf>,
    /// Write the records to a Parquet file
    #[arg(long, value_name = "FILE")]
    export_parquet: Option<PathBuf>,
    /// Go on with records as they come
    #[arg(long)]
    follow: bool,
    /// Count calls, errors and denials instead
    #[arg(long)]
    stats: bool,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        match self.command {
            Some(Sub::Verify(args)) => args.run(ui),
            None => self.ask.run(ui),
        }
    }
}

fn usage(error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(error.to_string())
}

/// The trail of the project's profile, unless another is named.
fn trail(path: Option<PathBuf>, profile: Option<&str>) -> Result<PathBuf, Failure> {
    if let Some(path) = path {
        return Ok(path);
    }
    let project = Project::find()?;
    let (name, profile, paths) = project.profile(profile)?;
    let path = profile.audit.path.unwrap_or_else(|| format!("{}/logs-{name}.jsonl", paths.audit));
    Ok(project.root().join(path))
}

impl VerifyArgs {
    fn run(self, ui: Ui) -> Outcome {
        let path = trail(self.path, self.profile.as_deref())?;
        let read = |file: PathBuf| {
            std::fs::read(&file)
                .map_err(|e| Failure::usage(format!("`{}` cannot be read: {e}", file.display())))
        };
        let public_key = match self.public_key {
            Some(file) => {
                let text = String::from_utf8_lossy(&read(file)?).into_owned();
                Some(PublicKey::parse(text.trim()).map_err(|e| usage(&e))?)
            }
            None => None,
        };
        let checkpoints = self.checkpoint.map(read).transpose()?.unwrap_or_default();
        let report = verify(&path, &Options { public_key, checkpoints }).map_err(|e| usage(&e))?;
        if ui.json {
            ui.document(&report.to_json());
        } else {
            ui.line(&format!("{} records in {} segments", report.records, report.segments));
            ui.line(&report.verdict());
        }
        Ok(if report.is_consistent() { Exit::Fine } else { Exit::Failed })
    }
}

impl Ask {
    fn run(self, ui: Ui) -> Outcome {
        let filter = self.filter()?;
        let path = trail(self.path.clone(), self.profile.as_deref())?;
        let exports = [
            (&self.export_csv, Format::Csv),
            (&self.export_duckdb, Format::DuckDb),
            (&self.export_parquet, Format::Parquet),
        ];
        let export = exports.iter().find_map(|(file, format)| Some((file.as_ref()?, *format)));
        let mut log =
            Log::open(&path, export.map(|(file, _)| file.as_path())).map_err(|e| usage(&e))?;
        if let Some((file, format)) = export {
            log.export(&filter, format, file).map_err(|e| usage(&e))?;
            ui.note(&format!("wrote `{}`", file.display()));
            return Ok(Exit::Fine);
        }
        if self.stats {
            stats(ui, &mut log, &filter)?;
            return Ok(Exit::Fine);
        }
        let mut records: Vec<Value> = Vec::new();
        log.select(&filter, Some(self.limit), |record| records.push(record))
            .map_err(|e| usage(&e))?;
        if ui.json {
            ui.document(&Value::Array(records));
        } else {
            let rows: Vec<Value> = records.iter().map(row).collect();
            crate::table::print(ui, &rows);
        }
        if self.follow {
            return follow(ui, &path, &filter);
        }
        Ok(Exit::Fine)
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let now = Timestamp::now();
        let time = |text: &Option<String>| {
            text.as_deref().map(|t| parse_time(t, now)).transpose().map_err(|e| usage(&e))
        };
        let word = |option: &str, found: bool| {
            if found {
                Ok(())
            } else {
                Err(Failure::usage(format!("`{option}` has no such value")))
            }
        };
        let operation_type = self.operation.as_deref().and_then(OperationType::parse);
        word("--type", operation_type.is_some() == self.operation.is_some())?;
        let status = self.status.as_deref().and_then(OperationStatus::parse);
        word("--status", status.is_some() == self.status.is_some())?;
        Ok(Filter {
            tool: self.tool.clone(),
            resource: self.resource.clone(),
            prompt: self.prompt.clone(),
            operation_type,
            policy: self.policy.as_deref().and_then(Policy::parse),
            status,
            user: self.user.clone(),
            session: self.session.clone(),
            trace: self.trace.clone(),
            since: time(&self.since)?,
            until: time(&self.until)?,
        })
    }
}

/// What a table shows of a record.
fn row(record: &Value) -> Value {
    let text = |key: &str| record.get(key).cloned().unwrap_or(Value::Null);
    let who =
        [text("user_id"), record.pointer("/principal/username").cloned().unwrap_or(Value::Null)]
            .into_iter()
            .find(|value| !value.is_null())
            .unwrap_or(Value::Null);
    let fired = text("policies_fired")
        .as_array()
        .map(|names| names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    json!({
        "time": text("timestamp"),
        "type": text("operation_type"),
        "name": text("operation_name"),
        "user": who,
        "status": text("operation_status"),
        "policy": text("policy_decision"),
        "fired": fired,
        "reason": text("policy_reason"),
        "ms": text("duration_ms"),
    })
}

fn stats(ui: Ui, log: &mut Log, filter: &Filter) -> Result<(), Failure> {
    let stats = log.stats(filter).map_err(|e| usage(&e))?;
    let numbers = |n: &mxcp_runtime::audit::query::Numbers| {
        json!({"calls": n.calls, "errors": n.errors, "denials": n.denials,
               "p50_ms": n.p50_ms, "p95_ms": n.p95_ms, "p99_ms": n.p99_ms})
    };
    let join = |mut head: Value, tail: Value| {
        if let (Some(head), Value::Object(tail)) = (head.as_object_mut(), tail) {
            head.extend(tail);
        }
        head
    };
    let endpoints: Vec<Value> = stats
        .endpoints
        .iter()
        .map(|e| {
            join(json!({"type": e.operation_type, "name": e.operation_name}), numbers(&e.numbers))
        })
        .collect();
    let users: Vec<Value> =
        stats.users.iter().map(|u| join(json!({"user": u.user_id}), numbers(&u.numbers))).collect();
    if ui.json {
        ui.document(&json!({"endpoints": endpoints, "users": users}));
    } else {
        crate::table::print(ui, &endpoints);
        ui.line("");
        crate::table::print(ui, &users);
    }
    Ok(())
}

fn follow(ui: Ui, path: &std::path::Path, filter: &Filter) -> Outcome {
    let mut follower = Follower::start(path).map_err(|e| usage(&e))?;
    loop {
        let more =
            follower.poll(filter, |record| ui.line(&record.to_string())).map_err(|e| usage(&e))?;
        if !more {
            std::thread::sleep(Duration::from_millis(FOLLOW_INTERVAL_MS));
        }
    }
}
