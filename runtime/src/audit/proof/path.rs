//! The shape of proofs: which parts of a tree they need, and how they are checked.

use std::ops::Range;

use crate::audit::chain::Hash;
use crate::audit::merkle::{join, leaf};

/// The greatest power of two below `n`, for `n` of two and more.
const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The parts whose roots prove leaf `at` of a tree of `size` leaves, from the leaf upward
/// (RFC 9162, 2.1.3.1).
pub(super) fn inclusion(at: u64, size: u64) -> Vec<Range<u64>> {
    let (mut from, mut to) = (0, size);
    let mut parts = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if at < middle {
            parts.push(middle..to);
            to = middle;
        } else {
            parts.push(from..middle);
            from = middle;
        }
    }
    parts.reverse();
    parts
}

/// The parts whose roots prove that a tree of `new` leaves begins with one of `old`
/// (RFC 9162, 2.1.4.1).
pub(super) fn consistency(old: u64, new: u64) -> Vec<Range<u64>> {
    if old == 0 || old >= new {
        return Vec::new();
    }
    let (mut from, mut to) = (0, new);
    let mut parts = Vec::new();
    while old < to {
        let middle = from + split(to - from);
        if old <= middle {
            parts.push(middle..to);
            to = middle;
        } else {
            parts.push(from..middle);
            from = middle;
        }
    }
    // The part at which both trees end alike is known to whoever has the old root, if it is that.
    if from > 0 {
        parts.push(from..to);
    }
    parts.reverse();
    parts
}

/// Whether the path leads from a record to the root (RFC 9162, 2.1.3.2).
pub(super) fn includes(record: Hash, at: u64, size: u64, path: &[Hash], root: Hash) -> bool {
    if at >= size {
        return false;
    }
    let (mut place, mut last, mut node) = (at, size - 1, leaf(record));
    for part in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            node = join(*part, node);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = join(node, *part);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && node == root
}

/// Whether the path shows that the new tree begins with the old one: their sizes and roots
/// (RFC 9162, 2.1.4.2).
pub(super) fn extends(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return path.is_empty();
    }
    let mut parts = path.iter();
    let first = if old_size.is_power_of_two() { Some(&old_root) } else { parts.next() };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old_size - 1, new_size - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut of_old, mut of_new) = (*first, *first);
    for part in parts {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            of_old = join(*part, of_old);
            of_new = join(*part, of_new);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            of_new = join(of_new, *part);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == old_root && of_new == new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::merkle::Tree;

    fn record(i: u64) -> Hash {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&i.to_le_bytes());
        Hash(bytes)
    }

    fn root(leaves: Range<u64>) -> Hash {
        let mut tree = Tree::new(1);
        leaves.for_each(|i| tree.push(record(i)));
        tree.root()
    }

    fn roots(parts: &[Range<u64>]) -> Vec<Hash> {
        parts.iter().cloned().map(root).collect()
    }

    #[test]
    fn every_leaf_is_proved_in_every_tree_and_nowhere_else() {
        for size in 1..40 {
            for at in 0..size {
                let path = roots(&inclusion(at, size));
                assert!(includes(record(at), at, size, &path, root(0..size)), "{at} of {size}");
                assert!(!includes(record(at + 1), at, size, &path, root(0..size)));
                assert!(
                    !includes(record(at), (at + 1) % size, size, &path, root(0..size)) || size == 1
                );
                assert!(!includes(record(at), at, size, &path, root(0..size + 1)));
                let longer = [path.clone(), vec![record(9)]].concat();
                assert!(!includes(record(at), at, size, &longer, root(0..size)));
                if let Some((_, shorter)) = path.split_last() {
                    assert!(!includes(record(at), at, size, shorter, root(0..size)));
                }
            }
            assert!(!includes(record(size), size, size, &[], root(0..size)));
        }
    }

    #[test]
    fn every_tree_extends_every_smaller_one_and_no_other() {
        for new in 1..40 {
            for old in 0..=new {
                let path = roots(&consistency(old, new));
                let (before, after) = ((old, root(0..old)), (new, root(0..new)));
                assert!(extends(before, after, &path), "{old} in {new}");
                if old == 0 {
                    continue;
                }
                let other = (old, root(1..old + 1));
                assert!(!extends(other, after, &path), "{old} in {new}");
                assert!(!extends(before, (new, root(1..new + 1)), &path), "{old} in {new}");
                for at in 0..path.len() {
                    let mut wrong = path.clone();
                    wrong[at] = record(77);
                    assert!(!extends(before, after, &wrong), "{old} in {new}, hash {at}");
                }
                let longer = [path.clone(), vec![record(9)]].concat();
                assert!(!extends(before, after, &longer));
            }
        }
        assert!(!extends((2, root(0..2)), (1, root(0..1)), &[]));
    }
}
