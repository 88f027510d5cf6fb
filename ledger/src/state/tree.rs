//! The authenticated map behind the state root: a Jellyfish Merkle tree (crate `jmt`) over SHA-256.
//!
//! Owns which state is covered, how nodes are named and stored, and the proofs. A leaf of the tree is
//! SHA-256(state key) → SHA-256(value). Version 0 is the genesis, version h the state after block h; every height has a
//! version, also when nothing changed. Does no I/O: it reads nodes through [`TreeStore`] and hands back what to write.

mod reader;

use jmt::proof::SparseMerkleProof;
use jmt::storage::{NodeKey, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash};
use sha2::{Digest, Sha256};

use self::reader::{Cache, Reader};
use super::{Changes, StateError, is_authenticated};
use crate::block::Hash;

/// Reads stored nodes of the tree.
pub trait TreeStore {
    /// The node stored under `key`, if any.
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;
}

/// The store's in-memory twin.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree(pub std::collections::HashMap<Vec<u8>, Vec<u8>>);

impl TreeStore for MemoryTree {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(key).cloned())
    }
}

impl MemoryTree {
    /// Writes a commit, and removes what it made stale: older versions can't be read any more.
    pub fn write(&mut self, commit: &Commit) {
        self.0.extend(commit.nodes.iter().cloned());
        for key in &commit.stale {
            self.0.remove(key);
        }
    }
}

/// SHA-256 as the tree wants it.
#[derive(Clone, Debug, Default)]
pub struct TreeHasher(Sha256);

impl jmt::SimpleHasher for TreeHasher {
    fn new() -> Self {
        Self::default()
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// What one version adds: write `nodes`, and once nobody reads older versions drop `stale`.
pub struct Commit {
    /// Version, the block height.
    pub version: u64,
    /// State root.
    pub root: Hash,
    /// New nodes, ascending by key. Keys begin with the version (big-endian), so they append to an ordered store.
    pub nodes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys that no later version reaches.
    pub stale: Vec<Vec<u8>>,
    upper: Cache,
}

/// The tree: a cache of its upper levels over a store.
#[derive(Default)]
pub struct Tree {
    cache: Cache,
}

impl Tree {
    /// Computes version `version` from version `version - 1` and `changes`. Reads the store, changes nothing: after the
    /// nodes are safely stored, tell the tree with [`Self::adopt`].
    ///
    /// # Errors
    /// When the store fails or lacks a node.
    pub fn commit(&self, store: &dyn TreeStore, version: u64, changes: &Changes) -> Result<Commit, StateError> {
        let reader = Reader { store, cache: &self.cache, value: None };
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&reader);
        let covered = || changes.iter().filter(|(key, _)| is_authenticated(key));
        let empty = covered().next().is_none();
        let removes = covered().any(|(_, value)| value.is_none());
        // The batch call hashes every changed node once, but knows only writes.
        let (root, update) = if empty || removes {
            let set: Vec<_> = covered().map(|(key, value)| (key_hash(key), value.as_deref().map(leaf_value))).collect();
            tree.put_value_set(set, version)
        } else {
            let writes = covered().filter_map(|(key, value)| Some((key_hash(key), leaf_value(value.as_deref()?))));
            tree.batch_put_value_sets(vec![writes.collect()], None, version)
                .and_then(|(roots, update)| Ok((single(roots)?, update)))
        }
        .map_err(broken)?;
        package(version, root, &update)
    }

    /// Remembers the upper levels of a version that is now stored.
    pub fn adopt(&mut self, commit: Commit) {
        self.cache.extend(commit.upper);
    }

    /// Root of a stored version.
    ///
    /// # Errors
    /// When the store fails or doesn't have the version.
    pub fn root(&self, store: &dyn TreeStore, version: u64) -> Result<Hash, StateError> {
        let reader = Reader { store, cache: &self.cache, value: None };
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&reader);
        tree.get_root_hash(version).map(|root| root.0).map_err(broken)
    }

    /// Proof bytes for `key` in a stored version, where its value is `value` (from the state of the same version).
    ///
    /// # Errors
    /// When the store fails, doesn't have the version, or has another value.
    pub fn prove(
        &self,
        store: &dyn TreeStore,
        version: u64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(Option<Hash>, Vec<u8>), StateError> {
        let reader = Reader { store, cache: &self.cache, value: value.map(leaf_value) };
        let tree = JellyfishMerkleTree::<_, TreeHasher>::new(&reader);
        let (_, proof) = tree.get_with_proof(key_hash(key), version).map_err(broken)?;
        let root = tree.get_root_hash(version).map_err(broken)?;
        proof.verify(root, key_hash(key), value.map(leaf_value)).map_err(broken)?;
        let bytes = borsh::to_vec(&proof).map_err(|error| StateError(error.into()))?;
        Ok((value.map(|value| Sha256::digest(value).into()), bytes))
    }
}

/// A proof that doesn't show what it is said to show.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The bytes aren't a proof.
    #[error("these bytes are not a state proof")]
    Form(#[source] std::io::Error),
    /// It proves something else.
    #[error("the proof does not lead from this key and value to this state root")]
    Wrong(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Checks that under `root` the state key `key` has the value with this SHA-256, or (with `None`) no value.
///
/// # Errors
/// When the proof can't be read or shows something else.
pub fn verify_proof(root: &Hash, key: &[u8], value: Option<&Hash>, proof: &[u8]) -> Result<(), ProofError> {
    let proof: SparseMerkleProof<TreeHasher> = borsh::from_slice(proof).map_err(ProofError::Form)?;
    proof.verify(RootHash(*root), key_hash(key), value).map_err(|error| ProofError::Wrong(error.into()))
}

fn key_hash(key: &[u8]) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

fn leaf_value(value: &[u8]) -> OwnedValue {
    Sha256::digest(value).to_vec()
}

fn single(roots: Vec<RootHash>) -> Result<RootHash, anyhow::Error> {
    roots.into_iter().next().ok_or_else(|| anyhow::anyhow!("the tree gave no root"))
}

fn broken(error: anyhow::Error) -> StateError {
    StateError(error.into())
}

fn package(version: u64, root: RootHash, update: &TreeUpdateBatch) -> Result<Commit, StateError> {
    let fresh = update.node_batch.nodes();
    let mut nodes = Vec::with_capacity(fresh.len());
    let mut upper = Cache::default();
    for (key, node) in fresh {
        let bytes = borsh::to_vec(node).map_err(|error| StateError(error.into()))?;
        upper.offer(key, node);
        nodes.push((node_key(key), bytes));
    }
    let stale = update.stale_node_index_batch.iter().map(|stale| node_key(&stale.node_key)).collect();
    Ok(Commit { version, root: root.0, nodes, stale, upper })
}

/// Version (u64 big-endian), number of nibbles, nibbles packed two a byte.
fn node_key(key: &NodeKey) -> Vec<u8> {
    let path = key.nibble_path();
    let mut bytes = Vec::with_capacity(9 + path.num_nibbles().div_ceil(2));
    bytes.extend_from_slice(&key.version().to_be_bytes());
    bytes.push(u8::try_from(path.num_nibbles()).unwrap_or(u8::MAX));
    let mut half = None;
    for nibble in path.nibbles() {
        let nibble = u8::from(nibble);
        match half.take() {
            None => half = Some(nibble << 4),
            Some(high) => bytes.push(high | nibble),
        }
    }
    bytes.extend(half);
    bytes
}
