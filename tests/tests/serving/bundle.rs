//! Bundles, as the shipped programs write and refuse them.

use std::path::Path;
use std::process::Output;

use ed25519_dalek::{Signer as _, SigningKey};
use mxcp_runtime::serve::Linked;
use mxcp_schemas::bundle::code::{Program, Slot};
use mxcp_schemas::bundle::container::{
    AlignedBytes, Bundle, Header, OpenError, Opened, open, reopen, seal,
};
use mxcp_schemas::bundle::definition::{Endpoint, Parameter, TypeId, TypeKind};
use mxcp_tests::binaries;
use mxcp_tests::http::Connection;
use mxcp_tests::project::Project;
use mxcp_tests::server::Server;
use rkyv::rancor;
use serde_json::json;

const SITE: &str = "mxcp: 1\nproject: small\nprofile: default\n";
const TOOL: &str = "\
mxcp: 1
tool:
  name: hello
  description: Says hello
  parameters:
    - { name: who, type: string, maxLength: 20 }
  return: { type: object, properties: { greeting: { type: string }, secret: { type: string, sensitive: true } } }
  source: { code: \"SELECT 'hello ' || $who AS greeting, 'x' AS secret\" }
  policies:
    input:
      - { condition: \"user.role == 'guest' && who != 'you'\", action: deny, reason: Guests greet you alone }
    output:
      - { condition: user.role != 'admin', action: filter_sensitive_fields }
";

/// The parts of the header, which `container.rs` lays out.
const DIGEST: std::ops::Range<usize> = 80..112;
const PUBLIC_KEY: std::ops::Range<usize> = 112..144;
const SIGNATURE: std::ops::Range<usize> = 144..208;
const TABLE: usize = 256;
const ENTRY_BYTES: usize = 24;
const SECTIONS: [&str; 5] = ["manifest", "types", "endpoints", "predicates", "sources"];

fn small() -> Project {
    Project::new(&[("mxcp-site.yml", SITE), ("tools/hello.yml", TOOL)])
}

fn built(project: &Project) -> Vec<u8> {
    std::fs::read(project.build()).unwrap()
}

/// What `mxcp-runtime FILE verify` says of these bytes.
fn verify(project: &Project, bytes: &[u8], options: &[&str]) -> Output {
    let path = project.path("changed.mx");
    std::fs::write(&path, bytes).unwrap();
    binaries::runtime().arg(&path).arg("verify").args(options).output().unwrap()
}

/// That the runtime refuses the bytes, with exit code 1 and a message with these words.
fn refused(project: &Project, bytes: &[u8], options: &[&str], words: &str) {
    let done = verify(project, bytes, options);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{words}: {said}");
    assert!(said.contains(words), "{words}: {said}");
    assert!(done.stdout.is_empty(), "{words}");
}

/// Where a section lies in the file, as the section table says.
fn section(bytes: &[u8], index: usize) -> std::ops::Range<usize> {
    let number = |at: usize| {
        let bytes: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    };
    let entry = TABLE + index * ENTRY_BYTES;
    let (start, length) = (number(entry + 8), number(entry + 16));
    start..start + length
}

/// The same bytes under a digest that fits them again.
fn redigested(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[..DIGEST.start]).update(&bytes[SIGNATURE.end..]);
    bytes[DIGEST].copy_from_slice(hasher.finalize().as_bytes());
    bytes
}

fn signed(mut bytes: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    let text = [b"mxcp bundle signature v1\0", &bytes[DIGEST]].concat();
    bytes[PUBLIC_KEY].copy_from_slice(key.verifying_key().as_bytes());
    bytes[SIGNATURE].copy_from_slice(&key.sign(&text).to_bytes());
    bytes
}

/// The contents of a bundle, to be changed and sealed again.
fn contents(bytes: &[u8]) -> Bundle {
    let copy = AlignedBytes::copy(bytes);
    let Opened { manifest, types, endpoints, predicates, sources, .. } =
        open(copy.bytes(), None).unwrap();
    Bundle {
        manifest: rkyv::deserialize::<_, rancor::Error>(manifest).unwrap(),
        types: rkyv::deserialize::<_, rancor::Error>(types).unwrap(),
        endpoints: rkyv::deserialize::<_, rancor::Error>(endpoints).unwrap(),
        predicates: rkyv::deserialize::<_, rancor::Error>(predicates).unwrap(),
        sources: rkyv::deserialize::<_, rancor::Error>(sources).unwrap(),
    }
}

fn overwritten(bytes: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[range].fill(0xFF);
    changed
}

#[test]
fn every_single_bit_flip_of_a_built_bundle_is_refused() {
    let project = small();
    std::fs::write(project.path("key"), [7; 32]).unwrap();
    project.mxcp(&["build", "-o", "signed.mx", "--sign", "key"]);
    let signed = std::fs::read(project.path("signed.mx")).unwrap();
    for bytes in [built(&project), signed] {
        let mut changed = bytes.clone();
        for bit in 0..bytes.len() * 8 {
            changed[bit / 8] ^= 1 << (bit % 8);
            let copy = AlignedBytes::copy(&changed);
            assert!(open(copy.bytes(), None).is_err(), "bit {} of byte {}", bit % 8, bit / 8);
            changed[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(open(AlignedBytes::copy(&changed).bytes(), None).is_ok());
    }
}

#[test]
fn the_shipped_runtime_refuses_what_was_changed_and_names_the_part() {
    let project = small();
    let bytes = built(&project);
    assert!(verify(&project, &bytes, &[]).status.success());
    let flipped = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        changed
    };
    for (at, words) in [
        (0, "does not begin with `MXCPBNDL`"),
        (8, "format"),
        (12, "header is damaged: reserved bytes are not zero"),
        (17, "needs mxcp-runtime"),
        (22, "header is damaged: reserved bytes are not zero"),
        (24, "section table is damaged"),
        (32, "it was cut off or something was added"),
        (40, "digest does not match"),
        (48, "schema hash differs"),
        (80, "digest does not match"),
        (112, "signature is not valid"),
        (144, "signature is not valid"),
        (208, "header is damaged"),
        (TABLE, "section table is damaged"),
        (TABLE + 8, "section table is damaged"),
        (bytes.len() - 1, "digest does not match"),
    ] {
        refused(&project, &flipped(at), &[], words);
    }
    refused(&project, &bytes[..bytes.len() - 1], &[], "was cut off");
    refused(&project, &[&bytes[..], &[0]].concat(), &[], "something was added");
    refused(&project, &bytes[..100], &[], "was cut off");
    refused(&project, b"", &[], "does not begin with");
    for (index, name) in SECTIONS.iter().enumerate() {
        let broken = redigested(overwritten(&bytes, section(&bytes, index)));
        refused(&project, &broken, &[], &format!("{name} section is damaged"));
    }
    let gap = (0..4).map(|i| section(&bytes, i).end..section(&bytes, i + 1).start);
    let gap = gap.into_iter().find(|gap| !gap.is_empty()).expect("some section is padded");
    refused(&project, &redigested(overwritten(&bytes, gap)), &[], "padding is damaged");
}

#[test]
fn bounds_come_before_digests_before_signatures_before_archives() {
    let project = small();
    let (bytes, key) = (built(&project), SigningKey::from_bytes(&[9; 32]));
    let types = section(&bytes, 1);
    // Two things are wrong each time; the one that is checked first is named.
    let reserved_and_digest = overwritten(&bytes, 208..209);
    refused(&project, &reserved_and_digest, &[], "header is damaged");
    let digest_and_signature = overwritten(&signed(bytes.clone(), &key), DIGEST);
    let digest_and_archive = overwritten(&overwritten(&bytes, types.clone()), DIGEST);
    for both in [digest_and_signature, digest_and_archive] {
        refused(&project, &both, &[], "digest does not match");
    }
    let broken = redigested(overwritten(&bytes, types));
    let mut signature_and_archive = signed(broken.clone(), &key);
    signature_and_archive[SIGNATURE.start] ^= 1;
    refused(&project, &signature_and_archive, &[], "signature is not valid");
    refused(&project, &signed(broken, &key), &[], "types section is damaged");
}

#[test]
fn the_code_of_conditions_is_verified_even_when_it_is_signed() {
    let project = small();
    let (good, key) = (built(&project), SigningKey::from_bytes(&[9; 32]));
    let changes: [fn(&mut Program); 4] = [
        |program| program.inputs[0].slot = Slot::User(999),
        |program| program.registers = 0,
        |program| program.constants.clear(),
        |program| program.code.truncate(1),
    ];
    for change in changes {
        let mut bundle = contents(&good);
        change(&mut bundle.predicates.programs[0]);
        std::fs::write(project.path("bad.mx"), seal(&bundle, 0, Some(&key)).unwrap()).unwrap();
        nobody_takes(&project, "bad.mx", "predicates section");
    }
}

/// That no server starts with a bundle, and that `verify` refuses it as well.
fn nobody_takes(project: &Project, bundle: &str, words: &str) {
    let (code, said) = serve(project, bundle, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(words), "{words}: {said}");
    refused(project, &std::fs::read(project.path(bundle)).unwrap(), &[], words);
}

#[test]
fn what_refers_to_what_is_not_there_is_refused_even_when_it_is_signed() {
    let project = small();
    let (good, key) = (built(&project), SigningKey::from_bytes(&[9; 32]));
    type Change = fn(&mut Bundle);
    let changes: [(Change, &str); 5] = [
        (|bundle| bundle.endpoints.entries[0].parameters[0].ty = TypeId(99), "endpoints section"),
        (|bundle| bundle.endpoints.entries[0].result = Some(TypeId(99)), "endpoints section"),
        (|bundle| bundle.endpoints.entries[0].input[0].program = 99, "endpoints section"),
        (|bundle| bundle.endpoints.entries[0].output[0].plan = Some(99), "endpoints section"),
        // A list of itself: following its items would never end.
        (
            |bundle| {
                bundle.types.nodes[0].kind = TypeKind::Array {
                    items: Some(TypeId(0)),
                    min_items: None,
                    max_items: None,
                    unique_items: false,
                };
            },
            "types section",
        ),
    ];
    for (change, words) in changes {
        let mut bundle = contents(&good);
        change(&mut bundle);
        std::fs::write(project.path("bad.mx"), seal(&bundle, 0, Some(&key)).unwrap()).unwrap();
        nobody_takes(&project, "bad.mx", words);
    }
}

/// About a third of all flipped bits still make valid archives. The digest finds them; if it did not,
/// nothing would panic and nothing would go on for ever.
#[test]
fn what_validates_though_it_was_changed_is_linked_or_refused() {
    let good = built(&small());
    let (mut valid, mut linked) = (0, 0);
    for at in TABLE..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        let copy = AlignedBytes::copy(&bytes);
        let header = Header { build_number: 0, digest: [0; 32], signer: None };
        let Ok(opened) = reopen(copy.bytes(), header) else { continue };
        valid += 1;
        if let Ok(bundle) = Linked::of(&opened) {
            linked += 1;
            let _ = bundle.verify();
        }
    }
    assert!(valid > 300 && linked > 100, "{valid} valid, {linked} linked");
}

#[test]
fn verify_looks_at_what_a_server_would_find_at_the_first_call() {
    let project = small();
    let good = built(&project);
    type Change = fn(&mut Endpoint);
    let changes: [(Change, &str); 2] = [
        (|endpoint| endpoint.input[0].action = "bless".into(), "there is no action `bless`"),
        (
            |endpoint| {
                let twin = Parameter { name: "WHO".into(), ..endpoint.parameters[0].clone() };
                endpoint.parameters.push(twin);
            },
            "`who` and `WHO` are the same name in SQL",
        ),
    ];
    for (change, words) in changes {
        let mut bundle = contents(&good);
        change(&mut bundle.endpoints.entries[0]);
        refused(&project, &seal(&bundle, 0, None).unwrap(), &[], words);
    }
}

#[test]
fn whom_to_trust_is_configured_and_a_stripped_signature_is_noticed() {
    let project = small();
    std::fs::write(project.path("key"), [7; 32]).unwrap();
    let trusted = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
    std::fs::write(project.path("trusted"), trusted).unwrap();
    let options = ["--public-key", &project.path("trusted").display().to_string()];
    project.mxcp(&["build", "-o", "signed.mx", "--sign", "key"]);
    let bytes = std::fs::read(project.path("signed.mx")).unwrap();
    let done = verify(&project, &bytes, &options);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let hex: String = trusted.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(done.status.success() && said.contains(&format!("signed by {hex}")), "{said}");
    let mut stripped = bytes.clone();
    stripped[PUBLIC_KEY.start..SIGNATURE.end].fill(0);
    refused(&project, &stripped, &options, "is not signed");
    refused(&project, &built(&project), &options, "is not signed");
    let other = signed(bytes.clone(), &SigningKey::from_bytes(&[8; 32]));
    refused(&project, &other, &options, "signed by a key that is not the configured one");
    // A signature that is there is verified although nobody is trusted.
    let mut wrong = bytes;
    wrong[SIGNATURE.end - 40] ^= 1;
    refused(&project, &wrong, &[], "signature is not valid");
}

/// Serves until standard input ends, which it does at once.
fn serve(project: &Project, bundle: &str, options: &[&str]) -> (Option<i32>, String) {
    let done = binaries::runtime()
        .arg(project.path(bundle))
        .args(["serve", "--transport", "stdio", "--root"])
        .arg(project.path(""))
        .args(options)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn an_older_bundle_and_a_twin_are_refused() {
    let project = small();
    let build = |number: &str, file: &str| {
        project.mxcp(&["build", "-o", file, "--build-number", number]);
    };
    build("5", "five.mx");
    build("4", "four.mx");
    build("0", "none.mx");
    project.write("tools/hello.yml", &TOOL.replace("Says hello", "Greets"));
    build("5", "other-five.mx");
    build("6", "six.mx");
    let is_fine = |bundle: &str, options: &[&str]| {
        let (code, said) = serve(&project, bundle, options);
        assert_eq!(code, Some(0), "{bundle}: {said}");
    };
    let is_refused = |bundle: &str, words: &str| {
        let (code, said) = serve(&project, bundle, &[]);
        assert_eq!(code, Some(2), "{bundle}: {said}");
        assert!(said.contains(words), "{bundle}: {said}");
    };
    is_fine("none.mx", &[]);
    is_fine("five.mx", &[]);
    is_fine("five.mx", &[]);
    is_refused("four.mx", "build number 4 and 5 was accepted before");
    is_refused("none.mx", "build number 0 and 5 was accepted before");
    is_refused("other-five.mx", "build number 5, which another bundle had before");
    is_fine("six.mx", &[]);
    is_refused("five.mx", "build number 5 and 6 was accepted before");
    // What is allowed once is not allowed for good.
    is_fine("five.mx", &["--allow-rollback"]);
    is_refused("five.mx", "build number 5 and 6 was accepted before");
    is_fine("six.mx", &[]);
    // A bundle that did not start does not keep others from coming back.
    build("7", "seven.mx");
    project.write("bad.yml", "mxcp: [");
    let bad = project.path("bad.yml").display().to_string();
    let (code, said) = serve(&project, "seven.mx", &["--config", &bad]);
    assert_eq!(code, Some(2), "{said}");
    is_fine("six.mx", &[]);
    // A memory that cannot be read refuses rather than forgets.
    project.write(".mxcp/accepted-bundles.json", "{");
    is_refused("six.mx", "accepted-bundles.json");
}

#[test]
fn truncating_and_rewriting_the_file_does_not_reach_a_running_server() {
    let project = small();
    let bundle = project.build();
    let server = Server::start(&project, &bundle, &["--user-context", r#"{"role":"admin"}"#]);
    let mut connection = Connection::open(server.address());
    let mut ask = || {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "hello", "arguments": {"who": "you"}, "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {}
            }
        }});
        let headers = [
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "hello"),
        ];
        let reply = connection.rpc(&headers, &call).json();
        assert_eq!(reply["result"]["structuredContent"]["greeting"], "hello you", "{reply}");
    };
    ask();
    std::fs::File::options().write(true).open(&bundle).unwrap().set_len(10).unwrap();
    ask();
    std::fs::write(&bundle, vec![0xFF; 1 << 16]).unwrap();
    ask();
    std::fs::remove_file(&bundle).unwrap();
    ask();
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn the_same_project_gives_the_same_bytes_wherever_it_is() {
    let (here, there) = (Project::copy("examples/clinic"), Project::empty());
    let mut files: Vec<_> = walk(&here.path("")).collect();
    // Written in another order, so that folders list their entries otherwise.
    files.reverse();
    for file in files {
        let inside = file.strip_prefix(here.path("")).unwrap().to_owned();
        there.write(&inside, &here.read(&inside));
    }
    let build = |project: &Project| built(project);
    let (one, two) = (build(&here), build(&there));
    assert!(one == two, "{} and {} bytes", one.len(), two.len());
    assert!(one == build(&here));
}

fn walk(folder: &Path) -> Box<dyn Iterator<Item = std::path::PathBuf>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    Box::new(entries.flat_map(|path| -> Box<dyn Iterator<Item = std::path::PathBuf>> {
        if path.is_dir() { walk(&path) } else { Box::new(std::iter::once(path)) }
    }))
}

#[test]
fn a_bundle_of_another_format_is_named_before_anything_else_of_it_is_believed() {
    let project = small();
    let mut bytes = built(&project);
    bytes[8] = 99;
    bytes.truncate(300);
    let copy = AlignedBytes::copy(&bytes);
    assert_eq!(open(copy.bytes(), None).unwrap_err(), OpenError::Format { found: 99 });
}
