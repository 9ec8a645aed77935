//! `mxcp list`

use mxcp_compiler::Options;
use serde_json::json;

use super::Outcome;
use crate::exit::Exit;
use crate::project::Project;
use crate::report::{Count, Format};
use crate::ui::Ui;

/// List the endpoints of a project
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let project = Project::find()?;
        let compiled = project.compile(
            ui,
            &Options { profile: self.profile, only_check: true, ..Options::default() },
        )?;
        let errors = Count::of(&compiled.diagnostics).errors;
        if ui.json {
            let endpoints: Vec<_> = compiled
                .endpoints
                .iter()
                .map(|e| {
                    json!({
                        "type": e.kind.as_str(), "name": e.identity, "file": &*e.file,
                        "enabled": e.enabled, "description": e.description,
                        "policies": {"input": e.input_policies, "output": e.output_policies},
                        "tests": e.tests,
                    })
                })
                .collect();
            ui.document(&json!({"endpoints": endpoints, "errors": errors}));
        } else {
            let width = compiled.endpoints.iter().map(|e| e.identity.chars().count()).max();
            let width = width.unwrap_or(0);
            for e in &compiled.endpoints {
                let state = if e.enabled { "" } else { "  (disabled)" };
                ui.line(&format!(
                    "{:<9} {:<width$}  {:>2} policies  {:>2} tests  {}{state}",
                    e.kind.as_str(),
                    e.identity,
                    e.input_policies + e.output_policies,
                    e.tests,
                    e.file,
                ));
            }
        }
        if errors > 0 {
            if !ui.json {
                ui.diagnostics(&compiled.diagnostics, &compiled.texts, Format::Human);
            }
            return Ok(Exit::Failed);
        }
        Ok(Exit::Fine)
    }
}
