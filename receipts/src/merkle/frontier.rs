//! The right edge of a growing tree: enough to append and to know the root, a few hashes for any size.

use super::{Hash, empty_root, node_hash};

/// Size and hashes don't fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} peaks, not {found}")]
pub struct FrontierError {
    /// Leaves.
    pub size: u64,
    /// Peaks of a tree of that size.
    pub expected: usize,
    /// Peaks given.
    pub found: usize,
}

/// A compact range from leaf 0: the roots of the full subtrees ("peaks") that make up the tree, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree from its size and peaks, as [`Self::parts`] gives them.
    ///
    /// # Errors
    /// When their numbers don't match.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        let expected = size.count_ones() as usize;
        if peaks.len() != expected {
            return Err(FrontierError {
                size,
                expected,
                found: peaks.len(),
            });
        }
        Ok(Self { size, peaks })
    }

    /// Size and peaks, largest subtree first.
    pub fn parts(&self) -> (u64, &[Hash]) {
        (self.size, &self.peaks)
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// RFC 6962 root.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// Appends one leaf.
    pub fn append(&mut self, leaf_hash: Hash) {
        let mut node = leaf_hash;
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = node_hash(&left, &node);
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// Appends many leaves.
    pub fn extend(&mut self, leaf_hashes: &[Hash]) {
        for leaf in leaf_hashes {
            self.append(*leaf);
        }
    }

    /// The tree after appending, without changing this one: for roots, paths, and the subtrees to store.
    pub fn extension(&self, leaf_hashes: &[Hash]) -> Extension {
        Extension::new(self, leaf_hashes)
    }
}

/// The hashes that come to be when leaves are appended to a tree.
#[derive(Clone, Debug)]
pub struct Extension {
    old: u64,
    size: u64,
    /// By level: the full subtrees that are new, preceded by the old peak of that level if there was one.
    levels: Vec<Level>,
    /// By level: hash over the leaves to the right of the last full subtree of that level, if any.
    rest: Vec<Option<Hash>>,
    /// Peaks of the old tree by level, for the final frontier.
    peaks: [Option<Hash>; 64],
}

#[derive(Clone, Debug, Default)]
struct Level {
    /// Index, at this level, of the first node kept.
    start: u64,
    nodes: Vec<Hash>,
}

impl Level {
    fn get(&self, index: u64) -> Option<&Hash> {
        self.nodes.get(usize::try_from(index.checked_sub(self.start)?).ok()?)
    }
}

impl Extension {
    fn new(frontier: &Frontier, leaf_hashes: &[Hash]) -> Self {
        let old = frontier.size;
        let size = old + leaf_hashes.len() as u64;
        let mut peaks = [None; 64];
        let mut left = frontier.peaks.iter().rev();
        for (level, peak) in peaks.iter_mut().enumerate() {
            if old >> level & 1 == 1 {
                *peak = left.next().copied();
            }
        }
        let height = (64 - size.leading_zeros()) as usize;
        let mut levels: Vec<Level> = Vec::with_capacity(height);
        let mut fresh = leaf_hashes.to_vec();
        for (level, peak) in peaks.iter().enumerate().take(height) {
            let mut start = old >> level;
            if let Some(peak) = peak {
                fresh.insert(0, *peak);
                start -= 1;
            }
            // `start` is even now, so pairs are siblings.
            let above = fresh
                .as_chunks()
                .0
                .iter()
                .map(|[left, right]| node_hash(left, right))
                .collect();
            levels.push(Level {
                start,
                nodes: std::mem::replace(&mut fresh, above),
            });
        }
        let rest = Self::rest(size, &levels, &peaks);
        Self {
            old,
            size,
            levels,
            rest,
            peaks,
        }
    }

    fn rest(size: u64, levels: &[Level], peaks: &[Option<Hash>; 64]) -> Vec<Option<Hash>> {
        let mut rest = Vec::with_capacity(levels.len() + 1);
        let mut right: Option<Hash> = None;
        rest.push(right);
        for (level, nodes) in levels.iter().enumerate() {
            if size >> level & 1 == 1 {
                let peak = nodes.get((size >> level) - 1).copied().or(peaks[level]);
                right = match (peak, right) {
                    (Some(peak), Some(right)) => Some(node_hash(&peak, &right)),
                    (peak, right) => peak.or(right),
                };
            }
            rest.push(right);
        }
        rest
    }

    /// Leaves after the extension.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root after the extension.
    pub fn root(&self) -> Hash {
        self.rest.last().copied().flatten().unwrap_or_else(empty_root)
    }

    /// The frontier after the extension.
    pub fn frontier(&self) -> Frontier {
        let peak = |level: usize| {
            let index = (self.size >> level).checked_sub(1)?;
            self.levels[level].get(index).copied().or(self.peaks[level])
        };
        let peaks = (0..self.levels.len()).rev().filter(|level| self.size >> level & 1 == 1);
        Frontier {
            size: self.size,
            peaks: peaks.filter_map(peak).collect(),
        }
    }

    /// Audit path of one of the appended leaves, lowest first. Empty for a leaf that is not among them.
    pub fn path(&self, index: u64) -> Vec<Hash> {
        let mut path = Vec::with_capacity(self.levels.len());
        if index < self.old || index >= self.size {
            return path;
        }
        for (level, nodes) in self.levels.iter().enumerate() {
            let node = index >> level;
            if (self.size - 1) >> level == 0 {
                break;
            }
            let full = self.size >> level;
            let sibling = node ^ 1;
            if sibling < full {
                path.extend(nodes.get(sibling));
            } else if sibling == full {
                path.extend(self.rest[level]);
            }
        }
        path
    }

    /// Full subtrees that came to be, as (level, index, hash): level 0 are the new leaves. What a store must keep so
    /// that [`super::inclusion_path`] finds everything.
    pub fn subtrees(&self) -> impl Iterator<Item = (u8, u64, Hash)> + '_ {
        self.levels.iter().enumerate().flat_map(move |(level, nodes)| {
            let indexed = (nodes.start..).zip(&nodes.nodes);
            let old = self.old >> level;
            indexed
                .filter(move |(index, _)| *index >= old)
                .map(move |(index, hash)| (level as u8, index, *hash))
        })
    }
}
