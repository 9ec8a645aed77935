//! Regular expressions of declared types: linear time, so no look-around and no back-references.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// Memory of a compiled pattern, at most.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Patterns that a thread remembers: most of a project are the same few, and each takes a machine to
/// build that is larger than its document.
const MAX_REMEMBERED: usize = 64;
/// Longest pattern, and largest machine, that is remembered, in bytes; others are built each time.
const MAX_REMEMBERED_BYTES: usize = 1 << 16;

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
        let is_short = pattern.len() <= MAX_REMEMBERED_BYTES;
        let Some(compiled) = is_short.then(|| build(pattern, MAX_REMEMBERED_BYTES)).flatten()
        else {
            let compiled = build(pattern, MAX_PATTERN_BYTES);
            return compiled.unwrap_or_else(|| Err("it needs too much memory".to_owned()));
        };
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

/// The pattern, or what is wrong with it; none if it takes more memory than that.
fn build(pattern: &str, bytes: usize) -> Option<Result<Regex, String>> {
    match RegexBuilder::new(pattern).size_limit(bytes).build() {
        Ok(compiled) => Some(Ok(compiled)),
        Err(regex::Error::CompiledTooBig(_)) => None,
        // The last line of a syntax error is what is wrong; the others draw the place.
        Err(other) => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            Some(Err(last.strip_prefix("error: ").unwrap_or(last).to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HashMap, MAX_REMEMBERED, MAX_REMEMBERED_BYTES, REMEMBERED, compile};

    #[test]
    fn patterns_are_of_linear_time_and_bounded() {
        assert!(compile("^[a-z]+$").unwrap().is_match("abc"));
        assert_eq!(compile("(").unwrap_err(), "unclosed group");
        assert!(compile("(?=a)b").unwrap_err().contains("look-around"), "{:?}", compile("(?=a)b"));
        assert_eq!(compile("(?:\\w{500}){500}").unwrap_err(), "it needs too much memory");
    }

    fn remembers(pattern: &str) -> bool {
        REMEMBERED.with_borrow(|remembered| remembered.contains_key(pattern))
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_in_bytes() {
        for n in 0..200 {
            let pattern = format!("^small{n}$");
            assert!(compile(&pattern).unwrap().is_match(&format!("small{n}")));
            assert!(remembers(&pattern));
            assert!(REMEMBERED.with_borrow(HashMap::len) <= MAX_REMEMBERED);
        }
        // Some hundred thousand bytes.
        let large = r"^\w{20}$";
        assert!(compile(large).unwrap().is_match(&"w".repeat(20)));
        assert!(!remembers(large));
        let long = format!("({}", "a".repeat(MAX_REMEMBERED_BYTES));
        assert_eq!(compile(&long).unwrap_err(), "unclosed group");
        assert!(!remembers(&long));
    }
}
