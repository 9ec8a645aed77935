//! `mxcp log prove`: for whoever has no trail.

use std::path::{Path, PathBuf};

use mxcp_runtime::audit::proof::{Proof, Wanted, checkpoints, prove_consistency, prove_inclusion};

use super::super::Outcome;
use super::{Which, read, usage};
use crate::exit::{Exit, Failure};
use crate::ui::Ui;

/// Write a proof for somebody who has checkpoints and not the trail
///
/// With `--record`, that the record is in the trail; with `--consistency`, that the later of two
/// checkpoints speaks of everything that the earlier one does. `mxcp log verify --proof` checks it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Prove {
    #[command(flatten)]
    which: Which,
    /// A record, by its number or its call id
    #[arg(long, value_name = "SEQ|ID", group = "what")]
    record: Option<String>,
    /// The last checkpoint of the file against the first; without `--checkpoint`, of the trail
    #[arg(long, group = "what")]
    consistency: bool,
    /// Checkpoints that were kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Where to write the proof; by default standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Prove {
    pub(super) fn run(self, ui: Ui) -> Outcome {
        let path = self.which.path()?;
        let kept = self.checkpoint.as_deref().map(lines).transpose()?;
        let proof = match &self.record {
            Some(record) => {
                let wanted = match record.parse() {
                    Ok(seq) => Wanted::Seq(seq),
                    Err(_) => Wanted::Id(record.clone()),
                };
                let last = kept.as_ref().and_then(|lines| lines.last());
                prove_inclusion(&path, &wanted, last.map(Vec::as_slice))
            }
            None => consistency(&path, kept)?,
        };
        let proof = proof.map_err(|error| Failure::failed(error.to_string()))?;
        let text = serde_json::to_string_pretty(&proof).map_err(|error| usage(&error))?;
        match &self.output {
            None => ui.line(&text),
            Some(file) => std::fs::write(file, text + "\n").map_err(|error| {
                Failure::usage(format!("`{}` cannot be written: {error}", file.display()))
            })?,
        }
        Ok(Exit::Fine)
    }
}

/// A proof between the first and the last of some checkpoints.
fn consistency(
    path: &Path,
    kept: Option<Vec<Vec<u8>>>,
) -> Result<Result<Proof, mxcp_runtime::audit::proof::ProveError>, Failure> {
    let all = match kept {
        Some(lines) => lines,
        None => {
            let found = checkpoints(path).map_err(|error| usage(&error))?;
            found.into_iter().map(|(_, line)| line).collect()
        }
    };
    match all.as_slice() {
        [first, .., last] => Ok(prove_consistency(path, first, last)),
        _ => Err(Failure::failed("there are no two checkpoints")),
    }
}

fn lines(file: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let bytes = read(file)?;
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<Vec<u8>> = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return Err(Failure::usage(format!("`{}` holds no checkpoint", file.display())));
    }
    Ok(lines)
}
