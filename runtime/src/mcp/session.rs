//! Sessions of legacy clients.
//!
//! A session is bound to the caller that opened it: somebody else who knows its id gets the same
//! answer as somebody who made one up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::era::Revision;
use super::jsonrpc::Id;
use crate::principal::Principal;

/// What a client negotiated, and which of its requests are running.
#[derive(Debug)]
pub struct Session {
    /// its id; visible ASCII, 122 random bits
    pub id: String,
    /// the revision that was negotiated
    pub revision: Revision,
    /// name of the client program, as it says
    pub client: Option<String>,
    /// requests that are running
    pub inflight: Inflight,
    principal: Arc<Principal>,
    used: Mutex<Instant>,
}

/// The requests of a client that are running, so that it can cancel them.
#[derive(Debug, Default)]
pub struct Inflight {
    running: Mutex<HashMap<Id, CancellationToken>>,
}

/// A running request; leaves the list when dropped.
#[derive(Debug)]
pub struct Running<'s> {
    inflight: &'s Inflight,
    id: Id,
    /// cancelled when the client says so
    pub token: CancellationToken,
}

/// The open sessions of a server.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    max_open: usize,
    idle: Duration,
}

/// No room for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has as many open sessions as it may (`max_open_sessions`); try again later")]
pub struct TooManySessions;

impl Session {
    /// A session that belongs to one connection and is in no list.
    pub fn unlisted(revision: Revision, client: Option<String>, principal: Arc<Principal>) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            revision,
            client,
            inflight: Inflight::default(),
            principal,
            used: Mutex::new(Instant::now()),
        }
    }
}

impl Inflight {
    /// Notes that a request runs. One with an id that is running already cannot be cancelled apart
    /// from the other: both share the fate of the first.
    pub fn begin(&self, id: &Id, parent: &CancellationToken) -> Running<'_> {
        let token = parent.child_token();
        lock(&self.running).entry(id.clone()).or_insert_with(|| token.clone());
        Running { inflight: self, id: id.clone(), token }
    }

    /// Cancels a request, if it is running.
    pub fn cancel(&self, id: &Id) -> bool {
        let token = lock(&self.running).get(id).cloned();
        token.inspect(CancellationToken::cancel).is_some()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.inflight.running).remove(&self.id);
    }
}

impl Sessions {
    /// No sessions yet.
    pub fn new(max_open: usize, idle: Duration) -> Self {
        Self { open: Mutex::default(), max_open, idle }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// When there is no room, not even after sessions that nobody uses were closed.
    pub fn open(
        &self,
        revision: Revision,
        client: Option<String>,
        principal: Arc<Principal>,
    ) -> Result<Arc<Session>, TooManySessions> {
        let mut open = lock(&self.open);
        if open.len() >= self.max_open {
            let now = Instant::now();
            open.retain(|_, session| !self.is_stale(session, now));
            if open.len() >= self.max_open {
                return Err(TooManySessions);
            }
        }
        let session = Arc::new(Session::unlisted(revision, client, principal));
        open.insert(session.id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// The session of that id, if this caller opened it.
    pub fn find(&self, id: &str, principal: &Arc<Principal>) -> Option<Arc<Session>> {
        let mut open = lock(&self.open);
        let session = Arc::clone(open.get(id)?);
        let now = Instant::now();
        if self.is_stale(&session, now) {
            open.remove(id);
            return None;
        }
        if !Principal::is_same(&session.principal, principal) {
            return None;
        }
        *lock(&session.used) = now;
        Some(session)
    }

    /// Ends a session, if this caller opened it; whatever runs in it is cancelled.
    pub fn close(&self, id: &str, principal: &Arc<Principal>) -> bool {
        let Some(session) = self.find(id, principal) else { return false };
        lock(&self.open).remove(id);
        lock(&session.inflight.running).values().for_each(CancellationToken::cancel);
        true
    }

    fn is_stale(&self, session: &Session, now: Instant) -> bool {
        now.saturating_duration_since(*lock(&session.used)) > self.idle
    }
}

/// Nothing panics while it holds one of these locks, and what they guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::World;

    fn principal(context: &str) -> Arc<Principal> {
        Arc::new(World::new().context(context))
    }

    fn sessions(max_open: usize, idle_ms: u64) -> Sessions {
        Sessions::new(max_open, Duration::from_millis(idle_ms))
    }

    #[test]
    fn a_session_is_found_by_its_owner_alone() {
        let sessions = sessions(10, 60_000);
        let (ada, bob) = (principal(r#"{"id":"ada"}"#), principal(r#"{"id":"bob"}"#));
        let session = sessions.open(Revision::V2025_11_25, None, Arc::clone(&ada)).unwrap();
        assert!(session.id.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(sessions.find(&session.id, &ada).is_some());
        assert!(sessions.find(&session.id, &bob).is_none());
        assert!(!sessions.close(&session.id, &bob));
        assert!(sessions.find("made-up", &ada).is_none());
        let running = session.inflight.begin(&Id::Number("1".into()), &CancellationToken::new());
        assert!(sessions.close(&session.id, &ada));
        assert!(running.token.is_cancelled());
        assert!(sessions.find(&session.id, &ada).is_none());
    }

    #[test]
    fn sessions_end_when_nobody_uses_them_and_are_limited() {
        let ada = principal(r#"{"id":"ada"}"#);
        let few = sessions(1, 60_000);
        few.open(Revision::V2025_11_25, None, Arc::clone(&ada)).unwrap();
        assert!(few.open(Revision::V2025_11_25, None, Arc::clone(&ada)).is_err());
        let short = sessions(1, 0);
        let first = short.open(Revision::V2025_11_25, None, Arc::clone(&ada)).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert!(short.find(&first.id, &ada).is_none());
        assert!(short.open(Revision::V2025_11_25, None, ada).is_ok());
    }

    #[test]
    fn requests_are_cancelled_by_id() {
        let inflight = Inflight::default();
        let parent = CancellationToken::new();
        let (one, text) = (Id::Number("1".into()), Id::String("1".into()));
        let running = inflight.begin(&one, &parent);
        assert!(!inflight.cancel(&text));
        assert!(inflight.cancel(&one));
        assert!(running.token.is_cancelled() && !parent.is_cancelled());
        drop(running);
        assert!(!inflight.cancel(&one));
    }
}
