//! What SQL may ask about the call that it serves: `get_username()` and its relatives.
//!
//! The functions are volatile and answer for the connection that runs them, so that no answer can
//! be folded into a plan that serves another caller. Where nobody calls, and for what nobody knows,
//! the answer is NULL.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// the login name
    Username,
    /// the verified e-mail address
    Email,
    /// who vouches for the caller
    Provider,
    /// the identity provider's access token
    ExternalToken,
    /// a header of the request, by its name
    Header,
    /// all visible headers, as a JSON object
    Headers,
}

/// The functions, with their names and whether they take one.
pub const FUNCTIONS: &[(&str, Question, bool)] = &[
    ("get_request_header", Question::Header, true),
    ("get_request_headers_json", Question::Headers, false),
    ("get_user_email", Question::Email, false),
    ("get_user_external_token", Question::ExternalToken, false),
    ("get_user_provider", Question::Provider, false),
    ("get_username", Question::Username, false),
];

/// Who answers for a call.
pub trait Answers: Send + Sync {
    /// The answer; `name` is that of a header, where one is asked for.
    fn answer(&self, question: Question, name: &str) -> Option<String>;
}

/// For whom a connection works.
#[derive(Default)]
pub struct Place(RwLock<Option<Arc<dyn Answers>>>);

/// The places of all connections of a database.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<u64, Weak<Place>>>);

/// A connection works for a call as long as this lives.
#[derive(Debug)]
pub struct Speaking(Arc<Place>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

impl Board {
    /// The place of a connection.
    pub fn place(&self, connection: u64) -> Arc<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&connection).and_then(Weak::upgrade) {
            return place;
        }
        places.retain(|_, place| place.strong_count() > 0);
        let place = Arc::default();
        places.insert(connection, Arc::downgrade(&place));
        place
    }
}

impl Place {
    /// Answers for the call that the connection works for.
    pub fn answer(&self, question: Question, name: &str) -> Option<String> {
        let caller = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        caller?.answer(question, name)
    }

    /// Lets the connection work for a call.
    pub fn speak_for(self: &Arc<Self>, caller: Arc<dyn Answers>) -> Speaking {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(caller);
        Speaking(Arc::clone(self))
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duckdb::{Cell, DuckError, Session, Settings};

    struct Ada(&'static str);

    impl Answers for Ada {
        fn answer(&self, question: Question, name: &str) -> Option<String> {
            match question {
                Question::Username => Some(self.0.to_owned()),
                Question::Header => (name == "X-Trace").then(|| "t1".to_owned()),
                _ => None,
            }
        }
    }

    fn ask(session: &mut Session, sql: &str) -> Vec<Option<String>> {
        let mut rows = session.query(sql, |_| None).unwrap();
        let shape = rows.shapes()[0].clone();
        let mut found = Vec::new();
        while let Some(chunk) = rows.next_chunk() {
            found.extend((0..chunk.len()).map(|row| match chunk.cell(0, &shape, row) {
                Cell::Null => None,
                Cell::Text(text, _) => Some(text.to_owned()),
                other => panic!("{other:?}"),
            }));
        }
        found
    }

    #[test]
    fn the_functions_are_sorted_and_known_to_every_connection() {
        assert!(FUNCTIONS.is_sorted_by_key(|(name, ..)| name));
        let database = Settings::default().open().unwrap();
        let mut session = Session::new(&database).unwrap();
        for (name, _, takes_name) in FUNCTIONS {
            let argument = if *takes_name { "'x'" } else { "" };
            assert_eq!(ask(&mut session, &format!("SELECT {name}({argument})")), [None], "{name}");
        }
    }

    #[test]
    fn one_prepared_statement_answers_for_whoever_calls() {
        let database = Settings::default().open().unwrap();
        let mut session = Session::new(&database).unwrap();
        let mut other = Session::new(&database).unwrap();
        let sql = "SELECT get_username() || ':' || i FROM range(3) t(i)";
        let of_other = other.speak_for(Arc::new(Ada("eve")));
        for name in ["ada", "bob", "ada"] {
            let speaking = session.speak_for(Arc::new(Ada(name)));
            let expected: Vec<_> = (0..3).map(|i| Some(format!("{name}:{i}"))).collect();
            assert_eq!(ask(&mut session, sql), expected);
            assert_eq!(ask(&mut other, "SELECT get_username()"), [Some("eve".into())]);
            drop(speaking);
            assert_eq!(ask(&mut session, "SELECT get_username()"), [None]);
        }
        drop(of_other);
    }

    #[test]
    fn names_of_headers_may_come_from_rows() {
        let database = Settings::default().open().unwrap();
        let mut session = Session::new(&database).unwrap();
        let _speaking = session.speak_for(Arc::new(Ada("ada")));
        let sql = "SELECT get_request_header(h) FROM (VALUES ('X-Trace'), (NULL), ('Other'), \
                   ('a name that is longer than twelve bytes')) t(h)";
        assert_eq!(ask(&mut session, sql), [Some("t1".into()), None, None, None]);
    }

    #[test]
    fn views_and_macros_and_threads_answer_alike() {
        let settings = Settings { threads: Some(4), ..Settings::default() };
        let database = settings.open().unwrap();
        let mut session = Session::new(&database).unwrap();
        session.connection().run("CREATE VIEW me AS SELECT get_username() AS name").unwrap();
        session.connection().run("CREATE MACRO who() AS get_username()").unwrap();
        let _speaking = session.speak_for(Arc::new(Ada("ada")));
        assert_eq!(ask(&mut session, "SELECT name FROM me"), [Some("ada".into())]);
        assert_eq!(ask(&mut session, "SELECT who()"), [Some("ada".into())]);
        let many = "SELECT DISTINCT get_username() FROM range(1000000)";
        assert_eq!(ask(&mut session, many), [Some("ada".into())]);
        let error = session.query("SELECT get_username(1)", |_| None).map(|_| ()).unwrap_err();
        assert_eq!(error.class, "binder");
        let _: DuckError = error;
    }
}
