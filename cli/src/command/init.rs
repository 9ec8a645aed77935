//! `mxcp init`

use std::path::{Path, PathBuf};

use mxcp_schemas::document::{ENDPOINT_SCHEMA, SITE_SCHEMA};
use serde_json::json;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::SITE_FILE;
use crate::ui::Ui;

/// Make a working project: a site file, a tool with policies and tests, a pre-commit hook
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The project's name; by default that of the folder
    #[arg(long)]
    project: Option<String>,
    /// The profile's name
    #[arg(long, default_value = "dev")]
    profile: String,
    /// Accepted for MXCP's users: the example is always written
    #[arg(long)]
    bootstrap: bool,
}

const TOOL: &str = include_str!("init/hello.yml");
const SITE: &str = include_str!("init/site.yml");
const HOOKS: &str = include_str!("init/pre-commit.yaml");
const IGNORE: &str = "/data/*.duckdb*\n/audit/\n/bundle.mx\n";

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let folder = std::path::absolute(&self.dir)
            .map_err(|e| Failure::usage(format!("`{}`: {e}", self.dir.display())))?;
        if folder.join(SITE_FILE).exists() {
            let message = format!("`{}` has a `{SITE_FILE}` already", self.dir.display());
            return Err(Failure::usage(message));
        }
        let name = match &self.project {
            Some(name) => name.clone(),
            None => folder
                .file_name()
                .and_then(|name| name.to_str())
                .map_or_else(|| "project".to_owned(), str::to_owned),
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let site =
            SITE.replace("{project}", &quoted(&name)).replace("{profile}", &quoted(&self.profile));
        let files = [
            (SITE_FILE, site.as_str()),
            ("tools/hello.yml", TOOL),
            // What the first lines of both name, so that editors know the keys without a network.
            ("schemas/site.json", SITE_SCHEMA),
            ("schemas/endpoint.json", ENDPOINT_SCHEMA),
            (".pre-commit-config.yaml", HOOKS),
            (".gitignore", IGNORE),
        ];
        let mut written = Vec::new();
        for (path, text) in files {
            if write(&folder, path, text)? {
                written.push(path);
            }
        }
        for empty in ["data", "sql"] {
            make(&folder.join(empty))?;
        }
        let shown = self.dir.display().to_string();
        let enter =
            if self.dir == Path::new(".") { String::new() } else { format!("cd {shown} && ") };
        let next = [
            "mxcp test",
            "mxcp run tool hello --param name=Ada --user-context '{\"role\": \"admin\"}'",
        ]
        .map(|command| format!("{enter}{command}"));
        if ui.json {
            ui.document(&json!({
                "folder": shown, "project": name, "profile": self.profile, "files": written,
                "next": next,
            }));
            return Ok(Exit::Fine);
        }
        ui.note(&format!("a project is in `{shown}`; next:"));
        for command in &next {
            ui.line(command);
        }
        Ok(Exit::Fine)
    }
}

fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::usage(format!("`{}` cannot be made: {e}", folder.display())))
}

/// Writes a file that does not exist; one that does is somebody's work and stays. Says which.
fn write(folder: &Path, path: &str, text: &str) -> Result<bool, Failure> {
    let file = folder.join(path);
    if file.exists() {
        return Ok(false);
    }
    make(file.parent().unwrap_or(folder))?;
    std::fs::write(&file, text)
        .map(|()| true)
        .map_err(|e| Failure::usage(format!("`{}` cannot be written: {e}", file.display())))
}
