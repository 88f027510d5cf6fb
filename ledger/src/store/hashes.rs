//! Hashes of complete subtrees of the log, in one flat file.
//!
//! Owns the file only. The order is the one in which subtrees become complete when leaves are appended (each leaf
//! hash, then the parents it completes), so the file only ever grows and any past size is a prefix of it. It is
//! derived from the block log: whatever was not synced, or does not lead to the log's root, is written again. It has no
//! checksums, the root is one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::block::Hash;
use muniment_receipts::merkle::{self, Frontier};

/// Number of stored hashes for a log of `size` leaves: each leaf, and each complete parent.
pub fn stored(size: u64) -> u64 {
    let mut total = 0;
    let mut level = size;
    while level > 0 {
        total += level;
        level >>= 1;
    }
    total
}

/// Position in the file of the complete subtree `index` at `level` (2^level leaves).
pub fn position(level: u8, index: u64) -> u64 {
    let last_leaf = ((index + 1) << level) - 1;
    stored(last_leaf) + u64::from(level)
}

/// The open file.
#[derive(Debug)]
pub struct HashFile {
    file: File,
    path: PathBuf,
}

impl HashFile {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| StoreError::Io {
                what: "can't open",
                path: path.to_path_buf(),
                source,
            })?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// Appends leaf hashes to a log of `size` leaves, with the parents they complete. Not synced.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn append(&self, size: u64, leaves: &[Hash]) -> Result<(), StoreError> {
        let start = stored(size);
        let mut new: Vec<Hash> = Vec::with_capacity(leaves.len() * 2 + 8);
        for (offset, leaf) in leaves.iter().enumerate() {
            let mut index = size + offset as u64;
            let mut hash = *leaf;
            new.push(hash);
            let mut level = 0;
            while index & 1 == 1 {
                let sibling = position(level, index - 1);
                let left = match sibling.checked_sub(start) {
                    Some(fresh) => new[fresh as usize],
                    None => self.read(sibling)?,
                };
                hash = merkle::node_hash(&left, &hash);
                new.push(hash);
                index >>= 1;
                level += 1;
            }
        }
        let bytes = new.concat();
        self.file
            .write_all_at(&bytes, start * 32)
            .map_err(|source| self.io("can't write", source))
    }

    /// Hash of the complete subtree `index` at `level`.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when it was never written.
    pub fn subtree(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        self.read(position(level, index))
    }

    /// Forces everything to disk; called before the index commits durably.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| self.io("can't sync", source))
    }

    /// The error of hashes around a leaf that don't lead to the log's root.
    pub fn corrupt(&self, leaf: u64) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            offset: position(0, leaf) * 32,
            what: "the hashes do not lead to the log root",
        }
    }

    /// Where the log of `size` leaves stands by these hashes, whose root is still to be compared.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when they were never written; [`StoreError::Corrupt`].
    pub fn frontier(&self, size: u64) -> Result<Frontier, StoreError> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..64u8).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(self.subtree(level, start >> level)?);
            start += 1 << level;
        }
        Frontier::from_parts(size, peaks).map_err(|_| self.corrupt(size))
    }

    fn read(&self, position: u64) -> Result<Hash, StoreError> {
        let mut hash = [0; 32];
        self.file
            .read_exact_at(&mut hash, position * 32)
            .map_err(|source| self.io("can't read", source))?;
        Ok(hash)
    }

    fn io(&self, what: &'static str, source: std::io::Error) -> StoreError {
        StoreError::Io {
            what,
            path: self.path.clone(),
            source,
        }
    }
}

/// A check of the first hashes of the file, a piece at a time: every parent must follow from its children.
#[derive(Debug)]
pub struct HashCheck {
    leaf: u64,
    size: u64,
    peaks: Vec<Hash>,
}

impl HashCheck {
    /// Will check the hashes of the first `size` leaves.
    pub fn new(size: u64) -> Self {
        Self {
            leaf: 0,
            size,
            peaks: Vec::new(),
        }
    }

    /// Checks the hashes of this many more leaves; false when nothing is left.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at the first that does not follow, [`StoreError::Io`].
    pub fn step(&mut self, file: &HashFile, leaves: u64) -> Result<bool, StoreError> {
        let until = self.size.min(self.leaf.saturating_add(leaves));
        let start = stored(self.leaf);
        let mut bytes = vec![0; (stored(until) - start) as usize * 32];
        file.file
            .read_exact_at(&mut bytes, start * 32)
            .map_err(|source| file.io("can't read", source))?;
        let (hashes, _) = bytes.as_chunks::<32>();
        let mut hashes = hashes.iter();
        while self.leaf < until {
            let mut last = hashes.next().copied();
            let mut index = self.leaf;
            while index & 1 == 1 {
                let parent = self
                    .peaks
                    .pop()
                    .zip(last)
                    .map(|(left, right)| merkle::node_hash(&left, &right));
                last = hashes.next().copied();
                if parent != last {
                    return Err(file.corrupt(self.leaf));
                }
                index >>= 1;
            }
            self.peaks.extend(last);
            self.leaf += 1;
        }
        Ok(self.leaf < self.size)
    }

    /// The log's root by the hashes that were checked.
    pub fn root(self) -> Option<Hash> {
        Frontier::from_parts(self.leaf, self.peaks)
            .ok()
            .map(|frontier| frontier.root())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_complete_subtree_is_found_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = HashFile::open(&folder.path().join("hashes")).unwrap();
        let leaves: Vec<Hash> = (0..300u64).map(|n| merkle::leaf_hash(&n.to_le_bytes())).collect();
        let mut size = 0;
        for chunk in [1usize, 2, 3, 64, 100, 130] {
            file.append(size as u64, &leaves[size..size + chunk]).unwrap();
            size += chunk;
        }
        for level in 0..8u8 {
            for index in 0..(300 >> level) {
                let range = (index << level)..((index + 1) << level);
                let wanted = merkle::root(&leaves[range.start as usize..range.end as usize]);
                assert_eq!(
                    file.subtree(level, index).unwrap(),
                    wanted,
                    "level {level} index {index}"
                );
            }
        }
    }

    #[test]
    fn every_damaged_hash_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hashes");
        let file = HashFile::open(&path).unwrap();
        let leaves: Vec<Hash> = (0..75u64).map(|n| merkle::leaf_hash(&n.to_le_bytes())).collect();
        file.append(0, &leaves).unwrap();
        let root = merkle::root(&leaves);
        let sound = |step: u64| {
            let mut check = HashCheck::new(75);
            while check.step(&file, step)? {}
            Ok::<_, StoreError>(check.root())
        };
        for step in [1, 7, 64, 75, 1000] {
            assert_eq!(sound(step).unwrap(), Some(root));
        }
        assert_eq!(file.frontier(75).unwrap().root(), root);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..stored(75) as usize {
            let mut bytes = whole.clone();
            bytes[at * 32 + 3] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            assert!(sound(10).map_or(true, |found| found != Some(root)), "hash {at}");
        }
    }
}
