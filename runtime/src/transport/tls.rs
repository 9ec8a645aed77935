//! TLS from configuration: a certificate chain and its key, as PEM files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::private::{self, Exposed};

/// Makes TLS of connections.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not what it should be.
    #[error("`{}` has no {what} in PEM: {source}", path.display())]
    Pem {
        /// the file
        path: PathBuf,
        /// what should be in it
        what: &'static str,
        /// why
        source: pem::Error,
    },
    /// The certificate is not there.
    #[error("`{}` has no certificate in it", .0.display())]
    Empty(PathBuf),
    /// Others can read the key.
    #[error(transparent)]
    Exposed(#[from] Exposed),
    /// The two do not fit together, or are of a kind that is not known.
    #[error("the certificate and the key of `transport.http.tls` cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads a certificate chain and its key.
    ///
    /// # Errors
    /// When these cannot be used, or others than its owner can read the key.
    pub fn new(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let pem = |path: &Path, what| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, what, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(pem(certificate, "certificate"))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(certificate.to_owned()));
        }
        private::check(key, private::mode_of(key))?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(pem(key, "private key"))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, secret)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Makes TLS of a connection.
    ///
    /// # Errors
    /// When the client does not go along.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::transport::http::listen::{Settings, serve};

    const CERTIFICATE: &str = include_str!("tls/test-cert.pem");
    const KEY: &str = include_str!("tls/test-key.pem");

    struct Files(tempfile::TempDir);

    impl Files {
        fn new(certificate: &str, key: &str, mode: u32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("cert.pem"), certificate).unwrap();
            let path = folder.path().join("key.pem");
            std::fs::write(&path, key).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Self(folder)
        }

        fn load(&self) -> Result<Tls, TlsError> {
            Tls::new(&self.0.path().join("cert.pem"), &self.0.path().join("key.pem"))
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let error = |cert: &str, key: &str, mode| {
            Files::new(cert, key, mode).load().unwrap_err().to_string()
        };
        assert!(error(CERTIFICATE, KEY, 0o644).contains("run `chmod 600"));
        assert!(error("nothing", KEY, 0o600).contains("no certificate"));
        assert!(error(CERTIFICATE, "nothing", 0o600).contains("no private key"));
        assert!(error(CERTIFICATE, CERTIFICATE, 0o600).contains("no private key"));
        let error = Tls::new(Path::new("/nope"), Path::new("/nope")).unwrap_err().to_string();
        assert!(error.contains("`/nope`"), "{error}");
    }

    #[tokio::test]
    async fn requests_are_answered_over_tls_and_plain_ones_are_not() {
        let tls = Files::new(CERTIFICATE, KEY, 0o600).load().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let settings = Settings {
            max_header_bytes: 8_192,
            slow_request: std::time::Duration::from_secs(5),
            stop_deadline: std::time::Duration::from_secs(5),
        };
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
        let stop = CancellationToken::new();
        let unread = Arc::new(|_, _| {});
        let running =
            tokio::spawn(serve(listener, router, settings, unread, Some(tls), stop.clone()));
        let mut roots = RootCertStore::empty();
        let anchor = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        roots.add(anchor).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector.connect(name, stream).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.ends_with("hello"), "{answer}");
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        let _ = plain.read_to_end(&mut bytes).await;
        assert_eq!(memchr::memmem::find(&bytes, b"hello"), None);
        stop.cancel();
        running.await.unwrap();
    }
}
