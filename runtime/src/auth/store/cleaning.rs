//! Removing what is over.

use super::super::seal::Sealer;
use super::base::values;
use super::tokens::REPLAY_S;
use super::{Desk, StoreError};

/// Seconds between two cleanings.
pub const CLEANING_INTERVAL_S: u64 = 60;

/// What a cleaning removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// grants that ended, or that no token and no code belongs to
    pub grants: usize,
    /// access tokens, refresh tokens and codes
    pub tokens: usize,
    /// clients that nobody uses
    pub clients: usize,
    /// logins that were never finished
    pub logins: usize,
}

impl Desk<'_> {
    /// Removes what is over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn clean(&self, now: i64) -> Result<Cleaned, StoreError> {
        let mut cleaned = Cleaned::default();
        // A code that was used stays as long as its grant has tokens, so that its second use is
        // known for what it is.
        for sql in [
            "DELETE FROM access_token WHERE expires <= ?1",
            "DELETE FROM refresh_token WHERE expires <= ?1",
            "DELETE FROM code WHERE expires <= ?1 AND used IS NULL",
        ] {
            cleaned.tokens += self.execute(sql, values![now])?;
        }
        // Nobody can ask for these again; they need not be there for somebody to find.
        self.execute(
            "UPDATE refresh_token SET reply = NULL WHERE reply IS NOT NULL AND rotated < ?1",
            values![now - REPLAY_S],
        )?;
        cleaned.grants +=
            self.execute("DELETE FROM login_grant WHERE expires <= ?1", values![now])?;
        cleaned.grants += self.execute(
            "DELETE FROM login_grant WHERE realm = ?1
               AND NOT EXISTS (SELECT 1 FROM access_token WHERE grant_id = id)
               AND NOT EXISTS (SELECT 1 FROM refresh_token WHERE grant_id = id)
               AND NOT EXISTS (SELECT 1 FROM code WHERE grant_id = id AND used IS NULL)",
            values![self.realm],
        )?;
        cleaned.logins = self.execute("DELETE FROM login WHERE expires <= ?1", values![now])?;
        cleaned.clients = self.forget_clients(now)?;
        Ok(cleaned)
    }

    /// Ends the grants that were encrypted under another key: nobody can read them any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn end_unreadable(&self, sealer: &Sealer) -> Result<usize, StoreError> {
        self.execute(
            "DELETE FROM login_grant WHERE realm = ?1 AND substr(provider, 1, 8) <> ?2",
            values![self.realm, &sealer.key_id_bytes()[..]],
        )
    }
}
