//! `mxcp check`, and its halves `validate` and `lint`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mxcp_compiler::{Compiled, Options};
use mxcp_schemas::diagnostic::{Code, Diagnostic, Severity};
use serde_json::json;

use super::Outcome;
use crate::exit::{Exit, Failure};
use crate::project::Project;
use crate::report::{Count, Format, count};
use crate::ui::Ui;

mod fix;

/// Check a project: everything that `build` checks, and the lints
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only what concerns these files or endpoints; the whole project is known all the same
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
    /// Check this user file, too: its own mistakes, and whether it defines what the project needs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Check the documents of a project: the errors that `check` finds
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Show only what concerns these files or endpoints
    paths: Vec<PathBuf>,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
    /// Accepted for MXCP's users: no database is opened
    #[arg(long, hide = true)]
    readonly: bool,
}

/// Look for what is suspicious: the warnings that `check` finds
#[derive(Debug, clap::Args)]
pub struct LintArgs {
    /// Show only what concerns these files or endpoints
    paths: Vec<PathBuf>,
    /// What is shown: notes as well, or warnings alone
    #[arg(long, value_enum, default_value_t)]
    severity: Least,
    /// The profile
    #[arg(long, env = "MXCP_PROFILE")]
    profile: Option<String>,
}

/// What `lint` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Least {
    /// warnings and notes
    #[default]
    #[value(alias = "info")]
    All,
    /// warnings
    Warning,
}

impl Args {
    pub fn run(self, ui: Ui) -> Outcome {
        if let Some(wanted) = &self.explain {
            return explain(ui, wanted);
        }
        let project = Project::find()?;
        let user_file = self.config.as_deref().map(user_file).transpose()?;
        let options = Options { profile: self.profile.clone(), user_file, only_check: true };
        let mut compiled = project.compile(ui, &options)?;
        if self.fix {
            let fixed = fix::apply(&project, &compiled)?;
            ui.note(&format!(
                "{} applied in {}",
                count(fixed.edits, "fix", "fixes"),
                count(fixed.files, "file", "files")
            ));
            if fixed.edits > 0 {
                compiled = project.compile(ui, &options)?;
            }
        }
        let shown = only(&project, &compiled, &self.paths)?;
        ui.diagnostics(&shown, &compiled.texts, self.format);
        let found = Count::of(&shown);
        if found.errors > 0 || (self.strict && found.warnings > 0) {
            return Ok(Exit::Failed);
        }
        if self.format == Format::Human {
            all_well(ui, &compiled, found);
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
        let least = if self.severity == Least::All { Severity::Note } else { Severity::Warning };
        half(ui, &self.paths, self.profile, |d| {
            d.severity != Severity::Error && d.severity >= least
        })
    }
}

fn half(
    ui: Ui,
    paths: &[PathBuf],
    profile: Option<String>,
    keep: impl Fn(&Diagnostic) -> bool,
) -> Outcome {
    let project = Project::find()?;
    let compiled =
        project.compile(ui, &Options { profile, only_check: true, ..Options::default() })?;
    let mut shown = only(&project, &compiled, paths)?;
    shown.retain(keep);
    ui.diagnostics(&shown, &compiled.texts, Format::Human);
    all_well(ui, &compiled, Count::of(&shown));
    let failed = shown.iter().any(|d| d.severity != Severity::Note);
    Ok(if failed { Exit::Failed } else { Exit::Fine })
}

/// The user file, as diagnostics call it and its text.
fn user_file(path: &Path) -> Result<(Arc<str>, Arc<str>), Failure> {
    let shown: Arc<str> = path.display().to_string().into();
    let bytes = std::fs::read(path)
        .map_err(|e| Failure::usage(format!("`{shown}` cannot be read: {e}")))?;
    let text = mxcp_schemas::yaml::decode(&shown, &bytes)
        .map_err(|d| Failure::usage(format!("`{shown}`: {}", d.message)))?;
    Ok((shown, text))
}

/// Says that there is nothing to say.
fn all_well(ui: Ui, compiled: &Compiled, found: Count) {
    if found == Count::default() && !ui.json {
        let files = count(compiled.endpoints.len(), "endpoint", "endpoints");
        ui.note(&format!("{files} checked, nothing to say"));
    }
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
            let mut named = compiled.endpoints.iter().filter(|e| Path::new(&e.identity) == path);
            let Some(endpoint) = named.next() else {
                let message = format!("there is no file and no endpoint `{}`", path.display());
                return Err(Failure::usage(message));
            };
            wanted.insert(endpoint.file.to_string());
            continue;
        }
        wanted.insert(project.relative(path).ok_or_else(|| {
            Failure::usage(format!("`{}` is outside the project", path.display()))
        })?);
    }
    let named = |file: &str| {
        wanted.iter().any(|w| w.is_empty() || *file == **w || file.starts_with(&format!("{w}/")))
    };
    // Of two files that do not fit together, each is told.
    let about = |d: &&Diagnostic| named(&d.file) || d.related.iter().any(|r| named(&r.file));
    Ok(compiled.diagnostics.iter().filter(about).cloned().collect())
}

fn explain(ui: Ui, wanted: &str) -> Outcome {
    let code = mxcp_compiler::codes()
        .find(|c| c.id.eq_ignore_ascii_case(wanted) || c.slug == wanted)
        .ok_or_else(|| Failure::usage(unknown_code(wanted)))?;
    let Code { id, slug, severity, title, page } = code;
    if ui.json {
        ui.document(&json!({
            "code": id, "name": slug, "severity": severity.to_string(), "title": title, "page": page.trim(),
        }));
    } else {
        ui.line(&format!("# {id} {slug} ({severity})\n\n{title}\n\n{}", wrapped(page.trim())));
    }
    Ok(Exit::Fine)
}

/// A page with lines that fit a terminal: paragraphs are filled anew, everything else stays as it is.
fn wrapped(page: &str) -> String {
    const WIDTH: usize = 92;
    let (mut out, mut code, mut column) = (String::new(), false, 0);
    for line in page.lines() {
        let fence = line.starts_with("```");
        code ^= fence;
        let prose = line.starts_with(|c: char| c.is_alphanumeric() || "`(\"".contains(c));
        if fence || code || !prose {
            if column > 0 {
                out.push('\n');
            }
            column = 0;
            out.push_str(line);
            out.push('\n');
            continue;
        }
        for word in line.split_whitespace() {
            let length = word.chars().count();
            let breaks = column > 0 && column + 1 + length > WIDTH;
            if column > 0 {
                out.push(if breaks { '\n' } else { ' ' });
            }
            column = if breaks || column == 0 { length } else { column + 1 + length };
            out.push_str(word);
        }
    }
    out.trim_end().to_owned()
}

fn unknown_code(wanted: &str) -> String {
    let known = mxcp_compiler::codes().flat_map(|c| [c.id, c.slug]);
    match mxcp_schemas::diagnostic::closest(wanted, known) {
        Some(near) => format!("there is no code `{wanted}`; did you mean `{near}`?"),
        None => format!("there is no code `{wanted}`; codes look like `MX0301`"),
    }
}
