//! Key words: which names of members and parameters say by themselves that the value is secret.

/// The words that redact everywhere.
pub const BUILT_IN: [&str; 4] = ["password", "secret", "token", "key"];

/// A list of key words.
#[derive(Debug, Clone)]
pub struct Words {
    /// each a sequence of words in lower case: `credit_card` is two
    entries: Box<[Box<[String]>]>,
}

impl Words {
    /// The built-in words and these.
    pub fn new<'a>(more: impl IntoIterator<Item = &'a str>) -> Self {
        let entries = BUILT_IN.into_iter().chain(more).map(|entry| {
            let words: Vec<String> = Split { rest: entry }.map(str::to_lowercase).collect();
            words.into_boxed_slice()
        });
        Self { entries: entries.filter(|words| !words.is_empty()).collect() }
    }

    /// Whether one of the entries stands in `name`, word for word, in any spelling: `apiKey`,
    /// `API_KEY`, `api-keys`. `monkey` does not contain `key`.
    pub fn stand_in(&self, name: &str) -> bool {
        let mut from = Split { rest: name };
        loop {
            if self.entries.iter().any(|entry| begins(from.clone(), entry)) {
                return true;
            }
            if from.next().is_none() {
                return false;
            }
        }
    }
}

impl Default for Words {
    fn default() -> Self {
        Self::new([])
    }
}

fn begins(mut words: Split<'_>, entry: &[String]) -> bool {
    entry.iter().all(|wanted| words.next().is_some_and(|word| same(word, wanted)))
}

/// Whether they are equal but for case and a plural's `s`.
fn same(word: &str, wanted: &str) -> bool {
    let mut left = word.chars().flat_map(char::to_lowercase);
    for right in wanted.chars() {
        if left.next() != Some(right) {
            return false;
        }
    }
    match left.next() {
        None => true,
        Some('s') => left.next().is_none(),
        Some(_) => false,
    }
}

/// Splits a name into words: at whatever is neither letter nor digit, between letters and digits,
/// before a capital that follows a small letter, and before the last of several capitals that a
/// small letter follows (`APIKey`).
#[derive(Debug, Clone)]
struct Split<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut chars = text.char_indices().peekable();
        let (_, mut last) = chars.next()?;
        let mut end = text.len();
        while let Some((at, c)) = chars.next() {
            let ends = if c.is_uppercase() && last.is_uppercase() {
                chars.peek().is_some_and(|(_, after)| after.is_lowercase())
            } else {
                c.is_uppercase() || !c.is_alphanumeric() || c.is_numeric() != last.is_numeric()
            };
            if ends {
                end = at;
                break;
            }
            last = c;
        }
        let (word, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(name: &str) -> Vec<&str> {
        Split { rest: name }.collect()
    }

    #[test]
    fn names_are_split_as_people_write_them() {
        assert_eq!(split("apiKey"), ["api", "Key"]);
        assert_eq!(split("APIKey"), ["API", "Key"]);
        assert_eq!(split("HTTPServerToken2"), ["HTTP", "Server", "Token", "2"]);
        assert_eq!(split("--user_name.x"), ["user", "name", "x"]);
        assert_eq!(split("OAuthXsecret"), ["O", "Auth", "Xsecret"]);
        assert_eq!(split("ÄÖKey"), ["ÄÖ", "Key"]);
        assert_eq!(split("…"), Vec::<&str>::new());
    }

    #[test]
    fn words_are_found_and_syllables_are_not() {
        let words = Words::new(["credit_card", "ssn"]);
        for name in [
            "password",
            "PASSWORD",
            "newPassword",
            "api_key",
            "x-api-keys",
            "Token",
            "accessToken2",
            "clientSecretValue",
            "creditCard",
            "CREDIT-CARDS",
            "user.ssn",
        ] {
            assert!(words.stand_in(name), "{name}");
        }
        for name in
            ["monkey", "keyboard", "tokenize", "secretary", "passwordless", "credit", "card", ""]
        {
            assert!(!words.stand_in(name), "{name}");
        }
    }
}
