//! The formats of declared strings, one predicate each; documents are checked with them at build
//! and arguments at run time.

use std::str::FromStr as _;

use crate::bundle::definition::Format;

impl Format {
    /// All formats with the words that documents use.
    pub const ALL: [(&'static str, Self); 7] = [
        ("date", Self::Date),
        ("date-time", Self::DateTime),
        ("duration", Self::Duration),
        ("email", Self::Email),
        ("time", Self::Time),
        ("timestamp", Self::Timestamp),
        ("uri", Self::Uri),
    ];

    /// The word that documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Duration => "duration",
            Self::Email => "email",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::Uri => "uri",
        }
    }

    /// Whether a text has the format.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Date => date(text).is_some(),
            Self::DateTime => date_time(text).is_some(),
            Self::Duration => duration(text).is_some(),
            Self::Email => is_email(text),
            Self::Time => time(text).is_some(),
            Self::Timestamp => timestamp(text).is_some(),
            Self::Uri => is_uri(text),
        }
    }
}

/// An RFC 3339 full-date.
pub fn date(text: &str) -> Option<jiff::civil::Date> {
    let shape = matches!(text.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _]);
    if shape { jiff::civil::Date::from_str(text).ok() } else { None }
}

/// An RFC 3339 partial-time, with or without an offset; the offset is dropped when it is zero and
/// refused otherwise, because a time of day has no zone to be converted to.
pub fn time(text: &str) -> Option<jiff::civil::Time> {
    let local =
        text.strip_suffix(['Z', 'z']).or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    let shape = matches!(local.as_bytes(), [_, _, b':', _, _, ..])
        && local.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.');
    if shape { jiff::civil::Time::from_str(local).ok() } else { None }
}

/// An RFC 3339 date-time; one without an offset is read as UTC.
pub fn date_time(text: &str) -> Option<jiff::Timestamp> {
    let shape = matches!(
        text.as_bytes(),
        [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', ..]
    );
    if !shape || text.contains('[') {
        return None;
    }
    jiff::Timestamp::from_str(text).ok().or_else(|| {
        let local = jiff::civil::DateTime::from_str(text).ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(local).ok()
    })
}

/// Seconds since the Unix epoch, with decimals if need be, as a text of digits.
pub fn timestamp(text: &str) -> Option<jiff::Timestamp> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(fraction) || fraction.len() > 9 {
        return None;
    }
    let sign = if digits.len() == text.len() { 1 } else { -1 };
    let seconds: i64 = whole.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    jiff::Timestamp::new(sign * seconds, i32::try_from(sign).ok()? * nanos).ok()
}

/// An ISO 8601 duration of fixed length: weeks, days (of 24 hours), hours, minutes, seconds. Years
/// and months have no fixed length and are refused.
pub fn duration(text: &str) -> Option<jiff::SignedDuration> {
    if !text.trim_start_matches(['+', '-']).starts_with('P') {
        return None;
    }
    let span = jiff::Span::from_str(text).ok()?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}

/// An RFC 5321 mailbox in its usual form: a dot-atom, `@`, and a domain.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| {
                c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
            })
    };
    let label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii())
    };
    local.len() <= 64
        && domain.len() <= 255
        && local.split('.').all(atom)
        && domain.split('.').all(label)
}

/// An RFC 3986 URI: a scheme, a colon, and characters that a URI may have.
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let hex = |b: Option<&u8>| b.is_some_and(u8::is_ascii_hexdigit);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !rest.is_empty()
        && rest.bytes().enumerate().all(|(i, b)| match b {
            b'%' => hex(rest.as_bytes().get(i + 1)) && hex(rest.as_bytes().get(i + 2)),
            _ => b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&b),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_and_refuse() {
        let table = [
            (Format::Date, "2024-02-29", true),
            (Format::Date, "2023-02-29", false),
            (Format::Date, "2024-2-9", false),
            (Format::Time, "13:45", true),
            (Format::Time, "13:45:10.5Z", true),
            (Format::Time, "13:45:10+02:00", false),
            (Format::Time, "25:00", false),
            (Format::DateTime, "2024-01-01T10:00:00Z", true),
            (Format::DateTime, "2024-01-01T10:00:00+02:00", true),
            (Format::DateTime, "2024-01-01 10:00:00", true),
            (Format::DateTime, "2024-01-01", false),
            (Format::Duration, "PT1H30M", true),
            (Format::Duration, "P3D", true),
            (Format::Duration, "P1M", false),
            (Format::Duration, "90s", false),
            (Format::Timestamp, "1700000000", true),
            (Format::Timestamp, "-1.5", true),
            (Format::Timestamp, "1e9", false),
            (Format::Email, "a.b+c@x-y.example", true),
            (Format::Email, "a@b@c", false),
            (Format::Email, "@x", false),
            (Format::Uri, "https://x.example/a?b#c", true),
            (Format::Uri, "urn:isbn:1", true),
            (Format::Uri, "no scheme", false),
            (Format::Uri, "a:%zz", false),
        ];
        for (format, text, expected) in table {
            assert_eq!(format.accepts(text), expected, "{} {text}", format.as_str());
        }
    }
}
