//! What SQL is told about the call that it serves: the same person that conditions see.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Caller;
use crate::config::Concealed;
use crate::duckdb::asked::{Answers, Question};

/// A call, as SQL may ask about it.
pub(super) struct About {
    caller: Arc<Caller>,
    /// the provider's access token, where the statement speaks of it
    external_token: Option<Concealed<String>>,
}

impl About {
    /// What the statement `sql` may ask about a call.
    pub(super) async fn new(caller: &Arc<Caller>, sql: &str) -> Self {
        let mut about = Self { caller: Arc::clone(caller), external_token: None };
        if let Some(vouched) = caller.vouched.as_ref().filter(|_| speaks_of_token(sql)) {
            about.external_token = vouched.external_token(caller.headers.as_deref()).await;
        }
        about
    }
}

impl Answers for About {
    fn answer(&self, question: Question, name: &str) -> Option<String> {
        let identity = self.caller.principal.identity();
        match question {
            Question::Username => identity.username.as_deref().map(str::to_owned),
            Question::Email => identity.email.as_deref().map(str::to_owned),
            Question::Provider => identity.provider.as_deref().map(str::to_owned),
            Question::ExternalToken => {
                self.external_token.as_ref().map(|token| token.expose().clone())
            }
            Question::Header => {
                let mut headers = self.caller.visible_headers();
                let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_owned())
            }
            Question::Headers => {
                self.caller.headers.as_ref()?;
                let members = self.caller.visible_headers();
                let members: Map<String, Value> =
                    members.map(|(name, value)| (name.to_owned(), value.into())).collect();
                Some(Value::Object(members).to_string())
            }
        }
    }
}

/// Whether a statement names the function that gives the provider's token.
fn speaks_of_token(sql: &str) -> bool {
    const NAME: &str = "get_user_external_token";
    let mut windows = sql.as_bytes().windows(NAME.len());
    windows.any(|window| window.eq_ignore_ascii_case(NAME.as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};
    use mxcp_schemas::audit::CallerType;

    use super::*;
    use crate::principal::tests::World;

    fn caller(context: &str, headers: &[(&'static str, &'static str)]) -> Arc<Caller> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Arc::new(Caller {
            principal: Arc::new(World::new().context(context)),
            via: CallerType::Http,
            client: None,
            client_ip: None,
            session_id: None,
            trace_id: None,
            headers: Some(Arc::new(map)),
            operator: false,
            vouched: None,
        })
    }

    #[tokio::test]
    async fn sql_sees_the_person_and_no_credential() {
        let headers = [
            ("authorization", "Bearer SECRET"),
            ("cookie", "SECRET"),
            ("proxy-authorization", "SECRET"),
            ("x-trace", "t1"),
        ];
        let context = r#"{"username":"ada","email":"a@x","provider":"p","id":"1"}"#;
        let about = About::new(&caller(context, &headers), "SELECT 1").await;
        let ask = |question, name| about.answer(question, name);
        assert_eq!(ask(Question::Username, "").as_deref(), Some("ada"));
        assert_eq!(ask(Question::Email, "").as_deref(), Some("a@x"));
        assert_eq!(ask(Question::Provider, "").as_deref(), Some("p"));
        assert_eq!(ask(Question::Header, "X-Trace").as_deref(), Some("t1"));
        for hidden in ["Authorization", "cookie", "Proxy-Authorization", "absent"] {
            assert_eq!(ask(Question::Header, hidden), None, "{hidden}");
        }
        assert_eq!(ask(Question::Headers, "").as_deref(), Some(r#"{"x-trace":"t1"}"#));
        assert_eq!(ask(Question::ExternalToken, ""), None);
        assert!(speaks_of_token("select GET_USER_External_Token()"));
        assert!(!speaks_of_token("select get_username()"));
    }

    #[tokio::test]
    async fn what_nobody_knows_is_null() {
        let mut nobody = Caller::clone(&caller("{}", &[]));
        nobody.headers = None;
        let about = About::new(&Arc::new(nobody), "").await;
        for question in [Question::Username, Question::Email, Question::Provider, Question::Headers]
        {
            assert_eq!(about.answer(question, ""), None, "{question:?}");
        }
    }
}
