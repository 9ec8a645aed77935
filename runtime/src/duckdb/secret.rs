//! Secrets of the user file that DuckDB knows how to use, such as `http`, `s3` and `postgres`: they
//! become temporary secrets of the database. Others are for other parts of a project.

use serde_json::Value;

use super::settings::{quoted, quoted_name};
use super::{Database, DuckError, Session};
use crate::config::Secret;
use crate::output::{Form, OutputError, Table};
use mxcp_schemas::bundle::plan::Plan;

/// Most types of secrets that a DuckDB with its extensions knows.
const MAX_TYPES: usize = 1_000;
/// Most bytes that their names take as JSON.
const MAX_TYPES_BYTES: usize = 1 << 20;

/// Why a secret cannot be used. DuckDB's own words may hold its values, so they are left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// DuckDB does not take it.
    #[error(
        "DuckDB does not take the secret `{name}` of type `{kind}` with {parameters} ({class} error)"
    )]
    Refused {
        /// its name
        name: String,
        /// its type
        kind: String,
        /// the names of its parameters
        parameters: String,
        /// the class of DuckDB's error
        class: &'static str,
    },
    /// DuckDB does not say which types it knows.
    #[error("the types of secrets that DuckDB knows cannot be listed: {0}")]
    Types(String),
}

/// Makes the secrets whose type the database knows, which extensions add to. They are gone with the
/// process.
///
/// # Errors
/// When DuckDB knows the type of a secret and does not take its parameters.
pub fn create(database: &Database, secrets: &[Secret]) -> Result<(), SecretError> {
    if secrets.is_empty() {
        return Ok(());
    }
    let known = types(database).map_err(|error| SecretError::Types(error.to_string()))?;
    let connect = |error: DuckError| SecretError::Types(error.to_string());
    let connection = database.connect().map_err(connect)?;
    for secret in secrets {
        if known.iter().any(|kind| kind.eq_ignore_ascii_case(&secret.kind)) {
            let parameters = secret.parameters.expose();
            let text = statement(&secret.name, &secret.kind, parameters);
            connection.run(&text).map_err(|error| SecretError::Refused {
                name: secret.name.clone(),
                kind: secret.kind.clone(),
                parameters: names(parameters),
                class: error.class,
            })?;
        }
    }
    Ok(())
}

fn types(database: &Database) -> Result<Vec<String>, OutputError> {
    let mut session = Session::new(database)?;
    let rows = session.query("SELECT type FROM duckdb_secret_types()", |_| None)?;
    let table = Table::collect(rows, MAX_TYPES)?;
    let mut json = Vec::new();
    table.write_json(Form::Rows, &Plan::inert(), MAX_TYPES_BYTES, &mut json)?;
    let rows: Value = serde_json::from_slice(&json).unwrap_or(Value::Null);
    let rows = rows.as_array().into_iter().flatten();
    Ok(rows.filter_map(|row| row.get("type")?.as_str().map(str::to_owned)).collect())
}

fn statement(name: &str, kind: &str, parameters: &Value) -> String {
    let mut text =
        format!("CREATE TEMPORARY SECRET {} (TYPE {}", quoted_name(name), quoted_name(kind));
    for (key, value) in parameters.as_object().into_iter().flatten() {
        if !value.is_null() {
            text.push_str(&format!(", {} {}", quoted_name(key), literal(value)));
        }
    }
    text.push(')');
    text
}

fn literal(value: &Value) -> String {
    let joined = |items: Vec<String>| items.join(", ");
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(literal).collect())),
        Value::Object(members) => {
            let pair =
                |(key, value): (&String, &Value)| format!("{}: {}", quoted(key), literal(value));
            format!("MAP {{{}}}", joined(members.iter().map(pair).collect()))
        }
    }
}

fn names(parameters: &Value) -> String {
    let names: Vec<String> =
        parameters.as_object().into_iter().flatten().map(|(name, _)| format!("`{name}`")).collect();
    if names.is_empty() { "no parameters".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Concealed;
    use crate::duckdb::Settings;

    fn secret(name: &str, kind: &str, parameters: Value) -> Secret {
        Secret {
            name: name.to_owned(),
            kind: kind.to_owned(),
            parameters: Concealed::new(parameters),
        }
    }

    #[test]
    fn names_and_values_are_quoted() {
        let parameters =
            json!({"BEARER_TOKEN": "it's", "EXTRA_HTTP_HEADERS": {"X-A": "b"}, "N": null});
        assert_eq!(
            statement("a\"b", "http", &parameters),
            "CREATE TEMPORARY SECRET \"a\"\"b\" (TYPE \"http\", \"BEARER_TOKEN\" 'it''s', \
             \"EXTRA_HTTP_HEADERS\" MAP {'X-A': 'b'})"
        );
    }

    #[test]
    fn known_types_become_secrets_and_others_are_left_alone() {
        let settings = Settings::default();
        let database = settings.prepare().unwrap();
        let parameters = json!({"BEARER_TOKEN": "to'ken", "EXTRA_HTTP_HEADERS": {"X-A": "b"}});
        let secrets = [
            secret("we'b", "HTTP", parameters),
            secret("for python", "custom", json!({"a": {"b": "c"}})),
        ];
        create(&database, &secrets).unwrap();
        settings.lock(&database).unwrap();
        let mut session = Session::new(&database).unwrap();
        let text = "SELECT name, type, persistent FROM duckdb_secrets()";
        let table = Table::collect(session.query(text, |_| None).unwrap(), 10).unwrap();
        let mut json = Vec::new();
        table.write_json(Form::Rows, &Plan::inert(), 1_000, &mut json).unwrap();
        let rows: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(rows, json!([{"name": "we'b", "type": "http", "persistent": false}]));
    }

    #[test]
    fn what_duckdb_does_not_take_is_told_without_values() {
        let database = Settings::default().prepare().unwrap();
        let secrets = [secret("web", "http", json!({"NO_SUCH": "hunter2"}))];
        let told = create(&database, &secrets).unwrap_err().to_string();
        assert!(told.contains("`web`") && told.contains("`NO_SUCH`"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
