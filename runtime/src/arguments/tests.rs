//! Tests of reading arguments.

use mxcp_policy::datum::{Datum, Instant, Span, Symbols};
use mxcp_schemas::bundle::definition::{
    Additional, Bounds, Format, Property, Type, TypeKind, Types,
};
use proptest::prelude::*;

use super::*;

fn string(format: Option<Format>) -> TypeKind {
    TypeKind::String { format, min_length: None, max_length: None, pattern: None }
}

fn number(integer: bool) -> TypeKind {
    TypeKind::Number { integer, bounds: Bounds::default() }
}

fn plain(kind: TypeKind) -> Type {
    Type { kind, sensitive: false, choices: Vec::new() }
}

/// One parameter `x` of the last of these types.
struct Fixture {
    checks: Checks,
    parameters: Parameters,
}

impl Fixture {
    fn new(nodes: Vec<Type>, default: Option<&str>) -> Self {
        let ty = TypeId(u32::try_from(nodes.len() - 1).unwrap());
        let checks = Checks::new(Types { nodes });
        let declared = definition::Parameter {
            name: "x".into(),
            description: None,
            ty,
            default: default.map(str::to_owned),
        };
        let parameters = Parameters::new(&[declared], &checks).unwrap();
        Self { checks, parameters }
    }

    fn of(kind: TypeKind) -> Self {
        Self::new(vec![plain(kind)], None)
    }

    fn read(&self, object: &str) -> Result<Argument, String> {
        let Ok(Json::Object(given)) = json::parse(object.as_bytes()) else { panic!("{object}") };
        let read = self.parameters.read(&self.checks, &given, 1_000);
        read.map(|arguments| arguments.values()[0].clone()).map_err(|problems| problems.to_string())
    }

    fn value(&self, value: &str) -> Result<Argument, String> {
        self.read(&format!(r#"{{"x":{value}}}"#))
    }

    fn refused(&self, value: &str) -> String {
        self.value(value).unwrap_err()
    }
}

fn text(text: &str) -> Argument {
    Argument::Text(text.into())
}

#[test]
fn scalars_are_coerced_where_nothing_is_lost() {
    let of_string = Fixture::of(string(None));
    assert_eq!(of_string.value("5"), Ok(text("5")));
    assert_eq!(of_string.value("1.50"), Ok(text("1.50")));
    assert_eq!(of_string.value("true"), Ok(text("true")));
    let integer = Fixture::of(number(true));
    for five in ["5", "\"5\"", "5.0", "5e0", "\"5.0\""] {
        assert_eq!(integer.value(five), Ok(Argument::Int(5)), "{five}");
    }
    assert_eq!(integer.value("9007199254740993"), Ok(Argument::Int(9_007_199_254_740_993)));
    assert_eq!(integer.value("\"-9223372036854775808\""), Ok(Argument::Int(i64::MIN)));
    let double = Fixture::of(number(false));
    assert_eq!(double.value("5"), Ok(Argument::Double(5.0)));
    assert_eq!(double.value("\"0.1\""), Ok(Argument::Double(0.1)));
    let boolean = Fixture::of(TypeKind::Boolean);
    assert_eq!(boolean.value("\"true\""), Ok(Argument::Bool(true)));
    assert_eq!(boolean.value("false"), Ok(Argument::Bool(false)));
}

#[test]
fn what_would_lose_something_is_refused() {
    let integer = Fixture::of(number(true));
    assert_eq!(integer.refused("5.5"), "`x` must be an integer, not a number with decimals");
    assert_eq!(integer.refused("\"five\""), "`x` must be an integer, not a string");
    assert_eq!(integer.refused("\" 5\""), "`x` must be an integer, not a string");
    assert_eq!(integer.refused("true"), "`x` must be an integer, not a boolean");
    assert_eq!(integer.refused("9223372036854775808"), "`x` must fit into 64 bits");
    assert_eq!(integer.refused("null"), "`x` must be an integer, not null");
    let double = Fixture::of(number(false));
    assert_eq!(
        double.refused("\"0.1000000000000000000001\""),
        "`x` must be a number, not a string"
    );
    let boolean = Fixture::of(TypeKind::Boolean);
    assert_eq!(boolean.refused("1"), "`x` must be a boolean, not a number");
    assert_eq!(boolean.refused("\"yes\""), "`x` must be a boolean, not a string");
    assert_eq!(boolean.value("\"True\""), Ok(Argument::Bool(true)));
    assert_eq!(Fixture::of(string(None)).refused("[]"), "`x` must be a string, not an array");
}

#[test]
fn absence_null_and_defaults() {
    let required = Fixture::of(number(true));
    assert_eq!(required.read("{}"), Err("`x` is missing".into()));
    let defaulted = Fixture::new(vec![plain(number(true))], Some("7"));
    assert_eq!(defaulted.read("{}"), Ok(Argument::Int(7)));
    assert_eq!(defaulted.value("null"), Ok(Argument::Int(7)));
    let nullable = Fixture::new(vec![plain(number(true))], Some("null"));
    assert_eq!(nullable.read("{}"), Ok(Argument::Null));
    assert_eq!(nullable.value("3"), Ok(Argument::Int(3)));
    let checks = Checks::new(Types { nodes: vec![plain(number(true))] });
    let bad = definition::Parameter {
        name: "x".into(),
        description: None,
        ty: TypeId(0),
        default: Some("\"a\"".into()),
    };
    let error = Parameters::new(&[bad], &checks).unwrap_err();
    assert_eq!(error, DeclarationError::Default("x".into()));
}

#[test]
fn unknown_arguments_are_named_and_all_problems_told() {
    let fixture = Fixture::of(number(true));
    assert_eq!(
        fixture.read(r#"{"y":1,"z":2}"#).unwrap_err(),
        "`y` is not declared; `z` is not declared; `x` is missing"
    );
    let many: Vec<String> = (0..50).map(|i| format!("\"k{i}\":0")).collect();
    let message = fixture.read(&format!("{{{}}}", many.join(","))).unwrap_err();
    assert_eq!(message.matches("is not declared").count(), PROBLEMS_MAX);
}

#[test]
fn constraints_are_named_without_the_value() {
    let ty = Type {
        kind: TypeKind::String {
            format: None,
            min_length: Some(2),
            max_length: Some(4),
            pattern: Some("^[a-zé]+$".into()),
        },
        sensitive: false,
        choices: Vec::new(),
    };
    let fixture = Fixture::new(vec![ty], None);
    assert_eq!(fixture.value("\"éé\""), Ok(text("éé")));
    assert_eq!(fixture.refused("\"a\""), "`x` must have at least 2 characters");
    assert_eq!(fixture.refused("\"secret\""), "`x` must have at most 4 characters");
    assert_eq!(fixture.refused("\"AB\""), "`x` must match the pattern `^[a-zé]+$`");
    let bounds = Bounds {
        minimum: Some("0".into()),
        exclusive_maximum: Some("9007199254740993".into()),
        multiple_of: Some("0.5".into()),
        ..Bounds::default()
    };
    let fixture = Fixture::of(TypeKind::Number { integer: true, bounds });
    assert_eq!(fixture.value("9007199254740992"), Ok(Argument::Int(9_007_199_254_740_992)));
    assert_eq!(fixture.refused("9007199254740993"), "`x` must be less than 9007199254740993");
    assert_eq!(fixture.refused("-1"), "`x` must be at least 0");
    assert_eq!(fixture.refused("1.25"), "`x` must be a multiple of 0.5");
    let long = format!("\"{}\"", "a".repeat(1_001));
    assert_eq!(
        Fixture::of(string(None)).refused(&long),
        "`x` must have at most 1000 bytes (`max_argument_bytes`)"
    );
}

#[test]
fn a_bound_that_is_no_number_is_never_satisfied() {
    let bounds = Bounds { minimum: Some("zero".into()), ..Bounds::default() };
    let fixture = Fixture::of(TypeKind::Number { integer: true, bounds });
    assert_eq!(fixture.refused("1"), "`x` must be at least zero");
}

#[test]
fn choices_are_compared_after_reading_and_hidden_when_sensitive() {
    let mut ty = plain(number(true));
    ty.choices = vec!["1".into(), "2".into()];
    let fixture = Fixture::new(vec![ty.clone()], None);
    assert_eq!(fixture.value("\"2\""), Ok(Argument::Int(2)));
    assert_eq!(fixture.refused("3"), "`x` must be one of 1, 2");
    ty.sensitive = true;
    let fixture = Fixture::new(vec![ty], None);
    assert_eq!(fixture.refused("3"), "`x` must be one of the values that are allowed");
}

#[test]
fn formats_are_read_once_for_conditions_and_sql() {
    let symbols = Symbols::default();
    let date = Fixture::of(string(Some(Format::Date))).value("\"1970-01-02\"").unwrap();
    assert_eq!(date, Argument::Date("1970-01-02".into(), 1));
    assert_eq!(date.datum(&symbols), Datum::Timestamp(Instant { seconds: 86_400, nanos: 0 }));
    let at = Fixture::of(string(Some(Format::Timestamp))).value("1.5").unwrap();
    let instant = Instant { seconds: 1, nanos: 500_000_000 };
    assert_eq!(at.datum(&symbols), Datum::Timestamp(instant));
    let long = Fixture::of(string(Some(Format::Duration)));
    let span = Span { seconds: 3_600, nanos: 0 };
    assert_eq!(long.value("\"PT1H\"").unwrap().datum(&symbols), Datum::Duration(span));
    assert!(long.refused("\"P1M\"").contains("ISO 8601"));
    assert!(long.refused("\"1h\"").contains("ISO 8601"));
    assert!(Fixture::of(string(Some(Format::Email))).refused("\"nobody\"").contains("e-mail"));
}

fn order() -> Fixture {
    let item = Type {
        kind: TypeKind::Object {
            properties: vec![
                Property { name: "price".into(), ty: TypeId(0), required: true },
                Property { name: "note".into(), ty: TypeId(1), required: false },
            ],
            additional: Additional::Forbidden,
        },
        sensitive: false,
        choices: Vec::new(),
    };
    let list = TypeKind::Array {
        items: Some(TypeId(2)),
        min_items: Some(1),
        max_items: Some(2),
        unique_items: true,
    };
    Fixture::new(vec![plain(number(false)), plain(string(None)), item, plain(list)], None)
}

#[test]
fn nested_values_are_read_and_problems_say_where() {
    let fixture = order();
    let read = fixture.value(r#"[{"price":"2.5","note":null}]"#).unwrap();
    assert_eq!(read.to_json(), r#"[{"price":2.5}]"#);
    assert_eq!(fixture.value(r#""[{\"price\":2.5}]""#).unwrap(), read);
    assert_eq!(fixture.refused("[{}]"), "`x[0].price` is missing");
    assert_eq!(fixture.refused(r#"[{"price":1,"tax":2}]"#), "`x[0].tax` is not declared");
    assert_eq!(
        fixture.refused(r#"[{"price":1},{"price":"a"}]"#),
        "`x[1].price` must be a number, not a string"
    );
    assert_eq!(fixture.refused("[]"), "`x` must have at least 1 items");
    assert_eq!(fixture.refused(r#"[{"price":1},{"price":1.0}]"#), "`x` must have no item twice");
    assert_eq!(fixture.refused("\"[\""), "`x` must be an array, not a string");
}

#[test]
fn undeclared_parts_keep_their_values() {
    let open = TypeKind::Object { properties: Vec::new(), additional: Additional::Unsaid };
    let fixture = Fixture::of(open);
    let read = fixture.value(r#"{"b":[1,2.0,null],"a":{"n":9007199254740993}}"#).unwrap();
    assert_eq!(read.to_json(), r#"{"a":{"n":9007199254740993},"b":[1,2.0,null]}"#);
    assert_eq!(fixture.refused(r#"{"a":9223372036854775808}"#), "`x.a` must fit into 64 bits");
    assert_eq!(fixture.refused(r#"{"a":1,"A":2}"#), "`x.A` appears twice, in different case");
}

#[test]
fn plain_text_is_read_by_the_declared_type() {
    let parameters =
        |fixture: &Fixture, text: &str| fixture.parameters.from_text(&fixture.checks, "x", text);
    assert_eq!(parameters(&Fixture::of(string(None)), "3"), "\"3\"");
    assert_eq!(parameters(&Fixture::of(number(true)), "3"), "3");
    assert_eq!(parameters(&Fixture::of(number(true)), "three"), "\"three\"");
    assert_eq!(parameters(&order(), r#"[{"price":1}]"#), r#"[{"price":1}]"#);
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| serde_json::Value::from(n).to_string()),
        "[a-zP0-9T:.-]{0,12}".prop_map(|s| json::quoted(&s)),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::btree_map("[a-z]{1,5}", inner, 0..4).prop_map(|map| {
                let members: Vec<String> =
                    map.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    /// What was read, written and read again is the same: coercion happens once.
    #[test]
    fn reading_is_stable(value in any_json(), which in 0_usize..8) {
        let kinds = [
            string(None),
            string(Some(Format::Date)),
            string(Some(Format::Duration)),
            number(true),
            number(false),
            TypeKind::Boolean,
            TypeKind::Array { items: None, min_items: None, max_items: None, unique_items: true },
            TypeKind::Object { properties: Vec::new(), additional: Additional::Allowed },
        ];
        let fixture = Fixture::of(kinds[which].clone());
        if let Ok(first) = fixture.value(&value) {
            prop_assert_eq!(fixture.value(&first.to_json()), Ok(first));
        }
    }
}
