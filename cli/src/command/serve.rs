//! `mxcp serve`

use std::path::PathBuf;

use mxcp_runtime::command::{Reach, run};

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::local::{Local, Setup};
use crate::ui::Ui;

/// Build in memory and serve, for development; production uses `mxcp-runtime`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Keep no sessions: each request stands for itself
    #[arg(long)]
    stateless: bool,
    /// Accepted for MXCP's users, without effect
    #[arg(long, hide = true)]
    ignore_errors: bool,
    /// Known from MXCP; this release has no SQL tools
    #[arg(long, hide = true, value_name = "BOOL")]
    sql_tools: Option<bool>,
    /// Open the database without write access
    #[arg(long)]
    readonly: bool,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// The user file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let setup = Setup {
            profile: self.profile,
            config: self.config,
            read_only: self.readonly,
            audit: None,
        };
        if self.sql_tools == Some(true) {
            return Err(Failure::usage("`--sql-tools`: this release has no built-in SQL tools"));
        }
        if self.ignore_errors {
            ui.note("`--ignore-errors` has no effect: a project with errors is not served");
        }
        mxcp_runtime::command::start_log("info");
        let mut local = Local::start(ui, &setup)?;
        local.config.transport.stateless |= self.stateless;
        let warnings = crate::report::Count::of(&local.compiled.diagnostics).words();
        if let Some(words) = warnings {
            ui.note(&format!("{words}; `mxcp check` shows them"));
        }
        run(&local.runtime, &local.config, &self.reach, true)
            .map_err(|e| Failure::usage(format!("{e:#}")))?;
        Ok(Exit::Fine)
    }
}
