//! What a store promises, whatever keeps its rows.

use mxcp_runtime::auth::claims::Claims;
use mxcp_runtime::auth::provider::{Grant, OPENID, Person};
use mxcp_runtime::auth::secret::Digest;
use mxcp_runtime::auth::store::{
    Begin, Begun, CLIENTS_PER_ADDRESS_AND_HOUR_MAX, Code, Desk, Ended, GRANTS_PER_SUBJECT_MAX,
    LOGINS_PER_ADDRESS_MAX, NewGrant, Pair, REPLAY_S, Redeemed, Refreshed, Registered,
    Registration, Store, StoreError, UNUSED_CLIENT_S,
};
use mxcp_runtime::config::Concealed;

pub(crate) const NOW: i64 = 1_800_000_000;

/// Somewhere to keep rows; nobody else does.
pub(crate) trait Site {
    /// Another handle on what is kept there.
    fn realm(&self, realm: &str) -> impl Future<Output = Store>;

    /// A handle for the usual project.
    fn open(&self) -> impl Future<Output = Store> {
        self.realm("p/q")
    }
}

pub(crate) fn person(subject: &str) -> Person {
    Person {
        provider: "idp".into(),
        user_id: subject.into(),
        claims: Claims::parse(r#"{"role":"nurse"}"#).unwrap(),
        naming: OPENID,
    }
}

pub(crate) fn grant(id: &str, subject: &str) -> NewGrant {
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

pub(crate) fn pair(name: &str) -> Pair {
    Pair {
        access: Concealed::new(format!("access-{name}")),
        access_expires: NOW + 3_600,
        scopes: vec!["read".into()],
        refresh: Some(Concealed::new(format!("refresh-{name}"))),
        refresh_expires: NOW + 100_000,
    }
}

pub(crate) fn code(text: &str) -> Code {
    Code {
        digest: Digest::of(text),
        redirect_uri: Some("https://c/cb".into()),
        challenge: "challenge".into(),
        expires: NOW + 60,
    }
}

pub(crate) async fn begin(store: &Store, id: &'static str, text: &'static str) {
    let begun = move |desk: &Desk<'_>| {
        desk.add_grant(&grant(id, "ada"), NOW)?;
        desk.add_code(id, &code(text))
    };
    store.write(begun).await.unwrap();
}

pub(crate) async fn redeem(
    store: &Store,
    text: &'static str,
    name: &'static str,
    now: i64,
) -> Redeemed {
    let fits = |uri: Option<&str>, challenge: &str| {
        uri == Some("https://c/cb") && challenge == "challenge"
    };
    let job = move |desk: &Desk<'_>| {
        desk.redeem(&Digest::of(text), "client", fits, |_, _| Ok(pair(name)), now)
    };
    store.write(job).await.unwrap()
}

pub(crate) async fn refresh(
    store: &Store,
    token: &'static str,
    name: &'static str,
    now: i64,
) -> Refreshed {
    let job = move |desk: &Desk<'_>| {
        desk.refresh(&Digest::of(token), "client", |_| Ok(Some(pair(name))), now)
    };
    store.write(job).await.unwrap()
}

pub(crate) async fn is_good(store: &Store, token: &'static str) -> bool {
    store.read(move |desk| desk.token(&Digest::of(token), NOW)).await.unwrap().is_some()
}

fn done(refreshed: Refreshed) -> (Pair, bool) {
    match refreshed {
        Refreshed::Done { pair, replayed, .. } => (pair, replayed),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_code_is_used_once_and_its_second_use_ends_everything(place: &impl Site) {
    let store = place.open().await;
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

pub(crate) async fn a_code_is_bound_and_expires(place: &impl Site) {
    let store = place.open().await;
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

pub(crate) async fn a_predecessor_gives_the_same_successor_until_that_is_used(place: &impl Site) {
    let store = place.open().await;
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

pub(crate) async fn a_predecessor_is_good_for_a_minute_and_for_its_client(place: &impl Site) {
    let store = place.open().await;
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    let thief = |desk: &Desk<'_>| {
        desk.refresh(&Digest::of("refresh-0"), "thief", |_| Ok(Some(pair("x"))), NOW)
    };
    assert_eq!(store.write(thief).await.unwrap(), Refreshed::Mismatch);
    refresh(&store, "refresh-0", "1", NOW).await;
    assert_eq!(store.write(thief).await.unwrap(), Refreshed::Mismatch);
    let late = refresh(&store, "refresh-0", "x", NOW + REPLAY_S + 1).await;
    assert_eq!(late, Refreshed::Reused { grant_id: "g".into() });
    assert!(!is_good(&store, "access-1").await);
}

pub(crate) async fn clients_and_logins_are_limited_and_forgotten(place: &impl Site) {
    let store = place.open().await;
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

pub(crate) async fn one_person_has_so_many_grants_and_what_is_over_goes(place: &impl Site) {
    let store = place.open().await;
    for i in 0..GRANTS_PER_SUBJECT_MAX {
        let job = move |desk: &Desk<'_>| {
            let made = NewGrant { id: format!("g{i:03}"), ..grant("", "ada") };
            desk.add_grant(&made, NOW + i)
        };
        assert!(store.write(job).await.unwrap().is_empty());
    }
    let next = |desk: &Desk<'_>| desk.add_grant(&grant("next", "ada"), NOW + 1_000);
    let gave_way = store.write(next).await.unwrap();
    let person = |ended: &Ended| ended.row.as_ref().map(|row| row.person.user_id.clone());
    let gave_way: Vec<_> = gave_way.iter().map(|ended| (&*ended.id, person(ended))).collect();
    assert_eq!(gave_way, [("g000", Some("ada".to_owned()))]);
    let other = |desk: &Desk<'_>| desk.add_grant(&grant("bob", "bob"), NOW);
    assert!(store.write(other).await.unwrap().is_empty());
    begin(&store, "kept", "code").await;
    let cleaned = store.write(|desk| desk.clean(NOW)).await.unwrap();
    assert_eq!(i64::try_from(cleaned.grants), Ok(GRANTS_PER_SUBJECT_MAX));
    assert!(store.read(|desk| desk.grant("kept", OPENID, NOW)).await.unwrap().is_some());
    let cleaned = store.write(|desk| desk.clean(NOW + 61)).await.unwrap();
    assert_eq!((cleaned.grants, cleaned.tokens), (1, 1));
}

pub(crate) async fn what_was_written_is_there_after_a_restart_and_belongs_to_its_realm(
    place: &impl Site,
) {
    let store = place.open().await;
    begin(&store, "g", "code").await;
    redeem(&store, "code", "0", NOW).await;
    drop(store);
    let store = place.open().await;
    assert!(is_good(&store, "access-0").await);
    let row = store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap().unwrap();
    assert_eq!(row.person, person("ada"));
    assert_eq!(row.provider, grant("g", "ada").provider);
    let other = place.realm("p/other").await;
    assert!(!is_good(&other, "access-0").await);
    assert_eq!(refresh(&other, "refresh-0", "x", NOW).await, Refreshed::Unknown);
    assert_eq!(other.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap(), None);
    assert!(!other.write(|desk| desk.end_grant("g")).await.unwrap());
    assert_eq!(other.read(|desk| desk.owner(&Digest::of("access-0"))).await.unwrap(), None);
}

pub(crate) async fn of_many_who_bring_one_code_one_is_served(place: &impl Site) {
    let (here, there) = (place.open().await, place.open().await);
    for round in 0..4 {
        let (id, text) = (format!("g{round}"), format!("code-{round}"));
        let (new, code) = (NewGrant { id: id.clone(), ..grant("", "ada") }, code(&text));
        let begun = move |desk: &Desk<'_>| {
            desk.add_grant(&new, NOW)?;
            desk.add_code(&new.id, &code)
        };
        here.write(begun).await.unwrap();
        let tries = (0..8).map(|i| {
            let store = if i % 2 == 0 { here.clone() } else { there.clone() };
            let (code, name) = (Digest::of(&text), format!("{round}-{i}"));
            let job = move |desk: &Desk<'_>| {
                desk.redeem(&code, "client", |_, _| true, |_, _| Ok(pair(&name)), NOW)
            };
            tokio::spawn(async move { store.write(job).await.unwrap() })
        });
        let mut done = 0;
        for attempt in tries.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Redeemed::Done { .. } => done += 1,
                // The second use ends the grant, and then nobody knows the code.
                Redeemed::Reused { .. } | Redeemed::Unknown => {}
                Redeemed::Mismatch => panic!("it fits"),
            }
        }
        assert_eq!(done, 1);
    }
}

pub(crate) async fn all_who_bring_one_refresh_token_get_the_same_successor(place: &impl Site) {
    let (here, there) = (place.open().await, place.open().await);
    begin(&here, "g", "code").await;
    redeem(&here, "code", "0", NOW).await;
    let tries = (0..8).map(|i| {
        let store = if i % 2 == 0 { here.clone() } else { there.clone() };
        let name = format!("try-{i}");
        let job = move |desk: &Desk<'_>| {
            desk.refresh(&Digest::of("refresh-0"), "client", |_| Ok(Some(pair(&name))), NOW)
        };
        tokio::spawn(async move { store.write(job).await.unwrap() })
    });
    let mut pairs = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        pairs.push(done(attempt.await.unwrap()));
    }
    assert_eq!(pairs.iter().filter(|(_, replayed)| !replayed).count(), 1);
    assert!(pairs.iter().all(|(pair, _)| *pair == pairs[0].0));
}

pub(crate) async fn a_job_that_fails_keeps_nothing(place: &impl Site) {
    let store = place.open().await;
    let fails = |desk: &Desk<'_>| {
        desk.add_grant(&grant("g", "ada"), NOW)?;
        Err::<(), _>(StoreError::Row("of the test"))
    };
    assert!(matches!(store.write(fails).await, Err(StoreError::Row(_))));
    assert_eq!(store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap(), None);
    // A statement that fails takes the others with it, though the job goes on.
    let goes_on = |desk: &Desk<'_>| {
        desk.add_grant(&grant("g", "ada"), NOW)?;
        assert!(desk.add_grant(&grant("g", "ada"), NOW).is_err());
        desk.add_grant(&grant("h", "ada"), NOW)
    };
    let kept = store.write(goes_on).await.is_ok();
    for id in ["g", "h"] {
        let found = store.read(move |desk| desk.grant(id, OPENID, NOW)).await.unwrap();
        assert_eq!(found.is_some(), kept, "all or nothing");
    }
}

pub(crate) async fn a_refresh_at_the_provider_is_noted_until_its_answer_is_kept(place: &impl Site) {
    let store = place.open().await;
    store.write(|desk| desk.add_grant(&grant("g", "ada"), NOW)).await.unwrap();
    assert_eq!(store.write(|desk| desk.begin_refresh("x", NOW)).await.unwrap(), Begin::Ended);
    assert_eq!(store.write(|desk| desk.begin_refresh("g", NOW)).await.unwrap(), Begin::Done);
    let unsettled = store.read(|desk| desk.unsettled(9)).await.unwrap();
    assert_eq!(unsettled, [("g".to_owned(), NOW)]);
    let row = store.read(|desk| desk.grant("g", OPENID, NOW)).await.unwrap().unwrap();
    assert!(row.unsettled);
    store.write(|desk| desk.give_up_refresh("g")).await.unwrap();
    assert_eq!(store.write(|desk| desk.begin_refresh("g", NOW + 1)).await.unwrap(), Begin::Done);
    let fresh = grant("g", "ada").provider;
    assert!(store.write(move |desk| desk.keep_provider("g", &fresh)).await.unwrap());
    assert_eq!(store.read(|desk| desk.unsettled(9)).await.unwrap(), []);
}

/// Calls a macro with the names of all that is promised.
macro_rules! promises {
    ($for_each:ident) => {
        $for_each! {
            a_code_is_used_once_and_its_second_use_ends_everything
            a_code_is_bound_and_expires
            a_predecessor_gives_the_same_successor_until_that_is_used
            a_predecessor_is_good_for_a_minute_and_for_its_client
            clients_and_logins_are_limited_and_forgotten
            one_person_has_so_many_grants_and_what_is_over_goes
            what_was_written_is_there_after_a_restart_and_belongs_to_its_realm
            of_many_who_bring_one_code_one_is_served
            all_who_bring_one_refresh_token_get_the_same_successor
            a_job_that_fails_keeps_nothing
            a_refresh_at_the_provider_is_noted_until_its_answer_is_kept
        }
    };
}
pub(crate) use promises;
