//! Numbers of a trail: calls, errors, denials and durations, for each endpoint and each user.

use serde::{Deserialize, Serialize};

use super::{Filter, Log, QueryError, table};

/// Endpoints and users that are listed, at most, the most frequent first.
const STATS_ROWS_MAX: usize = 1_000;

/// The numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Stats {
    /// Of each endpoint.
    pub endpoints: Vec<OfEndpoint>,
    /// Of each user.
    pub users: Vec<OfUser>,
}

/// The numbers of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfEndpoint {
    /// tool, resource, prompt or another type of operation
    pub operation_type: String,
    /// its name
    pub operation_name: String,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// The numbers of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfUser {
    /// the identifier; none for calls without a user
    pub user_id: Option<String>,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// A row of the answer.
#[derive(Debug, Deserialize)]
struct Row {
    operation_type: Option<String>,
    operation_name: Option<String>,
    user_id: Option<String>,
    of_user: bool,
    #[serde(flatten)]
    numbers: Numbers,
}

/// What is counted. Percentiles are approximate, so that they need little memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// records
    pub calls: u64,
    /// of these, those that ended in an error
    pub errors: u64,
    /// of these, those that policies refused
    pub denials: u64,
    /// half of all calls took less, in milliseconds
    pub p50_ms: Option<f64>,
    /// 95 of 100 took less
    pub p95_ms: Option<f64>,
    /// 99 of 100 took less
    pub p99_ms: Option<f64>,
}

/// The numbers in SQL. Records of MXCP's have whole milliseconds alone.
const NUMBERS: &str = "\
    count(*) AS calls, \
    count(*) FILTER (operation_status = 'error') AS errors, \
    count(*) FILTER (policy_decision = 'deny') AS denials, \
    approx_quantile(took, 0.5) AS p50_ms, \
    approx_quantile(took, 0.95) AS p95_ms, \
    approx_quantile(took, 0.99) AS p99_ms";

impl Log {
    /// Counts the records that fit.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn stats(&mut self, filter: &Filter) -> Result<Stats, QueryError> {
        let sources = self.sources(filter)?;
        if sources.is_empty() {
            return Ok(Stats::default());
        }
        let rows = format!(
            "SELECT operation_type, operation_name, user_id, operation_status, policy_decision, \
             coalesce(duration_us / 1000.0, duration_ms)::DOUBLE AS took FROM {} WHERE {}",
            table(&sources)?,
            filter.condition()?,
        );
        // Both in one reading of the trail; `of_user` tells which of the two a row is.
        let sql = format!(
            "SELECT to_json(r)::VARCHAR FROM (SELECT operation_type, operation_name, user_id, \
             GROUPING(operation_type) = 1 AS of_user, {NUMBERS} FROM ({rows}) \
             GROUP BY GROUPING SETS ((operation_type, operation_name), (user_id)) \
             ORDER BY calls DESC, operation_type, operation_name, user_id) r"
        );
        let mut stats = Stats::default();
        for row in self.rows::<Row>(&sql)? {
            let Row { operation_type, operation_name, user_id, of_user, numbers } = row;
            if of_user && stats.users.len() < STATS_ROWS_MAX {
                stats.users.push(OfUser { user_id, numbers });
            } else if !of_user && stats.endpoints.len() < STATS_ROWS_MAX {
                let operation_name = operation_name.unwrap_or_default();
                let operation_type = operation_type.unwrap_or_default();
                stats.endpoints.push(OfEndpoint { operation_type, operation_name, numbers });
            }
        }
        Ok(stats)
    }

    fn rows<T: for<'de> Deserialize<'de>>(&mut self, sql: &str) -> Result<Vec<T>, QueryError> {
        let mut texts = Vec::new();
        self.database.texts(sql, |text| texts.push(text.to_owned()))?;
        let read = |text: &String| serde_json::from_str(text);
        let rows: Result<_, serde_json::Error> = texts.iter().map(read).collect();
        rows.map_err(|error| QueryError::Engine(error.to_string()))
    }
}
