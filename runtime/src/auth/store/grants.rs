//! Grants: one person let one client act in their name.

use serde::{Deserialize, Serialize};

use super::super::claims::Claims;
use super::super::provider::{Grant, Naming, Person};
use super::super::seal::Place;
use super::base::{Notice, Row, values};
use super::{Desk, StoreError, join, split};

/// Grants of one person at the same time; the oldest gives way.
pub const GRANTS_PER_SUBJECT_MAX: i64 = 64;
/// Seconds for which one replica has the provider to itself when it asks for a fresh token. No process
/// waits longer for a provider.
pub const REFRESH_LEASE_S: i64 = 15;

/// Whether the provider may be asked for a fresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// it may
    Done,
    /// another replica is asking
    Elsewhere,
    /// the grant ended
    Ended,
}

/// A grant that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant {
    /// its id, which opens nothing
    pub id: String,
    /// who may act
    pub client_id: String,
    /// in whose name
    pub person: Person,
    /// within what
    pub scopes: Vec<String>,
    /// on which server
    pub resource: String,
    /// whether the client may have refresh tokens
    pub may_refresh: bool,
    /// what the provider gave us
    pub provider: Grant,
    /// seconds since 1970 at which it ends, whatever happens
    pub expires: i64,
}

/// A grant as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// its id
    pub id: String,
    /// who may act
    pub client_id: String,
    /// in whose name
    pub person: Person,
    /// within what
    pub scopes: Vec<String>,
    /// on which server
    pub resource: String,
    /// what the provider gave us
    pub provider: Grant,
    /// whether the provider was asked for a fresh token and its answer never came: it may have voided
    /// what it gave us
    pub unsettled: bool,
    /// seconds since 1970 at which the provider was last asked
    pub checked: i64,
    /// seconds since 1970 at which it ends
    pub expires: i64,
}

/// A person as it is kept. Which claims are which attributes is the provider's to say.
#[derive(Serialize, Deserialize)]
struct Kept {
    provider: String,
    user_id: String,
    claims: String,
}

/// A grant that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// its id
    pub id: String,
    /// what it was, where that could still be read
    pub row: Option<Box<GrantRow>>,
}

impl Desk<'_> {
    /// Keeps a grant. Gives the grants that had to give way.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn add_grant(&self, grant: &NewGrant, now: i64) -> Result<Vec<Ended>, StoreError> {
        let (issuer, subject) = (&grant.person.provider, &grant.person.user_id);
        let beyond = self.texts(
            "SELECT id FROM login_grant WHERE realm = ?1 AND issuer = ?2 AND subject = ?3
             ORDER BY created DESC, id LIMIT ?5 OFFSET ?4",
            values![self.realm, issuer, subject, GRANTS_PER_SUBJECT_MAX - 1, i64::MAX],
        )?;
        let naming = grant.person.naming;
        let gave_way = beyond.iter().map(|id| self.end_known(id, naming, now));
        let gave_way = gave_way.collect::<Result<_, _>>()?;
        self.execute(
            "INSERT INTO login_grant (id, realm, client_id, issuer, subject, scopes, resource,
                                      may_refresh, person, provider, created, checked, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12)",
            values![
                &grant.id,
                self.realm,
                &grant.client_id,
                issuer,
                subject,
                &join(&grant.scopes),
                &grant.resource,
                grant.may_refresh,
                &self.seal_person(&grant.id, &grant.person)?,
                &self.seal_provider(&grant.id, &grant.provider)?,
                now,
                grant.expires
            ],
        )?;
        Ok(gave_way)
    }

    /// Ends a grant, and says what it was.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn end_known(&self, id: &str, naming: Naming, now: i64) -> Result<Ended, StoreError> {
        let row = self.readable_grant(id, naming, now)?.map(Box::new);
        self.end_grant(id)?;
        Ok(Ended { id: id.to_owned(), row })
    }

    /// A grant, unless it ended or was encrypted under another key: that one is as good as gone.
    pub(super) fn readable_grant(
        &self,
        id: &str,
        naming: Naming,
        now: i64,
    ) -> Result<Option<GrantRow>, StoreError> {
        match self.grant(id, naming, now) {
            Err(StoreError::Sealed(_)) => Ok(None),
            found => found,
        }
    }

    /// A grant, unless it ended.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn grant(
        &self,
        id: &str,
        naming: Naming,
        now: i64,
    ) -> Result<Option<GrantRow>, StoreError> {
        let found = self.one(
            "SELECT client_id, scopes, resource, person, provider, checked, expires,
                    EXISTS (SELECT 1 FROM refreshing WHERE grant_id = id)
             FROM login_grant WHERE realm = ?1 AND id = ?2 AND expires > ?3",
            values![self.realm, id, now],
            raw,
        )?;
        let Some(raw) = found else { return Ok(None) };
        let person = self.open(person_of(id), &raw.person)?;
        let kept: Kept = serde_json::from_str(&person).map_err(|_| StoreError::Row("person"))?;
        let claims = Claims::parse(&kept.claims).map_err(|_| StoreError::Row("claims"))?;
        let person = Person { provider: kept.provider, user_id: kept.user_id, claims, naming };
        let provider = Grant::from_text(&self.open(provider_of(id), &raw.provider)?)
            .ok_or(StoreError::Row("provider grant"))?;
        Ok(Some(GrantRow {
            id: id.to_owned(),
            client_id: raw.client_id,
            person,
            scopes: split(&raw.scopes),
            resource: raw.resource,
            provider,
            unsettled: raw.unsettled,
            checked: raw.checked,
            expires: raw.expires,
        }))
    }

    /// Keeps what the provider says now. False when the grant ended meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn renew_grant(
        &self,
        id: &str,
        person: &Person,
        provider: &Grant,
        now: i64,
    ) -> Result<bool, StoreError> {
        let changed = self.execute(
            "UPDATE login_grant SET person = ?3, provider = ?4, checked = ?5
             WHERE realm = ?1 AND id = ?2",
            values![
                self.realm,
                id,
                &self.seal_person(id, person)?,
                &self.seal_provider(id, provider)?,
                now
            ],
        )?;
        Ok(changed == 1)
    }

    /// Notes that the provider is about to be asked for a fresh token, before it is: from then on
    /// until its answer is kept nobody knows which token of the provider's is good.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begin_refresh(&self, id: &str, now: i64) -> Result<Begin, StoreError> {
        // In one process there is one who asks for each login, and what a killed one left is taken up.
        let others_until = if self.base.is_shared() { now - REFRESH_LEASE_S } else { i64::MAX };
        let begun = self.execute(
            "INSERT INTO refreshing (grant_id, begun)
             SELECT id, CAST(?3 AS BIGINT) FROM login_grant WHERE realm = ?1 AND id = ?2
             ON CONFLICT (grant_id) DO UPDATE SET begun = excluded.begun
             WHERE refreshing.begun <= ?4",
            values![self.realm, id, now, others_until],
        )?;
        if begun == 1 {
            return Ok(Begin::Done);
        }
        let there = self.count(
            "SELECT count(*) FROM login_grant WHERE realm = ?1 AND id = ?2",
            values![self.realm, id],
        )?;
        Ok(if there == 0 { Begin::Ended } else { Begin::Elsewhere })
    }

    /// Notes that nobody waits for the provider any more, though it is not known what it did.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn give_up_refresh(&self, id: &str) -> Result<(), StoreError> {
        self.execute("UPDATE refreshing SET begun = 0 WHERE grant_id = ?1", values![id]).map(drop)
    }

    /// The grants whose provider was asked for a fresh token and whose answer is not kept, and when
    /// that was, in seconds since 1970: so many, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn unsettled(&self, max: i64) -> Result<Vec<(String, i64)>, StoreError> {
        let rows = self.base.query(
            "SELECT grant_id, begun FROM refreshing JOIN login_grant ON id = grant_id
             WHERE realm = ?1 ORDER BY begun DESC LIMIT ?2",
            values![self.realm, max],
        )?;
        rows.iter().map(|row| Ok((row.text(0)?, row.whole(1)?))).collect()
    }

    /// Keeps what the provider gave us for what we had. False when the grant ended meanwhile.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn keep_provider(&self, id: &str, provider: &Grant) -> Result<bool, StoreError> {
        self.execute("DELETE FROM refreshing WHERE grant_id = ?1", values![id])?;
        let changed = self.execute(
            "UPDATE login_grant SET provider = ?3 WHERE realm = ?1 AND id = ?2",
            values![self.realm, id, &self.seal_provider(id, provider)?],
        )?;
        Ok(changed == 1)
    }

    /// Ends a grant: its codes and tokens are gone with it. False when it had ended.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn end_grant(&self, id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM login_grant WHERE realm = ?1 AND id = ?2";
        let ended = self.execute(sql, values![self.realm, id])? == 1;
        if ended {
            self.base.tell(&Notice::Grant(id.to_owned()))?;
        }
        Ok(ended)
    }

    fn seal_person(&self, id: &str, person: &Person) -> Result<Vec<u8>, StoreError> {
        let kept = Kept {
            provider: person.provider.clone(),
            user_id: person.user_id.clone(),
            claims: person.claims.text().to_owned(),
        };
        let text = serde_json::to_string(&kept).map_err(|_| StoreError::Row("person"))?;
        self.seal(person_of(id), &text)
    }

    fn seal_provider(&self, id: &str, provider: &Grant) -> Result<Vec<u8>, StoreError> {
        self.seal(provider_of(id), provider.to_text().expose())
    }
}

struct Raw {
    client_id: String,
    scopes: String,
    resource: String,
    person: Vec<u8>,
    provider: Vec<u8>,
    checked: i64,
    expires: i64,
    unsettled: bool,
}

fn raw(row: &Row) -> Result<Raw, StoreError> {
    Ok(Raw {
        client_id: row.text(0)?,
        scopes: row.text(1)?,
        resource: row.text(2)?,
        person: row.bytes(3)?,
        provider: row.bytes(4)?,
        checked: row.whole(5)?,
        expires: row.whole(6)?,
        unsettled: row.truth(7)?,
    })
}

const fn person_of(row: &str) -> Place<'_> {
    Place { table: "login_grant", row, column: "person" }
}

const fn provider_of(row: &str) -> Place<'_> {
    Place { table: "login_grant", row, column: "provider" }
}
