//! A world: one value for each attribute, as the interpreter reads it and as people read it.

use std::fmt;

use mxcp_schemas::bundle::code::Slot;
use serde_json::{Map, Value as Json};

use super::Facts;
use super::fragment::Place;

/// The value of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    /// it is not there
    Absent,
    /// it is null
    Null,
    /// a truth value
    Bool(bool),
    /// a whole number
    Int(i64),
    /// a number
    Double(f64),
    /// a text
    Text(String),
    /// a list of texts
    Texts(Vec<String>),
    /// a time: seconds since the epoch, nanoseconds of that second
    Timestamp(i64, u32),
    /// a length of time: seconds, nanoseconds
    Duration(i64, i32),
}

impl Binding {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as JSON; nothing where it is absent.
    pub fn json(&self) -> Option<Json> {
        let time = |seconds: i64, nanos: u32| {
            let time = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0));
            time.map_or(Json::Null, |time| Json::from(time.to_string()))
        };
        Some(match self {
            Self::Absent => return None,
            Self::Null => Json::Null,
            Self::Bool(value) => Json::from(*value),
            Self::Int(value) => Json::from(*value),
            Self::Double(value) => Json::from(*value),
            Self::Text(text) => Json::from(text.as_str()),
            Self::Texts(texts) => Json::from(texts.clone()),
            Self::Timestamp(seconds, nanos) => time(*seconds, *nanos),
            Self::Duration(seconds, _) => Json::from(format!("PT{seconds}S")),
        })
    }
}

/// One value for each attribute, in the order of the attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct World<'t> {
    pub(super) places: Vec<(&'t Place, &'t Binding)>,
}

impl World<'_> {
    /// The world as documents that can be shown and replayed.
    pub fn witness(&self, facts: &Facts<'_>) -> Witness {
        let mut witness = Witness { user: Map::new(), arguments: Map::new(), response: None };
        for (place, binding) in &self.places {
            let Some(value) = binding.json() else { continue };
            let name = |names: Option<String>| names.unwrap_or_default();
            match place.slot {
                Slot::User(n) => {
                    let record = facts.environment.user.as_ref();
                    let field = record.and_then(|r| r.fields.get(usize::from(n)));
                    let first = name(field.map(|f| f.name.clone()));
                    nest(&mut witness.user, &first, &place.path, value);
                }
                Slot::Param(n) => {
                    let first = name(
                        facts.environment.params.get(usize::from(n)).map(|(name, _)| name.clone()),
                    );
                    nest(&mut witness.arguments, &first, &place.path, value);
                }
                _ => match place.path.split_first() {
                    None => witness.response = Some(value),
                    Some((first, rest)) => {
                        let whole =
                            witness.response.get_or_insert_with(|| Json::Object(Map::new()));
                        if let Json::Object(fields) = whole {
                            nest(fields, first, rest, value);
                        }
                    }
                },
            }
        }
        witness
    }
}

/// A caller, arguments and a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Witness {
    /// attributes of the caller
    pub user: Map<String, Json>,
    /// arguments of the call
    pub arguments: Map<String, Json>,
    /// the result, where conditions read it
    pub response: Option<Json>,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.user.is_empty() {
            parts.push(format!("`user` {}", Json::Object(self.user.clone())));
        }
        if !self.arguments.is_empty() {
            parts.push(format!("arguments {}", Json::Object(self.arguments.clone())));
        }
        if let Some(response) = &self.response {
            parts.push(format!("`response` {response}"));
        }
        if parts.is_empty() { f.write_str("any call") } else { f.write_str(&parts.join(", ")) }
    }
}

fn nest(fields: &mut Map<String, Json>, first: &str, rest: &[String], value: Json) {
    match rest.split_first() {
        None => {
            fields.insert(first.to_owned(), value);
        }
        Some((next, rest)) => {
            let below = fields.entry(first).or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(below) = below {
                nest(below, next, rest, value);
            }
        }
    }
}
