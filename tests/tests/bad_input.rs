//! Any text as any file of a project: never a panic, always an end, an error with a place where nothing
//! is built.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Options, compile};
use mxcp_tests::project::Project;
use proptest::prelude::*;
use serde_json::Value;

/// Far more than any of these inputs takes; who waits longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

const SITE: &str = "mxcp: 1
project: shop
profile: dev
secrets: [db]
extensions: [json, {name: h3, repo: community}]
policy:
  user_attributes: {ward: {type: string, claim: w}}
  roles: [nurse, doctor]
paths: {tools: tools}
profiles:
  dev:
    duckdb: {path: data/x.db, readonly: true, allowed_directories: [lake]}
    audit: {enabled: true, durability: batch, redact_keys: [pin]}
    limits: {max_result_rows: 10}
";
const TOOL: &str = "mxcp: 1
tool:
  name: find
  annotations: {readOnlyHint: true}
  parameters:
    - {name: id, type: integer, minimum: 1, maximum: 9, default: 3}
    - {name: ward, type: string, enum: [north, south], pattern: '^[a-z]+$'}
  return:
    type: array
    items: {type: object, properties: {ssn: {type: string, sensitive: true}}, required: [ssn]}
  source:
    code: |
      SELECT * FROM t WHERE id = $id AND ward = $ward
  policies:
    input:
      # mxcp: allow(no-reason) because it is tried
      - condition: user.role != 'nurse' && !(ward in ['north']) || id > 3
        action: deny
    output:
      - condition: \"response.exists(r, r.ssn.startsWith('1')) ? true : user.ward == null\"
        action: mask_fields
        fields: ['**.ssn', 'a.b[]']
      - {condition: \"!('pii' in user.permissions)\", action: filter_sensitive_fields}
  tests:
    - {name: one, arguments: [{key: id, value: 1}], user_context: {role: nurse}, result: []}
";
const USER: &str = "mxcp: 1
transport: {provider: streamable-http, http: {host: localhost, port: 8000}}
projects:
  shop:
    profiles:
      dev:
        secrets: [{name: db, type: http, parameters: {BEARER_TOKEN: '${TOKEN}'}}]
        auth:
          provider: github
          github: {client_id: a, client_secret: '${B}', claim_mappings: {groups: {staff: [read]}}}
";
const CEL: &str = "user.role == 'a' && !(ward in ['north', \"x\"]) || has(user.claims.b) ? id > 3 : \
                   user.permissions.exists(p, p.matches('^a+$')) && now() - duration('1h') < request.time";
const SQL: &str = "WITH a AS (SELECT $id AS x, 'it''s' /* c /* d */ */ FROM \"t\") -- e\n\
                   SELECT $tag$ $ward $tag$, e'\\'', * FROM a WHERE x IN (1, 2) AND $ward = 'n'";

/// Statements of all kinds, most of which do more than read when somebody runs them.
const STATEMENTS: [&str; 16] = [
    SQL,
    "SELECT $id, $ward",
    "FROM (VALUES (1, 'a'), (2, 'b')) v(x, y) WHERE x = $id GROUP BY ALL ORDER BY 1 LIMIT 3",
    "INSERT INTO t VALUES ($id, $ward) RETURNING *",
    "CREATE OR REPLACE TABLE written AS SELECT $id AS id, $ward AS ward",
    "COPY (SELECT $id, $ward) TO 'written.csv' (HEADER, DELIMITER ',')",
    "EXPORT DATABASE 'written' (FORMAT csv)",
    "ATTACH 'written.db' AS w; SELECT $id, $ward",
    "INSTALL spatial FROM 'written'; LOAD spatial",
    "SET temp_directory = 'written'; PRAGMA enable_profiling = 'json'; PRAGMA profiling_output = 'written.json'",
    "SELECT * FROM read_csv('sql/*.sql', filename = true) WHERE $id > 0 AND $ward <> ''",
    "SELECT write_log($ward), nextval('s'), getenv('HOME'), query('CHECKPOINT') WHERE $id = 1",
    "FROM query('CREATE TABLE x AS SELECT 1') WHERE $id = 1 AND $ward = 'a'",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n), $id, $ward FROM r",
    "SELECT [x * $id FOR x IN range(1000000000)], {'a': $ward}.a, lpad('', 4000000000, 'x')",
    "BEGIN; DELETE FROM t USING u WHERE t.id = $id AND u.ward = $ward; CHECKPOINT; VACUUM; COMMIT",
];

/// Pieces that mean something somewhere.
const PIECES: [&str; 40] = [
    "'",
    "\"",
    "`",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ":",
    ": ",
    ",",
    "- ",
    "#",
    "|",
    ">-\n",
    "&a ",
    "*a",
    "!",
    "!!int ",
    "<<: ",
    "\n",
    "\n  ",
    "\t",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "\u{202e}",
    "é",
    "\u{1F600}",
    "$",
    "$1",
    "?",
    "--",
    "/*",
    "$$",
    "\\x",
    "9999999999999999999",
    "---\n",
];

/// A change of a text: where, as a share of its length; how much goes; what comes.
fn change() -> impl Strategy<Value = (f64, usize, String)> {
    let piece = prop_oneof![
        4 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
        1 => Just(String::new()),
        1 => proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.repeat(200)),
    ];
    (0.0..1.0, 0..12_usize, piece)
}

fn changed(text: &str, changes: &[(f64, usize, String)]) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for (share, gone, come) in changes {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        #[expect(clippy::cast_precision_loss, reason = "a share of a length")]
        let at = (characters.len() as f64 * share) as usize;
        let end = (at + gone).min(characters.len());
        characters.splice(at..end, come.chars());
    }
    characters.into_iter().collect()
}

/// Compiles a project of these files and looks at what is said of it.
fn survive(site: &str, tool: &str, user: &str, sql: Option<&str>) {
    let mut files = vec![("mxcp-site.yml", site), ("tools/find.yml", tool)];
    files.extend(sql.map(|sql| ("sql/q.sql", sql)));
    let user_file = Some(("user.yml".into(), user.into()));
    let began = Instant::now();
    let done =
        compile(&MemoryFiles::new(files), &NoProbe, &Options { user_file, ..Options::default() });
    assert!(began.elapsed() < PATIENCE, "it takes too long");
    let errors = done.diagnostics.iter().filter(|d| d.is_error()).count();
    assert_eq!(done.bundle.is_none(), errors > 0, "{:?}", done.diagnostics);
    for finding in &done.diagnostics {
        let text = done.texts.get(&finding.file).map_or("", |text| &**text);
        if let Some(span) = finding.span {
            let range = span.start as usize..span.end as usize;
            assert!(text.get(range).is_some(), "no such place: {finding:?}");
        }
        let first = finding.message.chars().next().expect("a message says something");
        assert!(!first.is_uppercase() || finding.message.starts_with("U+"), "{}", finding.message);
        for edit in finding.fix.iter().flat_map(|fix| &fix.edits) {
            let range = edit.span.start as usize..edit.span.end as usize;
            assert!(text.get(range).is_some(), "no such place: {edit:?}");
        }
    }
}

/// A definition whose condition, or whose SQL, is this text.
fn around(condition: Option<&str>, sql: bool) -> String {
    let condition = Value::from(condition.unwrap_or("user.role == 'a'")).to_string();
    let source = if sql { "file: ../sql/q.sql" } else { "code: SELECT $id, $ward" };
    format!(
        "mxcp: 1\ntool:\n  name: find\n  parameters: [{{name: id, type: integer}}, {{name: ward, type: string}}]\n  \
         source: {{{source}}}\n  policies:\n    input:\n      - {{condition: {condition}, action: deny, reason: r}}\n"
    )
}

/// Has the `mxcp` command look at a project of these statements, which it asks DuckDB about; nothing of
/// them may run.
fn survive_duckdb(statements: &[String]) {
    let file = |number: usize| format!("sql/q{number}.sql");
    let project = Project::empty();
    project.write("mxcp-site.yml", "mxcp: 1\nproject: shop\nprofile: dev\n");
    for (number, text) in statements.iter().enumerate() {
        project.write(file(number), text);
        let tool = format!(
            "mxcp: 1\ntool:\n  name: t{number}\n  parameters: [{{name: id, type: integer}}, {{name: ward, type: string}}]\n  \
             source: {{file: ../{}}}\n",
            file(number)
        );
        project.write(format!("tools/t{number}.yml"), &tool);
    }
    let before = contents(&project.path(""));
    let mut command = project.command(&["check", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = ended.recv_timeout(PATIENCE).expect("it ends").expect("it can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {said}", output.status);
    let told: Value = serde_json::from_slice(&output.stdout).expect("findings are JSON");
    for finding in told["diagnostics"].as_array().expect("a list of findings") {
        let Some(number) = (0..statements.len()).find(|n| finding["file"] == file(*n)) else {
            continue;
        };
        for (line, column) in [("line", "column"), ("end_line", "end_column")] {
            let at = (finding[line].as_u64(), finding[column].as_u64());
            assert!(is_place(&statements[number], at), "no such place: {finding}");
        }
    }
    assert_eq!(contents(&project.path("")), before);
}

/// The files below a folder.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let name = path.display().to_string();
            found.insert(name, std::fs::read(path).expect("a file"));
        }
    }
    found
}

/// Whether a text has that line and column, which count from one; what is right behind a line's end is in it.
fn is_place(text: &str, at: (Option<u64>, Option<u64>)) -> bool {
    let (Some(line), Some(column)) = at else { return false };
    let lines: Vec<&str> = text.split('\n').collect();
    let line = usize::try_from(line).ok().and_then(|line| lines.get(line.checked_sub(1)?));
    line.is_some_and(|line| (1..=line.chars().count() as u64 + 1).contains(&column))
}

#[test]
fn the_statements_that_are_changed_are_asked_about_and_not_run() {
    survive_duckdb(&STATEMENTS.map(str::to_owned));
}

#[test]
fn the_texts_that_are_changed_are_good_themselves() {
    let user_file = Some(("user.yml".into(), USER.into()));
    let files = MemoryFiles::new([("mxcp-site.yml", SITE), ("tools/find.yml", TOOL)]);
    let done = compile(&files, &NoProbe, &Options { user_file, ..Options::default() });
    assert!(done.bundle.is_some(), "{:#?}", done.diagnostics);
    let definition = around(Some(CEL), true);
    let files = MemoryFiles::new([
        ("mxcp-site.yml", SITE),
        ("tools/find.yml", &definition),
        ("sql/q.sql", SQL),
    ]);
    let done = compile(&files, &NoProbe, &Options::default());
    assert!(done.bundle.is_some(), "{:#?}", done.diagnostics);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn as_an_endpoint_file(changes in prop::collection::vec(change(), 1..6)) {
        survive(SITE, &changed(TOOL, &changes), USER, None);
    }

    #[test]
    fn as_a_site_file(changes in prop::collection::vec(change(), 1..6)) {
        survive(&changed(SITE, &changes), TOOL, USER, None);
    }

    #[test]
    fn as_a_user_file(changes in prop::collection::vec(change(), 1..6)) {
        survive(SITE, TOOL, &changed(USER, &changes), None);
    }

    #[test]
    fn as_a_condition(changes in prop::collection::vec(change(), 1..6)) {
        survive(SITE, &around(Some(&changed(CEL, &changes)), false), USER, None);
    }

    #[test]
    fn as_sql(changes in prop::collection::vec(change(), 1..6)) {
        survive(SITE, &around(None, true), USER, Some(&changed(SQL, &changes)));
    }

    #[test]
    fn anything_at_all(text in "(?s).{0,200}") {
        survive(&text, TOOL, USER, None);
        survive(SITE, &text, USER, None);
        survive(SITE, TOOL, &text, None);
        survive(SITE, &around(Some(&text), true), USER, Some(&text));
    }
}

proptest! {
    // Each has a process look at twenty statements.
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn as_sql_that_duckdb_is_asked_about(
        all in prop::collection::vec(
            (prop::sample::select(&STATEMENTS[..]), prop::collection::vec(change(), 1..6)),
            20,
        )
    ) {
        let statements: Vec<String> =
            all.iter().map(|(text, changes)| changed(text, changes)).collect();
        survive_duckdb(&statements);
    }
}
