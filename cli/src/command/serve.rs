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
        let local = Local::start(ui, &setup)?;
        let warnings = crate::report::Count::of(&local.compiled.diagnostics).words();
        if let Some(words) = warnings {
            ui.note(&format!("{words}; `mxcp check` shows them"));
        }
        run(&local.runtime, &local.config, &self.reach, true)
            .map_err(|e| Failure::usage(format!("{e:#}")))?;
        Ok(Exit::Fine)
    }
}
