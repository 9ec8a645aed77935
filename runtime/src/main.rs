//! The `mxcp-runtime` command.

#![forbid(unsafe_code)]

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser as _;
use mxcp_runtime::command::Cli;

/// Small requests are what a server of small answers is made of; see the benchmarks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A huge page for each arena and thread would be most of what an idle server holds, and clearing
    // them half of its start. Where this cannot be said, there is no more to it than that.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    mxcp_runtime::command::start_log("info");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match std::panic::catch_unwind(AssertUnwindSafe(|| cli.run())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failed)) => {
            eprintln!("error: {:#}", failed.error);
            ExitCode::from(failed.exit)
        }
        Err(_) => {
            eprintln!("error: that is a fault of ours; please report it");
            ExitCode::from(3)
        }
    }
}
