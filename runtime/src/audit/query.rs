//! Questions to a trail, while it is written or not.
//!
//! Segments are read by DuckDB, newest first and in groups, so that a question with a limit is
//! answered from the end of the trail and any other one within a fixed amount of memory; lines
//! that cannot be asked for are sifted out before. A line
//! that is no record, such as the torn end of a segment, reads as nothing but nulls and is left
//! out. Values reach SQL as quoted literals alone, and the connection can read nothing but the
//! trail's folder and write nothing but the folder of an export.

mod database;
mod export;
mod filter;
mod follow;
mod ocsf;
mod sieve;
mod stats;
#[cfg(test)]
mod tests;
mod time;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use mxcp_schemas::audit::{LINE_BYTES_MAX, duckdb_columns};
use serde_json::Value;

use super::segment::Layout;

pub use export::Format;
pub use filter::{FILTERS, Filter, FilterError, LIMIT_DEFAULT, Policy};
pub use follow::Follower;
pub use ocsf::{OCSF_VERSION, ocsf};
pub use stats::{Numbers, OfEndpoint, OfUser, Stats};
pub use time::{TimeError, parse_time};

use database::Database;
use sieve::{Scratch, Sieve};

/// Bytes of the first group of segments; each that follows is larger, up to the other limit.
const FIRST_GROUP_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a group of segments of which the newest few are taken.
const GROUP_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of a group of segments that is sorted at once: it must fit into the database's memory.
const SORT_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of a group of segments that is sifted at once.
const SIFT_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// How far clocks may step back without a record being overlooked by its segment's time.
const CLOCK_MARGIN_MIN: i64 = 60;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The path names no file.
    #[error("the audit path `{}` does not name a file", .0.display())]
    Path(PathBuf),
    /// The trail cannot be read.
    #[error("the audit trail `{}` cannot be read: {source}", path.display())]
    Read {
        /// the trail
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// An export cannot be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// the file
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// There is such a file already.
    #[error("`{}` exists already; remove it or choose another name", .0.display())]
    Exists(PathBuf),
    /// A value cannot be asked for.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A path that SQL cannot name.
    #[error("`{}` is not UTF-8", .0.display())]
    Name(PathBuf),
    /// The database failed.
    #[error("the audit trail cannot be questioned: {0}")]
    Engine(String),
}

/// A trail that is asked.
#[derive(Debug)]
pub struct Log {
    database: Database,
    layout: Layout,
    scratch: Scratch,
}

/// A file of a trail, or of lines that were sifted from one.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    bytes: u64,
    /// whether MXCP wrote it, which spells its members otherwise
    is_legacy: bool,
}

impl Log {
    /// Prepares to read the trail at that path, and to write an export to a file.
    ///
    /// # Errors
    /// When there is no folder for temporary files, or DuckDB cannot be opened.
    pub fn open(path: &Path, export: Option<&Path>) -> Result<Self, QueryError> {
        let layout = Layout::new(path).ok_or_else(|| QueryError::Path(path.to_owned()))?;
        let scratch = Scratch::new()
            .map_err(|source| QueryError::Write { path: std::env::temp_dir(), source })?;
        let folders = [Some(layout.folder()), export.map(export::folder)];
        // A folder that does not exist holds nothing to read.
        let folders = folders.into_iter().flatten().filter_map(|folder| folder.canonicalize().ok());
        let folders = folders.chain([scratch.folder.clone()]).collect();
        Ok(Self { database: Database::open(folders)?, layout, scratch })
    }

    /// Hands out the records that fit, the newest first, up to `limit`.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn select(
        &mut self,
        filter: &Filter,
        limit: Option<u64>,
        mut each: impl FnMut(Value),
    ) -> Result<(), QueryError> {
        let condition = filter.condition()?;
        let sieve = Sieve::new(filter);
        let mut sources = self.sources(filter)?.into_iter().peekable();
        let mut left = limit;
        let mut group_bytes = FIRST_GROUP_BYTES;
        while sources.peek().is_some() && left != Some(0) {
            let mut group = take_group(&mut sources, group_bytes);
            let part_bytes = if limit.is_some() { GROUP_BYTES } else { SORT_BYTES };
            let bytes_max = if sieve.is_some() { SIFT_BYTES } else { part_bytes };
            group_bytes = (group_bytes * 4).min(bytes_max);
            if let Some(sieve) = &sieve {
                group = sieve.sift(group, &self.scratch.folder).map_err(|s| self.unread(s))?;
            }
            // Segments do not overlap, so what is newest within each part comes out in order.
            let mut parts = group.into_iter().peekable();
            while parts.peek().is_some() && left != Some(0) {
                let part = take_group(&mut parts, part_bytes);
                let found = self.read(&part, &condition, left, &mut each)?;
                left = left.map(|left| left.saturating_sub(found));
            }
        }
        Ok(())
    }

    /// Hands out the records of some files that fit, the newest first, up to a limit. Returns how
    /// many there were.
    fn read(
        &mut self,
        sources: &[Source],
        condition: &str,
        limit: Option<u64>,
        each: &mut impl FnMut(Value),
    ) -> Result<u64, QueryError> {
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        let sql = format!(
            "SELECT to_json(r)::VARCHAR FROM (SELECT * FROM {} WHERE {condition} \
             ORDER BY seq DESC NULLS LAST, {} DESC NULLS LAST{limit}) r",
            table(sources)?,
            filter::TIME,
        );
        let (mut found, mut unreadable) = (0, None);
        let mut row = |text: &str| match serde_json::from_str(text) {
            Ok(record) => {
                found += 1;
                each(record);
            }
            Err(error) => unreadable = Some(error.to_string()),
        };
        self.database.texts(&sql, &mut row)?;
        unreadable.map_or(Ok(found), |error| Err(QueryError::Engine(error)))
    }

    fn unread(&self, source: io::Error) -> QueryError {
        QueryError::Read { path: self.layout.legacy().to_owned(), source }
    }

    /// The files that may hold records of the filter's time, the newest first.
    fn sources(&self, filter: &Filter) -> Result<Vec<Source>, QueryError> {
        self.list(filter)
            .map_err(|source| QueryError::Read { path: self.layout.legacy().to_owned(), source })
    }

    fn list(&self, filter: &Filter) -> io::Result<Vec<Source>> {
        let margin = SignedDuration::from_mins(CLOCK_MARGIN_MIN);
        let since = filter.since.and_then(|at| at.checked_sub(margin).ok());
        let until = filter.until.and_then(|at| at.checked_add(margin).ok());
        let segments = self.layout.segments()?;
        let mut found = Vec::new();
        for (i, segment) in segments.iter().enumerate().rev() {
            let ends = segments.get(i + 1).map(|next| next.started);
            let is_over = ends.zip(since).is_some_and(|(ends, since)| ends < since);
            let is_ahead = until.is_some_and(|until| segment.started > until);
            if !is_over && !is_ahead {
                found.extend(existing(&segment.path, None, false)?);
            }
        }
        found.extend(existing(self.layout.legacy(), since, true)?);
        Ok(found)
    }
}

/// Takes files up to that many bytes, one at least.
fn take_group(
    sources: &mut std::iter::Peekable<impl Iterator<Item = Source>>,
    bytes_max: u64,
) -> Vec<Source> {
    let (mut group, mut bytes) = (Vec::new(), 0);
    while let Some(source) = sources.next_if(|s| bytes == 0 || bytes + s.bytes <= bytes_max) {
        bytes += source.bytes;
        group.push(source);
    }
    group
}

/// The file, if there is one that is not empty and was written since.
fn existing(path: &Path, since: Option<Timestamp>, is_legacy: bool) -> io::Result<Option<Source>> {
    let metadata = match fs::metadata(path) {
        // Retention deletes segments while others read.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    let written = Timestamp::try_from(metadata.modified()?).ok();
    let is_over = written.zip(since).is_some_and(|(written, since)| written < since);
    let (path, bytes) = (path.canonicalize()?, metadata.len());
    Ok((bytes > 0 && !is_over).then_some(Source { path, bytes, is_legacy }))
}

/// What members of MXCP's earliest records mean, which had other names and no identifiers.
const EARLIEST: [(&str, &str, &str); 6] = [
    ("caller", "caller_type", "caller"),
    ("type", "operation_type", "\"type\""),
    ("name", "operation_name", "\"name\""),
    ("status", "operation_status", "status"),
    ("reason", "policy_reason", "reason"),
    ("input_json", "input_data", "TRY_CAST(input_json AS JSON)"),
];

/// The records of files, as a table.
fn table(sources: &[Source]) -> Result<String, QueryError> {
    let (legacy, ours): (Vec<_>, Vec<_>) = sources.iter().partition(|source| source.is_legacy);
    let columns = duckdb_columns();
    if legacy.is_empty() {
        return rows(&ours, &columns);
    }
    let earliest: Vec<_> = EARLIEST.iter().map(|(old, ..)| format!("\"{old}\"")).collect();
    let also: Vec<_> = earliest.iter().map(|old| format!(", {old}: 'VARCHAR'")).collect();
    let all = format!("{}{}}}", columns.trim_end_matches('}'), also.concat());
    let meant = EARLIEST.map(|(_, new, old)| format!("coalesce({new}, {old}) AS {new}"));
    let legacy = format!(
        "SELECT * EXCLUDE ({}) REPLACE ({}) FROM {}",
        earliest.join(", "),
        meant.join(", "),
        rows(&legacy, &all)?,
    );
    if ours.is_empty() {
        return Ok(format!("({legacy})"));
    }
    Ok(format!("(SELECT * FROM {} UNION ALL BY NAME {legacy})", rows(&ours, &columns)?))
}

/// Files as a table of these columns.
fn rows(sources: &[&Source], columns: &str) -> Result<String, QueryError> {
    let quote = |source: &&Source| -> Result<String, QueryError> {
        Ok(filter::literal("path", name(&source.path)?)?)
    };
    let files: Vec<String> = sources.iter().map(quote).collect::<Result<_, _>>()?;
    Ok(format!(
        "read_json([{}], format = 'newline_delimited', columns = {columns}, \
         ignore_errors = true, maximum_object_size = {LINE_BYTES_MAX})",
        files.join(", "),
    ))
}

fn name(path: &Path) -> Result<&str, QueryError> {
    path.to_str().ok_or_else(|| QueryError::Name(path.to_owned()))
}
