//! The log: leaves, and hashes of full subtrees.

use std::collections::HashMap;

use muniment_receipts::merkle::{self, Frontier, ProofError};

use crate::block::Hash;

#[derive(Default)]
pub struct Log {
    leaves: Vec<Vec<u8>>,
    subtrees: HashMap<(u8, u64), Hash>,
    frontier: Frontier,
}

impl Log {
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub fn append(&mut self, leaf: Vec<u8>) {
        let mut index = self.size();
        let mut hash = merkle::leaf_hash(&leaf);
        self.leaves.push(leaf);
        self.frontier.append(hash);
        let mut level = 0;
        self.subtrees.insert((level, index), hash);
        while index % 2 == 1 {
            let Some(left) = self.subtree(level, index - 1) else {
                break;
            };
            hash = merkle::node_hash(&left, &hash);
            level += 1;
            index /= 2;
            self.subtrees.insert((level, index), hash);
        }
    }

    pub fn subtree(&self, level: u8, index: u64) -> Option<Hash> {
        self.subtrees.get(&(level, index)).copied()
    }

    pub fn leaf(&self, index: u64) -> Option<&[u8]> {
        self.leaves.get(usize::try_from(index).ok()?).map(Vec::as_slice)
    }

    pub fn leaves(&self, from: u64, count: usize) -> Vec<Vec<u8>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.leaves.iter().skip(from).take(count).cloned().collect()
    }

    pub fn path(&self, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
        merkle::inclusion_path(index, size, &mut |level, index| self.subtree(level, index))
    }
}
