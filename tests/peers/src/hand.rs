//! The conditions as a programmer would write them for one project.

use std::collections::HashMap;
use std::hint::black_box;

use crate::Time;
use crate::world::{END, ROWS, START, World};

struct User {
    user_id: Option<String>,
    email: Option<String>,
    role: String,
    permissions: Vec<String>,
    claims: HashMap<String, Claim>,
}

enum Claim {
    Number(i64),
    Text(String),
    Map(HashMap<String, Claim>),
}

struct Row {
    lines: Vec<i64>,
}

/// What the condition of a number says and how long it takes to say it.
pub fn measure(index: usize, world: &World) -> (bool, Time) {
    let text = |name: &str| world.user[name].as_str().map(str::to_owned);
    let list = |name: &str| -> Vec<String> {
        let items = world.user[name].as_array().unwrap();
        items.iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let org = HashMap::from([("unit".to_owned(), Claim::Text("u7".into()))]);
    let user = User {
        user_id: text("user_id"),
        email: text("email"),
        role: text("role").unwrap(),
        permissions: list("permissions"),
        claims: HashMap::from([
            ("org".to_owned(), Claim::Map(org)),
            ("level".to_owned(), Claim::Number(5)),
        ]),
    };
    let rows: Vec<Row> = (0..ROWS).map(|_| Row { lines: vec![1, 2, 3] }).collect();
    let department = "finance".to_owned();
    let pattern = regex_lite();
    let (employee, note, n) = (&world.employee_id, &world.note, world.n);
    let user = &user;
    let time = |run: &dyn Fn() -> bool| (run(), crate::measure(run, run()));
    match index {
        0 => time(&|| black_box(user).role != "admin"),
        1 => time(&|| black_box(user).permissions.iter().any(|p| p == "hr.read")),
        2 => time(&|| {
            let set = ["hr.read", "hr.write"];
            black_box(user).permissions.iter().any(|p| set.contains(&p.as_str()))
        }),
        3 => time(&|| {
            let user = black_box(user);
            Some(black_box(employee)) != user.user_id.as_ref() && user.role != "hr"
        }),
        4 => time(&|| black_box(user).email.as_ref().is_some_and(|e| e.ends_with("@corp.example"))),
        5 => time(&|| *black_box(&department) == "finance" && black_box(user).role == "nurse"),
        6 => time(&|| black_box(&rows).iter().any(|r| r.lines.iter().any(|l| *l > 100))),
        7 => time(&|| pattern.is_match(black_box(note))),
        8 => time(&|| black_box(END) - black_box(START) > 720 * 3600),
        9 => time(&|| {
            let claims = &black_box(user).claims;
            let unit = match claims.get("org") {
                Some(Claim::Map(org)) => org.get("unit"),
                _ => None,
            };
            matches!(unit, Some(Claim::Text(unit)) if unit == "u7")
                && matches!(claims.get("level"), Some(Claim::Number(level)) if *level > 3)
        }),
        10 => time(&|| {
            let email = black_box(user).email.as_deref().unwrap_or("");
            email.contains('@') && email.starts_with("me") && black_box(note).chars().count() < 100
        }),
        _ => time(&|| (0..30).all(|i| *black_box(&n) > i)),
    }
}

fn regex_lite() -> regex::Regex {
    regex::Regex::new("^[A-Z]{2}[0-9]{6}$").unwrap()
}
