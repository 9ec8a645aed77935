//! The reference of what expressions can call: the macros of this front end and the functions of the
//! registry, as one page for the manual and as lines for the terminal.

use std::fmt::Write as _;

use mxcp_policy::function;

/// A macro: a call that names variables, that asks about a field rather than its value, or that asks about
/// the call at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Macro {
    /// its name
    pub name: &'static str,
    /// how it is written
    pub form: &'static str,
    /// what it does, one line of Markdown
    pub doc: &'static str,
    /// expressions and the text of their values; they run as tests
    pub examples: &'static [(&'static str, &'static str)],
}

/// All macros, sorted by name.
pub static MACROS: &[Macro] = &[
    Macro {
        name: "all",
        form: "list.all(x, condition)",
        doc: "Whether the condition holds for every item of a list or key of a map. With two names, index and item, or key and value.",
        examples: &[("[1, 2].all(x, x > 0)", "true"), ("{'a': 1}.all(k, v, v > 1)", "false")],
    },
    Macro {
        name: "cel.bind",
        form: "cel.bind(name, value, expression)",
        doc: "The expression, in which the name stands for the value.",
        examples: &[("cel.bind(x, 2 + 3, x * x)", "25")],
    },
    Macro {
        name: "exists",
        form: "list.exists(x, condition)",
        doc: "Whether the condition holds for an item of a list or key of a map.",
        examples: &[("[1, 2].exists(x, x == 2)", "true"), ("['a'].exists(i, x, i == 0)", "true")],
    },
    Macro {
        name: "exists_one",
        form: "list.exists_one(x, condition)",
        doc: "Whether the condition holds for exactly one; an error of any is an error of the whole. With two names it is also written `existsOne`.",
        examples: &[("[1, 2, 2].exists_one(x, x == 2)", "false")],
    },
    Macro {
        name: "filter",
        form: "list.filter(x, condition)",
        doc: "The items for which the condition holds.",
        examples: &[("[1, 2, 3].filter(x, x > 1)", "[2, 3]")],
    },
    Macro {
        name: "has",
        form: "has(map.field)",
        doc: "Whether a map has the field, or an input is not null.",
        examples: &[("has({'a': 1}.a)", "true"), ("has({'a': 1}.b)", "false")],
    },
    Macro {
        name: "map",
        form: "list.map(x, expression)",
        doc: "What the expression makes of each item; with a condition before it, of the items for which that holds.",
        examples: &[
            ("[1, 2].map(x, x * 10)", "[10, 20]"),
            ("[1, 2].map(x, x > 1, x * 10)", "[20]"),
        ],
    },
    Macro {
        name: "now",
        form: "now()",
        doc: "The time of the call, the same wherever one call asks. What depends on it is evaluated for every call.",
        examples: &[("now() - now() == duration('0s')", "true")],
    },
    Macro {
        name: "optFlatMap",
        form: "optional.optFlatMap(x, optional)",
        doc: "The optional that the expression makes of what an optional holds, or nothing.",
        examples: &[("{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).value()", "1")],
    },
    Macro {
        name: "optMap",
        form: "optional.optMap(x, expression)",
        doc: "What the expression makes of what an optional holds, as an optional, or nothing.",
        examples: &[("optional.of(2).optMap(x, x * 2).value()", "4")],
    },
    Macro {
        name: "sortBy",
        form: "list.sortBy(x, key)",
        doc: "The items in ascending order of their keys.",
        examples: &[("['bb', 'a'].sortBy(s, size(s))", "[\"a\", \"bb\"]")],
    },
    Macro {
        name: "transformList",
        form: "list.transformList(i, x, expression)",
        doc: "A list of what the expression makes of index and item, or key and value; with a condition before it, of those for which that holds.",
        examples: &[("[5, 6].transformList(i, x, x + i)", "[5, 7]")],
    },
    Macro {
        name: "transformMap",
        form: "map.transformMap(k, v, expression)",
        doc: "A map with the same keys, or indices, and what the expression makes of each entry.",
        examples: &[("{'a': 1}.transformMap(k, v, v + 1)", "{\"a\": 2}")],
    },
    Macro {
        name: "transformMapEntry",
        form: "map.transformMapEntry(k, v, {key: value})",
        doc: "A map of the entries that the expression makes.",
        examples: &[("{'a': 'b'}.transformMapEntry(k, v, {v: k})", "{\"b\": \"a\"}")],
    },
];

/// One thing that expressions can call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// as people write it: `matches`, `a + b`, `has`
    pub name: String,
    /// how it is called, one line for each overload
    pub forms: Vec<String>,
    /// what it does
    pub doc: &'static str,
    /// expressions and the text of their values
    pub examples: &'static [(&'static str, &'static str)],
}

/// Everything that expressions can call, in chapters.
pub fn chapters() -> Vec<(&'static str, Vec<Entry>)> {
    let macros = MACROS.iter().map(|one| Entry {
        name: one.name.to_owned(),
        forms: vec![one.form.to_owned()],
        doc: one.doc,
        examples: one.examples,
    });
    let mut chapters: Vec<(&str, Vec<Entry>)> = vec![("Macros", macros.collect())];
    for family in function::FAMILIES {
        let mut entries: Vec<Entry> = family
            .functions
            .iter()
            .filter(|function| !function.is_internal())
            .map(|function| Entry {
                name: function.shown_name().to_owned(),
                forms: function.overloads.iter().map(|o| o.written(function.name)).collect(),
                doc: function.doc,
                examples: function.examples,
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        match chapters.iter_mut().find(|(title, _)| *title == family.title) {
            Some((_, known)) => known.extend(entries),
            None => chapters.push((family.title, entries)),
        }
    }
    chapters
}

/// The page `docs/functions.md`.
pub fn page() -> String {
    let mut page = String::from(
        "# Functions of conditions\n\n\
         <!-- Generated from the registry of functions; a test compares. -->\n\n\
         Conditions are written in the Common Expression Language. `T` and `U` stand for any type, `dyn` for\n\
         one that is known only when the condition is asked. Every example runs as a test.\n",
    );
    for (title, entries) in chapters() {
        let _ = write!(page, "\n## {title}\n");
        for entry in entries {
            let _ = write!(page, "\n### `{}`\n\n{}\n\n```cel\n", entry.name, entry.doc);
            for form in &entry.forms {
                let _ = writeln!(page, "{form}");
            }
            page.push_str("```\n");
            if !entry.examples.is_empty() {
                page.push('\n');
            }
            for (expression, value) in entry.examples {
                let _ = writeln!(page, "- `{expression}` is `{value}`");
            }
        }
    }
    page
}
