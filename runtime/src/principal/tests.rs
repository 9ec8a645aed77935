//! Tests of flattening callers.

use std::cell::Cell;

use mxcp_schemas::bundle::definition::{Bounds, Type, TypeId, TypeKind, Types};

use super::*;
use crate::auth::claims::Claims;
use crate::auth::provider::Person;

pub(crate) struct World {
    symbols: Symbols,
    attributes: Vec<UserAttribute>,
    checks: Checks,
    questions: Arc<Questions>,
}

impl World {
    pub(crate) fn new() -> Self {
        let kind = TypeKind::Number { integer: true, bounds: Bounds::default() };
        let level = Type { kind, sensitive: false, choices: Vec::new() };
        Self {
            symbols: Symbols::default(),
            attributes: vec![UserAttribute {
                name: "level".into(),
                claim: "hr.level".into(),
                ty: TypeId(0),
            }],
            checks: Checks::new(Types { nodes: vec![level] }),
            questions: Arc::new(Questions::of_test(1, 2, &[])),
        }
    }

    pub(crate) fn vocabulary(&self) -> Vocabulary<'_> {
        Vocabulary {
            symbols: &self.symbols,
            attributes: &self.attributes,
            checks: &self.checks,
            memory: &self.questions,
        }
    }

    pub(crate) fn context(&self, text: &str) -> Principal {
        Principal::from_context(self.vocabulary(), text).unwrap()
    }
}

fn slot<'p>(principal: &'p Principal, name: &str) -> &'p Datum {
    let names = (0..).map_while(|i| principal.attribute_name(i));
    let index = names.into_iter().position(|attribute| attribute == name).unwrap();
    &principal.attributes()[index]
}

fn text(value: &str) -> Datum {
    Datum::String(Symbols::default().text(value))
}

fn list(values: &[&str]) -> Datum {
    Datum::List(values.iter().map(|value| text(value)).collect())
}

fn is_error(datum: &Datum, words: &str) -> bool {
    matches!(datum, Datum::Error(problem) if problem.contains(words))
}

#[test]
fn the_anonymous_have_a_role_and_nothing_else() {
    let world = World::new();
    let nobody = Principal::anonymous(world.vocabulary());
    assert_eq!(slot(&nobody, "role"), &text("anonymous"));
    assert_eq!(slot(&nobody, "permissions"), &list(&[]));
    assert_eq!(slot(&nobody, "email"), &Datum::Null);
    assert_eq!(slot(&nobody, "level"), &Datum::Null);
    assert_eq!(nobody.identity(), &Identity::default());
}

#[test]
fn a_context_is_taken_as_it_stands() {
    let world = World::new();
    let user = world.context(
        r#"{"user_id":"7","username":"ada","email":"a@b.c","role":"admin",
            "permissions":"read write","groups":["g"],"capabilities":["c"],
            "level":3,"department":"hr","claims":{"department":"it","team":"x"}}"#,
    );
    assert_eq!(slot(&user, "role"), &text("admin"));
    assert_eq!(slot(&user, "permissions"), &list(&["read", "write"]));
    assert_eq!(slot(&user, "capabilities"), &list(&["c"]));
    assert_eq!(slot(&user, "level"), &Datum::Int(3));
    let Datum::Map(claims) = slot(&user, "claims") else { panic!("no map") };
    let entries: Vec<_> = claims.iter().map(|(k, v)| (&*k.text, v.clone())).collect();
    assert_eq!(entries, [("department", text("hr")), ("team", text("x"))]);
    assert_eq!(user.identity().username.as_deref(), Some("ada"));
    let by_alias = world.context(r#"{"id":"7"}"#);
    assert_eq!(slot(&by_alias, "user_id"), &text("7"));
    assert_eq!(slot(&by_alias, "role"), &text("user"));
}

#[test]
fn a_wrong_type_is_an_error_and_never_the_default() {
    let world = World::new();
    let user = world.context(
        r#"{"role":["suspended"],"permissions":{"a":1},"groups":"all","email":5,
            "capabilities":[1],"level":"3","claims":[]}"#,
    );
    assert!(is_error(slot(&user, "role"), "`role` is an array"));
    assert!(is_error(slot(&user, "permissions"), "`permissions` is an object"));
    assert!(is_error(slot(&user, "groups"), "`groups` is a string"));
    assert!(is_error(slot(&user, "capabilities"), "a list of strings"));
    assert!(is_error(slot(&user, "email"), "`email` is a number"));
    assert!(is_error(slot(&user, "level"), "`level` must be an integer, not a string"));
    assert!(is_error(slot(&user, "claims"), "`claims` is an array"));
    assert_eq!(user.identity().email, None);
    let user = world.context(r#"{"claims":"x"}"#);
    assert!(is_error(slot(&user, "level"), "`claims` is a string"));
}

#[test]
fn declared_attributes_come_from_their_claim() {
    let world = World::new();
    assert_eq!(slot(&world.context(r#"{"hr":{"level":4}}"#), "level"), &Datum::Int(4));
    assert_eq!(slot(&world.context(r#"{"hr.level":5,"hr":{"level":4}}"#), "level"), &Datum::Int(5));
    assert_eq!(slot(&world.context(r#"{"level":6,"hr":{"level":4}}"#), "level"), &Datum::Int(6));
    assert!(is_error(slot(&world.context(r#"{"hr":{"level":4.5}}"#), "level"), "integer"));
}

#[test]
fn an_unverified_address_is_none() {
    let world = World::new();
    for verified in ["false", "\"false\"", "\"no\"", "0", "[]"] {
        let user = world.context(&format!(r#"{{"email":"a@b.c","email_verified":{verified}}}"#));
        assert_eq!(slot(&user, "email"), &Datum::Null, "{verified}");
        assert_eq!(user.identity().email, None);
    }
    for verified in ["true", "\"true\"", "null"] {
        let user = world.context(&format!(r#"{{"email":"a@b.c","email_verified":{verified}}}"#));
        assert_eq!(slot(&user, "email"), &text("a@b.c"), "{verified}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let world = World::new();
    let error = Principal::from_context(world.vocabulary(), "[]").unwrap_err();
    assert_eq!(error.to_string(), "the user context must be a JSON object, not an array");
    assert!(Principal::from_context(world.vocabulary(), r#"{"a":1,"a":2}"#).is_err());
}

#[test]
fn the_map_holds_every_attribute_and_the_alias() {
    let world = World::new();
    let user = world.context(r#"{"user_id":"7"}"#);
    let Datum::Map(entries) = user.as_map(&world.symbols) else { panic!("no map") };
    let names: Vec<&str> = entries.iter().map(|(name, _)| &*name.text).collect();
    assert!(names.is_sorted());
    assert!(names.contains(&"id") && names.contains(&"level") && names.contains(&"role"));
}

#[test]
fn conditions_are_evaluated_once() {
    let world = World::new();
    let user = world.context("{}");
    let count = Cell::new(0);
    for outcome in [Remembered::Error, Remembered::True] {
        let remembered = user.remember(1, || {
            count.set(count.get() + 1);
            outcome
        });
        assert_eq!(remembered, Remembered::Error);
    }
    assert_eq!(count.get(), 1);
    assert_eq!(user.remember(0, || Remembered::False), Remembered::False);
    assert_eq!(user.remember(9, || Remembered::True), Remembered::True);
}

#[test]
fn callers_are_told_apart_by_account() {
    let world = World::new();
    let context = |text: &str| Arc::new(world.context(text));
    let ada = context(r#"{"id":"1","provider":"github"}"#);
    assert!(Principal::is_same(&ada, &context(r#"{"id":"1","provider":"github","role":"x"}"#)));
    assert!(!Principal::is_same(&ada, &context(r#"{"id":"1","provider":"google"}"#)));
    let nameless = context(r#"{"role":"admin"}"#);
    assert!(Principal::is_same(&nameless, &nameless));
    assert!(!Principal::is_same(&nameless, &context(r#"{"role":"admin"}"#)));
    let nobody = || Arc::new(Principal::anonymous(world.vocabulary()));
    assert!(Principal::is_same(&nobody(), &nobody()));
    assert!(!Principal::is_same(&nobody(), &nameless));
}

fn person(world: &World, claims: &str, capabilities: &[&str]) -> Principal {
    let claims = Claims::parse(claims).unwrap();
    let person = Person {
        provider: "acme".into(),
        user_id: "7".into(),
        claims,
        naming: crate::auth::provider::OPENID,
    };
    let capabilities: Vec<String> = capabilities.iter().map(|c| (*c).to_owned()).collect();
    Principal::authenticated(world.vocabulary(), &person, &capabilities)
}

#[test]
fn a_person_has_what_the_provider_claims_and_the_configuration_gives() {
    let world = World::new();
    let claims = r#"{"sub":"7","preferred_username":"ada","name":"Ada","email":"a@b.c",
        "email_verified":true,"role":"admin","permissions":"read write","groups":["g"],
        "hr":{"level":3},"capabilities":["forged"],"user_id":"forged","provider":"forged"}"#;
    let ada = person(&world, claims, &["pay"]);
    assert_eq!(slot(&ada, "user_id"), &text("7"));
    assert_eq!(slot(&ada, "provider"), &text("acme"));
    assert_eq!(slot(&ada, "username"), &text("ada"));
    assert_eq!(slot(&ada, "name"), &text("Ada"));
    assert_eq!(slot(&ada, "email"), &text("a@b.c"));
    assert_eq!(slot(&ada, "role"), &text("admin"));
    assert_eq!(slot(&ada, "permissions"), &list(&["read", "write"]));
    assert_eq!(slot(&ada, "groups"), &list(&["g"]));
    assert_eq!(slot(&ada, "capabilities"), &list(&["pay"]), "claims give no capabilities");
    assert_eq!(slot(&ada, "level"), &Datum::Int(3));
    assert!(!ada.is_anonymous);
}

#[test]
fn a_person_of_whom_little_is_claimed_has_the_defaults() {
    let world = World::new();
    let user = person(&world, r#"{"sub":"7","role":null,"preferred_username":null}"#, &[]);
    assert_eq!(slot(&user, "role"), &text("user"));
    assert_eq!(slot(&user, "username"), &Datum::Null);
    assert_eq!(slot(&user, "permissions"), &list(&[]));
    assert_eq!(slot(&user, "capabilities"), &list(&[]));
    assert_eq!(slot(&user, "level"), &Datum::Null);
}

#[test]
fn claims_of_a_wrong_type_are_errors_and_never_defaults() {
    let world = World::new();
    let claims = r#"{"sub":"7","role":["suspended"],"permissions":5,"groups":"all",
        "preferred_username":1,"email":{},"name":[],"hr":{"level":"3"}}"#;
    let user = person(&world, claims, &[]);
    for name in ["role", "permissions", "groups", "username", "email", "name", "level"] {
        assert!(is_error(slot(&user, name), "`"), "{name}");
    }
    assert_eq!(user.identity().username, None);
}

#[test]
fn an_unverified_address_of_a_person_is_none() {
    let world = World::new();
    for (verified, known) in [
        ("true", true),
        ("\"true\"", true),
        ("null", true),
        ("false", false),
        ("\"no\"", false),
        ("1", false),
    ] {
        let claims = format!(r#"{{"email":"a@b.c","email_verified":{verified}}}"#);
        let user = person(&world, &claims, &[]);
        assert_eq!(slot(&user, "email") == &text("a@b.c"), known, "{verified}");
        assert_eq!(user.identity().email.is_some(), known);
    }
}
