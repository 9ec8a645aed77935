//! The rules by which another implementation of CEL may differ. `docs/cel-differences.md` has a row
//! for each.

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
            matches!(ours, Said::Value(_)) && *theirs == Said::Error && case.text.contains('{')
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "fractions of a second as text",
        applies: |case, ours, theirs| {
            matches!((ours, theirs), (Said::Value(_), Said::Value(_)))
                && case.text.contains("string(")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "negative fractions as numbers without a sign",
        applies: |case, ours, theirs| {
            matches!(ours, Said::Value(_)) && *theirs == Said::Error && case.text.contains("uint(")
        },
    },
    Rule {
        oracle: "cel-cpp",
        name: "an empty text split by nothing",
        applies: |case, ours, theirs| {
            matches!(ours, Said::Value(_)) && ours != theirs && case.text.contains(".split(")
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
