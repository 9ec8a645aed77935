//! The rules by which another implementation of CEL may differ. `docs/cel-differences.md` has a row
//! for each. A rule is no excuse for a kind of expression: it has to prove that both say the same but for
//! what it claims, and it may explain only so many cases.

use mxcp_compiler::cel::ast::{Comprehension, Kind};
use mxcp_policy::ty::Ty;

use super::oracle::{Case, Google, Said};
use super::rewrite;

/// Why an oracle may say something else.
pub struct Rule {
    /// which one
    pub oracle: &'static str,
    /// what the page calls it
    pub name: &'static str,
    /// how many of a thousand cases it may explain
    pub most_per_mille: u64,
    proof: Proof,
}

/// How a rule shows that it is the reason.
enum Proof {
    /// Their checker refuses the expression, for such a reason; without it they say what ours says.
    TheirChecker(fn(&Case, &Said, &str) -> bool),
    /// Ours refuses the expression by one of these codes, or by any where they come to an error; without
    /// the checker ours says what they say.
    OurChecker(&'static [&'static str]),
    /// Ours says of the expression in one of these words what they say.
    OurWords(fn(&str) -> Vec<String>),
    /// They say of the expression in other words what ours says.
    TheirWords(fn(&Case, &Said, &Said) -> bool, fn(&str) -> String),
    /// Ours says of the expression in all of our words what they say of it in all of theirs.
    AllWords,
    /// It can be seen.
    Seen(fn(&Case, &Said, &Said) -> bool),
}

const fn cpp(name: &'static str, most_per_mille: u64, proof: Proof) -> Rule {
    Rule { oracle: "cel-cpp", name, most_per_mille, proof }
}

const fn of_crate(name: &'static str, most_per_mille: u64, proof: Proof) -> Rule {
    Rule { oracle: "cel", name, most_per_mille, proof }
}

/// The rules. The first that applies explains a difference.
pub const RULES: &[Rule] = &[
    cpp("branches of two types", 10, Proof::TheirChecker(|_, _, why| why.contains("'_?_:_'"))),
    cpp("null beside another type", 3, Proof::TheirChecker(|_, _, why| why.contains("null"))),
    cpp(
        "numbers of two types",
        3,
        Proof::TheirChecker(|_, _, why| {
            let numbers = ["(double, ", "(int, ", "(uint, "];
            no_overload(why) && numbers.iter().any(|pair| why.contains(pair))
        }),
    ),
    cpp(
        "an index that is no int",
        1,
        Proof::TheirChecker(|_, _, why| why.contains("for '_[_]' applied to '(list(")),
    ),
    cpp(
        "lists and maps of two types",
        1,
        Proof::TheirChecker(|_, _, why| {
            let pairs = ["'_==_' applied to '(list", "'_!=_' applied to '(list"];
            let maps = ["'_==_' applied to '(map", "'_!=_' applied to '(map"];
            pairs.iter().chain(&maps).any(|pair| why.contains(pair))
        }),
    ),
    cpp(
        "literals of a type and of anything",
        1,
        Proof::TheirChecker(|case, _, why| no_overload(why) && has_literal(case)),
    ),
    cpp(
        "a walk over part of an empty map",
        1,
        Proof::TheirChecker(|_, _, why| why.contains("type 'dyn' cannot be the range")),
    ),
    cpp(
        "an optional of anything",
        2,
        Proof::TheirChecker(|_, _, why| why.contains("expected type 'optional_type(dyn)'")),
    ),
    cpp(
        "an error here, refused there",
        2,
        Proof::TheirChecker(|_, ours, why| *ours == Said::Error && no_overload(why)),
    ),
    cpp(
        "minus before a parenthesis",
        1,
        Proof::TheirWords(
            |_, _, theirs| refused(theirs).contains("invalid constant literal"),
            rewrite::signs_apart,
        ),
    ),
    cpp(
        "values among which none is the greatest",
        2,
        Proof::TheirWords(
            |_, ours, theirs| {
                let names = ["math.greatest() ", "math.least() "];
                *ours == Said::Error && names.iter().any(|name| refused(theirs).contains(name))
            },
            rewrite::values_that_may_be_numbers,
        ),
    ),
    cpp(
        "an optional index that is no int",
        1,
        Proof::TheirWords(|_, _, _| true, rewrite::optional_indices_that_are_ints),
    ),
    cpp(
        "a substring up to the end",
        1,
        Proof::TheirWords(|_, _, theirs| *theirs == Said::Error, rewrite::substrings_without_end),
    ),
    cpp("spaces in base64", 1, Proof::OurWords(|text| vec![rewrite::base64_without_spaces(text)])),
    cpp("refused here, an error there", 2, Proof::OurChecker(&[])),
    cpp("texts that stand for times", 1, Proof::OurChecker(&["bad-literal"])),
    cpp("what can never be", 2, Proof::OurChecker(&["never-equal", "wrong-types"])),
    cpp(
        "the default of an optional",
        6,
        Proof::OurWords(|text| vec![rewrite::defaults_where_needed(text)]),
    ),
    cpp(
        "fractions of a second as text",
        2,
        Proof::OurWords(|text| vec![rewrite::three_digits_of_seconds(text)]),
    ),
    cpp(
        "infinity and NaN as text",
        1,
        Proof::OurWords(|text| rewrite::numbers_as_in_cpp(text).to_vec()),
    ),
    cpp("doubles in a format", 2, Proof::OurWords(|text| vec![rewrite::doubles_in_format(text)])),
    cpp(
        "signs that stand twice",
        1,
        Proof::OurWords(|text| vec![text.replace("!!", "").replace("--", "")]),
    ),
    cpp(
        "a number in a text with spaces",
        1,
        Proof::OurWords(|text| vec![rewrite::numbers_without_spaces(text)]),
    ),
    cpp(
        "an empty text split by nothing",
        1,
        Proof::OurWords(|text| vec![rewrite::nothing_split_is_one(text)]),
    ),
    cpp("years beyond 9999", 1, Proof::OurWords(|text| vec![rewrite::years_that_go_on(text)])),
    cpp(
        "whole number of a truth value",
        1,
        Proof::OurWords(|text| vec![rewrite::truth_in_numbers(text)]),
    ),
    cpp(
        "keys that stand twice",
        1,
        Proof::TheirWords(|_, _, theirs| *theirs == Said::Error, rewrite::keys_are_compared),
    ),
    cpp("a binding after a walk", 1, Proof::TheirWords(|_, _, _| true, rewrite::without_bindings)),
    cpp("several of these at once", 1, Proof::AllWords),
    cpp("the order of a map", 1, Proof::Seen(walks_a_map_in_another_order)),
    cpp("answers that Python cannot hold", 1, Proof::Seen(has_no_form_in_python)),
    of_crate("no type checker", 60, Proof::Seen(|_, ours, _| matches!(ours, Said::Refused(_)))),
    of_crate(
        "functions and macros it lacks",
        400,
        Proof::Seen(|_, _, theirs| matches!(theirs, Said::Refused(_))),
    ),
    of_crate(
        "panics and values without a form",
        2,
        Proof::Seen(|_, _, theirs| matches!(theirs, Said::Nothing(_))),
    ),
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
    google: (&Said, &mut Google),
) -> Option<&'static str> {
    let (by_google, google) = google;
    let found = RULES
        .iter()
        .filter(|rule| rule.oracle == oracle)
        .find(|rule| rule.proof.holds(case, ours, theirs, google))
        .map(|rule| rule.name);
    if found.is_some() || oracle == "cel-cpp" {
        return found;
    }
    if ours == by_google {
        return Some(OUTVOTED);
    }
    explain("cel-cpp", case, ours, by_google, (by_google, google)).map(|_| UNJUDGED)
}

impl Proof {
    fn holds(&self, case: &Case, ours: &Said, theirs: &Said, google: &mut Google) -> bool {
        match self {
            Self::TheirChecker(reason) => {
                matches!(theirs, Said::Refused(why) if reason(case, ours, why))
                    && google.unchecked(case) == *ours
            }
            Self::OurChecker(codes) => {
                let refused = refused(ours);
                let known = match codes {
                    [] => *theirs == Said::Error,
                    codes => codes.iter().any(|code| refused.contains(code)),
                };
                matches!(ours, Said::Refused(_)) && known && case.ours_unchecked() == *theirs
            }
            Self::OurWords(words) => {
                let texts = words(&case.text).into_iter().filter(|text| *text != case.text);
                texts.map(|text| settled(&case.with(text))).any(|said| said == *theirs)
            }
            Self::TheirWords(applies, words) => {
                let text = words(&case.text);
                text != case.text
                    && applies(case, ours, theirs)
                    && google.unchecked(&case.with(text)) == *ours
            }
            Self::AllWords => {
                refused_for_a_reason(case, ours, theirs) && all_words(case, ours, theirs, google)
            }
            Self::Seen(seen) => seen(case, ours, theirs),
        }
    }
}

/// Whether what one side refuses is what a rule speaks of, so that both may be asked without checkers.
fn refused_for_a_reason(case: &Case, ours: &Said, theirs: &Said) -> bool {
    let known = |said: &Said, of: &dyn Fn(&str, &Proof) -> bool| match said {
        Said::Refused(why) => RULES.iter().any(|rule| of(why, &rule.proof)),
        _ => true,
    };
    let by_them = |why: &str, proof: &Proof| matches!(proof, Proof::TheirChecker(reason) if reason(case, ours, why));
    let by_ours = |why: &str, proof: &Proof| matches!(proof, Proof::OurChecker(codes) if codes.iter().any(|code| why.contains(code)));
    known(theirs, &by_them) && known(ours, &by_ours)
}

/// What ours says in all of our words is what they say in all of theirs.
fn all_words(case: &Case, ours: &Said, theirs: &Said, google: &mut Google) -> bool {
    let (mut here, mut there) = (case.text.clone(), case.text.clone());
    for rule in RULES {
        match rule.proof {
            Proof::OurWords(words) => here = words(&here).into_iter().next().unwrap_or(here),
            Proof::TheirWords(_, words) => there = words(&there),
            _ => {}
        }
    }
    let refused = matches!(ours, Said::Refused(_)) || matches!(theirs, Said::Refused(_));
    let changed = here != case.text || there != case.text;
    (changed || refused) && settled(&case.with(here)) == google.unchecked(&case.with(there))
}

/// What ours says, or says without its checker where that refuses.
fn settled(case: &Case) -> Said {
    match case.ours() {
        Ok(Said::Refused(_)) => case.ours_unchecked(),
        Ok(said) => said,
        Err(problem) => Said::Nothing(problem),
    }
}

fn refused(said: &Said) -> &str {
    if let Said::Refused(why) = said { why } else { "" }
}

fn no_overload(why: &str) -> bool {
    why.contains("no matching overload")
}

fn has_literal(case: &Case) -> bool {
    let literal = |kind: &Kind| matches!(kind, Kind::List(_) | Kind::Map(_));
    case.tree().is_some_and(|typed| rewrite::any(&typed.tree, literal))
}

/// An optional, a time beyond the year 9999, or a text that is not UTF-8.
fn has_no_form_in_python(_: &Case, ours: &Said, theirs: &Said) -> bool {
    let ours = match ours {
        Said::Value(text) => text.contains("optional") || text.contains("efbfbd"),
        Said::Error => true,
        _ => false,
    };
    let named = ["to a Python type", "date value", "year", "decode"];
    ours && matches!(theirs, Said::Nothing(why) if named.iter().any(|name| why.contains(name)))
}

/// A list is made by walking over a map, and both hold the same letters.
fn walks_a_map_in_another_order(case: &Case, ours: &Said, theirs: &Said) -> bool {
    let (Said::Value(ours), Said::Value(theirs)) = (ours, theirs) else { return false };
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let walks = case.tree().is_some_and(|typed| {
        rewrite::any(&typed.tree, |kind| {
            let Kind::Comprehension { kind, over, .. } = kind else { return false };
            let listed = matches!(kind, Comprehension::Map | Comprehension::Filter);
            listed && matches!(typed.ty(*over), Ty::Map(..) | Ty::Dyn)
        })
    });
    walks && letters(ours) == letters(theirs)
}
