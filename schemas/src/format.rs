//! The formats of declared strings, read strictly: documents are checked with them at build,
//! arguments and results at run time.
//!
//! What is read here is what conditions and SQL see, so a text has one meaning or none: times
//! without an offset are UTC, and a leap second, which neither side can hold, is refused.

use crate::bundle::definition::Format;

/// Length of a mailbox's local part and of its domain, at most (RFC 5321 section 4.5.3.1).
const LOCAL_PART_MAX_BYTES: usize = 64;
const DOMAIN_MAX_BYTES: usize = 255;
/// Length of a label of a domain name, at most (RFC 1035 section 2.3.4).
const LABEL_MAX_BYTES: usize = 63;

const SECONDS_PER_DAY: i64 = 86_400;
/// The longest duration that CEL holds, ten thousand years of 365.25 days.
const DURATION_MAX_SECONDS: i64 = 315_576_000_000;

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

/// Days since 1970-01-01 of an RFC 3339 `full-date`, years 0001 to 9999.
pub fn date(text: &str) -> Option<i32> {
    let mut scan = Scan::new(text);
    let days = scan.date()?;
    scan.end()?;
    i32::try_from(days).ok()
}

/// Microseconds since midnight of an RFC 3339 `partial-time`; the seconds may be left out. An
/// offset is dropped when it is zero and refused otherwise, because a time of day has no day on
/// which it could be converted.
pub fn time(text: &str) -> Option<i64> {
    let mut scan = Scan::new(text);
    let (seconds, nanos) = scan.time()?;
    if !scan.rest.is_empty() && scan.offset()? != 0 {
        return None;
    }
    scan.end()?;
    Some(seconds * 1_000_000 + i64::from(nanos / 1_000))
}

/// The instant of an RFC 3339 `date-time`, as seconds since the epoch and nanoseconds of that
/// second; without an offset it is UTC. A date alone is its midnight, as models often write it.
pub fn date_time(text: &str) -> Option<(i64, u32)> {
    let mut scan = Scan::new(text);
    let days = scan.date()?;
    if scan.rest.is_empty() {
        return instant(days * SECONDS_PER_DAY, 0);
    }
    scan.any(&['T', 't', ' '])?;
    let (seconds, nanos) = scan.time()?;
    let offset = if scan.rest.is_empty() { 0 } else { scan.offset()? };
    scan.end()?;
    instant(days * SECONDS_PER_DAY + seconds - offset, nanos)
}

/// The instant that a number of seconds since the epoch names, with up to nine decimals.
pub fn timestamp(text: &str) -> Option<(i64, u32)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let short = |text: &str, max: usize| {
        (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !short(whole, 12) || !short(fraction, 9) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    match (negative, nanos) {
        (false, nanos) => instant(seconds, nanos),
        (true, 0) => instant(-seconds, 0),
        (true, nanos) => instant(-seconds - 1, 1_000_000_000 - nanos),
    }
}

/// The length of an ISO 8601 duration such as `P3DT4H`, `PT0.5S` or `P2W`: seconds and nanoseconds
/// of the same sign. Days have 24 hours; years and months have no fixed length and are refused,
/// unless there are none of them.
pub fn duration(text: &str) -> Option<(i64, i32)> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, clock) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, clock)) => (days, clock),
        None if rest.is_empty() => return None,
        None => (rest, ""),
    };
    let mut total = Total::default();
    let rest = total.take(days, 'Y', None)?;
    let rest = total.take(rest, 'M', None)?;
    let rest = total.take(rest, 'W', Some(7 * SECONDS_PER_DAY))?;
    let rest = total.take(rest, 'D', Some(SECONDS_PER_DAY))?;
    rest.is_empty().then_some(())?;
    let rest = total.take(clock, 'H', Some(3_600))?;
    let rest = total.take(rest, 'M', Some(60))?;
    let rest = total.take(rest, 'S', Some(1))?;
    let fits = rest.is_empty() && total.seconds <= DURATION_MAX_SECONDS;
    fits.then_some((total.seconds * sign, total.nanos * i32::try_from(sign).ok()?))
}

/// What the parts of a duration add up to.
#[derive(Default)]
struct Total {
    seconds: i64,
    nanos: i32,
}

impl Total {
    /// Takes a number with its unit from the front of `text`, if that unit comes next. A unit
    /// without length may only be counted zero times.
    fn take<'t>(&mut self, text: &'t str, unit: char, seconds: Option<i64>) -> Option<&'t str> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, rest) = text.split_at_checked(end)?;
        let Some(rest) = rest.strip_prefix(unit) else { return Some(text) };
        self.add(number, seconds)?;
        Some(rest)
    }

    fn add(&mut self, number: &str, unit_seconds: Option<i64>) -> Option<()> {
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if unit_seconds == Some(1) => (whole, fraction),
            Some(_) => return None,
            None => (number, "0"),
        };
        if !(1..=9).contains(&fraction.len()) {
            return None;
        }
        let count: i64 = whole.parse().ok()?;
        let Some(unit_seconds) = unit_seconds else { return (count == 0).then_some(()) };
        self.seconds = self.seconds.checked_add(count.checked_mul(unit_seconds)?)?;
        self.nanos = format!("{fraction:0<9}").parse().ok()?;
        Some(())
    }
}

/// Whether the text is a mailbox: a dot-atom, `@`, a domain name or address literal.
pub fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c))
    };
    let label = |part: &str| {
        (1..=LABEL_MAX_BYTES).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    local.len() <= LOCAL_PART_MAX_BYTES
        && domain.len() <= DOMAIN_MAX_BYTES
        && local.split('.').all(atom)
        && domain.split('.').all(label)
}

/// Whether the text is an absolute URI or a scheme with what follows (RFC 3986 section 3).
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let bytes = rest.as_bytes();
    let legal = bytes.iter().enumerate().all(|(i, byte)| match byte {
        b'%' => bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte),
    });
    scheme_fits && !rest.is_empty() && legal
}

/// An instant that CEL can hold: years 0001 to 9999.
fn instant(seconds: i64, nanos: u32) -> Option<(i64, u32)> {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    (FIRST..=LAST).contains(&seconds).then_some((seconds, nanos))
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// What is left of a text that is read from the front.
struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    const fn new(rest: &'a str) -> Self {
        Self { rest }
    }

    fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn any(&mut self, chars: &[char]) -> Option<char> {
        let found = self.rest.chars().next().filter(|c| chars.contains(c))?;
        self.rest = self.rest.get(found.len_utf8()..)?;
        Some(found)
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        number.parse().ok()
    }

    fn within(&mut self, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        self.number(2).filter(|number| range.contains(number))
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.number(4).filter(|year| *year > 0)?;
        self.any(&['-'])?;
        let month = self.within(1..=12)?;
        self.any(&['-'])?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = self.within(1..=last)?;
        Some(days_from_civil(year, month, day))
    }

    /// Seconds since midnight and nanoseconds.
    fn time(&mut self) -> Option<(i64, u32)> {
        let hours = self.within(0..=23)?;
        self.any(&[':'])?;
        let minutes = self.within(0..=59)?;
        let mut nanos = 0;
        if self.any(&[':']).is_none() {
            return Some((hours * 3_600 + minutes * 60, nanos));
        }
        let seconds = self.within(0..=59)?;
        if self.any(&['.']).is_some() {
            let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at_checked(end)?;
            if !(1..=9).contains(&digits.len()) {
                return None;
            }
            self.rest = rest;
            nanos = format!("{digits:0<9}").parse().ok()?;
        }
        Some((hours * 3_600 + minutes * 60 + seconds, nanos))
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.any(&['Z', 'z', '+', '-'])? {
            '+' => 1,
            '-' => -1,
            _ => return Some(0),
        };
        let hours = self.within(0..=23)?;
        self.any(&[':'])?;
        let minutes = self.within(0..=59)?;
        Some(sign * (hours * 3_600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            (Format::DateTime, "2024-01-01", true),
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

    #[test]
    fn dates() {
        assert_eq!(date("1970-01-01"), Some(0));
        assert_eq!(date("2000-02-29"), Some(11_016));
        assert_eq!(date("0001-01-01"), Some(-719_162));
        for text in [
            "",
            "2001-02-29",
            "1900-02-29",
            "2020-13-01",
            "2020-00-10",
            "2020-1-01",
            "0000-01-01",
            "2020-01-01T",
            " 2020-01-01",
            "2020-01-0é",
        ] {
            assert_eq!(date(text), None, "{text:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("00:00:01"), Some(1_000_000));
        assert_eq!(time("12:00:00.5Z"), Some(43_200_500_000));
        assert_eq!(time("13:45"), Some(49_500_000_000));
        assert_eq!(time("12:00:00+00:00"), Some(43_200_000_000));
        for text in
            ["24:00:00", "1:00:00", "12:", "12:00:60", "12:00:00.", "12:00:00+2", "12:00:00+02:00"]
        {
            assert_eq!(time(text), None, "{text:?}");
        }
    }

    #[test]
    fn instants() {
        let epoch = (0, 0);
        for text in [
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00",
            "1970-01-01 01:00:00+01:00",
            "1969-12-31t19:00:00-05:00",
            "1970-01-01",
        ] {
            assert_eq!(date_time(text), Some(epoch), "{text}");
        }
        let last = date_time("9999-12-31T23:59:59.999999999Z").unwrap();
        assert_eq!(last, (253_402_300_799, 999_999_999));
        for text in [
            "1970-01-01T",
            "9999-12-31T23:59:59-01:00",
            "0001-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00ZZ",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
        assert_eq!(timestamp("0"), Some(epoch));
        assert_eq!(timestamp("-0.25"), Some((-1, 750_000_000)));
        assert_eq!(timestamp("1700000000.5"), Some((1_700_000_000, 500_000_000)));
        for text in ["", "-", "1e3", "1.", ".5", "9999999999999", "0x1", "253402300800"] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("P1DT2H3M4.5S"), Some((93_784, 500_000_000)));
        assert_eq!(duration("-PT0.5S"), Some((0, -500_000_000)));
        assert_eq!(duration("P2W"), Some((1_209_600, 0)));
        assert_eq!(duration("P0Y"), Some((0, 0)));
        assert_eq!(duration("P3652500D"), Some((DURATION_MAX_SECONDS, 0)));
        for text in [
            "",
            "P",
            "PT",
            "P1",
            "1D",
            "P1DT",
            "P1H",
            "PT1D",
            "P1.5D",
            "PT1M1H",
            "PT.S",
            "PT1.S",
            "P1Y",
            "P1D1D",
            "P3652501D",
            "P99999999999999999999D",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn mailboxes_and_uris() {
        for text in ["a@b.c", "first.last+tag@sub.example.com", "ü@exämple.de"] {
            assert!(is_email(text), "{text}");
        }
        for text in
            ["", "a", "@b", "a@", "a b@c.d", ".a@b.c", "a..b@c.d", "a@-b.c", "a@b..c", "a@b@c.d"]
        {
            assert!(!is_email(text), "{text}");
        }
        for text in ["https://a.b/c?d=%20#e", "urn:isbn:1", "mailto:a@b.c"] {
            assert!(is_uri(text), "{text}");
        }
        for text in ["", "a", "://a", "1a:b", "a: b", "a:%2", "a:é", "a:"] {
            assert!(!is_uri(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = (date(&text), time(&text), date_time(&text), timestamp(&text));
            let _ = (duration(&text), is_email(&text), is_uri(&text));
            prop_assert!(Format::ALL.iter().all(|(_, format)| !text.is_empty() || !format.accepts(&text)));
        }

        #[test]
        fn dates_agree_with_jiff(days in -719_162_i32..2_932_896) {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day = epoch.checked_add(jiff::Span::new().days(i64::from(days))).unwrap();
            prop_assert_eq!(date(&day.to_string()), Some(days));
        }
    }
}
