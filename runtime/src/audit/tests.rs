//! Tests of the trail as a whole: what is acknowledged is there, and what is there is as it was.

mod crash;
mod durability;
mod faulty;
mod proof;
mod signed;
mod tamper;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use mxcp_schemas::audit::{CallerType, OperationStatus, OperationType, Record};

use super::lines::Lines;
use super::segment::{Layout, Segment};
use super::verify::{Options, Report, verify};
use super::*;

/// A folder with the path of a trail in it.
pub(super) struct Place {
    _folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

pub(super) fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit/logs.jsonl");
    Place { _folder: folder, path }
}

pub(super) fn record<'a>(id: &'a CallId, name: &'a str) -> Record<'a> {
    let (kind, status) = (OperationType::Tool, OperationStatus::Success);
    Record::new(id.as_str(), Timestamp::now(), CallerType::Http, kind, name, status)
}

/// Appends a record and returns its number.
pub(super) fn append(trail: &Trail, name: &str) -> Result<u64, AppendError> {
    let id = CallId::begin();
    trail.append_blocking(&record(&id, name)).map(|receipt| receipt.seq().unwrap_or(0))
}

/// A closed trail of `count` records in one segment.
pub(super) fn written(path: &Path, count: usize) -> Segment {
    let trail = Trail::open(&Config::new(path)).unwrap();
    for i in 0..count {
        append(&trail, &format!("tool_{i}")).unwrap();
    }
    assert!(trail.close());
    segments(path).pop().unwrap()
}

fn segments(path: &Path) -> Vec<Segment> {
    Layout::new(path).unwrap().segments().unwrap()
}

/// All records of all segments, in order, with those that are no JSON left out.
pub(super) fn records(path: &Path) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    for segment in segments(path) {
        let mut lines = Lines::new(std::fs::File::open(segment.path).unwrap(), 0);
        while let Some(line) = lines.next_line().unwrap() {
            found.extend(serde_json::from_slice::<serde_json::Value>(line.bytes).ok());
        }
    }
    found
}

fn names(path: &Path) -> Vec<String> {
    let name = |r: &serde_json::Value| r["operation_name"].as_str().unwrap().to_owned();
    records(path).iter().map(name).collect()
}

fn consistent(path: &Path) -> Report {
    let report = verify(path, &Options::default()).unwrap();
    assert!(report.is_consistent(), "{:?}", report.problems);
    report
}
