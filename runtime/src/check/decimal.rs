//! Decimal numbers as they are written: bounds and divisors are compared exactly, without passing
//! through doubles.

use std::cmp::Ordering;

/// A decimal number: `0.DIGITS × 10^exponent`, negative or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// decimal digits 0 to 9, the first and the last not zero; none for zero
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads a number as JSON writes it (RFC 8259 section 6); nothing else is a number.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if all_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let point = i64::try_from(whole.len()).ok()?;
        Some(Self::normal(negative, digits, point.checked_add(exponent)?))
    }

    /// Moves the point behind the first digit that is not zero and drops zeros at the end.
    fn normal(negative: bool, mut digits: Vec<u8>, exponent: i64) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Self { negative: false, digits, exponent: 0 };
        }
        let zeros = i64::try_from(zeros).unwrap_or(i64::MAX);
        Self { negative, digits, exponent: exponent.saturating_sub(zeros) }
    }

    /// The whole number that this is, if it is one of 64 bits.
    pub fn to_i64(&self) -> Option<i64> {
        let length = i64::try_from(self.digits.len()).ok()?;
        if self.exponent < length || self.exponent > 19 {
            return self.digits.is_empty().then_some(0);
        }
        let mut value: i128 = 0;
        for place in 0..usize::try_from(self.exponent).ok()? {
            value = value * 10 + i128::from(self.digits.get(place).copied().unwrap_or(0));
        }
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// Whether this is a whole number of times `divisor`. A divisor of more than 64 bits divides
    /// nothing but zero.
    pub fn is_multiple_of(&self, divisor: &Self) -> bool {
        if self.digits.is_empty() {
            return true;
        }
        let Some(modulus) = divisor.mantissa().filter(|modulus| *modulus > 0) else { return false };
        let shift = self.scale() - divisor.scale();
        if shift < 0 {
            // The last digit of the mantissa is not zero, so no power of ten divides it.
            return false;
        }
        let step = |rest: u64, digit: u64| {
            let next = (u128::from(rest) * 10 + u128::from(digit)) % u128::from(modulus);
            u64::try_from(next).unwrap_or(0)
        };
        let rest = self.digits.iter().fold(0, |rest, digit| step(rest, u64::from(*digit)));
        let power = power_of_ten(shift.unsigned_abs(), modulus);
        u128::from(rest) * u128::from(power) % u128::from(modulus) == 0
    }

    /// The power of ten of the last digit.
    fn scale(&self) -> i64 {
        self.exponent.saturating_sub(i64::try_from(self.digits.len()).unwrap_or(i64::MAX))
    }

    /// The digits as a number, if they fit.
    fn mantissa(&self) -> Option<u64> {
        self.digits
            .iter()
            .try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(*digit)))
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // Digits without zeros at either end compare as words do.
            (false, false) => {
                self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl From<i128> for Decimal {
    fn from(value: i128) -> Self {
        let digits: Vec<u8> =
            value.unsigned_abs().to_string().bytes().map(|byte| byte - b'0').collect();
        let point = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        Self::normal(value < 0, digits, point)
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'+' => (false, text.get(1..)?),
        b'-' => (true, text.get(1..)?),
        _ => (false, text),
    };
    let value: i64 = if all_digits(digits) { digits.parse().ok()? } else { return None };
    Some(if negative { -value } else { value })
}

/// `10^power mod modulus`.
fn power_of_ten(mut power: u64, modulus: u64) -> u64 {
    let modulus = u128::from(modulus);
    let (mut result, mut square) = (1 % modulus, 10 % modulus);
    while power > 0 {
        if power & 1 == 1 {
            result = result * square % modulus;
        }
        square = square * square % modulus;
        power >>= 1;
    }
    u64::try_from(result).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_same_number_is_equal_however_it_is_written() {
        for (a, b) in [("5", "5.0"), ("500", "5e2"), ("0.05", "5E-2"), ("-0", "0"), ("0e9", "0.00")]
        {
            assert_eq!(decimal(a), decimal(b));
        }
    }

    #[test]
    fn what_json_would_not_write_is_no_number() {
        for text in
            ["", "-", "+1", "01", ".5", "1.", "1e", "1e+", " 1", "1 ", "0x1", "1_0", "NaN", "٣"]
        {
            assert_eq!(Decimal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_stay_exact() {
        assert_eq!(decimal("9007199254740993").to_i64(), Some(9_007_199_254_740_993));
        assert_eq!(decimal("-9223372036854775808").to_i64(), Some(i64::MIN));
        assert_eq!(decimal("9223372036854775808").to_i64(), None);
        assert_eq!(decimal("1e18").to_i64(), Some(1_000_000_000_000_000_000));
        assert_eq!(decimal("1e99999999999").to_i64(), None);
        assert_eq!(decimal("5.0").to_i64(), Some(5));
        assert_eq!(decimal("5.5").to_i64(), None);
        assert_eq!(decimal("0.000").to_i64(), Some(0));
    }

    #[test]
    fn multiples_are_exact() {
        assert!(decimal("0.3").is_multiple_of(&decimal("0.1")));
        assert!(decimal("19.99").is_multiple_of(&decimal("0.01")));
        assert!(!decimal("19.995").is_multiple_of(&decimal("0.01")));
        assert!(!decimal("1e300").is_multiple_of(&decimal("0.7")));
        assert!(decimal("1e300").is_multiple_of(&decimal("8")));
        assert!(decimal("-12").is_multiple_of(&decimal("4")));
        assert!(decimal("0").is_multiple_of(&decimal("3")));
        assert!(!decimal("3").is_multiple_of(&decimal("0")));
    }

    proptest! {
        #[test]
        fn order_and_division_agree_with_integers(a in -1_000_000_i64..1_000_000, b in -1000_i64..1000) {
            let (x, y) = (decimal(&a.to_string()), decimal(&b.to_string()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_i64(), Some(a));
            prop_assert_eq!(Decimal::from(i128::from(a)), x.clone());
            if b != 0 {
                prop_assert_eq!(x.is_multiple_of(&y), a % b == 0);
            }
        }

        #[test]
        fn order_agrees_with_doubles(a in -1e9_f64..1e9, b in -1e9_f64..1e9) {
            let (x, y) = (decimal(&a.to_string()), decimal(&b.to_string()));
            prop_assert_eq!(Some(x.cmp(&y)), a.partial_cmp(&b));
        }
    }
}
