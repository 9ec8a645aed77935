//! The two programs under test, built when they are missing or older than their sources.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::workspace;

/// The folder of `mxcp` and `mxcp-runtime`, and that of what they link.
const FOLDER: &str = "MXCP_BINARIES";

/// The `mxcp` command.
pub fn mxcp() -> Command {
    command("mxcp")
}

/// The `mxcp-runtime` command.
pub fn runtime() -> Command {
    command("mxcp-runtime")
}

/// The path of a program of the workspace.
pub fn path(program: &str) -> PathBuf {
    let path = folder().join(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "`{}` was not built", path.display());
    path
}

/// A command whose behaviour does not depend on who runs the tests.
fn command(program: &str) -> Command {
    let mut command = Command::new(path(program));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MXCP_") || text.starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    command.env("MXCP_CONFIG", workspace::root().join("tests/user.yml")).env("NO_COLOR", "1");
    command
}

/// Where the programs are. `make test` builds them once and says so in the environment; a test that
/// is run alone asks Cargo, which does nothing when they are up to date.
fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return PathBuf::from(folder);
        }
        let (target, profile) = target_and_profile();
        let name = if profile == "debug" { "dev" } else { profile.as_str() };
        workspace::output(
            workspace::cargo()
                .args([
                    "build",
                    "--quiet",
                    "--locked",
                    "--workspace",
                    "--bins",
                    "--profile",
                    name,
                    "--target-dir",
                ])
                .arg(&target),
        );
        target.join(profile)
    })
}

/// The target folder and the profile's folder in it, read off the path of the running test.
fn target_and_profile() -> (PathBuf, String) {
    let test = std::env::current_exe().expect("a process knows its program");
    let profile = test.ancestors().nth(2).expect("a test is in `<target>/<profile>/deps`");
    let name = profile.file_name().expect("a profile has a name").to_string_lossy().into_owned();
    (profile.parent().expect("a profile is in a target folder").to_owned(), name)
}
