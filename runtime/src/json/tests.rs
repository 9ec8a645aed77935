//! Tests of the reader, with `serde_json` as second opinion.

use proptest::prelude::*;

use super::*;

fn fault(text: &str) -> (Fault, usize) {
    let error = parse(text.as_bytes()).unwrap_err();
    (error.fault, error.offset)
}

#[test]
fn values_are_read_and_written_as_they_were() {
    for text in [
        "null",
        "true",
        "-0",
        "9007199254740993",
        "123456789012345678901234567890",
        "1.50",
        "1E-7",
        r#""plain""#,
        "[1,[2,[]],{}]",
        r#"{"a":1,"b":{"a":[null]}}"#,
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap().to_string(), text);
    }
    let spaced = parse(b" { \"a\" :\t[ 1 , 2 ]\r\n} ").unwrap();
    assert_eq!(spaced.to_string(), r#"{"a":[1,2]}"#);
    assert_eq!(spaced.get("a").unwrap().kind(), "an array");
}

#[test]
fn escapes_are_decoded() {
    let value = parse(br#""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00z""#).unwrap();
    assert_eq!(value.as_str().unwrap(), "\"\\/\u{8}\u{c}\n\r\tAé😀z");
}

#[test]
fn each_fault_has_its_place() {
    assert_eq!(fault(""), (Fault::End, 0));
    assert_eq!(fault("[1,"), (Fault::End, 3));
    assert_eq!(fault("[1,]"), (Fault::Unexpected, 3));
    assert_eq!(fault("{1:2}"), (Fault::Unexpected, 1));
    assert_eq!(fault("nul"), (Fault::Unexpected, 0));
    assert_eq!(fault("1 2"), (Fault::Trailing, 2));
    assert_eq!(fault("\"a\nb\""), (Fault::Control, 2));
    assert_eq!(fault(r#""\x""#), (Fault::Escape, 1));
    assert_eq!(fault(r#""\u12g4""#), (Fault::Escape, 2));
    assert_eq!(fault(r#""\ud800""#), (Fault::Surrogate, 1));
    assert_eq!(fault(r#""\udc00\ud800""#), (Fault::Surrogate, 1));
    assert_eq!(fault(r#""\ud800\u0041""#), (Fault::Surrogate, 1));
    assert_eq!(fault("01"), (Fault::Trailing, 1));
    assert_eq!(fault("-"), (Fault::Number, 1));
    assert_eq!(fault("1."), (Fault::Number, 2));
    assert_eq!(fault("1e"), (Fault::Number, 2));
    assert_eq!(fault("[1e999]"), (Fault::Huge, 1));
    assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), (Fault::Duplicate, 7));
    let invalid = parse(b"\"\xff\"").unwrap_err();
    assert_eq!((invalid.fault, invalid.offset), (Fault::Utf8, 1));
}

#[test]
fn every_limit_holds_at_its_edge() {
    let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(fault(&nested(DEPTH_MAX + 1)).0, Fault::Depth);
    let many = |n: usize| format!("[{}]", vec!["0"; n - 1].join(","));
    assert!(parse(many(VALUES_MAX).as_bytes()).is_ok());
    assert_eq!(fault(&many(VALUES_MAX + 1)).0, Fault::Values);
    assert!(parse("1".repeat(NUMBER_MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(fault(&"1".repeat(NUMBER_MAX_BYTES + 1)).0, Fault::Huge);
}

#[test]
fn duplicates_are_found_among_many_names() {
    for twin in [0, 5, 15, 16, 17, 39] {
        let members: Vec<String> = (0..40).map(|i| format!("\"k{i}\":{i}")).collect();
        let text = format!("{{{},\"k{twin}\":0}}", members.join(","));
        assert_eq!(fault(&text).0, Fault::Duplicate, "k{twin}");
    }
}

fn json_text() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::Array),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in json_text()) {
        let text = value.to_string();
        let read = parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&read.to_string(), &text);
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(parse(pretty.as_bytes()).unwrap(), read);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let ours = parse(&bytes);
        if ours.is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }

    #[test]
    fn what_serde_json_reads_is_read_or_over_a_limit(text in r#"[\[\]{}",:0-9eE+.\-a-u\\ ]{0,30}"#) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        match parse(text.as_bytes()) {
            Ok(_) => prop_assert!(theirs),
            Err(error) => prop_assert!(!theirs || error.fault.is_limit(), "{}", error),
        }
    }
}
