//! Hashes of complete subtrees of the log, in one flat file.
//!
//! Owns the file only. The order is the one in which subtrees become complete when leaves are appended (each leaf
//! hash, then the parents it completes), so the file only ever grows and any past size is a prefix of it. It is
//! derived from the block log: whatever lies beyond the index's height is written again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use crate::block::Hash;
use muniment_receipts::merkle;

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
}
