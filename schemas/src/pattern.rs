//! Regular expressions of declared types: linear time, so no look-around and no back-references.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// Memory of a compiled pattern, at most.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Patterns that a thread remembers: most of a project are the same few, and each takes a machine to
/// build that is larger than its document.
const MAX_REMEMBERED: usize = 64;
/// Memory of the patterns that a thread remembers, as they were compiled, and of their texts.
const MAX_REMEMBERED_BYTES: usize = 4 << 20;
/// How much memory of a compiled pattern is tried first, and how many times more each time that this is too
/// little: nobody says what it took.
const FIRST_PATTERN_BYTES: usize = 1 << 14;
const MORE_PATTERN_BYTES: usize = 4;

thread_local! {
    static REMEMBERED: RefCell<Remembered> = RefCell::default();
}

#[derive(Debug, Default)]
struct Remembered {
    patterns: HashMap<String, Result<Regex, String>>,
    bytes: usize,
}

/// Compiles a pattern, which matches anywhere in a text unless it says otherwise.
///
/// # Errors
/// Why it is none, on one line.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    REMEMBERED.with_borrow_mut(|remembered| {
        if let Some(known) = remembered.patterns.get(pattern) {
            return known.clone();
        }
        let (compiled, bytes) = build(pattern);
        let bytes = bytes.saturating_add(pattern.len());
        if bytes > MAX_REMEMBERED_BYTES {
            return compiled;
        }
        let all = remembered.bytes.saturating_add(bytes);
        if remembered.patterns.len() >= MAX_REMEMBERED || all > MAX_REMEMBERED_BYTES {
            *remembered = Remembered::default();
        }
        remembered.bytes += bytes;
        remembered.patterns.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

/// The pattern, and the memory that it takes at most.
fn build(pattern: &str) -> (Result<Regex, String>, usize) {
    let mut bytes = FIRST_PATTERN_BYTES;
    loop {
        let reason = match RegexBuilder::new(pattern).size_limit(bytes).build() {
            Ok(compiled) => return (Ok(compiled), bytes),
            Err(regex::Error::CompiledTooBig(_)) if bytes < MAX_PATTERN_BYTES => {
                bytes = bytes.saturating_mul(MORE_PATTERN_BYTES).min(MAX_PATTERN_BYTES);
                continue;
            }
            Err(regex::Error::CompiledTooBig(_)) => "it needs too much memory".to_owned(),
            // The last line of a syntax error is what is wrong; the others draw the place.
            Err(other) => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.strip_prefix("error: ").unwrap_or(last).to_owned()
            }
        };
        return (Err(reason), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_REMEMBERED, MAX_REMEMBERED_BYTES, REMEMBERED, compile};

    #[test]
    fn patterns_are_of_linear_time_and_bounded() {
        assert!(compile("^[a-z]+$").unwrap().is_match("abc"));
        assert_eq!(compile("(").unwrap_err(), "unclosed group");
        assert!(compile("(?=a)b").unwrap_err().contains("look-around"), "{:?}", compile("(?=a)b"));
        assert_eq!(compile("(?:\\w{500}){500}").unwrap_err(), "it needs too much memory");
    }

    /// How many patterns this thread remembers, and with how many bytes.
    fn remembered() -> (usize, usize) {
        REMEMBERED.with_borrow(|remembered| (remembered.patterns.len(), remembered.bytes))
    }

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_in_bytes() {
        for n in 0..200 {
            assert!(compile(&format!("^small{n}$")).unwrap().is_match(&format!("small{n}")));
            let (count, bytes) = remembered();
            assert!((1..=MAX_REMEMBERED).contains(&count) && bytes <= MAX_REMEMBERED_BYTES);
        }
        // Some hundred thousand bytes each.
        let mut most = 0;
        for n in 0..40 {
            assert!(compile(&format!(r"^\w{{20}}{n}$")).is_ok());
            let (count, bytes) = remembered();
            assert!(count >= 1 && bytes <= MAX_REMEMBERED_BYTES);
            most = most.max(count);
        }
        assert!(most < MAX_REMEMBERED, "{most}");
        // A text that is longer than all that is remembered is compiled all the same.
        let before = remembered();
        let long = format!("({}", "a".repeat(MAX_REMEMBERED_BYTES));
        assert_eq!(compile(&long).unwrap_err(), "unclosed group");
        assert_eq!(remembered(), before);
    }
}
