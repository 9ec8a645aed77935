//! The filters and tests that a template names.

use std::ops::Range;

use minijinja::{Environment, ErrorKind};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// behind `|`
    Filter,
    /// behind `is`
    Test,
}

impl Word {
    /// What diagnostics call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Test => "test",
        }
    }

    /// Whether the environment has it, which only a use of it tells.
    pub fn exists(self, environment: &Environment<'_>, name: &str) -> bool {
        let (use_of, missing) = match self {
            Self::Filter => (format!("{{{{ ''|{name} }}}}"), ErrorKind::UnknownFilter),
            Self::Test => (format!("{{{{ '' is {name} }}}}"), ErrorKind::UnknownTest),
        };
        environment.render_str(&use_of, ()).err().is_none_or(|error| error.kind() != missing)
    }
}

/// The filters and tests of a template that parses, with their places.
pub(super) fn named(template: &str) -> Vec<(Word, Range<usize>)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(open) = template.get(at..).and_then(|rest| rest.find('{')).map(|n| at + n) {
        let inside = open + 2;
        at = match template.get(open..inside) {
            Some("{#") => after(template, inside, "#}"),
            Some("{%") if is_raw(template, inside) => after(template, inside, "endraw"),
            Some("{{" | "{%") => inside + tag(template, inside, &mut found),
            _ => open + 1,
        };
    }
    found
}

fn after(template: &str, at: usize, end: &str) -> usize {
    let rest = template.get(at..).unwrap_or_default();
    at + rest.find(end).map_or(rest.len(), |n| n + end.len())
}

fn is_raw(template: &str, at: usize) -> bool {
    let rest = template.get(at..).unwrap_or_default();
    rest.trim_start_matches(['-', '+']).trim_start().starts_with("raw")
}

/// Reads one tag and returns its length.
fn tag(template: &str, start: usize, found: &mut Vec<(Word, Range<usize>)>) -> usize {
    let text = template.get(start..).unwrap_or_default();
    let (mut at, mut expected) = (0, None);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with("}}") || rest.starts_with("%}") {
            return at + 2;
        }
        if c == '\'' || c == '"' {
            at += string(rest, c);
        } else if c.is_alphabetic() || c == '_' {
            let length =
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let word = rest.get(..length).unwrap_or_default();
            let behind_dot = text.get(..at).is_some_and(|before| before.trim_end().ends_with('.'));
            expected = match (expected, word) {
                (Some(Word::Test), "not") => Some(Word::Test),
                (Some(kind), _) => {
                    found.push((kind, start + at..start + at + length));
                    None
                }
                (None, "is") if !behind_dot => Some(Word::Test),
                (None, _) => None,
            };
            at += length;
        } else {
            if !c.is_whitespace() {
                expected = (c == '|').then_some(Word::Filter);
            }
            at += c.len_utf8();
        }
    }
    text.len()
}

/// The length of a text in quotes.
fn string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::Word;

    /// The filters of Jinja2 3.1 that are not there; the page of the code names them.
    const MISSING: [&str; 7] =
        ["center", "forceescape", "random", "urlize", "wordcount", "wordwrap", "xmlattr"];

    #[test]
    fn the_filters_of_jinja2_are_there_but_for_some() {
        let environment = super::super::environment();
        let all = "abs attr batch capitalize center count d default dictsort e escape filesizeformat first \
                   float forceescape format groupby indent int items join last length list lower map max \
                   min pprint random reject rejectattr replace reverse round safe select selectattr slice \
                   sort string striptags sum title tojson trim truncate unique upper urlencode urlize \
                   wordcount wordwrap xmlattr";
        let missing: Vec<&str> = all
            .split_whitespace()
            .filter(|name| !Word::Filter.exists(&environment, name))
            .collect();
        assert_eq!(missing, MISSING);
    }
}
