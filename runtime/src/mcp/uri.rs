//! URIs of resources: matching them to templates (RFC 6570, level 1) and decoding variables.
//!
//! A variable stands for one or more characters other than `/`. It is decoded once. What would
//! change the shape of the URI when decoded (a slash, a dot segment) is refused rather than
//! passed on to SQL that may build a path of it.

/// Length of a URI, at most.
pub const URI_MAX_BYTES: usize = 8_192;

/// A URI template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Box<[Segment]>,
    variables: Box<[Box<str>]>,
}

/// What stands between two slashes: texts with a variable between each two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    literals: Box<[Box<str>]>,
}

/// Why a URI that matches a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// It is too long.
    #[error("the URI is longer than {URI_MAX_BYTES} bytes")]
    TooLong,
    /// A `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("the value of `{0}` in the URI is not valid percent-encoded UTF-8")]
    Encoding(String),
    /// An encoded slash or backslash.
    #[error("the value of `{0}` in the URI must not contain a slash or backslash")]
    Slash(String),
    /// `.` or `..`
    #[error("the value of `{0}` in the URI must not be a dot segment")]
    Dots(String),
    /// A control character.
    #[error("the value of `{0}` in the URI must not contain control characters")]
    Control(String),
}

impl Template {
    /// Reads a template; the compiler has checked its form.
    pub fn new(template: &str) -> Self {
        let mut variables = Vec::new();
        let mut segment = |text: &str| {
            let mut literals = Vec::new();
            let mut rest = text;
            while let Some((literal, name, tail)) = next_variable(rest) {
                literals.push(literal.into());
                variables.push(name.into());
                rest = tail;
            }
            literals.push(rest.into());
            Segment { literals: literals.into_boxed_slice() }
        };
        let segments = template.split('/').map(&mut segment).collect();
        Self { segments, variables: variables.into_boxed_slice() }
    }

    /// Whether it has variables, so that it names many resources.
    pub const fn is_template(&self) -> bool {
        !self.variables.is_empty()
    }

    /// The names of the variables, in order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &**name)
    }

    /// The variables of a URI with their decoded values; `None` if the URI is another one's.
    ///
    /// # Errors
    /// When it matches, and a value is one that is refused.
    pub fn variables_of(&self, uri: &str) -> Option<Result<Vec<(&str, String)>, UriError>> {
        if uri.len() > URI_MAX_BYTES {
            return Some(Err(UriError::TooLong));
        }
        let mut raw = Vec::with_capacity(self.variables.len());
        let mut texts = uri.split('/');
        for segment in &self.segments {
            segment.values(texts.next()?, &mut raw)?;
        }
        if texts.next().is_some() {
            return None;
        }
        let decoded = self
            .variables
            .iter()
            .zip(raw)
            .map(|(name, raw)| decode(name, raw).map(|value| (&**name, value)));
        Some(decoded.collect())
    }
}

/// The text before the next variable, its name, and what follows it.
fn next_variable(text: &str) -> Option<(&str, &str, &str)> {
    let (literal, rest) = text.split_once('{')?;
    let (name, tail) = rest.split_once('}')?;
    Some((literal, name, tail))
}

impl Segment {
    /// Adds the raw values of the variables to `values`; `None` if the text does not match.
    fn values<'u>(&self, text: &'u str, values: &mut Vec<&'u str>) -> Option<()> {
        let (first, rest) = self.literals.split_first()?;
        let mut text = text.strip_prefix(&**first)?;
        let Some((last, middle)) = rest.split_last() else {
            return text.is_empty().then_some(());
        };
        // Each variable ends where the next literal first occurs, the last one where the segment
        // does: if there is a match at all, this finds one.
        text = text.strip_suffix(&**last)?;
        for literal in middle {
            let first_char = text.chars().next()?.len_utf8();
            let at = first_char + text.get(first_char..)?.find(&**literal)?;
            values.push(text.get(..at)?);
            text = text.get(at + literal.len()..)?;
        }
        values.push(text);
        (!text.is_empty()).then_some(())
    }
}

fn decode(name: &str, raw: &str) -> Result<String, UriError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(UriError::Encoding(name.to_owned()));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
    }
    let text = String::from_utf8(bytes).map_err(|_| UriError::Encoding(name.to_owned()))?;
    if text.contains(['/', '\\']) {
        return Err(UriError::Slash(name.to_owned()));
    }
    if text == "." || text == ".." {
        return Err(UriError::Dots(name.to_owned()));
    }
    if text.contains(char::is_control) {
        return Err(UriError::Control(name.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(template: &str, uri: &str) -> Option<Result<Vec<String>, UriError>> {
        let template = Template::new(template);
        let values = template.variables_of(uri)?;
        Some(values.map(|values| values.into_iter().map(|(_, value)| value).collect()))
    }

    fn matched(template: &str, uri: &str) -> Vec<String> {
        values(template, uri).unwrap().unwrap()
    }

    #[test]
    fn uris_match_their_template_alone() {
        assert_eq!(matched("a://x", "a://x"), [""; 0]);
        assert_eq!(matched("a://{id}/p", "a://7/p"), ["7"]);
        assert_eq!(matched("a://{x}-{y}.json", "a://b-c.d.json"), ["b", "c.d"]);
        assert_eq!(matched("a://{x}{y}", "a://bcd"), ["b", "cd"]);
        assert_eq!(matched("a://-{x}-{y}-", "a://-----"), ["-", "-"]);
        for (template, uri) in [
            ("a://x", "a://y"),
            ("a://{id}", "a://"),
            ("a://{id}", "a://x/y"),
            ("a://{id}/p", "a://7/q"),
            ("a://{id}", "b://x"),
            ("a://{x}{y}", "a://b"),
            ("a://{x}-{y}", "a://-b"),
        ] {
            assert_eq!(values(template, uri), None, "{template} {uri}");
        }
        let template = Template::new("a://{x}/{y_1}");
        assert!(template.is_template() && !Template::new("a://x").is_template());
        assert_eq!(template.variables().collect::<Vec<_>>(), ["x", "y_1"]);
    }

    #[test]
    fn values_are_decoded_once() {
        assert_eq!(matched("a://{x}", "a://M%C3%BCller%20%26"), ["Müller &"]);
        assert_eq!(matched("a://{x}", "a://%2541"), ["%41"]);
        assert_eq!(matched("a://{x}", "a://..."), ["..."]);
    }

    #[test]
    fn what_would_change_the_shape_is_refused() {
        let refused = |uri: &str| values("a://{x}", uri).unwrap().unwrap_err();
        let x = || "x".to_owned();
        assert_eq!(refused("a://a%2Fb"), UriError::Slash(x()));
        assert_eq!(refused("a://a%5cb"), UriError::Slash(x()));
        assert_eq!(refused("a://a\\b"), UriError::Slash(x()));
        assert_eq!(refused("a://.."), UriError::Dots(x()));
        assert_eq!(refused("a://%2e%2E"), UriError::Dots(x()));
        assert_eq!(refused("a://%00"), UriError::Control(x()));
        assert_eq!(refused("a://%zz"), UriError::Encoding(x()));
        assert_eq!(refused("a://%4"), UriError::Encoding(x()));
        assert_eq!(refused("a://%ff"), UriError::Encoding(x()));
        let long = format!("a://{}", "x".repeat(URI_MAX_BYTES));
        assert_eq!(refused(&long), UriError::TooLong);
    }

    proptest! {
        #[test]
        fn agrees_with_a_regular_expression(
            parts in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("/"), Just("{v}")], 0..6),
            uri in "[ab/]{0,7}",
        ) {
            let template = parts.concat();
            let pattern = regex::escape(&template).replace(r"\{v\}", "[^/]+");
            let expected = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(&uri);
            prop_assert_eq!(values(&template, &uri).is_some(), expected, "{} {}", template, uri);
        }

        #[test]
        fn what_is_encoded_comes_back(value in "[^/\\\\\\p{Cc}]{1,20}") {
            prop_assume!(value != "." && value != "..");
            let encoded = value.bytes().fold(String::new(), |out, byte| out + &format!("%{byte:02x}"));
            prop_assert_eq!(matched("a://{x}/b", &format!("a://{encoded}/b")), [value]);
        }

        #[test]
        fn any_uri_is_answered(uri in any::<String>()) {
            let _ = values("a://{x}/{y}-{z}", &uri);
            let _ = values("{x}", &uri);
        }
    }
}
