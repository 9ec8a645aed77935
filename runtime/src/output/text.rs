//! The texts of values: dates, times, intervals, identifiers.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::duckdb::Cell;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Writes a JSON string.
pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    // A text always has a JSON form, and memory takes all bytes.
    let _ = serde_json::to_writer(out, text);
}

/// Writes a JSON number; one that is not finite is null.
pub(super) fn put_number(out: &mut Vec<u8>, value: impl serde::Serialize) {
    let _ = serde_json::to_writer(out, &value);
}

/// The text of a value that JSON writes as a string.
pub(super) fn string_of<'c>(cell: &'c Cell<'_>) -> Option<Cow<'c, str>> {
    Some(match cell {
        Cell::Text(text, _) => Cow::Borrowed(*text),
        Cell::Bit(bits) => Cow::Borrowed(bits),
        Cell::Blob(bytes) => STANDARD.encode(bytes).into(),
        Cell::Uuid(bits) => uuid(*bits).into(),
        Cell::Date(days) => date(i64::from(*days)).into(),
        Cell::Time(nanos) => time(*nanos).into(),
        Cell::TimeTz(micros, offset) => time_tz(*micros, *offset).into(),
        Cell::Timestamp(nanos, zoned) => timestamp(*nanos, *zoned).into(),
        Cell::Interval(months, days, micros) => interval(*months, *days, *micros).into(),
        _ => return None,
    })
}

/// The text of a value that JSON writes as a number; `NaN` and `inf` where it is none.
pub(super) fn number_of(cell: &Cell<'_>) -> Option<String> {
    Some(match cell {
        Cell::Int(value) => value.to_string(),
        Cell::Uint(value) => value.to_string(),
        Cell::F32(value) => f64::from(*value).to_string(),
        Cell::F64(value) => value.to_string(),
        Cell::Decimal(value, scale) => decimal(*value, *scale),
        _ => return None,
    })
}

/// The text of a value that is a scalar, as the name of a member.
pub(super) fn name_of<'c>(cell: &'c Cell<'_>) -> Option<Cow<'c, str>> {
    match cell {
        Cell::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        other => string_of(other).or_else(|| number_of(other).map(Cow::Owned)),
    }
}

/// All decimal digits.
pub(super) fn decimal(value: i128, scale: u8) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn uuid(bits: u128) -> String {
    uuid::Uuid::from_u128(bits).hyphenated().to_string()
}

/// ISO 8601; years before 1 and after 9999 have a sign or more digits.
fn date(days: i64) -> String {
    // From days to a date by whole eras of 400 years, which all have the same number of days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if year < 0 {
        format!("-{:04}-{month:02}-{day:02}", -year)
    } else {
        format!("{year:04}-{month:02}-{day:02}")
    }
}

fn time(nanos: i64) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    fraction(&mut text, nanos.rem_euclid(1_000_000_000));
    text
}

fn fraction(text: &mut String, nanos: i64) {
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
}

fn time_tz(micros: i64, offset: i32) -> String {
    let mut text = time(micros.saturating_mul(1_000));
    let (sign, seconds) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
    let _ = write!(text, "{sign}{:02}:{:02}", seconds / 3_600, seconds / 60 % 60);
    text
}

fn timestamp(nanos: i128, zoned: bool) -> String {
    let days = i64::try_from(nanos.div_euclid(NANOS_PER_DAY)).unwrap_or(0);
    let rest = i64::try_from(nanos.rem_euclid(NANOS_PER_DAY)).unwrap_or(0);
    format!("{}T{}{}", date(days), time(rest), if zoned { "Z" } else { "" })
}

fn interval(months: i32, days: i32, micros: i64) -> String {
    let mut text = "P".to_owned();
    let mut part = |value: i64, unit: char| {
        if value != 0 {
            let _ = write!(text, "{value}{unit}");
        }
    };
    part(i64::from(months / 12), 'Y');
    part(i64::from(months % 12), 'M');
    part(i64::from(days), 'D');
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    if micros != 0 {
        text.push('T');
        let mut part = |value: i64, unit: char| {
            if value != 0 {
                let _ = write!(text, "{value}{unit}");
            }
        };
        part(seconds / 3_600, 'H');
        part(seconds / 60 % 60, 'M');
        if seconds % 60 != 0 || rest != 0 {
            let sign = if micros < 0 { "-" } else { "" };
            let _ = write!(text, "{sign}{}", (seconds % 60).abs());
            fraction(&mut text, rest.abs() * 1_000);
            text.push('S');
        }
    }
    if text == "P" { "PT0S".to_owned() } else { text }
}
