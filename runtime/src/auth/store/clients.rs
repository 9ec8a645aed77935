//! Clients that registered themselves.

use serde::{Deserialize, Serialize};

use super::super::secret::Digest;
use super::base::values;
use super::{Desk, StoreError};

/// Clients that may be registered at the same time.
pub const CLIENTS_MAX: u64 = 10_000;
/// Clients that one address may register within an hour.
pub const CLIENTS_PER_ADDRESS_AND_HOUR_MAX: u64 = 30;
/// Seconds after which a client that nobody ever used is forgotten.
pub const UNUSED_CLIENT_S: i64 = 24 * 3_600;
/// Seconds after its last use at which a client is forgotten.
pub const USED_CLIENT_S: i64 = 90 * 24 * 3_600;
const HOUR_S: i64 = 3_600;

/// A client as it registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// its id
    pub client_id: String,
    /// the digest of its secret; a public client has none
    #[serde(skip)]
    pub secret: Option<Digest>,
    /// what it calls itself
    pub name: String,
    /// where people may be sent back
    pub redirect_uris: Vec<String>,
    /// what it may use
    pub grant_types: Vec<String>,
    /// how it authenticates at the token endpoint
    pub auth_method: String,
    /// scopes that it may ask for; empty is any
    pub scopes: Vec<String>,
}

/// What came of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// it is registered
    Done,
    /// that address has registered as many as it may
    AddressFull,
    /// there are as many as there may be
    Full,
}

impl Desk<'_> {
    /// Registers a client, within the limits.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn register(
        &self,
        client: &Registered,
        address: &str,
        now: i64,
    ) -> Result<Registration, StoreError> {
        let recent = self.count(
            "SELECT count(*) FROM client WHERE realm = ?1 AND address = ?2 AND created > ?3",
            values![self.realm, address, now - HOUR_S],
        )?;
        if recent >= CLIENTS_PER_ADDRESS_AND_HOUR_MAX {
            return Ok(Registration::AddressFull);
        }
        if self.clients()? >= CLIENTS_MAX {
            self.forget_clients(now)?;
            if self.clients()? >= CLIENTS_MAX {
                return Ok(Registration::Full);
            }
        }
        let document = serde_json::to_string(client).map_err(|_| StoreError::Row("client"))?;
        self.execute(
            "INSERT INTO client (realm, client_id, secret, document, address, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![self.realm, &client.client_id, client.secret.as_ref(), &document, address, now],
        )?;
        Ok(Registration::Done)
    }

    /// A registered client.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn client(&self, client_id: &str) -> Result<Option<Registered>, StoreError> {
        let found = self.one(
            "SELECT document, secret FROM client WHERE realm = ?1 AND client_id = ?2",
            values![self.realm, client_id],
            |row| Ok((row.text(0)?, row.maybe_bytes(1)?)),
        )?;
        let Some((document, secret)) = found else { return Ok(None) };
        let mut client: Registered =
            serde_json::from_str(&document).map_err(|_| StoreError::Row("client"))?;
        client.secret = match secret {
            // A damaged digest must not make a confidential client a public one.
            Some(bytes) => {
                Some(Digest::from_bytes(&bytes).ok_or(StoreError::Row("client secret"))?)
            }
            None => None,
        };
        Ok(Some(client))
    }

    /// Notes that a client is in use.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn use_client(&self, client_id: &str, now: i64) -> Result<(), StoreError> {
        self.execute(
            "UPDATE client SET used = ?3 WHERE realm = ?1 AND client_id = ?2",
            values![self.realm, client_id, now],
        )?;
        Ok(())
    }

    fn clients(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM client WHERE realm = ?1", values![self.realm])
    }

    /// Forgets clients that nobody uses.
    pub(super) fn forget_clients(&self, now: i64) -> Result<usize, StoreError> {
        self.execute(
            "DELETE FROM client WHERE realm = ?1
               AND ((used IS NULL AND created < ?2) OR used < ?3)
               AND client_id NOT IN (SELECT client_id FROM login_grant WHERE realm = ?1)",
            values![self.realm, now - UNUSED_CLIENT_S, now - USED_CLIENT_S],
        )
    }
}
