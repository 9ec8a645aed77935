//! Codes, access tokens and refresh tokens of grants.

use serde::{Deserialize, Serialize};

use super::super::provider::Naming;
use super::super::seal::Place;
use super::super::secret::Digest;
use super::base::{Notice, values};
use super::grants::GrantRow;
use super::{Desk, StoreError, join, split};
use crate::config::Concealed;

/// Seconds within which a refresh token that was exchanged gives the same successor again, as long
/// as that was not used: replies get lost.
pub const REPLAY_S: i64 = 60;

/// A code to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// its digest
    pub digest: Digest,
    /// the redirect URI of the request, if it had one
    pub redirect_uri: Option<String>,
    /// the PKCE challenge of the request
    pub challenge: String,
    /// seconds since 1970 at which it expires
    pub expires: i64,
}

/// Tokens that a client is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// the access token
    pub access: Concealed<String>,
    /// seconds since 1970 at which that expires
    pub access_expires: i64,
    /// what it allows
    pub scopes: Vec<String>,
    /// the refresh token, for clients that may use one
    pub refresh: Option<Concealed<String>>,
    /// seconds since 1970 at which that expires
    pub refresh_expires: i64,
}

/// What came of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// tokens are kept for this grant, which may do this
    Done {
        /// the grant
        grant_id: String,
        /// what the tokens allow
        scopes: Vec<String>,
    },
    /// there is no such code, or its time is over
    Unknown,
    /// it is good for somebody else, or something else; it is void now
    Mismatch,
    /// it was used before; the grant that came of it has ended
    Reused {
        /// that grant
        grant_id: String,
    },
}

/// What came of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// its successor is kept, or was kept before and not used yet
    Done {
        /// the grant
        grant_id: String,
        /// the successors
        pair: Pair,
        /// whether they were given before
        replayed: bool,
    },
    /// there is no such token, or its time is over
    Unknown,
    /// it is another client's
    Mismatch,
    /// no successor is made for what was asked; the token is still good
    Beyond,
    /// it was used before; the grant has ended
    Reused {
        /// that grant
        grant_id: String,
    },
}

/// An access token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// its grant
    pub grant_id: String,
    /// what it allows
    pub scopes: Vec<String>,
    /// seconds since 1970 at which it expires
    pub expires: i64,
}

/// A pair as it waits, encrypted, for a client that did not get its reply.
#[derive(Serialize, Deserialize)]
struct Reply {
    access: String,
    access_expires: i64,
    scopes: Vec<String>,
    refresh: String,
    refresh_expires: i64,
}

struct RefreshRow {
    grant_id: String,
    client_id: String,
    scopes: String,
    rotated: Option<i64>,
    successor: Option<Vec<u8>>,
    reply: Option<Vec<u8>>,
}

impl Desk<'_> {
    /// Keeps a code of a grant.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn add_code(&self, grant_id: &str, code: &Code) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO code (digest, grant_id, redirect_uri, challenge, expires)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            values![
                &code.digest,
                grant_id,
                code.redirect_uri.as_deref(),
                &code.challenge,
                code.expires
            ],
        )?;
        Ok(())
    }

    /// Exchanges a code, once, for tokens that `make` makes for what the grant allows, with a
    /// refresh token where the client may have one. `fits` is given what the request for the code
    /// said: its redirect URI and its PKCE challenge.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn redeem(
        &self,
        code: &Digest,
        client_id: &str,
        fits: impl FnOnce(Option<&str>, &str) -> bool,
        make: impl FnOnce(Vec<String>, bool) -> Result<Pair, StoreError>,
        now: i64,
    ) -> Result<Redeemed, StoreError> {
        let found = self.one(
            "SELECT code.grant_id, client_id, scopes, redirect_uri, challenge, may_refresh,
                    code.expires, used
             FROM code JOIN login_grant ON login_grant.id = grant_id
             WHERE digest = ?1 AND realm = ?2",
            values![code, self.realm],
            |row| {
                let grant = (row.text(0)?, row.text(1)?, row.text(2)?);
                let asked = (row.maybe_text(3)?, row.text(4)?, row.truth(5)?);
                Ok((grant, asked, row.whole(6)?, row.maybe_whole(7)?))
            },
        )?;
        let Some(((grant_id, owner, scopes), asked, expires, used)) = found else {
            return Ok(Redeemed::Unknown);
        };
        let (redirect, challenge, may_refresh) = asked;
        if used.is_some() {
            self.end_grant(&grant_id)?;
            return Ok(Redeemed::Reused { grant_id });
        }
        if expires <= now {
            return Ok(Redeemed::Unknown);
        }
        if owner != client_id || !fits(redirect.as_deref(), &challenge) {
            // Whoever has it without the rest may have stolen it.
            self.end_grant(&grant_id)?;
            return Ok(Redeemed::Mismatch);
        }
        self.execute("UPDATE code SET used = ?2 WHERE digest = ?1", values![code, now])?;
        let pair = make(split(&scopes), may_refresh)?;
        self.add_pair(&grant_id, &pair)?;
        Ok(Redeemed::Done { grant_id, scopes: pair.scopes })
    }

    /// Exchanges a refresh token for a successor that `make` makes for what the grant allows, or makes
    /// none if more is asked for.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn refresh(
        &self,
        token: &Digest,
        client_id: &str,
        make: impl FnOnce(Vec<String>) -> Result<Option<Pair>, StoreError>,
        now: i64,
    ) -> Result<Refreshed, StoreError> {
        let Some(row) = self.refresh_row(token, now)? else { return Ok(Refreshed::Unknown) };
        if row.client_id != client_id {
            return Ok(Refreshed::Mismatch);
        }
        let grant_id = row.grant_id.clone();
        if row.rotated.is_some() {
            return match self.replay(token, &row, now)? {
                Some(pair) => Ok(Refreshed::Done { grant_id, pair, replayed: true }),
                None => {
                    self.end_grant(&grant_id)?;
                    Ok(Refreshed::Reused { grant_id })
                }
            };
        }
        let Some(pair) = make(split(&row.scopes))? else { return Ok(Refreshed::Beyond) };
        self.add_pair(&grant_id, &pair)?;
        self.rotate(token, &pair, now)?;
        Ok(Refreshed::Done { grant_id, pair, replayed: false })
    }

    fn refresh_row(&self, token: &Digest, now: i64) -> Result<Option<RefreshRow>, StoreError> {
        self.one(
            "SELECT grant_id, client_id, scopes, rotated, successor, reply
             FROM refresh_token JOIN login_grant ON login_grant.id = grant_id
             WHERE digest = ?1 AND realm = ?2
               AND refresh_token.expires > ?3 AND login_grant.expires > ?3",
            values![token, self.realm, now],
            |row| {
                Ok(RefreshRow {
                    grant_id: row.text(0)?,
                    client_id: row.text(1)?,
                    scopes: row.text(2)?,
                    rotated: row.maybe_whole(3)?,
                    successor: row.maybe_bytes(4)?,
                    reply: row.maybe_bytes(5)?,
                })
            },
        )
    }

    /// The successor of a token that was exchanged, if that was a moment ago and nobody used it.
    fn replay(
        &self,
        token: &Digest,
        row: &RefreshRow,
        now: i64,
    ) -> Result<Option<Pair>, StoreError> {
        let is_recent = row.rotated.is_some_and(|rotated| now - rotated <= REPLAY_S);
        let (Some(successor), Some(reply), true) = (&row.successor, &row.reply, is_recent) else {
            return Ok(None);
        };
        let unused = self.count(
            "SELECT count(*) FROM refresh_token WHERE digest = ?1 AND rotated IS NULL",
            values![successor],
        )?;
        if unused == 0 {
            return Ok(None);
        }
        let text = self.open(reply_of(&token.hex()), reply)?;
        let reply: Reply = serde_json::from_str(&text).map_err(|_| StoreError::Row("reply"))?;
        Ok(Some(Pair {
            access: Concealed::new(reply.access),
            access_expires: reply.access_expires,
            scopes: reply.scopes,
            refresh: Some(Concealed::new(reply.refresh)),
            refresh_expires: reply.refresh_expires,
        }))
    }

    fn rotate(&self, token: &Digest, pair: &Pair, now: i64) -> Result<(), StoreError> {
        let Some(refresh) = &pair.refresh else { return Err(StoreError::Row("successor")) };
        let reply = Reply {
            access: pair.access.expose().clone(),
            access_expires: pair.access_expires,
            scopes: pair.scopes.clone(),
            refresh: refresh.expose().clone(),
            refresh_expires: pair.refresh_expires,
        };
        let text = serde_json::to_string(&reply).map_err(|_| StoreError::Row("reply"))?;
        self.execute(
            "UPDATE refresh_token SET rotated = ?2, successor = ?3, reply = ?4 WHERE digest = ?1",
            values![
                token,
                now,
                &Digest::of(refresh.expose()),
                &self.seal(reply_of(&token.hex()), &text)?
            ],
        )?;
        Ok(())
    }

    fn add_pair(&self, grant_id: &str, pair: &Pair) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO access_token (digest, grant_id, scopes, expires) VALUES (?1, ?2, ?3, ?4)",
            values![
                &Digest::of(pair.access.expose()),
                grant_id,
                &join(&pair.scopes),
                pair.access_expires
            ],
        )?;
        if let Some(refresh) = &pair.refresh {
            self.execute(
                "INSERT INTO refresh_token (digest, grant_id, expires) VALUES (?1, ?2, ?3)",
                values![&Digest::of(refresh.expose()), grant_id, pair.refresh_expires],
            )?;
        }
        Ok(())
    }

    /// An access token, if it is good now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn token(&self, token: &Digest, now: i64) -> Result<Option<TokenRow>, StoreError> {
        self.one(
            "SELECT grant_id, access_token.scopes, access_token.expires
             FROM access_token JOIN login_grant ON login_grant.id = grant_id
             WHERE digest = ?1 AND realm = ?2
               AND access_token.expires > ?3 AND login_grant.expires > ?3",
            values![token, self.realm, now],
            |row| {
                Ok(TokenRow {
                    grant_id: row.text(0)?,
                    scopes: split(&row.text(1)?),
                    expires: row.whole(2)?,
                })
            },
        )
    }

    /// The grant and the client of a token of either kind, and whether it is an access token.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn owner(&self, token: &Digest) -> Result<Option<(String, String, bool)>, StoreError> {
        for (table, is_access) in [("access_token", true), ("refresh_token", false)] {
            let found = self.one(
                &format!(
                    "SELECT grant_id, client_id FROM {table}
                     JOIN login_grant ON login_grant.id = grant_id
                     WHERE digest = ?1 AND realm = ?2"
                ),
                values![token, self.realm],
                |row| Ok((row.text(0)?, row.text(1)?)),
            )?;
            if let Some((grant_id, client_id)) = found {
                return Ok(Some((grant_id, client_id, is_access)));
            }
        }
        Ok(None)
    }

    /// The grant that a code or a refresh token came of, used or not.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn grant_behind(
        &self,
        digest: &Digest,
        naming: Naming,
        now: i64,
    ) -> Result<Option<GrantRow>, StoreError> {
        let id = self.one(
            "SELECT grant_id FROM code WHERE digest = ?1
             UNION ALL SELECT grant_id FROM refresh_token WHERE digest = ?1",
            values![digest],
            |row| row.text(0),
        )?;
        match id {
            Some(id) => self.readable_grant(&id, naming, now),
            None => Ok(None),
        }
    }

    /// Ends an access token alone.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn end_token(&self, token: &Digest) -> Result<bool, StoreError> {
        let sql = "DELETE FROM access_token WHERE digest = ?1";
        let ended = self.execute(sql, values![token])? == 1;
        if ended {
            self.base.tell(&Notice::Token(*token))?;
        }
        Ok(ended)
    }
}

const fn reply_of(row: &str) -> Place<'_> {
    Place { table: "refresh_token", row, column: "reply" }
}
