//! Checking the Jinja2 templates of a prompt: that they parse, that the filters and tests they use
//! exist, and that every variable they use is a parameter, unless the template itself says what happens
//! without it.

mod words;

use std::collections::BTreeSet;

use minijinja::Environment;

pub use words::Word;

/// The longest template.
pub const MAX_TEMPLATE_BYTES: usize = 1 << 18;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It does not parse.
    Syntax {
        /// the parser's words
        message: String,
        /// byte range in the template, where known
        range: Option<std::ops::Range<usize>>,
    },
    /// It uses a filter or a test that does not exist.
    Word {
        /// which of the two
        kind: Word,
        /// its name
        name: String,
        /// byte range in the template
        range: std::ops::Range<usize>,
    },
    /// It uses a variable that is no parameter.
    Unknown {
        /// the variable
        name: String,
        /// byte range of its first use, where found
        range: Option<std::ops::Range<usize>>,
    },
}

/// Checks one template against the names of the parameters.
pub fn check(template: &str, parameters: &BTreeSet<&str>) -> Vec<Problem> {
    let environment = environment();
    let parsed = match environment.template_from_str(template) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            return vec![Problem::Syntax { message, range: error.range() }];
        }
    };
    let mut unknown: Vec<String> = parsed
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !parameters.contains(name.as_str()) && !is_global(&environment, name))
        .filter(|name| !is_covered(template, name))
        .collect();
    unknown.sort();
    let variables = unknown.into_iter().map(|name| {
        let range = find_word(template, &name).map(|at| at..at + name.len());
        Problem::Unknown { name, range }
    });
    let named = words::named(template).into_iter().filter_map(|(kind, range)| {
        let name = template.get(range.clone())?.to_owned();
        (!kind.exists(&environment, &name)).then_some(Problem::Word { kind, name, range })
    });
    named.chain(variables).collect()
}

/// An environment like the one that renders, without loaders: templates reach no file.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    minijinja_contrib::add_to_environment(&mut environment);
    environment
}

fn is_global(environment: &Environment<'_>, name: &str) -> bool {
    environment.globals().any(|(global, _)| global == name)
}

/// Whether some use of the variable says what happens when it is not defined.
fn is_covered(template: &str, name: &str) -> bool {
    let mut from = 0;
    while let Some(at) = template.get(from..).and_then(|rest| find_word(rest, name)) {
        let after = template.get(from + at + name.len()..).unwrap_or("").trim_start();
        let says = |prefix: &str| {
            after.strip_prefix(prefix).map(str::trim_start).is_some_and(|rest| {
                ["default", "d(", "defined", "not defined", "undefined"]
                    .iter()
                    .any(|word| rest.starts_with(word))
            })
        };
        if says("|") || says("is ") {
            return true;
        }
        from += at + name.len();
    }
    false
}

/// The first place where `name` stands as a word of its own.
fn find_word(text: &str, name: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).and_then(|t| t.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(template: &str) -> Vec<String> {
        check(template, &BTreeSet::from(["known"]))
            .into_iter()
            .map(|p| match p {
                Problem::Unknown { name, range } => {
                    assert_eq!(&template[range.unwrap()], name);
                    name
                }
                Problem::Word { name, range, .. } => {
                    assert_eq!(&template[range], name);
                    format!("word: {name}")
                }
                Problem::Syntax { message, .. } => format!("syntax: {message}"),
            })
            .collect()
    }

    #[test]
    fn unknown_variables_are_found() {
        assert_eq!(
            names("{{ known }} {{ other.attribute }} {% if third %}{% endif %}"),
            ["other", "third"]
        );
        assert_eq!(names("{% for x in known %}{{ x }}{{ loop.index }}{% endfor %}"), [""; 0]);
        assert_eq!(names("{% set y = 1 %}{{ y }} {{ range(3) }}"), [""; 0]);
    }

    #[test]
    fn filters_and_tests_exist() {
        assert_eq!(
            names("{{ known|upper|uper }}{% if known is odd or known is not ood %}{% endif %}"),
            ["word: uper", "word: ood"]
        );
        assert_eq!(
            names("{{ 'a|b is c' }}{# x|y #}{% raw %}{{ x|y }}{% endraw %} a|b is c"),
            [""; 0]
        );
        assert_eq!(names("{{ known | default('}}|x') | tojson }}"), [""; 0]);
    }

    #[test]
    fn a_template_may_cover_for_a_variable() {
        assert_eq!(names("{{ a | default('x') }}{{ b|d('') }}"), [""; 0]);
        assert_eq!(names("{% if a is defined %}{{ a }}{% endif %}"), [""; 0]);
    }

    #[test]
    fn what_does_not_parse_is_a_problem_with_a_place() {
        let found = check("line\n{% if %}", &BTreeSet::new());
        assert!(matches!(&found[..], [Problem::Syntax { .. }]), "{found:?}");
    }
}
