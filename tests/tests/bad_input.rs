//! Any text as any file of a project: never a panic, always an end, an error with a place where nothing
//! is built.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Options, compile};
use proptest::prelude::*;

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
    let condition = serde_json::Value::from(condition.unwrap_or("user.role == 'a'")).to_string();
    let source = if sql { "file: ../sql/q.sql" } else { "code: SELECT $id, $ward" };
    format!(
        "mxcp: 1\ntool:\n  name: find\n  parameters: [{{name: id, type: integer}}, {{name: ward, type: string}}]\n  \
         source: {{{source}}}\n  policies:\n    input:\n      - {{condition: {condition}, action: deny, reason: r}}\n"
    )
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
