//! Tests of the store.

use std::os::unix::fs::PermissionsExt as _;

use super::super::claims::Claims;
use super::super::provider::{Grant, OPENID, Person};
use super::super::secret::Digest;
use super::*;
use crate::config::Concealed;

const NOW: i64 = 1_800_000_000;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/oauth.db")
    }

    fn try_open(&self, realm: &str) -> Result<(Store, Sealer, Vec<String>), OpenError> {
        Store::open(Settings { path: &self.path(), key: None, realm: realm.into() })
    }

    fn open(&self) -> Store {
        self.try_open("p/q").unwrap().0
    }
}

fn person(subject: &str) -> Person {
    Person {
        provider: "idp".into(),
        user_id: subject.into(),
        claims: Claims::parse(r#"{"role":"nurse"}"#).unwrap(),
        naming: OPENID,
    }
}

fn grant(id: &str, subject: &str) -> NewGrant {
    NewGrant {
        id: id.into(),
        client_id: "client".into(),
        person: person(subject),
        scopes: vec!["read".into()],
        resource: "https://s/mcp".into(),
        may_refresh: true,
        provider: Grant {
            access_token: Concealed::new("PROVIDER-ACCESS".into()),
            refresh_token: Some(Concealed::new("PROVIDER-REFRESH".into())),
            expires_at: Some(NOW + 100),
            scopes: vec!["openid".into()],
            id_claims: Claims::default(),
            identity_url: None,
        },
        expires: NOW + 1_000_000,
    }
}

fn pair(name: &str) -> Pair {
    Pair {
        access: Concealed::new(format!("access-{name}")),
        access_expires: NOW + 3_600,
        scopes: vec!["read".into()],
        refresh: Some(Concealed::new(format!("refresh-{name}"))),
        refresh_expires: NOW + 100_000,
    }
}

fn code(text: &str) -> Code {
    Code {
        digest: Digest::of(text),
        redirect_uri: Some("https://c/cb".into()),
        challenge: "challenge".into(),
        expires: NOW + 60,
    }
}

async fn begin(store: &Store, id: &'static str, text: &'static str) {
    let begun = move |desk: &Desk<'_>| {
        desk.add_grant(&grant(id, "ada"), NOW)?;
        desk.add_code(id, &code(text))
    };
    store.write(begun).await.unwrap();
}

async fn redeem(store: &Store, text: &'static str, name: &'static str, now: i64) -> Redeemed {
    let fits = |uri: Option<&str>, challenge: &str| {
        uri == Some("https://c/cb") && challenge == "challenge"
    };
    let job = move |desk: &Desk<'_>| {
        desk.redeem(&Digest::of(text), "client", fits, |_, _| Ok(pair(name)), now)
    };
    store.write(job).await.unwrap()
}

async fn refresh(store: &Store, token: &'static str, name: &'static str, now: i64) -> Refreshed {
    let job =
        move |desk: &Desk<'_>| desk.refresh(&Digest::of(token), "client", |_| Ok(pair(name)), now);
    store.write(job).await.unwrap()
}

async fn is_good(store: &Store, token: &'static str) -> bool {
    store.read(move |desk| desk.token(&Digest::of(token), NOW)).await.unwrap().is_some()
}

fn done(refreshed: Refreshed) -> (Pair, bool) {
    match refreshed {
        Refreshed::Done { pair, replayed, .. } => (pair, replayed),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_is_used_once_and_its_second_use_ends_everything() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "g", "code").await;
    assert_eq!(redeem(&store, "other", "x", NOW).await, Redeemed::Unknown);
    let done = Redeemed::Done { grant_id: "g".into(), scopes: vec!["read".into()] };
    assert_eq!(redeem(&store, "code", "1", NOW).await, done);
    assert!(is_good(&store, "access-1").await && !is_good(&store, "access-2").await);
    store.write(|desk| desk.clean(NOW + 3_000)).await.unwrap();
    let reused = Redeemed::Reused { grant_id: "g".into() };
    assert_eq!(redeem(&store, "code", "2", NOW).await, reused);
    assert!(!is_good(&store, "access-1").await && !is_good(&store, "access-2").await);
    assert_eq!(refresh(&store, "refresh-1", "3", NOW).await, Refreshed::Unknown);
}

#[tokio::test]
async fn a_code_is_bound_and_expires() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "late", "late").await;
    assert_eq!(redeem(&store, "late", "x", NOW + 60).await, Redeemed::Unknown);
    begin(&store, "client", "client").await;
    let other = |desk: &Desk<'_>| {
        desk.redeem(&Digest::of("client"), "thief", |_, _| true, |_, _| Ok(pair("x")), NOW)
    };
    assert_eq!(store.write(other).await.unwrap(), Redeemed::Mismatch);
    assert_eq!(redeem(&store, "client", "x", NOW).await, Redeemed::Unknown);
    begin(&store, "pkce", "pkce").await;
    let wrong = |desk: &Desk<'_>| {
        desk.redeem(&Digest::of("pkce"), "client", |_, _| false, |_, _| Ok(pair("x")), NOW)
    };
    assert_eq!(store.write(wrong).await.unwrap(), Redeemed::Mismatch);
    assert_eq!(redeem(&store, "pkce", "x", NOW).await, Redeemed::Unknown);
}

#[tokio::test]
async fn a_predecessor_gives_the_same_successor_until_that_is_used() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    let (first, replayed) = done(refresh(&store, "refresh-0", "1", NOW).await);
    assert!(!replayed);
    let (again, replayed) = done(refresh(&store, "refresh-0", "lost", NOW + 60).await);
    assert!(replayed && again == first);
    assert!(!is_good(&store, "access-lost").await);
    let (second, _) = done(refresh(&store, "refresh-1", "2", NOW + 60).await);
    assert_eq!(second, pair("2"));
    let reused = Refreshed::Reused { grant_id: "g".into() };
    assert_eq!(refresh(&store, "refresh-0", "x", NOW + 60).await, reused);
    for token in ["access-0", "access-1", "access-2"] {
        assert!(!is_good(&store, token).await, "{token}");
    }
    assert_eq!(refresh(&store, "refresh-2", "x", NOW + 60).await, Refreshed::Unknown);
}

#[tokio::test]
async fn a_predecessor_is_good_for_a_minute_and_for_its_client() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    let thief =
        |desk: &Desk<'_>| desk.refresh(&Digest::of("refresh-0"), "thief", |_| Ok(pair("x")), NOW);
    assert_eq!(store.write(thief).await.unwrap(), Refreshed::Mismatch);
    refresh(&store, "refresh-0", "1", NOW).await;
    assert_eq!(store.write(thief).await.unwrap(), Refreshed::Mismatch);
    let late = refresh(&store, "refresh-0", "x", NOW + REPLAY_S + 1).await;
    assert_eq!(late, Refreshed::Reused { grant_id: "g".into() });
    assert!(!is_good(&store, "access-1").await);
}

#[tokio::test]
async fn secrets_are_in_no_file_and_files_are_private() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "g", "the-code").await;
    redeem(&store, "the-code", "0", NOW).await;
    refresh(&store, "refresh-0", "1", NOW).await;
    let login = |desk: &Desk<'_>| {
        desk.begin_login(&Digest::of("the-state"), &Digest::of("b"), "LOGIN", "a", NOW + 1, NOW)
    };
    store.write(login).await.unwrap();
    let folder = place.path().parent().unwrap().to_owned();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let file = entry.unwrap().path();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
        let bytes = std::fs::read(&file).unwrap();
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
            let found = memchr::memmem::find(&bytes, secret.as_bytes());
            assert_eq!(found, None, "{secret} is in {}", file.display());
        }
        seen += 1;
    }
    assert_eq!(seen, 4, "database, log, index, key");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_belongs_to_its_realm() {
    let place = Place::new();
    let store = place.open();
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    drop(store);
    let store = place.open();
    assert!(is_good(&store, "access-0").await);
    let row = store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap().unwrap();
    assert_eq!(row.person, person("ada"));
    assert_eq!(row.provider, grant("g", "ada").provider);
    let other = place.try_open("p/other").unwrap().0;
    assert!(!is_good(&other, "access-0").await);
    assert_eq!(refresh(&other, "refresh-0", "x", NOW).await, Refreshed::Unknown);
    assert_eq!(other.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap(), None);
    assert!(!other.write(|desk| desk.end_grant("g")).await.unwrap());
    assert_eq!(other.read(|desk| desk.owner(&Digest::of("access-0"))).await.unwrap(), None);
}

#[tokio::test]
async fn rows_cannot_be_exchanged() {
    let place = Place::new();
    let store = place.open();
    store.write(|desk| desk.add_grant(&grant("a", "ada"), NOW)).await.unwrap();
    store.write(|desk| desk.add_grant(&grant("b", "bob"), NOW)).await.unwrap();
    drop(store);
    let connection = Connection::open(place.path()).unwrap();
    let swap = "UPDATE login_grant SET person = (SELECT person FROM login_grant WHERE id = 'a')";
    connection.execute(swap, []).unwrap();
    drop(connection);
    let store = place.open();
    assert!(store.read(|desk| desk.grant("a", OPENID, NOW)).await.is_ok());
    let swapped = store.read(|desk| desk.grant("b", OPENID, NOW)).await;
    assert!(matches!(swapped, Err(StoreError::Sealed(Sealed::Damaged))));
}

#[tokio::test]
async fn exposed_and_foreign_files_are_not_used() {
    let place = Place::new();
    drop(place.open());
    let key = with_suffix(&place.path(), ".key");
    for file in [place.path(), key.clone()] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = place.try_open("p/q").err().unwrap().to_string();
        assert!(error.contains(&format!("run `chmod 600 {}`", file.display())), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(&key, "too short").unwrap();
    assert!(place.try_open("p/q").err().unwrap().to_string().contains("is no key"));
    let theirs = Place::new();
    std::fs::create_dir(theirs.path().parent().unwrap()).unwrap();
    let connection = Connection::open(theirs.path()).unwrap();
    connection.execute_batch("CREATE TABLE oauth_clients (id TEXT)").unwrap();
    drop(connection);
    let before = std::fs::read(theirs.path()).unwrap();
    let (store, _, notes) = theirs.try_open("p/q").unwrap();
    assert!(store.path().ends_with("oauth.mxcp-runtime.db") && notes.len() == 1);
    assert_eq!(std::fs::read(theirs.path()).unwrap(), before);
    assert!(!with_suffix(&theirs.path(), "-wal").exists());
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn another_key_ends_what_it_cannot_read() {
    let place = Place::new();
    begin(&place.open(), "g", "code").await;
    std::fs::remove_file(with_suffix(&place.path(), ".key")).unwrap();
    let (store, sealer, _) = place.try_open("p/q").unwrap();
    let found = store.read(|desk| desk.grant("g", OPENID, NOW)).await;
    assert!(matches!(found, Err(StoreError::Sealed(Sealed::OtherKey))));
    assert_eq!(store.write(move |desk| desk.end_unreadable(&sealer)).await.unwrap(), 1);
    assert_eq!(redeem(&store, "code", "x", NOW).await, Redeemed::Unknown);
}

#[tokio::test]
async fn clients_and_logins_are_limited_and_forgotten() {
    let place = Place::new();
    let store = place.open();
    let client = |id: String| Registered {
        client_id: id,
        secret: Some(Digest::of("s")),
        name: "n".into(),
        redirect_uris: Vec::new(),
        grant_types: Vec::new(),
        auth_method: "none".into(),
        scopes: Vec::new(),
    };
    for i in 0..CLIENTS_PER_ADDRESS_AND_HOUR_MAX {
        let job = move |desk: &Desk<'_>| desk.register(&client(format!("c{i}")), "a", NOW);
        assert_eq!(store.write(job).await.unwrap(), Registration::Done);
    }
    let more = move |desk: &Desk<'_>| {
        let here = desk.register(&client("x".into()), "a", NOW + 1)?;
        Ok((here, desk.register(&client("x".into()), "b", NOW + 1)?))
    };
    let expected = (Registration::AddressFull, Registration::Done);
    assert_eq!(store.write(more).await.unwrap(), expected);
    let found = store.read(|desk| desk.client("c1")).await.unwrap();
    assert_eq!(found, Some(client("c1".into())));
    store.write(|desk| desk.use_client("c1", NOW)).await.unwrap();
    let cleaned = store.write(|desk| desk.clean(NOW + UNUSED_CLIENT_S + 1)).await.unwrap();
    assert_eq!(cleaned.clients as u64, CLIENTS_PER_ADDRESS_AND_HOUR_MAX - 1);
    let login = |i: u64| {
        move |desk: &Desk<'_>| {
            let state = Digest::of(&i.to_string());
            desk.begin_login(&state, &Digest::of("b"), "content", "a", NOW + 10, NOW)
        }
    };
    for i in 0..LOGINS_PER_ADDRESS_MAX {
        assert_eq!(store.write(login(i)).await.unwrap(), Begun::Done);
    }
    assert_eq!(store.write(login(1_000)).await.unwrap(), Begun::Full);
    let take = |browser: &'static str, now| {
        move |desk: &Desk<'_>| desk.take_login(&Digest::of("1"), &Digest::of(browser), now)
    };
    assert_eq!(store.write(take("other", NOW)).await.unwrap(), None);
    assert_eq!(store.write(take("b", NOW + 10)).await.unwrap(), None);
    assert_eq!(store.write(take("b", NOW)).await.unwrap().as_deref(), Some("content"));
    assert_eq!(store.write(take("b", NOW)).await.unwrap(), None);
}

#[tokio::test]
async fn one_person_has_so_many_grants_and_what_is_over_goes() {
    let place = Place::new();
    let store = place.open();
    for i in 0..GRANTS_PER_SUBJECT_MAX {
        let job = move |desk: &Desk<'_>| {
            let made = NewGrant { id: format!("g{i:03}"), ..grant("", "ada") };
            desk.add_grant(&made, NOW + i)
        };
        assert!(store.write(job).await.unwrap().is_empty());
    }
    let next = |desk: &Desk<'_>| desk.add_grant(&grant("next", "ada"), NOW + 1_000);
    assert_eq!(store.write(next).await.unwrap(), ["g000"]);
    let other = |desk: &Desk<'_>| desk.add_grant(&grant("bob", "bob"), NOW);
    assert!(store.write(other).await.unwrap().is_empty());
    begin(&store, "kept", "code").await;
    let cleaned = store.write(|desk| desk.clean(NOW)).await.unwrap();
    assert_eq!(i64::try_from(cleaned.grants), Ok(GRANTS_PER_SUBJECT_MAX));
    assert!(store.read(|desk| desk.grant("kept", OPENID, NOW)).await.unwrap().is_some());
    let cleaned = store.write(|desk| desk.clean(NOW + 61)).await.unwrap();
    assert_eq!((cleaned.grants, cleaned.tokens), (1, 1));
}
