//! References: values that stand elsewhere.
//!
//! `${VAR}` anywhere within a text is an environment variable; a text that begins with `file://`
//! is the content of a file. A reference that cannot be resolved is an error that names it and its
//! place, never a value.

use std::path::Path;

use super::Surroundings;

/// Size of a file that a reference names, at most.
const REFERENCED_FILE_MAX_BYTES: usize = 1 << 20;

/// Why a reference cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{place}`: {problem}")]
pub struct ReferenceError {
    /// where in the configuration it stands
    pub place: String,
    /// the reference, and why it leads nowhere
    pub problem: String,
}

/// Resolves the references of a text.
///
/// # Errors
/// When a variable is not set, a file cannot be read, or the reference is of a kind that this
/// release does not resolve.
pub fn resolve(
    text: &str,
    place: &str,
    around: &dyn Surroundings,
) -> Result<String, ReferenceError> {
    let fail = |problem: String| Err(ReferenceError { place: place.to_owned(), problem });
    if text.starts_with("vault://") || text.starts_with("op://") {
        let scheme = text.split(':').next().unwrap_or_default();
        return fail(format!(
            "`{scheme}://` references are not resolved by this release; use `${{VAR}}` or `file://`"
        ));
    }
    if let Some(path) = text.strip_prefix("file://") {
        return match around.file(Path::new(path)) {
            Ok(bytes) if bytes.len() > REFERENCED_FILE_MAX_BYTES => {
                fail(format!("the file `{path}` has more than {REFERENCED_FILE_MAX_BYTES} bytes"))
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(content) => Ok(content.trim().to_owned()),
                Err(_) => fail(format!("the file `{path}` is not UTF-8 text")),
            },
            Err(error) => fail(format!("the file `{path}` cannot be read: {error}")),
        };
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}').filter(|(name, _)| is_name(name)) else {
            return fail(
                "`${` must be followed by the name of an environment variable and `}`; there is \
                 no syntax for defaults"
                    .into(),
            );
        };
        match around.variable(name) {
            Some(value) => out.push_str(&value),
            None => return fail(format!("the environment variable `{name}` is not set")),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// Resolves the reference to a key: like any other, but a file that others can read is refused.
///
/// # Errors
/// As [`resolve`], and when others than its owner can read the file.
pub fn resolve_key(
    text: &str,
    place: &str,
    around: &dyn Surroundings,
) -> Result<String, ReferenceError> {
    if let Some(path) = text.strip_prefix("file://").map(Path::new) {
        super::private::check(path, around.mode(path)).map_err(|exposed| ReferenceError {
            place: place.to_owned(),
            problem: exposed.to_string(),
        })?;
    }
    resolve(text, place, around)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
