//! Sifting: which lines of a segment can be asked for at all, found without reading JSON.
//!
//! The writer spells every member in one way, so a record with `"user_id":"ann"` has these bytes.
//! Lines that have all the bytes that a filter needs are copied for the database; everything else,
//! nearly all of a large trail, is passed over at the speed of memory. What is kept may hold more
//! than what is asked for, never less: the database decides.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memchr::memmem::Finder;
use mxcp_schemas::audit::{Cell as _, LINE_BYTES_MAX, TEXT_BYTES_MAX};

use super::Source;
use super::filter::{Filter, Policy};
use crate::audit::CallId;
use crate::audit::queue::lock;

/// Bytes read at a time.
const PIECE_BYTES: usize = 4 * 1024 * 1024;
/// Part of a segment, in percent, from which on it is not worth copying what fits.
const WORTH_PERCENT: u64 = 25;

/// What every line must hold to be asked for.
#[derive(Debug)]
pub(super) struct Sieve {
    needles: Vec<Finder<'static>>,
}

/// A private folder for what is sifted and for what the database spills, removed in the end.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) folder: PathBuf,
}

impl Scratch {
    /// Makes the folder, for this user alone.
    pub(super) fn new() -> io::Result<Self> {
        let folder =
            std::env::temp_dir().canonicalize()?.join(format!("mxcp-log-{}", CallId::begin()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Sieve {
    /// The sieve of a filter; none if nothing can be told from the bytes of a line.
    pub(super) fn new(filter: &Filter) -> Option<Self> {
        let mut needles = Vec::new();
        for name in [&filter.tool, &filter.resource, &filter.prompt].into_iter().flatten() {
            needles.extend(member("operation_name", name));
        }
        if let Some(kind) = filter.operation_type {
            needles.extend(member("operation_type", kind.as_str()));
        }
        if let Some(status) = filter.status {
            needles.extend(member("operation_status", status.as_str()));
        }
        if let Some(Policy::Decided(decision)) = filter.policy {
            needles.extend(member("policy_decision", decision.as_str()));
        }
        // One of three members may hold the user.
        needles.extend(filter.user.as_deref().and_then(text));
        needles.extend(filter.session.as_deref().and_then(|text| member("session_id", text)));
        needles.extend(filter.trace.as_deref().and_then(|text| member("trace_id", text)));
        // The longest is the rarest, as a rule.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        let needles: Vec<_> =
            needles.iter().map(|needle| Finder::new(needle).into_owned()).collect();
        (!needles.is_empty()).then_some(Self { needles })
    }

    /// Sifts segments, several at a time. In place of one of which little fits stands what was
    /// kept of it; their order stays.
    pub(super) fn sift(&self, sources: Vec<Source>, scratch: &Path) -> io::Result<Vec<Source>> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let waiting = Mutex::new(sources.into_iter().enumerate());
        let found: Mutex<Vec<(usize, Source)>> = Mutex::default();
        let work = || -> io::Result<()> {
            loop {
                let next = lock(&waiting).next();
                let Some((place, source)) = next else { return Ok(()) };
                if let Some(source) = self.sift_one(source, scratch)? {
                    lock(&found).push((place, source));
                }
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.sort_by_key(|(place, _)| *place);
        Ok(found.into_iter().map(|(_, source)| source).collect())
    }

    fn sift_one(&self, source: Source, scratch: &Path) -> io::Result<Option<Source>> {
        if source.is_legacy {
            return Ok(Some(source));
        }
        let path = scratch.join(format!("{}.jsonl", CallId::begin()));
        let mut kept = BufWriter::new(File::create(&path)?);
        let worth = source.bytes / 100 * WORTH_PERCENT + LINE_BYTES_MAX as u64;
        let mut file = match File::open(&source.path) {
            // Retention deletes segments while others read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (mut buffer, mut filled, mut bytes) = (vec![0; PIECE_BYTES], 0, 0);
        loop {
            let count = file.read(buffer.get_mut(filled..).unwrap_or_default())?;
            filled += count;
            let read = buffer.get(..filled).unwrap_or_default();
            // Whole lines alone; an open one is waited for, and at the end left out.
            let whole = memchr::memrchr(b'\n', read).map_or(0, |at| at + 1);
            bytes += self.copy(read.get(..whole).unwrap_or_default(), &mut kept)?;
            if bytes > worth {
                drop(kept);
                fs::remove_file(&path)?;
                return Ok(Some(source));
            }
            if count == 0 {
                break;
            }
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
            if filled == buffer.len() {
                buffer.resize(filled * 2, 0);
            }
        }
        kept.flush()?;
        Ok((bytes > 0).then_some(Source { path, bytes, is_legacy: false }))
    }

    /// Copies the lines that have all needles. Returns how many bytes these are.
    fn copy(&self, lines: &[u8], kept: &mut impl io::Write) -> io::Result<u64> {
        let Some((first, others)) = self.needles.split_first() else { return Ok(0) };
        let (mut from, mut bytes) = (0, 0);
        while let Some(rest) = lines.get(from..)
            && let Some(at) = first.find(rest)
        {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            let start = memchr::memrchr(b'\n', before).map_or(0, |feed| feed + 1);
            let end = memchr::memchr(b'\n', after).map_or(rest.len(), |feed| at + feed + 1);
            let line = rest.get(start..end).unwrap_or_default();
            if others.iter().all(|needle| needle.find(line).is_some()) {
                kept.write_all(line)?;
                bytes += line.len() as u64;
            }
            from += end;
        }
        Ok(bytes)
    }
}

/// A member as the writer spells it.
fn member(name: &str, value: &str) -> Option<Vec<u8>> {
    let mut needle = format!("\"{name}\":").into_bytes();
    needle.extend(text(value)?);
    Some(needle)
}

/// A text as the writer spells it; one that the writer would cut is not looked for.
fn text(value: &str) -> Option<Vec<u8>> {
    let mut spelled = Vec::new();
    value.write(&mut spelled);
    (value.len() <= TEXT_BYTES_MAX).then_some(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{place, records, written};

    fn source(path: &Path) -> Source {
        let bytes = fs::metadata(path).unwrap().len();
        Source { path: path.to_owned(), bytes, is_legacy: false }
    }

    fn tool(name: &str) -> Sieve {
        Sieve::new(&Filter { tool: Some(name.to_owned()), ..Filter::default() }).unwrap()
    }

    #[test]
    fn exactly_the_lines_with_all_needles_are_kept() {
        let place = place();
        let segment = written(&place.path, 20);
        let scratch = Scratch::new().unwrap();
        let sources = tool("tool_1").sift(vec![source(&segment.path)], &scratch.folder).unwrap();
        let kept = fs::read_to_string(&sources[0].path).unwrap();
        let expected = records(&place.path)[1].to_string();
        assert_eq!(kept.trim_end(), expected);
        assert!(
            tool("tool_").sift(vec![source(&segment.path)], &scratch.folder).unwrap().is_empty()
        );
        assert!(Sieve::new(&Filter::default()).is_none());
        let folder = scratch.folder.clone();
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn pieces_do_not_cut_lines_and_open_lines_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        let wanted = "{\"operation_name\":\"t\"}\n";
        let long =
            format!("{{\"x\":\"{}\",\"operation_name\":\"t\"}}\n", "y".repeat(PIECE_BYTES * 3));
        let other = "{\"operation_name\":\"u\"}\n".repeat(PIECE_BYTES / 8);
        fs::write(&path, [wanted, &other, &long, &other, wanted, &wanted[..20]].concat()).unwrap();
        let scratch = Scratch::new().unwrap();
        let sources = tool("t").sift(vec![source(&path)], &scratch.folder).unwrap();
        assert_eq!(sources[0].bytes, long.len() as u64 + 2 * wanted.len() as u64);
    }

    #[test]
    fn a_segment_of_which_most_fits_is_read_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.jsonl");
        fs::write(&path, "{\"operation_name\":\"t\"}\n".repeat(2_000_000)).unwrap();
        let scratch = Scratch::new().unwrap();
        let sources = tool("t").sift(vec![source(&path)], &scratch.folder).unwrap();
        assert_eq!(sources[0].path, path);
        assert_eq!(fs::read_dir(&scratch.folder).unwrap().count(), 0);
    }
}
