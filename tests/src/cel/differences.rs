//! The rules by which another implementation of CEL may differ. `docs/cel-differences.md` has a row
//! for each.

use super::generate::Given;
use super::oracle::{Case, Said};

/// Why an oracle may say something else.
pub struct Rule {
    /// which one
    pub oracle: &'static str,
    /// what the page calls it
    pub name: &'static str,
    applies: fn(&Case, &Said, &Said) -> bool,
}

/// The rules of `cel-cpp`. The first that applies explains a difference.
pub const RULES: &[Rule] = &[
    Rule {
        oracle: "cel-cpp",
        name: "branches of two types",
        applies: |case, _, theirs| no_overload(theirs) && case.text.contains(" ? "),
    },
    Rule {
        oracle: "cel-cpp",
        name: "null beside another type",
        applies: |case, _, theirs| no_overload(theirs) && case.text.contains("null"),
    },
    Rule {
        oracle: "cel-cpp",
        name: "numbers of two types",
        applies: |_, _, theirs| {
            no_overload(theirs)
                && ["(double, ", "(int, ", "(uint, "].iter().any(|pair| refused(theirs, pair))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "an index that is no int",
        applies: |_, _, theirs| refused(theirs, "for '_[_]' applied to '(list("),
    },
    Rule {
        oracle: "cel-cpp",
        name: "lists and maps of two types",
        applies: |_, _, theirs| {
            let pairs = ["'_==_' applied to '(list", "'_!=_' applied to '(list"];
            let maps = ["'_==_' applied to '(map", "'_!=_' applied to '(map"];
            pairs.iter().chain(&maps).any(|pair| refused(theirs, pair))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "literals of a type and of anything",
        applies: |case, _, theirs| {
            no_overload(theirs) && !case.typed && case.text.contains(['{', '['])
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "a walk over part of an empty map",
        applies: |case, _, theirs| {
            refused(theirs, "type 'dyn' cannot be the range") && case.text.contains("{}[")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "the default of an optional",
        applies: |case, ours, theirs| {
            *ours == Said::Error
                && matches!(theirs, Said::Value(_))
                && case.text.contains(".orValue(")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "keys that stand twice",
        applies: |case, ours, theirs| {
            matches!(ours, Said::Value(_))
                && *theirs == Said::Error
                && case.text.contains('{')
                && case.text.matches("': ").count() + case.text.matches("s: ").count() > 1
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "fractions of a second as text",
        applies: |case, ours, theirs| {
            matches!((ours, theirs), (Said::Value(_), Said::Value(_)))
                && case.text.contains("string(")
                && ["ts", "timestamp(", "du"].iter().any(|time| case.text.contains(time))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "infinity and NaN as text",
        applies: |case, ours, theirs| {
            let large =
                |(_, given): &(_, Given)| matches!(given, Given::Double(d) if !d.is_finite());
            matches!((ours, theirs), (Said::Value(_), Said::Value(_)))
                && case.text.contains("string(")
                && (case.values.iter().any(large)
                    || case.text.contains("1e300")
                    || case.text.contains(" / "))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "a binding after a walk",
        applies: |case, ours, theirs| {
            let walks = [".exists(", ".all(", ".exists_one("];
            matches!((ours, theirs), (Said::Value(_), Said::Value(_) | Said::Error))
                && case.text.contains("cel.bind(")
                && walks.iter().any(|walk| case.text.contains(walk))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "signs that stand twice",
        // Ours says the same about the text without them.
        applies: |case, ours, theirs| {
            let text = case.text.replace("!!", "").replace("--", "");
            matches!(ours, Said::Refused(_) | Said::Error)
                && text != case.text
                && Case { text, ..case.clone() }.ours().is_ok_and(|said| said == *theirs)
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "a number in a text with spaces",
        applies: |case, ours, theirs| {
            let spaced =
                |(_, given): &(_, Given)| matches!(given, Given::Text(text) if text.contains(' '));
            *ours == Said::Error
                && matches!(theirs, Said::Value(_))
                && ["double(", "int("].iter().any(|to| case.text.contains(to))
                && (case.text.contains("' A '")
                    || case.text.contains("'a b a'")
                    || case.values.iter().any(spaced))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "texts that stand for times",
        applies: |_, ours, theirs| refused(ours, "bad-literal") && matches!(theirs, Said::Value(_)),
    },
    Rule {
        oracle: "cel-cpp",
        name: "what can never be",
        applies: |case, ours, theirs| {
            let never = refused(ours, "never-equal") && case.text.contains(" in [");
            let index = refused(ours, "wrong-types") && case.text.contains("null");
            (never || index) && !matches!(theirs, Said::Refused(_))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "the order of a map",
        applies: |case, ours, theirs| {
            let letters = |said: &Said| match said {
                Said::Value(text) => {
                    let mut letters: Vec<char> = text.chars().collect();
                    letters.sort_unstable();
                    Some(letters)
                }
                _ => None,
            };
            [".map(", ".filter("].iter().any(|walk| case.text.contains(walk))
                && case.text.contains('{')
                && letters(ours).is_some_and(|ours| Some(ours) == letters(theirs))
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "an empty text split by nothing",
        applies: |case, ours, theirs| {
            matches!(ours, Said::Value(_) | Said::Error)
                && matches!(theirs, Said::Value(_) | Said::Error)
                && case.text.contains(".split(")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "minus before a parenthesis",
        applies: |_, _, theirs| refused(theirs, "invalid constant literal"),
    },
    Rule {
        oracle: "cel-cpp",
        name: "years beyond 9999",
        applies: |case, ours, theirs| {
            *ours == Said::Error && matches!(theirs, Said::Value(_)) && case.text.contains(".get")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "whole number of a duration",
        applies: |case, ours, theirs| {
            matches!(ours, Said::Refused(_) | Said::Error)
                && matches!(theirs, Said::Value(_))
                && case.text.contains("int(")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "refused here, an error there",
        applies: |_, ours, theirs| matches!(ours, Said::Refused(_)) && *theirs == Said::Error,
    },
    Rule {
        oracle: "cel-cpp",
        name: "an error here, refused there",
        applies: |_, ours, theirs| *ours == Said::Error && matches!(theirs, Said::Refused(_)),
    },
    Rule {
        oracle: "cel-cpp",
        name: "answers that Python cannot hold",
        applies: |_, _, theirs| matches!(theirs, Said::Nothing(_)),
    },
    Rule {
        oracle: "cel",
        name: "no type checker",
        applies: |_, ours, _| matches!(ours, Said::Refused(_)),
    },
    Rule {
        oracle: "cel",
        name: "functions and macros it lacks",
        applies: |_, _, theirs| matches!(theirs, Said::Refused(_)),
    },
    Rule {
        oracle: "cel",
        name: "panics and values without a form",
        applies: |_, _, theirs| matches!(theirs, Said::Nothing(_)),
    },
];

/// The rule of the crate `cel` where `cel-cpp` says what ours says.
pub const OUTVOTED: &str = "alone against cel-cpp and ours";
/// The rule of the crate `cel` where `cel-cpp` differs from ours by a rule, too.
pub const UNJUDGED: &str = "cel-cpp differs as well";

/// The rule that explains what an oracle says, beside what `cel-cpp` says.
pub fn explain(
    oracle: &str,
    case: &Case,
    ours: &Said,
    theirs: &Said,
    google: &Said,
) -> Option<&'static str> {
    let found = RULES
        .iter()
        .find(|rule| rule.oracle == oracle && (rule.applies)(case, ours, theirs))
        .map(|rule| rule.name);
    if found.is_some() || oracle == "cel-cpp" {
        return found;
    }
    if ours == google {
        return Some(OUTVOTED);
    }
    explain("cel-cpp", case, ours, google, google).map(|_| UNJUDGED)
}

fn refused(said: &Said, words: &str) -> bool {
    matches!(said, Said::Refused(why) if why.contains(words))
}

fn no_overload(said: &Said) -> bool {
    refused(said, "no matching overload")
}
