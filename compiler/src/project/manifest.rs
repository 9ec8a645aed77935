//! The manifest of a bundle, from the site file.

use mxcp_schemas::bundle::manifest::{Audit, DuckDb, Manifest, UserAttribute};
use mxcp_schemas::document::site::{Profile, Site};

use crate::endpoint::Compiled as Unit;
use crate::types::Store;

const MAX_FILE_SIZE_BYTES: u64 = 52_428_800;
const RETENTION_DAYS: u32 = 90;

pub(super) fn make(
    site: &Site,
    name: &str,
    profile: &Profile,
    units: &[Unit],
    types: &mut Store,
) -> Manifest {
    let mut limits: Vec<(String, u64)> =
        profile.limits.iter().map(|(name, value)| (name.value.clone(), *value)).collect();
    limits.sort();
    Manifest {
        project: site.project.value.clone(),
        profile: name.to_owned(),
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        duckdb: duckdb(site, name, profile, units),
        audit: audit(site, name, profile),
        limits,
        secrets: site.secrets.iter().map(|s| s.value.clone()).collect(),
        extensions: site
            .extensions
            .iter()
            .map(|(n, repo)| (n.value.clone(), repo.clone()))
            .collect(),
        user_attributes: site
            .user_attributes
            .iter()
            .map(|attribute| UserAttribute {
                name: attribute.name.value.clone(),
                claim: attribute.claim.clone(),
                ty: types.add(&attribute.ty),
            })
            .collect(),
        sql_tools: site
            .sql_tools
            .iter()
            .map(|(name, text)| (name.value.clone(), text.clone().unwrap_or_default()))
            .collect(),
        disabled: units
            .iter()
            .filter(|unit| !unit.document.enabled)
            .map(|unit| format!("{} {}", unit.document.kind.as_str(), unit.identity()))
            .collect(),
    }
}

fn duckdb(site: &Site, name: &str, profile: &Profile, units: &[Unit]) -> DuckDb {
    let duckdb = &profile.duckdb;
    let default = || format!("{}/db-{name}.duckdb", site.paths.data);
    let mut allowed_directories = duckdb.allowed_directories.clone();
    // The data folder may be read without being named, and is open to SQL only where some reads it.
    let opens_data = |unit: &Unit| unit.body.as_ref().is_some_and(|body| body.opens_data);
    if units.iter().any(|unit| unit.document.enabled && opens_data(unit))
        && !allowed_directories.contains(&site.paths.data)
    {
        allowed_directories.push(site.paths.data.clone());
    }
    DuckDb {
        path: duckdb.path.clone().unwrap_or_else(default),
        read_only: duckdb.read_only,
        memory_limit: duckdb.memory_limit.clone(),
        threads: duckdb.threads.and_then(|n| u32::try_from(n).ok()),
        external_access: duckdb.external_access,
        allowed_directories,
        query_timeout_ms: duckdb.query_timeout_ms,
    }
}

/// How a profile of a site keeps its audit trail, with the defaults of what it does not say.
pub fn audit(site: &Site, name: &str, profile: &Profile) -> Audit {
    let audit = &profile.audit;
    let default = || format!("{}/logs-{name}.jsonl", site.paths.audit);
    Audit {
        enabled: audit.enabled,
        path: audit.path.clone().unwrap_or_else(default),
        max_file_size_bytes: audit.max_file_size.unwrap_or(MAX_FILE_SIZE_BYTES),
        strict: audit.strict.unwrap_or(true),
        retention_days: audit
            .retention_days
            .map_or(RETENTION_DAYS, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        redact_keys: audit.redact_keys.clone(),
        output_data: audit.output_data,
    }
}
