//! `mxcp check`, and its halves `validate` and `lint`

use std::collections::BTreeSet;
use std::path::PathBuf;

use mxcp_compiler::{Compiled, Options, compile};
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::probe::DuckProbe;
use crate::project::Project;
use crate::report::{Count, Format};
use crate::ui::Ui;

mod fix;

/// Check a project: everything that `build` checks, and the lints
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only what concerns these files; the whole project is known all the same
    paths: Vec<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Apply the fixes that keep what the author meant
    #[arg(long)]
    fix: bool,
    /// Print the page of a code, for example `MX0301`, and do nothing else
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

/// Check the documents of a project: the errors that `check` finds
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Show only what concerns these files
    paths: Vec<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

/// Look for what is suspicious: the warnings that `check` finds
#[derive(Debug, clap::Args)]
pub struct LintArgs {
    /// Show only what concerns these files
    paths: Vec<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        if let Some(wanted) = &self.explain {
            return explain(ui, wanted);
        }
        let project = Project::find()?;
        let options = Options { profile: self.profile.clone() };
        let mut compiled = compile(&project, &DuckProbe, &options);
        if self.fix {
            let fixed = fix::apply(&project, &compiled)?;
            ui.note(&format!(
                "{} applied in {}",
                count(fixed.edits, "fix", "fixes"),
                count(fixed.files, "file", "files")
            ));
            if fixed.edits > 0 {
                compiled = compile(&project, &DuckProbe, &options);
            }
        }
        let shown = only(&project, &compiled, &self.paths)?;
        ui.diagnostics(&shown, &compiled.texts, self.format);
        let found = Count::of(&shown);
        if found.errors > 0 || (self.strict && found.warnings > 0) {
            return Ok(Exit::Failed);
        }
        if found == Count::default() && self.format == Format::Human && !ui.json {
            let files = compiled.endpoints.len();
            ui.note(&format!("{} checked, nothing to say", count(files, "endpoint", "endpoints")));
        }
        Ok(Exit::Fine)
    }
}

impl ValidateArgs {
    pub fn run(self, ui: Ui) -> Outcome {
        half(ui, &self.paths, self.profile, |d| d.severity == Severity::Error)
    }
}

impl LintArgs {
    pub fn run(self, ui: Ui) -> Outcome {
        half(ui, &self.paths, self.profile, |d| d.severity != Severity::Error)
    }
}

fn half(
    ui: Ui,
    paths: &[PathBuf],
    profile: Option<String>,
    keep: impl Fn(&Diagnostic) -> bool,
) -> Outcome {
    let project = Project::find()?;
    let compiled = compile(&project, &DuckProbe, &Options { profile });
    let mut shown = only(&project, &compiled, paths)?;
    shown.retain(keep);
    ui.diagnostics(&shown, &compiled.texts, Format::Human);
    let failed = shown.iter().any(|d| d.severity != Severity::Note);
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// The findings about the files that were named, or all.
fn only(
    project: &Project,
    compiled: &Compiled,
    paths: &[PathBuf],
) -> Result<Vec<Diagnostic>, Failure> {
    if paths.is_empty() {
        return Ok(compiled.diagnostics.clone());
    }
    let mut wanted = BTreeSet::new();
    for path in paths {
        if !path.exists() {
            return Err(Failure::usage(format!("`{}` does not exist", path.display())));
        }
        wanted.insert(project.relative(path).ok_or_else(|| {
            Failure::usage(format!("`{}` is outside the project", path.display()))
        })?);
    }
    let about = |d: &&Diagnostic| {
        wanted
            .iter()
            .any(|w| w.is_empty() || *d.file == **w || d.file.starts_with(&format!("{w}/")))
    };
    Ok(compiled.diagnostics.iter().filter(about).cloned().collect())
}

fn explain(ui: Ui, wanted: &str) -> Outcome {
    let code = mxcp_compiler::codes()
        .find(|c| c.id.eq_ignore_ascii_case(wanted) || c.slug == wanted)
        .ok_or_else(|| Failure::usage(unknown_code(wanted)))?;
    let Code { id, slug, severity, title, page } = code;
    ui.line(&format!("# {id} {slug} ({severity})\n\n{title}\n\n{}", page.trim()));
    Ok(Exit::Fine)
}

fn unknown_code(wanted: &str) -> String {
    let known = mxcp_compiler::codes().flat_map(|c| [c.id, c.slug]);
    match mxcp_schemas::diagnostic::closest(wanted, known) {
        Some(near) => format!("there is no code `{wanted}`; did you mean `{near}`?"),
        None => format!("there is no code `{wanted}`; codes look like `MX0301`"),
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
