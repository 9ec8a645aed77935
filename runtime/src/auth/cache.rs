//! Principals of tokens that are in use: computed once per token, found by one look-up.
//!
//! A key is the digest of one token together with the bundle and the configuration that the
//! principal was computed under. Nothing that belongs to a token is shared with another one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::login::Login;
use super::secret::Digest;
use crate::principal::Principal;

/// Tokens whose principals are kept, at most.
pub const PRINCIPALS_MAX: usize = 200_000;
const SHARDS: usize = 16;

/// What a principal was computed under: one bundle, and one generation of the configuration. Kept
/// with each token, so it is 128 bits of their digest: no two of a server's will ever share these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context([u8; 16]);

impl Context {
    /// A bundle, by its digest, and a generation of the configuration.
    pub fn new(bundle: &str, generation: u64) -> Self {
        let digest = Digest::of(&format!("{bundle}\n{generation}"));
        let mut half = [0; 16];
        half.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(half)
    }
}

/// A token that was let in.
#[derive(Debug)]
pub struct Admitted {
    /// whose it is
    pub principal: Arc<Principal>,
    /// seconds since 1970 at which it expires
    pub expires: i64,
    /// whether it has the scopes that everything requires
    pub has_scopes: bool,
    /// the login that it belongs to, if we issued it
    pub(super) login: Option<Arc<Login>>,
    /// which version of the login's person the principal is
    pub(super) version: u64,
    /// what the store's epoch was when it was found out
    pub(super) epoch: u64,
    used: AtomicBool,
    ends: OnceLock<CancellationToken>,
}

impl Admitted {
    pub(super) fn new(
        principal: Arc<Principal>,
        expires: i64,
        has_scopes: bool,
        login: Option<(Arc<Login>, u64)>,
    ) -> Self {
        let (login, version) = login.map_or((None, 0), |(login, version)| (Some(login), version));
        Self {
            principal,
            expires,
            has_scopes,
            login,
            version,
            epoch: 0,
            used: AtomicBool::new(true),
            ends: OnceLock::new(),
        }
    }

    /// The same, found out in an epoch of the store.
    pub(super) fn in_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// Cancelled when the token ends before its time; whoever streams to its owner stops then, and
    /// when it expires.
    pub fn ends(&self) -> CancellationToken {
        self.ends.get_or_init(CancellationToken::new).clone()
    }

    /// Whether it is good by itself: its time is not over, and its login did not end.
    pub fn is_good(&self, now: i64) -> bool {
        now < self.expires && !self.login.as_ref().is_some_and(|login| login.is_ended())
    }

    fn end(&self) {
        if let Some(ends) = self.ends.get() {
            ends.cancel();
        }
    }
}

/// Principals by token.
#[derive(Debug)]
pub struct Cache {
    shards: [RwLock<HashMap<Key, Arc<Admitted>>>; SHARDS],
    max_per_shard: usize,
    /// how often a token was forgotten before its time
    removals: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    token: Digest,
    context: Context,
}

impl Cache {
    /// An empty one.
    pub fn new(max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            max_per_shard: (max / SHARDS).max(1),
            removals: AtomicU64::new(0),
        }
    }

    /// What is known of a token.
    pub fn get(&self, token: &Digest, context: &Context) -> Option<Arc<Admitted>> {
        let key = Key { token: *token, context: *context };
        let shard = self.shard(token).read().unwrap_or_else(PoisonError::into_inner);
        let found = Arc::clone(shard.get(&key)?);
        drop(shard);
        if !found.used.load(Ordering::Relaxed) {
            found.used.store(true, Ordering::Relaxed);
        }
        Some(found)
    }

    /// How often a token was forgotten before its time.
    pub fn removals(&self) -> u64 {
        self.removals.load(Ordering::Acquire)
    }

    /// Remembers a token.
    pub fn put(&self, token: &Digest, context: &Context, admitted: Arc<Admitted>, now: i64) {
        self.put_since(self.removals(), token, context, admitted, now);
    }

    /// Remembers a token of which was found out while so many had been forgotten. If another one was
    /// meanwhile, it may be this one, and it is not remembered.
    pub fn put_since(
        &self,
        removals: u64,
        token: &Digest,
        context: &Context,
        admitted: Arc<Admitted>,
        now: i64,
    ) {
        let key = Key { token: *token, context: *context };
        let mut shard = self.shard(token).write().unwrap_or_else(PoisonError::into_inner);
        if self.removals() != removals {
            return;
        }
        if shard.len() >= self.max_per_shard && !shard.contains_key(&key) {
            make_room(&mut shard, self.max_per_shard, now);
        }
        if let Some(before) = shard.insert(key, admitted) {
            before.end();
        }
    }

    /// Forgets a token.
    pub fn remove(&self, token: &Digest) {
        // Before the lock: whoever is about to remember it either sees this or is there to be found.
        self.removals.fetch_add(1, Ordering::AcqRel);
        let mut shard = self.shard(token).write().unwrap_or_else(PoisonError::into_inner);
        shard.retain(|key, admitted| {
            let stays = key.token != *token;
            if !stays {
                admitted.end();
            }
            stays
        });
    }

    /// Forgets tokens that are no longer good.
    pub fn sweep(&self, now: i64) {
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, admitted| {
                let stays = admitted.is_good(now);
                if !stays {
                    admitted.end();
                }
                stays
            });
        }
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<HashMap<Key, Arc<Admitted>>>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.shards.iter().map(len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, token: &Digest) -> &RwLock<HashMap<Key, Arc<Admitted>>> {
        // A digest's bytes are as good as random.
        let [first, ..] = token.as_bytes();
        let [shard, ..] = &self.shards;
        self.shards.get(usize::from(*first) % SHARDS).unwrap_or(shard)
    }
}

/// Drops what is no longer good; then, if that was not enough, what nobody used since the last
/// time, or a half of all.
fn make_room(shard: &mut HashMap<Key, Arc<Admitted>>, max: usize, now: i64) {
    shard.retain(|_, admitted| admitted.is_good(now));
    if shard.len() >= max {
        shard.retain(|_, admitted| admitted.used.swap(false, Ordering::Relaxed));
    }
    if shard.len() >= max {
        let mut odd = false;
        shard.retain(|_, _| {
            odd = !odd;
            odd
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::World;

    fn admitted(name: &str, expires: i64) -> Arc<Admitted> {
        let context = format!(r#"{{"id":"{name}"}}"#);
        let principal = Arc::new(World::new().context(&context));
        Arc::new(Admitted::new(principal, expires, true, None))
    }

    fn context(bundle: &str, generation: u64) -> Context {
        Context::new(bundle, generation)
    }

    #[test]
    fn a_token_is_found_under_its_own_bundle_and_configuration_alone() {
        let cache = Cache::new(100);
        let (token, here) = (Digest::of("t"), context("b", 1));
        cache.put(&token, &here, admitted("ada", 10), 0);
        assert!(cache.get(&token, &here).is_some());
        assert!(cache.get(&token, &context("b", 2)).is_none());
        assert!(cache.get(&token, &context("c", 1)).is_none());
        assert!(cache.get(&Digest::of("u"), &here).is_none());
        cache.put(&token, &context("c", 1), admitted("bob", 10), 0);
        let found = cache.get(&token, &here).unwrap();
        assert_eq!(found.principal.identity().user_id.as_deref(), Some("ada"));
        cache.remove(&token);
        assert!(cache.is_empty());
    }

    #[test]
    fn what_was_found_out_before_its_end_is_not_remembered_after_it() {
        let cache = Cache::new(100);
        let (token, here) = (Digest::of("t"), context("b", 1));
        let before = cache.removals();
        cache.remove(&token);
        cache.put_since(before, &token, &here, admitted("ada", 10), 0);
        assert!(cache.is_empty());
        cache.put_since(cache.removals(), &token, &here, admitted("ada", 10), 0);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn what_ends_is_told_and_forgotten() {
        let cache = Cache::new(100);
        let (token, here) = (Digest::of("t"), context("b", 1));
        let entry = admitted("ada", 10);
        cache.put(&token, &here, Arc::clone(&entry), 0);
        let ends = entry.ends();
        cache.sweep(9);
        assert!(!ends.is_cancelled() && cache.len() == 1);
        cache.sweep(10);
        assert!(ends.is_cancelled() && cache.is_empty());
    }

    #[test]
    fn there_is_a_limit_and_what_is_used_stays_longer() {
        let cache = Cache::new(64);
        let here = context("b", 1);
        let names: Vec<String> = (0..1_000).map(|i| format!("t{i}")).collect();
        let first = Digest::of("first");
        cache.put(&first, &here, admitted("ada", 10), 0);
        for name in &names {
            cache.put(&Digest::of(name), &here, admitted(name, 10), 0);
            assert!(cache.len() <= 64 + SHARDS);
        }
        assert!(cache.len() > SHARDS);
    }
}
