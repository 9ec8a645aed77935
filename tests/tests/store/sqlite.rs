//! SQLite: every promise, and what files are for.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mxcp_runtime::auth::provider::OPENID;
use mxcp_runtime::auth::seal::{Sealed, Sealer};
use mxcp_runtime::auth::secret::Digest;
use mxcp_runtime::auth::store::{
    CLIENTS_MAX, CLIENTS_PER_ADDRESS_AND_HOUR_MAX, Desk, OpenError, Opened, Redeemed, Registered,
    Registration, Settings, Store, StoreError, UNUSED_CLIENT_S, Whereabouts,
};
use rusqlite::Connection;

use crate::suite::{NOW, Site, begin, grant, promises, redeem, refresh};

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
        let path = self.path();
        let settings = Settings { place: Whereabouts::File(&path), key: None, realm: realm.into() };
        let Opened { store, sealer, notes, notices } = Store::open(settings)?;
        assert!(notices.is_none());
        Ok((store, sealer, notes))
    }
}

impl Site for Place {
    async fn realm(&self, realm: &str) -> Store {
        self.try_open(realm).unwrap().0
    }
}

macro_rules! each {
    ($($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                crate::suite::$name(&Place::new()).await;
            }
        )*
    };
}
promises!(each);

#[tokio::test]
async fn secrets_are_in_no_file_and_files_are_private() {
    let place = Place::new();
    let store = place.open().await;
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
async fn rows_cannot_be_exchanged() {
    let place = Place::new();
    let store = place.open().await;
    store.write(|desk| desk.add_grant(&grant("a", "ada"), NOW)).await.unwrap();
    store.write(|desk| desk.add_grant(&grant("b", "bob"), NOW)).await.unwrap();
    drop(store);
    let connection = Connection::open(place.path()).unwrap();
    let swap = "UPDATE login_grant SET person = (SELECT person FROM login_grant WHERE id = 'a')";
    connection.execute(swap, []).unwrap();
    drop(connection);
    let store = place.open().await;
    assert!(store.read(|desk| desk.grant("a", OPENID, NOW)).await.is_ok());
    let swapped = store.read(|desk| desk.grant("b", OPENID, NOW)).await;
    assert!(matches!(swapped, Err(StoreError::Sealed(Sealed::Damaged))));
}

#[tokio::test]
async fn exposed_and_foreign_files_are_not_used() {
    let place = Place::new();
    drop(place.open().await);
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
    assert!(store.path().unwrap().ends_with("oauth.mxcp-runtime.db") && notes.len() == 1);
    assert_eq!(std::fs::read(theirs.path()).unwrap(), before);
    assert!(!with_suffix(&theirs.path(), "-wal").exists());
}

#[tokio::test]
async fn another_key_ends_what_it_cannot_read() {
    let place = Place::new();
    begin(&place.open().await, "g", "code").await;
    std::fs::remove_file(with_suffix(&place.path(), ".key")).unwrap();
    let (store, sealer, _) = place.try_open("p/q").unwrap();
    let found = store.read(|desk| desk.grant("g", OPENID, NOW)).await;
    assert!(matches!(found, Err(StoreError::Sealed(Sealed::OtherKey))));
    assert_eq!(store.write(move |desk| desk.end_unreadable(&sealer)).await.unwrap(), 1);
    assert_eq!(redeem(&store, "code", "x", NOW).await, Redeemed::Unknown);
}

#[tokio::test]
async fn there_are_so_many_clients_in_all_and_unused_ones_make_room() {
    let store = Place::new();
    let store = store.open().await;
    let client = |id: String| Registered {
        client_id: id,
        secret: None,
        name: "n".into(),
        redirect_uris: Vec::new(),
        grant_types: Vec::new(),
        auth_method: "none".into(),
        scopes: Vec::new(),
    };
    let per_address = CLIENTS_PER_ADDRESS_AND_HOUR_MAX;
    for first in (0..CLIENTS_MAX).step_by(1_000) {
        let job = move |desk: &Desk<'_>| {
            for i in first..first + 1_000 {
                let address = (i / per_address).to_string();
                let done = desk.register(&client(format!("c{i}")), &address, NOW)?;
                assert_eq!(done, Registration::Done, "{i}");
            }
            Ok(())
        };
        store.write(job).await.unwrap();
    }
    let one_more = |now| move |desk: &Desk<'_>| desk.register(&client("x".into()), "new", now);
    assert_eq!(store.write(one_more(NOW)).await.unwrap(), Registration::Full);
    assert_eq!(store.write(one_more(NOW + UNUSED_CLIENT_S)).await.unwrap(), Registration::Full);
    let later = NOW + UNUSED_CLIENT_S + 1;
    assert_eq!(store.write(one_more(later)).await.unwrap(), Registration::Done);
    assert_eq!(store.read(|desk| desk.client("c0")).await.unwrap(), None);
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}
