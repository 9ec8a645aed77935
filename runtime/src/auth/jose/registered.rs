//! The registered claims of a token (RFC 7519 section 4.1), read with their types and checked.
//!
//! A claim of the wrong type is a fault, never an absent claim: `"exp": "never"` must not be a token
//! without an end, nor `"aud": {…}` one for everybody.

use crate::auth::claims::Claims;
use crate::json::{Json, get};

/// Seconds by which the provider's clock and ours may differ.
pub const MAX_CLOCK_SKEW_S: i64 = 60;
/// Audiences of one token.
pub const MAX_AUDIENCES: usize = 64;
/// The end of the year 9999: no honest time is after it.
const MAX_TIME_S: i64 = 253_402_300_799;

/// Registered claims, as far as they are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// `iss`
    pub issuer: Option<String>,
    /// `sub`, not empty
    pub subject: Option<String>,
    /// `aud`; one string is a list of one
    pub audience: Vec<String>,
    /// `exp`, seconds since 1970
    pub expires_at: Option<i64>,
    /// `nbf`, seconds since 1970
    pub not_before: Option<i64>,
    /// `iat`, seconds since 1970
    pub issued_at: Option<i64>,
}

/// What is wrong with the claims of a token. Says nothing of their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimFault {
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim has a type that it may not have.
    #[error("the claim `{0}` has the wrong type")]
    Type(&'static str),
    /// It is of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("it is not for this server")]
    Audience,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
    /// It is a token of another kind than what is asked for here.
    #[error("it is {0}")]
    Kind(&'static str),
}

impl Registered {
    /// Reads the registered claims.
    ///
    /// # Errors
    /// When one of them has the wrong type.
    pub fn read(claims: &Claims) -> Result<Self, ClaimFault> {
        let members = claims.members();
        let text = |name: &'static str| match get(&members, name) {
            None => Ok(None),
            Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.to_string())),
            Some(_) => Err(ClaimFault::Type(name)),
        };
        let time = |name: &'static str| match get(&members, name) {
            None => Ok(None),
            Some(Json::Number(text)) => seconds(text).ok_or(ClaimFault::Type(name)).map(Some),
            Some(_) => Err(ClaimFault::Type(name)),
        };
        let audience = match get(&members, "aud") {
            None => Vec::new(),
            Some(Json::String(text)) => vec![text.to_string()],
            Some(Json::Array(items)) if items.len() <= MAX_AUDIENCES => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or(ClaimFault::Type("aud"))?,
            Some(_) => return Err(ClaimFault::Type("aud")),
        };
        Ok(Self {
            issuer: text("iss")?,
            subject: text("sub")?,
            audience,
            expires_at: time("exp")?,
            not_before: time("nbf")?,
            issued_at: time("iat")?,
        })
    }

    /// Checks the issuer, which must be there.
    ///
    /// # Errors
    /// When it is another, or none.
    pub fn check_issuer(&self, accepted: &[&str]) -> Result<(), ClaimFault> {
        let issuer = self.issuer.as_deref().ok_or(ClaimFault::Missing("iss"))?;
        if accepted.contains(&issuer) { Ok(()) } else { Err(ClaimFault::Issuer) }
    }

    /// Checks the times; `exp` must be there. Returns when the token is over, the skew included.
    ///
    /// # Errors
    /// When it is over, has not begun, or never ends.
    pub fn check_times(&self, now_s: i64) -> Result<i64, ClaimFault> {
        let over_at = self.expires_at.ok_or(ClaimFault::Missing("exp"))? + MAX_CLOCK_SKEW_S;
        if over_at <= now_s {
            return Err(ClaimFault::Expired);
        }
        let latest = now_s + MAX_CLOCK_SKEW_S;
        if self.not_before.is_some_and(|from| from > latest)
            || self.issued_at.is_some_and(|at| at > latest)
        {
            return Err(ClaimFault::NotYet);
        }
        Ok(over_at)
    }
}

/// A NumericDate: whole seconds, fractions cut off.
fn seconds(text: &str) -> Option<i64> {
    let whole = match text.parse::<i64>() {
        Ok(whole) => whole,
        Err(_) => {
            let number = text.parse::<f64>().ok()?.floor();
            #[expect(clippy::cast_precision_loss, reason = "the bound is exact as a double")]
            let max = MAX_TIME_S as f64;
            if !(0.0..=max).contains(&number) {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and within bounds")]
            let whole = number as i64;
            whole
        }
    };
    (0..=MAX_TIME_S).contains(&whole).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Registered, ClaimFault> {
        Registered::read(&Claims::parse(text).unwrap())
    }

    #[test]
    fn wrong_types_are_faults() {
        for (name, values) in [
            ("iss", ["1", "null", "[\"a\"]", "\"\""]),
            ("sub", ["1", "null", "[\"a\"]", "\"\""]),
            ("aud", ["1", "null", "{\"a\": \"a\"}", "[\"a\", 1]"]),
            ("exp", ["\"9999999999\"", "null", "true", "[9999999999]"]),
            ("nbf", ["\"0\"", "null", "1e300", "-1"]),
            ("iat", ["\"0\"", "{}", "1e12", "-0.5"]),
        ] {
            for value in values {
                let fault = read(&format!("{{\"{name}\": {value}}}")).unwrap_err();
                assert_eq!(fault, ClaimFault::Type(name), "{name}: {value}");
            }
        }
        let many = format!("{{\"aud\": [{}\"a\"]}}", "\"a\",".repeat(MAX_AUDIENCES));
        assert_eq!(read(&many), Err(ClaimFault::Type("aud")));
    }

    #[test]
    fn times() {
        let at = |text: &str, now| read(text).unwrap().check_times(now);
        assert_eq!(at("{}", 0), Err(ClaimFault::Missing("exp")));
        assert_eq!(at(r#"{"exp": 1000}"#, 1_000 + MAX_CLOCK_SKEW_S - 1), Ok(1_060));
        assert_eq!(at(r#"{"exp": 1000}"#, 1_000 + MAX_CLOCK_SKEW_S), Err(ClaimFault::Expired));
        assert_eq!(at(r#"{"exp": 1000.9, "nbf": 1e2}"#, 100), Ok(1_060));
        assert_eq!(at(r#"{"exp": 9999, "nbf": 1000}"#, 1_000 - MAX_CLOCK_SKEW_S), Ok(10_059));
        assert_eq!(at(r#"{"exp": 9999, "nbf": 1000}"#, 939), Err(ClaimFault::NotYet));
        assert_eq!(at(r#"{"exp": 9999, "iat": 1000}"#, 939), Err(ClaimFault::NotYet));
    }
}
