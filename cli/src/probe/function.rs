//! What the functions of DuckDB do besides computing.
//!
//! DuckDB's own catalogue is asked, as it is without a project: whatever an extension, a macro of the
//! project's or a later version brings is not in it or not known here, and nothing is claimed of it.

use std::collections::HashMap;

use mxcp_runtime::duckdb::{DuckError, Session};

/// What calling a function may do, in the order of what it means for a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// It reads.
    Reads,
    /// Nobody knows, or something outside of the data.
    Unknown,
    /// It changes data.
    Writes,
}

/// All functions of DuckDB.
#[derive(Debug)]
pub(super) struct Catalogue(HashMap<String, Effect>);

/// Functions that change data, of which a sequence is one, or what is kept with it.
const WRITING: &[&str] = &["checkpoint", "force_checkpoint", "nextval", "write_log"];

/// What the names of functions end with by which extensions run statements in other databases or attach
/// these (`postgres_execute`, `sqlite_attach`).
const WRITING_FAMILIES: &[&str] = &["_attach", "_execute"];

/// Of the functions that DuckDB does not call twice for the same arguments as it pleases, those that
/// depend on the moment or on who asks, and change neither. `setseed` changes what comes next, so it is
/// not among them.
const DEPENDING_ON_THE_MOMENT: &[&str] = &[
    "current_connection_id",
    "current_query",
    "current_query_id",
    "current_transaction_id",
    "currval",
    "error",
    "gen_random_uuid",
    "get_request_header",
    "get_request_headers_json",
    "get_user_email",
    "get_user_external_token",
    "get_user_provider",
    "get_username",
    "random",
    "sleep_ms",
    "stats",
    "uuid",
    "uuidv4",
    "uuidv7",
];

/// What the names of table functions begin with that read.
const READING_FAMILIES: &[&str] = &["duckdb_", "parquet_", "pragma_", "read_"];

/// Further table functions that read. DuckDB does not say which do. Those that run SQL or a plan which
/// they are given (`query`, `json_execute_serialized_sql`), that follow an address (`arrow_scan`) or
/// that set something (`enable_logging`) are not among them.
const READING_TABLES: &[&str] = &[
    "generate_series",
    "glob",
    "histogram",
    "histogram_values",
    "icu_calendar_names",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "query_table",
    "range",
    "repeat",
    "repeat_row",
    "sniff_csv",
    "sql_auto_complete",
    "summary",
    "test_all_types",
    "test_vector_types",
    "unnest",
    "which_secret",
];

const QUESTION: &str = "
    SELECT DISTINCT lower(function_name), function_type, coalesce(has_side_effects, false)::VARCHAR
    FROM duckdb_functions() WHERE function_type <> 'pragma'";

impl Catalogue {
    /// Asks a session of a database in which nobody has declared anything.
    pub(super) fn read(session: &mut Session) -> Result<Self, DuckError> {
        let mut all: HashMap<String, Effect> = HashMap::new();
        super::for_each(session, QUESTION, None, |column| {
            let (Some(name), Some(kind)) = (column(0), column(1)) else { return };
            let effect = effect(&name, &kind, column(2).as_deref() != Some("false"));
            // One name may be several functions.
            let known = all.entry(name).or_insert(effect);
            *known = effect.max(*known);
        })?;
        Ok(Self(all))
    }

    /// What calling a function of that name may do.
    pub(super) fn effect(&self, name: &str) -> Effect {
        let name = name.to_lowercase();
        self.0.get(&name).copied().unwrap_or_else(|| {
            let writes = WRITING_FAMILIES.iter().any(|family| name.ends_with(family));
            if writes { Effect::Writes } else { Effect::Unknown }
        })
    }
}

fn effect(name: &str, kind: &str, changes: bool) -> Effect {
    let reads = match kind {
        "table" => {
            READING_TABLES.contains(&name)
                || READING_FAMILIES.iter().any(|family| name.starts_with(family))
        }
        _ => !changes || DEPENDING_ON_THE_MOMENT.contains(&name),
    };
    match reads {
        _ if WRITING.contains(&name) => Effect::Writes,
        true => Effect::Reads,
        false => Effect::Unknown,
    }
}
