//! Questions to trails that are whole, torn, live, mixed with MXCP's, and hostile.

use std::sync::LazyLock;

use mxcp_schemas::audit::{
    CallerType, Client, OperationStatus, OperationType, PolicyDecision, Principal, Record,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::tests::{append, place};
use crate::audit::{CallId, Config, Trail};

/// A record of MXCP's own, as its JSONL writer has it.
const LEGACY: &str = r#"{"schema_name": "mxcp.endpoints", "schema_version": 1, "record_id": "9b2d3c1e-0000-4000-8000-000000000000", "timestamp": "2025-01-01T00:00:00+02:00", "operation_type": "tool", "operation_name": "old_tool", "operation_status": "success", "duration_ms": 5, "caller_type": "stdio", "user_id": "ann", "session_id": null, "trace_id": null, "input_data": {"a": 1}, "output_data": null, "error": null, "policies_evaluated": [], "policy_decision": null, "policy_reason": null, "business_context": {}, "prev_hash": null, "record_hash": null, "signature": null}"#;

/// A record of MXCP's from before records had identifiers.
const EARLIEST: &str = r#"{"timestamp": "2024-05-01T10:00:00.000001+00:00", "caller": "http", "type": "tool", "name": "first_tool", "input_json": "{\"a\": [1, \"x\"]}", "duration_ms": 7, "policy_decision": "deny", "reason": "Not yours", "status": "error", "error": "Not yours"}"#;

fn log(path: &Path) -> Log {
    Log::open(path, None).unwrap()
}

fn all(path: &Path, filter: &Filter, limit: Option<u64>) -> Vec<Value> {
    let mut found = Vec::new();
    log(path).select(filter, limit, |record| found.push(record)).unwrap();
    found
}

fn names(path: &Path, filter: &Filter, limit: Option<u64>) -> Vec<String> {
    let name = |r: &Value| r["operation_name"].as_str().unwrap().to_owned();
    all(path, filter, limit).iter().map(name).collect()
}

#[test]
fn the_newest_records_come_first_from_all_files() {
    let place = place();
    let config = Config { max_file_size_bytes: 3_000, ..Config::new(&place.path) };
    let trail = Trail::open(&config).unwrap();
    for i in 0..10 {
        append(&trail, &format!("call_{i}")).unwrap();
    }
    fs::write(&place.path, format!("{LEGACY}\n")).unwrap();
    let every = names(&place.path, &Filter::default(), None);
    assert_eq!(every.len(), 11);
    assert_eq!((every[0].as_str(), every[10].as_str()), ("call_9", "old_tool"));
    assert_eq!(names(&place.path, &Filter::default(), Some(2)), ["call_9", "call_8"]);
    assert_eq!(names(&place.path, &Filter::default(), Some(0)), Vec::<String>::new());
    let old = all(&place.path, &Filter { user: Some("ann".into()), ..Filter::default() }, None);
    assert_eq!(old[0]["input_data"], json!({"a": 1}));
    assert_eq!(old[0]["timestamp"], "2025-01-01T00:00:00+02:00");
}

#[test]
fn the_earliest_records_of_mxcps_are_read_like_the_others() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    let odd = r#"{"timestamp": "2024-05-01T10:00:01+00:00", "type": "tool", "name": "odd", "input_json": "no JSON"}"#;
    fs::write(&place.path, format!("{EARLIEST}\n{odd}\n{LEGACY}\n{{}}\n7\n")).unwrap();
    let expected = ["old_tool", "odd", "first_tool"];
    assert_eq!(names(&place.path, &Filter::default(), None), expected, "nothing else is there");
    append(&trail, "new").unwrap();
    assert_eq!(names(&place.path, &Filter::default(), None), [&["new"], &expected[..]].concat());
    let denied = Filter {
        tool: Some("first_tool".into()),
        policy: Policy::parse("deny"),
        status: Some(OperationStatus::Error),
        until: "2024-05-01T11:00:00Z".parse().ok(),
        ..Filter::default()
    };
    let found = all(&place.path, &denied, None).remove(0);
    assert_eq!(found["input_data"], json!({"a": [1, "x"]}));
    assert_eq!((&found["caller_type"], &found["duration_ms"]), (&json!("http"), &json!(7)));
    assert_eq!((&found["policy_reason"], &found["record_id"]), (&json!("Not yours"), &Value::Null));
    let stats = log(&place.path).stats(&Filter::default()).unwrap();
    let first = stats.endpoints.iter().find(|of| of.operation_name == "first_tool").unwrap();
    assert_eq!((first.numbers.denials, first.numbers.p50_ms), (1, Some(7.0)));
    let export = place.path.with_file_name("all.csv");
    let mut log = Log::open(&place.path, Some(&export)).unwrap();
    log.export(&Filter::default(), None, Format::Csv, &export).unwrap();
    assert_eq!(fs::read_to_string(export).unwrap().lines().count(), 5);
}

#[test]
fn records_come_back_as_they_were_written() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    let id = CallId::begin();
    let input =
        json!({"quote": "it's \"x\" \u{2028}", "n": 12_345_678_901_234_567_890_u64, "f": 1.5});
    let now = Timestamp::now();
    let (kind, status) = (OperationType::Resource, OperationStatus::Error);
    let mut record =
        Record::new(id.as_str(), now, CallerType::Http, kind, "patient://{id}", status);
    record.input_data = Some(&input);
    record.policies_fired = &["input[0]"];
    record.client = Some(Client { id: None, ip: Some("192.0.2.1") });
    let _receipt = trail.append_blocking(&record).unwrap();
    drop(trail);
    let written = crate::audit::tests::records(&place.path).remove(0);
    assert_eq!(all(&place.path, &Filter::default(), None), [written]);
}

#[test]
fn torn_and_foreign_lines_are_no_records() {
    let place = place();
    let segment = crate::audit::tests::written(&place.path, 2);
    let good = fs::read(&segment.path).unwrap();
    let ends: [&[u8]; 6] = [
        b"{\"record_id\": \"to",
        &[0; 700],
        b"\xff\xfe{]\n\n",
        b"123\n[]\n\"x\"\n",
        b"{}\n",
        b"\n\n",
    ];
    for end in ends {
        fs::write(&segment.path, [&good, end].concat()).unwrap();
        let found = names(&place.path, &Filter::default(), None);
        assert_eq!(found, ["tool_1", "tool_0"], "{end:?}");
        let none = Filter { policy: Some(Policy::None), ..Filter::default() };
        assert_eq!(names(&place.path, &none, None).len(), 2);
    }
    fs::write(&segment.path, "").unwrap();
    assert_eq!(all(&place.path, &Filter::default(), None), Vec::<Value>::new());
}

#[test]
fn a_trail_that_does_not_exist_has_no_records() {
    let place = place();
    assert_eq!(all(&place.path, &Filter::default(), None), Vec::<Value>::new());
    assert_eq!(log(&place.path).stats(&Filter::default()).unwrap(), Stats::default());
}

#[test]
fn a_trail_can_be_asked_while_it_is_written() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    append(&trail, "t").unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..300).for_each(|_| assert!(append(&trail, "t").is_ok())));
        let mut before = 0;
        while !writer.is_finished() {
            let now = names(&place.path, &Filter::default(), None).len();
            assert!(now >= before);
            before = now;
        }
    });
    assert_eq!(names(&place.path, &Filter::default(), None).len(), 301);
}

#[test]
fn numbers_are_counted_for_endpoints_and_users() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    for i in 0..100_u64 {
        let id = CallId::begin();
        let kind = OperationType::Tool;
        let status = if i < 10 { OperationStatus::Error } else { OperationStatus::Success };
        let mut record =
            Record::new(id.as_str(), Timestamp::now(), CallerType::Http, kind, "t", status)
                .took(std::time::Duration::from_millis(i));
        record.user_id = Some(if i % 2 == 0 { "ann" } else { "bob" });
        record.policy_decision = (i < 5).then_some(PolicyDecision::Deny);
        let _receipt = trail.append_blocking(&record).unwrap();
    }
    let stats = log(&place.path).stats(&Filter::default()).unwrap();
    let [endpoint] = stats.endpoints.as_slice() else { panic!("{stats:?}") };
    assert_eq!((endpoint.operation_type.as_str(), endpoint.operation_name.as_str()), ("tool", "t"));
    let numbers = &endpoint.numbers;
    assert_eq!((numbers.calls, numbers.errors, numbers.denials), (100, 10, 5));
    assert!((numbers.p50_ms.unwrap() - 50.0).abs() < 3.0, "{numbers:?}");
    assert!((numbers.p99_ms.unwrap() - 98.0).abs() < 3.0, "{numbers:?}");
    assert_eq!(stats.users.iter().map(|u| u.numbers.calls).collect::<Vec<_>>(), [50, 50]);
}

#[test]
fn exports_hold_what_fits_and_appear_whole() {
    let place = place();
    let trail = Trail::open(&Config::new(&place.path)).unwrap();
    for name in ["a", "b", "it's, \"c\""] {
        append(&trail, name).unwrap();
    }
    let filter = Filter { since: Some(Timestamp::UNIX_EPOCH), ..Filter::default() };
    let folder = tempfile::tempdir().unwrap();
    for (format, file, read) in [
        (Format::Csv, "o'ut.csv", "read_csv('{}')"),
        (Format::Parquet, "out.parquet", "read_parquet('{}')"),
        (Format::DuckDb, "out.duckdb", "exported.logs"),
    ] {
        let target = folder.path().join(file);
        let mut log = Log::open(&place.path, Some(&target)).unwrap();
        log.export(&filter, None, format, &target).unwrap();
        let again = log.export(&filter, None, format, &target).unwrap_err();
        assert!(matches!(again, QueryError::Exists(_)), "{again}");
        let reader = Database::open(vec![folder.path().to_owned()]).unwrap();
        let path = target.to_str().unwrap().replace('\'', "''");
        if format == Format::DuckDb {
            reader.run(&format!("ATTACH '{path}' AS exported (READ_ONLY)")).unwrap();
        }
        let mut rows = Vec::new();
        let sql = format!(
            "SELECT operation_name || '/' || seq || '/' || typeof(\"timestamp\") FROM {}",
            read.replace("{}", &path)
        );
        reader.texts(&sql, |text| rows.push(text.to_owned())).unwrap();
        let stamp = "TIMESTAMP WITH TIME ZONE";
        let expected =
            [format!("a/1/{stamp}"), format!("b/2/{stamp}"), format!("it's, \"c\"/3/{stamp}")];
        assert_eq!(rows, expected, "{format:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
    let few = folder.path().join("few.csv");
    let mut log = Log::open(&place.path, Some(&few)).unwrap();
    log.export(&filter, Some(2), Format::Csv, &few).unwrap();
    let text = fs::read_to_string(&few).unwrap();
    let at = |name: &str| text.find(name);
    assert!(at(",b,").is_some() && at(",b,") < at("it's"), "{text}");
    assert_eq!(at(",a,"), None, "{text}");
    let empty = folder.path().join("empty.parquet");
    let nowhere = place.path.with_file_name("other.jsonl");
    Log::open(&nowhere, Some(&empty))
        .unwrap()
        .export(&filter, None, Format::Parquet, &empty)
        .unwrap();
    let lost = folder.path().join("missing/out.csv");
    let error =
        Log::open(&place.path, Some(&lost)).unwrap().export(&filter, None, Format::Csv, &lost);
    assert!(matches!(error, Err(QueryError::Write { .. })));
}

#[test]
fn sql_reaches_nothing_but_the_trail() {
    let place = place();
    let log = log(&place.path);
    let secret = tempfile::NamedTempFile::new().unwrap();
    let read = format!("SELECT content FROM read_text('{}')", secret.path().display());
    for sql in [read.as_str(), "SET enable_external_access = true", "INSTALL httpfs"] {
        assert!(log.database.run(sql).is_err(), "{sql}");
    }
}

/// The time around which the records of the corpus are.
static BASE: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);

/// One of few values, so that filters find some and miss others.
fn few(values: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop::sample::select(values).prop_map(str::to_owned))
}

prop_compose! {
    fn filters()(
        tool in few(&["t", "it's", "intent"]),
        resource in prop_oneof![9 => Just(None), 1 => few(&["t"])],
        operation_type in prop::option::of(prop::sample::select(OperationType::ALL)),
        policy in prop::option::of(prop::sample::select(&Policy::WORDS[..])),
        status in prop::option::of(prop::sample::select(OperationStatus::ALL)),
        user in few(&["ann", "ann@example.org", "o'brien"]),
        session in few(&["s"]),
        since in prop::option::of(-3..3_i64),
        until in prop::option::of(-3..3_i64),
    ) -> Filter {
        let at = |seconds: i64| *BASE + SignedDuration::from_secs(seconds);
        Filter {
            tool, resource, operation_type, status, user, session,
            policy: policy.and_then(Policy::parse),
            since: since.map(at),
            until: until.map(at),
            ..Filter::default()
        }
    }
}

/// Records with every combination that matters, and one of MXCP's.
fn corpus(path: &Path) {
    let trail = Trail::open(&Config::new(path)).unwrap();
    let users = [None, Some("ann"), Some("o'brien")];
    for i in 0..144_usize {
        let id = CallId::begin();
        let pick = |step: usize, count: usize| i / step % count;
        let at = *BASE + SignedDuration::from_secs(i64::try_from(i % 5).unwrap() - 2);
        let name = ["t", "it's", "intent"][pick(1, 3)];
        let kind = OperationType::ALL[pick(3, 6)];
        let status = OperationStatus::ALL[pick(2, 2)];
        let mut record = Record::new(id.as_str(), at, CallerType::Http, kind, name, status);
        record.user_id = users[pick(5, 3)];
        record.session_id = (i % 7 == 0).then_some("s");
        record.policy_decision = PolicyDecision::ALL.get(pick(4, 4)).copied();
        record.principal = (i % 3 == 0).then_some(Principal {
            username: users[pick(7, 3)],
            email: Some("ann@example.org"),
            provider: None,
        });
        drop(trail.append(&record));
    }
    drop(trail);
    fs::write(path, format!("{LEGACY}\n")).unwrap();
}

/// The two readings of a filter, in SQL and in Rust, mean the same.
#[test]
fn sql_and_rust_agree() {
    let place = place();
    corpus(&place.path);
    let mut every = crate::audit::tests::records(&place.path);
    every.push(serde_json::from_str(LEGACY).unwrap());
    let mut log = log(&place.path);
    let id = |record: &Value| record["record_id"].as_str().unwrap().to_owned();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let log = std::cell::RefCell::new(&mut log);
    runner
        .run(&filters(), |filter| {
            let mut by_sql = Vec::new();
            log.borrow_mut().select(&filter, None, |record| by_sql.push(id(&record))).unwrap();
            let mut by_rust: Vec<String> =
                every.iter().filter(|record| filter.matches(record)).map(id).collect();
            by_sql.sort();
            by_rust.sort();
            prop_assert_eq!(by_sql, by_rust);
            Ok(())
        })
        .unwrap();
}
