//! From what a project and a deployment say to how a trail is kept: the bundle's part says whether,
//! where and how long; the user file's part holds the keys.

use std::path::Path;
use std::sync::Arc;

use mxcp_schemas::bundle::manifest;

use super::key::{KeyError, Signer};
use super::redact::{HmacKey, HmacKeyError, Redactor, Words};
use super::sink::{CheckpointSink, FileSink, HttpSink};
use super::trail::{Config, Durability};
use super::voice::Signing;
use crate::auth::fetch::FetchError;
use crate::config::{AuditKeys, Concealed, ReferenceError, Surroundings, resolve};

/// How a trail is kept, and how its records are redacted.
#[derive(Debug, Clone)]
pub struct Settings {
    /// how it is written
    pub config: Config,
    /// how records are redacted
    pub redactor: Redactor,
}

/// Why a trail cannot be kept as configured.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A reference of the path leads nowhere.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A signing key is none.
    #[error("`audit.signing_key`: {0}")]
    SigningKey(KeyError),
    /// The key for redacted values is none.
    #[error("`audit.hmac_key`: {0}")]
    HmacKey(#[from] HmacKeyError),
    /// Checkpoints cannot be sent there.
    #[error("`audit.checkpoint_sink`: {0}")]
    Sink(#[from] FetchError),
}

/// Reads the settings of a trail. Relative paths are below `root`.
///
/// # Errors
/// When a key or a reference cannot be used.
pub fn settings(
    audit: &manifest::Audit,
    keys: &AuditKeys,
    root: &Path,
    around: &dyn Surroundings,
) -> Result<Settings, SettingsError> {
    let path = resolve(&audit.path, "audit.path", around)?;
    let mut config = Config::new(root.join(path));
    config.durability = if audit.strict { Durability::Strict } else { Durability::Batch };
    config.max_file_size_bytes = audit.max_file_size_bytes;
    config.retention_days = Some(audit.retention_days);
    config.signing = signing(keys, root)?;
    let words = Words::new(audit.redact_keys.iter().map(String::as_str));
    let hmac = keys.hmac_key.as_ref().map(|key| HmacKey::new(key.expose().as_bytes()));
    Ok(Settings { config, redactor: Redactor::new(words, hmac.transpose()?) })
}

fn signing(keys: &AuditKeys, root: &Path) -> Result<Option<Signing>, SettingsError> {
    let read =
        |key: &Concealed<String>| Signer::parse(key.expose()).map_err(SettingsError::SigningKey);
    let Some(key) = &keys.signing_key else { return Ok(None) };
    let sink = keys.checkpoint_sink.as_deref().map(|place| sink(place, root)).transpose()?;
    Ok(Some(Signing {
        key: read(key)?,
        previous: keys.previous_signing_key.as_ref().map(read).transpose()?,
        sink,
    }))
}

/// A URL, or a file.
fn sink(place: &str, root: &Path) -> Result<Arc<dyn CheckpointSink>, SettingsError> {
    if place.starts_with("https://") || place.starts_with("http://") {
        return Ok(Arc::new(HttpSink::new(place)?));
    }
    Ok(Arc::new(FileSink(root.join(place))))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    struct Bare;

    impl Surroundings for Bare {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "LOGS").then(|| "logs".to_owned())
        }

        fn file(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }

        fn mode(&self, _: &Path) -> Option<u32> {
            None
        }
    }

    fn audit() -> manifest::Audit {
        manifest::Audit {
            enabled: true,
            path: "audit/${LOGS}.jsonl".to_owned(),
            max_file_size_bytes: 1_000,
            strict: false,
            retention_days: 7,
            redact_keys: vec!["ssn".to_owned()],
            output_data: false,
        }
    }

    fn read(keys: &AuditKeys) -> Result<Settings, SettingsError> {
        settings(&audit(), keys, Path::new("/srv"), &Bare)
    }

    fn key(text: &str) -> Option<Concealed<String>> {
        Some(Concealed::new(text.to_owned()))
    }

    #[test]
    fn the_bundle_says_where_and_the_deployment_who_signs() {
        let plain = read(&AuditKeys::default()).unwrap().config;
        assert_eq!(plain.path, Path::new("/srv/audit/logs.jsonl"));
        assert_eq!((plain.durability, plain.retention_days), (Durability::Batch, Some(7)));
        assert!(plain.signing.is_none());
        let keys = AuditKeys {
            signing_key: key(&"07".repeat(32)),
            previous_signing_key: key(&"08".repeat(32)),
            hmac_key: key("0123456789abcdef"),
            checkpoint_sink: Some("kept/checkpoints.jsonl".to_owned()),
        };
        let signing = read(&keys).unwrap().config.signing.unwrap();
        let same = |seed: &str| Signer::parse(&seed.repeat(32)).unwrap().public();
        assert_eq!(signing.key.public(), same("07"));
        assert_eq!(signing.previous.unwrap().public(), same("08"));
        assert!(format!("{:?}", signing.sink).contains("/srv/kept/checkpoints.jsonl"));
    }

    #[test]
    fn keys_that_are_none_are_named_and_not_shown() {
        let keys = AuditKeys { signing_key: key("hunter2"), ..AuditKeys::default() };
        let error = read(&keys).unwrap_err().to_string();
        assert!(error.contains("`audit.signing_key`") && !error.contains("hunter2"), "{error}");
        let keys = AuditKeys { hmac_key: key("hunter2"), ..AuditKeys::default() };
        let error = read(&keys).unwrap_err().to_string();
        assert!(error.contains("`audit.hmac_key`") && !error.contains("hunter2"), "{error}");
        let plain = AuditKeys {
            signing_key: key(&"07".repeat(32)),
            checkpoint_sink: Some("http://example.org/?token=hunter2".to_owned()),
            ..AuditKeys::default()
        };
        let error = read(&plain).unwrap_err().to_string();
        assert!(error.contains("`audit.checkpoint_sink`") && !error.contains("hunter2"), "{error}");
        let lost = manifest::Audit { path: "${NOWHERE}/l.jsonl".to_owned(), ..audit() };
        let error = settings(&lost, &AuditKeys::default(), Path::new("."), &Bare).unwrap_err();
        assert!(error.to_string().contains("`NOWHERE`"), "{error}");
    }
}
