//! `mxcp query SQL`, recorded like a call where audit is on.

mod record;

use std::path::PathBuf;

use mxcp_runtime::duckdb::{Session, Settings};
use mxcp_runtime::output::{Form, OutputError, Table};
use mxcp_schemas::bundle::plan::Plan;
use serde_json::Value as Json;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::ui::Ui;

use record::Journal;

/// Most rows that are shown.
const MAX_ROWS: usize = 100_000;
/// Most bytes that are shown.
const MAX_BYTES: usize = 256 << 20;

/// Run SQL on the project's database
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The SQL
    #[arg(required_unless_present = "file")]
    sql: Option<String>,
    /// Run all statements of a file instead
    #[arg(long, short, conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// Open the database without write access
    #[arg(long, env = "MXCP_READONLY", value_parser = clap::builder::FalseyValueParser::new())]
    readonly: bool,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let project = Project::find()?;
        let failed = |e: &dyn std::fmt::Display| Failure::failed(e.to_string());
        let settings = settings(&project, self.profile.as_deref(), self.readonly)?;
        let read_only = settings.read_only;
        let journal = Journal::open(&project, self.profile.as_deref())?;
        let database = settings.open().map_err(|e| failed(&e))?;
        let mut session = Session::new(&database).map_err(|e| failed(&e))?;
        if let Some(file) = &self.file {
            let sql = std::fs::read_to_string(file)
                .map_err(|e| Failure::usage(format!("`{}` cannot be read: {e}", file.display())))?;
            let entry = journal.begin(&sql, Some(file), read_only)?;
            entry.end(session.connection().run(&sql))?;
            ui.note(&format!("ran `{}`", file.display()));
            return Ok(Exit::Fine);
        }
        let sql = self.sql.unwrap_or_default();
        let entry = journal.begin(&sql, None, read_only)?;
        let text = entry.end(collect(&mut session, &sql))?;
        if ui.json {
            ui.line(&text);
            return Ok(Exit::Fine);
        }
        let rows: Json = serde_json::from_str(&text).map_err(|e| failed(&e))?;
        crate::table::print(ui, rows.as_array().map_or(&[], Vec::as_slice));
        Ok(Exit::Fine)
    }
}

/// The rows of a statement, as JSON.
fn collect(session: &mut Session, sql: &str) -> Result<String, OutputError> {
    let table = Table::collect(session.query(sql, |_| None)?, MAX_ROWS)?;
    let mut out = Vec::new();
    table.write_json(Form::Rows, &Plan::inert(), MAX_BYTES, &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// How the project's database is opened.
pub fn settings(
    project: &Project,
    profile: Option<&str>,
    read_only: bool,
) -> Result<Settings, Failure> {
    let (name, profile, paths) = project.profile(profile)?;
    let configured = std::env::var("MXCP_DUCKDB_PATH").ok();
    let path = configured
        .or_else(|| profile.duckdb.path.clone())
        .unwrap_or_else(|| format!("{}/db-{name}.duckdb", paths.data));
    let path = project.root().join(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Failure::usage(format!("`{}` cannot be made: {e}", folder.display())))?;
    }
    let folders = profile.duckdb.allowed_directories.iter().map(|f| project.root().join(f));
    Ok(Settings {
        path: Some(path),
        read_only: read_only || profile.duckdb.read_only,
        memory_limit: profile.duckdb.memory_limit.clone(),
        threads: profile.duckdb.threads.and_then(|n| u32::try_from(n).ok()),
        max_temp_directory_size: None,
        external_access: profile.duckdb.external_access,
        allowed_directories: folders.chain([project.root().join(&paths.data)]).collect(),
        extensions: Vec::new(),
    })
}
