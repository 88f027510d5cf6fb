//! The RFC 6962 Merkle tree over SHA-256: roots, proofs, and a tree that grows by its right edge.
//!
//! Owns hashing and proofs. Knows nothing of what a leaf means.
//!
//! Consistency proofs ([`consistency_path`], [`verify_consistency`]) are for third parties who watch a log through its
//! tiles: a receipt needs none, its checkpoint is vouched for by the validators, each of whom keeps the whole log.

mod frontier;
mod proof;

pub use frontier::{Extension, Frontier, FrontierError};
pub use proof::{
    ProofError, consistency_path, inclusion_path, root_from_inclusion, verify_consistency, verify_inclusion,
};

use sha2::{Digest, Sha256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// SHA-256(0x00 || leaf).
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    leaf_hasher().chain_update(leaf).finalize().into()
}

/// A hasher that gives the hash of a leaf once the leaf's bytes are written to it.
pub fn leaf_hasher() -> Sha256 {
    Sha256::new().chain_update([0])
}

/// SHA-256(0x01 || left || right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Root over leaf hashes.
pub fn root(leaves: &[Hash]) -> Hash {
    let mut frontier = Frontier::new();
    for leaf in leaves {
        frontier.append(*leaf);
    }
    frontier.root()
}
