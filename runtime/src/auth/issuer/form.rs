//! Parameters of OAuth requests: the query of a URL, or a form.

use std::fmt;

use url::form_urlencoded;

use super::reply::OAuthError;

/// Parameters of a request, at most.
const PARAMETERS_MAX: usize = 64;

/// Parameters, each at most once. One without a value counts as absent (RFC 6749 §3.1).
#[derive(Clone, Default)]
pub(super) struct Form {
    parameters: Vec<(String, String)>,
    twice: Option<String>,
}

/// Codes, secrets and verifiers are among its values.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parameters.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// Reads `a=b&c=d`.
    ///
    /// # Errors
    /// When it has too many parameters, or text that is not UTF-8 or holds control characters.
    pub(super) fn parse(text: &[u8]) -> Result<Self, OAuthError> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            if form.parameters.len() >= PARAMETERS_MAX {
                return Err(OAuthError::invalid_request("there are too many parameters"));
            }
            let is_odd = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
            if name.contains(is_odd) || value.contains(is_odd) {
                return Err(OAuthError::invalid_request("a parameter is not plain text"));
            }
            if value.is_empty() {
                continue;
            }
            if form.parameters.iter().any(|(known, _)| *known == name) {
                form.twice = Some(name.to_string());
            }
            form.parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(form)
    }

    /// Refuses what stands there twice (RFC 6749 §3.1). Only `resource` may (RFC 8707 §2).
    pub(super) fn once(&self) -> Result<(), OAuthError> {
        match &self.twice {
            Some(name) if name != "resource" => {
                Err(OAuthError::invalid_request("a parameter appears twice"))
            }
            _ => Ok(()),
        }
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let of =
            move |(known, value): &'f (String, String)| (known == name).then_some(value.as_str());
        self.parameters.iter().filter_map(of)
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn need(&self, name: &'static str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(&format!("`{name}` is missing")))
    }
}

/// A URL with parameters added to its query.
pub(super) fn with_query(url: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        query.append_pair(name, value);
    }
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{url}{separator}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_never_printed() {
        let form = Form::parse(b"code=canary&code_verifier=canary").unwrap();
        let printed = format!("{form:?} {form:#?}");
        assert!(printed.contains("code_verifier") && !printed.contains("canary"), "{printed}");
    }

    #[test]
    fn parameters_are_read_once_each() {
        let form = Form::parse(b"a=1&b=x+y%20z&empty=&c=%C3%A9").unwrap();
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c")),
            (Some("1"), Some("x y z"), Some("é"))
        );
        assert_eq!(form.get("empty"), None);
        assert!(form.once().is_ok());
        assert!(form.need("d").is_err());
        assert!(Form::parse(b"a=1&a=2").unwrap().once().is_err());
        assert!(Form::parse(b"resource=1&resource=2").unwrap().once().is_ok());
        for odd in [&b"a=%FF"[..], b"a=%00", b"a=x%0d%0aSet-Cookie:y", b"%0a=1"] {
            assert!(Form::parse(odd).is_err());
        }
        assert!(Form::parse("x=1&".repeat(PARAMETERS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn queries_are_extended() {
        let add = |url| with_query(url, &[("code", "a b&c"), ("iss", "https://x")]);
        assert_eq!(add("https://c/cb"), "https://c/cb?code=a+b%26c&iss=https%3A%2F%2Fx");
        assert_eq!(add("https://c/cb?x=1"), "https://c/cb?x=1&code=a+b%26c&iss=https%3A%2F%2Fx");
        assert_eq!(add("https://c/cb?"), "https://c/cb?code=a+b%26c&iss=https%3A%2F%2Fx");
    }
}
