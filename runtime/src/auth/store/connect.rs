//! Reaching PostgreSQL: where it is, how it is known to be the right one, and the tables.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::{Host, SslMode};
use postgres::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::seal::Sealer;
use super::file::{self, KeyError, OpenError};
use super::postgres::{SCHEMA, told};
use super::schema;

/// Seconds that an attempt to connect may take.
const CONNECT_TIMEOUT_S: u64 = 3;
/// Seconds after which a connection on which nothing comes back is taken for dead.
const DEAD_AFTER_S: u64 = 5;
/// Excludes two processes that make the tables at the same time.
const SCHEMA_LOCK: i64 = 0x6d78_7270_7365_7373;

/// Where the database is, and how to talk to it.
#[derive(Clone)]
pub(super) struct Target {
    config: Config,
    tls: MakeRustlsConnect,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address has a password in it.
        f.write_str("Target")
    }
}

impl Target {
    /// Reads an address. Whoever is not on this machine is talked to through TLS, unless the address
    /// says `sslmode=disable`, and has to show a certificate that `ca`, or else the system, vouches
    /// for.
    pub(super) fn new(
        url: &str,
        ca: Option<&Path>,
        notes: &mut Vec<String>,
    ) -> Result<Self, OpenError> {
        // What the parser complains of may be the password.
        let mut config: Config = url.parse().map_err(|_| OpenError::Address)?;
        if config.get_hosts().is_empty() {
            return Err(OpenError::Address);
        }
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
            }
            #[cfg(unix)]
            Host::Unix(_) => true,
        };
        if !config.get_hosts().iter().all(is_here) {
            match config.get_ssl_mode() {
                SslMode::Disable => notes.push(
                    "the connection to the session database is not encrypted: its address says \
                     `sslmode=disable`"
                        .into(),
                ),
                _ => {
                    config.ssl_mode(SslMode::Require);
                }
            }
        }
        config
            .application_name("mxcp-runtime")
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_S))
            .tcp_user_timeout(Duration::from_secs(DEAD_AFTER_S))
            .keepalives_idle(Duration::from_secs(DEAD_AFTER_S));
        Ok(Self { config, tls: MakeRustlsConnect::new(tls(ca)?) })
    }

    /// A new connection.
    pub(super) fn connect(&self) -> Result<Client, postgres::Error> {
        self.config.connect(self.tls.clone())
    }
}

fn tls(ca: Option<&Path>) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |problem: String| OpenError::Tls(problem);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    let Some(path) = ca else {
        let builder =
            builder.with_platform_verifier().map_err(|error| failed(error.to_string()))?;
        return Ok(builder.with_no_client_auth());
    };
    let unusable = |problem: &dyn fmt::Display| failed(format!("`{}`: {problem}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is no certificate in it"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Makes the tables where there are none, and holds a realm to one key: replicas with different ones
/// could not read each other's logins.
pub(super) fn prepare(target: &Target, key: &str, realm: &str) -> Result<Sealer, OpenError> {
    let key =
        file::read_key(key).ok_or_else(|| KeyError("`persistence.auth_encryption_key`".into()))?;
    let sealer = Sealer::new(&key);
    let mut client = target.connect().map_err(|error| OpenError::Postgres(told(&error)))?;
    let known = schema_of(&mut client, realm, &sealer.key_id())
        .map_err(|error| OpenError::Postgres(told(&error)))?;
    match known {
        Known { version, .. } if version != schema::VERSION => {
            Err(OpenError::SchemaVersion { found: version })
        }
        Known { key_id, .. } if key_id != sealer.key_id() => {
            Err(OpenError::OtherKey { realm: realm.to_owned() })
        }
        Known { .. } => Ok(sealer),
    }
}

/// What a database says about itself.
struct Known {
    version: i32,
    key_id: String,
}

fn schema_of(client: &mut Client, realm: &str, key_id: &str) -> Result<Known, postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK])?;
    let name = format!("{SCHEMA}.version");
    // Whoever may not make tables can have them made beforehand.
    let is_there: bool =
        transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])?.get(0);
    if !is_there {
        transaction.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))?;
        transaction.batch_execute(&format!("SET LOCAL search_path = {SCHEMA}"))?;
        transaction.batch_execute(schema::POSTGRES)?;
        transaction.execute("INSERT INTO version (version) VALUES ($1)", &[&schema::VERSION])?;
    }
    transaction.batch_execute(&format!("SET LOCAL search_path = {SCHEMA}"))?;
    let version: i32 = transaction.query_one("SELECT max(version) FROM version", &[])?.get(0);
    if version != schema::VERSION {
        return Ok(Known { version, key_id: String::new() });
    }
    transaction.execute(
        "INSERT INTO realm (realm, key_id) VALUES ($1, $2) ON CONFLICT (realm) DO NOTHING",
        &[&realm, &key_id],
    )?;
    let row = transaction.query_one("SELECT key_id FROM realm WHERE realm = $1", &[&realm])?;
    let key_id = row.get(0);
    transaction.commit()?;
    Ok(Known { version, key_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> (SslMode, usize) {
        let mut notes = Vec::new();
        let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/src/transport/tls/test-cert.pem");
        let target = Target::new(url, Some(Path::new(ca)), &mut notes).unwrap();
        (target.config.get_ssl_mode(), notes.len())
    }

    #[test]
    fn nobody_far_away_is_talked_to_in_the_clear_unless_the_address_says_so() {
        assert_eq!(mode("postgresql://u@localhost/d"), (SslMode::Prefer, 0));
        assert_eq!(mode("postgresql://u@127.0.0.1/d"), (SslMode::Prefer, 0));
        assert_eq!(mode("postgresql://u@db.example/d"), (SslMode::Require, 0));
        assert_eq!(mode("postgresql://u@db.example/d?sslmode=prefer"), (SslMode::Require, 0));
        assert_eq!(mode("postgresql://u@localhost,db.example/d"), (SslMode::Require, 0));
        assert_eq!(mode("postgresql://u@db.example/d?sslmode=disable"), (SslMode::Disable, 1));
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for url in ["", "postgresql://u:hunter2@h:port/d", "mysql://u:hunter2@h/d", "user=u"] {
            let error = Target::new(url, None, &mut Vec::new()).unwrap_err();
            assert!(matches!(error, OpenError::Address), "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
