//! `mxcp completions SHELL`

use clap::CommandFactory as _;

use super::{Cli, Outcome};
use crate::exit::Exit;
use crate::ui::Ui;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mxcp", &mut script);
        ui.line(String::from_utf8_lossy(&script).trim_end());
        Ok(Exit::Fine)
    }
}
