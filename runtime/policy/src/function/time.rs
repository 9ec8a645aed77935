//! Timestamps and durations: their texts, arithmetic and parts.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp as Jiff};

use super::{Call, Function, cost, overloads};
use crate::datum::{Instant, Span};
use crate::ty::Sig::{Duration, Int, String, Timestamp};
use crate::value::{FailureKind, Value};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// 0001-01-01T00:00:00Z
pub(crate) const FIRST_SECOND: i128 = -62_135_596_800;
/// 9999-12-31T23:59:59Z
pub(crate) const LAST_SECOND: i128 = 253_402_300_799;

macro_rules! part {
    ($name:literal, $doc:literal, $examples:expr, [$($id:literal [$($sig:expr),*]),*], $eval:expr) => {
        Function {
            name: $name,
            doc: $doc,
            examples: $examples,
            overloads: overloads! { $(member $id [$($sig),*] Int;)* },
            cost: cost::constant,
            lowering: None,
            eval: $eval,
        }
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    part!("getFullYear", "The year, in UTC or in a time zone.",
        &[("timestamp('2024-02-03T04:05:06Z').getFullYear()", "2024")],
        ["timestamp_to_year" [Timestamp], "timestamp_to_year_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getFullYear", args, |t| i64::from(t.year()))),
    part!("getMonth", "The month, from 0.",
        &[("timestamp('2024-02-03T04:05:06Z').getMonth()", "1")],
        ["timestamp_to_month" [Timestamp], "timestamp_to_month_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getMonth", args, |t| i64::from(t.month()) - 1)),
    part!("getDate", "The day of the month, from 1.",
        &[("timestamp('2024-02-03T04:05:06Z').getDate()", "3")],
        ["timestamp_to_day_of_month_1_based" [Timestamp], "timestamp_to_day_of_month_1_based_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getDate", args, |t| i64::from(t.day()))),
    part!("getDayOfMonth", "The day of the month, from 0.",
        &[("timestamp('2024-02-03T04:05:06Z').getDayOfMonth()", "2")],
        ["timestamp_to_day_of_month" [Timestamp], "timestamp_to_day_of_month_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getDayOfMonth", args, |t| i64::from(t.day()) - 1)),
    part!("getDayOfWeek", "The day of the week, Sunday is 0.",
        &[("timestamp('2024-02-03T04:05:06Z').getDayOfWeek()", "6")],
        ["timestamp_to_day_of_week" [Timestamp], "timestamp_to_day_of_week_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getDayOfWeek", args, |t| i64::from(t.weekday().to_sunday_zero_offset()))),
    part!("getDayOfYear", "The day of the year, from 0.",
        &[("timestamp('2024-02-03T04:05:06Z').getDayOfYear()", "33")],
        ["timestamp_to_day_of_year" [Timestamp], "timestamp_to_day_of_year_with_tz" [Timestamp, String]],
        |call, args| civil(call, "getDayOfYear", args, |t| i64::from(t.day_of_year()) - 1)),
    part!("getHours", "The hour; of a duration all its hours.",
    &[("timestamp('2024-02-03T04:05:06Z').getHours('+02:00')", "6"), ("duration('90m').getHours()", "1")],
    ["timestamp_to_hours" [Timestamp], "timestamp_to_hours_with_tz" [Timestamp, String], "duration_to_hours" [Duration]],
    |call, args| match args {
        [Value::Duration(span)] => Value::Int(span.seconds / 3_600),
        _ => civil(call, "getHours", args, |t| i64::from(t.hour())),
    }),
    part!("getMinutes", "The minute; of a duration all its minutes.",
    &[("duration('90m').getMinutes()", "90")],
    ["timestamp_to_minutes" [Timestamp], "timestamp_to_minutes_with_tz" [Timestamp, String], "duration_to_minutes" [Duration]],
    |call, args| match args {
        [Value::Duration(span)] => Value::Int(span.seconds / 60),
        _ => civil(call, "getMinutes", args, |t| i64::from(t.minute())),
    }),
    part!("getSeconds", "The second; of a duration all its seconds.",
    &[("duration('90m').getSeconds()", "5400")],
    ["timestamp_to_seconds" [Timestamp], "timestamp_to_seconds_tz" [Timestamp, String], "duration_to_seconds" [Duration]],
    |call, args| match args {
        [Value::Duration(span)] => Value::Int(span.seconds),
        _ => civil(call, "getSeconds", args, |t| i64::from(t.second())),
    }),
    part!("getMilliseconds", "The milliseconds of the second.",
    &[("duration('1.5s').getMilliseconds()", "500")],
    ["timestamp_to_milliseconds" [Timestamp], "timestamp_to_milliseconds_with_tz" [Timestamp, String], "duration_to_milliseconds" [Duration]],
    |call, args| match args {
        [Value::Duration(span)] => Value::Int(i64::from(span.nanos / 1_000_000)),
        _ => civil(call, "getMilliseconds", args, |t| i64::from(t.millisecond())),
    }),
];

fn civil<'a>(
    call: &mut Call<'a>,
    name: &str,
    args: &[Value<'a>],
    part: fn(DateTime) -> i64,
) -> Value<'a> {
    let (instant, zone) = match *args {
        [Value::Timestamp(instant)] => (instant, Some(TimeZone::UTC)),
        [Value::Timestamp(instant), Value::String(name)] => (instant, zone(name.text)),
        _ => return call.no_overload(name, args),
    };
    let Some(zone) = zone else {
        return call.fail(FailureKind::InvalidArgument, format!("`{name}`: unknown time zone"));
    };
    let moved = instant.seconds.checked_add(i64::from(offset_at(&zone, instant)));
    match moved.and_then(|seconds| date_time(Instant { seconds, ..instant })) {
        Some(local) => Value::Int(part(local)),
        None => call.fail(FailureKind::Overflow, "the time is out of range"),
    }
}

/// An IANA name, or an offset such as `-08:00`.
fn zone(name: &str) -> Option<TimeZone> {
    if name.starts_with(|c: char| c == '+' || c == '-' || c.is_ascii_digit()) {
        let (sign, digits) = match name.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, name.strip_prefix('+').unwrap_or(name)),
        };
        let (hours, minutes) = digits.split_once(':')?;
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        let good = (0..24).contains(&hours) && (0..60).contains(&minutes);
        let seconds = sign * (hours * 3_600 + minutes * 60);
        return good.then(|| Offset::from_seconds(seconds).ok()).flatten().map(TimeZone::fixed);
    }
    TimeZone::get(name).ok()
}

/// Seconds that a zone is ahead of UTC. The library's instants end a day before the year 9999 does;
/// no rule changes there.
fn offset_at(zone: &TimeZone, instant: Instant) -> i32 {
    let seconds = instant.seconds.clamp(Jiff::MIN.as_second(), Jiff::MAX.as_second());
    Jiff::from_second(seconds).map_or(0, |at| zone.to_offset(at).seconds())
}

/// The date and time in UTC.
fn date_time(instant: Instant) -> Option<DateTime> {
    let nanos = i32::try_from(instant.nanos).ok()?;
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    epoch.checked_add(SignedDuration::new(instant.seconds, nanos)).ok()
}

/// Nanoseconds since the epoch.
pub(crate) fn nanos_at(instant: Instant) -> i128 {
    i128::from(instant.seconds) * NANOS_PER_SECOND + i128::from(instant.nanos)
}

/// Nanoseconds of a duration.
pub(crate) fn nanos_of(span: Span) -> i128 {
    i128::from(span.seconds) * NANOS_PER_SECOND + i128::from(span.nanos)
}

/// A timestamp moved by nanoseconds.
pub(crate) fn shift<'a>(call: &Call<'a>, instant: Instant, nanos: i128) -> Value<'a> {
    instant_at(nanos_at(instant) + nanos).map_or_else(
        || call.fail(FailureKind::Overflow, "the time is out of range"),
        Value::Timestamp,
    )
}

/// The time from one instant to another.
pub(crate) fn between<'a>(call: &Call<'a>, end: Instant, start: Instant) -> Value<'a> {
    let (seconds, nanos) = match (end.seconds.checked_sub(start.seconds), end.nanos, start.nanos) {
        // Most instants are whole seconds.
        (Some(seconds), 0, 0) if seconds.unsigned_abs() < 9_223_372_036 => (seconds, 0),
        _ => return span(call, nanos_at(end) - nanos_at(start)),
    };
    Value::Duration(Span { seconds, nanos })
}

/// A duration of nanoseconds.
pub(crate) fn span<'a>(call: &Call<'a>, nanos: i128) -> Value<'a> {
    span_of(nanos).map_or_else(
        || call.fail(FailureKind::Overflow, "the duration is out of range"),
        Value::Duration,
    )
}

/// The instant at nanoseconds since the epoch, within the years 1 to 9999.
pub fn instant_at(nanos: i128) -> Option<Instant> {
    let seconds = nanos.div_euclid(NANOS_PER_SECOND);
    if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
        return None;
    }
    Some(Instant {
        seconds: i64::try_from(seconds).ok()?,
        nanos: u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?,
    })
}

/// The duration of nanoseconds, of which 64 bits count about 292 years (CEL specification,
/// "Duration").
pub fn span_of(nanos: i128) -> Option<Span> {
    let seconds = i128::from(i64::try_from(nanos).ok()?) / NANOS_PER_SECOND;
    Some(Span {
        seconds: i64::try_from(seconds).ok()?,
        nanos: i32::try_from(nanos % NANOS_PER_SECOND).ok()?,
    })
}

/// Reads an RFC 3339 date-time with an offset.
pub fn parse_instant(text: &str) -> Option<Instant> {
    let (local, behind) = text.split_at_checked(19)?;
    let form = local.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b'T' | b't'),
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let local: DateTime = if form { local.parse().ok()? } else { return None };
    let digits = behind
        .strip_prefix('.')
        .map_or(0, |rest| 1 + rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
    let (fraction, offset) = behind.split_at_checked(digits)?;
    let nanos = match fraction.get(1..) {
        None => 0,
        Some("") => return None,
        Some(fraction) => scaled(&format!("0.{fraction}"), NANOS_PER_SECOND)?,
    };
    let ahead = match offset {
        "Z" | "z" => 0,
        offset => numeric_offset(offset)?,
    };
    let epoch = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let seconds = i128::from(local.duration_since(epoch).as_secs()) - i128::from(ahead);
    instant_at(seconds * NANOS_PER_SECOND + nanos)
}

/// Seconds of an offset such as `+01:00`.
fn numeric_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Reads a duration: signed decimal numbers with units `h`, `m`, `s`, `ms`, `us`, `ns`.
pub fn parse_span(text: &str) -> Option<Span> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return span_of(0);
    }
    let mut total: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: i128 = match unit {
            "h" => 3_600 * NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "s" => NANOS_PER_SECOND,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        total = total.checked_add(scaled(number, scale)?)?;
        rest = tail;
    }
    span_of(if negative { -total } else { total })
}

/// A decimal number times a scale, cut to whole nanoseconds.
fn scaled(number: &str, scale: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..fraction.len().min(18)).unwrap_or("");
    let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let digits = u32::try_from(fraction.len()).ok()?;
    Some(whole * scale + part * scale / 10_i128.pow(digits))
}

/// RFC 3339 in UTC, with as many decimals as needed.
pub fn format_instant(instant: Instant) -> std::string::String {
    date_time(instant).map_or_else(|| "out of range".to_owned(), |t| format!("{t}Z"))
}

/// Seconds with an `s`.
pub fn format_span(span: Span) -> std::string::String {
    let sign = if span.seconds < 0 || span.nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (span.seconds.unsigned_abs(), span.nanos.unsigned_abs());
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, written) in [
            ("1h", Some("3600s")),
            ("1.5s", Some("1.5s")),
            ("-1h30m", Some("-5400s")),
            ("720h", Some("2592000s")),
            ("100ms", Some("0.1s")),
            ("0", Some("0s")),
            ("", None),
            ("1", None),
            ("1x", None),
            ("1..5s", None),
            ("9999999999999h", None),
        ] {
            assert_eq!(parse_span(text).map(format_span).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn timestamps_are_read_and_written() {
        for (text, written) in [
            ("2024-01-01T00:00:00Z", Some("2024-01-01T00:00:00Z")),
            ("2024-01-01T00:00:00.5+01:00", Some("2023-12-31T23:00:00.5Z")),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01", None),
            ("9999-12-31T23:59:59.999999999Z", Some("9999-12-31T23:59:59.999999999Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("0001-01-01T00:00:00+00:01", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01T00:00:00+1:00", None),
            ("2024-02-30T00:00:00Z", None),
            ("2024-01-01 00:00:00Z", None),
            ("10000-01-01T00:00:00Z", None),
        ] {
            assert_eq!(parse_instant(text).map(format_instant).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn zones_are_names_or_offsets() {
        assert!(zone("UTC").is_some());
        assert!(zone("-08:00").is_some());
        assert!(zone("Nowhere/City").is_none());
        assert!(zone("+99:00").is_none());
    }
}
