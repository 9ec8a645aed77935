//! The repository: where it is, what is in it, and what Cargo knows about it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is in a folder of the workspace")
}

/// The `cargo` that runs the tests, else the one on the path.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// What `cargo metadata` says, with the dependency graph resolved for all platforms.
pub fn metadata() -> Value {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--locked"]));
    serde_json::from_str(&text).expect("cargo metadata prints JSON")
}

/// Runs a command and returns what it printed; a failure panics with its errors.
pub fn output(command: &mut Command) -> String {
    let done =
        command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        done.status.success(),
        "{command:?} ended with {}:\n{}{}",
        done.status,
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).expect("the command prints UTF-8")
}

/// All files of the repository, as paths relative to the root, sorted; without what Git ignores.
pub fn files() -> Vec<PathBuf> {
    let ignored = ignored();
    let mut found = Vec::new();
    collect(root(), Path::new(""), &ignored, &mut found);
    found.sort();
    found
}

/// The names directly under the root, without what Git ignores, sorted.
pub fn top_level() -> Vec<String> {
    let ignored = ignored();
    let mut names = entries(root())
        .into_iter()
        .filter(|name| !is_ignored(Path::new(name), &ignored))
        .collect::<Vec<_>>();
    names.sort();
    names
}

/// The text of a file given by its path relative to the root.
pub fn read(path: impl AsRef<Path>) -> String {
    let full = root().join(path);
    fs::read_to_string(&full)
        .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", full.display()))
}

/// The lines of `.gitignore`: `/anchored`, `folder/` or `*.suffix`, the only three forms used there.
fn ignored() -> Vec<String> {
    let mut lines: Vec<_> = read(".gitignore")
        .lines()
        .map(str::to_owned)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect();
    lines.push("/.git".to_owned());
    lines
}

fn is_ignored(path: &Path, ignored: &[String]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ignored.iter().any(|rule| {
        if let Some(anchored) = rule.strip_prefix('/') {
            Path::new(anchored.trim_end_matches('/')) == path
        } else if let Some(suffix) = rule.strip_prefix('*') {
            name.ends_with(suffix)
        } else {
            rule.trim_end_matches('/') == name
        }
    })
}

fn collect(folder: &Path, relative: &Path, ignored: &[String], found: &mut Vec<PathBuf>) {
    for name in entries(folder) {
        let path = relative.join(&name);
        if is_ignored(&path, ignored) {
            continue;
        }
        let full = folder.join(&name);
        let kind =
            fs::symlink_metadata(&full).expect("an entry of a folder has metadata").file_type();
        if kind.is_dir() {
            collect(&full, &path, ignored, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot list `{}`: {error}", folder.display()))
        .map(|entry| entry.expect("a readable entry").file_name().to_string_lossy().into_owned())
        .collect()
}
