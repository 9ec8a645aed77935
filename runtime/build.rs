//! Lays the prebuilt DuckDB library beside what is built, where the binaries' run path looks for it
//! (`.cargo/config.toml`), so that they start from any working directory and with no variable set.

use std::env;
use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    if env::var_os("CARGO_FEATURE_BUNDLED_DUCKDB").is_some() {
        return Ok(());
    }
    let Some(folder) = env::var_os("DUCKDB_LIB_DIR").map(PathBuf::from) else {
        return Ok(());
    };
    let library = folder.join(library_name(&env::var("CARGO_CFG_TARGET_OS")?));
    println!("cargo::rerun-if-changed={}", library.display());
    if !library.is_file() {
        return Err(format!(
            "there is no DuckDB library at `{}`: run `.ci/fetch-duckdb`, set DUCKDB_LIB_DIR to a folder that \
             holds one, or build with `--features bundled-duckdb`",
            library.display()
        )
        .into());
    }
    // `OUT_DIR` is `<target>/<profile>/build/<package>/out`.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR is not below a target folder")?;
    lay(&library.canonicalize()?, profile)
}

/// The file name that the linker looks for on this operating system.
fn library_name(os: &str) -> &'static str {
    match os {
        "windows" => "duckdb.dll",
        "macos" => "libduckdb.dylib",
        _ => "libduckdb.so",
    }
}

/// Links (or copies, where links need a privilege) `library` into `folder`, replacing an older one.
fn lay(library: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    let name = library.file_name().ok_or("the library has no file name")?;
    let there = folder.join(name);
    match fs::remove_file(&there) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(library, &there)?;
    #[cfg(not(unix))]
    fs::copy(library, &there)?;
    Ok(())
}
