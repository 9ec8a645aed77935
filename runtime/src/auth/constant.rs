//! Comparison of secrets in constant time.

use sha2::{Digest as _, Sha256};

/// Whether two texts are equal. Takes the same time wherever they differ: their digests are
/// compared, and all bytes of those.
pub fn is_equal(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    let difference = a.iter().zip(b.iter()).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
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
