//! `mxcp log`: questions, exports, following.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mxcp_runtime::audit::query::{Filter, Follower, Format, LIMIT_DEFAULT, Log, Policy};
use serde_json::Value;

use super::super::Outcome;
use super::show::{self, Shape};
use super::{Which, usage};
use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// How often a followed trail is looked at.
const FOLLOW_INTERVAL_MS: u64 = 200;

#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filters: Filters,
    /// Records at most, the newest; 100 unless they are exported
    #[arg(long)]
    limit: Option<u64>,
    /// How records are printed
    #[arg(long, value_enum)]
    format: Option<Shape>,
    /// Write the records to a CSV file
    #[arg(long, value_name = "FILE", group = "export")]
    export_csv: Option<PathBuf>,
    /// Write the records to a DuckDB database, table `logs`
    #[arg(long, value_name = "FILE", group = "export")]
    export_duckdb: Option<PathBuf>,
    /// Write the records to a Parquet file
    #[arg(long, value_name = "FILE", group = "export")]
    export_parquet: Option<PathBuf>,
    /// Go on with records as they come, one a line
    #[arg(long, conflicts_with_all = ["export", "stats"])]
    follow: bool,
    /// Count calls, errors and denials instead
    #[arg(long, conflicts_with_all = ["export", "format"])]
    stats: bool,
}

/// Which records.
#[derive(Debug, clap::Args)]
struct Filters {
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
}

impl Filters {
    fn read(&self) -> Result<Filter, Failure> {
        let (now, mut filter) = (Timestamp::now(), Filter::default());
        let given = [
            ("tool", &self.tool),
            ("resource", &self.resource),
            ("prompt", &self.prompt),
            ("type", &self.operation),
            ("policy", &self.policy),
            ("status", &self.status),
            ("user", &self.user),
            ("session", &self.session),
            ("trace", &self.trace),
            ("since", &self.since),
            ("until", &self.until),
        ];
        for (name, text) in given {
            if let Some(text) = text {
                let set = filter.set(name, text, now);
                set.map_err(|error| Failure::usage(format!("`--{name}`: {error}")))?;
            }
        }
        Ok(filter)
    }
}

impl Ask {
    pub(super) fn run(self, ui: Ui) -> Outcome {
        let filter = self.filters.read()?;
        let path = self.which.path()?;
        let exports = [
            (&self.export_csv, Format::Csv),
            (&self.export_duckdb, Format::DuckDb),
            (&self.export_parquet, Format::Parquet),
        ];
        let export = exports.iter().find_map(|(file, format)| Some((file.as_ref()?, *format)));
        let mut log =
            Log::open(&path, export.map(|(file, _)| file.as_path())).map_err(|e| usage(&e))?;
        if let Some((file, format)) = export {
            log.export(&filter, self.limit, format, file).map_err(|e| usage(&e))?;
            ui.note(&format!("wrote `{}`", file.display()));
            return Ok(Exit::Fine);
        }
        if self.stats {
            show::stats(ui, &log.stats(&filter).map_err(|e| usage(&e))?);
            return Ok(Exit::Fine);
        }
        let shape = self.format.unwrap_or(if ui.json { Shape::Json } else { Shape::Table });
        if self.follow {
            let limit = self.limit.unwrap_or(LIMIT_DEFAULT);
            return follow(ui, &path, &mut log, &filter, limit, shape);
        }
        if shape == Shape::Ocsf {
            let print = |record: Value| show::line(ui, &record, shape);
            log.select(&filter, self.limit, print).map_err(|e| usage(&e))?;
            return Ok(Exit::Fine);
        }
        let records = select(&mut log, &filter, self.limit.unwrap_or(LIMIT_DEFAULT))?;
        show::all(ui, records, shape);
        Ok(Exit::Fine)
    }
}

fn select(log: &mut Log, filter: &Filter, limit: u64) -> Result<Vec<Value>, Failure> {
    let mut records = Vec::new();
    log.select(filter, Some(limit), |record| records.push(record)).map_err(|e| usage(&e))?;
    Ok(records)
}

/// Prints the newest records, the oldest of them first, and then whatever comes.
fn follow(
    ui: Ui,
    path: &Path,
    log: &mut Log,
    filter: &Filter,
    limit: u64,
    shape: Shape,
) -> Outcome {
    // Begun before the trail is asked, so that nothing falls between the two; what both see is
    // known by its place.
    let mut follower = Follower::start(path).map_err(|e| usage(&e))?;
    let records = select(log, filter, limit)?;
    let place = |record: &Value| {
        (record.get("trail_id").cloned(), record.get("seq").and_then(Value::as_u64))
    };
    let last = records.first().map(place);
    records.iter().rev().for_each(|record| show::line(ui, record, shape));
    loop {
        let print = |record: Value| {
            let (trail, seq) = place(&record);
            let is_known = last.as_ref().is_some_and(|last| trail == last.0 && seq <= last.1);
            if !is_known {
                show::line(ui, &record, shape);
            }
        };
        if !follower.poll(filter, print).map_err(|e| usage(&e))? {
            std::thread::sleep(Duration::from_millis(FOLLOW_INTERVAL_MS));
        }
    }
}
