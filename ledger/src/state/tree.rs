//! The authenticated map behind the state root: a Jellyfish Merkle tree (crate `jmt`) over SHA-256.
//!
//! Owns which state is covered, how nodes are named and stored, and the proofs. A leaf of the tree is
//! SHA-256(state key) → SHA-256(value). Version 0 is the genesis, version h the state after block h; every height has a
//! version, also when nothing changed. Does no I/O: it reads nodes through [`TreeStore`] and hands back what to write.

mod reader;

use std::collections::HashMap;

use jmt::proof::SparseMerkleProof;
use jmt::storage::{Node, NodeKey, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash};
use sha2::{Digest, Sha256};

pub use self::reader::Cache;
use self::reader::Reader;
use super::{Changes, MemoryState, StateError, StateRead, is_authenticated};
use crate::block::Hash;

/// Reads what the tree is made of.
pub trait TreeStore {
    /// The node stored under `key`, if any.
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// State value under a state key, as of the same moment. Asked only to prove it.
    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Upper levels in memory, if the store keeps them.
    fn cache(&self) -> Option<&Cache> {
        None
    }
}

/// The store's in-memory twin.
#[derive(Debug, Default)]
pub struct MemoryTree {
    /// Nodes of the newest version.
    pub nodes: HashMap<Vec<u8>, Vec<u8>>,
    /// State of the newest version.
    pub state: MemoryState,
    cache: Cache,
}

impl TreeStore for MemoryTree {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.nodes.get(key).cloned())
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        self.state.get(key)
    }

    fn cache(&self) -> Option<&Cache> {
        Some(&self.cache)
    }
}

impl MemoryTree {
    /// Commits a version: state, new nodes in, stale nodes out. Returns the root.
    ///
    /// # Errors
    /// When the version doesn't follow the newest.
    pub fn commit(&mut self, version: u64, changes: &Changes) -> Result<Hash, StateError> {
        let (root, batch) = commit(self, version, changes)?;
        self.cache.adopt(&batch);
        self.nodes.extend(batch.new);
        for key in &batch.stale {
            self.nodes.remove(key);
        }
        self.state.apply(changes);
        Ok(root)
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

/// What one version adds: write `new`, and once nobody reads older versions drop `stale`.
#[derive(Debug)]
pub struct NodeBatch {
    /// New nodes, ascending by key. Keys begin with the version (big-endian), so they append to an ordered store.
    pub new: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys that no later version reaches.
    pub stale: Vec<Vec<u8>>,
    upper: Vec<(u16, u64, Node)>,
}

/// A state key's value, or its absence, with the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// State root.
    pub root: Hash,
    /// SHA-256 of the value, or none when there is none.
    pub value: Option<Hash>,
    /// Proof bytes for [`verify_proof`].
    pub proof: Vec<u8>,
}

type Map<'a> = JellyfishMerkleTree<'a, Reader<'a>, TreeHasher>;

/// Computes version `version` from version `version - 1` and `changes`; version 0 from nothing. Changes nothing: once
/// the nodes are stored, tell the cache with [`Cache::adopt`].
///
/// # Errors
/// When the store fails or lacks a node.
pub fn commit(store: &dyn TreeStore, version: u64, changes: &Changes) -> Result<(Hash, NodeBatch), StateError> {
    let reader = Reader { store, value: None };
    let tree = Map::new(&reader);
    let covered = || changes.iter().filter(|(key, _)| is_authenticated(key));
    let empty = covered().next().is_none();
    let removes = covered().any(|(_, value)| value.is_none());
    // The batch call hashes every changed node once, but knows only writes.
    let (root, update) = if empty || removes {
        let set: Vec<_> = covered()
            .map(|(key, value)| (key_hash(key), value.as_deref().map(leaf_value)))
            .collect();
        tree.put_value_set(set, version)
    } else {
        let writes = covered().filter_map(|(key, value)| Some((key_hash(key), leaf_value(value.as_deref()?))));
        tree.batch_put_value_sets(vec![writes.collect()], None, version)
            .and_then(|(roots, update)| Ok((single(roots)?, update)))
    }
    .map_err(broken)?;
    Ok((root.0, package(version, &update)?))
}

/// Root of a stored version.
///
/// # Errors
/// When the store fails or doesn't have the version.
pub fn root(store: &dyn TreeStore, version: u64) -> Result<Hash, StateError> {
    let reader = Reader { store, value: None };
    Map::new(&reader)
        .get_root_hash(version)
        .map(|root| root.0)
        .map_err(broken)
}

/// Proves what a stored version, the one the store's state is of, has under a state key.
///
/// # Errors
/// When the store fails, doesn't have the version, or its state and tree disagree.
pub fn prove(store: &dyn TreeStore, version: u64, key: &[u8]) -> Result<Proven, StateError> {
    let value = store.value(key)?;
    let leaf = value.as_deref().map(leaf_value);
    let reader = Reader {
        store,
        value: leaf.clone(),
    };
    let tree = Map::new(&reader);
    let (_, proof) = tree.get_with_proof(key_hash(key), version).map_err(broken)?;
    let root = tree.get_root_hash(version).map_err(broken)?;
    proof.verify(root, key_hash(key), leaf).map_err(broken)?;
    let proof = borsh::to_vec(&proof).map_err(|error| StateError(error.into()))?;
    Ok(Proven {
        root: root.0,
        value: value.map(|value| Sha256::digest(value).into()),
        proof,
    })
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
    proof
        .verify(RootHash(*root), key_hash(key), value)
        .map_err(|error| ProofError::Wrong(error.into()))
}

fn key_hash(key: &[u8]) -> KeyHash {
    KeyHash(Sha256::digest(key).into())
}

fn leaf_value(value: &[u8]) -> OwnedValue {
    Sha256::digest(value).to_vec()
}

fn single(roots: Vec<RootHash>) -> Result<RootHash, anyhow::Error> {
    roots
        .into_iter()
        .next()
        .ok_or_else(|| anyhow::anyhow!("the tree gave no root"))
}

fn broken(error: anyhow::Error) -> StateError {
    StateError(error.into())
}

fn package(version: u64, update: &TreeUpdateBatch) -> Result<NodeBatch, StateError> {
    let fresh = update.node_batch.nodes();
    let mut new = Vec::with_capacity(fresh.len());
    let mut upper = Vec::new();
    for (key, node) in fresh {
        new.push((node_key(key), encode(node)?));
        upper.extend(reader::place(key).map(|place| (place, key.version(), node.clone())));
    }
    let mut stale: Vec<_> = update
        .stale_node_index_batch
        .iter()
        .map(|stale| node_key(&stale.node_key))
        .collect();
    // The tree copies its root when nothing changed, and replaces an empty root, without calling the old one stale.
    if let Some(before) = version.checked_sub(1) {
        let root = [before.to_be_bytes().as_slice(), &[0]].concat();
        if !stale.contains(&root) {
            stale.push(root);
        }
    }
    Ok(NodeBatch { new, stale, upper })
}

/// The crate's own borsh form, in a buffer of the right size: `to_vec` would take a kilobyte for each of the many leaves.
fn encode(node: &Node) -> Result<Vec<u8>, StateError> {
    let size = match node {
        Node::Internal(node) => 33 + 49 * node.children_sorted().count(),
        Node::Leaf(_) => 65,
        Node::Null => 1,
    };
    let mut bytes = Vec::with_capacity(size);
    borsh::to_writer(&mut bytes, node).map_err(|error| StateError(error.into()))?;
    Ok(bytes)
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
