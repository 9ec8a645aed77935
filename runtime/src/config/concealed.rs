//! Values that do not print.

use std::fmt;

use serde_json::Value;

use crate::auth::constant::is_equal;

/// A value that appears in no log, error or debug output. It has no order, and to compare two takes
/// the same time wherever they differ.
#[derive(Clone)]
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

impl PartialEq for Concealed<String> {
    fn eq(&self, other: &Self) -> bool {
        is_equal(&self.0, &other.0)
    }
}

impl Eq for Concealed<String> {}

impl PartialEq for Concealed<Value> {
    fn eq(&self, other: &Self) -> bool {
        is_equal(&self.0.to_string(), &other.0.to_string())
    }
}

impl Eq for Concealed<Value> {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_concealed_is_compared_and_not_printed() {
        let one = Concealed::new("one".to_owned());
        assert!(one == Concealed::new("one".to_owned()) && one != Concealed::new("two".to_owned()));
        assert_eq!(format!("{one:?}"), "[REDACTED]");
        let value = |text: &str| Concealed::new(json!({ "a": text }));
        assert!(value("b") == value("b") && value("b") != value("c"));
    }
}
