//! PostgreSQL: every promise, and what replicas and a server that goes away are for.

use std::time::Duration;

use mxcp_runtime::auth::provider::OPENID;
use mxcp_runtime::auth::seal::Sealed;
use mxcp_runtime::auth::secret::Digest;
use mxcp_runtime::auth::store::{
    Begin, Desk, Notice, OpenError, Opened, REFRESH_LEASE_S, Settings, Store, StoreError,
    Whereabouts,
};
use mxcp_tests::postgres::{Postgres, sql};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::suite::{NOW, Site, begin, grant, is_good, promises, redeem, refresh};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A database of a server.
struct Database {
    url: String,
}

impl Database {
    async fn try_open(&self, realm: &str, key: Option<&'static str>) -> Result<Opened, OpenError> {
        let (url, realm) = (self.url.clone(), realm.to_owned());
        let open = move || {
            Store::open(Settings {
                place: Whereabouts::Database { url: &url, ca: None },
                key,
                realm,
            })
        };
        tokio::task::spawn_blocking(open).await.unwrap()
    }

    /// A handle, and what it hears of others.
    async fn listening(&self) -> (Store, UnboundedReceiver<Notice>) {
        let opened = self.try_open("p/q", Some(KEY)).await.unwrap();
        hears(&opened.store).await;
        (opened.store, opened.notices.unwrap())
    }
}

impl Site for Database {
    async fn realm(&self, realm: &str) -> Store {
        self.try_open(realm, Some(KEY)).await.unwrap().store
    }
}

/// Waits until a handle hears what others end; the epoch that begins then.
async fn hears(store: &Store) -> u64 {
    for _ in 0..2_000 {
        if let Some(epoch) = store.epoch() {
            return epoch;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing is heard");
}

async fn next(notices: &mut UnboundedReceiver<Notice>) -> Notice {
    tokio::time::timeout(Duration::from_secs(30), notices.recv()).await.unwrap().unwrap()
}

macro_rules! all {
    ($($name:ident)*) => {
        /// One server for all of them; each has a database of its own.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn every_promise_is_kept() {
            let server = Postgres::start();
            $(
                println!("{}", stringify!($name));
                let database = Database { url: server.database(stringify!($name)) };
                crate::suite::$name(&database).await;
            )*
        }
    };
}
promises!(all);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_file_of_the_server_and_rows_cannot_be_exchanged() {
    let server = Postgres::start();
    let database = Database { url: server.database("sessions") };
    let store = database.open().await;
    begin(&store, "g", "the-code").await;
    redeem(&store, "the-code", "0", NOW).await;
    refresh(&store, "refresh-0", "1", NOW).await;
    let login = |desk: &Desk<'_>| {
        desk.begin_login(&Digest::of("the-state"), &Digest::of("b"), "LOGIN", "a", NOW + 1, NOW)
    };
    store.write(login).await.unwrap();
    let bytes = server.files();
    assert!(memchr::memmem::find(&bytes, b"https://c/cb").is_some(), "rows are in the files");
    for secret in [
        "the-code",
        "access-0",
        "refresh-0",
        "access-1",
        "refresh-1",
        "the-state",
        "LOGIN",
        "PROVIDER-ACCESS",
        "PROVIDER-REFRESH",
        "nurse",
    ] {
        assert_eq!(memchr::memmem::find(&bytes, secret.as_bytes()), None, "{secret}");
    }
    store.write(|desk| desk.add_grant(&grant("b", "bob"), NOW)).await.unwrap();
    let swap = "UPDATE mxcp_sessions.login_grant
                SET person = (SELECT person FROM mxcp_sessions.login_grant WHERE id = 'g')";
    sql(&database.url, swap);
    assert!(store.read(|desk| desk.grant("g", OPENID, NOW)).await.is_ok());
    let swapped = store.read(|desk| desk.grant("b", OPENID, NOW)).await;
    assert!(matches!(swapped, Err(StoreError::Sealed(Sealed::Damaged))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_needed_and_it_is_the_same_for_all() {
    let server = Postgres::start();
    let database = Database { url: server.database("sessions") };
    let missing = database.try_open("p/q", None).await.err().unwrap().to_string();
    assert!(missing.contains("`persistence.auth_encryption_key` is missing"), "{missing}");
    let short = database.try_open("p/q", Some("abc")).await.err().unwrap().to_string();
    assert!(short.contains("is no key") && !short.contains("abc"), "{short}");
    let store = database.open().await;
    begin(&store, "g", "code").await;
    let other = database.try_open("p/q", Some(OTHER_KEY)).await.err().unwrap();
    assert!(matches!(other, OpenError::OtherKey { .. }), "{other}");
    assert!(store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap().is_some());
    // Another project is free to have another one.
    database.try_open("p/other", Some(OTHER_KEY)).await.unwrap();
    // What the message says to do works.
    let text = other.to_string();
    sql(&database.url, text.split_once("all: ").unwrap().1);
    let store = database.try_open("p/q", Some(OTHER_KEY)).await.unwrap().store;
    assert_eq!(store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap(), None);
    sql(&database.url, "UPDATE mxcp_sessions.version SET version = 99");
    let newer = database.try_open("p/q", Some(OTHER_KEY)).await.err().unwrap();
    assert!(newer.to_string().contains("has version 99"), "{newer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_ends_the_others_hear_and_one_at_a_time_asks_the_provider() {
    let server = Postgres::start();
    let database = Database { url: server.database("sessions") };
    let here = database.open().await;
    let (there, mut notices) = database.listening().await;
    let stranger = database.try_open("p/other", Some(KEY)).await.unwrap();
    hears(&stranger.store).await;
    begin(&here, "g", "code").await;
    redeem(&here, "code", "0", NOW).await;
    assert!(is_good(&there, "access-0").await);
    // The provider is asked by one of them, until that gives up or takes too long.
    let begin_at = |now: i64| move |desk: &Desk<'_>| desk.begin_refresh("g", now);
    assert_eq!(here.write(begin_at(NOW)).await.unwrap(), Begin::Done);
    assert_eq!(there.write(begin_at(NOW + 1)).await.unwrap(), Begin::Elsewhere);
    here.write(|desk| desk.give_up_refresh("g")).await.unwrap();
    assert_eq!(there.write(begin_at(NOW + 1)).await.unwrap(), Begin::Done);
    let late = NOW + 1 + REFRESH_LEASE_S;
    assert_eq!(here.write(begin_at(late - 1)).await.unwrap(), Begin::Elsewhere);
    assert_eq!(here.write(begin_at(late)).await.unwrap(), Begin::Done);
    assert!(here.write(|desk| desk.end_token(&Digest::of("access-0"))).await.unwrap());
    assert_eq!(next(&mut notices).await, Notice::Token(Digest::of("access-0")));
    assert!(!is_good(&there, "access-0").await);
    assert!(here.write(|desk| desk.end_grant("g")).await.unwrap());
    assert_eq!(next(&mut notices).await, Notice::Grant("g".into()));
    assert_eq!(stranger.notices.unwrap().try_recv().ok(), None, "another project hears nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_named_and_taken_up_again() {
    let mut server = Postgres::start();
    let database = Database { url: server.database("sessions") };
    let (store, _notices) = database.listening().await;
    let before = hears(&store).await;
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    server.stop();
    for _ in 0..3 {
        let read = store.read(|desk| desk.token(&Digest::of("access-0"), NOW)).await;
        assert!(matches!(read, Err(StoreError::Unreachable(_))), "{read:?}");
        let written = store.write(|desk| desk.end_grant("g")).await;
        let error = written.unwrap_err().to_string();
        assert!(error.starts_with("the session database cannot be reached"), "{error}");
    }
    for _ in 0..2_000 {
        if store.epoch().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.epoch(), None, "what others end is not heard");
    let closed = database.try_open("p/q", Some(KEY)).await.err().unwrap();
    assert!(matches!(closed, OpenError::Postgres(_)), "{closed}");
    server.run();
    assert!(hears(&store).await > before, "what was found out before is looked up again");
    // A connection that failed a moment ago is given a moment.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(is_good(&store, "access-0").await);
    assert!(store.write(|desk| desk.end_grant("g")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_ended_are_made_anew_unnoticed() {
    let server = Postgres::start();
    let database = Database { url: server.database("sessions") };
    let (store, _notices) = database.listening().await;
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    sql(
        &server.url("postgres"),
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mxcp-runtime'",
    );
    for _ in 0..8 {
        assert!(is_good(&store, "access-0").await);
    }
    hears(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused_and_not_told() {
    let server = Postgres::start();
    let url = server.database("sessions").replace(mxcp_tests::postgres::PASSWORD, "hunter2");
    let error = Database { url }.try_open("p/q", Some(KEY)).await.err().unwrap().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}
