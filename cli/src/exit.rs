//! How a command ends.

use std::process::ExitCode;

/// The exit codes of both binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything is fine.
    Fine = 0,
    /// What was checked has errors, a test failed, a policy denied.
    Failed = 1,
    /// The command was used or configured wrongly.
    Usage = 2,
    /// A fault of ours.
    Internal = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work, with the exit code that says so.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What was wrong and what to do.
    pub message: String,
}

impl Failure {
    /// The command was used or configured wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// What was asked for failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }
}
