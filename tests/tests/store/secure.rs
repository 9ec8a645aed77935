//! PostgreSQL through TLS. The server of the tests has none; what stands before it does what a server
//! with TLS does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mxcp_runtime::auth::store::{OpenError, Opened, Settings, Store, Whereabouts};
use mxcp_tests::postgres::Postgres;
use mxcp_tests::workspace;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::suite::{NOW, begin, is_good, redeem};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// What a client sends that wants TLS: eight bytes, the last four of them this number.
const TLS_WANTED: u32 = 80_877_103;

fn file(name: &str) -> PathBuf {
    workspace::root().join("runtime/src/transport/tls").join(name)
}

/// Stands before a server: `accepts` TLS or says that it has none.
async fn front(server: SocketAddr, accepts: bool) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(file("test-cert.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(file("test-key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { serve(client, server, accepts.then_some(acceptor)).await });
        }
    });
    address
}

async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    acceptor: Option<TlsAcceptor>,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    let [_, _, _, length, number @ ..] = first;
    // Whoever does not ask for TLS is not served.
    if length != 8 || u32::from_be_bytes(number) != TLS_WANTED {
        return Ok(());
    }
    let mut server = TcpStream::connect(server).await?;
    match acceptor {
        Some(acceptor) => {
            client.write_all(b"S").await?;
            copy_bidirectional(&mut acceptor.accept(client).await?, &mut server).await?;
        }
        None => {
            client.write_all(b"N").await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
    }
    Ok(())
}

async fn open(url: String, ca: Option<PathBuf>) -> Result<Opened, OpenError> {
    let open = move || {
        let place = Whereabouts::Database { url: &url, ca: ca.as_deref() };
        Store::open(Settings { place, key: Some(KEY), realm: "p/q".into() })
    };
    tokio::task::spawn_blocking(open).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_the_right_certificate_is_talked_to_and_nobody_else() {
    let server = Postgres::start();
    let url = server.database("sessions");
    let at = |address: SocketAddr, mode: &str| {
        let place = format!("localhost:{}", address.port());
        format!("{}?sslmode={mode}", url.replace(&server.address().to_string(), &place))
    };
    let (secure, plain) =
        (front(server.address(), true).await, front(server.address(), false).await);
    let ca = || Some(file("test-cert.pem"));
    for mode in ["require", "prefer"] {
        let store = open(at(secure, mode), ca()).await.unwrap().store;
        if mode == "require" {
            begin(&store, "g", "code").await;
            redeem(&store, "code", "0", NOW).await;
        }
        assert!(is_good(&store, "access-0").await);
        // The system vouches for no certificate of the tests.
        let unknown = open(at(secure, mode), None).await.err().unwrap();
        assert!(matches!(unknown, OpenError::Postgres(_)), "{unknown}");
        assert!(unknown.to_string().to_lowercase().contains("certificate"), "{unknown}");
    }
    let none = open(at(plain, "require"), ca()).await.err().unwrap().to_string();
    assert!(none.contains("server does not support TLS"), "{none}");
    let missing = open(at(secure, "require"), Some(file("nope.pem"))).await.err().unwrap();
    assert!(missing.to_string().contains("nope.pem"), "{missing}");
}
