//! Logins at work: what is remembered of a grant while its tokens are in use.
//!
//! The provider is asked again at least every five minutes, once even if a hundred calls wait. What
//! is kept here is small; claims and the provider's tokens stay in the store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::store::GrantRow;

/// Seconds after which the provider is asked again in the background.
pub const RECHECK_SOON_S: i64 = 240;
/// Seconds after which calls wait until the provider has been asked again.
pub const RECHECK_S: i64 = 300;
/// Seconds before its end at which a provider's token is refreshed.
pub const REFRESH_AHEAD_S: i64 = 60;

/// Seconds for which nobody asks a provider again that did not answer; clients are told to wait as long.
pub const RETRY_S: i64 = 5;

/// A grant whose tokens are in use.
#[derive(Debug)]
pub struct Login {
    /// the id of its grant
    pub id: String,
    checked: AtomicI64,
    provider_expires: AtomicI64,
    /// when the provider was last asked in vain
    failed: AtomicI64,
    version: AtomicU64,
    ended: AtomicBool,
    /// held by whoever asks the provider
    pub(super) flight: tokio::sync::Mutex<()>,
}

/// Whether the provider must be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// no
    No,
    /// soon: ask it, and do not wait
    Soon,
    /// yes: nothing may be done before
    Now,
}

impl Login {
    fn new(row: &GrantRow) -> Self {
        let login = Self {
            id: row.id.clone(),
            checked: AtomicI64::new(0),
            provider_expires: AtomicI64::new(0),
            failed: AtomicI64::new(i64::MIN),
            version: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            flight: tokio::sync::Mutex::new(()),
        };
        login.renewed(row.checked, row.provider.expires_at, false);
        login
    }

    /// Whether the provider must be asked again.
    pub fn due(&self, now: i64) -> Due {
        let since = now.saturating_sub(self.checked.load(Ordering::Acquire));
        let left = self.provider_expires.load(Ordering::Acquire).saturating_sub(now);
        if since >= RECHECK_S || left <= 0 {
            Due::Now
        } else if since >= RECHECK_SOON_S || left <= REFRESH_AHEAD_S {
            Due::Soon
        } else {
            Due::No
        }
    }

    /// When the provider was last asked, as far as this process knows: seconds since 1970.
    pub fn checked(&self) -> i64 {
        self.checked.load(Ordering::Acquire)
    }

    /// Notes what the provider said, and whether that is something new.
    pub(super) fn renewed(&self, checked: i64, provider_expires: Option<i64>, is_new: bool) {
        self.provider_expires.store(provider_expires.unwrap_or(i64::MAX), Ordering::Release);
        self.checked.store(checked, Ordering::Release);
        if is_new {
            self.version.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Notes that the provider was asked in vain.
    pub(super) fn failed(&self, now: i64) {
        self.failed.store(now, Ordering::Release);
    }

    /// Whether the provider was asked in vain just now: whoever waited for that need not ask again.
    pub(super) fn failed_lately(&self, now: i64) -> bool {
        now.saturating_sub(self.failed.load(Ordering::Acquire)) < RETRY_S
    }

    /// Changes whenever the provider says something new about the person.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Whether it ended.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// All logins at work.
#[derive(Debug, Default)]
pub struct Logins {
    open: Mutex<HashMap<String, Weak<Login>>>,
}

impl Logins {
    /// The login of a grant; there is one at a time.
    pub fn of(&self, row: &GrantRow) -> Arc<Login> {
        let mut open = self.lock();
        if let Some(login) = open.get(&row.id).and_then(Weak::upgrade) {
            return login;
        }
        let login = Arc::new(Login::new(row));
        open.insert(row.id.clone(), Arc::downgrade(&login));
        login
    }

    /// Ends the login of a grant that ended.
    pub fn end(&self, id: &str) {
        if let Some(login) = self.lock().remove(id).as_ref().and_then(Weak::upgrade) {
            login.ended.store(true, Ordering::Release);
        }
    }

    /// Forgets those that nobody uses.
    pub fn sweep(&self) {
        self.lock().retain(|_, login| login.strong_count() > 0);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Login>>> {
        // Nothing panics while it holds this, and the map is whole at any time.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
