//! What a plain scalar means in YAML 1.1 as PyYAML's safe loader resolves it, and whether YAML 1.2
//! would read the same.

use super::{Kind, Style, Text};

/// The meaning of a plain scalar, and what YAML 1.2 would make of it if that differs.
pub(super) fn resolve(text: &str) -> (Kind, Option<&'static str>) {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return (Kind::Null, None),
        "true" | "True" | "TRUE" => return (Kind::Bool(true), None),
        "false" | "False" | "FALSE" => return (Kind::Bool(false), None),
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return (Kind::Bool(true), Some("a text")),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => return (Kind::Bool(false), Some("a text")),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return (plain(text), None);
    }
    if let Some(number) = integer(text) {
        let same = text.strip_prefix(['+', '-']).unwrap_or(text);
        let same = same.bytes().all(|b| b.is_ascii_digit())
            && (same == "0" || !same.starts_with('0'))
            || same.starts_with("0x") && !same.contains('_');
        let differs = if same {
            None
        } else if text.contains(['_', ':']) || text.contains("0b") {
            Some("a text")
        } else {
            Some("a decimal number")
        };
        return (number, differs);
    }
    if let Some(number) = float(text) {
        return (Kind::Float(number), text.contains(['_', ':']).then_some("a text"));
    }
    let only_1_2 = text.starts_with("0o") && octal(text.get(2..).unwrap_or("")).is_some()
        || text.contains(['e', 'E'])
            && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
            && text.parse::<f64>().is_ok();
    (plain(text), only_1_2.then_some("a number"))
}

fn plain(text: &str) -> Kind {
    Kind::String(Text { text: text.to_owned(), style: Style::Plain })
}

/// A whole number; one of more than 64 bits becomes a float, which later checks refuse or round.
fn integer(text: &str) -> Option<Kind> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = if digits.contains(':') {
        sexagesimal(digits)?
    } else if let Some(bits) = digits.strip_prefix("0b") {
        radix(bits, 2)?
    } else if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        octal(digits.get(1..).unwrap_or(""))?
    } else {
        let begins = digits.starts_with(|c: char| c.is_ascii_digit());
        if !begins || (digits.starts_with('0') && digits.len() > 1) {
            return None;
        }
        radix(digits, 10)?
    };
    let signed = i128::try_from(magnitude).ok().map(|m| if negative { -m } else { m });
    Some(match signed.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => Kind::Int(value),
        None => Kind::Float(if negative { -as_float(magnitude) } else { as_float(magnitude) }),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number beyond 64 bits is not exact in YAML either"
)]
fn as_float(magnitude: u128) -> f64 {
    magnitude as f64
}

fn radix(digits: &str, radix: u32) -> Option<u128> {
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    if clean.is_empty() || clean.starts_with(['+', '-']) {
        return None;
    }
    match u128::from_str_radix(&clean, radix) {
        Ok(value) => Some(value),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => Some(u128::MAX),
        Err(_) => None,
    }
}

fn octal(digits: &str) -> Option<u128> {
    radix(digits, 8)
}

/// `1:30` is ninety.
fn sexagesimal(text: &str) -> Option<u128> {
    let mut parts = text.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| matches!(c, '1'..='9')) {
        return None;
    }
    let mut value = radix(first, 10)?;
    for part in parts {
        value = value.checked_mul(60)?.checked_add(sixtieth(part)?)?;
    }
    Some(value)
}

fn sixtieth(part: &str) -> Option<u128> {
    let valid = matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    if valid { part.parse().ok() } else { None }
}

/// `1.5`, `.5`, `1.5e+3`, `1:30.5`, `.inf`, `.nan`; an exponent needs a dot and a sign.
fn float(text: &str) -> Option<f64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let sign = if negative { -1.0 } else { 1.0 };
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if digits == text => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at)?, Some(digits.get(at + 1..)?)),
        None => (digits, None),
    };
    if let Some(exponent) = exponent {
        let number = exponent.strip_prefix(['+', '-'])?;
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    let (whole, fraction) = mantissa.split_once('.')?;
    let digit = |b: u8| b.is_ascii_digit() || b == b'_';
    if !fraction.bytes().all(digit)
        || (whole.is_empty() && !fraction.starts_with(|c: char| c.is_ascii_digit()))
    {
        return None;
    }
    if whole.contains(':') {
        if exponent.is_some() {
            return None;
        }
        let whole = as_float(sexagesimal(whole)?);
        let fraction: f64 = format!("0.{}", fraction.replace('_', "")).parse().ok()?;
        return Some(sign * (whole + fraction));
    }
    if !whole.is_empty()
        && (!whole.starts_with(|c: char| c.is_ascii_digit()) || !whole.bytes().all(digit))
    {
        return None;
    }
    if whole.is_empty() && text.starts_with(['+', '-']) {
        return None;
    }
    let clean = format!("0{}", digits.replace('_', ""));
    clean.parse::<f64>().ok().map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PyYAML 6 makes of each text, and whether YAML 1.2's core schema differs.
    #[test]
    fn resolves_as_pyyaml_does() {
        let text = |t: &str| plain(t);
        let table: &[(&str, Kind, bool)] = &[
            ("", Kind::Null, false),
            ("~", Kind::Null, false),
            ("no", Kind::Bool(false), true),
            ("On", Kind::Bool(true), true),
            ("y", text("y"), false),
            ("n", text("n"), false),
            ("12", Kind::Int(12), false),
            ("-12", Kind::Int(-12), false),
            ("0", Kind::Int(0), false),
            ("012", Kind::Int(10), true),
            ("08", text("08"), false),
            ("0o12", text("0o12"), true),
            ("0x1F", Kind::Int(31), false),
            ("0b101", Kind::Int(5), true),
            ("1_000", Kind::Int(1000), true),
            ("1:30", Kind::Int(90), true),
            ("1:70", text("1:70"), false),
            ("1.5", Kind::Float(1.5), false),
            ("1.", Kind::Float(1.0), false),
            (".5", Kind::Float(0.5), false),
            ("1e5", text("1e5"), true),
            ("1.0e5", text("1.0e5"), true),
            ("1.0e+5", Kind::Float(100_000.0), false),
            ("1:30.5", Kind::Float(90.5), true),
            ("-.inf", Kind::Float(f64::NEG_INFINITY), false),
            ("9223372036854775807", Kind::Int(i64::MAX), false),
            ("2024-01-01", text("2024-01-01"), false),
            ("1.2.3", text("1.2.3"), false),
            ("+", text("+"), false),
            ("-", text("-"), false),
            (".", text("."), false),
            ("0x", text("0x"), false),
        ];
        for (source, kind, differs) in table {
            let (found, difference) = resolve(source);
            assert_eq!((&found, difference.is_some()), (kind, *differs), "{source:?}");
        }
    }
}
