//! Reading a trail for a proof: in order, once, in constant memory.

use std::fs::File;
use std::ops::Range;

use super::{Checkpoint, ProveError};
use crate::audit::chain::{self, Hash, Sealed};
use crate::audit::lines::{End, Lines};
use crate::audit::merkle::{self, Tree};
use crate::audit::retention;
use crate::audit::segment::{Layout, Segment};

/// The records of a trail.
pub(super) struct Walk {
    segments: Vec<Segment>,
}

impl Walk {
    /// Prepares to read a trail.
    pub(super) fn over(layout: &Layout) -> Result<Self, ProveError> {
        Ok(Self { segments: layout.segments()? })
    }

    /// Hands out every sealed record with its line, as long as `each` says so. Lines that are no
    /// records, such as what a failed write left, are passed over.
    pub(super) fn each(
        &self,
        mut each: impl FnMut(&Sealed<'_>, &[u8]) -> Result<bool, ProveError>,
    ) -> Result<(), ProveError> {
        for segment in &self.segments {
            let mut lines = Lines::new(File::open(&segment.path)?, 0);
            while let Some(line) = lines.next_line()? {
                if line.end != End::Feed {
                    break;
                }
                if let Ok(record) = chain::open(line.bytes)
                    && !each(&record, line.bytes)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The roots of parts of the tree that a checkpoint speaks of, computed from the trail.
pub(super) fn fold(
    layout: &Layout,
    checkpoint: &Checkpoint<'_>,
    parts: &[Range<u64>],
) -> Result<Vec<Hash>, ProveError> {
    let mut roots: Vec<Part> = parts.iter().cloned().map(Part::new).collect();
    let mut whole = Part::new(0..checkpoint.size);
    let mut next = 0;
    // What retention deleted is known by the roots that its tombstone left.
    if let Some(left) = retention::load(layout)?
        && left.tree.first_seq == checkpoint.first_seq
        && left.tree.is_sound()
        && left.tree.size <= checkpoint.size
    {
        for (from, size, root) in edge(&left.tree) {
            roots
                .iter_mut()
                .chain([&mut whole])
                .try_for_each(|part| part.take(from, size, root))?;
        }
        next = left.tree.size;
    }
    let end = checkpoint.first_seq.saturating_add(checkpoint.size);
    Walk::over(layout)?.each(|record, _| {
        let from = checkpoint.first_seq.saturating_add(next);
        if record.trail_id != checkpoint.sealed.trail_id || record.seq < from {
            return Ok(true);
        }
        if record.seq >= end {
            return Ok(false);
        }
        if record.seq != from {
            return Err(if next == 0 {
                ProveError::Deleted
            } else {
                ProveError::Inconsistent(from)
            });
        }
        let node = merkle::leaf(record.hash);
        roots.iter_mut().chain([&mut whole]).try_for_each(|part| part.take(next, 1, node))?;
        next += 1;
        Ok(true)
    })?;
    // A proof that does not lead to the checkpoint's root would show nothing.
    if whole.root() != Some(checkpoint.root) {
        return Err(ProveError::Inconsistent(checkpoint.first_seq.saturating_add(next)));
    }
    roots.iter().map(|part| part.root().ok_or(ProveError::Deleted)).collect()
}

/// The complete subtrees of a tree, from the left: where each begins, its size, its root.
fn edge(tree: &Tree) -> impl Iterator<Item = (u64, u64, Hash)> {
    let sizes = (0..u64::BITS).rev().map(|bit| 1_u64 << bit).filter(|size| tree.size & size != 0);
    let mut from = 0;
    sizes.zip(&tree.edge).map(move |(size, root)| {
        let begin = from;
        from += size;
        (begin, size, *root)
    })
}

/// A part of a tree whose root is being computed.
struct Part {
    range: Range<u64>,
    /// sizes and roots of complete subtrees, each smaller than the one before
    stack: Vec<(u64, Hash)>,
    taken: u64,
}

impl Part {
    const fn new(range: Range<u64>) -> Self {
        Self { range, stack: Vec::new(), taken: 0 }
    }

    /// Takes the subtree that comes next, if it belongs here.
    fn take(&mut self, from: u64, size: u64, root: Hash) -> Result<(), ProveError> {
        let to = from + size;
        if to <= self.range.start || from >= self.range.end {
            return Ok(());
        }
        if from < self.range.start || to > self.range.end {
            // The part lies within what was deleted.
            return Err(ProveError::Deleted);
        }
        self.taken += size;
        let (mut size, mut root) = (size, root);
        while let Some((_, left)) = self.stack.pop_if(|(before, _)| *before == size) {
            root = merkle::join(left, root);
            size *= 2;
        }
        self.stack.push((size, root));
        Ok(())
    }

    /// Its root, once all of it was taken.
    fn root(&self) -> Option<Hash> {
        let mut parts = self.stack.iter().rev();
        let whole = self.taken == self.range.end - self.range.start;
        let (_, last) = parts.next().filter(|_| whole)?;
        Some(parts.fold(*last, |right, (_, left)| merkle::join(*left, right)))
    }
}
