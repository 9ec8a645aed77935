//! What is claimed about somebody, and the capabilities that follow from it.

use std::fmt;
use std::sync::Arc;

use crate::json::{self, Json, JsonError, Member};

/// Containers within containers of claims.
pub const MAX_CLAIMS_DEPTH: usize = 24;

/// Claims: a JSON object, kept as text. No name is in it twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Claims(Arc<str>);

/// A text that is no claims.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// It is not JSON.
    #[error("not acceptable JSON: {0}")]
    Json(#[from] JsonError),
    /// It is not an object.
    #[error("{0}, not an object")]
    NotAnObject(&'static str),
}

impl Default for Claims {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

impl Claims {
    /// Reads claims.
    ///
    /// # Errors
    /// When the text is not a JSON object, has a name twice or is nested too deeply.
    pub fn parse(text: &str) -> Result<Self, ClaimsError> {
        match json::parse_within(text.as_bytes(), MAX_CLAIMS_DEPTH)? {
            Json::Object(_) => Ok(Self(text.into())),
            other => Err(ClaimsError::NotAnObject(other.kind())),
        }
    }

    /// Claims from their members.
    pub fn from_members(members: Vec<Member<'_>>) -> Self {
        Self(Json::Object(members).to_string().into())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The members, read from the text.
    pub fn members(&self) -> Vec<Member<'_>> {
        match json::parse_within(self.0.as_bytes(), MAX_CLAIMS_DEPTH) {
            Ok(Json::Object(members)) => members,
            _ => Vec::new(),
        }
    }

    /// These claims with those of `other` that are not among them.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut members = self.members();
        let more: Vec<_> = other
            .members()
            .into_iter()
            .filter(|(name, _)| json::get(&members, name).is_none())
            .collect();
        if more.is_empty() {
            return self.clone();
        }
        members.extend(more);
        Self::from_members(members)
    }
}

/// Which claims give which capabilities: `claim_mappings` of a provider's section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mappings {
    /// claim path, value, capabilities
    pub entries: Vec<(String, String, Vec<String>)>,
}

impl Mappings {
    /// The capabilities that claims give: of all mappings that match, each once, in the order of the
    /// mappings.
    pub fn capabilities(&self, claims: &Claims) -> Vec<String> {
        let claims = Json::Object(claims.members());
        let mut capabilities: Vec<String> = Vec::new();
        for (path, value, given) in &self.entries {
            if find(&claims, path).is_some_and(|claim| has(claim, value)) {
                for capability in given {
                    if !capabilities.contains(capability) {
                        capabilities.push(capability.clone());
                    }
                }
            }
        }
        capabilities
    }
}

/// A claim: first as an exact key, else along the dots.
pub fn find<'c, 'a>(claims: &'c Json<'a>, path: &str) -> Option<&'c Json<'a>> {
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// Whether a claim is, or is a list with, a value. One string is a list of its words.
fn has(claim: &Json<'_>, value: &str) -> bool {
    match claim {
        Json::Array(items) => items.iter().any(|item| is(item, value)),
        Json::String(text) => {
            text == value || text.split_ascii_whitespace().any(|word| word == value)
        }
        scalar => is(scalar, value),
    }
}

/// Whether a scalar is written like this.
fn is(scalar: &Json<'_>, value: &str) -> bool {
    match scalar {
        Json::String(text) => text == value,
        Json::Number(text) => *text == value,
        Json::Bool(flag) => value == if *flag { "true" } else { "false" },
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings(entries: &[(&str, &str, &[&str])]) -> Mappings {
        let entry = |(path, value, given): &(&str, &str, &[&str])| {
            let given = given.iter().map(|&capability| capability.to_owned()).collect();
            ((*path).to_owned(), (*value).to_owned(), given)
        };
        Mappings { entries: entries.iter().map(entry).collect() }
    }

    #[track_caller]
    fn check(claims: &str, entries: &[(&str, &str, &[&str])], expected: &[&str]) {
        let claims = Claims::parse(claims).unwrap();
        assert_eq!(mappings(entries).capabilities(&claims), expected);
    }

    #[test]
    fn an_exact_key_comes_before_a_path() {
        let claims = r#"{"https://corp.com/roles": ["a"], "x.y": "exact", "x": {"y": "path"}}"#;
        check(claims, &[("https://corp.com/roles", "a", &["one"])], &["one"]);
        check(claims, &[("x.y", "exact", &["e"]), ("x.y", "path", &["p"])], &["e"]);
        check(r#"{"x": {"y": ["path"]}}"#, &[("x.y", "path", &["p"])], &["p"]);
        check(r#"{"x": ["y"]}"#, &[("x.y", "y", &["p"]), ("x.0", "y", &["q"])], &[]);
    }

    #[test]
    fn lists_words_and_scalars() {
        check(
            r#"{"r": "a b"}"#,
            &[("r", "b", &["two"]), ("r", "a b", &["both"])],
            &["two", "both"],
        );
        check(r#"{"r": ["a b"]}"#, &[("r", "b", &["no"]), ("r", "a b", &["whole"])], &["whole"]);
        check(
            r#"{"r": true, "n": 7}"#,
            &[("r", "true", &["t"]), ("n", "7", &["seven"])],
            &["t", "seven"],
        );
        check(r#"{"r": "false"}"#, &[("r", "true", &["t"])], &[]);
        check(r#"{"r": null, "o": {}}"#, &[("r", "null", &["n"]), ("o", "{}", &["o"])], &[]);
    }

    #[test]
    fn all_matches_add_up() {
        let entries: &[(&str, &str, &[&str])] =
            &[("r", "a", &["x", "y"]), ("r", "b", &["y", "z"]), ("s", "a", &["w"])];
        check(r#"{"r": ["b", "a"]}"#, entries, &["x", "y", "z"]);
    }

    #[test]
    fn claims_are_strict_and_do_not_print() {
        assert!(Claims::parse(r#"{"role": "a", "role": "b"}"#).is_err());
        assert!(Claims::parse(r#"{"role": "a", "\u0072ole": "b"}"#).is_err());
        assert!(Claims::parse("[]").is_err());
        assert!(!format!("{:?}", Claims::parse(r#"{"a": "secret"}"#).unwrap()).contains("secret"));
    }

    #[test]
    fn others_add_and_never_replace() {
        let signed = Claims::parse(r#"{"sub": "a", "role": "user"}"#).unwrap();
        let more = Claims::parse(r#"{"sub": "b", "role": "admin", "name": "A"}"#).unwrap();
        assert_eq!(signed.with(&more).text(), r#"{"sub":"a","role":"user","name":"A"}"#);
    }
}
