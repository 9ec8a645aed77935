//! `mxcp build`

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ed25519_dalek::SigningKey;
use mxcp_compiler::Options;
use mxcp_schemas::bundle::container::seal;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::report::{Count, Format, count};
use crate::ui::Ui;

/// Compile a project to one file; writes nothing on error
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the bundle goes
    #[arg(short, long, default_value = "bundle.mx")]
    output: PathBuf,
    /// The profile that the bundle holds
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// Sign with the Ed25519 key in this file: 32 bytes, raw or in hexadecimal
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// The build number; runtimes refuse a lower one than they had
    #[arg(long, default_value_t = 0, value_name = "N")]
    build_number: u64,
    /// Write nothing when there are warnings
    #[arg(long)]
    deny_warnings: bool,
    /// Say how long each step took
    #[arg(long)]
    timings: bool,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        let start = Instant::now();
        let key = self.sign.as_deref().map(signing_key).transpose()?;
        let project = Project::find()?;
        let options = Options { profile: self.profile.clone(), ..Options::default() };
        let compiled = project.compile(ui, &options)?;
        let checked = start.elapsed();
        if !ui.json {
            ui.diagnostics(&compiled.diagnostics, &compiled.texts, Format::Human);
        }
        let found = Count::of(&compiled.diagnostics);
        let bundle = compiled
            .bundle
            .filter(|_| found.errors == 0 && !(self.deny_warnings && found.warnings > 0));
        let Some(bundle) = bundle else {
            if ui.json {
                ui.diagnostics(&compiled.diagnostics, &compiled.texts, Format::Json);
            }
            ui.note("nothing was written");
            return Ok(Exit::Failed);
        };
        let bytes = seal(&bundle, self.build_number, key.as_ref())
            .map_err(|e| Failure::failed(e.to_string()))?;
        let sealed = start.elapsed();
        write(&self.output, &bytes)?;
        if ui.json {
            let mut document =
                crate::report::json::document(&compiled.diagnostics, &compiled.texts);
            if let Some(fields) = document.as_object_mut() {
                fields.insert("bundle".to_owned(), self.output.display().to_string().into());
                fields.insert("bytes".to_owned(), bytes.len().into());
                fields.insert("endpoints".to_owned(), bundle.endpoints.entries.len().into());
            }
            ui.document(&document);
        }
        ui.note(&format!(
            "wrote `{}`: {}, {}, {} bytes",
            self.output.display(),
            count(bundle.endpoints.entries.len(), "endpoint", "endpoints"),
            count(bundle.predicates.programs.len(), "condition", "conditions"),
            bytes.len()
        ));
        if self.timings {
            let ms = |d: std::time::Duration| d.as_secs_f64() * 1_000.0;
            ui.note(&format!(
                "compile {:.1} ms, seal {:.1} ms, write {:.1} ms",
                ms(checked),
                ms(sealed.saturating_sub(checked)),
                ms(start.elapsed().saturating_sub(sealed))
            ));
        }
        Ok(Exit::Fine)
    }
}

/// Writes beside and renames: the old bundle stays until the new one is whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let replace = || -> std::io::Result<()> {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(bytes)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            beside.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        beside.as_file().sync_all()?;
        beside.persist(path)?;
        Ok(())
    };
    replace().map_err(|e| {
        // The name of the file beside it is nobody's concern.
        let why = e.to_string();
        let why = why.split(" at path ").next().unwrap_or_default();
        Failure::usage(format!("`{}` cannot be written: {why}", path.display()))
    })
}

fn signing_key(path: &Path) -> Result<SigningKey, Failure> {
    Ok(SigningKey::from_bytes(&key_bytes(path)?))
}

/// Reads a key: 32 raw bytes, or 64 hexadecimal digits and white space.
pub(super) fn key_bytes(path: &Path) -> Result<[u8; 32], Failure> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::usage(format!("the key `{shown}` cannot be read: {e}")))?;
    bytes.as_slice().try_into().ok().or_else(|| hex(&bytes)).ok_or_else(|| {
        Failure::usage(format!(
            "`{shown}` is not an Ed25519 key: expected 32 bytes, or 64 hexadecimal digits"
        ))
    })
}

fn hex(bytes: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let mut raw = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in raw.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(raw)
}
