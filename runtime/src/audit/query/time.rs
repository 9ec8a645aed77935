//! Points in time as people give them: `10s`, `5m`, `2h`, `1d` ago, or RFC 3339.

use jiff::{SignedDuration, Timestamp};

/// Why a text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a point in time; write how long ago, such as `10s`, `5m`, `2h` or `1d`, or a \
     time such as `2026-01-31T12:00:00Z`"
)]
pub struct TimeError(String);

/// Reads a point in time; a length counts back from `now`.
///
/// # Errors
/// When the text is neither, or too long ago to be represented.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, TimeError> {
    let fail = || TimeError(text.to_owned());
    if let Some(seconds) = seconds(text.trim()) {
        return now.checked_sub(SignedDuration::from_secs(seconds)).map_err(|_| fail());
    }
    text.trim().parse().map_err(|_| fail())
}

/// The seconds of a length, if it is one; one that is too long is longer than all of time.
fn seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().next_back()?.to_ascii_lowercase() {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.parse::<i64>().ok().and_then(|count| count.checked_mul(unit)).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn lengths_count_back_and_times_are_read() {
        for (text, expected) in [
            ("10s", "2026-11-24T11:59:50Z"),
            ("5m", "2026-11-24T11:55:00Z"),
            ("2H", "2026-11-24T10:00:00Z"),
            (" 1d ", "2026-11-23T12:00:00Z"),
            ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
        ] {
            assert_eq!(parse_time(text, now()), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in
            ["", "d", "-1d", "1w", "1.5h", "yesterday", "99999999999999999999d", "9999999999d", "ü"]
        {
            let error = parse_time(text, now()).unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = parse_time(&text, now());
        }
    }
}
