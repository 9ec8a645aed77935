//! Regular expressions of declared types: linear time, so no look-around and no back-references.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// Memory of a compiled pattern, at most.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Patterns that a thread remembers: most of a project are the same few, and each takes a machine to
/// build that is larger than its document.
const MAX_REMEMBERED: usize = 64;

thread_local! {
    static REMEMBERED: RefCell<HashMap<String, Result<Regex, String>>> = RefCell::default();
}

/// Compiles a pattern, which matches anywhere in a text unless it says otherwise.
///
/// # Errors
/// Why it is none, on one line.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(known) = remembered.get(pattern) {
            return known.clone();
        }
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        let compiled = build(pattern);
        remembered.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

fn build(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it needs too much memory".to_owned(),
        // The last line of a syntax error is what is wrong; the others draw the place.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::compile;

    #[test]
    fn patterns_are_of_linear_time_and_bounded() {
        assert!(compile("^[a-z]+$").unwrap().is_match("abc"));
        assert_eq!(compile("(").unwrap_err(), "unclosed group");
        assert!(compile("(?=a)b").unwrap_err().contains("look-around"), "{:?}", compile("(?=a)b"));
        assert_eq!(compile("(?:\\w{500}){500}").unwrap_err(), "it needs too much memory");
    }
}
