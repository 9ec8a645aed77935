//! What a command may say, and where: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use mxcp_schemas::diagnostic::Diagnostic;
use serde_json::Value;

use crate::report::{Count, Format, Texts, github, human, json, sarif};

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// on a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// always
    Always,
    /// never
    Never,
}

/// The options that every command has.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Ui {
    /// Print results as JSON
    #[arg(long, alias = "json-output", global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t)]
    pub color: Color,
}

impl Ui {
    /// Whether to colour what goes to stderr.
    pub fn colored(self) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }

    /// Prints a result line. A closed pipe is not an error: the reader has seen enough.
    pub fn line(self, text: &str) {
        let _ = writeln!(io::stdout(), "{text}");
    }

    /// Prints a result document.
    pub fn document(self, value: &Value) {
        self.line(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// Says something about the work, unless told to be quiet.
    pub fn note(self, text: &str) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Says what went wrong.
    pub fn error(self, text: &str) {
        let (bold, end) = if self.colored() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let _ = writeln!(io::stderr(), "{bold}error{end}: {text}");
    }

    /// Prints diagnostics: on stderr for people, on stdout for programs.
    pub fn diagnostics(self, found: &[Diagnostic], texts: &Texts, format: Format) {
        match if self.json { Format::Json } else { format } {
            Format::Json => self.document(&json::document(found, texts)),
            Format::Sarif => self.document(&sarif::document(found, texts)),
            Format::Github => found.iter().for_each(|d| self.line(&github::render(d, texts))),
            Format::Human => self.human(found, texts),
        }
    }

    fn human(self, found: &[Diagnostic], texts: &Texts) {
        let color = self.colored();
        let mut stderr = io::stderr().lock();
        let mut count = Count::of(found);
        for diagnostic in found.iter().filter(|d| !self.quiet || d.is_error()) {
            let _ = writeln!(stderr, "{}\n", human::render(diagnostic, texts, color));
        }
        if self.quiet {
            (count.warnings, count.notes) = (0, 0);
        }
        if let Some(words) = count.words() {
            let _ = writeln!(stderr, "{words}");
        }
    }
}
