//! Values that do not print.

use std::fmt;

/// A value that appears in no log, error or debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Concealed<T>(T);

impl<T> Concealed<T> {
    /// Conceals a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one who needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Concealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}
