//! What fuzzing begins with: the inputs of the other tests, in the form that each target takes. With
//! `MXCP_FUZZ_CORPUS` they are written there, a folder for each target; `.ci/fuzz` asks for that.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mxcp_compiler::cel::expression_plainly;
use mxcp_compiler::source::MemoryFiles;
use mxcp_compiler::sql::NoProbe;
use mxcp_compiler::{Options, compile};
use mxcp_policy::datum::Symbols;
use mxcp_policy::predicate::Predicate;
use mxcp_policy::verify::Layout;
use mxcp_schemas::bundle::container::{AlignedBytes, open, seal};
use mxcp_tests::case::{SITE, all, blocks};
use mxcp_tests::cel::{hostile, suite};
use mxcp_tests::dispatched::{MESSAGES as MESSAGES_OF_SERVER, OTHERS};
use mxcp_tests::workspace::{files, read};
use rkyv::rancor::Error;

/// The targets that are seeded, each with how many seeds it has at least.
const LEAST: &[(&str, usize)] = &[
    ("bundle_bytes", 20),
    ("cel_code", 16),
    ("cel_parser", 1_000),
    ("cel_source", 1_000),
    ("cel_verifier", 1_000),
    ("endpoint_file", 100),
    ("json_rpc", 5),
    ("mcp_dispatch", 20),
    ("provider_answers", 3),
    ("tokens", 3),
];

const MESSAGES: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"n":1.5,"s":"\\u00e9"}}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    r#"{"jsonrpc":"2.0","id":"x","result":{"content":[]}}"#,
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#,
    r#"[{"jsonrpc":"2.0","id":7,"method":"ping"},{"a":[[[[{}]]]]}]"#,
];
const ANSWERS: &[&str] = &[
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k"}]}"#,
    r#"{"issuer":"https://idp.example","jwks_uri":"https://idp.example/keys","authorization_endpoint":"https://idp.example/a"}"#,
    r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"a b"}"#,
];
const TOKENS: &[&str] = &[
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.eyJzdWIiOiJhIiwiZXhwIjoxfQ.AAAA",
    "eyJhbGciOiJub25lIn0.e30.",
    r#"{"sub":"a","aud":["b"],"exp":1700000000,"nbf":0,"iss":"https://idp.example"}"#,
];

#[test]
fn every_target_has_seeds_that_mean_something() {
    let mut seeds: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    seeds.insert("json_rpc", texts(MESSAGES));
    let dispatched = MESSAGES_OF_SERVER.iter().map(|(text, _)| *text).chain(OTHERS.iter().copied());
    seeds.insert("mcp_dispatch", texts(&dispatched.collect::<Vec<_>>()));
    seeds.insert("provider_answers", texts(ANSWERS));
    seeds.insert("tokens", texts(TOKENS));
    seeds.insert(
        "cel_code",
        (0_u8..16).map(|n| (0..60_u8).map(|i| i.wrapping_mul(n + 3)).collect()).collect(),
    );
    let expressions = expressions();
    let programs = expressions.iter().filter_map(|text| program(text)).collect();
    seeds.insert("cel_verifier", programs);
    let bytes: BTreeSet<Vec<u8>> = expressions.iter().map(|text| text.clone().into()).collect();
    seeds.insert("cel_parser", bytes.clone());
    seeds.insert("cel_source", bytes);
    let endpoints = endpoints();
    seeds.insert("bundle_bytes", endpoints.iter().filter_map(|text| bundle(text)).collect());
    seeds.insert("endpoint_file", endpoints.into_iter().map(String::into_bytes).collect());
    for (target, least) in LEAST {
        let count = seeds[target].len();
        assert!(count >= *least, "{target} has {count} seeds");
    }
    assert_eq!(seeds.keys().copied().collect::<Vec<_>>(), targets(), "fuzz/fuzz_targets");
    if let Some(folder) = std::env::var_os("MXCP_FUZZ_CORPUS").map(PathBuf::from) {
        for (target, seeds) in &seeds {
            let folder = folder.join(target);
            std::fs::create_dir_all(&folder).expect("a folder for seeds");
            for (number, seed) in seeds.iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{number}")), seed).expect("a seed");
            }
        }
    }
}

fn targets() -> Vec<String> {
    let files = files().into_iter().filter(|path| path.starts_with("fuzz/fuzz_targets"));
    files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect()
}

/// Conditions of the cases, hostile ones, and the expressions of the official suite.
fn expressions() -> BTreeSet<String> {
    let cases = files().into_iter().filter(|path| path.starts_with("tests/cases"));
    let pages = cases.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut all: BTreeSet<String> =
        suite::load("conformance").into_iter().map(|c| c.expression).collect();
    for page in pages {
        for line in read(page).lines() {
            if let Some((_, condition)) = line.split_once("condition: ") {
                all.insert(condition.trim_matches(['"', '\'']).to_owned());
            }
        }
    }
    all.extend(hostile::conditions().into_iter().map(|one| one.text));
    all
}

/// The code of an expression as a bundle holds it; it links.
fn program(text: &str) -> Option<Vec<u8>> {
    let (program, _) = expression_plainly(text, &hostile::environment()).0?;
    let layout = Layout { user: 10, params: 3, response: true };
    Predicate::link(&program, &layout, &mut Symbols::default()).expect("compiled code links");
    Some(rkyv::to_bytes::<Error>(&program).expect("code can be archived").to_vec())
}

/// The endpoint files of cases and examples.
fn endpoints() -> BTreeSet<String> {
    let folders = ["tools/", "resources/", "prompts/"];
    let is_endpoint = |path: &str| folders.iter().any(|folder| path.contains(folder));
    let mut found: BTreeSet<String> = all()
        .iter()
        .flat_map(mxcp_tests::case::Case::files)
        .filter(|(path, _)| is_endpoint(path))
        .filter_map(|(_, bytes)| String::from_utf8(bytes).ok())
        .collect();
    for code in mxcp_compiler::codes() {
        found.extend(blocks(code.page).into_iter().map(|block| block.text));
    }
    let examples = files().into_iter().filter(|path| path.starts_with("examples"));
    let examples = examples.filter(|path| is_endpoint(&path.to_string_lossy()));
    found
        .extend(examples.filter(|path| path.extension().is_some_and(|end| end == "yml")).map(read));
    found
}

/// The bundle of an endpoint that is right; it opens.
fn bundle(text: &str) -> Option<Vec<u8>> {
    let files = MemoryFiles::new([("mxcp-site.yml", SITE), ("tools/a.yml", text)]);
    let contents = compile(&files, &NoProbe, &Options::default()).bundle?;
    let bytes = seal(&contents, 7, None).expect("what was compiled can be sealed");
    open(AlignedBytes::copy(&bytes).bytes(), None).expect("what was sealed opens");
    Some(bytes)
}
