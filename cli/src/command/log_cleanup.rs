//! `mxcp log-cleanup`

use std::path::PathBuf;

use jiff::Timestamp;
use mxcp_runtime::audit::retention::{Expired, expired};
use mxcp_runtime::audit::segment::Layout;
use mxcp_runtime::audit::{Trail, is_being_written, settings, signed_by};
use mxcp_runtime::config::{Process, Wanted, load};
use serde_json::json;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::ui::Ui;

/// Delete the segments of the audit trail that are older than `retention_days`
///
/// What is left stays verifiable: a tombstone says what was deleted. A server does the same by
/// itself, so while one writes the trail this only says what it will delete.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// The user file, which names the key that signs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Who deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Nobody,
    This,
    Server,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let usage = |error: &dyn std::fmt::Display| Failure::usage(error.to_string());
        let project = Project::find()?;
        let (name, profile, audit) = project.audit(self.profile.as_deref())?;
        let wanted = Wanted { project: &name, profile: &profile, secrets: &[] };
        let config = load(self.config.as_deref(), &Process, wanted).map_err(|e| usage(&e))?;
        let trail = settings(&audit, &config.audit, project.root(), &Process);
        let trail = trail.map_err(|e| usage(&e))?.config;
        let layout = Layout::new(&trail.path)
            .ok_or_else(|| Failure::usage("`audit.path` does not name a file"))?;
        let found = expired(&layout, audit.retention_days, Timestamp::now());
        let found = found.map_err(|e| usage(&e))?;
        let by = match is_being_written(&trail.path).map_err(|e| usage(&e))? {
            _ if self.dry_run || found.is_empty() => By::Nobody,
            true => By::Server,
            false => By::This,
        };
        if by == By::This {
            if let (None, Some(key)) = (&trail.signing, signed_by(&layout).map_err(|e| usage(&e))?)
            {
                return Err(Failure::usage(format!(
                    "the trail is signed by the key {key}, and only who has that key may delete from it; \
                     name the user file with `audit.signing_key` by `--config`"
                )));
            }
            // Whoever opens a trail for writing deletes what has expired, and says so in it.
            let opened = Trail::open(&trail).map_err(|e| usage(&e))?;
            if !opened.close() {
                return Err(Failure::failed("the audit trail could not be closed"));
            }
        }
        self.report(ui, &found, by, audit.retention_days);
        Ok(Exit::Fine)
    }

    fn report(&self, ui: Ui, found: &Expired, by: By, days: u32) {
        let names: Vec<&str> = found.segments.iter().map(|s| s.name.as_str()).collect();
        let own = found.legacy.as_ref().map(|path| path.display().to_string());
        if ui.json {
            ui.document(&json!({
                "retention_days": days,
                "dry_run": self.dry_run,
                "segments": names,
                "mxcp_file": own,
                "bytes": found.bytes,
                "deleted": by == By::This,
                "left_to_server": by == By::Server,
            }));
            return;
        }
        for name in names.iter().map(|name| (*name).to_owned()).chain(own) {
            ui.line(&name);
        }
        let count = found.segments.len() + usize::from(found.legacy.is_some());
        let what = format!("{count} files with {} bytes, older than {days} days", found.bytes);
        ui.note(&match by {
            _ if found.is_empty() => format!("nothing is older than {days} days"),
            By::Nobody => format!("{what}; nothing was deleted"),
            By::This => format!("deleted {what}"),
            By::Server => {
                format!("{what}; the server that writes the trail deletes them within the hour")
            }
        });
    }
}
