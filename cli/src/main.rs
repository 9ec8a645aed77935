//! The `mxcp` command.

#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "nothing outside reads a binary")]

mod command;
mod exit;
mod local;
mod probe;
mod project;
mod report;
mod table;
mod ui;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Cli;
use crate::exit::Exit;
use crate::ui::Ui;

/// Compiling is made of small allocations; see the benchmark of a thousand endpoints.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if let Some(refusal) = command::not_here(&error) {
                Ui::default().error(&refusal);
                return Exit::Usage.into();
            }
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Fine };
            return exit.into();
        }
    };
    let ui = cli.ui;
    if ui.debug {
        mxcp_runtime::command::start_log("debug");
    }
    match std::panic::catch_unwind(AssertUnwindSafe(|| cli.run())) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            ui.error(&failure.message);
            failure.exit.into()
        }
        Err(_) => {
            ui.error("that is a fault of ours, not of the project; please report it");
            Exit::Internal.into()
        }
    }
}
