//! Two of the shipped programs over one PostgreSQL database, behind one address.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::issuer::Issuer;
use crate::postgres::Postgres;

/// Two replicas, and what they share.
pub struct Replicas {
    /// the issuer at the common address; its server is the first replica
    pub issuer: Issuer,
    /// the other one
    pub other: Issuer,
    /// the database
    pub database: Postgres,
    chosen: Arc<AtomicUsize>,
}

/// The key of both.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

impl Replicas {
    /// Starts them; `auth` names a provider and has its section.
    pub fn start(auth: &Value) -> Self {
        let database = Postgres::start();
        let mut auth = auth.clone();
        auth["persistence"] = json!({
            "type": "postgres", "url": database.database("sessions"), "auth_encryption_key": KEY,
        });
        let (chosen, ports) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new([crate::server::free_port(), crate::server::free_port()]),
        );
        let port = balance(Arc::clone(&chosen), Arc::clone(&ports)).expect("a listener");
        let base = format!("http://127.0.0.1:{port}");
        let [first, second] = *ports;
        let issuer = Issuer::replica(&base, first, &auth);
        let other = Issuer::replica(&base, second, &auth);
        Self { issuer, other, database, chosen }
    }

    /// From now on requests go to the first or to the second one.
    pub fn choose(&self, replica: usize) -> &Issuer {
        self.chosen.store(replica, Ordering::SeqCst);
        &self.issuer
    }
}

/// Passes connections on to whichever is chosen.
fn balance(chosen: Arc<AtomicUsize>, ports: Arc<[u16; 2]>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let accept = move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Some(port) = ports.get(chosen.load(Ordering::SeqCst)) else { return };
            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            // Whoever is not there refuses, and so does this.
            if let Ok(server) = TcpStream::connect(to) {
                let _ = pass_both(client, server);
            }
        }
    };
    thread::spawn(accept);
    Ok(port)
}

fn pass_both(client: TcpStream, server: TcpStream) -> io::Result<()> {
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass(from, to));
    thread::spawn(move || pass(server, client));
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
