//! Following a trail while it is written: whole lines only, across segments, nothing twice.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::Path;

use serde_json::Value;

use super::{Filter, QueryError};
use crate::audit::lines::{End, Lines};
use crate::audit::segment::{Layout, Segment};

/// Bytes of one segment that a poll reads, at most; the rest comes with the next.
const POLL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A reader that has come to some place of a trail.
#[derive(Debug)]
pub struct Follower {
    layout: Layout,
    /// the segment that is being read, and how far
    at: Option<(Segment, u64)>,
}

impl Follower {
    /// Begins at the end that a trail has now.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn start(path: &Path) -> Result<Self, QueryError> {
        let layout = Layout::new(path).ok_or_else(|| QueryError::Path(path.to_owned()))?;
        let fail = |source| QueryError::Read { path: path.to_owned(), source };
        let at = match layout.segments().map_err(fail)?.pop() {
            Some(last) => {
                let end = end_of_lines(&last).map_err(fail)?;
                Some((last, end))
            }
            None => None,
        };
        Ok(Self { layout, at })
    }

    /// Hands out the records that were completed since the last poll and fit the filter. Returns
    /// whether there may be more at once.
    ///
    /// # Errors
    /// When the trail cannot be read.
    pub fn poll(
        &mut self,
        filter: &Filter,
        mut each: impl FnMut(Value),
    ) -> Result<bool, QueryError> {
        self.read(filter, &mut each)
            .map_err(|source| QueryError::Read { path: self.layout.legacy().to_owned(), source })
    }

    fn read(&mut self, filter: &Filter, each: &mut impl FnMut(Value)) -> io::Result<bool> {
        // Asked before the segment is read to its end: what is in a later one was written later.
        let segments = self.layout.segments()?;
        let Some((segment, from)) = self.at.take().or_else(|| Some((segments.first()?.clone(), 0)))
        else {
            return Ok(false);
        };
        let mut file = match File::open(&segment.path) {
            // Retention has deleted it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.at = following(&segments, &segment).map(|next| (next, 0));
                return Ok(self.at.is_some());
            }
            file => file?,
        };
        file.seek(SeekFrom::Start(from))?;
        let mut lines = Lines::new(file, from);
        let mut to = from;
        while let Some(line) = lines.next_line()? {
            if line.end != End::Feed {
                break;
            }
            to = line.offset + line.bytes.len() as u64 + 1;
            if let Some(record) =
                serde_json::from_slice(line.bytes).ok().filter(|record| filter.matches(record))
            {
                each(record);
            }
            if to - from > POLL_BYTES_MAX {
                self.at = Some((segment, to));
                return Ok(true);
            }
        }
        let next = following(&segments, &segment);
        let more = next.is_some();
        self.at = Some(next.map_or((segment, to), |next| (next, 0)));
        Ok(more)
    }
}

fn following(segments: &[Segment], after: &Segment) -> Option<Segment> {
    let key = |segment: &Segment| (segment.first_seq, segment.started);
    segments.iter().find(|segment| key(segment) > key(after)).cloned()
}

/// Where the last whole line of a segment ends.
fn end_of_lines(segment: &Segment) -> io::Result<u64> {
    let mut lines = Lines::new(File::open(&segment.path)?, 0);
    let mut end = 0;
    while let Some(line) = lines.next_line()? {
        if line.end == End::Feed {
            end = line.offset + line.bytes.len() as u64 + 1;
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{append, place};
    use crate::audit::{Config, Trail};

    fn names(follower: &mut Follower) -> Vec<String> {
        let mut names = Vec::new();
        let mut more = true;
        while more {
            let name = |r: &Value| r["operation_name"].as_str().unwrap().to_owned();
            more = follower.poll(&Filter::default(), |r| names.push(name(&r))).unwrap();
        }
        names
    }

    #[test]
    fn every_new_record_is_seen_once() {
        let place = place();
        let mut early = Follower::start(&place.path).unwrap();
        assert_eq!(names(&mut early), Vec::<String>::new());
        let config = Config { max_file_size_bytes: 2_500, ..Config::new(&place.path) };
        let trail = Trail::open(&config).unwrap();
        append(&trail, "one").unwrap();
        let mut late = Follower::start(&place.path).unwrap();
        let mut expected = Vec::new();
        let mut seen = Vec::new();
        for i in 0..20 {
            let name = format!("call_{i}");
            append(&trail, &name).unwrap();
            expected.push(name);
            if i % 3 == 0 {
                seen.extend(names(&mut late));
            }
        }
        seen.extend(names(&mut late));
        assert_eq!(seen, expected);
        assert_eq!(names(&mut early).len(), 21);
        assert_eq!(names(&mut late), Vec::<String>::new());
    }

    #[test]
    fn a_torn_line_is_waited_for() {
        let place = place();
        let trail = Trail::open(&Config::new(&place.path)).unwrap();
        let mut follower = Follower::start(&place.path).unwrap();
        append(&trail, "one").unwrap();
        let segment = Layout::new(&place.path).unwrap().segments().unwrap().remove(0);
        let whole = std::fs::read(&segment.path).unwrap();
        std::fs::write(&segment.path, &whole[..whole.len() - 9]).unwrap();
        assert_eq!(names(&mut follower), Vec::<String>::new());
        std::fs::write(&segment.path, &whole).unwrap();
        assert_eq!(names(&mut follower), ["one"]);
    }
}
