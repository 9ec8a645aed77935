//! Asking the provider again: whether a login still stands, who the person is now, and a fresh
//! token before the old one expires.

use std::sync::Arc;
use std::time::Duration;

use mxcp_schemas::audit::Client as Recorded;
use tokio::sync::Semaphore;

use super::Issuer;
use crate::auth::login::{Due, Login, REFRESH_AHEAD_S};
use crate::auth::provider::{Grant, Person, ProviderError};
use crate::auth::secret::Digest;
use crate::auth::store::{Begin, GrantRow, REFRESH_LEASE_S, StoreError, TokenRow};
use crate::config::Concealed;

/// What came of asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// the login stands
    Stands,
    /// it has ended
    Ended,
    /// that cannot be found out now
    Unknown,
}

/// Logins that are checked after a start without anybody calling, the latest first.
const RESUMED_MAX: i64 = 10_000;
/// Logins that are checked at the same time after a start.
const RESUMED_AT_ONCE_MAX: usize = 8;
/// Seconds after which no process waits any more for a provider that it asked for a fresh token.
const RESUME_AFTER_S: i64 = REFRESH_LEASE_S;
/// Milliseconds between two looks at whether another replica has got a fresh token.
const TURN_INTERVAL_MS: u64 = 100;

/// What became of a grant of the provider's.
enum Asked {
    Person(Box<(Grant, Person)>),
    Over,
    /// it is over, and once the provider was asked for a fresh token its answer did not come
    Lost,
    Unknown,
}

/// Whose turn it is to ask the provider for a fresh token.
enum Turn {
    Ours,
    /// another replica's
    Theirs,
    /// it was another replica's, and this came of it
    Done(Box<Grant>),
    /// the grant ended
    Over,
}

impl Issuer {
    /// An access token that is good now, its grant, and the login at work.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn token(
        &self,
        token: &Digest,
    ) -> Result<Option<(TokenRow, GrantRow, Arc<Login>)>, StoreError> {
        let (token, naming, now) = (*token, self.provider.naming(), self.clock.now_s());
        let found = self
            .store
            .read(move |desk| {
                let Some(row) = desk.token(&token, now)? else { return Ok(None) };
                Ok(desk.grant(&row.grant_id, naming, now)?.map(|grant| (row, grant)))
            })
            .await?;
        Ok(found.map(|(token, grant)| {
            let login = self.logins.of(&grant);
            (token, grant, login)
        }))
    }

    /// Makes sure that a login was checked lately. Waits for the provider only if it must.
    pub async fn check(self: &Arc<Self>, login: &Arc<Login>) -> Renewal {
        match login.due(self.clock.now_s()) {
            Due::No => Renewal::Stands,
            Due::Soon => {
                if login.flight.try_lock().is_ok() {
                    drop(self.renew_apart(login));
                }
                Renewal::Stands
            }
            Due::Now => self.renew_apart(login).await.unwrap_or(Renewal::Unknown),
        }
    }

    /// The provider's access token of a login, for endpoints that call the provider.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn provider_token(
        &self,
        login: &Login,
    ) -> Result<Option<Concealed<String>>, StoreError> {
        let (id, naming, now) = (login.id.clone(), self.provider.naming(), self.clock.now_s());
        let row = self.store.read(move |desk| desk.grant(&id, naming, now)).await?;
        Ok(row.map(|row| row.provider.access_token))
    }

    /// Asks in a task of its own: when the caller goes away a token that the provider has just
    /// given must not be lost.
    fn renew_apart(self: &Arc<Self>, login: &Arc<Login>) -> tokio::task::JoinHandle<Renewal> {
        let (issuer, login) = (Arc::clone(self), Arc::clone(login));
        tokio::spawn(async move {
            match issuer.renew(&login).await {
                Ok(renewal) => renewal,
                Err(error) => {
                    tracing::error!(%error, "a login could not be checked");
                    Renewal::Unknown
                }
            }
        })
    }

    async fn renew(self: &Arc<Self>, login: &Arc<Login>) -> Result<Renewal, StoreError> {
        let _flight = login.flight.lock().await;
        if login.is_ended() {
            return Ok(Renewal::Ended);
        }
        let now = self.clock.now_s();
        if login.due(now) == Due::No {
            // Somebody else asked while this waited.
            return Ok(Renewal::Stands);
        }
        if login.failed_lately(now) {
            return Ok(Renewal::Unknown);
        }
        let (id, naming) = (login.id.clone(), self.provider.naming());
        let row = self.store.read(move |desk| desk.grant(&id, naming, now)).await?;
        let Some(row) = row else {
            self.logins.end(&login.id);
            return Ok(Renewal::Ended);
        };
        if row.checked > login.checked() && !row.unsettled {
            // Another replica asked meanwhile; what it learned is in the row.
            login.renewed(row.checked, row.provider.expires_at, true);
            if login.due(now) == Due::No {
                return Ok(Renewal::Stands);
            }
        }
        match self.ask(&row, now).await? {
            Asked::Person(found) => self.keep(login, &row, *found, now).await,
            Asked::Unknown => {
                // The time now, not when it was asked: it may have kept silent for long.
                login.failed(self.clock.now_s());
                Ok(Renewal::Unknown)
            }
            Asked::Over => {
                self.end_by_provider(&row, "provider").await;
                Ok(Renewal::Ended)
            }
            Asked::Lost => {
                tracing::warn!(
                    "the identity provider was asked for a fresh token, its answer was lost, and it \
                     does not accept the old one any more: the person has to log in again"
                );
                self.end_by_provider(&row, "refresh_interrupted").await;
                Ok(Renewal::Ended)
            }
        }
    }

    async fn keep(
        self: &Arc<Self>,
        login: &Login,
        row: &GrantRow,
        (grant, person): (Grant, Person),
        now: i64,
    ) -> Result<Renewal, StoreError> {
        if (&person.user_id, &person.provider) != (&row.person.user_id, &row.person.provider) {
            tracing::error!("the identity provider gave another person's identity");
            self.end_by_provider(row, "provider").await;
            return Ok(Renewal::Ended);
        }
        let (is_new, expires) = (person.claims != row.person.claims, grant.expires_at);
        let id = row.id.clone();
        let kept =
            self.store.write(move |desk| desk.renew_grant(&id, &person, &grant, now)).await?;
        if !kept {
            self.logins.end(&login.id);
            return Ok(Renewal::Ended);
        }
        login.renewed(now, expires, is_new);
        Ok(Renewal::Stands)
    }

    /// Asks who the person is, with a fresh token where the old one expires or is refused.
    async fn ask(&self, row: &GrantRow, now: i64) -> Result<Asked, StoreError> {
        let mut grant = row.provider.clone();
        let mut is_fresh = false;
        let expires = grant.expires_at.unwrap_or(i64::MAX);
        let expires = if row.unsettled { now } else { expires };
        if expires.saturating_sub(now) <= REFRESH_AHEAD_S && grant.refresh_token.is_some() {
            match self.refresh(row, &grant, now).await? {
                Ok(fresh) => (grant, is_fresh) = (fresh, true),
                Err(stopped) => return Ok(stopped),
            }
        }
        loop {
            match self.provider.identity(&grant).await {
                Ok(person) => return Ok(Asked::Person(Box::new((grant, person)))),
                Err(error) if is_refusal(&error) => {
                    if is_fresh || grant.refresh_token.is_none() {
                        return Ok(Asked::Over);
                    }
                    match self.refresh(row, &grant, now).await? {
                        Ok(fresh) => (grant, is_fresh) = (fresh, true),
                        Err(stopped) => return Ok(stopped),
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the identity provider could not be asked");
                    return Ok(Asked::Unknown);
                }
            }
        }
    }

    /// Exchanges the provider's refresh token, and keeps what came of it before anything else. Many
    /// providers give a new refresh token and void the old one. Between their doing so and our keeping
    /// it the program may be killed, so it is noted beforehand, and [`Issuer::resume`] tries again
    /// soon: most providers accept the old token for a while.
    async fn refresh(
        &self,
        row: &GrantRow,
        grant: &Grant,
        now: i64,
    ) -> Result<Result<Grant, Asked>, StoreError> {
        if let Some(done) = self.take_turn(row, grant, now).await? {
            return Ok(done);
        }
        let fresh = match self.provider.refresh(grant).await {
            Ok(fresh) => fresh,
            Err(ProviderError::InvalidGrant) => return self.refreshed_elsewhere(row, grant).await,
            Err(error) => {
                tracing::warn!(%error, "the identity provider did not refresh a token");
                let id = row.id.clone();
                self.store.write(move |desk| desk.give_up_refresh(&id)).await?;
                return Ok(Err(Asked::Unknown));
            }
        };
        let refresh_token = fresh.refresh_token.clone().or_else(|| grant.refresh_token.clone());
        let fresh = Grant { refresh_token, ..fresh };
        let (id, kept) = (row.id.clone(), fresh.clone());
        let stands = self.store.write(move |desk| desk.keep_provider(&id, &kept)).await?;
        Ok(if stands { Ok(fresh) } else { Err(Asked::Over) })
    }

    /// Waits until no other replica asks the provider for a fresh token. `None` when it is this one's
    /// turn; else what came of it elsewhere.
    async fn take_turn(
        &self,
        row: &GrantRow,
        used: &Grant,
        mut now: i64,
    ) -> Result<Option<Result<Grant, Asked>>, StoreError> {
        loop {
            let (id, naming, used) =
                (row.id.clone(), self.provider.naming(), used.access_token.clone());
            let turn = self.store.write(move |desk| {
                let Some(row) = desk.grant(&id, naming, now)? else { return Ok(Turn::Over) };
                if row.provider.access_token != used {
                    // Another replica has had its turn since the row was read.
                    return Ok(Turn::Done(Box::new(row.provider)));
                }
                Ok(match desk.begin_refresh(&id, now)? {
                    Begin::Done => Turn::Ours,
                    Begin::Elsewhere => Turn::Theirs,
                    Begin::Ended => Turn::Over,
                })
            });
            match turn.await? {
                Turn::Ours => return Ok(None),
                Turn::Done(fresh) => return Ok(Some(Ok(*fresh))),
                Turn::Over => return Ok(Some(Err(Asked::Over))),
                Turn::Theirs => {}
            }
            tokio::time::sleep(Duration::from_millis(TURN_INTERVAL_MS)).await;
            now = self.clock.now_s();
        }
    }

    /// Takes up what a process left that was killed while it waited for the provider. Another one
    /// that lives and has the same database may be waiting still, and is given its time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        let left = self.store.read(|desk| desk.unsettled(RESUMED_MAX)).await?;
        let turns = Arc::new(Semaphore::new(RESUMED_AT_ONCE_MAX));
        for (id, begun) in left {
            let wait_s = (begun + RESUME_AFTER_S - self.clock.now_s()).clamp(0, RESUME_AFTER_S);
            let wait = Duration::from_secs(wait_s.unsigned_abs());
            let (issuer, turns) = (Arc::clone(self), Arc::clone(&turns));
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let _turn = turns.acquire().await;
                if let Err(error) = issuer.resume_one(id).await {
                    tracing::error!(%error, "a login could not be checked");
                }
            });
        }
        Ok(())
    }

    async fn resume_one(self: &Arc<Self>, id: String) -> Result<(), StoreError> {
        let (naming, now) = (self.provider.naming(), self.clock.now_s());
        let row = self.store.read(move |desk| desk.grant(&id, naming, now)).await?;
        let Some(row) = row.filter(|row| row.unsettled) else { return Ok(()) };
        let login = self.logins.of(&row);
        // Whatever else it says, its token is to be exchanged now.
        login.renewed(row.checked, Some(now), false);
        self.renew(&login).await.map(drop)
    }

    /// Another process with the same database may have exchanged the token in the meantime.
    async fn refreshed_elsewhere(
        &self,
        row: &GrantRow,
        used: &Grant,
    ) -> Result<Result<Grant, Asked>, StoreError> {
        let (id, naming, now) = (row.id.clone(), self.provider.naming(), self.clock.now_s());
        let now_kept = self.store.read(move |desk| desk.grant(&id, naming, now)).await?;
        let changed = now_kept.filter(|row| row.provider.refresh_token != used.refresh_token);
        let over = if row.unsettled { Asked::Lost } else { Asked::Over };
        Ok(changed.map(|row| row.provider).ok_or(over))
    }

    /// It is over: the provider says so, or nobody can go on with what it gave us.
    async fn end_by_provider(self: &Arc<Self>, row: &GrantRow, reason: &str) {
        let client = Recorded { id: Some(&row.client_id), ip: None };
        if let Err(error) = self.end(&row.id, reason, client).await {
            tracing::error!(%error, "a login that the provider ended could not be ended here");
        }
        // Whatever became of the record, nobody goes on with it.
        self.logins.end(&row.id);
    }
}

/// Whether an error says that the token is no good, not that something else went wrong.
fn is_refusal(error: &ProviderError) -> bool {
    match error {
        ProviderError::InvalidGrant => true,
        ProviderError::Fetch(error) => error.is_unauthorized(),
        _ => false,
    }
}
