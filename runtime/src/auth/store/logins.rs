//! Logins that are under way at the provider.

use super::super::seal::Place;
use super::super::secret::Digest;
use super::base::values;
use super::{Desk, StoreError};

/// Logins that may be under way at the same time.
pub const LOGINS_MAX: u64 = 10_000;
/// Logins of one address that may be under way at the same time.
pub const LOGINS_PER_ADDRESS_MAX: u64 = 100;

/// Whether there is room for another login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// there is, and it is kept
    Done,
    /// there is none
    Full,
}

impl Desk<'_> {
    /// Keeps a login until its callback: found by its state, given to the browser that began it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begin_login(
        &self,
        state: &Digest,
        browser: &Digest,
        content: &str,
        address: &str,
        expires: i64,
        now: i64,
    ) -> Result<Begun, StoreError> {
        self.execute(
            "DELETE FROM login WHERE realm = ?1 AND expires <= ?2",
            values![self.realm, now],
        )?;
        let all = self.count("SELECT count(*) FROM login WHERE realm = ?1", values![self.realm])?;
        let of_address = self.count(
            "SELECT count(*) FROM login WHERE realm = ?1 AND address = ?2",
            values![self.realm, address],
        )?;
        if all >= LOGINS_MAX || of_address >= LOGINS_PER_ADDRESS_MAX {
            return Ok(Begun::Full);
        }
        let sealed = self.seal(content_of(&state.hex()), content)?;
        self.execute(
            "INSERT INTO login (realm, state, browser, content, address, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![self.realm, state, browser, &sealed, address, expires],
        )?;
        Ok(Begun::Done)
    }

    /// Takes a login, once. `None` when there is none of that state, it is of another browser, or
    /// its time is over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn take_login(
        &self,
        state: &Digest,
        browser: &Digest,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        let found = self.one(
            "SELECT browser, content FROM login WHERE realm = ?1 AND state = ?2 AND expires > ?3",
            values![self.realm, state, now],
            |row| Ok((row.bytes(0)?, row.bytes(1)?)),
        )?;
        let Some((owner, content)) = found else { return Ok(None) };
        // Whoever has the state alone cannot take the login away from its browser.
        if Digest::from_bytes(&owner).as_ref() != Some(browser) {
            return Ok(None);
        }
        self.execute(
            "DELETE FROM login WHERE realm = ?1 AND state = ?2",
            values![self.realm, state],
        )?;
        match self.open(content_of(&state.hex()), &content) {
            Ok(content) => Ok(Some(content)),
            // It was begun under another key.
            Err(StoreError::Sealed(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const fn content_of(row: &str) -> Place<'_> {
    Place { table: "login", row, column: "content" }
}
