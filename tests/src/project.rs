//! Projects in temporary folders.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::{binaries, workspace};

/// A project in a folder of its own, deleted when this is dropped.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// A folder with nothing in it.
    pub fn empty() -> Self {
        Self { folder: TempDir::with_prefix("mxcp-test-").expect("a temporary folder") }
    }

    /// A project of these files: path relative to the project, and text.
    pub fn new(files: &[(impl AsRef<Path>, impl AsRef<str>)]) -> Self {
        let project = Self::empty();
        for (path, text) in files {
            project.write(path, text.as_ref());
        }
        project
    }

    /// A copy of a folder of the repository, such as `examples/clinic`, without what its commands leave there.
    pub fn copy(folder: &str) -> Self {
        let project = Self::empty();
        for path in workspace::files() {
            let Ok(inside) = path.strip_prefix(folder) else { continue };
            let to = project.path(inside);
            create_parent(&to);
            fs::copy(workspace::root().join(&path), &to).expect("a copy of a file");
        }
        assert!(project.path("mxcp-site.yml").is_file(), "`{folder}` is not a project");
        project
    }

    /// The root of the project, or a path in it.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Writes one file, its folders included.
    pub fn write(&self, path: impl AsRef<Path>, text: &str) {
        let full = self.path(path);
        create_parent(&full);
        fs::write(&full, text)
            .unwrap_or_else(|error| panic!("cannot write `{}`: {error}", full.display()));
    }

    /// Reads one file.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let full = self.path(path);
        fs::read_to_string(&full)
            .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", full.display()))
    }

    /// The `mxcp` command with these arguments, to be run in the project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binaries::mxcp();
        command.args(arguments).current_dir(self.path(""));
        command
    }

    /// Runs `mxcp` in the project and returns how that ended, whatever the exit code.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("`mxcp` starts")
    }

    /// Runs `mxcp` in the project with a text on its standard input.
    pub fn run_on(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("`mxcp` starts");
        // A program that does not read all of it closes the pipe.
        let _ = child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("`mxcp` ends")
    }

    /// Runs `mxcp` in the project, which must succeed, and returns what it printed.
    pub fn mxcp(&self, arguments: &[&str]) -> String {
        workspace::output(&mut self.command(arguments))
    }

    /// Builds the bundle and returns its path.
    pub fn build(&self) -> PathBuf {
        self.mxcp(&["build", "-o", "bundle.mx"]);
        self.path("bundle.mx")
    }
}

fn create_parent(path: &Path) {
    let parent = path.parent().expect("a file is in a folder");
    fs::create_dir_all(parent)
        .unwrap_or_else(|error| panic!("cannot create `{}`: {error}", parent.display()));
}
