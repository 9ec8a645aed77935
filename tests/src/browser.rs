//! The browser of the tests, installed when it is not there yet.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::workspace;

/// The path of Chromium.
pub fn chromium() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        let mut command = Command::new(workspace::root().join(".ci/browser"));
        PathBuf::from(workspace::output(&mut command).trim_end())
    };
    FOUND.get_or_init(find).clone()
}
