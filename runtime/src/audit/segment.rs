//! The files of a trail: where they are, how they are called, in which order they are read.
//!
//! Beside the configured path `logs.jsonl` stand segments `logs.20261124T152833Z-000000000042.jsonl`,
//! named by the time they were begun and the number of their first record. The configured path
//! itself is a file of MXCP's, if there is one: the oldest segment, without chain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Where the files of a trail are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    path: PathBuf,
    folder: PathBuf,
    stem: String,
    extension: String,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// Its name within the folder.
    pub name: String,
    /// When it was begun, to the second.
    pub started: Timestamp,
    /// Number of its first record.
    pub first_seq: u64,
}

impl Layout {
    /// The layout of the trail at the configured path; `None` if that names no file.
    pub fn new(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?.to_owned();
        let extension = match path.extension() {
            Some(extension) => extension.to_str()?.to_owned(),
            None => "jsonl".to_owned(),
        };
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Some(Self { path: path.to_owned(), folder, stem, extension })
    }

    /// The configured path: where a file of MXCP's may be.
    pub fn legacy(&self) -> &Path {
        &self.path
    }

    /// The folder of all files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file whose lock the writer holds.
    pub fn lock(&self) -> PathBuf {
        self.folder.join(format!("{}.lock", self.stem))
    }

    /// The file that says where the trail ends.
    pub fn head(&self) -> PathBuf {
        self.folder.join(format!("{}.head", self.stem))
    }

    /// The copy of the last tombstone.
    pub fn tombstone(&self) -> PathBuf {
        self.folder.join(format!("{}.tombstone", self.stem))
    }

    /// The segment that begins with that record.
    pub fn segment(&self, started: Timestamp, first_seq: u64) -> Segment {
        let time = started.strftime("%Y%m%dT%H%M%SZ").to_string();
        let name = format!("{}.{time}-{first_seq:012}.{}", self.stem, self.extension);
        Segment { path: self.folder.join(&name), name, started, first_seq }
    }

    /// Where the torn end of a segment is kept.
    pub fn torn(&self, segment: &str, offset: u64) -> PathBuf {
        self.folder.join(format!("{segment}.torn-{offset}"))
    }

    /// The segments that exist, oldest first. A folder that does not exist has none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn segments(&self) -> io::Result<Vec<Segment>> {
        let mut segments = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(segments),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if let Some(segment) = entry.file_name().to_str().and_then(|name| self.parse(name)) {
                segments.push(segment);
            }
        }
        segments.sort_by_key(|segment| (segment.first_seq, segment.started));
        Ok(segments)
    }

    fn parse(&self, name: &str) -> Option<Segment> {
        let rest = name.strip_prefix(&self.stem)?.strip_prefix('.')?;
        let rest = rest.strip_suffix(&self.extension)?.strip_suffix('.')?;
        let (time, seq) = rest.split_once('-')?;
        if time.len() != 16 || seq.len() < 12 || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let civil = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
        let started = TimeZone::UTC.to_timestamp(civil).ok()?;
        let first_seq = seq.parse().ok()?;
        Some(Segment { path: self.folder.join(name), name: name.to_owned(), started, first_seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_not() {
        let layout = Layout::new(Path::new("audit/logs-dev.jsonl")).unwrap();
        let started: Timestamp = "2026-11-24T15:28:33Z".parse().unwrap();
        let segment = layout.segment(started, 42);
        assert_eq!(segment.name, "logs-dev.20261124T152833Z-000000000042.jsonl");
        assert_eq!(layout.parse(&segment.name), Some(segment.clone()));
        let huge = layout.segment(started, u64::MAX);
        assert_eq!(layout.parse(&huge.name).map(|s| s.first_seq), Some(u64::MAX));
        for name in [
            "logs-dev.jsonl",
            "logs-dev_schemas.jsonl",
            "logs-dev.lock",
            "logs-dev.head",
            "logs-dev.20261124T152833Z-000000000042.jsonl.torn-7",
            "logs-dev2.20261124T152833Z-000000000042.jsonl",
            "logs-dev.20261324T152833Z-000000000042.jsonl",
            "logs-dev.20261124T152833Z-+00000000042.jsonl",
        ] {
            assert_eq!(layout.parse(name), None, "{name}");
        }
    }

    #[test]
    fn segments_are_sorted_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(&folder.path().join("logs.jsonl")).unwrap();
        assert_eq!(layout.segments().unwrap(), []);
        let later: Timestamp = "2026-11-24T15:28:33Z".parse().unwrap();
        let earlier: Timestamp = "2026-11-24T15:28:32Z".parse().unwrap();
        for segment in [layout.segment(earlier, 9), layout.segment(later, 1)] {
            fs::write(segment.path, "").unwrap();
        }
        let seqs: Vec<u64> = layout.segments().unwrap().iter().map(|s| s.first_seq).collect();
        assert_eq!(seqs, [1, 9]);
        assert_eq!(Layout::new(Path::new("logs.jsonl")).unwrap().folder(), Path::new("."));
        assert_eq!(Layout::new(Path::new("/")), None);
    }
}
