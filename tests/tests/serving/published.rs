//! What a tool publishes holds for everything that it answers, whatever its type, its rows and its
//! policies, and a policy does to the answer exactly what its plan says.

use std::fmt::Write as _;

use mxcp_policy::plan;
use mxcp_schemas::bundle::plan::Plan;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::served::Served;

/// Policies of a tool, at most; each has a permission that makes it fire.
const POLICIES_MAX: usize = 3;

/// A declared type, with what DuckDB has for it.
#[derive(Debug, Clone)]
enum Shape {
    /// declared type and format, DuckDB's type, and literals of it
    Scalar(&'static str, &'static str, &'static [&'static str]),
    List(Box<Field>, bool),
    Object(Vec<(&'static str, Field, bool)>, &'static str),
}

#[derive(Debug, Clone)]
struct Field {
    shape: Shape,
    sensitive: bool,
}

const SCALARS: &[(&str, &str, &[&str])] = &[
    ("integer", "BIGINT", &["0", "-7", "9007199254740993"]),
    ("integer", "HUGEINT", &["1", "170141183460469231731687303715884105727"]),
    ("integer", "DECIMAL(9,2)", &["5.00", "-3"]),
    ("number", "DOUBLE", &["0.1", "1e300", "'nan'", "'inf'"]),
    ("number", "FLOAT", &["0.1", "-2"]),
    ("number", "DECIMAL(18,3)", &["12.500", "-0.001"]),
    ("boolean", "BOOLEAN", &["true", "false"]),
    ("string", "VARCHAR", &["''", "'a \"b\" \\ é'", "'****'", "'null'"]),
    ("string, format: email", "VARCHAR", &["'ada@example.org'"]),
    ("string, format: uri", "VARCHAR", &["'https://example.org/a?b'"]),
    ("string, format: date", "DATE", &["'2024-02-29'", "'1969-12-31'"]),
    ("string, format: date-time", "TIMESTAMP", &["'2024-01-02 03:04:05.678'"]),
    ("string, format: date-time", "TIMESTAMPTZ", &["'2024-01-02 03:04:05+02'"]),
    ("string, format: time", "TIME", &["'13:45:10.5'"]),
    ("string, format: duration", "INTERVAL", &["'1 year 3 days 5.5 seconds'", "'-2 hours'"]),
    ("string", "UUID", &["'6d3d9a2e-0000-4000-8000-000000000001'"]),
    ("string, maxLength: 12", "BLOB", &["'\\xDE\\xAD'"]),
    ("string, enum: [b, c]", "ENUM('b', 'c')", &["'b'", "'c'"]),
];
const NAMES: [&str; 4] = ["a", "Be", "c", "Dd"];

fn shape() -> impl Strategy<Value = Shape> {
    let scalar = (0..SCALARS.len()).prop_map(|at| {
        let (declared, duck, literals) = SCALARS[at];
        Shape::Scalar(declared, duck, literals)
    });
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            (field(inner.clone()), any::<bool>())
                .prop_map(|(item, unique)| Shape::List(Box::new(item), unique)),
            object(inner),
        ]
    })
}

fn field(shape: impl Strategy<Value = Shape>) -> impl Strategy<Value = Field> {
    (shape, prop::bool::weighted(0.15)).prop_map(|(shape, sensitive)| Field { shape, sensitive })
}

fn object(inner: impl Strategy<Value = Shape>) -> impl Strategy<Value = Shape> {
    let open = prop_oneof![
        Just(""),
        Just(", additionalProperties: false"),
        Just(", additionalProperties: true")
    ];
    (prop::collection::vec((field(inner), any::<bool>()), 1..4), open).prop_map(|(fields, open)| {
        let named = NAMES.iter().zip(fields);
        Shape::Object(
            named.map(|(name, (field, required))| (*name, field, required)).collect(),
            open,
        )
    })
}

impl Field {
    fn declared(&self) -> String {
        let sensitive = if self.sensitive { ", sensitive: true" } else { "" };
        match &self.shape {
            Shape::Scalar(declared, ..) => format!("{{ type: {declared}{sensitive} }}"),
            Shape::List(item, unique) => {
                let unique = if *unique { ", uniqueItems: true" } else { "" };
                format!("{{ type: array, items: {}{unique}{sensitive} }}", item.declared())
            }
            Shape::Object(fields, open) => {
                let properties: Vec<String> = fields
                    .iter()
                    .map(|(n, field, _)| format!("{n}: {}", field.declared()))
                    .collect();
                let required: Vec<&str> =
                    fields.iter().filter(|(.., needed)| *needed).map(|(name, ..)| *name).collect();
                format!(
                    "{{ type: object, properties: {{ {} }}, required: [{}]{open}{sensitive} }}",
                    properties.join(", "),
                    required.join(", ")
                )
            }
        }
    }

    fn duck(&self) -> String {
        match &self.shape {
            Shape::Scalar(_, duck, _) => (*duck).to_owned(),
            Shape::List(item, _) => format!("{}[]", item.duck()),
            Shape::Object(fields, _) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(n, field, _)| format!("\"{n}\" {}", field.duck()))
                    .collect();
                format!("STRUCT({})", fields.join(", "))
            }
        }
    }

    /// A value in SQL, chosen by `dice`; some are null.
    fn literal(&self, dice: &mut Dice) -> String {
        if dice.below(6) == 0 {
            return format!("NULL::{}", self.duck());
        }
        match &self.shape {
            Shape::Scalar(_, duck, literals) => {
                format!("({})::{duck}", literals[dice.below(literals.len())])
            }
            Shape::List(item, _) => {
                let items: Vec<String> = (0..dice.below(3)).map(|_| item.literal(dice)).collect();
                format!("[{}]::{}", items.join(", "), self.duck())
            }
            Shape::Object(fields, _) => {
                let fields: Vec<String> =
                    fields.iter().map(|(n, f, _)| format!("'{n}': {}", f.literal(dice))).collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// The paths to all that can be named below, in the words of a policy.
    fn paths(&self, prefix: &str, found: &mut Vec<String>) {
        match &self.shape {
            Shape::Scalar(..) => {}
            Shape::List(item, _) => {
                let below = if prefix.is_empty() { String::new() } else { format!("{prefix}[]") };
                item.paths(&below, found);
            }
            Shape::Object(fields, _) => {
                for (name, field, _) in fields {
                    let path = if prefix.is_empty() {
                        (*name).to_owned()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    found.push(path.clone());
                    field.paths(&path, found);
                }
            }
        }
    }

    fn is_marked(&self) -> bool {
        self.sensitive
            || match &self.shape {
                Shape::Scalar(..) => false,
                Shape::List(item, _) => item.is_marked(),
                Shape::Object(fields, _) => fields.iter().any(|(_, field, _)| field.is_marked()),
            }
    }
}

/// Numbers that look random and follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// The SQL of rows of this type: columns for an object, one column for a scalar.
fn sql(row: &Field, rows: usize, dice: &mut Dice) -> String {
    let selects: Vec<String> = (0..rows.max(1))
        .map(|_| match &row.shape {
            Shape::Object(fields, _) => {
                let columns: Vec<String> = fields
                    .iter()
                    .map(|(n, f, _)| format!("{} AS \"{n}\"", f.literal(dice)))
                    .collect();
                format!("SELECT {}", columns.join(", "))
            }
            _ => format!("SELECT {} AS v", row.literal(dice)),
        })
        .collect();
    let all = selects.join(" UNION ALL ");
    if rows == 0 { format!("SELECT * FROM ({all}) WHERE false") } else { all }
}

/// A tool and the policies on its result.
fn text(returned: &Field, sql: &str, policies: &[(String, Vec<String>)]) -> String {
    let mut text = format!(
        "mxcp: 1\ntool:\n  name: t\n  description: d\n  return: {}\n  source:\n    code: |\n      {sql}\n  policies:\n    output:\n",
        returned.declared()
    );
    for (at, (action, fields)) in policies.iter().enumerate() {
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!(
                ", fields: [{}]",
                fields.iter().map(|f| format!("'{f}'")).collect::<Vec<_>>().join(", ")
            )
        };
        let _ = writeln!(
            text,
            "      - {{ name: p{at}, condition: \"'p{at}' in user.permissions\", action: {action}{fields} }}"
        );
    }
    text
}

fn allowed(permissions: &[String]) -> Value {
    json!({"permissions": permissions})
}

/// The value of a result, the same in its text and in its structure.
fn value(result: &Value) -> Value {
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    let structured = &result["structuredContent"];
    let wrapped = json!({"result": text});
    assert!(structured == &text || structured == &wrapped, "{result}");
    text
}

/// Calls a tool with every set of permissions and judges what comes back.
async fn judge(tool: &str, policies: usize) {
    let served = Served::new(tool);
    let listed = served.ask(&json!({}), "tools/list", json!({})).await;
    let schema = &listed["result"]["tools"][0]["outputSchema"];
    let validator =
        jsonschema::options().should_validate_formats(true).build(schema).expect("a schema");
    let whole = served.call(&json!({}), json!({})).await;
    if whole["isError"] == true {
        // The rows are not as declared, which other tests are about.
        let text = whole["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("no item twice"), "{text}\n{tool}");
        return;
    }
    let whole = value(&whole);
    for set in 0..1_usize << policies {
        let fires = |at: &usize| set & (1 << at) != 0;
        let permissions: Vec<String> =
            (0..policies).filter(fires).map(|at| format!("p{at}")).collect();
        let result = served.call(&allowed(&permissions), json!({})).await;
        let structured = &result["structuredContent"];
        if let Err(error) = validator.validate(structured) {
            panic!("{error}\n{structured}\n{schema:#}\n{tool}");
        }
        let fired: Vec<&Plan> = (0..policies).filter(fires).map(|at| &served.plans[at]).collect();
        let mut expected = whole.clone();
        plan::apply(&plan::join(&fired).unwrap(), &mut expected);
        assert_eq!(value(&result), expected, "{permissions:?}\n{tool}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_published_schema_holds_for_every_answer(
        row in field(shape()),
        in_list in any::<bool>(),
        rows in 0_usize..4,
        seed in any::<u64>(),
        chosen in prop::collection::vec((0_usize..3, prop::collection::vec(any::<prop::sample::Index>(), 1..4)), 0..=POLICIES_MAX),
    ) {
        let mut dice = Dice(seed);
        let is_row = matches!(row.shape, Shape::Object(..));
        // Rows are objects; a list that is no list of rows, and a scalar, are one value.
        let listed = is_row && in_list;
        let row = match row.shape {
            Shape::List(..) => {
                let fields = vec![("a", row, true)];
                Field { shape: Shape::Object(fields, ""), sensitive: false }
            }
            _ => row,
        };
        let sql = sql(&row, if listed { rows } else { 1 }, &mut dice);
        let returned = if listed {
            Field { shape: Shape::List(Box::new(row), false), sensitive: false }
        } else {
            row
        };
        let mut paths = Vec::new();
        returned.paths("", &mut paths);
        let policies: Vec<(String, Vec<String>)> = chosen
            .into_iter()
            .filter_map(|(action, fields)| match action {
                0 => returned.is_marked().then(|| ("filter_sensitive_fields".to_owned(), Vec::new())),
                _ if paths.is_empty() => None,
                action => {
                    let mut fields: Vec<String> =
                        fields.iter().map(|index| index.get(&paths).clone()).collect();
                    fields.sort();
                    fields.dedup();
                    let action = if action == 1 { "filter_fields" } else { "mask_fields" };
                    Some((action.to_owned(), fields))
                }
            })
            .collect();
        let tool = text(&returned, &sql, &policies);
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        threads.block_on(judge(&tool, policies.len()));
    }
}

/// JSON has one word for all that is no number, so two of them are one item twice.
#[tokio::test]
async fn what_is_not_finite_is_null_among_items_that_differ() {
    for (items, differ) in [
        ("['nan'::DOUBLE, NULL]", false),
        ("['inf'::DOUBLE, '-inf'::DOUBLE]", false),
        ("['nan'::FLOAT, 1]", true),
        ("[MAP {'nan'::DOUBLE: 1}, MAP {'inf'::DOUBLE: 1}]", true),
    ] {
        let tool = format!(
            "mxcp: 1\ntool:\n  name: t\n  return: {{ type: object, properties: {{ a: {{ type: array, uniqueItems: true }} }} }}\n  source:\n    code: |\n      SELECT {items} AS a\n"
        );
        let result = Served::new(&tool).call(&json!({}), json!({})).await;
        assert_eq!(result["isError"] != true, differ, "{result}\n{tool}");
    }
}
