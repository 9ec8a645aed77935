//! What a plain scalar means: in YAML 1.1 as PyYAML's safe loader resolves it, which is what a
//! document means here, and in the core schema of YAML 1.2, to say where the two differ.

/// The meaning of a plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, as near as a float comes to it.
    Big(f64),
    Float(f64),
    Text,
}

impl Scalar {
    /// What diagnostics call it.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Big(_) => "another integer",
            Self::Float(_) => "a number",
            Self::Text => "a text",
        }
    }
}

/// The meaning of a plain scalar, and what YAML 1.2 would make of it if that differs.
pub(super) fn resolve(text: &str) -> (Scalar, Option<Scalar>) {
    // Most scalars are words, and both versions agree on all but a few of those.
    match text.as_bytes().first() {
        Some(first) if first.is_ascii_alphabetic() => {
            return match word(text) {
                Some(meaning) => (meaning, None),
                None => match word_1_1(text) {
                    Some(truth) => (Scalar::Bool(truth), Some(Scalar::Text)),
                    None => (Scalar::Text, None),
                },
            };
        }
        None | Some(b'~') => return (word(text).unwrap_or(Scalar::Text), None),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {}
        Some(_) => return (Scalar::Text, None),
    }
    let read = number_1_1(text);
    let other = number_1_2(text);
    let agree = read == other
        || matches!((read, other), (Scalar::Float(a), Scalar::Float(b)) if a.is_nan() && b.is_nan());
    (read, (!agree).then_some(other))
}

/// The words that both versions know.
fn word(text: &str) -> Option<Scalar> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "true" | "True" | "TRUE" => Some(Scalar::Bool(true)),
        "false" | "False" | "FALSE" => Some(Scalar::Bool(false)),
        _ => None,
    }
}

/// The truth values that only YAML 1.1 knows.
pub(super) fn word_1_1(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

fn number_1_1(text: &str) -> Scalar {
    integer_1_1(text).or_else(|| float_1_1(text).map(Scalar::Float)).unwrap_or(Scalar::Text)
}

/// Decimal, `0b101`, `017`, `0x1F` and `1:30`, each with `_` between digits.
fn integer_1_1(text: &str) -> Option<Scalar> {
    let (negative, digits) = sign(text);
    let magnitude = match digits.as_bytes() {
        [b'0'] => Some(0),
        [b'0', b'b', ..] => radix(digits.get(2..)?, 2),
        [b'0', b'x', ..] => radix(digits.get(2..)?, 16),
        // PyYAML reads `0_` as zero, and octal digits behind any other leading zero.
        [b'0', rest @ ..] if rest.iter().all(|b| *b == b'_') => Some(0),
        [b'0', ..] => radix(digits.get(1..)?, 8),
        [b'1'..=b'9', ..] if digits.contains(':') => sexagesimal(digits),
        [b'1'..=b'9', ..] => radix(digits, 10),
        _ => None,
    }?;
    Some(whole(negative, magnitude))
}

/// The magnitude of digits with `_` between them; one beyond 128 bits counts as the largest.
fn radix(digits: &str, radix: u32) -> Option<u128> {
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    if !clean.bytes().all(|b| char::from(b).is_digit(radix)) {
        return None;
    }
    match u128::from_str_radix(&clean, radix) {
        Ok(value) => Some(value),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => Some(u128::MAX),
        Err(_) => None,
    }
}

/// `1:30` is ninety.
fn sexagesimal(text: &str) -> Option<u128> {
    let mut parts = text.split(':');
    let mut value = radix(parts.next()?, 10)?;
    for part in parts {
        value = value.checked_mul(60)?.checked_add(u128::from(sixtieth(part)?))?;
    }
    Some(value)
}

fn sixtieth(part: &str) -> Option<u8> {
    match part.as_bytes() {
        [unit @ b'0'..=b'9'] => Some(unit - b'0'),
        [ten @ b'0'..=b'5', unit @ b'0'..=b'9'] => Some((ten - b'0') * 10 + unit - b'0'),
        _ => None,
    }
}

fn whole(negative: bool, magnitude: u128) -> Scalar {
    let signed = i128::try_from(magnitude).ok().map(|m| if negative { -m } else { m });
    #[expect(clippy::cast_precision_loss, reason = "what is beyond 64 bits is reported as rounded")]
    match signed.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => Scalar::Int(value),
        None => Scalar::Big(if negative { -(magnitude as f64) } else { magnitude as f64 }),
    }
}

/// `1.5`, `.5`, `1.5e+3`, `1:30.5`, `.inf`, `.nan`; an exponent needs a dot and a sign.
fn float_1_1(text: &str) -> Option<f64> {
    if let Some(value) = special(text) {
        return Some(value);
    }
    let (negative, digits) = sign(text);
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at)?, Some(digits.get(at + 1..)?)),
        None => (digits, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let digit = |b: u8| b.is_ascii_digit() || b == b'_';
    let leads = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    if !fraction.bytes().all(digit) {
        return None;
    }
    if whole.contains(':') {
        return if exponent.is_none() && leads(whole) {
            sexagesimal_float(whole, fraction).map(|value| if negative { -value } else { value })
        } else {
            None
        };
    }
    let begins = match whole {
        "" => leads(fraction) && !text.starts_with(['+', '-']),
        _ => leads(whole) && whole.bytes().all(digit),
    };
    let ends = exponent.is_none_or(|e| {
        e.strip_prefix(['+', '-'])
            .is_some_and(|e| !e.is_empty() && e.bytes().all(|b| b.is_ascii_digit()))
    });
    if !begins || !ends {
        return None;
    }
    text.replace('_', "").parse().ok()
}

fn sexagesimal_float(whole: &str, fraction: &str) -> Option<f64> {
    let mut parts = whole.rsplit(':');
    let last = sixtieth(parts.next()?)?;
    let mut value: f64 = format!("{last}.{}", fraction.replace('_', "")).parse().ok()?;
    let mut base = 60.0;
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let digit = match parts.peek() {
            Some(_) => f64::from(sixtieth(part)?),
            None => part.replace('_', "").parse().ok()?,
        };
        value += digit * base;
        base *= 60.0;
    }
    Some(value)
}

/// The numbers that have names, the same in both versions but for a sign before `nan`.
fn special(text: &str) -> Option<f64> {
    let (negative, name) = sign(text);
    match name {
        ".inf" | ".Inf" | ".INF" => Some(if negative { -f64::INFINITY } else { f64::INFINITY }),
        ".nan" | ".NaN" | ".NAN" if name == text => Some(f64::NAN),
        _ => None,
    }
}

fn number_1_2(text: &str) -> Scalar {
    if let Some(value) = special(text) {
        return Scalar::Float(value);
    }
    let (negative, digits) = sign(text);
    let all = |part: &str, base: u32| {
        !part.is_empty() && part.bytes().all(|b| char::from(b).is_digit(base))
    };
    if all(digits, 10) {
        return radix(digits, 10).map_or(Scalar::Text, |magnitude| whole(negative, magnitude));
    }
    for (prefix, base) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|digits| all(digits, base)) {
            return radix(digits, base).map_or(Scalar::Text, |magnitude| whole(false, magnitude));
        }
    }
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at).unwrap_or(""), digits.get(at + 1..)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let some = |part: &str| part.is_empty() || all(part, 10);
    let fits = match fraction {
        Some(fraction) => some(whole) && some(fraction) && (whole.len() + fraction.len() > 0),
        None => all(whole, 10),
    };
    let ends = exponent.is_none_or(|e| all(e.strip_prefix(['+', '-']).unwrap_or(e), 10));
    if !fits || !ends {
        return Scalar::Text;
    }
    text.parse().map_or(Scalar::Text, Scalar::Float)
}

/// Whether the text begins with a minus, and what stands after its sign.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Scalar::{Big, Bool, Float, Int, Null, Text};

    const TABLE: &[(&str, Scalar, Option<Scalar>)] = &[
        ("", Null, None),
        ("~", Null, None),
        ("null", Null, None),
        ("nULL", Text, None),
        ("True", Bool(true), None),
        ("tRUE", Text, None),
        ("no", Bool(false), Some(Text)),
        ("On", Bool(true), Some(Text)),
        ("OFF", Bool(false), Some(Text)),
        ("oN", Text, None),
        ("y", Text, None),
        ("n", Text, None),
        ("Y", Text, None),
        ("12", Int(12), None),
        ("-12", Int(-12), None),
        ("+12", Int(12), None),
        ("0", Int(0), None),
        ("-0", Int(0), None),
        ("012", Int(10), Some(Int(12))),
        ("00", Int(0), None),
        ("0_", Int(0), Some(Text)),
        ("+0__", Int(0), Some(Text)),
        ("08", Text, Some(Int(8))),
        ("-0129", Text, Some(Int(-129))),
        ("0o12", Text, Some(Int(10))),
        ("0x1F", Int(31), None),
        ("-0x1F", Int(-31), Some(Text)),
        ("0x_1F", Int(31), Some(Text)),
        ("0X1F", Text, None),
        ("0b101", Int(5), Some(Text)),
        ("1_000", Int(1000), Some(Text)),
        ("1:30", Int(90), Some(Text)),
        ("-1:30", Int(-90), Some(Text)),
        ("190:20:30", Int(685_230), Some(Text)),
        ("1:60", Text, None),
        ("01:30", Text, None),
        ("1.5", Float(1.5), None),
        ("1.", Float(1.0), None),
        ("-1.5", Float(-1.5), None),
        (".5", Float(0.5), None),
        ("+.5", Text, Some(Float(0.5))),
        ("1_0.5", Float(10.5), Some(Text)),
        ("1e5", Text, Some(Float(100_000.0))),
        ("1.0e5", Text, Some(Float(100_000.0))),
        ("1.0e+5", Float(100_000.0), None),
        (".5e-1", Float(0.05), None),
        ("1:30.5", Float(90.5), Some(Text)),
        ("01:30.", Float(90.0), Some(Text)),
        ("-.inf", Float(f64::NEG_INFINITY), None),
        ("-.nan", Text, None),
        ("9223372036854775807", Int(i64::MAX), None),
        ("-9223372036854775808", Int(i64::MIN), None),
        ("9223372036854775808", Big(9_223_372_036_854_775_808.0), None),
        ("2024-01-01", Text, None),
        ("1.2.3", Text, None),
        ("+", Text, None),
        ("-", Text, None),
        (".", Text, None),
        ("0x", Text, None),
        ("0b__", Text, None),
        ("1.e", Text, None),
        ("=", Text, None),
        ("<<", Text, None),
    ];

    /// What PyYAML 6 makes of each text, and what YAML 1.2's core schema makes of it where the two
    /// differ.
    #[test]
    fn resolves_as_pyyaml_does() {
        for (source, read, other) in TABLE {
            assert_eq!(resolve(source), (*read, *other), "{source:?}");
        }
        let (nan, other) = resolve(".NaN");
        assert!(matches!(nan, Float(value) if value.is_nan()) && other.is_none());
    }
}
