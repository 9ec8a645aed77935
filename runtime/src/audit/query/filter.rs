//! Which records are asked for: one description, understood by SQL and by the reader that follows
//! a trail. A test holds that both agree.

use jiff::Timestamp;
use mxcp_schemas::audit::{OperationStatus, OperationType, PolicyDecision};
use serde_json::Value;

use super::time::{TimeError, parse_time};
use crate::audit::chain::CHECKPOINT;

/// Records that are returned unless said otherwise.
pub const LIMIT_DEFAULT: u64 = 100;

/// The records that are asked for: those that fit everything that is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// calls of this tool
    pub tool: Option<String>,
    /// reads of this resource, by its template
    pub resource: Option<String>,
    /// renderings of this prompt
    pub prompt: Option<String>,
    /// this type of operation; without it, intents and checkpoints are left out
    pub operation_type: Option<OperationType>,
    /// this decision of the policies
    pub policy: Option<Policy>,
    /// this outcome
    pub status: Option<OperationStatus>,
    /// this user: identifier, login name or e-mail address
    pub user: Option<String>,
    /// this session
    pub session: Option<String>,
    /// this trace
    pub trace: Option<String>,
    /// not before
    pub since: Option<Timestamp>,
    /// not after
    pub until: Option<Timestamp>,
}

/// A decision of policies that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// This one.
    Decided(PolicyDecision),
    /// There was no policy: `n/a`.
    None,
}

/// Why a filter cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No record contains it, and SQL cannot say it.
    #[error("the value of `{0}` contains a NUL character, which no record contains")]
    Nul(&'static str),
    /// There is no filter of that name.
    #[error("there is no filter `{0}`; there are {names}", names = FILTERS.join(", "))]
    Unknown(String),
    /// It is none of the words that there are.
    #[error("`{text}` is no value of `{name}`; it is one of {choices}", choices = choices.join(", "))]
    Choice {
        /// the filter
        name: &'static str,
        /// what was asked for
        text: String,
        /// what there is
        choices: Vec<&'static str>,
    },
    /// It is no point in time.
    #[error(transparent)]
    Time(#[from] TimeError),
}

/// The names of filters, on the command line and in requests, as [`Filter::set`] takes them.
pub const FILTERS: [&str; 11] = [
    "tool", "resource", "prompt", "type", "policy", "status", "user", "session", "trace", "since",
    "until",
];

impl Policy {
    /// The words of the command line.
    pub const WORDS: [&'static str; 4] = ["allow", "deny", "warn", "n/a"];

    /// The decision of one of [`Self::WORDS`].
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "n/a" => Some(Self::None),
            word => PolicyDecision::parse(word).map(Self::Decided),
        }
    }
}

/// Kinds of `system` records that speak of every call or of nothing new.
const ROUTINE: [&str; 2] = ["intent", CHECKPOINT];

impl Filter {
    /// Asks for something more, by name and text. A length of time counts back from `now`.
    ///
    /// # Errors
    /// When there is no such filter, or the text is no value of it.
    pub fn set(&mut self, name: &str, text: &str, now: Timestamp) -> Result<(), FilterError> {
        let own = || Some(text.to_owned());
        match name {
            "tool" => self.tool = own(),
            "resource" => self.resource = own(),
            "prompt" => self.prompt = own(),
            "type" => {
                let all = OperationType::ALL.iter().map(|kind| kind.as_str());
                self.operation_type = Some(choice("type", text, OperationType::parse(text), all)?);
            }
            "policy" => {
                let all = Policy::WORDS.into_iter();
                self.policy = Some(choice("policy", text, Policy::parse(text), all)?);
            }
            "status" => {
                let all = OperationStatus::ALL.iter().map(|status| status.as_str());
                self.status = Some(choice("status", text, OperationStatus::parse(text), all)?);
            }
            "user" => self.user = own(),
            "session" => self.session = own(),
            "trace" => self.trace = own(),
            "since" => self.since = Some(parse_time(text, now)?),
            "until" => self.until = Some(parse_time(text, now)?),
            _ => return Err(FilterError::Unknown(name.to_owned())),
        }
        Ok(())
    }

    /// The condition in SQL, over the columns of a trail.
    ///
    /// # Errors
    /// When a value cannot be written as a literal.
    pub(super) fn condition(&self) -> Result<String, FilterError> {
        // A line that is no record reads as a row of nothing but nulls; MXCP's earliest records had no
        // identifiers.
        let mut all = vec!["coalesce(record_id, operation_name) IS NOT NULL".to_owned()];
        for (kind, name) in self.names() {
            let (word, name) = (kind.as_str(), literal(kind.as_str(), name)?);
            all.push(format!("operation_type = '{word}' AND operation_name = {name}"));
        }
        match self.operation_type {
            Some(kind) => all.push(format!("operation_type = '{}'", kind.as_str())),
            None => all.push(format!(
                "NOT (operation_type = 'system' AND operation_name IN ('{}'))",
                ROUTINE.join("', '")
            )),
        }
        match self.policy {
            Some(Policy::Decided(decision)) => {
                all.push(format!("policy_decision = '{}'", decision.as_str()));
            }
            Some(Policy::None) => {
                all.push("(policy_decision IS NULL OR policy_decision = 'n/a')".to_owned());
            }
            None => {}
        }
        if let Some(status) = self.status {
            all.push(format!("operation_status = '{}'", status.as_str()));
        }
        if let Some(user) = &self.user {
            let user = literal("user", user)?;
            all.push(format!("{user} IN (user_id, principal.username, principal.email)"));
        }
        if let Some(session) = &self.session {
            all.push(format!("session_id = {}", literal("session", session)?));
        }
        if let Some(trace) = &self.trace {
            all.push(format!("trace_id = {}", literal("trace", trace)?));
        }
        for (at, sign) in [(self.since, ">="), (self.until, "<=")] {
            if let Some(at) = at {
                all.push(format!("{TIME} {sign} TIMESTAMPTZ '{at:.6}'"));
            }
        }
        Ok(all.join(" AND "))
    }

    /// Whether a record, read as JSON, is asked for: what `Self::condition` says, without a
    /// database.
    pub fn matches(&self, record: &Value) -> bool {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let principal = |name: &str| record.get("principal")?.get(name)?.as_str();
        let (kind, name) = (text("operation_type"), text("operation_name"));
        let is_routine = kind == Some(OperationType::System.as_str())
            && name.is_some_and(|name| ROUTINE.contains(&name));
        // Both sides in microseconds, as records and SQL have them. A time that cannot be read is
        // neither after nor before any other, as null is in SQL.
        let time = text("timestamp").and_then(|text| text.parse::<Timestamp>().ok());
        let time = time.map(Timestamp::as_microsecond);
        let (since, until) = (micros(self.since), micros(self.until));
        let after = since.is_none_or(|since| time.is_some_and(|time| time >= since));
        let before = until.is_none_or(|until| time.is_some_and(|time| time <= until));
        let decided = match (self.policy, text("policy_decision")) {
            (None, _) | (Some(Policy::None), None | Some("n/a")) => true,
            (Some(Policy::Decided(wanted)), found) => found == Some(wanted.as_str()),
            (Some(Policy::None), Some(_)) => false,
        };
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        text("record_id").or(name).is_some()
            && self.names().all(|(wanted, of)| kind == Some(wanted.as_str()) && name == Some(of))
            && match self.operation_type {
                Some(wanted) => kind == Some(wanted.as_str()),
                None => !is_routine && kind.is_some(),
            }
            && decided
            && self.status.is_none_or(|wanted| text("operation_status") == Some(wanted.as_str()))
            && self.user.as_deref().is_none_or(|user| {
                let names = [text("user_id"), principal("username"), principal("email")];
                names.contains(&Some(user))
            })
            && is(&self.session, text("session_id"))
            && is(&self.trace, text("trace_id"))
            && after
            && before
    }

    fn names(&self) -> impl Iterator<Item = (OperationType, &str)> {
        let names = [
            (OperationType::Tool, &self.tool),
            (OperationType::Resource, &self.resource),
            (OperationType::Prompt, &self.prompt),
        ];
        names.into_iter().filter_map(|(kind, name)| Some((kind, name.as_deref()?)))
    }
}

fn choice<T>(
    name: &'static str,
    text: &str,
    found: Option<T>,
    choices: impl Iterator<Item = &'static str>,
) -> Result<T, FilterError> {
    found.ok_or_else(|| FilterError::Choice {
        name,
        text: text.to_owned(),
        choices: choices.collect(),
    })
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

/// The time of a record in SQL: records of MXCP's spell the offset otherwise than ours.
pub(super) const TIME: &str = "TRY_CAST(\"timestamp\" AS TIMESTAMPTZ)";

/// A text as a literal of SQL. DuckDB knows no escape within one but the doubled quote.
pub(super) fn literal(option: &'static str, text: &str) -> Result<String, FilterError> {
    if text.contains('\0') {
        return Err(FilterError::Nul(option));
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_cannot_leave_their_quotes() {
        let evil = "x' OR 1=1; DROP TABLE logs; --";
        let filter = Filter { user: Some(evil.to_owned()), ..Filter::default() };
        let sql = filter.condition().unwrap();
        assert!(sql.contains("'x'' OR 1=1; DROP TABLE logs; --' IN (user_id"), "{sql}");
        let nul = Filter { tool: Some("a\0b".to_owned()), ..Filter::default() };
        assert!(nul.condition().unwrap_err().to_string().contains("`tool`"));
    }

    #[test]
    fn words_of_the_command_line_are_read() {
        for word in Policy::WORDS {
            assert!(Policy::parse(word).is_some(), "{word}");
        }
        assert_eq!(Policy::parse("n/a"), Some(Policy::None));
        assert_eq!(Policy::parse("none"), None);
    }

    #[test]
    fn filters_are_set_by_name() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let texts = ["t", "r", "p", "tool", "n/a", "error", "u", "s", "x", "1h", "1m"];
        let mut filter = Filter::default();
        for (name, text) in FILTERS.into_iter().zip(texts) {
            filter.set(name, text, now).unwrap();
        }
        let expected = Filter {
            tool: Some("t".into()),
            resource: Some("r".into()),
            prompt: Some("p".into()),
            operation_type: Some(OperationType::Tool),
            policy: Some(Policy::None),
            status: Some(OperationStatus::Error),
            user: Some("u".into()),
            session: Some("s".into()),
            trace: Some("x".into()),
            since: "2025-12-31T23:00:00Z".parse().ok(),
            until: "2025-12-31T23:59:00Z".parse().ok(),
        };
        assert_eq!(filter, expected);
        for (name, text, said) in [
            ("type", "tols", "`tols` is no value of `type`; it is one of tool, resource"),
            ("policy", "maybe", "allow, deny, warn, n/a"),
            ("since", "yesterday", "`yesterday` is not a point in time"),
            ("toll", "t", "there is no filter `toll`; there are tool"),
        ] {
            let error = filter.set(name, text, now).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn records_are_matched_by_everything_that_is_said() {
        let record = json!({
            "record_id": "r", "timestamp": "2026-01-01T00:00:00+02:00", "operation_type": "tool",
            "operation_name": "t", "operation_status": "error", "policy_decision": "deny",
            "user_id": null, "principal": {"email": "ann@example.org"},
        });
        let all = Filter::default();
        assert!(all.matches(&record));
        assert!(!all.matches(&json!({})));
        let fits = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter.matches(&record)
        };
        assert!(fits(|f| f.tool = Some("t".into())));
        assert!(!fits(|f| f.resource = Some("t".into())));
        assert!(fits(|f| f.user = Some("ann@example.org".into())));
        assert!(!fits(|f| f.user = Some("bob".into())));
        assert!(fits(|f| f.policy = Policy::parse("deny")));
        assert!(!fits(|f| f.policy = Some(Policy::None)));
        assert!(fits(|f| f.since = "2025-12-31T22:00:00Z".parse().ok()));
        assert!(!fits(|f| f.since = "2025-12-31T22:00:01Z".parse().ok()));
        let checkpoint = json!({
            "record_id": "r", "operation_type": "system", "operation_name": "checkpoint",
        });
        assert!(!all.matches(&checkpoint));
        let system = Filter { operation_type: Some(OperationType::System), ..Filter::default() };
        assert!(system.matches(&checkpoint));
    }
}
