//! What is fetched is pinned in one place (`.ci/pins.env`), and everything agrees with it.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mxcp_tests::project::Project;
use mxcp_tests::workspace::{metadata, read, root};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

#[test]
fn the_crate_is_the_one_pinned_and_declares_the_pinned_version() {
    let pins = pins();
    let metadata = metadata();
    let package = |name: &str| {
        let packages = metadata["packages"].as_array().unwrap();
        let found = packages.iter().find(|package| package["name"] == name);
        found.unwrap_or_else(|| panic!("no package `{name}`")).clone()
    };
    assert_eq!(package("libduckdb-sys")["version"], pins["DUCKDB_CRATE"].as_str());
    let runtime = package("mxcp-runtime");
    let needs = runtime["dependencies"].as_array().unwrap();
    let needed = needs.iter().find(|dependency| dependency["name"] == "libduckdb-sys").unwrap();
    assert_eq!(
        needed["req"],
        format!("={}", pins["DUCKDB_CRATE"]),
        "the version is pinned exactly"
    );
    assert_eq!(declared_version(&pins["DUCKDB_CRATE"]), pins["DUCKDB_VERSION"]);
}

#[test]
fn the_npm_packages_carry_the_pinned_version() {
    let pins = pins();
    let (version, _revision) = pins["DUCKDB_NPM"].split_once("-r.").unwrap();
    assert_eq!(version, pins["DUCKDB_VERSION"]);
}

#[test]
fn each_supported_platform_has_a_digest() {
    let pins = pins();
    for platform in ["LINUX_X64", "LINUX_ARM64", "DARWIN_X64", "DARWIN_ARM64"] {
        let digest = &pins[&format!("DUCKDB_SHA256_{platform}")];
        assert!(
            digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()),
            "{platform}: {digest}"
        );
    }
}

/// What is linked, wherever it came from, is the version that is pinned, and has the extensions that are
/// relied on: `json` to tell reading statements from others, `icu` for time zones.
#[test]
fn the_linked_library_has_the_pinned_version_and_its_extensions() {
    let site =
        "mxcp: 1\nproject: p\nprofile: q\nprofiles: {q: {duckdb: {external_access: true}}}\n";
    let project = Project::new(&[("mxcp-site.yml", site)]);
    let sql = "SELECT version() AS version, list(extension_name ORDER BY extension_name) AS linked \
               FROM duckdb_extensions() WHERE install_mode = 'STATICALLY_LINKED'";
    let rows: Value = serde_json::from_str(&project.mxcp(&["query", "--json", sql])).unwrap();
    assert_eq!(rows[0]["version"], format!("v{}", pins()["DUCKDB_VERSION"]));
    let linked: Vec<&str> =
        rows[0]["linked"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(linked, ["autocomplete", "core_functions", "icu", "json", "parquet"]);
}

/// Building DuckDB from source gives what the fetched library has.
#[test]
fn the_library_built_from_source_has_the_same_extensions() {
    let manifest = read("runtime/Cargo.toml");
    let bundled = manifest.split_once("bundled-duckdb = [").unwrap().1.split_once(']').unwrap().0;
    for extension in ["bundled-cmake", "icu", "json", "parquet"] {
        assert!(bundled.contains(&format!("\"libduckdb-sys/{extension}\"")), "{extension}");
    }
}

/// A library that you chose yourself (`DUCKDB_LIB_DIR`) is not the one in `.cache`; the test above
/// holds its version all the same.
#[test]
fn the_fetched_library_has_the_pinned_digest() {
    let pins = pins();
    let (name, os) = if cfg!(target_os = "macos") {
        ("libduckdb.dylib", "DARWIN")
    } else {
        ("libduckdb.so", "LINUX")
    };
    let architecture = if cfg!(target_arch = "aarch64") { "ARM64" } else { "X64" };
    let fetched = root().join(".cache/duckdb").join(name);
    let chosen = std::env::var_os("DUCKDB_LIB_DIR").map(|folder| Path::new(&folder).join(name));
    if chosen.as_ref().is_some_and(|chosen| *chosen != fetched) && !fetched.exists() {
        return;
    }
    let digest = Sha256::digest(fs::read(&fetched).expect("`.ci/fetch-duckdb` was run"));
    assert_eq!(hex(&digest), pins[&format!("DUCKDB_SHA256_{os}_{architecture}")]);
}

#[test]
fn clients_are_pinned_exactly() {
    let requirements = read("tests/clients/requirements.txt");
    let loose = requirements.lines().filter(|line| !line.starts_with('#') && !line.contains("=="));
    assert_eq!(loose.collect::<Vec<_>>(), Vec::<&str>::new());
    let package: Value = serde_json::from_str(&read("tests/clients/package.json")).unwrap();
    let lock: Value = serde_json::from_str(&read("tests/clients/package-lock.json")).unwrap();
    for (name, version) in package["dependencies"].as_object().unwrap() {
        let locked = &lock["packages"][format!("node_modules/{name}")];
        assert_eq!(locked["version"], *version, "{name}");
        assert!(locked["integrity"].is_string(), "{name}");
    }
    for (name, locked) in lock["packages"].as_object().unwrap() {
        assert!(locked["resolved"].is_null(), "{name}: the lock file names a host");
    }
}

/// The lines `NAME=value`.
fn pins() -> BTreeMap<String, String> {
    let text = read(".ci/pins.env");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| !name.starts_with('#'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The library's version that a version of the crate stands for: `1.10506.1` is for 1.5.6.
fn declared_version(version: &str) -> String {
    let number: u32 = version.split('.').nth(1).unwrap().parse().unwrap();
    format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
