//! URI templates of resources (RFC 6570, level 1), and whether two can match the same URI.

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part<'t> {
    Literal(&'t str),
    Variable,
}

/// Whether some URI matches both templates. A variable stands for one or more characters other
/// than `/`.
pub fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (steps(a), steps(b));
    // Walks both automata at once; a pair of positions is visited at most once.
    let mut seen = vec![false; (a.len() + 1) * (b.len() + 1)];
    let mut pending = vec![(0, 0)];
    while let Some((i, j)) = pending.pop() {
        let Some(mark) = seen.get_mut(i * (b.len() + 1) + j) else { continue };
        if std::mem::replace(mark, true) {
            continue;
        }
        let (x, y) = (a.get(i), b.get(j));
        if x.is_none() && y.is_none() {
            return true;
        }
        // A loop that may be left.
        if matches!(x, Some(Step::More)) {
            pending.push((i + 1, j));
        }
        if matches!(y, Some(Step::More)) {
            pending.push((i, j + 1));
        }
        if let (Some(x), Some(y)) = (x, y)
            && x.meets(*y)
        {
            pending.push((i + usize::from(!x.stays()), j + usize::from(!y.stays())));
        }
    }
    false
}

/// The names of a template's variables, in order.
pub fn variables(template: &str) -> Vec<&str> {
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
        .collect()
}

/// One character of a template, as an automaton sees it.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// this character
    Exactly(char),
    /// one character that is not `/`
    One,
    /// any number of characters that are not `/`
    More,
}

impl Step {
    fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exactly(a), Self::Exactly(b)) => a == b,
            (Self::Exactly(c), _) | (_, Self::Exactly(c)) => c != '/',
            _ => true,
        }
    }

    const fn stays(self) -> bool {
        matches!(self, Self::More)
    }
}

fn steps(template: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts(template) {
        match part {
            Part::Literal(text) => steps.extend(text.chars().map(Step::Exactly)),
            Part::Variable => steps.extend([Step::One, Step::More]),
        }
    }
    steps
}

fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let Some((_, tail)) = after.split_once('}') else { break };
        parts.push(Part::Literal(literal));
        parts.push(Part::Variable);
        rest = tail;
    }
    parts.push(Part::Literal(rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates_overlap_when_one_uri_matches_both() {
        assert!(overlap("a://x", "a://x"));
        assert!(overlap("a://{id}", "a://x"));
        assert!(overlap("a://{id}", "a://{name}"));
        assert!(overlap("a://{x}-b", "a://c-{y}"));
        assert!(overlap("a://{x}{y}", "a://bc"));
        assert!(!overlap("a://{x}{y}", "a://b"));
        assert!(!overlap("a://{id}", "a://x/y"));
        assert!(!overlap("a://{id}/p", "a://{id}/q"));
        assert!(!overlap("a://{id}", "b://{id}"));
        assert!(!overlap("a://", "a://{id}"));
    }

    #[test]
    fn variables_are_named() {
        assert_eq!(variables("a://{x}/b/{y_1}"), ["x", "y_1"]);
    }

    fn template() -> impl Strategy<Value = String> {
        let part = prop_oneof![Just("a"), Just("b"), Just("/"), Just("{v}")];
        prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
    }

    fn matches(template: &str, uri: &str) -> bool {
        let pattern = regex::escape(template).replace(r"\{v\}", "[^/]+");
        regex::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(uri)
    }

    proptest! {
        #[test]
        fn agrees_with_matching(a in template(), b in template(), uri in "[ab/]{0,5}") {
            prop_assert_eq!(overlap(&a, &b), overlap(&b, &a));
            if matches(&a, &uri) && matches(&b, &uri) {
                prop_assert!(overlap(&a, &b), "{} and {} both match {}", a, b, uri);
            }
        }
    }
}
