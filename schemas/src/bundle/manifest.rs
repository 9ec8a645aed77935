//! What a bundle says of itself, and the part of the site configuration that the runtime needs.

use rkyv::{Archive, Deserialize, Serialize};

use super::definition::TypeId;

/// The first section of a bundle.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Manifest {
    /// project name from the site file
    pub project: String,
    /// the one profile that the bundle holds
    pub profile: String,
    /// version of the compiler that wrote it
    pub compiler: String,
    /// DuckDB database of the profile
    pub duckdb: DuckDb,
    /// audit settings of the profile
    pub audit: Audit,
    /// limits of the profile, by name; what is absent has the runtime's default
    pub limits: Vec<(String, u64)>,
    /// names of the secrets that the project needs
    pub secrets: Vec<String>,
    /// DuckDB extensions, each with the repository it comes from, if said
    pub extensions: Vec<(String, Option<String>)>,
    /// declared attributes of `user` beyond the built-in ones, in slot order
    pub user_attributes: Vec<UserAttribute>,
    /// SQL tools that the site enables, by name with their description
    pub sql_tools: Vec<(String, String)>,
    /// endpoints that were left out because they are disabled, as `kind identity`
    pub disabled: Vec<String>,
}

/// A declared attribute of `user`.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct UserAttribute {
    /// its name in conditions
    pub name: String,
    /// the claim it is read from, a path with dots
    pub claim: String,
    /// its type
    pub ty: TypeId,
}

/// The database of a profile.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub struct DuckDb {
    /// database file, relative to the runtime's root; may hold references
    pub path: String,
    /// opened without write access
    pub read_only: bool,
    /// as DuckDB reads it, for instance `2GB`
    pub memory_limit: Option<String>,
    /// threads per query
    pub threads: Option<u32>,
    /// whether SQL may reach files and networks
    pub external_access: bool,
    /// folders that SQL may reach although external access is off
    pub allowed_directories: Vec<String>,
    /// statement timeout
    pub query_timeout_ms: Option<u64>,
}

/// The audit trail of a profile.
#[derive(Archive, Serialize, Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub struct Audit {
    /// whether calls are recorded
    pub enabled: bool,
    /// the trail, relative to the runtime's root; may hold references
    pub path: String,
    /// size at which a segment ends
    pub max_file_size_bytes: u64,
    /// whether a reply waits for its record to be on disk
    pub strict: bool,
    /// how long segments are kept
    pub retention_days: u32,
    /// words that make a key's value redacted, beyond the built-in ones
    pub redact_keys: Vec<String>,
    /// whether results are recorded, after policies
    pub output_data: bool,
}
