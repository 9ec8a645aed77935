//! Diagnostics for people and for programs.

pub mod github;
pub mod human;
pub mod json;
pub mod sarif;

use std::collections::BTreeMap;
use std::sync::Arc;

use mxcp_schemas::diagnostic::{Diagnostic, Severity};

/// The texts that diagnostics point into, by path relative to the project root.
pub type Texts = BTreeMap<Arc<str>, Arc<str>>;

/// How diagnostics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// with the source, for people
    #[default]
    Human,
    /// one JSON document
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// workflow commands of GitHub Actions
    Github,
}

/// `1 file`, `2 files`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// How many findings of each weight there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// errors
    pub errors: usize,
    /// warnings
    pub warnings: usize,
    /// notes
    pub notes: usize,
}

impl Count {
    /// Counts.
    pub fn of(diagnostics: &[Diagnostic]) -> Self {
        let count = |s| diagnostics.iter().filter(|d| d.severity == s).count();
        Self {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }

    /// `2 errors, 1 warning`, or nothing.
    pub fn words(self) -> Option<String> {
        let part = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let parts: Vec<String> =
            [part(self.errors, "error"), part(self.warnings, "warning"), part(self.notes, "note")]
                .into_iter()
                .flatten()
                .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}
