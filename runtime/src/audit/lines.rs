//! Lines of a file with their places, read in large pieces and without a copy per line.

use std::io::{self, Read};

use mxcp_schemas::audit::LINE_BYTES_MAX;

/// Bytes asked of the file at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With a line feed.
    Feed,
    /// With the file: it is being written, or it is torn.
    File,
    /// Not within the length that lines may have; nothing more is read.
    Limit,
}

/// A line without its line feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'b> {
    /// Its bytes.
    pub bytes: &'b [u8],
    /// Where it begins in the file.
    pub offset: u64,
    /// How it ends.
    pub end: End,
}

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// the part of `buffer` that was read and not yet handed out
    from: usize,
    to: usize,
    /// place of `buffer[from]` in the file
    offset: u64,
    done: bool,
}

impl<R: Read> Lines<R> {
    /// Reads from a source that stands at `offset` of its file.
    pub(super) fn new(source: R, offset: u64) -> Self {
        Self { source, buffer: Vec::new(), from: 0, to: 0, offset, done: false }
    }

    /// The next line; `None` after the last. An empty rest after the last line feed is no line.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.done {
            return Ok(None);
        }
        let mut searched = 0;
        let (length, end) = loop {
            let unread = self.buffer.get(self.from + searched..self.to).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unread) {
                break (searched + at, End::Feed);
            }
            searched = self.to - self.from;
            if searched > LINE_BYTES_MAX {
                self.done = true;
                break (searched, End::Limit);
            }
            if self.fill()? == 0 {
                self.done = true;
                if searched == 0 {
                    return Ok(None);
                }
                break (searched, End::File);
            }
        };
        let (from, offset) = (self.from, self.offset);
        let taken = if end == End::Feed { length + 1 } else { length };
        self.from += taken;
        self.offset += taken as u64;
        let bytes = self.buffer.get(from..from + length).unwrap_or_default();
        Ok(Some(Line { bytes, offset, end }))
    }

    /// Reads more behind what is unread; zero at the end of the source.
    fn fill(&mut self) -> io::Result<usize> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        if self.buffer.len() < self.to + PIECE_BYTES {
            self.buffer.resize(self.to + PIECE_BYTES, 0);
        }
        loop {
            match self.source.read(self.buffer.get_mut(self.to..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.to += count;
                    return Ok(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn lines_have_places_and_the_last_may_be_open() {
        let mut lines = Lines::new(Slow(b"ab\n\ncde"), 10);
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            seen.push((line.bytes.to_vec(), line.offset, line.end));
        }
        let expected = [
            (b"ab".to_vec(), 10, End::Feed),
            (b"".to_vec(), 13, End::Feed),
            (b"cde".to_vec(), 14, End::File),
        ];
        assert_eq!(seen, expected);
        assert!(Lines::new(&b""[..], 0).next_line().unwrap().is_none());
    }

    #[test]
    fn a_line_without_end_is_not_read_forever() {
        let mut lines = Lines::new(io::repeat(b'x'), 0);
        assert_eq!(lines.next_line().unwrap().map(|l| l.end), Some(End::Limit));
        assert!(lines.next_line().unwrap().is_none());
    }
}
