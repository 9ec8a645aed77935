//! `mxcp log`, `mxcp log verify`, `mxcp log prove`

mod ask;
mod prove;
mod show;
mod verify;

use std::path::PathBuf;

use super::Outcome;
use crate::exit::Failure;
use crate::project::Project;
use crate::ui::Ui;

/// Ask the audit trail
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    ask: ask::Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    Verify(verify::Verify),
    Prove(prove::Prove),
}

/// Which trail.
#[derive(Debug, clap::Args)]
struct Which {
    /// The trail; by default that of the project's profile
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        match self.command {
            Some(Sub::Verify(args)) => args.run(ui),
            Some(Sub::Prove(args)) => args.run(ui),
            None => self.ask.run(ui),
        }
    }
}

impl Which {
    /// The path of the trail.
    fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        let project = Project::find()?;
        let (_, _, audit) = project.audit(self.profile.as_deref())?;
        let path = mxcp_runtime::config::resolve(
            &audit.path,
            "audit.path",
            &mxcp_runtime::config::Process,
        );
        Ok(project.root().join(path.map_err(|error| usage(&error))?))
    }
}

fn usage(error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(error.to_string())
}

/// The bytes of a file that was named on the command line.
fn read(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", file.display())))
}
