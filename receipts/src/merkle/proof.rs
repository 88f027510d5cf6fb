//! Inclusion and consistency: checking (RFC 9162 section 2.1.3.2 and 2.1.4.2) and making from stored subtrees.

use super::{Hash, empty_root, node_hash};

/// A proof does not hold or can't be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index lies outside the tree.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    Range {
        /// Leaf.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The second tree is smaller than the first.
    #[error("a tree can't shrink from {old} to {new} leaves")]
    Shrunk {
        /// Leaves before.
        old: u64,
        /// Leaves after.
        new: u64,
    },
    /// From the empty tree nothing can be proven: everything extends it.
    #[error("consistency with an empty tree proves nothing")]
    EmptyTree,
    /// Too many or too few hashes.
    #[error("the path has {found} hashes; {expected} are needed")]
    Length {
        /// Hashes of such a path.
        expected: usize,
        /// Hashes given.
        found: usize,
    },
    /// The path leads elsewhere.
    #[error("the path does not lead to the root")]
    Root,
    /// The store lacks a subtree that belongs to the tree.
    #[error("subtree {index} of level {level} is not stored")]
    Missing {
        /// 2^level leaves.
        level: u8,
        /// Position among the subtrees of that level.
        index: u64,
    },
}

/// Root to which a leaf and its path lead, when the path has the right length.
///
/// # Errors
/// [`ProofError::Range`] or [`ProofError::Length`].
pub fn root_from_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Range { index, size });
    }
    // The path has one hash per level on which leaf and last leaf go different ways, and from there up one for each
    // left turn of the right edge.
    let inner = 64 - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    let expected = (inner + border) as usize;
    if path.len() != expected {
        return Err(ProofError::Length {
            expected,
            found: path.len(),
        });
    }
    let (inside, edge) = path.split_at(inner as usize);
    let mut node = *leaf;
    for (level, sibling) in inside.iter().enumerate() {
        node = if index >> level & 1 == 0 {
            node_hash(&node, sibling)
        } else {
            node_hash(sibling, &node)
        };
    }
    Ok(edge.iter().fold(node, |node, left| node_hash(left, &node)))
}

/// Checks that a leaf is in a tree.
///
/// # Errors
/// When it is not, or the path is not exactly the one of RFC 6962.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if root_from_inclusion(leaf, index, size, path)? == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Checks that the tree of `new` leaves extends the one of `old` leaves. An empty old tree is refused: such a proof
/// says nothing, and a caller that gets one has lost its state.
///
/// # Errors
/// When it does not, or the path is not exactly the one of RFC 6962.
pub fn verify_consistency(
    old: u64,
    new: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old == 0 {
        return Err(ProofError::EmptyTree);
    }
    if new < old {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == new {
        if !path.is_empty() {
            return Err(ProofError::Length {
                expected: 0,
                found: path.len(),
            });
        }
        return if old_root == new_root {
            Ok(())
        } else {
            Err(ProofError::Root)
        };
    }
    // The proof is an inclusion path of the old tree's last full subtree, which itself comes first unless it is the
    // whole old tree.
    let level = old.trailing_zeros();
    let whole = old.is_power_of_two();
    let index = (old - 1) >> level;
    let inner = 64 - (index ^ ((new - 1) >> level)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    let expected = (inner + border) as usize + usize::from(!whole);
    if path.len() != expected {
        return Err(ProofError::Length {
            expected,
            found: path.len(),
        });
    }
    let (seed, path) = match path.split_first() {
        Some((first, rest)) if !whole => (*first, rest),
        _ => (*old_root, path),
    };
    let (mut old_node, mut new_node) = (seed, seed);
    for (step, sibling) in path.iter().enumerate() {
        if step >= inner as usize || index >> step & 1 == 1 {
            old_node = node_hash(sibling, &old_node);
            new_node = node_hash(sibling, &new_node);
        } else {
            new_node = node_hash(&new_node, sibling);
        }
    }
    if old_node == *old_root && new_node == *new_root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Audit path of leaf `index` in a tree of `size` leaves, from stored hashes of full subtrees.
///
/// `subtree(level, index)` gives the hash of leaves `index << level` to `(index + 1) << level`.
///
/// # Errors
/// [`ProofError::Range`], or [`ProofError::Missing`] when the store lacks a subtree.
pub fn inclusion_path(
    index: u64,
    size: u64,
    subtree: &mut dyn FnMut(u8, u64) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::Range { index, size });
    }
    let mut path = Vec::new();
    for level in 0..64_u8 {
        if (size - 1) >> level == 0 {
            break;
        }
        let sibling = index >> level ^ 1;
        let start = sibling << level;
        if start < size {
            let end = size.min(start.saturating_add(1 << level));
            path.push(range(start, end, subtree)?);
        }
    }
    Ok(path)
}

/// Proof that a tree of `new` leaves extends the one of `old` leaves; see [`inclusion_path`] for `subtree`.
///
/// # Errors
/// [`ProofError::EmptyTree`], [`ProofError::Shrunk`], or [`ProofError::Missing`].
pub fn consistency_path(
    old: u64,
    new: u64,
    subtree: &mut dyn FnMut(u8, u64) -> Option<Hash>,
) -> Result<Vec<Hash>, ProofError> {
    if old == 0 {
        return Err(ProofError::EmptyTree);
    }
    if new < old {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == new {
        return Ok(Vec::new());
    }
    let level = old.trailing_zeros();
    let mut path = Vec::new();
    if !old.is_power_of_two() {
        path.push(range(old - (1 << level), old, subtree)?);
    }
    let last = old - 1;
    for level in level as u8..64 {
        if (new - 1) >> level == 0 {
            break;
        }
        let sibling = last >> level ^ 1;
        let start = sibling << level;
        if start < new {
            path.push(range(start, new.min(start.saturating_add(1 << level)), subtree)?);
        }
    }
    Ok(path)
}

/// Root over leaves `start..end`, where `start` begins a full or ragged subtree.
fn range(start: u64, end: u64, subtree: &mut dyn FnMut(u8, u64) -> Option<Hash>) -> Result<Hash, ProofError> {
    let mut peaks = Vec::new();
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2() as u8;
        let index = at >> level;
        peaks.push(subtree(level, index).ok_or(ProofError::Missing { level, index })?);
        at += 1 << level;
    }
    let mut peaks = peaks.into_iter().rev();
    let last = peaks.next().unwrap_or_else(empty_root);
    Ok(peaks.fold(last, |right, left| node_hash(&left, &right)))
}
