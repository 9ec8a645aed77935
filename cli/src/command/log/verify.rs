//! `mxcp log verify`: the trail, or a proof.

use std::path::{Path, PathBuf};

use mxcp_runtime::audit::PublicKey;
use mxcp_runtime::audit::proof::Proof;
use mxcp_runtime::audit::verify::{Options, verify_telling};
use serde_json::json;

use super::super::Outcome;
use super::{Which, read, usage};
use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// Say whether the trail is whole and unchanged
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    which: Which,
    /// Checkpoints that were kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The public key that checkpoints are signed with; of a proof across a change of keys, each
    #[arg(long = "public-key", value_name = "FILE")]
    public_keys: Vec<PathBuf>,
    /// Check a proof of `mxcp log prove` instead; it needs no trail
    #[arg(long, value_name = "FILE", conflicts_with_all = ["path", "checkpoint"])]
    proof: Option<PathBuf>,
}

impl Verify {
    pub(super) fn run(self, ui: Ui) -> Outcome {
        let keys = self.public_keys.iter().map(|file| key(file)).collect::<Result<Vec<_>, _>>()?;
        if let Some(file) = &self.proof {
            return check(ui, file, &keys);
        }
        let public_key = match keys.as_slice() {
            [] => None,
            [key] => Some(*key),
            _ => {
                let text = "a trail is verified by one public key, which hands over to the next in \
                            the trail itself; several `--public-key` are for `--proof`";
                return Err(Failure::usage(text));
            }
        };
        let checkpoints = self.checkpoint.as_deref().map(read).transpose()?.unwrap_or_default();
        let options = Options { public_key, checkpoints };
        let mut progress = None;
        let report = verify_telling(&self.which.path()?, &options, &mut |total| match &progress {
            None => progress = Some(ui.progress("verifying segments", total)),
            Some(progress) => progress.step(),
        });
        drop(progress);
        let report = report.map_err(|e| usage(&e))?;
        if ui.json {
            ui.document(&report.to_json());
        } else {
            ui.line(&format!("{} records in {} segments", report.records, report.segments));
            if report.unchained > 0 {
                let count = report.unchained;
                ui.line(&format!("{count} records of MXCP's own file, which has no chain"));
            }
            ui.line(&report.verdict());
        }
        Ok(if report.is_consistent() { Exit::Fine } else { Exit::Failed })
    }
}

fn key(file: &Path) -> Result<PublicKey, Failure> {
    let text = read(file)?;
    PublicKey::parse(String::from_utf8_lossy(&text).trim()).map_err(|error| usage(&error))
}

fn check(ui: Ui, file: &Path, trusted: &[PublicKey]) -> Outcome {
    let proof: Proof = serde_json::from_slice(&read(file)?)
        .map_err(|error| Failure::usage(format!("`{}` is no proof: {error}", file.display())))?;
    match proof.check(trusted) {
        Ok(shown) => {
            let keys: Vec<_> = shown.public_keys.iter().map(PublicKey::to_string).collect();
            let verdict = match keys.as_slice() {
                [] => "consistent, not authenticated".to_owned(),
                [key] => format!("authentic by the key {key}"),
                keys => format!("authentic by the keys {}", keys.join(" and ")),
            };
            if ui.json {
                let statement = &shown.statement;
                let trail = &shown.trail_id;
                ui.document(&json!({
                    "holds": true, "trail_id": trail, "statement": statement, "verdict": verdict,
                }));
            } else {
                ui.line(&format!("{}: {verdict}", shown.statement));
            }
            Ok(Exit::Fine)
        }
        Err(error) => {
            if ui.json {
                ui.document(&json!({"holds": false, "verdict": error.to_string()}));
            } else {
                ui.line(&format!("the proof shows nothing: {error}"));
            }
            Ok(Exit::Failed)
        }
    }
}
