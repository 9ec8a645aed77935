//! `mxcp query SQL`, recorded like a call where audit is on.

mod record;

use std::path::PathBuf;

use mxcp_runtime::config::{Process, resolve};
use mxcp_runtime::duckdb::{Bind, Session, Settings};
use mxcp_runtime::json;
use mxcp_runtime::output::{Form, OutputError, Table};
use mxcp_schemas::bundle::plan::Plan;
use serde_json::{Value as Json, json};

use super::{Outcome, param_argument};
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
    /// The value of a `$name`, as `name=value` or `name=@file`: a text, which SQL casts
    #[arg(long = "param", short, value_name = "NAME=VALUE", conflicts_with = "file")]
    params: Vec<String>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// Open the database without write access
    #[arg(long, env = "MXCP_READONLY", value_parser = clap::builder::FalseyValueParser::new())]
    readonly: bool,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let mut params = Vec::with_capacity(self.params.len());
        for param in &self.params {
            params.push(param_argument(param)?);
        }
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
            if ui.json {
                ui.document(&json!({ "file": file.display().to_string() }));
            } else {
                ui.note(&format!("ran `{}`", file.display()));
            }
            return Ok(Exit::Fine);
        }
        let sql = self.sql.unwrap_or_default();
        let entry = journal.begin(&sql, None, read_only)?;
        let text = entry.end(collect(&mut session, &sql, &params))?;
        if ui.json {
            ui.line(&text);
            return Ok(Exit::Fine);
        }
        let mut rows: Json = serde_json::from_str(&text).map_err(|e| failed(&e))?;
        keep_digits(&text, &mut rows);
        crate::table::print(ui, rows.as_array().map_or(&[], Vec::as_slice));
        Ok(Exit::Fine)
    }
}

/// Puts numbers that a parsed one has no room for back as the texts that they were.
fn keep_digits(text: &str, rows: &mut Json) {
    let Ok(exact) = json::parse(text.as_bytes()) else { return };
    let json::Json::Array(exact) = exact else { return };
    let objects = rows.as_array_mut().into_iter().flatten();
    for (row, exact) in objects.zip(&exact) {
        let json::Json::Object(members) = exact else { continue };
        for (name, value) in members {
            let slot = row.get_mut(name.as_ref());
            if let (json::Json::Number(digits), Some(slot)) = (value, slot) {
                *slot = Json::String(digits.to_string());
            }
        }
    }
}

/// The rows of a statement, as JSON.
fn collect(
    session: &mut Session,
    sql: &str,
    params: &[(&str, String)],
) -> Result<String, OutputError> {
    let value = |name: &str| {
        let given = params.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        given.map(|(_, value)| Bind::Text(value.clone()))
    };
    let table = Table::collect(session.query(sql, value)?, MAX_ROWS)?;
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
    let (name, profile, site) = project.profile(profile)?;
    let paths = &site.paths;
    let resolved = |text: &str, key: &str| {
        resolve(text, &format!("profiles.{name}.duckdb.{key}"), &Process)
            .map_err(|error| Failure::usage(error.to_string()))
    };
    let path = match (std::env::var("MXCP_DUCKDB_PATH").ok(), &profile.duckdb.path) {
        (Some(path), _) => path,
        (None, Some(path)) => resolved(path, "path")?,
        (None, None) => format!("{}/db-{name}.duckdb", paths.data),
    };
    let path = project.root().join(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Failure::usage(format!("`{}` cannot be made: {e}", folder.display())))?;
    }
    let mut allowed_directories = vec![project.root().join(&paths.data)];
    for folder in &profile.duckdb.allowed_directories {
        allowed_directories.push(project.root().join(resolved(folder, "allowed_directories")?));
    }
    let memory_limit = profile.duckdb.memory_limit.as_deref();
    Ok(Settings {
        path: Some(path),
        read_only: read_only || profile.duckdb.read_only,
        memory_limit: memory_limit.map(|text| resolved(text, "memory_limit")).transpose()?,
        threads: profile.duckdb.threads.and_then(|n| u32::try_from(n).ok()),
        max_temp_directory_size: None,
        external_access: profile.duckdb.external_access,
        allowed_directories,
        extensions: site.extensions.iter().map(|(name, _)| name.value.clone()).collect(),
        community_extensions: site
            .extensions
            .iter()
            .any(|(_, repository)| repository.as_deref() == Some("community")),
    })
}
