//! The Merkle tree of RFC 9162 over the records of a trail, kept as its right edge.
//!
//! Leaves are record hashes. A tree begins with a trail's first record, and anew with each `gap`
//! record, because what is missing cannot be hashed again. The edge has one root for each complete
//! subtree, so a tree of a billion records is thirty hashes.

use sha2::{Digest, Sha256};

use super::chain::Hash;

/// A growing tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Number of the record that is its first leaf; zero if nobody knows the tree.
    pub first_seq: u64,
    /// Leaves.
    pub size: u64,
    /// Roots of the complete subtrees, the largest first: one for each set bit of `size`.
    pub edge: Vec<Hash>,
}

impl Tree {
    /// A tree whose first leaf will be the record of that number.
    pub const fn new(first_seq: u64) -> Self {
        Self { first_seq, size: 0, edge: Vec::new() }
    }

    /// A tree that nobody knows, and that adding records does not make known.
    pub(super) const fn unknown() -> Self {
        Self::new(0)
    }

    /// Adds a record.
    pub fn push(&mut self, record: Hash) {
        if self.first_seq == 0 {
            return;
        }
        let mut node = leaf(record);
        // Adding one to a binary number: each carry joins two subtrees of the same size.
        let mut size = self.size;
        while size & 1 == 1
            && let Some(left) = self.edge.pop()
        {
            node = join(left, node);
            size >>= 1;
        }
        self.edge.push(node);
        self.size += 1;
    }

    /// The root over all leaves.
    pub fn root(&self) -> Hash {
        let mut edge = self.edge.iter().rev();
        let Some(last) = edge.next() else { return Hash(Sha256::digest([]).into()) };
        edge.fold(*last, |right, left| join(*left, right))
    }

    /// Whether it is known, and its edge has as many roots as the size says.
    pub fn is_sound(&self) -> bool {
        self.first_seq > 0 && u32::try_from(self.edge.len()) == Ok(self.size.count_ones())
    }
}

/// The hash of a leaf.
pub(super) fn leaf(record: Hash) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(record.0).finalize().into())
}

/// The hash of two subtrees.
pub(super) fn join(left: Hash, right: Hash) -> Hash {
    Hash(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 9162, 2.1.1, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash(Sha256::digest([]).into()),
            [one] => leaf(*one),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                join(defined(&leaves[..split]), defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn roots_are_those_of_the_definition() {
        let mut tree = Tree::new(1);
        let mut leaves = Vec::new();
        assert_eq!(tree.root(), defined(&leaves));
        for i in 0..200 {
            let record = Hash([i; 32]);
            tree.push(record);
            leaves.push(record);
            assert_eq!(tree.root(), defined(&leaves), "{} leaves", leaves.len());
            assert!(tree.is_sound());
        }
    }

    /// Values computed independently, with Python's hashlib.
    #[test]
    fn known_roots() {
        let mut tree = Tree::new(1);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(tree.root().to_string(), empty);
        for i in 0..3 {
            tree.push(Hash([i; 32]));
        }
        assert_eq!(tree.root().to_string(), KNOWN_THREE);
    }

    const KNOWN_THREE: &str = "ba8d94b7fbcecae7b81c4c80574fe24734a6917bf9c1ecd66ff3e0c34ead4620";
}
