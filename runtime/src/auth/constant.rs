//! Comparison of secrets in constant time.

use super::secret::Digest;

/// Whether two texts are equal. Takes the same time wherever they differ: their digests are
/// compared, and all bytes of those.
pub fn is_equal(a: &str, b: &str) -> bool {
    Digest::of(a) == Digest::of(b)
}

#[cfg(test)]
mod tests {
    use super::is_equal;

    #[test]
    fn equal_and_not() {
        assert!(is_equal("", ""));
        assert!(is_equal("abc", "abc"));
        for (a, b) in [("abc", "abd"), ("abc", "ab"), ("abc", "xbc"), ("", "a")] {
            assert!(!is_equal(a, b));
        }
    }
}
